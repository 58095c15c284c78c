//! The result file is a contract: its schema is published, what is produced keeps to it, and its
//! sums agree with each other whatever a cluster did to the copies. And it holds all that a report
//! tells: the text of a saved result is the text of the run.

#[path = "common/plan.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fanstorm::dialect::Dialect;
use fanstorm::experiment::{Outcome, Skipped};
use fanstorm::host::facts::HostFacts;
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::{Burst, FixedRate, Profile, Window};
use fanstorm::load::trial::Trial;
use fanstorm::measure::effort::Efforts;
use fanstorm::measure::interval::{Rest, Sent};
use fanstorm::measure::late::LateLog;
use fanstorm::measure::outcome::{Class, CoreUse, Ending, LostSocket, Opcodes};
use fanstorm::measure::recorder::Recorder;
use fanstorm::measure::sent::SentTimes;
use fanstorm::measure::tally::{Tally, TrialMerge};
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::population::sockets::SocketId;
use fanstorm::report::document::trial::TrialResult;
use fanstorm::report::story::{self, Story};
use fanstorm::report::text::Text;
use fanstorm::report::{Invocation, document::Document, json};
use fanstorm::units::{Bytes, Nanos, Rate};
use fanstorm::verdict::{Caveat, Judged, Trust};
use proptest::prelude::*;
use serde_json::Value;

const SCHEMA_FILE: &str = "docs/schema/fanstorm.result-2.json";

fn plan(push_sockets: u32, receivers_per_node: u32, nodes: usize, trials: Vec<Trial>) -> Plan {
    let urls: Vec<_> = (0..nodes).map(|i| format!("ws://127.0.0.1:{}/", 7101 + i)).collect();
    let receivers_per_node = Some(receivers_per_node);
    let dialect = Dialect::raw();
    let spec = Spec { dialect, push_sockets, receivers_per_node, trials, ..Spec::default() };
    let mut plan = common::plan(&urls, spec);
    plan.generator.cores = vec![0, 1];
    plan
}

fn invocation() -> Invocation {
    Invocation {
        args: vec!["--nodes".to_owned(), "\"3\"\n".to_owned()],
        started_unix_ms: 1_790_000_000_000,
        cluster: "embedded".to_owned(),
        placement: "each on a core of its own".to_owned(),
        cluster_cpus: vec![2, 3],
        memory: Bytes(1 << 20),
        host: HostFacts::read(),
    }
}

/// Of 100 copies so many are dropped, come twice, are altered, or are somebody else's.
type Fates = [u64; 4];

/// A trial through the real recorders and the real merge, every copy's fate drawn at random.
fn trial(plan: &Plan, trial: &Trial, fates: Fates, seed: u64) -> Judged {
    let mut rng = fastrand::Rng::with_seed(seed);
    let counts = plan.population().turns().share(trial.messages);
    let sent = Arc::new(SentTimes::new(&counts));
    for (sender, &count) in counts.iter().enumerate() {
        sent.stamp(sender, 0, count, Nanos(1_000));
    }
    let workers = plan.generator.cores.len();
    let tally = |worker| {
        let (nodes, sent) = (plan.nodes.len(), Arc::clone(&sent));
        let seats = seats(plan, worker);
        let mut recorder = Recorder::new(seats, nodes, &counts, &plan.audience, false, sent);
        deliver(&mut recorder, &counts, fates, &mut rng);
        let sent = counts.iter().skip(worker).step_by(workers).map(|&n| u64::from(n)).sum();
        let measured = Sent { warmup: 0, measured: sent };
        let rest = Rest { began: Nanos(1_000), sent: measured, efforts: Efforts::default() };
        Tally {
            late: LateLog::default(),
            core: CoreUse { cpu: worker, copies: recorder.seen(), ..CoreUse::default() },
            lost: Vec::new(),
            opcodes: Opcodes { text: recorder.seen(), ..Opcodes::default() },
            deflate: fanstorm::wire::deflate::DeflateCounts::default(),
            lag: None,
            stamps: None,
            clock_was_set: false,
            warmup_lag: None,
            rest,
            sent,
            sent_each: Vec::new(),
            first_send: Some(Nanos(1_000)),
            last_send: Nanos(2_000),
            recorder,
        }
    };
    let tallies = (0..workers).map(tally).collect();
    let merge = TrialMerge { plan, trial, sent: &sent, ending: Ending::Drained };
    Judged { outcome: merge.merge(tallies), caveats: Vec::new() }
}

