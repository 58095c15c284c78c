//! What the control groups that hold this process grant, and what they have taken.
//!
//! Belongs here: versions 1 and 2 of control groups, the tightest of a group and those above it. Does
//! not: what follows from it (`limits`, `audit`, `verdict`).
//!
//! See cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.

use std::fs;
use std::path::{Path, PathBuf};

use crate::units::{Bytes, Nanos};

/// What the CPU quota of a cgroup did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Periods in which the quota ran out.
    pub periods: u64,
    /// Time spent standing still because of it.
    pub time: Nanos,
}

/// The directories of our cgroup and of all above it: the tightest limit holds.
pub(super) struct Cgroups {
    /// Version 2, innermost first.
    unified: Vec<PathBuf>,
    /// Version 1, controller `cpu`.
    cpu: Vec<PathBuf>,
    /// Version 1, controller `memory`.
    memory: Vec<PathBuf>,
    /// Version 1, controller `pids`.
    pids: Vec<PathBuf>,
}

impl Cgroups {
    pub(super) fn under(root: &Path) -> Self {
        let membership = text(root, "proc/self/cgroup").unwrap_or_default();
        let mount = root.join("sys/fs/cgroup");
        let dirs = |mount: PathBuf, controller| {
            cgroup_path(&membership, controller).map(|path| ancestry(&mount, path))
        };
        Self {
            unified: dirs(mount.clone(), "").unwrap_or_default(),
            cpu: dirs(mount.join("cpu"), "cpu").unwrap_or_default(),
            memory: dirs(mount.join("memory"), "memory").unwrap_or_default(),
            pids: dirs(mount.join("pids"), "pids").unwrap_or_default(),
        }
    }

    /// CPUs' worth of time; none without a limit.
    pub(super) fn cpu_quota(&self) -> Option<f64> {
        let v2 = self.unified.iter().filter_map(|dir| cpu_max(&text(dir, "cpu.max")?));
        let v1 = self.cpu.iter().filter_map(|dir| {
            let (quota, period) = (text(dir, "cpu.cfs_quota_us")?, text(dir, "cpu.cfs_period_us")?);
            // -1 is no limit.
            cpu_max(&format!("{} {}", quota.trim(), period.trim())).filter(|cpus| *cpus > 0.0)
        });
        v2.chain(v1).reduce(f64::min)
    }

    /// The tightest limit; none without one.
    pub(super) fn memory_limit(&self) -> Option<Bytes> {
        self.memory_groups().map(|group| group.limit).min().map(Bytes)
    }

    /// What the limits leave to those who come now; none without a limit.
    pub(super) fn memory_free(&self) -> Option<Bytes> {
        self.memory_groups().map(|group| group.limit.saturating_sub(group.used)).min().map(Bytes)
    }

    fn memory_groups(&self) -> impl Iterator<Item = MemoryGroup> {
        let v2 = self.unified.iter().filter_map(|dir| MemoryGroup::read(dir, &MEMORY_V2));
        v2.chain(self.memory.iter().filter_map(|dir| MemoryGroup::read(dir, &MEMORY_V1)))
    }

    /// Processes and threads that may still be started; none without a limit.
    pub(super) fn tasks_free(&self) -> Option<u64> {
        let free = |dir: &PathBuf| {
            let number = |file| text(dir, file)?.trim().parse::<u64>().ok();
            // `max` is no number, and no limit.
            Some(number("pids.max")?.saturating_sub(number("pids.current")?))
        };
        self.unified.iter().chain(&self.pids).filter_map(free).min()
    }

    /// What a quota has taken so far.
    pub(super) fn throttle(&self) -> Option<Throttle> {
        let stats = self.unified.iter().chain(&self.cpu);
        let found = stats.filter_map(|dir| throttle(&text(dir, "cpu.stat")?));
        found.max_by_key(|throttle| throttle.periods)
    }
}

/// A group with a limit of memory, in bytes.
struct MemoryGroup {
    limit: u64,
    /// Without what the kernel would drop at once: pages of files that nobody looked at lately.
    used: u64,
}

/// Files of a group: its limit, its use, and the line of `memory.stat` that can be had back.
const MEMORY_V2: [&str; 3] = ["memory.max", "memory.current", "inactive_file"];
const MEMORY_V1: [&str; 3] =
    ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];

impl MemoryGroup {
    fn read(dir: &Path, [limit, usage, inactive]: &[&str; 3]) -> Option<Self> {
        let number = |file| text(dir, file)?.trim().parse::<u64>().ok();
        // Version 1 writes the largest page-aligned number for no limit.
        let limit = number(limit).filter(|&limit| limit < 1 << 62)?;
        let dropped = text(dir, "memory.stat").and_then(|stat| stat_value(&stat, inactive));
        let used = number(usage).unwrap_or(0).saturating_sub(dropped.unwrap_or(0));
        Some(Self { limit, used })
    }
}

