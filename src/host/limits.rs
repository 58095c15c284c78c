//! Descriptors, local ports, memory and processes: enough for the plan, or an error with the arithmetic.
//!
//! Belongs here: hard stops. Does not: advice about a host that is merely untuned, and what the
//! plan needs, which is passed in.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::cgroup::Cgroups;
use super::process_limits::{MapLimit, OWN_MAPPINGS, hard_limit, kilobytes, map_limit};
use crate::units::{Bytes, Count};

/// Descriptors beside the sockets: standard streams, a ring for each worker, the result file, the
/// cluster's pipes, and what the libraries below us hold for a moment.
pub const OWN_DESCRIPTORS: u64 = 64;

/// The widest range that leaves the privileged ports alone.
const WIDEST_PORTS: u64 = 65_535 - 1_024 + 1;

/// Rings with tables of their own, in which the sockets live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectRings {
    /// All of them, a descriptor each.
    pub rings: u64,
    /// What workers with several rings sleep on, a descriptor each.
    pub bells: u64,
}

impl DirectRings {
    const fn descriptors(self) -> u64 {
        self.rings.saturating_add(self.bells)
    }
}

/// What the plan needs of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceDemand {
    /// All sockets.
    pub sockets: u64,
    /// None where the sockets live in the process's table.
    pub direct_rings: Option<DirectRings>,
    /// Connections of the embedded node that has most of them; none without an embedded cluster.
    pub embedded_busiest: Option<u64>,
    /// Sockets to the node that has most of them.
    pub sockets_to_busiest: u64,
    /// The URL of that node.
    pub busiest: String,
    /// Addresses and ports are dealt by the plan, which has checked them (`plan::local_addrs`).
    pub own_origins: bool,
    /// Memory by purpose, in bytes.
    pub memory: Vec<(&'static str, u64)>,
    /// Processes and threads that are started, those of an embedded cluster among them.
    pub tasks: u64,
}

impl ResourceDemand {
    /// Descriptors of all sockets and of everything else.
    pub fn descriptors(&self) -> u64 {
        let most = self.direct_rings.map_or(self.sockets, DirectRings::descriptors);
        most.saturating_add(OWN_DESCRIPTORS)
    }

    /// What most of the descriptors are, in words.
    pub(crate) fn descriptors_of(&self) -> String {
        let Some(DirectRings { rings, bells }) = self.direct_rings else {
            return format!("{} sockets", Count(self.sockets));
        };
        let tables = format!("{rings} rings with tables of their own for the sockets");
        if bells == 0 { tables } else { format!("{tables} + {bells} eventfds of their workers") }
    }

    /// Open files over the whole host: a direct descriptor is one, too, and so is the far end of a
    /// connection where that is here.
    pub fn files(&self) -> u64 {
        let ends = if self.embedded_busiest.is_some() { 2 } else { 1 };
        let rings = self.direct_rings.map_or(0, DirectRings::descriptors);
        self.sockets.saturating_mul(ends).saturating_add(rings).saturating_add(OWN_DESCRIPTORS)
    }

    /// Memory for all purposes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    fn memory_parts(&self) -> String {
        let part = |(name, bytes): &(&str, u64)| format!("{name} {}", Bytes(*bytes));
        self.memory.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

/// What the host gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// `RLIMIT_NOFILE`, soft; `u64::MAX` without a limit.
    pub nofile: u64,
    /// `fs.file-max` without what is open already; `u64::MAX` where the host does not say.
    pub files_free: u64,
    /// `fs.nr_open`: above it the hard limit cannot be raised even by root.
    pub nr_open: u64,
    /// `net.ipv4.ip_local_port_range`, both ends included.
    pub ports: (u16, u16),
    /// Ports of that range that `net.ipv4.ip_local_reserved_ports` takes away.
    pub reserved_ports: u64,
    /// Memory that can be had without swapping; none if the host does not say.
    pub memory_bytes: Option<u64>,
    /// The limit on mappings that leaves least; none without one.
    pub mappings: Option<MapLimit>,
    /// Processes and threads that control groups let us start; none without a limit.
    pub tasks_free: Option<u64>,
}

