//! Which CPUs carry the workers, and which are left to the embedded cluster.
//!
//! Belongs here: the one rule by which CPUs are shared out. Does not: pinning (`engine::fleet`,
//! `cluster`).
//!
//! The rule, where nobody says otherwise:
//! - one worker for each 64 sockets begun: below that a second core only adds wakeups;
//! - never more workers than the plan can feed (see `plan::load`);
//! - an outside cluster leaves us every core; an embedded one gets at least half of them, because
//!   it does far more work per message than we do, and none that carries a worker where there are
//!   others;
//! - a worker on each core before two on one; `--cores N` may ask for more;
//! - near the card that leads to the cluster, where that is known;
//! - workers take the highest numbers: interrupts and the rest of the system prefer the lowest.
//!
//! Where interrupts went until now is not looked at: the same plan on the same host is to take the
//! same CPUs every time, or two runs could not be compared.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::str::FromStr;

use super::topology::{Nic, Topology};

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
#[derive(Clone, Debug)]
pub struct Demand {
    /// Sockets of the plan.
    pub sockets: u64,
    /// Most workers that the plan can feed, at least 1.
    pub most_workers: usize,
    /// A cluster of our own runs on this host too.
    pub embedded: bool,
    /// The card through which the cluster is reached, where known.
    pub nic: Option<Nic>,
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
    /// Workers that are two threads of one core: each takes from the other.
    pub siblings: Vec<(usize, usize)>,
    /// Why these, as a clause.
    pub why: String,
}

/// Shares out the `allowed` CPUs (sorted, not empty) of a machine.
///
/// # Errors
/// When `--cores` asks for CPUs that this process does not have.
///
/// # Panics
/// Without any allowed CPU: nothing could run to call this.
pub fn place(
    allowed: &[usize],
    machine: &Topology,
    cores: &Cores,
    demand: &Demand,
) -> Result<Placement, CoresError> {
    assert!(!allowed.is_empty() && demand.most_workers > 0);
    let ground = Ground { allowed, machine, demand };
    let (mut workers, asked) = match cores {
        Cores::Auto => (ground.best(ground.default_workers()), None),
        Cores::Number(number) => (ground.numbered(*number)?, Some(*number)),
        Cores::List(cpus) => (ground.listed(cpus)?, Some(cpus.len())),
    };
    workers.truncate(demand.most_workers);
    let (cluster, shared) = ground.remainder(&workers);
    Ok(Placement {
        dropped: asked.map_or(0, |asked| asked - workers.len()),
        siblings: siblings(machine, &workers),
        why: ground.why(cores, &workers, &cluster),
        workers,
        cluster,
        shared,
    })
}

/// What a choice rests on.
struct Ground<'a> {
    allowed: &'a [usize],
    machine: &'a Topology,
    demand: &'a Demand,
}

