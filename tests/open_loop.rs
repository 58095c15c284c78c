//! What an open loop shows and a closed one hides: against real nodes that stall, and with a
//! generator that is slow on purpose.
//!
//! Bounds are arithmetic on the plan. A host that is busy only makes things later, so the lower ones
//! are exact; the upper ones leave room for 100 ms of it.

#[path = "common/plan.rs"]
mod common;
#[path = "common/engine.rs"]
mod granted;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fanstorm::cluster::{Cluster, ClusterConfig};
use fanstorm::engine::{self, Progress, Stop};
use fanstorm::experiment::{self, Experiment};
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::{FixedRate, Profile, Window};
use fanstorm::load::trial::Trial;
use fanstorm::measure::interval::Counted;
use fanstorm::measure::latencies::Latencies;
use fanstorm::measure::outcome::{Class, Ending, Interval, TrialOutcome};
use fanstorm::measure::percentile::Percentile;
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::units::{Nanos, Rate};
use fanstorm::verdict::{Judged, Surroundings, Trust};
use serde_json::Value;

const PER_S: u64 = 500;
const MESSAGES: u64 = 1_500;
const PUSH: u64 = 3;
/// Copies of each message: 3 push sockets and one receive socket to each of 2 nodes.
const COPIES: u64 = 5;
const STALL_MS: u64 = 400;
/// A latency that only the stall can cause.
const LONG_MS: u64 = 200;

/// All runs of this file share CPUs: one at a time, or each would be the other's noise.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Quiet;

impl engine::Watch for Quiet {
    fn progress(&mut self, _: &Progress) {}
}

impl experiment::Watch for Quiet {
    fn trial(&mut self, _: &Judged) {}
}

fn run(plan: &Plan, stop: &Stop, watch: &mut dyn experiment::Watch) -> Judged {
    let surroundings = &Surroundings::default();
    let experiment = Experiment { plan, surroundings, baseline: None, stop };
    experiment.run(watch).unwrap().trials.remove(0)
}

/// A trial against two nodes, of which the first stops once for [`STALL_MS`].
fn stalled(profile: &Profile) -> Judged {
    let _alone = alone();
    let cluster = Cluster::start(&ClusterConfig {
        nodes: 2,
        faults: vec![format!("0:stall={STALL_MS}ms@300").parse().unwrap()],
        executable: Some(env!("CARGO_BIN_EXE_fanstorm").into()),
        clients: Some(64),
        ..ClusterConfig::default()
    })
    .unwrap();
    let spec = Spec {
        push_sockets: PUSH as u32,
        trials: Trial::each(&[MESSAGES], profile.clone(), Nanos::ZERO),
        ..Spec::default()
    };
    let plan = common::plan(cluster.node_urls(), spec);
    let run = run(&plan, &Stop::default(), &mut Quiet);
    assert!(run.complete(), "{:?}", run.delivery);
    run
}

/// What may be had on any host, and more than that only on one that did not stop by itself meanwhile:
/// looked for in up to three trials.
fn stalled_alone(profile: impl Into<Profile>, was_quiet: impl Fn(&Judged) -> bool) -> Judged {
    let profile = profile.into();
    let run = stalled(&profile);
    let again = (0..2).map(|_| stalled(&profile));
    std::iter::once(run)
        .chain(again)
        .find(was_quiet)
        .expect("one trial of three without more pauses")
}

/// Asks for the end as soon as an interval is over.
struct Impatient(Stop);

impl engine::Watch for Impatient {
    fn progress(&mut self, _: &Progress) {}

    fn interval(&mut self, _: &engine::Snapshot<'_>) {
        self.0.request();
    }
}

impl experiment::Watch for Impatient {
    fn trial(&mut self, _: &Judged) {}
}

/// What it was shown of each interval.
#[derive(Default)]
struct Shown {
    copies: Vec<u64>,
    so_far: Vec<u64>,
    lost: Vec<Vec<u64>>,
    spun: Vec<Vec<Nanos>>,
    counted: Vec<Counted>,
}

impl engine::Watch for Shown {
    fn progress(&mut self, _: &Progress) {}

    fn interval(&mut self, now: &engine::Snapshot<'_>) {
        self.copies.push(now.interval.copies);
        self.so_far.push(now.so_far.count());
        self.lost.push(now.lost.clone());
        self.spun.push(now.spun.clone());
        self.counted.push(now.counted);
    }
}

impl experiment::Watch for Shown {
    fn trial(&mut self, _: &Judged) {}
}

