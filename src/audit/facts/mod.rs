//! What this host is set to, read from files under a root: the machine's own, or a recorded one.
//!
//! Belongs here: reading, and nothing but reading. What cannot be read (an old kernel, a network
//! namespace, a container that hides it) is `None`, never a guess. Does not: what follows from it
//! (`rules`). Limits that stop a run are `host::limits`' own facts, taken over as they are.

mod files;
mod nics;
mod offloads;
mod sysctl_files;

use std::path::Path;

use self::files::Files;
pub use self::nics::Nic;
pub use self::offloads::Offloads;
pub use self::sysctl_files::Setting;
use crate::audit::finding::Within;
use crate::host::facts::HostFacts;
use crate::host::io_uring;
use crate::host::io_uring::Refusal;
use crate::host::{limits, process_limits};

/// `CAP_SYS_ADMIN` (linux/capability.h): io_uring_disabled=1 and `fs.file-max` do not bind it.
const CAP_SYS_ADMIN: u32 = 21;

/// Everything that a rule may look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Descriptors, ports, memory.
    pub limits: limits::HostLimits,
    /// Kernel, CPUs, control group, clock source, governor.
    pub host: HostFacts,
    /// `net.ipv4.ip_local_reserved_ports`, first and last of each range.
    pub reserved_ports: Vec<(u16, u16)>,
    /// Open files of the whole system, `fs.file-nr`, first figure.
    pub files_open: Option<u64>,
    /// This process has `CAP_SYS_ADMIN`.
    pub is_admin: bool,
    /// `net.ipv4.tcp_*`.
    pub tcp: Tcp,
    /// Accept queues and packet queues.
    pub queues: Queues,
    /// Connection tracking; absent where it is not loaded.
    pub conntrack: Option<Conntrack>,
    /// io_uring, and who may use it.
    pub uring: Uring,
    /// The processors.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Network cards, without loopback and virtual devices.
    pub nics: Vec<Nic>,
    /// What the files of sysctl.d set, in the order in which they are applied.
    pub settings: Vec<Setting>,
}

/// `net.ipv4.tcp_*`. Sizes are in bytes, `mem` in pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// `tcp_mem`: low, pressure, high, in pages; absent in a network namespace.
    pub mem_pages: Option<[u64; 3]>,
    /// `tcp_rmem`: least, first, most.
    pub rmem: Option<[u64; 3]>,
    /// `tcp_wmem`.
    pub wmem: Option<[u64; 3]>,
    /// `tcp_moderate_rcvbuf`: receive buffers grow by themselves.
    pub moderate_rcvbuf: Option<u64>,
    /// `tcp_window_scaling`.
    pub window_scaling: Option<u64>,
    /// `tcp_timestamps`.
    pub timestamps: Option<u64>,
    /// `tcp_tw_reuse`: 0 never, 1 always, 2 on loopback.
    pub tw_reuse: Option<u64>,
    /// `tcp_max_tw_buckets`.
    pub max_tw_buckets: Option<u64>,
    /// Connections in TIME_WAIT now (/proc/net/sockstat).
    pub time_wait: Option<u64>,
    /// `tcp_fin_timeout`, seconds.
    pub fin_timeout_s: Option<u64>,
    /// `tcp_notsent_lowat`.
    pub notsent_lowat: Option<u64>,
    /// `tcp_slow_start_after_idle`.
    pub slow_start_after_idle: Option<u64>,
    /// `tcp_congestion_control`.
    pub congestion: Option<String>,
    /// `net.core.default_qdisc`.
    pub qdisc: Option<String>,
    /// `tcp_low_latency`.
    pub low_latency: Option<u64>,
}

/// `net.core.*`, and the queue of half-open connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// `net.core.somaxconn`.
    pub somaxconn: Option<u64>,
    /// `net.ipv4.tcp_max_syn_backlog`.
    pub syn_backlog: Option<u64>,
    /// `net.ipv4.tcp_syncookies`.
    pub syncookies: Option<u64>,
    /// `net.core.netdev_max_backlog`, packets.
    pub netdev_backlog: Option<u64>,
    /// `net.core.netdev_budget`, packets.
    pub netdev_budget: Option<u64>,
    /// `net.core.busy_poll`, microseconds.
    pub busy_poll_us: Option<u64>,
    /// `net.core.busy_read`, microseconds.
    pub busy_read_us: Option<u64>,
}

/// `net.netfilter.nf_conntrack_*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// Tracked now.
    pub count: u64,
    /// The most that are tracked.
    pub max: u64,
    /// Places of the hash table.
    pub buckets: Option<u64>,
}