/// What there is too little of. One line each, with the figures and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The hard limit is too low.
    #[error(
        "too few file descriptors: the plan needs {} ({of} + {OWN_DESCRIPTORS} of our own), \
         the hard limit is {}: {}{}",
        Count(*.needed), Count(*.limit),
        if .needed > .nr_open { format!("`sudo sysctl -w fs.nr_open={needed}`, then ") }
        else { String::new() },
        raise(*.needed)
    )]
    Descriptors {
        /// What is needed.
        needed: u64,
        /// What most of them are, in words.
        of: String,
        /// The limit, raised as far as it goes.
        limit: u64,
        /// `fs.nr_open`.
        nr_open: u64,
    },
    /// A node of the embedded cluster is a process with the same limit.
    #[error(
        "too few file descriptors for the embedded cluster: its busiest node takes {} connections, \
         and the hard limit of each node is {}: spread them over more with --nodes, or {}",
        Count(*.connections), Count(*.limit), raise(.connections + OWN_DESCRIPTORS)
    )]
    ClusterDescriptors {
        /// Connections to it, from us and from the other nodes.
        connections: u64,
        /// The limit.
        limit: u64,
    },
    /// The whole host opens too few files.
    #[error(
        "too few open files on this host: the plan needs {}, fs.file-max leaves {}: run \
         `sudo sysctl -w fs.file-max={}`",
        Count(*.needed), Count(*.free), .needed.saturating_mul(2)
    )]
    Files {
        /// What is needed.
        needed: u64,
        /// What is left.
        free: u64,
    },
    /// More sockets to one address than local ports.
    #[error(
        "too few local ports: {} sockets go to {node}, but net.ipv4.ip_local_port_range={} {} \
         leaves {}: {}",
        Count(*.sockets), .ports.0, .ports.1, Count(*.available),
        port_remedy(*.sockets, *.available)
    )]
    Ports {
        /// Sockets to the node.
        sockets: u64,
        /// The node.
        node: String,
        /// The range, both ends included.
        ports: (u16, u16),
        /// Ports in it that are not reserved.
        available: u64,
    },
    /// The plan's arrays do not fit.
    #[error(
        "too little memory: the plan needs {} ({parts}), {} are available: lower --messages, \
         --receivers-per-node or --frame-memory",
        Bytes(*.needed), Bytes(*.available)
    )]
    Memory {
        /// What is needed, in bytes.
        needed: u64,
        /// For what.
        parts: String,
        /// What there is, in bytes.
        available: u64,
    },
    /// The process may not map as much.
    #[error(
        "too little memory for this process: the plan needs {} and {} of our own, and of {} \
         ({}) {} are in use: raise the limit, or lower --messages, --receivers-per-node or --frame-memory",
        Bytes(*.needed), Bytes(OWN_MAPPINGS), Bytes(.limit.limit), .limit.name, Bytes(.limit.used)
    )]
    Mappings {
        /// What is needed, in bytes.
        needed: u64,
        /// What there is.
        limit: MapLimit,
    },
    /// A control group counts processes and threads.
    #[error(
        "too few processes: the plan starts {} processes and threads, pids.max of this control group \
         leaves {}: {}",
        Count(*.needed), Count(*.free), more_tasks()
    )]
    Tasks {
        /// What is started.
        needed: u64,
        /// What may be.
        free: u64,
    },
}

/// What lets more of them be started.
pub(crate) const fn more_tasks() -> &'static str {
    "raise docker's --pids-limit, systemd's TasksMax= or Kubernetes' podPidsLimit, or lower --nodes \
     or --cores"
}

