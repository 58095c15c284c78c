//! From which address and port each socket connects.
//!
//! Belongs here: dealing sources and ports to sockets, as a pure function of the plan. Does not:
//! binding (`engine::ring`), reading the host's ports (`host::ports`).
//!
//! Where sockets are bound to an address we choose the port, too: `bind` to port 0 would take a port
//! away from every other destination, and the option that puts the kernel's choice off until the
//! connect (`IP_BIND_ADDRESS_NO_PORT`, ip(7)) is not in the system call crate. It also saves the
//! kernel its search, which is long when a range is nearly used up. A port that is taken by somebody
//! else is passed over: see [`LocalAddrs::origin`].

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::host::ports::LocalPorts;
use crate::plan::source_ip::{SourceIpRange, SourceIps};
use crate::population::nodes::Node;
use crate::population::sockets::{Population, SocketId};
use crate::units::Count;

/// Why the sources do not suit the nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalAddrError {
    /// IPv6 sources for an IPv4 node.
    #[error(
        "--source-ip has no IPv{family} address, but {node} is reached by IPv{family}: add one"
    )]
    NoFamily {
        /// 4 or 6.
        family: u8,
        /// The node.
        node: String,
    },
    /// 127.0.0.2 for a node elsewhere, which no route leads back to.
    #[error(
        "--source-ip {source_ip}: a connection from loopback cannot reach {node}: name an address \
         that the node can answer to"
    )]
    Loopback {
        /// The first such address.
        source_ip: IpAddr,
        /// The node.
        node: String,
    },
    /// More sockets than there are pairs of address and port.
    #[error(
        "too few local ports: {} sockets go to {node}, but {} with {} ports each \
         (net.ipv4.ip_local_port_range without the reserved ones) hold {}: give --source-ip at \
         least {}{}",
        Count(*.sockets), addresses(*.sources), Count(*.ports),
        Count(.sources.saturating_mul(*.ports)), wanted(*.sockets, *.ports),
        comfort(*.sockets, *.ports)
    )]
    Ports {
        /// Sockets to the node.
        sockets: u64,
        /// The node.
        node: String,
        /// Addresses that reach it.
        sources: u64,
        /// Ports of each.
        ports: u64,
    },
}

fn addresses(count: u64) -> String {
    let noun = if count == 1 { "source address" } else { "source addresses" };
    format!("{} {noun}", Count(count))
}

/// The fewest addresses that hold so many sockets.
fn wanted(sockets: u64, ports: u64) -> String {
    let count = sockets.div_ceil(ports.max(1));
    format!("{} {}", Count(count), if count == 1 { "address" } else { "addresses" })
}

/// How many would do even where other programs hold some of the ports, if that is more.
fn comfort(sockets: u64, ports: u64) -> String {
    let half = (ports / 2).max(1);
    let (least, comfortable) = (sockets.div_ceil(ports.max(1)), sockets.div_ceil(half));
    if comfortable == least {
        return String::new();
    }
    format!(" ({} leave half of the ports to others)", Count(comfortable))
}

/// Where sockets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAddrs {
    /// The kernel chooses address and port of each.
    Kernel,
    /// We choose.
    Ours {
        /// IPv4 addresses.
        v4: Option<SourceIps>,
        /// IPv6 addresses.
        v6: Option<SourceIps>,
        /// The ports of each.
        ports: LocalPorts,
        /// Nobody asked: one address would not do, and on loopback there are more.
        automatic: bool,
    },
}

impl LocalAddrs {
    /// Sources for the sockets of `population`, dealt out over the ports of this host.
    ///
    /// Where nobody named sources and all is on IPv4 loopback, as many addresses of 127.0.0.0/8 are
    /// taken as are needed, so that each uses about half of the ports; one is left to the kernel.
    ///
    /// # Errors
    /// See [`LocalAddrError`].
    pub fn deal(
        asked: &[SourceIpRange],
        ports: LocalPorts,
        nodes: &[Node],
        population: &Population,
    ) -> Result<Self, LocalAddrError> {
        let automatic = asked.is_empty();
        let ranges =
            if automatic { loopback_sources(&ports, nodes, population) } else { asked.to_vec() };
        if ranges.is_empty() {
            return Ok(Self::Kernel);
        }
        let (v4, v6) = (SourceIps::of_family(&ranges, true), SourceIps::of_family(&ranges, false));
        let (count, ours) = (ports.count(), Self::Ours { v4, v6, ports, automatic });
        nodes.iter().zip(0..).try_for_each(|(node, index)| {
            ours.check(node, population.sockets_to(index).into(), count)
        })?;
        Ok(ours)
    }

