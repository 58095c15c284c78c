//! Which CPUs carry the workers, and which are left to the embedded cluster.
//!
//! Belongs here: the one rule by which CPUs are shared out. Does not: pinning (`engine::fleet`,
//! `cluster`).
//!
//! The rule, where nobody says otherwise:
//! - one worker for each 64 sockets begun: below that a second core only adds wakeups;
//! - never more workers than the plan can feed (see `plan::load`);
//! - an outside cluster leaves us every CPU; an embedded one gets at least half of them, because
//!   it does far more work per message than we do;
//! - workers take the highest numbers: interrupts and the rest of the system prefer the lowest.

use std::collections::BTreeSet;
use std::str::FromStr;

/// Below this many sockets per worker another core costs more than it brings.
const SOCKETS_PER_WORKER: u64 = 64;

/// `--cores`, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cores {
    /// Nobody said.
    #[default]
    Auto,
    /// So many, whichever they are; at least 1.
    Number(usize),
    /// Exactly these; not empty, each once, as ordered.
    List(Vec<usize>),
}

/// Why `--cores` cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoresError {
    /// Not a number, not a list.
    #[error("write how many (2) or which (0,2 or 4-7; 3-3 for CPU 3 alone)")]
    Malformed,
    /// `0`.
    #[error("at least one core must carry a worker")]
    Zero,
    /// `7-4`.
    #[error("the range {0} runs backwards")]
    Backwards(String),
    /// More than this process may use.
    #[error("--cores {asked}: this process may use only {} (see taskset, cpuset)", list(.allowed))]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// CPUs of this process.
        allowed: Vec<usize>,
    },
    /// A CPU that is offline, absent or forbidden.
    #[error("--cores: CPU {cpu} is not among those that this process may use: {}", list(.allowed))]
    NotAllowed {
        /// The CPU.
        cpu: usize,
        /// CPUs of this process.
        allowed: Vec<usize>,
    },
}

/// `CPU 0` or `CPUs 0, 1, 3`.
fn list(cpus: &[usize]) -> String {
    let numbers: Vec<_> = cpus.iter().map(usize::to_string).collect();
    format!("CPU{} {}", if cpus.len() == 1 { "" } else { "s" }, numbers.join(", "))
}

impl FromStr for Cores {
    type Err = CoresError;

    fn from_str(text: &str) -> Result<Self, CoresError> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return if number == 0 { Err(CoresError::Zero) } else { Ok(Self::Number(number)) };
        }
        let mut cpus: Vec<usize> = Vec::new();
        for part in text.split(',') {
            for cpu in range(part.trim())? {
                if !cpus.contains(&cpu) {
                    cpus.push(cpu);
                }
            }
        }
        Ok(Self::List(cpus))
    }
}

/// `3` or `4-7`.
fn range(part: &str) -> Result<std::ops::RangeInclusive<usize>, CoresError> {
    // The kernel's own limit (CONFIG_NR_CPUS) is 8192: what is beyond is a slip, not a CPU.
    let number = |t: &str| t.parse().ok().filter(|&n| n < 8192).ok_or(CoresError::Malformed);
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(CoresError::Backwards(part.to_owned()));
    }
    Ok(first..=last)
}

/// What is to be shared out.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Sockets of the plan.
    pub sockets: u64,
    /// Most workers that the plan can feed, at least 1.
    pub most_workers: usize,
    /// A cluster of our own runs on this host too.
    pub embedded: bool,
}

/// Who runs where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// One worker each; at least one.
    pub workers: Vec<usize>,
    /// CPUs of the embedded cluster; empty without one.
    pub cluster: Vec<usize>,
    /// The cluster has no CPU of its own.
    pub shared: bool,
    /// `--cores` asked for so many more workers than the plan can feed.
    pub dropped: usize,
}

