//! What a run's rings take of the process's descriptors, counted while it runs.
//!
//! Belongs here: that the plan counts what the workers open. Does not: the arithmetic of limits
//! (`plan::descriptors`, `host::limits`). One test alone in its process: others would open some, too.

#[path = "common/plan.rs"]
mod common;
#[path = "common/io_uring.rs"]
mod io_uring;

use std::sync::Arc;

use fanstorm::cluster::{Cluster, ClusterConfig};
use fanstorm::engine::{Fleet, Phase, Progress, Stop, Watch};
use fanstorm::load::trial::Trial;
use fanstorm::plan::Plan;
use fanstorm::plan::connect_options::Descriptors;
use fanstorm::plan::descriptors::Rings;
use fanstorm::plan::load::Spec;

/// Counts the descriptors of rings once copies come.
#[derive(Default)]
struct Look(Option<usize>);

impl Watch for Look {
    fn progress(&mut self, progress: &Progress) {
        if matches!(progress.phase, Phase::Running { .. }) && self.0.is_none() {
            self.0 = Some(open());
        }
    }
}

/// Rings and eventfds of this process, by what the kernel calls them.
fn open() -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let kinds = ["anon_inode:[io_uring]", "anon_inode:[eventfd]"];
    targets.filter(|target| kinds.iter().any(|kind| target.as_os_str() == *kind)).count()
}

/// How many they are while `plan` runs, over those before.
fn taken(plan: &Plan) -> usize {
    let before = open();
    let mut look = Look::default();
    let mut fleet = Fleet::connect(Arc::new(plan.clone()), &Stop::default(), &mut look).unwrap();
    let measured = fleet.trial(&plan.trials[0], true, &mut look).unwrap();
    assert_eq!(measured.outcome.delivery.missing, 0);
    look.0.expect("a look") - before
}

#[test]
fn a_plan_counts_each_descriptor_that_the_rings_of_its_workers_take() {
    if !io_uring::is_granted("descriptors of rings") {
        return;
    }
    let executable = Some(env!("CARGO_BIN_EXE_fanstorm").into());
    let config = ClusterConfig { nodes: 1, relay: true, executable, ..ClusterConfig::default() };
    let cluster = Cluster::start(&config).unwrap();
    let spec = |descriptors| {
        let mut spec = Spec {
            receivers_per_node: Some(40),
            push_sockets: 2,
            trials: Trial::bursts(&[20]),
            ..Spec::default()
        };
        spec.dialing.descriptors = descriptors;
        spec
    };
    let workers = std::thread::available_parallelism().unwrap().get().min(2);
    for workers in 1..=workers {
        let plan = |descriptors, limit| {
            let mut plan = common::plan(cluster.node_urls(), spec(descriptors));
            let rings =
                Rings::within(limit, descriptors, plan.generator.engine, plan.sockets(), workers);
            plan.generator.cores = (0..workers).collect();
            plan.generator.rings = rings.unwrap();
            plan
        };
        // 42 sockets: in one table, in several of each worker, and in the process's.
        for (limit, rings_each) in [(42, 1), (42_usize.div_ceil(workers * 3) as u64, 3)] {
            let plan = plan(Descriptors::Direct, limit);
            assert_eq!(
                (plan.generator.rings.each, plan.generator.bells() > 0),
                (rings_each, rings_each > 1)
            );
            assert_eq!(
                taken(&plan),
                plan.generator.rings() + plan.generator.bells(),
                "{workers} x {rings_each}"
            );
        }
        let plan = plan(Descriptors::Process, 42);
        assert_eq!(
            taken(&plan),
            plan.generator.rings() + plan.generator.bells(),
            "{workers} without tables"
        );
    }
}