    fn check(&self, node: &Node, sockets: u64, ports: u64) -> Result<(), LocalAddrError> {
        let (to, url) = (ip(node), || node.url.clone());
        let Some(sources) = self.to(node) else {
            let family = if to.is_ipv4() { 4 } else { 6 };
            return Err(LocalAddrError::NoFamily { family, node: url() });
        };
        let samples = sources.samples(sockets);
        if let Some(&source_ip) = samples.iter().find(|ip| ip.is_loopback() && !to.is_loopback()) {
            return Err(LocalAddrError::Loopback { source_ip, node: url() });
        }
        let sources = sources.count();
        if sources.saturating_mul(ports) < sockets {
            return Err(LocalAddrError::Ports { sockets, node: url(), sources, ports });
        }
        Ok(())
    }

    /// The addresses from which a node is reached, where we choose them.
    pub fn to(&self, node: &Node) -> Option<&SourceIps> {
        match self {
            Self::Kernel => None,
            Self::Ours { v4, v6, .. } => if ip(node).is_ipv4() { v4 } else { v6 }.as_ref(),
        }
    }

    /// From where a socket connects, at its `attempt`-th try, counted from 0. `None` leaves it to
    /// the kernel.
    ///
    /// Sockets to one node go round the addresses, and on each of them upwards through the ports. A
    /// further try goes half of the range on, where a comfortable plan has no ports of its own, then
    /// to the next one, and so on.
    pub fn origin(
        &self,
        nodes: &[Node],
        population: &Population,
        SocketId { socket, node }: SocketId,
        attempt: u32,
    ) -> Option<SocketAddr> {
        let Self::Ours { ports, .. } = self else { return None };
        let sources = self.to(&nodes[node as usize])?;
        let place = u64::from(population.place_at_node(socket));
        let (address, round) = (place % sources.count(), place / sources.count());
        // Nodes begin apart from each other: a port that serves one destination is quicker to bind.
        let share = u64::from(population.sockets_to(node)).div_ceil(sources.count());
        let first = u64::from(node).wrapping_mul(share);
        let attempt = u64::from(attempt);
        let shift = (attempt % 2) * ports.comfortable() + attempt / 2;
        let port = ports.nth(first.wrapping_add(round).wrapping_add(shift))?;
        Some(SocketAddr::new(sources.nth(address), port))
    }