/// Shares out the `allowed` CPUs (sorted, not empty).
///
/// # Errors
/// When `--cores` asks for CPUs that this process does not have.
///
/// # Panics
/// Without any allowed CPU: nothing could run to call this.
pub fn place(allowed: &[usize], cores: &Cores, demand: Demand) -> Result<Placement, CoresError> {
    assert!(!allowed.is_empty() && demand.most_workers > 0);
    let (mut workers, asked) = match cores {
        Cores::Auto => (highest(allowed, default_workers(allowed.len(), demand)), None),
        Cores::Number(number) => (numbered(allowed, *number, demand)?, Some(*number)),
        Cores::List(cpus) => (listed(allowed, cpus)?, Some(cpus.len())),
    };
    workers.truncate(demand.most_workers);
    let dropped = asked.map_or(0, |asked| asked - workers.len());
    let (cluster, shared) = remainder(allowed, &workers, demand.embedded);
    Ok(Placement { workers, cluster, shared, dropped })
}

fn default_workers(allowed: usize, demand: Demand) -> usize {
    let ours = if demand.embedded { (allowed / 2).max(1) } else { allowed };
    let wanted = demand.sockets.div_ceil(SOCKETS_PER_WORKER).max(1);
    ours.min(usize::try_from(wanted).unwrap_or(usize::MAX)).min(demand.most_workers)
}

fn highest(allowed: &[usize], number: usize) -> Vec<usize> {
    allowed[allowed.len() - number..].to_vec()
}

fn numbered(allowed: &[usize], number: usize, demand: Demand) -> Result<Vec<usize>, CoresError> {
    if number > allowed.len() {
        return Err(CoresError::TooMany { asked: number, allowed: allowed.to_vec() });
    }
    Ok(highest(allowed, number.min(demand.most_workers)))
}

fn listed(allowed: &[usize], cpus: &[usize]) -> Result<Vec<usize>, CoresError> {
    match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(&cpu) => Err(CoresError::NotAllowed { cpu, allowed: allowed.to_vec() }),
        None => Ok(cpus.to_vec()),
    }
}

/// CPUs without a worker; all of them, shared, if every one has a worker.
fn remainder(allowed: &[usize], workers: &[usize], embedded: bool) -> (Vec<usize>, bool) {
    let workers: BTreeSet<_> = workers.iter().collect();
    let free: Vec<_> = allowed.iter().filter(|cpu| !workers.contains(cpu)).copied().collect();
    match (embedded, free.is_empty()) {
        (false, _) => (Vec::new(), false),
        (true, true) => (allowed.to_vec(), true),
        (true, false) => (free, false),
    }
}

