//! Source addresses as they are asked for: `--source-ip 10.0.0.7,10.1.0.0/16,fd00::/64`.
//!
//! Belongs here: the grammar, and the n-th address of a list. Does not: which socket gets which
//! (`local_addrs`), whether they are this host's (`host::ports`).
//!
//! A block is never written out: it is its first address and how many there are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Why a text names no source addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceIpError {
    /// Neither an address nor a block.
    #[error("`{0}` is no IP address: write 10.0.0.7, fd00::7 or a block like 10.0.0.0/24")]
    Malformed(String),
    /// `10.0.0.0/33`.
    #[error("`{text}`: a prefix of this family has at most {max} bits")]
    Prefix {
        /// As written.
        text: String,
        /// 32 or 128.
        max: u8,
    },
    /// `0.0.0.0`, `224.0.0.1`.
    #[error("`{0}`: no connection can come from there")]
    Unusable(String),
}

/// One address, or a block of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceIpRange {
    first: IpAddr,
    count: u64,
}

impl SourceIpRange {
    /// `count` addresses of 127.0.0.0/8 from 127.0.0.2 on: 127.0.0.1 is left to everybody else.
    pub(super) fn loopback(count: u64) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), count }
    }

    /// How many addresses, at least 1; `u64::MAX` for more.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether these are IPv4 addresses.
    pub const fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }

    /// The address at `index`, counted from 0.
    ///
    /// # Panics
    /// There must be one.
    pub fn nth(&self, index: u64) -> IpAddr {
        assert!(index < self.count, "address {index} of {}", self.count);
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from(u32::from(first) + index as u32).into(),
            IpAddr::V6(first) => Ipv6Addr::from(u128::from(first) + u128::from(index)).into(),
        }
    }

    /// A block without the addresses that belong to nobody: the network's own and the broadcast of
    /// IPv4, the routers' anycast of IPv6 (RFC 4291, section 2.6.1).
    fn block(base: IpAddr, prefix: u8) -> Self {
        match base {
            IpAddr::V4(base) => {
                let size = 1_u64 << (32 - prefix);
                let network = u64::from(u32::from(base)) & !(size - 1);
                let (skip, count) = if prefix < 31 { (1, size - 2) } else { (0, size) };
                Self { first: Ipv4Addr::from((network + skip) as u32).into(), count }
            }
            IpAddr::V6(base) => {
                let host_bits = 128 - u32::from(prefix);
                let hosts = 1_u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1);
                let network = u128::from(base) & !hosts;
                let skip = u128::from(prefix < 127);
                let count = (hosts - skip).saturating_add(1);
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                Self { first: Ipv6Addr::from(network + skip).into(), count }
            }
        }
    }
}

impl FromStr for SourceIpRange {
    type Err = SourceIpError;

    fn from_str(text: &str) -> Result<Self, SourceIpError> {
        let text = text.trim();
        let malformed = || SourceIpError::Malformed(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        // A mapped address is an IPv4 one: that is the family of its connections.
        let base = address.parse::<IpAddr>().map_err(|_| malformed())?.to_canonical();
        let max = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(bits) => bits.parse::<u8>().map_err(|_| malformed())?,
            None => max,
        };
        if prefix > max {
            return Err(SourceIpError::Prefix { text: text.to_owned(), max });
        }
        let range = Self::block(base, prefix);
        if range.first.is_unspecified() || base.is_multicast() || base.is_unspecified() {
            return Err(SourceIpError::Unusable(text.to_owned()));
        }
        Ok(range)
    }
}

impl fmt::Display for SourceIpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}", self.first),
            count => write!(f, "{} to {}", self.first, self.nth(count - 1)),
        }
    }
}

/// All source addresses of one family, in the order in which they were asked for. Not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceIps(Vec<SourceIpRange>);

impl SourceIps {
    /// Those of a family; `None` without any.
    pub fn of_family(ranges: &[SourceIpRange], is_ipv4: bool) -> Option<Self> {
        let ours = ranges.iter().filter(|range| range.is_ipv4() == is_ipv4);
        let ours: Vec<_> = ours.copied().collect();
        (!ours.is_empty()).then_some(Self(ours))
    }

