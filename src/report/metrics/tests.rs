//! Tests of what is served, read back by a reader of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::exposition::{Format, text};
use super::*;
use crate::measure::interval::Counted;
use crate::measure::latencies::Latencies;
use crate::measure::outcome::{Delivery, Interval, MatrixCell};
use crate::measure::reached::Reached;
use crate::measure::recorder::{Counts, Records};
use crate::report::document::trial::TrialResult;
use crate::report::document::{Document, Node};
use crate::report::fixture::{begun, invocation, plan, trusted, whole};
use crate::report::situations::outcome;
use crate::verdict::{Caveat, Judged, Trust};

type Labels = BTreeMap<String, String>;

/// Every sample: its name, its labels, its value. Escapes are undone one character after the other.
fn samples(text: &str) -> BTreeMap<(String, Labels), f64> {
    let mut read = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.rsplit_once(' ').expect("a value");
        let (name, mut rest) = key.split_once('{').unwrap_or((key, ""));
        let mut labels = Labels::new();
        while let Some((label, behind)) = rest.split_once("=\"") {
            let (mut held, mut chars) = (String::new(), behind.char_indices());
            let end = loop {
                match chars.next().expect("the label ends") {
                    (at, '"') => break at,
                    (_, '\\') => held.push(match chars.next().expect("an escape").1 {
                        'n' => '\n',
                        other => other,
                    }),
                    (_, other) => held.push(other),
                }
            };
            labels.insert(label.trim_start_matches(',').to_owned(), held);
            rest = &behind[end + 1..];
        }
        let value = value.parse().expect("a number");
        let twice = read.insert((name.to_owned(), labels), value);
        assert_eq!(twice, None, "{line}");
    }
    read
}

struct Read(BTreeMap<(String, Labels), f64>);

impl Read {
    fn of(metrics: &Metrics) -> Self {
        let (open, plain) = (text(metrics, Format::OpenMetrics), text(metrics, Format::Prometheus));
        assert!(open.ends_with("\n# EOF\n") && !plain.contains("\n# EOF"));
        let read = samples(&open);
        assert_eq!(read, samples(&plain), "both formats say the same");
        Self(read)
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let key = (name.to_owned(), labels);
        *self.0.get(&key).unwrap_or_else(|| panic!("no {key:?} in {:?}", self.0.keys()))
    }

    fn all(&self, name: &str) -> Vec<(&Labels, f64)> {
        let of = self.0.iter().filter(|((sample, _), _)| sample == name);
        of.map(|((_, labels), value)| (labels, *value)).collect()
    }
}

fn planned(messages: &[u64]) -> Metrics {
    let mut metrics = Metrics::new(1_500);
    metrics.plan(&begun(messages));
    metrics
}

fn ended(metrics: &mut Metrics, judged: &Judged) -> TrialResult {
    let result = TrialResult::of(judged);
    metrics.trial(judged, &result);
    result
}

#[test]
fn the_end_of_a_trial_is_what_the_result_has() {
    let mut metrics = planned(&[100]);
    let mut run = whole(100);
    run.delivery = Delivery {
        expected: 600,
        delivered: 590,
        missing: 10,
        duplicate: 3,
        misdelivered: 2,
        out_of_order: 4,
        foreign: 5,
        corrupt: 1,
        ..run.delivery
    };
    run.matrix[2].delivered = 90;
    let (severity, text, remedy) = (Trust::Void, String::new(), String::new());
    let caveats = vec![Caveat { code: "schedule-lag", severity, text, remedy }];
    let judged = Judged { outcome: run, caveats };
    let result = ended(&mut metrics, &judged);
    let read = Read::of(&metrics);
    let (trial, delivery) = (("trial", "m100"), &result.delivery);
    for (name, count) in [
        ("fanstorm_copies_expected", delivery.expected),
        ("fanstorm_copies_delivered_total", delivery.delivered),
        ("fanstorm_copies_missing", delivery.missing),
        ("fanstorm_copies_duplicate_total", delivery.duplicate),
        ("fanstorm_copies_misdelivered_total", delivery.misdelivered),
        ("fanstorm_copies_out_of_order_total", delivery.out_of_order),
        ("fanstorm_copies_corrupt_total", delivery.corrupt),
        ("fanstorm_messages_foreign_total", delivery.foreign),
        ("fanstorm_messages_sent_total", result.sent),
        ("fanstorm_trial_ended", 1),
    ] {
        assert_eq!(read.value(name, &[trial]), count as f64, "{name}");
    }
    for (class, latency) in &judged.latency_ns {
        let labels = [trial, ("class", class.key())];
        assert_eq!(read.value("fanstorm_latency_seconds_count", &labels), latency.len() as f64);
        let max = latency.max().unwrap().as_secs_f64();
        assert_eq!(read.value("fanstorm_latency_max_seconds", &labels), max);
    }
    let node = &begun(&[100]).plan.nodes[2];
    let labels = [trial, ("node", node.url.raw()), ("reached", "")];
    assert_eq!(read.value("fanstorm_node_copies_missing", &labels), 10.0);
    assert_eq!(read.value("fanstorm_verdict", &[trial, ("verdict", "void")]), 1.0);
    assert_eq!(read.value("fanstorm_verdict", &[trial, ("verdict", "ok")]), 0.0);
    let caveat = [trial, ("code", "schedule-lag"), ("severity", "void")];
    assert_eq!(read.value("fanstorm_caveat", &caveat), 1.0);
    assert_eq!(read.value("fanstorm_start_time_seconds", &[]), 1.5);
}