/// A worker's share of the sockets: push sockets first, receive sockets node by node in turn.
fn seats(plan: &Plan, worker: usize) -> Vec<SocketId> {
    let (senders, nodes) = (plan.population().push_sockets(), plan.nodes.len() as u32);
    let node = |socket: u32| socket.checked_sub(senders).map_or(0, |receiver| receiver % nodes);
    let mine = (0..plan.sockets() as u32).skip(worker).step_by(plan.generator.cores.len());
    mine.map(|socket| SocketId { socket, node: node(socket) }).collect()
}

fn deliver(recorder: &mut Recorder, counts: &[u32], fates: Fates, rng: &mut fastrand::Rng) {
    let [dropped, twice, altered, foreign] = fates;
    let mut copies: Vec<(u32, u16, u64)> = Vec::new();
    for local in 0..recorder.seats.len() as u32 {
        for (sender, &count) in counts.iter().enumerate() {
            copies.extend((0..count).map(|i| (local, sender as u16, u64::from(i))));
        }
    }
    rng.shuffle(&mut copies);
    let mut now = Nanos(1_000);
    for (local, sender, sequence) in copies {
        now = now.plus(Nanos(rng.u64(1..5_000)));
        let times = match rng.u64(0..100) {
            fate if fate < dropped => 0,
            fate if fate < dropped + twice => 2,
            _ => 1,
        };
        (0..times).for_each(|_| recorder.copy(local, sender, sequence, None, now));
        recorder.counts.corrupt += u64::from(rng.u64(0..100) < altered);
        recorder.counts.foreign += u64::from(rng.u64(0..100) < foreign);
    }
}

fn produced(plan: &Plan, outcome: &Outcome) -> Value {
    let document = Document::begun(plan, &invocation()).ended(outcome);
    let bytes = json::to_bytes(&document).unwrap();
    assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1, "one line");
    let read: Document = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(read, document, "what is written can be read back, to the last digit");
    serde_json::from_slice(&bytes).unwrap()
}

/// All that can go wrong with a trial, in one trial.
fn ruined(plan: &Plan) -> Judged {
    let mut run = trial(plan, &Trial::bursts(&[500])[0], [20, 5, 5, 5], 7);
    run.outcome.saturated = 2;
    run.outcome.ending = Ending::Interrupted;
    run.outcome.lost = vec![
        LostSocket {
            socket: 1,
            node: 0,
            reached: None,
            at: Nanos::from_millis(12),
            idle: Some(Nanos::from_millis(7)),
            close_code: Some(1001),
            our_close_code: None,
            reason: "closed by the node: 1001 going away".to_owned(),
        },
        LostSocket {
            socket: 2,
            node: 0,
            reached: None,
            at: Nanos::from_millis(13),
            idle: None,
            close_code: None,
            our_close_code: Some(1002),
            reason: "a masked frame \u{7f}\"\\".to_owned(),
        },
    ];
    run.caveats = vec![Caveat {
        code: "cq-overflow",
        severity: Trust::Void,
        text: "17 µs".to_owned(),
        remedy: "--cores".to_owned(),
    }];
    run
}

fn edge_cases() -> Vec<(&'static str, Value)> {
    let (small, large) =
        (plan(1, 0, 1, Trial::bursts(&[1])), plan(3, 2, 3, Trial::bursts(&[500, 1_000])));
    let with =
        |trials, skipped, interrupted| Outcome { trials, skipped, interrupted, connecting: None };
    let skipped = vec![Skipped {
        trial: Trial::bursts(&[1_000]).remove(0),
        reason: "interrupted".to_owned(),
    }];
    let mut unsent = trial(&small, &small.trials[0], [100, 0, 0, 0], 1);
    unsent.outcome.sent = 0;
    unsent.outcome.send_time = None;
    unsent.outcome.receive_time = None;
    vec![
        ("no trials", produced(&small, &Outcome::default())),
        ("nothing but skipped trials", produced(&large, &with(vec![], skipped.clone(), true))),
        (
            "one message",
            produced(
                &small,
                &with(vec![trial(&small, &small.trials[0], [0; 4], 1)], vec![], false),
            ),
        ),
        ("nothing sent, nothing came", produced(&small, &with(vec![unsent], vec![], false))),
        (
            "clean",
            produced(
                &large,
                &with(vec![trial(&large, &large.trials[0], [0; 4], 1)], vec![], false),
            ),
        ),
        ("ruined", produced(&large, &with(vec![ruined(&large)], skipped, true))),
    ]
}