#[test]
fn whoever_looks_on_is_shown_the_whole_trial_so_far_and_the_node_that_died() {
    let _alone = alone();
    let cluster = Cluster::start(&ClusterConfig {
        nodes: 2,
        faults: vec!["1:exit@300".parse().unwrap()],
        executable: Some(env!("CARGO_BIN_EXE_fanstorm").into()),
        clients: Some(64),
        ..ClusterConfig::default()
    })
    .unwrap();
    let rate = Rate { micro_per_s: PER_S * 1_000_000 };
    let profile = FixedRate { rate, arrivals: InterArrival::Constant };
    let trials = Trial::each(&[MESSAGES], profile, Nanos::ZERO);
    let spec = Spec { push_sockets: PUSH as u32, trials, ..Spec::default() };
    let plan = common::plan(cluster.node_urls(), spec);
    let mut shown = Shown::default();
    let run = run(&plan, &Stop::default(), &mut shown);
    let rows = shown.copies.len();
    assert!((2..=run.intervals.len()).contains(&rows), "{:?}", shown.copies);
    for (row, so_far) in shown.so_far.iter().enumerate() {
        let until_then: u64 = shown.copies[..=row].iter().sum();
        assert!((until_then..=run.delivery.delivered).contains(so_far), "{row}: {so_far}");
    }
    // A copy is counted and timed at once, so that both are handed over together.
    for (counted, so_far) in shown.counted.iter().zip(&shown.so_far) {
        assert_eq!(counted.counts.delivered, *so_far);
        assert!(
            counted.lag > Some(Nanos::ZERO) && counted.lag <= run.lag_ns.as_ref().unwrap().max()
        );
    }
    // 300 messages at 500/s are over in the first second.
    assert_eq!(shown.lost[1], [0, 1], "{:?}", run.lost);
    let workers = plan.generator.workers();
    assert!(shown.spun.iter().all(|spun| spun.len() == workers && spun[0] > Nanos::ZERO));
}

#[test]
fn an_interrupted_trial_keeps_its_series_and_its_end() {
    let _alone = alone();
    let cluster = Cluster::start(&ClusterConfig {
        nodes: 2,
        executable: Some(env!("CARGO_BIN_EXE_fanstorm").into()),
        clients: Some(64),
        ..ClusterConfig::default()
    })
    .unwrap();
    let rate = Rate { micro_per_s: PER_S * 1_000_000 };
    let profile = FixedRate { rate, arrivals: InterArrival::Constant };
    // A minute's worth.
    let spec = Spec { trials: Trial::each(&[60 * PER_S], profile, Nanos::ZERO), ..Spec::default() };
    let plan = common::plan(cluster.node_urls(), spec);
    let stop = Stop::default();
    let run = run(&plan, &stop, &mut Impatient(stop.clone()));
    assert_eq!(run.ending, Ending::Interrupted);
    let sum = |of: fn(&Interval) -> u64| run.intervals.iter().map(of).sum::<u64>();
    assert_eq!((sum(|i| i.sent), sum(|i| i.copies)), (run.sent, run.delivery.delivered));
    assert!(run.intervals[0].copies > 0, "{:?}", run.intervals);
    // What came between the last boundary and the end is an interval, too.
    assert!(run.intervals.len() >= 2, "{:?}", run.intervals);
}

fn class(run: &TrialOutcome, class: Class) -> &Latencies {
    &run.latency_ns.iter().find(|(found, _)| *found == class).unwrap().1
}

fn long(run: &TrialOutcome, of: Class) -> u64 {
    let ns = class(run, of).histogram();
    ns.len() - ns.count_between(0, LONG_MS * 1_000_000)
}

#[test]
fn at_a_rate_a_stall_is_seen_by_every_message_that_was_due_in_it() {
    // A message that is due t before the end of the stall takes longer than t. One is due every 2 ms:
    // of those due more than 200 ms before the end there are (400 - 200) / 2.
    let due = (STALL_MS - LONG_MS) * PER_S / 1_000;
    let noise = 100 * PER_S / 1_000;
    let classes = [(Class::Response, COPIES), (Class::Completion, 1)];
    let rate = Rate { micro_per_s: PER_S * 1_000_000 };
    let run = stalled_alone(FixedRate { rate, arrivals: InterArrival::Constant }, |run| {
        for (of, each) in classes {
            let long = long(run, of);
            // One less for what shares a bucket of the histogram with the limit itself.
            assert!(long >= (due - 1) * each, "{of:?}: {long} of {}", due * each);
        }
        classes.iter().all(|&(of, each)| long(run, of) <= (due + noise) * each)
    });
    // The hundredth part with the longest latency are 15 messages, due in the first 30 ms.
    let first_ms = MESSAGES / 100 * 1_000 / PER_S;
    for of in [Class::Response, Class::Completion] {
        let (p99, max) =
            (Percentile::P99.of(class(&run, of)).unwrap(), class(&run, of).max().unwrap());
        assert!(p99 >= Nanos::from_millis(STALL_MS - first_ms - 1), "{of:?}: {p99}");
        assert!(max >= Nanos::from_millis(STALL_MS - 3), "{of:?}: {max}");
    }
    // The cluster did it, and not the generator; a host that gave us no CPU would be named too.
    let codes: Vec<_> = run.caveats.iter().map(|caveat| (caveat.code, caveat.severity)).collect();
    let blamed = codes.iter().any(|(_, severity)| *severity == Trust::Void);
    assert!(!blamed || codes.iter().any(|(code, _)| *code == "run-queue-wait"), "{codes:?}");
}