#[test]
fn copies_that_came_late_are_in_the_account_when_all_is_over() {
    let mut metrics = planned(&[10]);
    let mut run = whole(10);
    ended(&mut metrics, &trusted(run.clone()));
    run.delivery.duplicate = 7;
    metrics.end(&begun(&[10]).ended(&outcome(vec![run])));
    let read = Read::of(&metrics);
    assert_eq!(read.value("fanstorm_copies_duplicate_total", &[("trial", "m10")]), 7.0);
    assert_eq!(read.value("fanstorm_phase", &[("phase", "ended")]), 1.0);
    assert_eq!(read.all("fanstorm_phase").iter().map(|(_, value)| value).sum::<f64>(), 1.0);
}

fn interval(warmup: bool, sent: u64, missing_so_far: u64) -> Interval {
    Interval {
        start: Nanos::ZERO,
        length: Nanos::from_secs(1),
        warmup,
        sent,
        missing_so_far,
        ..Interval::default()
    }
}

#[test]
fn while_a_trial_runs_seconds_add_up_and_what_is_missing_is_that_of_now() {
    let mut metrics = planned(&[100]);
    let mut so_far = Records::new(3, false, true);
    for (node, ms) in [(0, 2), (1, 3), (1, 40)] {
        so_far.measured.headline[node].record(Nanos::from_millis(ms));
    }
    metrics.progress(Phase::Run, 40, 600);
    let counts = Counts { duplicate: 2, foreign: 1, ..Counts::default() };
    let rows = [(true, 10, 4), (true, 5, 3), (false, 20, 6), (false, 30, 9)];
    for (warmup, sent, missing) in rows {
        metrics.second(&Second {
            interval: &interval(warmup, sent, missing),
            so_far: &so_far,
            counted: Counted { counts, lag: Some(Nanos::from_micros(70)) },
            reached: None,
            lost: &[0, 1, 0],
            busy: &[0.25],
        });
    }
    let (read, trial) = (Read::of(&metrics), ("trial", "m100"));
    assert_eq!(read.value("fanstorm_messages_sent_total", &[trial]), 65.0);
    assert_eq!(read.value("fanstorm_copies_missing", &[trial]), 12.0);
    assert_eq!(read.value("fanstorm_copies_delivered_total", &[trial]), 40.0);
    assert_eq!(read.value("fanstorm_copies_duplicate_total", &[trial]), 2.0);
    assert_eq!(read.value("fanstorm_schedule_lag_max_seconds", &[trial]), 7e-5);
    assert_eq!(read.value("fanstorm_worker_busy_ratio", &[trial, ("cpu", "1")]), 0.25);
    assert_eq!(read.value("fanstorm_trial_ended", &[trial]), 0.0);
    let node = begun(&[100]).plan.nodes[1].url.raw().to_owned();
    assert_eq!(read.value("fanstorm_sockets_lost_total", &[trial, ("node", &node)]), 1.0);
    let labels = [trial, ("node", &*node), ("reached", ""), ("le", "0.004")];
    assert_eq!(read.value("fanstorm_node_latency_seconds_bucket", &labels), 1.0);
    let labels = [trial, ("class", "service")];
    assert_eq!(read.value("fanstorm_latency_seconds_count", &labels), 3.0);
}

/// A plan of many nodes whose names are made to break out of a label.
fn crowd(nodes: usize, messages: &[u64]) -> Document {
    let mut begun = Document::begun(&plan(messages), &invocation());
    let url = |node: usize| format!("ws://n{node}/\"}} 1\n# EOF\n\\{}", "ü".repeat(5_000)).into();
    begun.plan.nodes = (0..nodes).map(|node| Node { url: url(node) }).collect();
    begun
}

fn on_all(nodes: usize, messages: u64) -> Judged {
    let mut run = whole(messages);
    let reached =
        |node| Reached { node, name: Some(format!("n\"{node}\n")), sockets: 1, push_sockets: 0 };
    let cell = |to| MatrixCell {
        from: 0,
        to,
        reached: Some(reached(to)),
        expected: 3,
        delivered: 2,
        latency_ns: Latencies::from_iter([Nanos::from_micros(20)]),
    };
    run.matrix = (0..nodes).map(cell).collect();
    trusted(run)
}