fn schema() -> Value {
    serde_json::to_value(json::schema()).unwrap()
}

#[test]
fn the_published_schema_is_the_schema_of_what_is_written() {
    let current = schema();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA_FILE);
    if std::env::var_os("FANSTORM_BLESS").is_some_and(|value| value == "1") {
        let text = format!("{}\n", serde_json::to_string_pretty(&current).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    // As values: whether keys are sorted depends on features that other crates choose.
    assert!(
        serde_json::from_str::<Value>(&published).is_ok_and(|published| published == current),
        "{SCHEMA_FILE} is not what the code writes; if that is meant, run \
         FANSTORM_BLESS=1 cargo test --test report, and say in CHANGELOG what was added"
    );
}

#[test]
fn what_is_written_keeps_to_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, result) in edge_cases() {
        let errors: Vec<_> = validator.iter_errors(&result).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn the_schema_refuses_what_was_never_agreed() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let (_, good) = edge_cases().pop().unwrap();
    let breaks: [fn(&mut Value); 6] = [
        |v| v["schema"] = "fanstorm.result/3".into(),
        |v| drop(v.as_object_mut().unwrap().remove("summary")),
        |v| drop(v["trials"][0]["delivery"].as_object_mut().unwrap().remove("missing")),
        |v| v["trials"][0]["verdict"]["trust"] = "fine".into(),
        |v| v["trials"][0]["messages"] = (-1).into(),
        |v| v["trials"][0]["latency_us"]["service"]["p50"] = "1 ms".into(),
    ];
    assert!(validator.is_valid(&good));
    for (index, break_it) in breaks.iter().enumerate() {
        let mut bad = good.clone();
        break_it(&mut bad);
        assert!(!validator.is_valid(&bad), "break {index} went through");
    }
}

#[test]
fn classes_that_a_burst_does_not_have_are_absent() {
    let (_, clean) = edge_cases().into_iter().find(|(name, _)| *name == "clean").unwrap();
    let classes: Vec<_> = clean["trials"][0]["latency_us"].as_object().unwrap().keys().collect();
    assert_eq!(classes, ["completion", "service", "spread"]);
}

#[test]
fn a_percentile_with_too_few_samples_is_null_and_never_the_maximum() {
    let (_, tiny) = edge_cases().into_iter().find(|(name, _)| *name == "one message").unwrap();
    let service = &tiny["trials"][0]["latency_us"]["service"];
    for percentile in ["p50", "p90", "p99", "p99_9", "p99_99"] {
        assert_eq!(service[percentile], Value::Null, "{percentile}");
    }
    assert!(service["max"].is_f64());
    assert_eq!(tiny["summary"]["p50_ms"], Value::Null);
}

#[test]
fn the_summary_takes_its_times_from_the_largest_complete_trial_and_its_counts_from_all() {
    let plan = plan(3, 1, 3, Trial::bursts(&[2_000, 1_000, 4_000]));
    let trials = vec![
        trial(&plan, &plan.trials[0], [0; 4], 1),
        trial(&plan, &plan.trials[1], [0; 4], 2),
        trial(&plan, &plan.trials[2], [10, 0, 0, 0], 3),
    ];
    let result = produced(&plan, &Outcome { trials, ..Outcome::default() });
    let (summary, first, last) = (&result["summary"], &result["trials"][0], &result["trials"][2]);
    assert_eq!(summary["messages"], 2_000);
    assert_eq!(summary["missing"], last["delivery"]["missing"]);
    assert!(summary["missing"].as_u64().unwrap() > 0);
    assert_eq!(summary["complete"], false);
    assert_eq!(summary["copies_per_s"], first["throughput"]["copies_per_s"]);
    let p99_us = first["latency_us"]["service"]["p99"].as_f64().unwrap();
    assert!((summary["p99_ms"].as_f64().unwrap() * 1e3 - p99_us).abs() < 1e-6);
}