impl Ground<'_> {
    /// One for each core at most: what the second thread of a core brings, it takes from the first,
    /// at moments that nobody chooses.
    fn default_workers(&self) -> usize {
        let cores = self.cores_of(self.allowed).len();
        let ours = if self.demand.embedded { (cores / 2).max(1) } else { cores };
        let wanted = self.demand.sockets.div_ceil(SOCKETS_PER_WORKER).max(1);
        ours.min(usize::try_from(wanted).unwrap_or(usize::MAX)).min(self.demand.most_workers)
    }

    fn cores_of(&self, cpus: &[usize]) -> BTreeSet<usize> {
        cpus.iter().map(|&cpu| self.machine.core(cpu)).collect()
    }

    /// The best `number` CPUs, in the order of their numbers: cores of their own before the second
    /// threads of cores, then near the card (or else together), then the highest numbers.
    fn best(&self, number: usize) -> Vec<usize> {
        let home = self.home();
        let rank = |&cpu: &usize| {
            let core = self.machine.core(cpu);
            let before = |other: &&usize| **other > cpu && self.machine.core(**other) == core;
            let threads_before = self.allowed.iter().filter(before).count();
            (threads_before, self.machine.node(cpu) != home, Reverse(cpu))
        };
        let mut cpus = self.allowed.to_vec();
        cpus.sort_by_cached_key(rank);
        cpus.truncate(number);
        cpus.sort_unstable();
        cpus
    }

    /// The NUMA node where workers are to be: the card's, or that of the highest CPU.
    fn home(&self) -> Option<usize> {
        let nic = self.near().map(|nic| nic.node);
        nic.or_else(|| self.machine.node(*self.allowed.last()?))
    }

    /// The card, if we may use a CPU near to it.
    fn near(&self) -> Option<&Nic> {
        let nic = self.demand.nic.as_ref();
        nic.filter(|nic| self.allowed.iter().any(|&cpu| self.machine.node(cpu) == Some(nic.node)))
    }

    fn numbered(&self, number: usize) -> Result<Vec<usize>, CoresError> {
        if number > self.allowed.len() {
            return Err(CoresError::TooMany { asked: number, allowed: self.allowed.to_vec() });
        }
        Ok(self.best(number.min(self.demand.most_workers)))
    }

    fn listed(&self, cpus: &[usize]) -> Result<Vec<usize>, CoresError> {
        match cpus.iter().find(|cpu| !self.allowed.contains(cpu)) {
            Some(&cpu) => Err(CoresError::NotAllowed { cpu, allowed: self.allowed.to_vec() }),
            None => Ok(cpus.to_vec()),
        }
    }

    /// CPUs for the embedded cluster: on cores without a worker, or at least without a worker
    /// themselves; all of them, shared, if every one has a worker.
    fn remainder(&self, workers: &[usize]) -> (Vec<usize>, bool) {
        if !self.demand.embedded {
            return (Vec::new(), false);
        }
        let taken = self.cores_of(workers);
        let free = |apart: bool| -> Vec<usize> {
            let is_apart = |cpu: usize| !apart || !taken.contains(&self.machine.core(cpu));
            let cpus = self.allowed.iter().copied();
            cpus.filter(|cpu| !workers.contains(cpu) && is_apart(*cpu)).collect()
        };
        match (free(true), free(false)) {
            (_, free) if free.is_empty() => (self.allowed.to_vec(), true),
            (apart, free) if apart.is_empty() => (free, false),
            (apart, _) => (apart, false),
        }
    }

    /// Why these CPUs, as a clause.
    fn why(&self, cores: &Cores, workers: &[usize], cluster: &[usize]) -> String {
        let own_cores = self.cores_of(workers).len() == workers.len();
        let threads = self.cores_of(self.allowed).len() < self.allowed.len();
        let mut why = match (cores, own_cores, threads) {
            (Cores::List(_), true, _) => "as asked".to_owned(),
            (Cores::List(_), false, _) => "as asked, with two threads of one core".to_owned(),
            (_, false, _) => "with two threads of one core, as so many are asked for".to_owned(),
            (_, true, true) => "each on a core of its own".to_owned(),
            (_, true, false) => "the highest numbers, away from interrupts".to_owned(),
        };
        why += &self.whereabouts(workers);
        why + &self.cluster_clause(workers, cluster)
    }

    /// On which NUMA node, where there are several.
    fn whereabouts(&self, workers: &[usize]) -> String {
        let node = |cpu: &usize| self.machine.node(*cpu);
        match (self.machine.nodes_of(self.allowed), workers.first().and_then(node)) {
            (2.., Some(_)) if self.machine.nodes_of(workers) > 1 => ", over NUMA nodes".to_owned(),
            (2.., Some(node)) => match self.near().filter(|nic| nic.node == node) {
                Some(nic) => format!(", on NUMA node {node} like {}", nic.name),
                None => format!(", on NUMA node {node}"),
            },
            _ => String::new(),
        }
    }

    fn cluster_clause(&self, workers: &[usize], cluster: &[usize]) -> String {
        let taken = self.cores_of(workers);
        if cluster.is_empty() {
            String::new()
        } else if cluster.iter().any(|cpu| workers.contains(cpu)) {
            "; the cluster shares them".to_owned()
        } else if taken.is_disjoint(&self.cores_of(cluster)) {
            format!("; the cluster on {}", ranges(cluster))
        } else {
            format!("; the cluster on {}, threads of the same cores", ranges(cluster))
        }
    }
}