#[test]
fn in_closed_loop_a_stall_is_seen_only_by_the_few_messages_in_flight() {
    let in_flight = 4;
    stalled_alone(Window { in_flight }, |run| {
        let seen = long(run, Class::Completion);
        assert!(seen >= 1, "the stall is seen");
        let others = class(run, Class::Service).at_quantile(0.98);
        seen <= u64::from(in_flight) * PUSH && others < Nanos::from_millis(LONG_MS)
    });
}

fn fanstorm(flags: &[&str]) -> (Option<i32>, Value) {
    let _alone = alone();
    let output = Command::new(env!("CARGO_BIN_EXE_fanstorm"))
        .args(["--json", "-", "--quiet", "--nodes", "2"])
        .args(flags)
        .args(granted::flags(&flags.join(" ")))
        .output()
        .unwrap();
    let result = serde_json::from_slice(&output.stdout);
    (output.status.code(), result.unwrap_or_else(|e| panic!("{e}: {output:?}")))
}

#[test]
fn a_generator_that_is_slow_itself_makes_the_trial_void() {
    let (code, result) =
        fanstorm(&["--rate", "1k", "--messages", "1000", "--test-turn-delay", "5ms"]);
    assert_eq!(code, Some(5), "{result}");
    let run = &result["trials"][0];
    let caveats = run["verdict"]["caveats"].as_array().unwrap();
    let lag = caveats.iter().find(|caveat| caveat["code"] == "schedule-lag");
    assert_eq!(lag.expect("lag is named")["severity"], "void");
    // A message is due every millisecond, and looked for every five.
    assert!(run["generator"]["schedule_lag_us"]["p99"].as_f64().unwrap() >= 4_000.0);
}

#[test]
fn a_result_says_which_shape_it_has_and_leads_with_what_that_makes_meaningful() {
    let (_, rate) = fanstorm(&["--rate", "2k", "--duration", "50ms", "--arrivals", "poisson"]);
    let planned = &rate["plan"]["trials"][0];
    let plan = &planned["load"];
    assert_eq!((&plan["mode"], &plan["arrivals"]), (&"rate".into(), &"poisson".into()));
    assert_eq!((&plan["rate_per_s"], &planned["messages"]), (&2_000.0.into(), &100.into()));
    assert_eq!(plan["headline_latency"], "response");
    let response = &rate["trials"][0]["latency_us"]["response"];
    let (p50_ms, p50_us) = (&rate["summary"]["p50_ms"], &response["p50"]);
    // The same nanoseconds, rounded once in each unit.
    assert!((p50_ms.as_f64().unwrap() * 1e3 - p50_us.as_f64().unwrap()).abs() < 1e-3);
    let (_, window) = fanstorm(&["--in-flight", "4", "--messages", "100"]);
    let plan = &window["plan"]["trials"][0]["load"];
    assert_eq!((&plan["mode"], &plan["in_flight"]), (&"window".into(), &4.into()));
    assert_eq!(plan["headline_latency"], "service");
    assert!(window["trials"][0]["latency_us"].get("response").is_none());
    // Issue 11, A5: 100 messages of a schedule span 99 intervals; without one their time is all of it.
    let messages_within = |result: &Value| {
        let run = &result["trials"][0];
        let figure = |of: &str, key: &str| run[of][key].as_f64().unwrap();
        figure("throughput", "sent_per_s") * figure("time", "send_s")
    };
    assert!((messages_within(&rate) - 99.0).abs() < 0.1, "{rate}");
    assert!((messages_within(&window) - 100.0).abs() < 0.1, "{window}");
    assert!(rate["trials"][0]["throughput"]["scheduled_per_s"].as_f64().unwrap() > 0.0);
    assert!(window["trials"][0]["throughput"].get("scheduled_per_s").is_none());
    // A11: a process uses at least what its workers do, over the same copies.
    let (process, workers) =
        (&rate["summary"]["process_cpu_ns_per_copy"], &rate["summary"]["cpu_ns_per_copy"]);
    assert!(process.as_f64().unwrap() >= workers.as_f64().unwrap(), "{rate}");
    assert!(plan.get("rate_per_s").is_none() && planned["load"].get("in_flight").is_none());
}
