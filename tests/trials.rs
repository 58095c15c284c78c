//! Trials of one invocation that have the same number of messages, and differ in their rate.
//!
//! Belongs here: that each keeps its own name, figures and baseline, from the engine to the report. Does
//! not: how names are made (`load::trial`).

#[path = "common/plan.rs"]
mod common;

use fanstorm::cluster::{Cluster, ClusterConfig};
use fanstorm::engine::{self, Progress, Stop};
use fanstorm::experiment::Experiment;
use fanstorm::experiment::{Outcome, Watch};
use fanstorm::host::facts::HostFacts;
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::FixedRate;
use fanstorm::load::trial::Trial;
use fanstorm::measure::outcome::TrialOutcome;
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::report::document::Document;
use fanstorm::report::saved::{self, Saved};
use fanstorm::report::story::Story;
use fanstorm::report::text::Text;
use fanstorm::report::{Invocation, json, selection};
use fanstorm::units::{Bytes, Nanos, Rate};
use fanstorm::verdict::baseline::Baseline;
use fanstorm::verdict::{Judged, Surroundings};

const MESSAGES: u64 = 200;
const RATES: [f64; 2] = [2_000.0, 500.0];
const NAMES: [&str; 2] = ["m200-r2000", "m200-r500"];

struct Quiet;

impl engine::Watch for Quiet {
    fn progress(&mut self, _: &Progress) {}
}

impl Watch for Quiet {
    fn trial(&mut self, _: &Judged) {}
}

fn measured(plan: &Plan, baseline: Option<&Baseline>) -> Outcome {
    let (surroundings, stop) = (Surroundings::default(), Stop::default());
    let experiment = Experiment { plan, surroundings: &surroundings, baseline, stop: &stop };
    experiment.run(&mut Quiet).unwrap()
}

fn invocation() -> Invocation {
    Invocation {
        args: Vec::new(),
        started_unix_ms: 0,
        cluster: "embedded".to_owned(),
        placement: String::new(),
        cluster_cpus: Vec::new(),
        memory: Bytes(1),
        host: HostFacts::default(),
    }
}

/// The rate at which messages were due is a figure of what ran, and of no name.
fn rate_of(run: &TrialOutcome) -> f64 {
    run.scheduled_per_s.unwrap().round()
}

#[test]
fn two_rates_with_the_same_number_of_messages_are_two_trials_from_engine_to_report() {
    let executable = Some(env!("CARGO_BIN_EXE_fanstorm").into());
    let config = ClusterConfig { nodes: 1, relay: true, executable, ..ClusterConfig::default() };
    let cluster = Cluster::start(&config).unwrap();
    let at = |rate| {
        let arrivals = InterArrival::Constant;
        let profile = FixedRate { rate: Rate::per_second(rate), arrivals };
        Trial::new(profile, MESSAGES, Nanos::ZERO)
    };
    let trials = RATES.map(at).to_vec();
    let plan = common::plan(cluster.node_urls(), Spec { trials, ..Spec::default() });
    // In the other order: whoever took the first with as many messages would take the wrong one.
    let reversed = Plan { trials: plan.trials.iter().rev().cloned().collect(), ..plan.clone() };
    let floor = Baseline { trials: measured(&reversed, None).trials, ..Baseline::default() };
    let outcome = measured(&plan, Some(&floor));

    let rates: Vec<_> = outcome.trials.iter().map(|run| rate_of(run)).collect();
    assert_eq!(rates, RATES, "each ran at its own rate");
    for run in &outcome.trials {
        let held_against = floor.of(&run.id).expect("a trial of the same name");
        assert_eq!(rate_of(held_against), rate_of(run), "{}", run.id);
    }

    let document = Document::begun(&plan, &invocation()).calibrated(Some(&floor)).ended(&outcome);
    let bytes = json::to_bytes(&document).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    for (place, (name, rate)) in NAMES.into_iter().zip(RATES).enumerate() {
        assert_eq!(value["plan"]["trials"][place]["id"], name);
        assert_eq!(value["plan"]["trials"][place]["load"]["rate_per_s"], rate);
        assert_eq!(value["trials"][place]["id"], name);
        assert_eq!(value["calibration"]["trials"][1 - place]["id"], name);
    }

    let mut text = Vec::new();
    Text::new(false, None).all(&mut text, &Story::of(&document)).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("200 messages at 2 000/s, evenly spread (open loop); 200 messages at 500/s")
    );
    for name in NAMES {
        assert!(text.lines().any(|line| line.starts_with(name)), "a row for {name}: {text}");
    }
    assert!(text.contains("Latency, m = 200 (m200-r"), "{text}");

    // The file leads back to the same two.
    let Saved::Result(read) = saved::read(&bytes).unwrap().remove(0) else { panic!("a result") };
    assert_eq!(*read, document);
    let one = selection::trial(document.clone(), Some(NAMES[1])).unwrap();
    assert_eq!((one.trials.len(), one.trials[0].id.raw()), (1, NAMES[1]));
    assert_eq!(one.calibration.unwrap().trials[0].id.raw(), NAMES[1]);
    let unclear = selection::trial(document, Some("200")).unwrap_err().to_string();
    assert!(unclear.contains("several trials of 200") && unclear.contains(NAMES[0]), "{unclear}");
}