fn raise(needed: u64) -> String {
    format!(
        "run `ulimit -n {needed}` as root, or set LimitNOFILE={needed} (systemd) or --ulimit \
         nofile={needed} (docker)"
    )
}

/// Addresses that hold so many sockets to one node with about half of their ports.
fn port_remedy(sockets: u64, available: u64) -> String {
    let wanted = sockets.div_ceil((available / 2).max(1));
    let sources = format!("give --source-ip {} of this host's addresses", Count(wanted));
    if sockets <= WIDEST_PORTS {
        format!("{sources}, or run `sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535'`")
    } else {
        format!("{sources}, or spread the sockets over more nodes")
    }
}

/// Raises the soft limit of descriptors to the hard one, which every process may do for itself.
/// Children inherit it, so the embedded cluster is started afterwards.
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // If it is refused, the old limit stands, and `check` says so where it is too low.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Checks what the plan needs against what the host gives.
///
/// # Errors
/// What there is too little of.
pub fn check(facts: &HostLimits, need: &ResourceDemand) -> Result<(), LimitError> {
    ports(facts, need)?;
    memory(facts, need)?;
    tasks(facts, need.tasks)?;
    files(facts, need)?;
    cluster_descriptors(facts, need)?;
    descriptors(facts, need)
}

/// Open files of the whole host alone.
pub(crate) fn files(facts: &HostLimits, need: &ResourceDemand) -> Result<(), LimitError> {
    let (needed, free) = (need.files(), facts.files_free);
    if needed <= free { Ok(()) } else { Err(LimitError::Files { needed, free }) }
}

/// Descriptors of an embedded node alone.
pub(crate) fn cluster_descriptors(
    facts: &HostLimits,
    need: &ResourceDemand,
) -> Result<(), LimitError> {
    match need.embedded_busiest {
        Some(connections) if connections.saturating_add(OWN_DESCRIPTORS) > facts.nofile => {
            Err(LimitError::ClusterDescriptors { connections, limit: facts.nofile })
        }
        _ => Ok(()),
    }
}

/// Descriptors of our own process alone.
pub(crate) fn descriptors(facts: &HostLimits, need: &ResourceDemand) -> Result<(), LimitError> {
    let needed = need.descriptors();
    if needed <= facts.nofile {
        return Ok(());
    }
    Err(LimitError::Descriptors {
        needed,
        of: need.descriptors_of(),
        limit: facts.nofile,
        nr_open: facts.nr_open,
    })
}

/// Sockets to different nodes share local ports (the kernel looks at both ends of a connection),
/// so the busiest node decides.
pub(crate) fn ports(facts: &HostLimits, need: &ResourceDemand) -> Result<(), LimitError> {
    let available = facts.ports_available();
    if need.own_origins || need.sockets_to_busiest <= available {
        return Ok(());
    }
    Err(LimitError::Ports {
        sockets: need.sockets_to_busiest,
        node: need.busiest.clone(),
        ports: facts.ports,
        available,
    })
}

/// Whether anything can be run at all within the limits on mappings: an allocation that fails aborts.
///
/// # Errors
/// When they are too low.
pub fn mappings(facts: &HostLimits, need: &ResourceDemand) -> Result<(), LimitError> {
    let needed = need.memory_bytes();
    match facts.mappings {
        Some(limit) if needed >= limit.free() => Err(LimitError::Mappings { needed, limit }),
        _ => Ok(()),
    }
}

/// Memory alone.
pub(crate) fn memory(facts: &HostLimits, need: &ResourceDemand) -> Result<(), LimitError> {
    mappings(facts, need)?;
    let needed = need.memory_bytes();
    match facts.memory_bytes {
        Some(available) if needed > available => {
            Err(LimitError::Memory { needed, parts: need.memory_parts(), available })
        }
        _ => Ok(()),
    }
}