/// Who may use io_uring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uring {
    /// The sysctl and the release.
    pub kernel: io_uring::Facts,
    /// `kernel.io_uring_group`; -1 is nobody.
    pub group: Option<i64>,
    /// Groups of this process.
    pub groups: Vec<i64>,
    /// `Seccomp:` of /proc/self/status: 2 is a filter.
    pub seccomp: Option<u64>,
    /// What came of making a ring, where that was tried.
    pub attempt: Option<Result<(), Refusal>>,
}

/// The processors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Threads that share a core, each list sorted; cores with one thread are left out.
    pub siblings: Vec<Vec<usize>>,
    /// NUMA nodes.
    pub numa_nodes: Option<usize>,
    /// `kernel.numa_balancing`.
    pub numa_balancing: Option<u64>,
    /// `kernel.sched_autogroup_enabled`.
    pub autogroup: Option<u64>,
    /// Share of all time since the start that the hypervisor took.
    pub steal: Option<f64>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Swap, in bytes.
    pub swap_bytes: Option<u64>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// `vm.max_map_count`.
    pub max_map_count: Option<u64>,
    /// `RLIMIT_MEMLOCK`, soft; `u64::MAX` without a limit.
    pub memlock_bytes: Option<u64>,
}

impl Facts {
    /// The facts of this machine. Whether a ring can be made is for the caller to try.
    pub fn read() -> Self {
        let limits = limits::HostLimits::read();
        let mut facts = Self { limits, ..Self::under(Path::new("/")) };
        for nic in &mut facts.nics {
            nic.offloads = offloads::of_device(&nic.name);
        }
        facts
    }

    /// The facts of the machine whose `/proc`, `/sys` and `/etc` lie under `root`.
    pub fn under(root: &Path) -> Self {
        let files = Files::under(root);
        let host = HostFacts::under(root);
        Self {
            limits: limits::HostLimits::under(root),
            reserved_ports: reserved_ports(&files),
            files_open: files.sysctl_numbers::<3>("fs/file-nr").map(|[open, ..]| open),
            is_admin: is_admin(&files).unwrap_or(false),
            tcp: tcp(&files),
            queues: queues(&files),
            conntrack: conntrack(&files),
            uring: uring(&files, host.kernel.clone().unwrap_or_default()),
            cpu: cpu(&files),
            memory: memory(&files),
            nics: nics::read(&files),
            settings: sysctl_files::read(&files),
            host,
        }
    }
}

