//! What a plan says it takes in memory against what its workers lay out.

#[path = "common/plan.rs"]
mod common;

use std::sync::Arc;

use fanstorm::dialect::Dialect;
use fanstorm::engine::spread::spread;
use fanstorm::measure::correlate::Correlator;
use fanstorm::measure::recorder::{MessageTimes, Recorder};
use fanstorm::measure::sent::{SentTimes, share};
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;

const MESSAGES: u64 = 1_003;

fn plan(spec: Spec, nodes: u16, cores: usize) -> Plan {
    let urls: Vec<_> = (1..=nodes).map(|port| format!("ws://127.0.0.1:{port}/")).collect();
    Plan { cores: (0..cores).collect(), ..common::plan(&urls, spec) }
}

/// What every worker of the plan records into.
fn recorders(plan: &Plan) -> Vec<Recorder> {
    let counts = share(MESSAGES, plan.push_sockets);
    let sent = Arc::new(SentTimes::new(&counts));
    let recorder = |seats| {
        let correlates = plan.dialect.correlates();
        Recorder::new(seats, plan.nodes.len(), &counts, plan.fan_out, correlates, Arc::clone(&sent))
    };
    spread(plan).into_iter().map(recorder).collect()
}

#[test]
fn a_plan_names_the_bytes_that_its_workers_lay_out() {
    for (dialect, push_sockets, receivers, nodes, cores) in [
        (Dialect::dsatter(), 3, 1, 3, 1),
        (Dialect::dsatter(), 5, 2, 2, 2),
        (Dialect::raw(), 1, 7, 3, 4),
    ] {
        let receivers_per_node = Some(receivers);
        let spec = Spec { dialect, push_sockets, receivers_per_node, ..Spec::default() };
        let plan = plan(spec, nodes, cores);
        let (need, recorders) = (plan.memory(MESSAGES), recorders(&plan));
        let sum = |of: &dyn Fn(&Recorder) -> usize| recorders.iter().map(of).sum::<usize>() as u64;

        assert_eq!(need.ledger_bytes, sum(&|r| r.ledger.bytes()));
        assert_eq!(need.ids_bytes, sum(&|r| r.correlator.as_ref().map_or(0, Correlator::bytes)));
        let times = sum(&|r| size_of_val(r.times.as_slice()));
        assert_eq!(times, MESSAGES * size_of::<MessageTimes>() as u64 * cores as u64);
        assert_eq!(need.times_bytes, times + MESSAGES * size_of::<u64>() as u64);
        let histograms = sum(&|r| {
            r.records.measured.headline.iter().map(|l| l.histogram().distinct_values() * 8).sum()
        });
        assert!(need.histograms_bytes > histograms, "merging takes some more");
    }
}