/// Processes and threads alone. An embedded cluster is started before all else of a plan is known, and
/// so a run asks for these once more.
///
/// # Errors
/// When fewer may be started.
pub fn tasks(facts: &HostLimits, needed: u64) -> Result<(), LimitError> {
    match facts.tasks_free {
        Some(free) if needed > free => Err(LimitError::Tasks { needed, free }),
        _ => Ok(()),
    }
}

impl HostLimits {
    /// Reads them from this host. What cannot be read is taken at the kernel's default.
    pub fn read() -> Self {
        let nofile = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self { nofile, ..Self::under(Path::new("/")) }
    }

    /// Reads them from the files of the host that lie under `root`.
    pub fn under(root: &Path) -> Self {
        let file = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let ports = port_range(&file("proc/sys/net/ipv4/ip_local_port_range"));
        let ports = ports.unwrap_or((32_768, 60_999));
        let reserved = file("proc/sys/net/ipv4/ip_local_reserved_ports");
        let nofile = hard_limit(&file("proc/self/limits"), "Max open files");
        let groups = Cgroups::under(root);
        Self {
            // The hard limit, as if we had raised the soft one: every process may.
            nofile: nofile.unwrap_or(u64::MAX),
            files_free: files_free(&file("proc/sys/fs/file-nr")).unwrap_or(u64::MAX),
            nr_open: file("proc/sys/fs/nr_open").trim().parse().unwrap_or(1 << 20),
            ports,
            reserved_ports: reserved_within(&reserved, ports),
            memory_bytes: least(
                mem_available(&file("proc/meminfo")),
                groups.memory_free().map(|memory| memory.0),
            ),
            mappings: map_limit(&file("proc/self/limits"), &file("proc/self/status")),
            tasks_free: groups.tasks_free(),
        }
    }

    /// Ports of the range that are not reserved.
    pub const fn ports_available(&self) -> u64 {
        let (low, high) = self.ports;
        let range = (high as u64).saturating_sub(low as u64) + 1;
        range.saturating_sub(self.reserved_ports)
    }
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    [a, b].into_iter().flatten().min()
}

/// `1009\t0\t2466165`: in use, unused, and the most that may be (proc_sys_fs(5)).
fn files_free(text: &str) -> Option<u64> {
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let (used, _, most) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(most.saturating_sub(used))
}

/// `32768 60999`, separated by a tab
fn port_range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// How many ports of `8080,9000-9010` lie in the range.
fn reserved_within(text: &str, (low, high): (u16, u16)) -> u64 {
    let overlap = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first = first.parse::<u16>().ok()?.max(low);
        let last = last.parse::<u16>().ok()?.min(high);
        (first <= last).then(|| u64::from(last - first) + 1)
    };
    text.trim().split(',').filter_map(overlap).sum()
}