fn text(folder: &Path, file: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(folder.join(file)).ok()
}

/// The path in the line of a controller; version 2 is the one without a controller.
fn cgroup_path<'a>(membership: &'a str, controller: &str) -> Option<&'a str> {
    membership.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        controllers.split(',').any(|name| name == controller).then(|| parts.next())?
    })
}

/// `mount/a/b`, `mount/a`, `mount`: those that exist. Inside a container the mount is often rooted
/// at the container's own cgroup while the path is the host's.
fn ancestry(mount: &Path, path: &str) -> Vec<PathBuf> {
    let full = mount.join(path.trim_start_matches('/'));
    let above = full.ancestors().take_while(|dir| dir.starts_with(mount));
    above.filter(|dir| dir.is_dir()).map(Path::to_owned).collect()
}

/// `max 100000` or `150000 100000`: quota and period.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok().filter(|p| *p > 0.0)?)
}

/// `cpu.stat` of either version. A group without the CPU controller has no `nr_throttled`.
fn throttle(stat: &str) -> Option<Throttle> {
    let v2 = stat_value(stat, "throttled_usec").map(Nanos::from_micros);
    Some(Throttle {
        periods: stat_value(stat, "nr_throttled")?,
        time: v2.or_else(|| stat_value(stat, "throttled_time").map(Nanos))?,
    })
}

/// The number behind a name, a line each.
fn stat_value(stat: &str, key: &str) -> Option<u64> {
    let mut pairs = stat.lines().filter_map(|line| line.split_once(' '));
    pairs.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a machine with these files grants; the second is only held.
    fn groups(files: &[(&str, &str)]) -> (Cgroups, tempfile::TempDir) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (Cgroups::under(root.path()), root)
    }

    /// A slice of 1 GiB, of which 300 MiB are used and 100 of these are files; in it a scope without a
    /// limit of its own.
    const SLICE: &[(&str, &str)] = &[
        ("proc/self/cgroup", "0::/load.slice/run.scope\n"),
        ("sys/fs/cgroup/load.slice/run.scope/memory.max", "max\n"),
        ("sys/fs/cgroup/load.slice/run.scope/memory.current", "104857600\n"),
        ("sys/fs/cgroup/load.slice/run.scope/pids.max", "50\n"),
        ("sys/fs/cgroup/load.slice/run.scope/pids.current", "3\n"),
        ("sys/fs/cgroup/load.slice/memory.max", "1073741824\n"),
        ("sys/fs/cgroup/load.slice/memory.current", "314572800\n"),
        ("sys/fs/cgroup/load.slice/memory.stat", "anon 1\ninactive_file 104857600\n"),
        ("sys/fs/cgroup/load.slice/pids.max", "60\n"),
        ("sys/fs/cgroup/load.slice/pids.current", "58\n"),
    ];

    #[test]
    fn what_neighbours_in_a_group_use_is_not_ours_but_their_idle_files_are() {
        let (groups, _root) = groups(SLICE);
        assert_eq!(groups.memory_limit(), Some(Bytes::from_mib(1_024)));
        assert_eq!(groups.memory_free(), Some(Bytes::from_mib(1_024 - 200)));
        assert_eq!(groups.tasks_free(), Some(2), "the group above is nearly full");
    }

    #[test]
    fn version_1_has_a_tree_for_each_controller() {
        let (groups, _root) = groups(&[
            ("proc/self/cgroup", "8:pids:/docker/abc\n4:memory:/docker/abc\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "12582912\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 4194304\n"),
            ("sys/fs/cgroup/pids/pids.max", "10\n"),
            ("sys/fs/cgroup/pids/pids.current", "1\n"),
        ]);
        assert_eq!(groups.memory_limit(), Some(Bytes::from_mib(256)));
        assert_eq!(groups.memory_free(), Some(Bytes::from_mib(256 - 8)));
        assert_eq!(groups.tasks_free(), Some(9));
    }

    #[test]
    fn no_limit_is_none_and_not_a_large_one() {
        let (groups, _root) = groups(&[
            ("proc/self/cgroup", "8:pids:/\n4:memory:/\n0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "max\n"),
            ("sys/fs/cgroup/a/pids.max", "max\n"),
            ("sys/fs/cgroup/a/pids.current", "7\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n"),
        ]);
        assert!(groups.memory_limit().is_none() && groups.memory_free().is_none());
        assert_eq!(groups.tasks_free(), None);
    }

    #[test]
    fn nonsense_in_a_file_is_unknown_and_not_zero() {
        for text in ["", "\n", "max", "x y z", "1", "100000 0", "nr_throttled", "nr_throttled x"] {
            assert_eq!(cpu_max(text), None, "{text:?}");
            assert_eq!(throttle(text), None, "{text:?}");
        }
    }
}
