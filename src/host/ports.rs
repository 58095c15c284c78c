//! Local ports and source addresses: which this host has for outgoing connections.
//!
//! Belongs here: reading the kernel's range and the ports taken out of it, and asking whether an
//! address is this host's. Does not: how many a plan needs (`limits`), who gets which
//! (`plan::local_addrs`).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// `net.ipv4.ip_local_port_range` of a kernel that nobody has tuned.
const DEFAULT_RANGE: (u16, u16) = (32_768, 60_999);

/// Where a socket leads that never sends anything: discard (RFC 863).
const ANY_PORT: u16 = 9;

/// The ports that outgoing connections may use, ascending. They hold for IPv6, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPorts(Vec<u16>);

impl LocalPorts {
    /// Reads them from this host. What cannot be read is taken at the kernel's default.
    pub fn read() -> Self {
        let file = |name: &str| {
            fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default()
        };
        Self::parse(&file("ip_local_port_range"), &file("ip_local_reserved_ports"))
    }

    /// From the texts of `ip_local_port_range` (`32768\t60999`) and `ip_local_reserved_ports`
    /// (`8080,9000-9010`).
    pub(crate) fn parse(range: &str, reserved: &str) -> Self {
        let mut ends = range.split_whitespace().map(str::parse::<u16>);
        let (low, high) = match (ends.next(), ends.next()) {
            (Some(Ok(low)), Some(Ok(high))) => (low, high),
            _ => DEFAULT_RANGE,
        };
        let span = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
        };
        let reserved: Vec<_> = reserved.trim().split(',').filter_map(span).collect();
        let free = |port: &u16| !reserved.iter().any(|span| span.contains(port));
        Self((low..=high).filter(free).collect())
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// How many a plan should use towards one destination from one address: the other half stays for
    /// ports that other programs hold, and for those of connections that have just ended.
    pub fn comfortable(&self) -> u64 {
        (self.count() / 2).max(1)
    }

    /// One of them, in a circle. `None` where there are none at all.
    pub fn nth(&self, index: u64) -> Option<u16> {
        let place = index.checked_rem(self.count())?;
        self.0.get(place as usize).copied()
    }
}

/// Why no connection can come from an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It is another's, or nobody's.
    #[error(
        "--source-ip {0} is not an address of this host: name some that `ip address` lists, or \
         give it to an interface (`sudo ip address add {0} dev eth0`)"
    )]
    NotOurs(IpAddr),
    /// Anything else.
    #[error("--source-ip {address} cannot be bound: {reason}")]
    Refused {
        /// The address.
        address: IpAddr,
        /// The system's answer.
        reason: String,
    },
}

/// Whether connections may come from `address`: it is one of this host's, or of a range that is
/// routed to it (`ip route add local …`).
///
/// # Errors
/// See [`SourceError`].
pub fn check_source(address: IpAddr) -> Result<(), SourceError> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let bound = socket.and_then(|fd| rustix::net::bind(&fd, &SocketAddr::new(address, 0)));
    bound.map_err(|errno| match errno {
        Errno::ADDRNOTAVAIL => SourceError::NotOurs(address),
        errno => SourceError::Refused { address, reason: errno.to_string() },
    })
}

/// Whether what listens on `address` is on this host: the kernel would answer from that very address.
/// To ask, a datagram socket is connected; nothing is sent. (To bind the address would ask something
/// else: `net.ipv4.ip_nonlocal_bind` lets any be bound.)
pub fn is_this_host(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, ANY_PORT))?;
        socket.local_addr()
    };
    from().is_ok_and(|from| from.ip().to_canonical() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_are_taken_out_of_the_range() {
        let ports = LocalPorts::parse("40000\t40009\n", "8080,40001,40003-40005,40009-50000\n");
        assert_eq!(ports.0, [40_000, 40_002, 40_006, 40_007, 40_008]);
        assert_eq!((ports.count(), ports.comfortable()), (5, 2));
        let circle: Vec<_> = (4..7).filter_map(|index| ports.nth(index)).collect();
        assert_eq!(circle, [40_008, 40_000, 40_002]);
    }

    #[test]
    fn a_host_that_says_nothing_has_the_default_range() {
        assert_eq!(LocalPorts::parse("", "\n").count(), 28_232);
        let none = LocalPorts::parse("40000 40001", "40000-40001");
        assert_eq!((none.count(), none.nth(0)), (0, None));
    }

    #[test]
    fn addresses_of_our_interfaces_are_this_host_and_those_beyond_them_are_not() {
        let ours = ["127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"];
        for address in ours {
            assert!(is_this_host(address.parse().unwrap()), "{address}");
        }
        // The kernel's own list is the oracle: what it calls LOCAL, and not 127/8 again.
        let trie = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        let lines: Vec<_> = trie.lines().map(str::trim).collect();
        let local = lines.windows(2).filter(|pair| pair[1].starts_with("/32 host LOCAL"));
        for pair in local {
            let address = pair[0].trim_start_matches("|-- ").parse().unwrap();
            assert!(is_this_host(address), "{address}");
        }
        // RFC 5737 and RFC 3849: nobody's.
        for address in ["192.0.2.1", "203.0.113.9", "2001:db8::1"] {
            assert!(!is_this_host(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn loopback_is_ours_and_a_documentation_address_is_not() {
        assert_eq!(check_source([127, 0, 0, 1].into()), Ok(()));
        assert_eq!(check_source([127, 9, 8, 7].into()), Ok(()), "the whole of 127.0.0.0/8");
        // RFC 5737: nobody's.
        let nobodys = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(check_source(nobodys), Err(SourceError::NotOurs(nobodys)));
    }
}
