//! What a plan says it takes in memory against what its workers lay out.

#[path = "common/plan.rs"]
mod common;

use std::sync::Arc;

use fanstorm::dialect::Dialect;
use fanstorm::engine::spread::spread;
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::{Burst, FixedRate, Profile, Window};
use fanstorm::load::schedule::Timetable;
use fanstorm::load::trial::Trial;
use fanstorm::measure::correlate::Correlator;
use fanstorm::measure::latencies::Latencies;
use fanstorm::measure::recorder::{Copies, MessageTimes, Recorder, Records};
use fanstorm::measure::sent::SentTimes;
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::population::audience::Audience;
use fanstorm::population::fan_out::FanOut;
use fanstorm::units::Nanos;

const MESSAGES: u64 = 1_003;
const POISSON: InterArrival = InterArrival::Poisson { seed: 1 };

fn plan(spec: Spec, nodes: u16, cores: usize) -> Plan {
    let urls: Vec<_> = (1..=nodes).map(|port| format!("ws://127.0.0.1:{port}/")).collect();
    let mut plan = common::plan(&urls, spec);
    plan.generator.cores = (0..cores).collect();
    plan
}

/// What every worker of the plan records into.
fn recorders(plan: &Plan) -> Vec<Recorder> {
    let counts = plan.population().turns().share(MESSAGES);
    let sent = Arc::new(SentTimes::new(&counts));
    let recorder = |seats| {
        let (nodes, correlates) = (plan.nodes.len(), plan.dialect.correlates());
        let sent = Arc::clone(&sent);
        let mut recorder = Recorder::new(seats, nodes, &counts, &plan.audience, correlates, sent);
        if let Some(schedule) = plan.trials[0].schedule() {
            let warms_up = plan.trials[0].warmup > Nanos::ZERO;
            recorder.follow(Timetable::new(schedule, plan.population().push_sockets()), warms_up);
        }
        recorder
    };
    spread(plan.population(), plan.generator.workers()).into_iter().map(recorder).collect()
}

/// Who hears whom.
#[derive(Clone, Copy)]
enum Hear {
    By(FanOut),
    /// Sockets go round so many rooms.
    InRooms(u32, FanOut),
}

impl Hear {
    fn of(self, plan: Plan) -> Plan {
        let population = *plan.population();
        let audience = match self {
            Self::By(fan_out) => Audience::new(population, fan_out),
            Self::InRooms(count, fan_out) => {
                let rooms: Vec<_> = (0..population.sockets()).map(|k| k % count).collect();
                Audience::in_rooms(population, fan_out, &rooms)
            }
        };
        Plan { audience, ..plan }
    }
}

fn histogram_bytes(copies: &Copies) -> usize {
    let all = copies.headline.iter().chain(&copies.service);
    all.map(|latencies| latencies.histogram().distinct_values() * 8).sum()
}

#[test]
fn a_plan_names_the_bytes_that_its_workers_lay_out() {
    let rate = |warmup_s| {
        let shape = FixedRate { rate: "100/s".parse().unwrap(), arrivals: POISSON };
        (Profile::from(shape), warmup_s)
    };
    let burst = || (Burst.into(), 0);
    for (dialect, (push_sockets, receivers), nodes, cores, (profile, warmup_s), hear) in [
        (Dialect::dsatter(), (3, 1), 3, 1, burst(), Hear::By(FanOut::All)),
        (Dialect::dsatter(), (5, 2), 2, 2, rate(0), Hear::By(FanOut::Others)),
        (Dialect::raw(), (1, 7), 3, 4, rate(1), Hear::By(FanOut::All)),
        (Dialect::raw(), (4, 1), 2, 2, (Window { in_flight: 3 }.into(), 0), Hear::By(FanOut::All)),
        (Dialect::raw(), (70, 0), 1, 2, burst(), Hear::By(FanOut::Own)),
        (Dialect::raw(), (6, 9), 2, 3, burst(), Hear::InRooms(3, FanOut::All)),
        // Rooms that nobody publishes into, too.
        (Dialect::dsatter(), (2, 9), 2, 3, burst(), Hear::InRooms(5, FanOut::Others)),
    ] {
        let (receivers_per_node, warmup) = (Some(receivers), Nanos::from_secs(warmup_s));
        let spec = Spec {
            dialect,
            push_sockets,
            receivers_per_node,
            trials: vec![Trial::new(profile.clone(), MESSAGES, warmup)],
            ..Spec::default()
        };
        let plan = hear.of(plan(spec, nodes, cores));
        let (need, recorders) = (plan.memory(&plan.trials[0]), recorders(&plan));
        let sum = |of: &dyn Fn(&Recorder) -> usize| recorders.iter().map(of).sum::<usize>() as u64;

        assert_eq!(need.ledger_bytes, sum(&|r| r.ledger.bytes()));
        assert_eq!(need.ids_bytes, sum(&|r| r.correlator.as_ref().map_or(0, Correlator::bytes)));
        let times = sum(&|r| size_of_val(r.times.as_slice()));
        assert_eq!(times, MESSAGES * size_of::<MessageTimes>() as u64 * cores as u64);
        assert_eq!(need.times_bytes, times + MESSAGES * size_of::<u64>() as u64);
        let drawn = if profile.is_open_loop() { MESSAGES * size_of::<u64>() as u64 } else { 0 };
        assert_eq!(need.schedule_bytes, drawn);

        // Workers record into one set and have handed over another; the collector has three, and
        // each class is merged into one. Lag is a worker's own.
        let recorded = sum(&|r| {
            let Records { measured, warmup, .. } = &r.records;
            histogram_bytes(measured) + warmup.as_ref().map_or(0, histogram_bytes)
        });
        let one = Latencies::new().histogram().distinct_values() as u64 * 8;
        let (open_loop, phases) = (u64::from(profile.is_open_loop()), 1 + warmup_s);
        let lag_and_classes = (open_loop * cores as u64 + 3 + 3 * open_loop) * phases * one;
        let sets = 2 * recorded + 3 * recorded / cores as u64;
        assert_eq!(need.histograms_bytes, sets + lag_and_classes);
    }
}
