//! What the machine is, and what it does to us while a trial runs.
//!
//! Belongs here: reading `/proc` and `/sys`, tolerant of whatever a container hides or an old kernel
//! lacks: what cannot be read is `None`, never an error and never zero. Does not: what follows from
//! it (`verdict`), limits that stop a run (`host::limits`).
//!
//! Every parser is a pure function over a file's text, tested on texts of real hosts.

use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup::Cgroups;
pub use super::cgroup::Throttle;
use super::clock;
use crate::units::{Bytes, Nanos};

/// What the names of worker threads begin with.
pub const WORKER_THREADS: &str = "worker-";

/// What the machine is. Read once, before the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFacts {
    /// Kernel release: `6.18.44`.
    pub kernel: Option<String>,
    /// CPU model, as the kernel names it.
    pub cpu_model: Option<String>,
    /// CPUs that are online.
    pub cpus_online: Option<usize>,
    /// CPUs that this process may use.
    pub cpus_allowed: Option<Vec<usize>>,
    /// A hypervisor lies under us: it may take CPU time away (steal).
    pub virtual_machine: Option<bool>,
    /// Physical memory.
    pub memory: Option<Bytes>,
    /// CPUs' worth of time that the cgroup grants; `None` without a limit.
    pub cgroup_cpus: Option<f64>,
    /// Memory that the cgroup grants; `None` without a limit.
    pub cgroup_memory: Option<Bytes>,
    /// Clock source of the kernel; anything but `tsc` makes each clock read a system call or slower.
    pub clocksource: Option<String>,
    /// Frequency governor of the first CPU; absent in most virtual machines.
    pub governor: Option<String>,
    /// What kind of container we seem to be in.
    pub container: Option<String>,
}

/// Counters of the kernel at one moment. Two of them make a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCounters {
    /// CPU time of all CPUs together.
    pub cpu_all: Option<CpuTicks>,
    /// CPU time of each online CPU, by number.
    pub cpu_each: Vec<(usize, CpuTicks)>,
    /// What the cgroup's CPU quota took from us.
    pub throttle: Option<Throttle>,
    /// Of all our threads.
    pub sched: Option<SchedTime>,
    /// CPU time of this process; none of a recorded host.
    pub process_cpu: Option<Nanos>,
    /// The counters of `/proc/net/netstat` that [`TCP_DROPS`] lists, in its order.
    pub tcp_drops: Option<[u64; TCP_DROPS.len()]>,
    /// TCP holds more pages than the middle figure of `net.ipv4.tcp_mem`. The counter of pressure
    /// tells only when that begins.
    pub tcp_pressed: Option<bool>,
    /// Packets that found the CPU's backlog full (`/proc/net/softnet_stat`).
    pub softnet_dropped: Option<u64>,
}

/// Counters of `TcpExt` in `/proc/net/netstat` that mean that the kernel refused, dropped or
/// discarded. Connections refused at the listener come first.
pub const TCP_DROPS: [&str; 8] = [
    "ListenOverflows",
    "ListenDrops",
    "TCPReqQFullDrop",
    "TCPRcvQDrop",
    "TCPBacklogDrop",
    "PruneCalled",
    "RcvPruned",
    "TCPMemoryPressures",
];
/// So many of [`TCP_DROPS`] happen at the listener.
pub const TCP_DROPS_LISTEN: usize = 3;
/// The one that counts the memory of all sockets together. The others between happen where the receive
/// buffer of one socket is full, too: `tcp_prune_queue` (net/ipv4/tcp_input.c) is called for either.
pub const TCP_MEMORY_PRESSURES: usize = 7;

/// CPU time in clock ticks, of whatever length: only ratios of them mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTicks {
    /// Time that the hypervisor gave to others while we wanted to run.
    pub steal: u64,
    /// All time, idle included.
    pub total: u64,
}

/// What the scheduler did with our threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedTime {
    /// Time on a CPU.
    pub running: Nanos,
    /// Time ready to run, waiting for a CPU.
    pub waiting: Nanos,
}

impl HostFacts {
    /// The facts of this machine.
    pub fn read() -> Self {
        Self::under(Path::new("/"))
    }