/// `MemAvailable:   16316412 kB` (proc_meminfo(5)).
fn mem_available(text: &str) -> Option<u64> {
    kilobytes(text, "MemAvailable:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::process_limits::soft_limit;

    const DEBIAN: HostLimits = HostLimits {
        nofile: 20_000,
        files_free: 2_465_156,
        nr_open: 1_048_576,
        ports: (32_768, 60_999),
        reserved_ports: 0,
        memory_bytes: Some(8 << 30),
        mappings: None,
        tasks_free: None,
    };

    fn need(sockets: u64, sockets_to_busiest: u64) -> ResourceDemand {
        let memory = vec![("frames", 1 << 20), ("ledger", 2 << 20)];
        let busiest = "ws://10.0.0.7:1/".to_owned();
        ResourceDemand {
            sockets,
            direct_rings: None,
            embedded_busiest: None,
            sockets_to_busiest,
            busiest,
            own_origins: false,
            memory,
            tasks: 11,
        }
    }

    fn refusal(facts: &HostLimits, need: &ResourceDemand) -> String {
        check(facts, need).unwrap_err().to_string()
    }

    #[test]
    fn a_plan_that_fits_is_let_through() {
        assert_eq!(check(&DEBIAN, &need(19_936, 960)), Ok(()));
    }

    #[test]
    fn a_hard_limit_in_the_way_is_an_error_with_the_arithmetic_and_the_command() {
        assert_eq!(
            refusal(&DEBIAN, &need(19_937, 3)),
            "too few file descriptors: the plan needs 20 001 (19 937 sockets + 64 of our own), \
             the hard limit is 20 000: run `ulimit -n 20001` as root, or set LimitNOFILE=20001 \
             (systemd) or --ulimit nofile=20001 (docker)"
        );
    }

    #[test]
    fn a_plan_beyond_nr_open_is_told_to_raise_that_first() {
        let text = refusal(&DEBIAN, &need(1_048_576, 3));
        assert!(text.contains("`sudo sysctl -w fs.nr_open=1048640`, then run `ulimit"), "{text}");
    }

    #[test]
    fn sockets_in_the_tables_of_rings_take_no_descriptors_of_the_process() {
        let rings = DirectRings { rings: 11, bells: 1 };
        let direct = ResourceDemand { direct_rings: Some(rings), ..need(200_005, 3) };
        assert_eq!(check(&DEBIAN, &direct), Ok(()));
        let few = HostLimits { files_free: 150_000, ..DEBIAN };
        let text = refusal(&few, &direct);
        assert!(text.contains("needs 200 081, fs.file-max leaves 150 000"), "{text}");
        let both_ends = ResourceDemand { embedded_busiest: Some(3), ..direct };
        assert!(refusal(&few, &both_ends).contains("needs 400 086"), "the far end is here, too");
    }

    #[test]
    fn rings_and_the_bells_of_their_workers_are_descriptors_themselves() {
        let of = |rings, bells| ResourceDemand {
            direct_rings: Some(DirectRings { rings, bells }),
            ..need(1_000_000, 3)
        };
        let small = HostLimits { nofile: 100, ..DEBIAN };
        assert_eq!(check(&small, &of(33, 3)), Ok(()));
        let text = refusal(&small, &of(33, 4));
        let arithmetic = "needs 101 (33 rings with tables of their own for the sockets + 4 eventfds of \
                          their workers + 64 of our own), the hard limit is 100";
        assert!(text.contains(arithmetic), "{text}");
        let text = refusal(&small, &of(37, 0));
        assert!(text.contains("needs 101 (37 rings with tables of their own for the sockets + 64"));
    }

    #[test]
    fn a_node_of_the_embedded_cluster_has_the_same_limit_as_we() {
        let of = |busiest| ResourceDemand { embedded_busiest: Some(busiest), ..need(10, 3) };
        assert_eq!(check(&DEBIAN, &of(19_936)), Ok(()));
        let text = refusal(&DEBIAN, &of(19_937));
        assert!(text.contains("takes 19 937 connections") && text.contains("--nodes"), "{text}");
    }

    #[test]
    fn ports_are_counted_per_node_not_over_all_sockets() {
        let facts = HostLimits { nofile: 1_000_000, ..DEBIAN };
        assert_eq!(check(&facts, &need(84_696, 28_232)), Ok(()));
        assert_eq!(
            refusal(&facts, &need(28_233, 28_233)),
            "too few local ports: 28 233 sockets go to ws://10.0.0.7:1/, but \
             net.ipv4.ip_local_port_range=32768 60999 leaves 28 232: give --source-ip 3 of this \
             host's addresses, or run `sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535'`"
        );
        let wide = HostLimits { ports: (1_024, 65_535), ..facts };
        assert_eq!(check(&wide, &need(64_512, 64_512)), Ok(()));
        let text = refusal(&wide, &need(64_513, 64_513));
        assert!(text.contains("give --source-ip 3 of"), "{text}");
        assert!(text.contains("spread the sockets over more nodes"), "{text}");
        let own_origins = ResourceDemand { own_origins: true, ..need(84_696, 84_696) };
        assert_eq!(check(&facts, &own_origins), Ok(()), "the plan has counted its addresses");
    }

    #[test]
    fn reserved_ports_are_not_available() {
        let facts = HostLimits { nofile: 1_000_000, reserved_ports: 2, ..DEBIAN };
        assert!(refusal(&facts, &need(28_231, 28_231)).contains("leaves 28 230"));
        let range = (32_768, 60_999);
        assert_eq!(reserved_within("\n", range), 0);
        assert_eq!(reserved_within("8080,32768,40000-40009,60990-65000\n", range), 1 + 10 + 10);
    }

    #[test]
    fn of_the_limits_on_mappings_the_one_that_leaves_least_is_named() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max data size             209715200            unlimited            bytes     \n\
                      Max address space         209715200            unlimited            bytes     \n";
        let status = "VmSize:\t  102400 kB\nVmData:\t    1024 kB\n";
        let mappings = map_limit(limits, status);
        let limit = MapLimit { name: "ulimit -v, RLIMIT_AS", limit: 200 << 20, used: 100 << 20 };
        assert_eq!(mappings, Some(limit));
        assert_eq!(map_limit(&limits.replace("209715200", "unlimited"), status), None);
        let facts = HostLimits { mappings, ..DEBIAN };
        let need = |bytes| ResourceDemand { memory: vec![("frames", bytes)], ..need(6, 6) };
        assert_eq!(check(&facts, &need((68 << 20) - 1)), Ok(()));
        let text = refusal(&facts, &need(68 << 20));
        assert!(text.contains("of 200 MiB (ulimit -v, RLIMIT_AS) 100 MiB are in use"), "{text}");
    }

    #[test]
    fn a_plan_that_does_not_fit_into_memory_says_what_takes_it() {
        let facts = HostLimits { memory_bytes: Some((3 << 20) - 1), ..DEBIAN };
        assert_eq!(
            refusal(&facts, &need(6, 6)),
            "too little memory: the plan needs 3.00 MiB (frames 1.00 MiB, ledger 2.00 MiB), \
             3.00 MiB are available: lower --messages, --receivers-per-node or --frame-memory"
        );
        let silent = HostLimits { memory_bytes: None, ..DEBIAN };
        assert_eq!(check(&silent, &need(6, 6)), Ok(()));
    }

    #[test]
    fn a_plan_that_starts_more_than_its_control_group_lets_it_is_refused_before_it_does() {
        let facts = |free| HostLimits { tasks_free: Some(free), ..DEBIAN };
        assert_eq!(check(&facts(11), &need(6, 6)), Ok(()));
        assert_eq!(
            refusal(&facts(10), &need(6, 6)),
            "too few processes: the plan starts 11 processes and threads, pids.max of this control \
             group leaves 10: raise docker's --pids-limit, systemd's TasksMax= or Kubernetes' \
             podPidsLimit, or lower --nodes or --cores"
        );
    }

    #[test]
    fn proc_files_are_read_as_the_kernel_writes_them() {
        assert_eq!(port_range("32768\t60999\n"), Some((32_768, 60_999)));
        assert_eq!(port_range(""), None);
        assert_eq!(files_free("1009\t0\t2466165\n"), Some(2_465_156));
        let meminfo = "MemTotal:       24629124 kB\nMemAvailable:   16316412 kB\n";
        assert_eq!(mem_available(meminfo), Some(16_316_412 * 1_024));
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  unlimited  files\n";
        assert_eq!(soft_limit(limits, "Max open files"), Some(1_024));
        assert_eq!(hard_limit(limits, "Max open files"), Some(u64::MAX));
        assert_eq!(hard_limit(limits, "Max locked memory"), None);
    }

    #[test]
    fn this_host_can_open_the_sockets_of_the_default_plan_once_the_limit_is_raised() {
        raise_descriptors();
        assert_eq!(check(&HostLimits::read(), &need(6, 4)), Ok(()));
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