/// Pairs of these CPUs that are threads of one core.
fn siblings(machine: &Topology, cpus: &[usize]) -> Vec<(usize, usize)> {
    let after = |(i, &a): (usize, &usize)| cpus[i + 1..].iter().map(move |&b| (a, b));
    let pairs = cpus.iter().enumerate().flat_map(after);
    pairs.filter(|&(a, b)| machine.core(a) == machine.core(b)).collect()
}

/// Ascending CPUs as the kernel writes them: `CPU 0-3,8`.
fn ranges(cpus: &[usize]) -> String {
    let runs = cpus.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    format!("CPU {}", runs.collect::<Vec<_>>().join(","))
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
    use proptest::prelude::*;

    use super::super::topology::fixtures;
    use super::*;

    fn demand(sockets: u64, most_workers: usize, embedded: bool) -> Demand {
        Demand { sockets, most_workers, embedded, nic: None }
    }

    /// On a machine of which nothing is known but its CPUs.
    fn place(allowed: &[usize], cores: &Cores, demand: Demand) -> Result<Placement, CoresError> {
        super::place(allowed, &Topology::default(), cores, &demand)
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

    fn cpus(list: &str) -> Vec<usize> {
        list.split(',').flat_map(|part| range(part).unwrap()).collect()
    }

    /// Machine, allowed CPUs, `--cores`, load, workers, why.
    const TABLE: &str = "
        vm       | 0-1        |      | few     | CPU 1     | the highest numbers, away from interrupts; the cluster on CPU 0
        vm       | 0-1        | 2    | few     | CPU 0-1   | the highest numbers, away from interrupts; the cluster shares them
        vm       | 0-1        |      | outside | CPU 0-1   | the highest numbers, away from interrupts
        one core | 0-1        |      | few     | CPU 1     | each on a core of its own; the cluster on CPU 0, threads of the same cores
        one core | 0-1        |      | outside | CPU 1     | each on a core of its own
        desktop  | 0-15       |      | few     | CPU 15    | each on a core of its own; the cluster on CPU 0-6,8-14
        desktop  | 0-15       |      | many    | CPU 12-15 | each on a core of its own; the cluster on CPU 0-3,8-11
        desktop  | 0-15       |      | outside | CPU 8-15  | each on a core of its own
        desktop  | 0-15       | 10   | outside | CPU 6-15  | with two threads of one core, as so many are asked for
        desktop  | 0-15       | 3,11 | few     | CPU 3,11  | as asked, with two threads of one core; the cluster on CPU 0-2,4-10,12-15
        desktop  | 2-3,10-11  |      | outside | CPU 10-11 | each on a core of its own
        desktop  | 2-3,10-11  |      | many    | CPU 11    | each on a core of its own; the cluster on CPU 2,10
        desktop  | 8-11       |      | outside | CPU 8-11  | the highest numbers, away from interrupts
        server   | 0-127      | 4    | outside | CPU 124-127 | each on a core of its own, on NUMA node 1
        server   | 0-127      | 4    | card    | CPU 92-95 | each on a core of its own, on NUMA node 0 like ens1f0
        server   | 0-127      |      | card    | CPU 64-127 | each on a core of its own, over NUMA nodes
        server   | 32-63,96-127 | 1  | card    | CPU 127   | each on a core of its own";

    fn machine(name: &str) -> Topology {
        match name {
            "vm" => fixtures::vm(),
            "one core" => fixtures::vm_of_one_core(),
            "desktop" => fixtures::desktop(),
            "server" => fixtures::server(),
            other => unreachable!("{other}"),
        }
    }

    fn load(name: &str) -> Demand {
        let nic = Some(Nic { name: "ens1f0".to_owned(), node: 0 });
        match name {
            "few" => demand(6, 6, true),
            "many" => demand(100_000, 1_000, true),
            "outside" => demand(100_000, 1_000, false),
            "card" => Demand { nic, ..demand(100_000, 1_000, false) },
            other => unreachable!("{other}"),
        }
    }

    #[test]
    fn each_worker_has_a_core_of_its_own_while_there_are_cores() {
        for line in TABLE.lines().skip(1) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [on, allowed, cores, load_is, workers, why] = cells[..] else { panic!("{line}") };
            let cores = if cores.is_empty() { Cores::Auto } else { cores.parse().unwrap() };
            let placed = super::place(&cpus(allowed), &machine(on), &cores, &load(load_is));
            let placed = placed.unwrap();
            assert_eq!((ranges(&placed.workers).as_str(), placed.why.as_str()), (workers, why));
        }
    }

    #[test]
    fn workers_on_threads_of_one_core_are_named() {
        let siblings = |cores: &str| {
            let cores = cores.parse().unwrap();
            let demand = demand(6, 6, false);
            super::place(&cpus("0-15"), &fixtures::desktop(), &cores, &demand).unwrap().siblings
        };
        assert_eq!(siblings("8"), []);
        assert_eq!(siblings("0,1,8"), [(0, 8)]);
        assert_eq!(siblings("0,8,9,1"), [(0, 8), (9, 1)]);
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
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap();
        // Not as `--cores` is read: there a lone `0` is a number of CPUs.
        let kernel = crate::host::facts::cpu_list(line.trim()).unwrap();
        assert_eq!(allowed(), kernel);
    }

    fn machines() -> impl Strategy<Value = (Topology, Vec<usize>)> {
        let machines = [
            (Topology::default(), 256),
            (fixtures::vm(), 2),
            (fixtures::vm_of_one_core(), 2),
            (fixtures::desktop(), 16),
            (fixtures::server(), 128),
        ];
        let machine = prop::sample::select(machines.to_vec());
        machine.prop_flat_map(|(machine, cpus)| {
            let allowed = prop::collection::btree_set(0..cpus, 1..=cpus.min(64));
            allowed.prop_map(move |cpus| (machine.clone(), cpus.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn every_default_placement_is_one_that_can_run(
            (machine, allowed) in machines(),
            sockets in 1_u64..300_000,
            most in 1_usize..100,
            embedded: bool,
        ) {
            let demand = demand(sockets, most, embedded);
            let p = super::place(&allowed, &machine, &Cores::Auto, &demand).unwrap();
            prop_assert!(!p.workers.is_empty() && p.workers.len() <= most.min(allowed.len()));
            prop_assert!(p.workers.len() as u64 <= sockets);
            prop_assert!(p.workers.iter().chain(&p.cluster).all(|cpu| allowed.contains(cpu)));
            let overlap = p.workers.iter().any(|cpu| p.cluster.contains(cpu));
            prop_assert_eq!(overlap, p.shared);
            prop_assert_eq!(p.shared, embedded && allowed.len() == 1);
            prop_assert_eq!(p.cluster.is_empty(), !embedded);
            prop_assert_eq!(p.siblings, []);
        }

        #[test]
        fn two_workers_share_a_core_only_when_no_core_is_idle(
            (machine, allowed) in machines(),
            number in 1_usize..64,
        ) {
            let number = number.min(allowed.len());
            let demand = demand(1, 1_000, false);
            let p = super::place(&allowed, &machine, &Cores::Number(number), &demand).unwrap();
            prop_assert_eq!(p.workers.len(), number);
            let cores = |cpus: &[usize]| -> BTreeSet<usize> {
                cpus.iter().map(|&cpu| machine.core(cpu)).collect()
            };
            prop_assert_eq!(cores(&p.workers).len(), number.min(cores(&allowed).len()));
            prop_assert_eq!(p.siblings.is_empty(), number <= cores(&allowed).len());
        }
    }
}