    /// The facts of the machine whose `/proc` and `/sys` lie under `root`.
    pub fn under(root: &Path) -> Self {
        let text = |path: &str| text(root, path);
        let cpuinfo = text("proc/cpuinfo");
        let cpus_allowed = text("proc/self/status").and_then(|t| cpus_allowed(&t));
        let first_cpu = cpus_allowed.as_ref().and_then(|cpus| cpus.first()).unwrap_or(&0);
        let governor = format!("sys/devices/system/cpu/cpu{first_cpu}/cpufreq/scaling_governor");
        let cgroups = Cgroups::under(root);
        Self {
            kernel: text("proc/sys/kernel/osrelease").map(trimmed),
            cpu_model: cpuinfo.as_deref().and_then(cpu_model),
            cpus_online: text("sys/devices/system/cpu/online")
                .and_then(|t| cpu_list(t.trim()))
                .map(|cpus| cpus.len()),
            virtual_machine: cpuinfo.as_deref().and_then(virtual_machine),
            memory: text("proc/meminfo").and_then(|t| memory_total(&t)),
            cgroup_cpus: cgroups.cpu_quota(),
            cgroup_memory: cgroups.memory_limit(),
            clocksource: text("sys/devices/system/clocksource/clocksource0/current_clocksource")
                .map(trimmed),
            governor: text(&governor).map(trimmed),
            container: container(root),
            cpus_allowed,
        }
    }
}

impl HostCounters {
    /// The counters of this machine, now.
    pub fn read() -> Self {
        let process_cpu = Some(clock::process_cpu_time());
        Self { process_cpu, ..Self::under(Path::new("/")) }
    }

    /// The counters of the machine whose `/proc` and `/sys` lie under `root`.
    pub fn under(root: &Path) -> Self {
        let (cpu_all, cpu_each) =
            text(root, "proc/stat").map(|t| cpu_ticks(&t)).unwrap_or_default();
        Self {
            cpu_all,
            cpu_each,
            throttle: Cgroups::under(root).throttle(),
            sched: sched_time_of_workers(root),
            process_cpu: None,
            tcp_drops: text(root, "proc/net/netstat").and_then(|t| tcp_drops(&t)),
            tcp_pressed: text(root, "proc/net/sockstat")
                .zip(text(root, "proc/sys/net/ipv4/tcp_mem"))
                .and_then(|(sockstat, tcp_mem)| tcp_pressed(&sockstat, &tcp_mem)),
            softnet_dropped: text(root, "proc/net/softnet_stat").and_then(|t| softnet_dropped(&t)),
        }
    }
}

fn text(root: &Path, path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(root.join(path)).ok()
}

fn trimmed(text: String) -> String {
    text.trim().to_owned()
}

/// The value of `key : value`, as in `/proc/cpuinfo`, at its first occurrence.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(name, _)| *name == key)
        .map(|f| f.1)
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    // ARM kernels give numbers only, and some boards a `Model`.
    ["model name", "Model", "cpu model"]
        .iter()
        .find_map(|key| field(cpuinfo, key))
        .map(str::to_owned)
}

fn virtual_machine(cpuinfo: &str) -> Option<bool> {
    // x86 alone says so here; elsewhere nothing follows from its absence.
    let flags = field(cpuinfo, "flags")?;
    Some(flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

fn memory_total(meminfo: &str) -> Option<Bytes> {
    let kib = field(meminfo, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes::from_kib(kib))
}

fn cpus_allowed(status: &str) -> Option<Vec<usize>> {
    cpu_list(field(status, "Cpus_allowed_list")?)
}

/// `0-3,8`, the kernel's list format.
pub(super) fn cpu_list(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.trim().parse().ok()?..=last.trim().parse::<usize>().ok()?);
    }
    Some(cpus)
}

/// A guess for the reader of a report, no more.
fn container(root: &Path) -> Option<String> {
    if let Some(name) = text(root, "run/systemd/container") {
        return Some(trimmed(name));
    }
    let marks = [(".dockerenv", "docker"), ("run/.containerenv", "podman")];
    if let Some((_, name)) = marks.iter().find(|(path, _)| root.join(path).exists()) {
        return Some((*name).to_owned());
    }
    let cgroup = text(root, "proc/1/cgroup")?;
    let names = ["kubepods", "docker", "containerd", "lxc"];
    names.iter().find(|name| cgroup.contains(**name)).map(|name| (*name).to_owned())
}