/// The CPUs on which this process may run, sorted (`sched_getaffinity(2)`).
pub fn allowed() -> Vec<usize> {
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    let mut cpus: Vec<usize> = ids.into_iter().map(|core| core.id).collect();
    cpus.sort_unstable();
    // A kernel that does not answer still runs us somewhere.
    if cpus.is_empty() { vec![0] } else { cpus }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn demand(sockets: u64, most_workers: usize, embedded: bool) -> Demand {
        Demand { sockets, most_workers, embedded }
    }

    fn placed(cpus: usize, sockets: u64, embedded: bool) -> (Vec<usize>, Vec<usize>, bool) {
        let allowed: Vec<_> = (0..cpus).collect();
        let most = usize::try_from(sockets).unwrap();
        let p = place(&allowed, &Cores::Auto, demand(sockets, most, embedded)).unwrap();
        assert_eq!(p.dropped, 0, "nobody asked for more");
        (p.workers, p.cluster, p.shared)
    }

    #[test]
    fn an_embedded_cluster_gets_cpus_of_its_own_wherever_there_is_more_than_one() {
        assert_eq!(placed(1, 6, true), (vec![0], vec![0], true));
        assert_eq!(placed(2, 6, true), (vec![1], vec![0], false));
        assert_eq!(placed(4, 6, true), (vec![3], vec![0, 1, 2], false));
        assert_eq!(placed(4, 10_000, true), (vec![2, 3], vec![0, 1], false));
        assert_eq!(placed(3, 10_000, true), (vec![2], vec![0, 1], false));
    }

    #[test]
    fn an_outside_cluster_leaves_us_all_cpus_but_small_plans_take_few() {
        assert_eq!(placed(8, 6, false), (vec![7], vec![], false));
        assert_eq!(placed(8, 64, false), (vec![7], vec![], false));
        assert_eq!(placed(8, 65, false), (vec![6, 7], vec![], false));
        assert_eq!(placed(2, 100_000, false), (vec![0, 1], vec![], false));
    }

    #[test]
    fn cores_is_a_number_or_a_list() {
        assert_eq!("2".parse(), Ok(Cores::Number(2)));
        assert_eq!("0,2".parse(), Ok(Cores::List(vec![0, 2])));
        assert_eq!("4-6, 1,5".parse(), Ok(Cores::List(vec![4, 5, 6, 1])));
        assert_eq!("3-3".parse(), Ok(Cores::List(vec![3])));
        for (text, error) in [
            ("0", CoresError::Zero),
            ("", CoresError::Malformed),
            ("abc", CoresError::Malformed),
            ("1,", CoresError::Malformed),
            ("1-", CoresError::Malformed),
            ("-1", CoresError::Malformed),
            ("0-99999999999", CoresError::Malformed),
            ("7-4", CoresError::Backwards("7-4".to_owned())),
        ] {
            assert_eq!(text.parse::<Cores>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn asked_for_cpus_are_taken_in_their_order_and_the_cluster_gets_the_rest() {
        let cores = "2,0".parse().unwrap();
        let p = place(&[0, 1, 2, 3], &cores, demand(6, 6, true)).unwrap();
        assert_eq!((p.workers, p.cluster, p.shared), (vec![2, 0], vec![1, 3], false));
        let p = place(&[0, 1], &Cores::Number(2), demand(6, 6, true)).unwrap();
        assert_eq!((p.workers, p.cluster, p.shared), (vec![0, 1], vec![0, 1], true));
    }

    #[test]
    fn cpus_that_this_process_may_not_use_are_refused_with_those_it_may() {
        let refused = |cores: &str| {
            place(&[0, 1], &cores.parse().unwrap(), demand(6, 6, false)).unwrap_err().to_string()
        };
        assert_eq!(
            refused("3"),
            "--cores 3: this process may use only CPUs 0, 1 (see taskset, cpuset)"
        );
        assert_eq!(
            refused("1,7"),
            "--cores: CPU 7 is not among those that this process may use: CPUs 0, 1"
        );
    }

    #[test]
    fn more_workers_than_the_plan_can_feed_are_dropped_and_counted() {
        let allowed: Vec<_> = (0..8).collect();
        let p = place(&allowed, &Cores::Number(8), demand(6, 4, false)).unwrap();
        assert_eq!((p.workers, p.dropped), (vec![4, 5, 6, 7], 4));
        let p = place(&allowed, &"3,1,2".parse().unwrap(), demand(6, 2, false)).unwrap();
        assert_eq!((p.workers, p.dropped), (vec![3, 1], 1));
    }

    #[test]
    fn this_process_may_use_the_cpus_that_the_kernel_says() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap();
        let kernel = match line.trim().parse::<Cores>().unwrap() {
            Cores::List(cpus) => cpus,
            Cores::Number(cpu) => vec![cpu],
            Cores::Auto => unreachable!("not a text"),
        };
        assert_eq!(allowed(), kernel);
    }

    proptest! {
        #[test]
        fn every_default_placement_is_one_that_can_run(
            cpus in prop::collection::btree_set(0_usize..256, 1..64),
            sockets in 1_u64..300_000,
            most in 1_usize..100,
            embedded: bool,
        ) {
            let allowed: Vec<_> = cpus.into_iter().collect();
            let p = place(&allowed, &Cores::Auto, demand(sockets, most, embedded)).unwrap();
            prop_assert!(!p.workers.is_empty() && p.workers.len() <= most.min(allowed.len()));
            prop_assert!(p.workers.len() as u64 <= sockets);
            prop_assert!(p.workers.iter().chain(&p.cluster).all(|cpu| allowed.contains(cpu)));
            let overlap = p.workers.iter().any(|cpu| p.cluster.contains(cpu));
            prop_assert_eq!(overlap, p.shared);
            prop_assert_eq!(p.shared, embedded && allowed.len() == 1);
            prop_assert_eq!(p.cluster.is_empty(), !embedded);
        }
    }
}