    /// How many addresses; `u64::MAX` for more.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, range| sum.saturating_add(range.count))
    }

    /// The address at `index`, in a circle.
    pub fn nth(&self, index: u64) -> IpAddr {
        let mut rest = index % self.count();
        for range in &self.0 {
            if rest < range.count {
                return range.nth(rest);
            }
            rest -= range.count;
        }
        unreachable!("the index is below the count")
    }

    /// The ends of every range as far as the first `used` addresses go: where one of them is this
    /// host's, the others of the range most probably are.
    pub fn samples(&self, used: u64) -> Vec<IpAddr> {
        let mut left = used;
        let mut samples = Vec::new();
        for range in &self.0 {
            let within = left.min(range.count);
            left -= within;
            if let Some(last) = within.checked_sub(1) {
                samples.push(range.nth(0));
                samples.extend((last > 0).then(|| range.nth(last)));
            }
        }
        samples
    }
}

impl fmt::Display for SourceIps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&ranges.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::plan::source_ip::*;

    fn range(text: &str) -> SourceIpRange {
        text.parse().unwrap()
    }

    /// The addresses of a small IPv4 block as a textbook writes them out.
    fn hosts(base: u32, prefix: u8) -> Vec<IpAddr> {
        let inside = |ip: u32| prefix == 0 || ip >> (32 - prefix) == base >> (32 - prefix);
        let near = base.saturating_sub(1 << 10)..=base.saturating_add(1 << 10);
        let mut all: Vec<u32> = near.filter(|&ip| inside(ip)).collect();
        if prefix < 31 {
            all.pop();
            all.remove(0);
        }
        all.into_iter().map(|ip| Ipv4Addr::from(ip).into()).collect()
    }

    proptest! {
        #[test]
        fn a_block_is_what_a_textbook_writes_out(base in 0x0100_0000_u32..0xdf00_0000, prefix in 23_u8..=32) {
            let block = range(&format!("{}/{prefix}", Ipv4Addr::from(base)));
            let listed: Vec<_> = (0..block.count()).map(|index| block.nth(index)).collect();
            prop_assert_eq!(listed, hosts(base, prefix));
        }

        #[test]
        fn a_list_goes_round_through_all_its_addresses(sizes in prop::collection::vec(24_u8..=32, 1..6), index in any::<u64>()) {
            let ranges: Vec<_> = (0_u8..).zip(&sizes).map(|(i, prefix)| range(&format!("10.{i}.0.0/{prefix}"))).collect();
            let sources = SourceIps::of_family(&ranges, true).unwrap();
            let all: Vec<_> = ranges.iter().flat_map(|r| (0..r.count()).map(|i| r.nth(i))).collect();
            prop_assert_eq!(sources.count(), all.len() as u64);
            prop_assert_eq!(sources.nth(index), all[(index % all.len() as u64) as usize]);
        }
    }

    #[test]
    fn the_largest_blocks_take_no_memory_and_do_not_overflow() {
        assert_eq!(range("10.0.0.0/8").count(), (1 << 24) - 2);
        assert_eq!(range("10.0.0.0/8").nth((1 << 24) - 3), IpAddr::from([10, 255, 255, 254]));
        let v6 = range("fd00::/8");
        assert_eq!((v6.count(), v6.nth(0)), (u64::MAX, "fd00::1".parse().unwrap()));
        assert_eq!(range("fd00::5/126").to_string(), "fd00::5 to fd00::7");
        assert_eq!(range("fd00::5").to_string(), "fd00::5");
    }

    #[test]
    fn a_mapped_address_is_one_of_ipv4() {
        assert_eq!(range("::ffff:10.0.0.7"), range("10.0.0.7"));
    }

    #[test]
    fn what_is_no_source_says_what_to_write() {
        for (text, hint) in [
            ("", "write 10.0.0.7"),
            ("eth0", "write 10.0.0.7"),
            ("10.0.0.0/33", "at most 32 bits"),
            ("fd00::/129", "at most 128 bits"),
            ("10.0.0.0/x", "write 10.0.0.7"),
            ("0.0.0.0", "no connection"),
            ("0.0.0.0/0", "no connection"),
            ("::", "no connection"),
            ("224.0.0.1", "no connection"),
        ] {
            let error = text.parse::<SourceIpRange>().unwrap_err().to_string();
            assert!(error.contains(hint) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn only_addresses_that_are_used_are_looked_at() {
        let ranges = [range("10.0.0.1"), range("10.1.0.0/24"), range("10.2.0.0/16")];
        let sources = SourceIps::of_family(&ranges, true).unwrap();
        let texts = |used| sources.samples(used).iter().map(IpAddr::to_string).collect::<Vec<_>>();
        assert_eq!(texts(1), ["10.0.0.1"]);
        assert_eq!(texts(3), ["10.0.0.1", "10.1.0.1", "10.1.0.2"]);
        assert_eq!(texts(u64::MAX).last().unwrap(), "10.2.255.254");
        assert_eq!(SourceIps::of_family(&ranges, false), None);
    }
}