/// `/proc/stat`: all CPUs together, and each.
fn cpu_ticks(stat: &str) -> (Option<CpuTicks>, Vec<(usize, CpuTicks)>) {
    let (mut all, mut each) = (None, Vec::new());
    for line in stat.lines() {
        let Some((name, ticks)) = line.split_once(' ') else {
            continue;
        };
        let Some(number) = name.strip_prefix("cpu") else {
            continue;
        };
        let Some(ticks) = ticks_of_line(ticks) else {
            continue;
        };
        match number.parse() {
            Ok(number) => each.push((number, ticks)),
            Err(_) => all = Some(ticks),
        }
    }
    (all, each)
}

/// user nice system idle iowait irq softirq steal [guest guest_nice]. Guest time is in user time.
fn ticks_of_line(line: &str) -> Option<CpuTicks> {
    let ticks: Option<Vec<u64>> =
        line.split_whitespace().take(8).map(|tick| tick.parse().ok()).collect();
    let ticks = ticks.filter(|ticks| ticks.len() == 8)?;
    Some(CpuTicks { steal: ticks[7], total: ticks.iter().sum() })
}

/// What each worker's thread has run on a CPU, by worker; as many as there are.
pub fn cpu_times_of_workers() -> Vec<Nanos> {
    let mut times: Vec<_> = worker_threads(Path::new("/"))
        .filter_map(|(worker, thread)| Some((worker, sched_time(&text(&thread, "schedstat")?)?)))
        .collect();
    times.sort_by_key(|(worker, _)| *worker);
    times.into_iter().map(|(_, time)| time.running).collect()
}

/// The workers' threads, in no order, with their numbers.
fn worker_threads(root: &Path) -> impl Iterator<Item = (usize, PathBuf)> {
    let threads = fs::read_dir(root.join("proc/self/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| {
        let name = text(&thread.path(), "comm")?;
        let worker = name.trim().strip_prefix(WORKER_THREADS)?.parse().ok()?;
        Some((worker, thread.path()))
    })
}

/// The workers' alone: whoever leads them may well wait, on a CPU that it shares with the cluster.
fn sched_time_of_workers(root: &Path) -> Option<SchedTime> {
    // A thread may end while we look: its time is missing then, as it will be later.
    let times = worker_threads(root).filter_map(|(_, thread)| text(&thread, "schedstat"));
    times.filter_map(|t| sched_time(&t)).reduce(|sum, time| SchedTime {
        running: sum.running.plus(time.running),
        waiting: sum.waiting.plus(time.waiting),
    })
}

/// Time on a CPU, time in the run queue, time slices.
fn sched_time(schedstat: &str) -> Option<SchedTime> {
    let mut fields = schedstat.split_whitespace().map(|field| field.parse().ok().map(Nanos));
    Some(SchedTime { running: fields.next()??, waiting: fields.next()?? })
}

fn tcp_drops(netstat: &str) -> Option<[u64; TCP_DROPS.len()]> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let pairs: Vec<(&str, &str)> =
        names.split_whitespace().zip(values.split_whitespace()).collect();
    // A counter that this kernel does not have never grows.
    let value = |name: &str| pairs.iter().find(|(n, _)| *n == name)?.1.parse().ok();
    Some(TCP_DROPS.map(|name| value(name).unwrap_or(0)))
}

/// From `/proc/net/sockstat` and `net.ipv4.tcp_mem`, both in pages.
fn tcp_pressed(sockstat: &str, tcp_mem: &str) -> Option<bool> {
    let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = tcp.split_whitespace().skip_while(|word| *word != "mem");
    let held: u64 = words.nth(1)?.parse().ok()?;
    let pressure: u64 = tcp_mem.split_whitespace().nth(1)?.parse().ok()?;
    Some(held > pressure)
}

