//! Which CPUs share a core, which memory is near to them, and which network card.
//!
//! Belongs here: reading `/sys` and the routing table, tolerant of what a container hides: a CPU of
//! which nothing is known is a core of its own. Does not: what follows from it (`cpus`).

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::facts::cpu_list;

/// How CPUs hang together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// By CPU: the lowest CPU of its core.
    cores: BTreeMap<usize, usize>,
    /// By CPU: its NUMA node.
    nodes: BTreeMap<usize, usize>,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Name of its interface.
    pub name: String,
    /// The NUMA node that it hangs on.
    pub node: usize,
}

impl Topology {
    /// That of this machine.
    pub fn read() -> Self {
        Self::under(Path::new("/"))
    }

    /// That of the machine whose `/sys` lies under `root`.
    pub fn under(root: &Path) -> Self {
        let cpus = list(root, "sys/devices/system/cpu/online").unwrap_or_default();
        let core = |cpu: usize| {
            let path = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            Some((cpu, list(root, &path)?.into_iter().min()?))
        };
        let cores = cpus.into_iter().filter_map(core).collect();
        let mut nodes = BTreeMap::new();
        for node in list(root, "sys/devices/system/node/online").unwrap_or_default() {
            let cpus = list(root, &format!("sys/devices/system/node/node{node}/cpulist"));
            nodes.extend(cpus.unwrap_or_default().into_iter().map(|cpu| (cpu, node)));
        }
        Self { cores, nodes }
    }

    /// The core of a CPU, named by the lowest CPU on it.
    pub fn core(&self, cpu: usize) -> usize {
        self.cores.get(&cpu).copied().unwrap_or(cpu)
    }

    /// The NUMA node of a CPU, where known.
    pub fn node(&self, cpu: usize) -> Option<usize> {
        self.nodes.get(&cpu).copied()
    }

    /// Number of NUMA nodes with a CPU among these.
    pub fn nodes_of(&self, cpus: &[usize]) -> usize {
        let nodes = cpus.iter().filter_map(|&cpu| self.node(cpu));
        nodes.collect::<std::collections::BTreeSet<_>>().len()
    }
}

impl Nic {
    /// The card through which packets to `to` leave this machine; `None` where there is none
    /// (loopback, a virtual interface) or the kernel does not say where it hangs.
    pub fn towards(to: IpAddr) -> Option<Self> {
        Self::under(Path::new("/"), to)
    }

    /// The same on the machine whose `/proc` and `/sys` lie under `root`.
    pub fn under(root: &Path, to: IpAddr) -> Option<Self> {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        let name = match to.to_canonical() {
            to if to.is_loopback() => return None,
            IpAddr::V4(to) => route_v4(&text("proc/net/route")?, to)?,
            IpAddr::V6(to) => route_v6(&text("proc/net/ipv6_route")?, to)?,
        };
        // -1 where the machine has one node, or the card tells none.
        let node = text(&format!("sys/class/net/{name}/device/numa_node"))?.trim().parse().ok()?;
        Some(Self { name, node })
    }
}

/// A file with a list of numbers, as the kernel writes them.
fn list(root: &Path, path: &str) -> Option<Vec<usize>> {
    cpu_list(fs::read_to_string(root.join(path)).ok()?.trim())
}

/// The interface of the longest route to `to` in `/proc/net/route`, with the least metric.
fn route_v4(table: &str, to: Ipv4Addr) -> Option<String> {
    let route = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // The kernel prints these in the machine's byte order.
        let address = |field: &str| Some(u32::from_str_radix(field, 16).ok()?.to_ne_bytes());
        let destination = u32::from_be_bytes(address(fields.get(1)?)?);
        let mask = u32::from_be_bytes(address(fields.get(7)?)?);
        let metric: u32 = fields.get(6)?.parse().ok()?;
        let hit = u32::from(to) & mask == destination;
        hit.then(|| ((mask.leading_ones(), !metric), fields[0].to_owned()))
    };
    table.lines().filter_map(route).max_by_key(|(rank, _)| *rank).map(|(_, name)| name)
}

/// The same in `/proc/net/ipv6_route`, which lists loopback and rejected routes, too.
fn route_v6(table: &str, to: Ipv6Addr) -> Option<String> {
    let route = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let destination = u128::from_str_radix(fields.first()?, 16).ok()?;
        let length = u32::from_str_radix(fields.get(1)?, 16).ok()?;
        let metric = u32::from_str_radix(fields.get(5)?, 16).ok()?;
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        let name = *fields.get(9)?;
        let hit = u128::from(to) & mask == destination && name != "lo";
        hit.then(|| ((length, !metric), name.to_owned()))
    };
    table.lines().filter_map(route).max_by_key(|(rank, _)| *rank).map(|(_, name)| name)
}

#[cfg(test)]
pub(super) mod fixtures {
    //! `/sys` and `/proc` of machines that exist, as far as they are read here.

    use std::path::Path;

    use tempfile::TempDir;

