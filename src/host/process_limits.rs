//! `/proc/self/limits` and `/proc/self/status`, taken apart.
//!
//! Belongs here: reading a limit out of their text. Does not: what a plan needs of it (`limits`).

/// Memory that is mapped beside the plan's: stacks, allocators, libraries. A run of ten messages ends well
/// with 30 MiB, and is aborted with 10.
pub(super) const OWN_MAPPINGS: u64 = 32 << 20;

/// A limit of this process on what it may map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapLimit {
    /// Of the limit, as a shell and the kernel call it.
    pub name: &'static str,
    /// In bytes.
    pub limit: u64,
    /// What is mapped already.
    pub used: u64,
}

impl MapLimit {
    /// What a plan may take.
    pub const fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used).saturating_sub(OWN_MAPPINGS)
    }
}

/// `Max open files  1024  1048576  files` (/proc/self/limits): the soft limit.
pub(crate) fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    limit(limits, name, 0)
}

/// Of those that bound mappings, the one that leaves least.
pub(super) fn map_limit(limits: &str, status: &str) -> Option<MapLimit> {
    let bounds = [
        ("Max address space", "VmSize:", "ulimit -v, RLIMIT_AS"),
        ("Max data size", "VmData:", "ulimit -d, RLIMIT_DATA"),
    ];
    let bound = |(limit, used, name)| {
        let limit = soft_limit(limits, limit).filter(|&limit| limit != u64::MAX)?;
        Some(MapLimit { name, limit, used: kilobytes(status, used).unwrap_or(0) })
    };
    bounds.into_iter().filter_map(bound).min_by_key(MapLimit::free)
}

pub(super) fn hard_limit(limits: &str, name: &str) -> Option<u64> {
    limit(limits, name, 1)
}

fn limit(limits: &str, name: &str, column: usize) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().nth(column)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}