/// `8080,9000-9010`.
fn reserved_ports(files: &Files<'_>) -> Vec<(u16, u16)> {
    let text = files.text("proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}

fn tcp(files: &Files<'_>) -> Tcp {
    let number = |name: &str| files.sysctl(&format!("net/ipv4/{name}"));
    let triple = |name: &str| files.sysctl_numbers(&format!("net/ipv4/{name}"));
    Tcp {
        mem_pages: triple("tcp_mem"),
        rmem: triple("tcp_rmem"),
        wmem: triple("tcp_wmem"),
        moderate_rcvbuf: number("tcp_moderate_rcvbuf"),
        window_scaling: number("tcp_window_scaling"),
        timestamps: number("tcp_timestamps"),
        tw_reuse: number("tcp_tw_reuse"),
        max_tw_buckets: number("tcp_max_tw_buckets"),
        time_wait: files.text("proc/net/sockstat").and_then(|text| time_wait(&text)),
        fin_timeout_s: number("tcp_fin_timeout"),
        notsent_lowat: number("tcp_notsent_lowat"),
        slow_start_after_idle: number("tcp_slow_start_after_idle"),
        congestion: files.text("proc/sys/net/ipv4/tcp_congestion_control"),
        qdisc: files.text("proc/sys/net/core/default_qdisc"),
        low_latency: number("tcp_low_latency"),
    }
}

fn queues(files: &Files<'_>) -> Queues {
    let core = |name: &str| files.sysctl(&format!("net/core/{name}"));
    Queues {
        somaxconn: core("somaxconn"),
        syn_backlog: files.sysctl("net/ipv4/tcp_max_syn_backlog"),
        syncookies: files.sysctl("net/ipv4/tcp_syncookies"),
        netdev_backlog: core("netdev_max_backlog"),
        netdev_budget: core("netdev_budget"),
        busy_poll_us: core("busy_poll"),
        busy_read_us: core("busy_read"),
    }
}

fn conntrack(files: &Files<'_>) -> Option<Conntrack> {
    Some(Conntrack {
        count: files.sysctl("net/netfilter/nf_conntrack_count")?,
        max: files.sysctl("net/netfilter/nf_conntrack_max")?,
        buckets: files.sysctl("net/netfilter/nf_conntrack_buckets"),
    })
}

fn uring(files: &Files<'_>, release: String) -> Uring {
    let disabled = files.sysctl::<u8>("kernel/io_uring_disabled");
    let groups = files.status("Groups").unwrap_or_default();
    let gid = files.status("Gid").unwrap_or_default();
    let groups = groups.split_whitespace().chain(gid.split_whitespace());
    Uring {
        kernel: io_uring::Facts { disabled, release },
        group: files.sysctl("kernel/io_uring_group"),
        groups: groups.filter_map(|group| group.parse().ok()).collect(),
        seccomp: files.status("Seccomp").and_then(|mode| mode.parse().ok()),
        attempt: None,
    }
}

impl Facts {
    /// Where a remedy is to work.
    pub fn within(&self) -> Within {
        let Some(container) = self.host.container.as_deref() else { return Within::Host };
        let runtime = ["docker", "podman"].into_iter().find(|name| *name == container);
        // This one is never shown in a network of one's own.
        Within::Container { runtime, own_network: self.queues.netdev_backlog.is_none() }
    }

    /// Who withholds io_uring: as an attempt has shown, or as the files let one expect.
    pub fn uring_refusal(&self) -> Option<Refusal> {
        match &self.uring.attempt {
            Some(attempt) => attempt.clone().err(),
            None => self.expected_refusal(),
        }
    }

    fn expected_refusal(&self) -> Option<Refusal> {
        let Uring { kernel, group, groups, seccomp, .. } = &self.uring;
        let member = group.is_some_and(|group| groups.contains(&group));
        match (kernel.disabled, seccomp) {
            (Some(1), _) if !self.is_admin && !member => Some(Refusal::Sysctl { value: 1 }),
            (Some(value @ 2..), _) => Some(Refusal::Sysctl { value }),
            // A filter need not name io_uring, but the profiles of container runtimes do.
            (_, Some(2)) => Some(Refusal::Seccomp),
            _ if kernel.is_old() => Some(Refusal::TooOld { release: kernel.release.clone() }),
            _ => None,
        }
    }
}

fn is_admin(files: &Files<'_>) -> Option<bool> {
    let effective = u64::from_str_radix(&files.status("CapEff")?, 16).ok()?;
    Some(effective >> CAP_SYS_ADMIN & 1 == 1)
}

fn cpu(files: &Files<'_>) -> Cpu {
    Cpu {
        siblings: siblings(files),
        numa_nodes: files.list("sys/devices/system/node/online").map(|nodes| nodes.len()),
        numa_balancing: files.sysctl("kernel/numa_balancing"),
        autogroup: files.sysctl("kernel/sched_autogroup_enabled"),
        steal: files.text("proc/stat").and_then(|text| steal(&text)),
    }
}

fn siblings(files: &Files<'_>) -> Vec<Vec<usize>> {
    let online = files.list("sys/devices/system/cpu/online").unwrap_or_default();
    let of = |cpu: &usize| {
        let path = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        // Each core is told by its first thread.
        files.list(&path).filter(|threads| threads.len() > 1 && threads.first() == Some(cpu))
    };
    online.iter().filter_map(of).collect()
}

/// user nice system idle iowait irq softirq steal, in ticks since the start.
fn steal(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> =
        line.split_whitespace().take(8).map_while(|tick| tick.parse().ok()).collect();
    let total: u64 = ticks.iter().sum();
    (ticks.len() == 8 && total > 0).then(|| ticks[7] as f64 / total as f64)
}

fn memory(files: &Files<'_>) -> Memory {
    let swap_kib = files.text("proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("SwapTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    Memory {
        swap_bytes: swap_kib.map(|kib| kib << 10),
        huge_pages: files.chosen("sys/kernel/mm/transparent_hugepage/enabled"),
        max_map_count: files.sysctl("vm/max_map_count"),
        memlock_bytes: files
            .text("proc/self/limits")
            .and_then(|text| process_limits::soft_limit(&text, "Max locked memory")),
    }
}

/// `TCP: inuse 5 orphan 0 tw 12 alloc 7 mem 1` (/proc/net/sockstat).
fn time_wait(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace();
    words.find(|word| *word == "tw")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::audit::facts::*;

    #[test]
    fn lines_are_read_as_the_kernel_writes_them() {
        let sockstat = "sockets: used 8\nTCP: inuse 1 orphan 0 tw 12 alloc 2 mem 1\nUDP: inuse 0\n";
        assert_eq!(time_wait(sockstat), Some(12));
        assert_eq!(time_wait("TCP6: inuse 1\n"), None);
        assert_eq!(steal("cpu  40 0 10 40 0 0 0 10 0 0\ncpu0 1 1 1 1 1 1 1 1\n"), Some(0.1));
        assert_eq!(steal("cpu  1 2\n"), None);
    }

    #[test]
    fn this_machine_shows_what_every_linux_shows() {
        let facts = Facts::read();
        assert!(facts.files_open.is_some());
        assert!(facts.tcp.rmem.is_some() && facts.queues.somaxconn.is_some());
        assert_eq!(facts.uring.attempt, None, "reading tries nothing");
    }
}