#[test]
fn a_text_report_never_breaks_on_what_json_can_tell() {
    let (small, large) =
        (plan(1, 0, 1, Trial::bursts(&[1])), plan(3, 2, 30, Trial::bursts(&[500])));
    for (plan, run) in
        [(&small, trial(&small, &small.trials[0], [100, 0, 0, 0], 1)), (&large, ruined(&large))]
    {
        let outcome = Outcome { trials: vec![run], ..Outcome::default() };
        let document = Document::begun(plan, &invocation()).ended(&outcome);
        let mut out = Vec::new();
        Text::new(true, None).all(&mut out, &Story::of(&document)).unwrap();
        let report = String::from_utf8(out).unwrap();
        assert!(report.contains("verdict: \x1b["), "{report}");
    }
}

/// As the run prints it: piece by piece, from what it measured.
fn printed(plan: &Plan, outcome: &Outcome) -> String {
    let begun = Document::begun(plan, &invocation());
    let (mut out, text, story) = (Vec::new(), Text::new(true, None), Story::of(&begun));
    text.header(&mut out, &story).unwrap();
    for run in &outcome.trials {
        let trial = story::trial_row(&begun, &TrialResult::of(run), None);
        text.row(&mut out, &story.trials, &trial).unwrap();
    }
    text.end(&mut out, &Story::of(&begun.clone().ended(outcome))).unwrap();
    String::from_utf8(out).unwrap()
}

/// As it is printed from the file that the run has written.
fn rendered(plan: &Plan, outcome: &Outcome) -> String {
    let document = Document::begun(plan, &invocation()).ended(outcome);
    let mut bytes = json::to_bytes(&document).unwrap();
    let read: Document = simd_json::from_slice(&mut bytes).unwrap();
    assert_eq!(read, document, "to the last digit");
    let mut out = Vec::new();
    Text::new(true, None).all(&mut out, &Story::of(&read)).unwrap();
    String::from_utf8(out).unwrap()
}

/// Every shape of load, with figures that do not divide.
fn profile(which: u8, seed: u64) -> Profile {
    let rate = Rate { micro_per_s: 1 + seed % 1_000_000_000_000_000 };
    match which {
        0 => Burst.into(),
        1 => Window { in_flight: 1 + (seed % 1_000) as u32 }.into(),
        2 => FixedRate { rate, arrivals: InterArrival::Constant }.into(),
        _ => FixedRate { rate, arrivals: InterArrival::Poisson { seed } }.into(),
    }
}

/// What a run may add to a trial besides copies that are late or do not come.
fn spoil(judged: &mut Judged, spoilt: &Outcome, seed: u64) {
    let other = &spoilt.trials[0];
    let run = &mut judged.outcome;
    let mut rng = fastrand::Rng::with_seed(seed);
    run.saturated = u64::from(rng.bool()) * rng.u64(..1_000);
    let time = |rng: &mut fastrand::Rng| rng.bool().then(|| Nanos(rng.u64(..1 << 42)));
    (run.send_time, run.receive_time) = (time(&mut rng), time(&mut rng));
    run.process_cpu = time(&mut rng);
    run.scheduled_per_s = rng.bool().then(|| f64::from(rng.u32(..)) / 64.0);
    run.stamp_resolution = Nanos(1 + rng.u64(..2) * 49_999);
    run.ending = rng
        .choice([Ending::Complete, Ending::SocketsLost, Ending::Interrupted])
        .unwrap_or(run.ending);
    for core in &mut run.cores {
        core.cpu_time = Nanos(rng.u64(..1 << 40));
        core.wall = Nanos(1 + rng.u64(..1 << 40));
        core.reads = rng.u64(..1 << 40);
        core.longest_turn = Nanos(rng.u64(..1 << 40));
    }
    if rng.bool() {
        run.lost.clone_from(&other.lost);
        judged.caveats.clone_from(&other.caveats);
    }
    if rng.bool() {
        run.sent = run.messages / 2;
    }
    if rng.bool() {
        let (_, ns) = run.latency_ns[0].clone();
        run.lag_ns = Some(ns.clone());
        run.latency_ns.insert(0, (Class::Response, ns));
    }
}