    /// Some of the addresses that sockets will come from, where we choose them: the ends of every range.
    pub fn samples(&self, nodes: &[Node], population: &Population) -> Vec<IpAddr> {
        let of_node =
            |(node, index)| Some(self.to(node)?.samples(population.sockets_to(index).into()));
        let samples = nodes.iter().zip(0..).filter_map(of_node).flatten();
        samples.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn loopback_sources(
    ports: &LocalPorts,
    nodes: &[Node],
    population: &Population,
) -> Vec<SourceIpRange> {
    let is_loopback = |node: &Node| matches!(ip(node), IpAddr::V4(ip) if ip.is_loopback());
    let sockets = (0..nodes.len() as u32).map(|node| population.sockets_to(node).into());
    let most: u64 = sockets.max().unwrap_or(0);
    if most <= ports.comfortable() || !nodes.iter().all(is_loopback) {
        return Vec::new();
    }
    vec![SourceIpRange::loopback(most.div_ceil(ports.comfortable()))]
}

/// A node's address; a mapped one is an IPv4 address, whatever the name service says.
fn ip(node: &Node) -> IpAddr {
    node.addr.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::plan::Plan;
    use crate::plan::draft::{Cpus, Draft};
    use crate::plan::fixture;
    use crate::plan::local_addrs::*;

    const HALF: u64 = 14_116;

    fn ports() -> LocalPorts {
        LocalPorts::parse("32768\t60999", "")
    }

    fn plan(
        nodes: usize,
        push: u32,
        receivers: u32,
        sources: &[&str],
    ) -> Result<Plan, LocalAddrError> {
        let urls: Vec<u16> = (0..nodes).map(|i| 9000 + i as u16).collect();
        let draft = fixture::draft(nodes / 2, &urls, &[0], |spec| {
            (spec.push_sockets, spec.receivers_per_node) = (push, Some(receivers));
            spec.dialing.sources = sources.iter().map(|text| text.parse().unwrap()).collect();
        });
        planned(draft, ports())
    }

    fn planned(draft: Draft, ports: LocalPorts) -> Result<Plan, LocalAddrError> {
        Ok(draft.from_ports(ports)?.plan(u64::MAX, Cpus::Own).unwrap())
    }

    proptest! {
        #[test]
        fn no_two_sockets_to_one_node_share_address_and_port(
            nodes in 1_usize..5, push in 1_u32..30, receivers in 0_u32..300, sources in 1_u8..20,
        ) {
            let text: Vec<_> = (0..sources).map(|i| format!("127.1.0.{i}")).collect();
            let text: Vec<_> = text.iter().map(String::as_str).collect();
            let plan = plan(nodes, push, receivers, &text).unwrap();
            let mut taken = BTreeSet::new();
            for socket in 0..plan.sockets() as u32 {
                let seat = plan.population().id(socket);
                let (node, origin) = (seat.node, plan.origin(seat, 0).unwrap());
                prop_assert!(taken.insert((node, origin)), "{origin} twice to node {node}");
                let next = plan.origin(seat, 1).unwrap();
                prop_assert_eq!(next.ip(), origin.ip());
                prop_assert!(!taken.contains(&(node, next)), "spares are nobody's first choice");
            }
            let addresses: BTreeSet<_> = taken.iter().map(|(_, origin)| origin.ip()).collect();
            let most = (0..nodes).map(|node| plan.sockets_to(node)).max().unwrap();
            prop_assert_eq!(addresses.len() as u64, most.min(sources.into()), "all are used");
        }
    }

    proptest! {
        #[test]
        fn the_addresses_that_are_asked_for_do_and_one_less_does_not(
            receivers in 0_u32..2_000, low in 1_u16..200,
        ) {
            let with = |addresses: u64| {
                let draft = fixture::draft(0, &[9000], &[0], |spec| {
                    spec.receivers_per_node = Some(receivers);
                    spec.dialing.sources =
                        (1..=addresses).map(|i| format!("127.2.{}.{}", i / 250, i % 250).parse().unwrap()).collect();
                });
                planned(draft, LocalPorts::parse(&format!("40000 {}", 39_999 + low), ""))
            };
            if let Err(error) = with(1) {
                let text = error.to_string().replace('\u{a0}', " ");
                let number = text.split("at least ").nth(1).and_then(|rest| rest.split(" address").next());
                let wanted: u64 = number.unwrap().replace(' ', "").parse().unwrap();
                prop_assert!(with(wanted).is_ok(), "{text}");
                prop_assert!(with(wanted - 1).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn loopback_gets_as_many_addresses_as_keep_half_of_the_ports_free() {
        assert_eq!(plan(3, 3, 14_000, &[]).unwrap().connect.local_addrs, LocalAddrs::Kernel);
        let many = plan(1, 1, 200_000, &[]).unwrap();
        let sources = many.sources_to(0).unwrap();
        assert_eq!(sources.count(), 200_001_u64.div_ceil(HALF));
        assert_eq!(sources.to_string(), "127.0.0.2 to 127.0.0.16");
        assert!(matches!(many.connect.local_addrs, LocalAddrs::Ours { automatic: true, .. }));
    }

    #[test]
    fn nodes_elsewhere_are_left_to_the_kernel_unless_sources_are_named() {
        let elsewhere = |sources: &[&str]| {
            let plan = fixture::plan(&[1], |spec| spec.receivers_per_node = Some(50_000));
            let mut nodes = plan.nodes.clone();
            nodes[0].addr = "192.0.2.7:80".parse().unwrap();
            let sources: Vec<_> = sources.iter().map(|text| text.parse().unwrap()).collect();
            LocalAddrs::deal(&sources, ports(), &nodes, plan.population())
        };
        assert_eq!(elsewhere(&[]), Ok(LocalAddrs::Kernel));
        let error = |sources: &[&str]| elsewhere(sources).unwrap_err().to_string();
        assert_eq!(
            error(&["192.0.2.1"]),
            "too few local ports: 50 003 sockets go to ws://127.0.0.1:1/, but 1 source address with \
             28 232 ports each (net.ipv4.ip_local_port_range without the reserved ones) hold \
             28 232: give --source-ip at least 2 addresses (4 leave half of the ports to others)"
        );
        assert!(error(&["fd00::1"]).contains("no IPv4 address"));
        assert!(error(&["127.0.0.5", "192.0.2.0/24"]).contains("--source-ip 127.0.0.5"));
        assert!(elsewhere(&["192.0.2.0/24", "fd00::1"]).is_ok());
    }

    #[test]
    fn further_tries_leave_no_port_out() {
        let plan = plan(1, 1, 0, &["127.0.0.9"]).unwrap();
        let tried: BTreeSet<_> =
            (0..1_000).map(|i| plan.origin(SocketId { socket: 0, node: 0 }, i).unwrap()).collect();
        assert_eq!(tried.len(), 1_000);
    }
}