    use super::Topology;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, format!("{text}\n")).expect("writable");
    }

    /// A machine of these cores, each with its CPUs as the kernel lists them, on these nodes.
    fn machine(online: &str, cores: &[&str], nodes: &[&str]) -> TempDir {
        let root = tempfile::tempdir().expect("a folder");
        put(root.path(), "sys/devices/system/cpu/online", online);
        for siblings in cores {
            for cpu in super::cpu_list(siblings).expect("a list") {
                let topology = format!("sys/devices/system/cpu/cpu{cpu}/topology");
                put(root.path(), &format!("{topology}/thread_siblings_list"), siblings);
            }
        }
        put(root.path(), "sys/devices/system/node/online", &format!("0-{}", nodes.len() - 1));
        for (node, cpus) in nodes.iter().enumerate() {
            put(root.path(), &format!("sys/devices/system/node/node{node}/cpulist"), cpus);
        }
        root
    }

    /// A cloud's 2-vCPU machine that shows its CPUs as cores.
    pub(crate) fn vm() -> Topology {
        Topology::under(machine("0-1", &["0", "1"], &["0-1"]).path())
    }

    /// A cloud's 2-vCPU machine whose CPUs are the two threads of one core.
    pub(crate) fn vm_of_one_core() -> Topology {
        Topology::under(machine("0-1", &["0-1"], &["0-1"]).path())
    }

    /// A desktop: 8 cores, 16 threads, siblings 8 apart.
    pub(crate) fn desktop() -> Topology {
        let cores: Vec<_> = (0..8).map(|core| format!("{core},{}", core + 8)).collect();
        let cores: Vec<&str> = cores.iter().map(String::as_str).collect();
        Topology::under(machine("0-15", &cores, &["0-15"]).path())
    }

    /// A server of two sockets with 32 cores each, 128 threads, siblings 64 apart; its fast card
    /// hangs on the first socket.
    pub(crate) fn server_files() -> TempDir {
        let cores: Vec<_> = (0..64).map(|core| format!("{core},{}", core + 64)).collect();
        let cores: Vec<&str> = cores.iter().map(String::as_str).collect();
        let root = machine("0-127", &cores, &["0-31,64-95", "32-63,96-127"]);
        put(root.path(), "sys/class/net/ens1f0/device/numa_node", "0");
        put(root.path(), "sys/class/net/eno1/device/numa_node", "-1");
        put(root.path(), "proc/net/route", ROUTES);
        put(root.path(), "proc/net/ipv6_route", ROUTES_V6);
        root
    }

    pub(crate) fn server() -> Topology {
        Topology::under(server_files().path())
    }

    /// Default over eno1, 10.20.0.0/16 over ens1f0, 10.20.9.0/24 back over eno1; little-endian.
    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eno1\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
ens1f0\t0000140A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eno1\t0009140A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";

    /// fd00:20::/32 over ens1f0; all else over eno1, and the kernel's own entries for loopback.
    const ROUTES_V6: &str = "\
00000000000000000000000000000001 80 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000000 00000002 00000000 80200001 lo
fd000020000000000000000000000000 20 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001 ens1f0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
fd000000000000000000000000000001 00000400 00000002 00000000 00000003 eno1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo";
}

#[cfg(test)]
mod tests {
    use super::fixtures::*;
    use super::*;

    #[test]
    fn threads_of_one_core_are_known_by_its_lowest_cpu_and_nodes_by_their_lists() {
        let server = server();
        let of = |cpu| (server.core(cpu), server.node(cpu));
        assert_eq!([0, 64, 63, 127].map(of), [(0, 0), (0, 0), (63, 1), (63, 1)].map(known));
        assert_eq!(server.nodes_of(&[1, 2]), 1);
        assert_eq!(server.nodes_of(&[1, 33]), 2);
    }

    fn known((core, node): (usize, usize)) -> (usize, Option<usize>) {
        (core, Some(node))
    }

    #[test]
    fn where_nothing_can_be_read_every_cpu_is_a_core_of_its_own() {
        let hidden = Topology::under(tempfile::tempdir().unwrap().path());
        assert_eq!(hidden, Topology::default());
        assert_eq!((hidden.core(3), hidden.node(3)), (3, None));
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_card_towards_a_node_is_that_of_the_longest_route() {
        let root = server_files();
        let towards = |to: &str| Nic::under(root.path(), to.parse().unwrap());
        let fast = Some(Nic { name: "ens1f0".to_owned(), node: 0 });
        assert_eq!(towards("10.20.3.4"), fast);
        assert_eq!(towards("::ffff:10.20.3.4"), fast, "mapped");
        assert_eq!(towards("fd00:20::7"), fast);
        for elsewhere in ["10.20.9.4", "8.8.8.8", "2001:db8::1"] {
            assert_eq!(towards(elsewhere), None, "{elsewhere}: eno1 tells no node");
        }
        for own in ["127.0.0.1", "::1", "127.9.9.9"] {
            assert_eq!(towards(own), None, "{own}: no card at all");
        }
    }

    #[test]
    fn this_machine_has_a_topology_that_holds_all_its_cpus() {
        let here = Topology::read();
        for cpu in crate::host::cpus::allowed() {
            assert!(here.core(cpu) <= cpu, "{here:?}");
            assert_eq!(here.core(here.core(cpu)), here.core(cpu), "{here:?}");
        }
    }
}