fn of(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn sum(values: &Value, key: &str) -> u64 {
    values.as_array().unwrap().iter().map(|value| of(value, key)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_saved_result_is_told_as_the_run_told_it(
        push_sockets in 1_u32..5,
        receivers_per_node in 0_u32..3,
        nodes in 1_usize..15,
        rows in proptest::collection::vec((1_u64..200, [0_u64..60, 0_u64..20, 0_u64..20, 0_u64..20]), 0..4),
        which in 0_u8..4,
        interrupted: bool,
        seed: u64,
    ) {
        let messages: Vec<u64> = rows.iter().map(|(messages, _)| *messages).collect();
        let messages = if messages.is_empty() { vec![7] } else { messages };
        let trials = Trial::each(&messages, profile(which, seed), Nanos::ZERO);
        let plan = plan(push_sockets, receivers_per_node, nodes, trials);
        let spoilt = Outcome { trials: vec![ruined(&plan)], ..Outcome::default() };
        let trials = rows.iter().enumerate().map(|(index, (_, fates))| {
            let mut run = trial(&plan, &plan.trials[index], *fates, seed);
            spoil(&mut run, &spoilt, seed ^ index as u64);
            run
        });
        let trials = trials.collect();
        let trial = Trial { messages: u64::MAX, ..plan.trials[0].clone() };
        let skipped = Skipped { trial, reason: "a \"reason\"".to_owned() };
        let skipped = if interrupted { vec![skipped] } else { vec![] };
        let outcome = Outcome { trials, skipped, interrupted, connecting: None };
        prop_assert_eq!(rendered(&plan, &outcome), printed(&plan, &outcome));
    }

    #[test]
    fn the_sums_of_a_result_agree_whatever_was_done_to_the_copies(
        push_sockets in 1_u32..5,
        receivers_per_node in 0_u32..3,
        nodes in 1_usize..4,
        messages in 1_u64..300,
        fates in [0_u64..60, 0_u64..20, 0_u64..20, 0_u64..20],
        seed: u64,
    ) {
        let plan = plan(push_sockets, receivers_per_node, nodes, Trial::bursts(&[messages]));
        let trials = vec![trial(&plan, &plan.trials[0], fates, seed)];
        let result = produced(&plan, &Outcome { trials, ..Outcome::default() });
        let run = &result["trials"][0];
        let delivery = &run["delivery"];
        let sockets = u64::from(push_sockets) + u64::from(receivers_per_node) * nodes as u64;

        prop_assert_eq!(of(delivery, "expected"), messages * sockets);
        prop_assert_eq!(of(delivery, "expected"), of(delivery, "delivered") + of(delivery, "missing"));
        let kinds = ["delivered", "duplicate", "misdelivered", "earlier", "foreign", "corrupt"];
        let kinds = kinds.map(|key| of(delivery, key));
        prop_assert_eq!(of(delivery, "seen"), kinds.iter().sum::<u64>());

        let matrix = &run["matrix"];
        prop_assert_eq!(sum(matrix, "copies"), of(delivery, "delivered"));
        prop_assert_eq!(sum(matrix, "expected"), of(delivery, "expected"));
        prop_assert_eq!(sum(matrix, "missing"), of(delivery, "missing"));

        prop_assert_eq!(of(&run["latency_us"]["service"], "count"), of(delivery, "delivered"));
        prop_assert_eq!(sum(&run["gaps"], "missing"), of(delivery, "missing"));
        for gap in run["gaps"].as_array().unwrap() {
            let length = |range: &Value| 1 + range[1].as_u64().unwrap() - range[0].as_u64().unwrap();
            let named: u64 = gap["ranges"].as_array().unwrap().iter().map(length).sum();
            let truncated = gap["truncated"].as_bool().unwrap();
            prop_assert_eq!(named < of(gap, "missing"), truncated);
            prop_assert!(named <= of(gap, "missing"));
        }

        for key in
            ["expected", "delivered", "missing", "duplicate", "misdelivered", "foreign", "corrupt"]
        {
            prop_assert_eq!(of(&result["summary"], key), of(delivery, key), "{}", key);
        }
        let whole = kinds[1] + kinds[2] + kinds[5] + of(delivery, "missing") == 0;
        prop_assert_eq!(result["summary"]["complete"].as_bool(), Some(whole));
    }
}