/// One line per CPU, hexadecimal: processed, dropped, ...
fn softnet_dropped(softnet: &str) -> Option<u64> {
    let dropped = |line: &str| {
        let mut fields = line.split_whitespace().map(|field| u64::from_str_radix(field, 16).ok());
        fields.next()?.and(fields.next()?)
    };
    let per_cpu: Option<Vec<u64>> = softnet.lines().map(dropped).collect();
    per_cpu.filter(|cpus| !cpus.is_empty()).map(|cpus| cpus.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files: a machine, as far as these parsers can see.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    /// A Firecracker guest with version 1 control groups, kernel 6.18; long lines are cut where a
    /// parser does not look.
    fn guest() -> tempfile::TempDir {
        machine(&[
            ("proc/sys/kernel/osrelease", "6.18.44\n"),
            (
                "proc/cpuinfo",
                "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) \
                 Processor\nflags\t\t: fpu vme sse2 hypervisor lahf_lm\n\nprocessor\t: 1\n",
            ),
            ("proc/meminfo", "MemTotal:       24683656 kB\nMemFree:        23546924 kB\n"),
            ("proc/self/status", "Name:\tcat\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n"),
            ("sys/devices/system/cpu/online", "0-1\n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
            (".dockerenv", ""),
            ("proc/self/cgroup", "4:memory:/process_api/9b22\n2:cpuacct:/\n1:cpu:/\n0::/\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            (
                "sys/fs/cgroup/cpu/cpu.stat",
                "nr_periods 0\nnr_throttled 0\nthrottled_time 0\nnr_bursts 0\nburst_time 0\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            (
                "proc/stat",
                "cpu  88404 0 11159 735569 1459 0 194 30 0 0\n\
                 cpu0 43499 0 5450 368954 265 0 101 12 0 0\n\
                 cpu1 44904 0 5708 366615 1193 0 92 17 0 0\n\
                 intr 709134 0 0\nctxt 1046293\nbtime 1795512326\n",
            ),
            ("proc/self/task/1/comm", "fanstorm\n"),
            ("proc/self/task/1/schedstat", "70000 60000 50\n"),
            ("proc/self/task/2/comm", "worker-0\n"),
            ("proc/self/task/2/schedstat", "1000 200 3\n"),
            ("proc/self/task/3/comm", "worker-1\n"),
            ("proc/self/task/3/schedstat", "4000 30 7\n"),
            (
                "proc/net/netstat",
                "TcpExt: SyncookiesSent PruneCalled RcvPruned ListenOverflows ListenDrops \
                 TCPBacklogDrop TCPRcvQDrop TCPMemoryPressures TCPReqQFullDrop\n\
                 TcpExt: 9 1 2 3 4 5 6 7 8\nIpExt: InNoRoutes\nIpExt: 0\n",
            ),
            (
                "proc/net/softnet_stat",
                "00090801 0000000a 00000000 00000000\n00035458 00000001 00000000 00000000\n",
            ),
        ])
    }

    /// A pod with a quota of one and a half CPUs, version 2, its cgroup mounted as the root.
    fn pod() -> tempfile::TempDir {
        machine(&[
            ("proc/1/cgroup", "0::/kubepods.slice/kubepods-burstable.slice/cri-abc.scope\n"),
            ("proc/self/cgroup", "0::/kubepods.slice/kubepods-burstable.slice/cri-abc.scope\n"),
            ("sys/fs/cgroup/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/memory.max", "536870912\n"),
            (
                "sys/fs/cgroup/cpu.stat",
                "usage_usec 1281057566\nuser_usec 1130836339\nsystem_usec 150221227\n\
                 nr_periods 4711\nnr_throttled 42\nthrottled_usec 1500000\n",
            ),
            ("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\n"),
            ("proc/self/status", "Cpus_allowed_list:\t2,4-5\n"),
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n"),
        ])
    }

    #[test]
    fn tcp_is_pressed_above_the_middle_figure() {
        let sockstat = |mem: &str| {
            format!(
                "sockets: used 17\nTCP: inuse 1 orphan 0 tw 7 alloc 1 mem {mem}\nUDP: inuse 0 mem 9\n"
            )
        };
        let pressed = |mem| tcp_pressed(&sockstat(mem), "287898\t383867\t575796\n");
        assert_eq!(["383867", "383868", "x"].map(pressed), [Some(false), Some(true), None]);
    }

    #[test]
    fn a_virtual_machine_is_described_by_its_files() {
        let root = guest();
        let facts = HostFacts::under(root.path());
        let expected = HostFacts {
            kernel: Some("6.18.44".into()),
            cpu_model: Some("Intel(R) Xeon(R) Processor".into()),
            cpus_online: Some(2),
            cpus_allowed: Some(vec![0, 1]),
            virtual_machine: Some(true),
            memory: Some(Bytes(24_683_656 * 1024)),
            cgroup_cpus: None,
            cgroup_memory: None,
            clocksource: Some("tsc".into()),
            governor: None,
            container: Some("docker".into()),
        };
        assert_eq!(facts, expected);
    }

    #[test]
    fn a_pods_quota_and_limits_are_found_where_its_cgroup_is_the_root_of_the_mount() {
        let root = pod();
        let facts = HostFacts::under(root.path());
        assert_eq!(facts.cgroup_cpus, Some(1.5));
        assert_eq!(facts.cgroup_memory, Some(Bytes::from_mib(512)));
        assert_eq!(facts.cpus_allowed, Some(vec![2, 4, 5]));
        assert_eq!(facts.governor.as_deref(), Some("powersave"));
        assert_eq!(facts.container.as_deref(), Some("kubepods"));
        assert_eq!((facts.cpu_model, facts.virtual_machine), (None, None));
        let throttle = HostCounters::under(root.path()).throttle;
        assert_eq!(throttle, Some(Throttle { periods: 42, time: Nanos::from_millis(1_500) }));
    }

    #[test]
    fn the_tightest_limit_among_a_cgroup_and_those_above_it_holds() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/user.slice/load.scope\n"),
            ("sys/fs/cgroup/user.slice/load.scope/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/user.slice/cpu.max", "400000 100000\n"),
            ("sys/fs/cgroup/user.slice/load.scope/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
        ]);
        let facts = HostFacts::under(root.path());
        assert_eq!(facts.cgroup_cpus, Some(4.0));
        assert_eq!(facts.cgroup_memory, Some(Bytes(1 << 30)));
    }

    #[test]
    fn a_quota_of_version_1_is_quota_over_period() {
        let root = machine(&[
            ("proc/self/cgroup", "3:cpu,cpuacct:/docker/abc\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 2500\n"),
        ]);
        assert_eq!(HostFacts::under(root.path()).cgroup_cpus, Some(0.5));
        let throttle = HostCounters::under(root.path()).throttle;
        assert_eq!(throttle, Some(Throttle { periods: 3, time: Nanos(2_500) }));
    }

    #[test]
    fn counters_are_taken_from_their_columns_whatever_their_order() {
        let root = guest();
        let counters = HostCounters::under(root.path());
        let all = CpuTicks { steal: 30, total: 88404 + 11159 + 735569 + 1459 + 194 + 30 };
        assert_eq!(counters.cpu_all, Some(all));
        let each: Vec<_> = counters.cpu_each.iter().map(|(cpu, t)| (*cpu, t.steal)).collect();
        assert_eq!(each, [(0, 12), (1, 17)]);
        let sched = SchedTime { running: Nanos(5_000), waiting: Nanos(230) };
        assert_eq!(counters.sched, Some(sched));
        assert_eq!(counters.tcp_drops, Some([3, 4, 8, 6, 5, 1, 2, 7]));
        assert_eq!(counters.tcp_pressed, None, "a network namespace has no tcp_mem");
        assert_eq!(counters.softnet_dropped, Some(11));
        assert_eq!(counters.throttle, Some(Throttle::default()));
    }

    #[test]
    fn a_machine_that_shows_nothing_is_unknown_and_not_zero() {
        let root = machine(&[]);
        assert_eq!(HostFacts::under(root.path()), HostFacts::default());
        assert_eq!(HostCounters::under(root.path()), HostCounters::default());
    }

    #[test]
    fn nonsense_in_a_file_is_unknown_and_not_zero() {
        let nonsense =
            ["", "\n", "max", "cpu", "cpu  1 2", "x y z", "TcpExt:", "TcpExt: a\n", ":::"];
        for text in nonsense {
            assert_eq!(cpu_ticks(text), (None, vec![]), "{text:?}");
            assert_eq!(sched_time(text), None, "{text:?}");
            assert_eq!(softnet_dropped(text), None, "{text:?}");
            assert_eq!(tcp_drops(text), None, "{text:?}");
            assert_eq!(cpu_list(text), None, "{text:?}");
            assert_eq!(memory_total(text), None, "{text:?}");
        }
    }

    #[test]
    fn this_machine_shows_its_own_kernel_and_cpus() {
        let facts = HostFacts::read();
        assert!(facts.kernel.is_some_and(|kernel| kernel.starts_with(char::is_numeric)));
        assert!(facts.cpus_allowed.is_some_and(|cpus| !cpus.is_empty()));
        let (before, after) = (HostCounters::read(), HostCounters::read());
        let total = |counters: &HostCounters| counters.cpu_all.map(|ticks| ticks.total);
        assert!(total(&before) <= total(&after));
    }
}