#[test]
fn nodes_take_few_labels_and_none_of_them_breaks_out_of_its_own() {
    let mut metrics = Metrics::new(0);
    metrics.plan(&crowd(100, &[10]));
    ended(&mut metrics, &on_all(100, 10));
    let text = text(&metrics, Format::OpenMetrics);
    assert_eq!(text.matches("\n# EOF").count(), 1, "only its own end");
    let read = Read::of(&metrics);
    let missing = read.all("fanstorm_node_copies_missing");
    assert_eq!(missing.len(), NODES_MAX + 1);
    assert_eq!(missing.iter().map(|(_, value)| value).sum::<f64>(), 100.0, "nothing is left out");
    let others = missing.iter().find(|(labels, _)| labels["node"] == OTHERS).unwrap();
    assert_eq!(others.1, (100 - NODES_MAX) as f64);
    let counts = read.all("fanstorm_node_latency_seconds_count");
    assert_eq!(counts.iter().map(|(_, value)| value).sum::<f64>(), 100.0);
    assert!(text.lines().all(|line| line.len() < 2_000));
}

#[test]
fn the_oldest_trials_go_and_before_them_their_figures_by_node() {
    let messages: Vec<u64> = (1..=TRIALS_MAX as u64 + 10).collect();
    let mut metrics = Metrics::new(0);
    metrics.plan(&crowd(100, &messages));
    for &messages in &messages {
        ended(&mut metrics, &on_all(100, messages));
    }
    let read = Read::of(&metrics);
    let trials = |name: &str| -> BTreeSet<String> {
        read.all(name).iter().map(|(labels, _)| labels["trial"].clone()).collect()
    };
    let newest = |many: usize| -> BTreeSet<String> {
        messages.iter().rev().take(many).map(|messages| format!("m{messages}")).collect()
    };
    assert_eq!(trials("fanstorm_copies_expected"), newest(TRIALS_MAX));
    assert_eq!(trials("fanstorm_node_latency_seconds_count"), newest(ROWS_MAX / (NODES_MAX + 1)));
    assert_eq!(read.value("fanstorm_trials_ended_total", &[]), messages.len() as f64);
}

/// Two of one address, two that differ where names are cut.
#[test]
fn nodes_of_one_name_are_told_apart_by_their_places() {
    let long = |end: &str| format!("ws://n/{}{end}", "x".repeat(300));
    let urls =
        ["ws://a/".to_owned(), "ws://b/".to_owned(), "ws://a/".to_owned(), long("1"), long("2")];
    let mut begun = begun(&[10]);
    begun.plan.nodes = urls.iter().map(|url| Node { url: url.clone().into() }).collect();
    let mut metrics = Metrics::new(0);
    metrics.plan(&begun);
    ended(&mut metrics, &on_all(urls.len(), 10));
    let read = Read::of(&metrics);
    let cut: String = long("").chars().take(200).collect();
    let names = ["ws://a/ (node 0)", "ws://b/", "ws://a/ (node 2)"].map(str::to_owned);
    let cut = [3, 4].map(|place| format!("{cut} (node {place})"));
    for (node, name) in names.iter().chain(&cut).enumerate() {
        let labels = [("trial", "m10"), ("node", name), ("reached", &*format!("n\"{node}\\n"))];
        assert_eq!(read.value("fanstorm_node_copies_expected", &labels), 3.0);
        assert_eq!(read.value("fanstorm_sockets_lost_total", &labels[..2]), 0.0);
    }
}

#[test]
fn those_behind_an_address_whose_names_are_alike_when_they_are_cut_are_added_up() {
    let mut run = whole(10);
    for (at, cell) in run.matrix.iter_mut().enumerate() {
        let name = Some(format!("{}{at}", "x".repeat(300)));
        cell.to = 0;
        cell.reached = Some(Reached { node: 0, name, sockets: 1, push_sockets: 0 });
    }
    let expected: u64 = run.matrix.iter().map(|cell| cell.expected).sum();
    let latencies: u64 = run.matrix.iter().map(|cell| cell.latency_ns.len()).sum();
    let mut metrics = planned(&[10]);
    ended(&mut metrics, &trusted(run));
    let read = Read::of(&metrics);
    let [(_, sum)] = read.all("fanstorm_node_copies_expected")[..] else { panic!("one row") };
    assert_eq!(sum, expected as f64);
    let [(_, count)] = read.all("fanstorm_node_latency_seconds_count")[..] else {
        panic!("one row")
    };
    assert_eq!(count, latencies as f64);
}
