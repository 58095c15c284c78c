//! Whole reports, as a person sees them.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::experiment::Outcome;
use crate::load::inter_arrival::InterArrival;
use crate::load::profile::{FixedRate, Window};
use crate::load::trial::Trial;
use crate::measure::bands::band;
use crate::measure::latencies::Latencies;
use crate::measure::outcome::{Class, Delivery, Ending, Interval, TrialOutcome, WarmUp};
use crate::plan::Plan;
use crate::population::audience::Audience;
use crate::population::fan_out::FanOut;
use crate::report::document::Document;
use crate::report::document::trial::TrialResult;
use crate::report::fixture::{invocation, plan, trusted, whole};
use crate::report::sanitize::plain;
use crate::report::situations::*;
use crate::report::story::trial_row;
use crate::units::Nanos;
use crate::verdict::Judged;
use crate::verdict::baseline::Baseline;

/// As it is written while the trials run: piece by piece, each as soon as it is known.
fn report(plan: &Plan, outcome: &Outcome) -> String {
    let begun = Document::begun(plan, &invocation());
    let (mut out, text, story) = (Vec::new(), Text::new(false, None), Story::of(&begun));
    text.header(&mut out, &story).unwrap();
    for run in &outcome.trials {
        let row = trial_row(&begun, &TrialResult::of(run), None);
        text.row(&mut out, &story.trials, &row).unwrap();
    }
    text.end(&mut out, &Story::of(&begun.clone().ended(outcome))).unwrap();
    String::from_utf8(out).unwrap()
}

/// The whole report on it.
pub(super) fn rendered(story: &Story, colour: bool) -> String {
    let mut out = Vec::new();
    Text::new(colour, None).all(&mut out, story).unwrap();
    String::from_utf8(out).unwrap()
}

/// What follows the header, which is the same for all.
fn after_header(plan: &Plan, outcome: &Outcome) -> String {
    let report = report(plan, outcome);
    report[report.find("\nmessages").unwrap()..].to_owned()
}

#[test]
fn a_clean_run_says_what_was_run_what_came_and_that_it_can_be_believed() {
    let plan = plan(&[10, 100, 1_000, 8_000]);
    let trials = plan.trials.iter().map(|trial| whole(trial.messages)).collect();
    assert_eq!(report(&plan, &outcome(trials)), CLEAN);
}

#[test]
fn a_deficit_names_the_node_that_fell_silent_and_the_messages_that_others_miss() {
    let report = after_header(&plan(&[1_000, 3_000]), &outcome(vec![whole(1_000), cut_link()]));
    assert_eq!(report, DEFICIT);
}

#[test]
fn a_void_row_says_so_in_its_line_and_at_the_end_with_what_to_do() {
    let report = after_header(&plan(&[1_000, 8_000]), &judged(vec![busy(1_000), overflowing()]));
    assert_eq!(report, VOID);
}

#[test]
fn with_too_few_messages_percentiles_are_not_available() {
    assert_eq!(after_header(&plan(&[1]), &outcome(vec![whole(1)])), TINY);
}

#[test]
fn an_interrupted_run_tells_what_was_measured_and_which_trials_did_not_run() {
    assert_eq!(after_header(&plan(&[3_000, 4_000, 8_000]), &interrupted()), INTERRUPTED);
}

#[test]
fn colour_adds_nothing_but_colour() {
    let plan = plan(&[3_000, 4_000, 8_000]);
    let outcome = interrupted();
    let document = Document::begun(&plan, &invocation()).ended(&outcome);
    let (mut out, text, story) = (Vec::new(), Text::new(true, None), Story::of(&document));
    for row in &story.trials.rows {
        text.row(&mut out, &story.trials, row).unwrap();
    }
    text.end(&mut out, &story).unwrap();
    let mut coloured = String::from_utf8(out).unwrap();
    assert!(coloured.contains("verdict: \x1b[31minterrupted\x1b[0m"), "{coloured}");
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
        coloured = coloured.replace(code, "");
    }
    assert!(after_header(&plan, &outcome).ends_with(&coloured), "{coloured}");
}

#[test]
fn an_open_loop_leads_with_response_and_says_from_when_it_counts() {
    let mut plan = plan(&[1_000]);
    let rate = "50k/s".parse().unwrap();
    let profile = FixedRate { rate, arrivals: InterArrival::Poisson { seed: 42 } };
    plan.trials = Trial::each(&[1_000], profile, Nanos::ZERO);
    let mut run = whole(1_000);
    run.latency_ns.insert(0, (Class::Response, run.latency_ns[0].1.clone()));
    run.latency_ns.insert(2, (Class::Wait, run.latency_ns[2].1.clone()));
    let report = report(&plan, &outcome(vec![run]));
    for line in [
        "fanstorm 0.1.0: 1 000 messages at 50 000/s, Poisson arrivals of seed 42 (open loop)\n",
        "  response: from the due time to each copy\n",
        "Latency, m = 1 000 (open loop: the clock starts when a message is due, sent or not)\n",
        "ms  from the due time to each copy\n  service ",
        "ms  from the due time to the send\n  completion ",
    ] {
        assert!(report.contains(line), "{line}{report}");
    }
    plan.trials = Trial::each(&[1_000], Window { in_flight: 16 }, Nanos::ZERO);
    let report = self::report(&plan, &outcome(vec![whole(1_000)]));
    assert!(report.contains("1 000 messages, at most 16 under way on a push socket\n"), "{report}");
    assert!(
        report.contains("(closed loop, no due times: the clock starts at the send)"),
        "{report}"
    );
}

/// A second in which everything took `ms` and `missing` copies had not come.
fn second(number: u64, ms: u64, missing: u64) -> Interval {
    Interval {
        start: Nanos::from_secs(number),
        length: Nanos::from_secs(1),
        warmup: false,
        sent: 500,
        copies: 3_000,
        misdelivered: 0,
        missing_so_far: missing,
        p50: Some(Nanos::from_millis(1)),
        p99: Some(Nanos::from_millis(ms)),
        max: Some(Nanos::from_millis(ms + 1)),
        bands: vec![(band(Nanos::from_millis(1)), 2_970), (band(Nanos::from_millis(ms)), 30)],
        ..Interval::default()
    }
}

fn section<'a>(report: &'a str, heading: &str) -> &'a str {
    let at = report.find(heading).unwrap_or_else(|| panic!("no {heading}: {report}"));
    report[at..].split("\n\n").next().unwrap()
}

#[test]
fn a_row_of_a_few_seconds_is_told_second_by_second_and_the_warm_up_apart() {
    let mut plan = plan(&[3_000]);
    plan.trials[0].warmup = Nanos::from_secs(1);
    let mut run = whole(3_000);
    run.intervals = vec![second(0, 7, 0), second(1, 2, 40), second(2, 3, 0)];
    run.intervals[0].warmup = true;
    run.warmup = Some(WarmUp {
        duration: Nanos::from_secs(1),
        messages: 500,
        expected: 3_000,
        delivered: 3_000,
        latency_ns: whole(500).latency_ns,
        lag_ns: Latencies::new(),
    });
    let text = report(&plan, &outcome(vec![run.clone()]));
    let course = section(&text, "Second by second");
    assert_eq!(course.lines().count(), 5, "{course}");
    let lines: Vec<Vec<&str>> =
        course.lines().map(|line| line.split("  ").filter(|w| !w.is_empty()).collect()).collect();
    assert_eq!(lines[2].last().unwrap().trim(), "warm-up", "{course}");
    assert!(course.contains("40"), "{course}");
    assert!(section(&text, "fanstorm").len() < text.len() && text.contains("first 1 s of a trial"));
    let latency = section(&text, "Latency");
    let warmup = latency.lines().last().unwrap();
    assert!(warmup.trim_start().starts_with("warm-up"), "{latency}");
    assert!(warmup.ends_with("of the first 1 s"), "{latency}");
    run.warmup.as_mut().unwrap().latency_ns[0].1.record(Nanos::from_secs(10_000));
    let text = report(&plan, &outcome(vec![run]));
    let told = "of the first 1 s, 1 above the histogram's top left out";
    assert!(section(&text, "Latency").lines().last().unwrap().ends_with(told), "{text}");
}

#[test]
fn of_a_long_row_the_worst_seconds_are_told_in_order_of_time() {
    let mut run = whole(3_000);
    let p99 = |number: u64| if number.is_multiple_of(100) { 90 + number / 100 } else { 2 };
    run.intervals = (0..600).map(|number| second(number, p99(number), number % 7)).collect();
    let text = report(&plan(&[3_000]), &outcome(vec![run]));
    let worst = section(&text, "(in the table the worst of 600)");
    let starts: Vec<_> = worst.lines().skip(2).take(5).map(|line| &line[..12]).collect();
    let expected = ["100 s", "200 s", "300 s", "400 s", "500 s"];
    assert!(starts.iter().zip(expected).all(|(line, start)| line.contains(start)), "{worst}");
    assert!(worst.contains("half of the seconds have a p99 below 2.00 ms"), "{worst}");
    assert!(worst.contains("the most that was missing at once were 6 copies"), "{worst}");
}

#[test]
fn seconds_without_copies_are_counted_and_no_figure_of_theirs_is_told() {
    // Issue 11, A12: `half of the seconds have a p99 below 0 ns`.
    let mut run = whole(3_000);
    let silent =
        |number| Interval { copies: 0, p50: None, p99: None, max: None, ..second(number, 0, 500) };
    run.intervals = (0..20)
        .map(|number| if number < 5 { second(number, 3, 0) } else { silent(number) })
        .collect();
    let text = report(&plan(&[3_000]), &outcome(vec![run.clone()]));
    let worst = section(&text, "(in the table the worst of 20)").replace("\n  ", " ");
    assert!(worst.contains("half of the seconds with copies have a p99 below 3.00 ms;"), "{worst}");
    assert!(worst.contains("; no copy came in 15 seconds; the most"), "{worst}");
    run.intervals = (0..20).map(silent).collect();
    let text = report(&plan(&[3_000]), &outcome(vec![run]));
    let worst = section(&text, "(in the table the worst of 20)");
    assert!(
        worst.contains("\n  no copy came in 20 seconds;") && !worst.contains("0 ns"),
        "{worst}"
    );
}

#[test]
fn what_was_due_and_not_sent_in_the_second_of_a_signal_is_not_told_as_missing() {
    let mut run = whole(3_000);
    run.intervals = (0..20).map(|number| second(number, 3, number)).collect();
    let most = |run: &TrialOutcome| {
        let text = report(&plan(&[3_000]), &outcome(vec![run.clone()])).replace("\n  ", " ");
        let (_, told) = text.split_once("the most that was missing at once were ").unwrap();
        told.split_once(" copies").unwrap().0.to_owned()
    };
    assert_eq!(most(&run), "19");
    run.ending = Ending::Interrupted;
    assert_eq!(most(&run), "18");
}

#[test]
fn times_of_whole_messages_say_how_many_were_left_out() {
    let mut run = cut_link();
    run.latency_ns[1].1 = whole(998).latency_ns[1].1.clone();
    let text = report(&plan(&[3_000]), &outcome(vec![run]));
    let told = "completion and spread are of the 998 of 3 000 messages that came whole";
    assert!(section(&text, "Latency").contains(told), "{text}");
    let text = report(&plan(&[3_000]), &outcome(vec![whole(3_000)]));
    assert!(!text.contains("came whole"), "{text}");
}

#[test]
fn a_spread_that_stamps_cannot_tell_is_not_available_and_that_is_said() {
    let mut run = whole(1_000);
    run.stamp_resolution = Nanos::from_micros(50);
    // The half of the messages whose copies were stamped together, and 10 ms for the others.
    let ns = (0..1_000).map(|i| if i < 500 { Nanos::ZERO } else { Nanos::from_millis(10) });
    run.latency_ns[2].1 = ns.collect();
    let text = |run: &TrialOutcome| report(&plan(&[1_000]), &outcome(vec![run.clone()]));
    let told = text(&run);
    let latency = section(&told, "Latency");
    assert!(
        latency.contains("  spread          1 000      n/a  10.0 ms      n/a  10.0 ms"),
        "{latency}"
    );
    assert!(latency.contains("n/a where it is below 50.0 µs"), "{latency}");
    run.stamp_resolution = Nanos(1);
    let told = text(&run);
    assert!(section(&told, "Latency").contains("found at once and have one stamp"), "{told}");
    run.latency_ns.truncate(2);
    assert!(!section(&text(&run), "Latency").contains("spread"), "{told}");
}

#[test]
fn the_row_that_failed_is_the_one_whose_details_are_told() {
    let told = |trials: Vec<Judged>| {
        let report = report(&plan(&[1_000, 3_000, 8_000]), &judged(trials));
        let cost = report.find("\nOur own cost, m = ").unwrap();
        let latency = report.find("\nLatency, m = ").unwrap();
        [latency + 14, cost + 19].map(|at| report[at..at + 5].to_owned())
    };
    let (cut, whole) = (|| trusted(cut_link()), |messages| trusted(whole(messages)));
    assert_eq!(told(vec![whole(1_000), cut(), whole(8_000)]), ["3 000"; 2]);
    let void = Judged { caveats: overflowing().caveats, ..whole(1_000) };
    assert_eq!(told(vec![void.clone(), whole(8_000)]), ["1 000"; 2]);
    assert_eq!(told(vec![cut(), void]), ["3 000"; 2], "a deficit before a void trial");
}

#[test]
fn nothing_that_came_has_no_time_and_no_rate() {
    let mut run = whole(10);
    run.delivery = Delivery { expected: 60, missing: 60, ..Delivery::default() };
    (run.receive_time, run.latency_ns) = (None, vec![(Class::Service, Latencies::new())]);
    run.cores[0].copies = 0;
    let text = report(&plan(&[10]), &outcome(vec![run]));
    let row = "      10           0 / 60  20.0 µs      n/a        n/a      n/a      n/a      n/a      n/a";
    assert!(text.contains(row), "{text}");
    assert!(!text.contains("  0 ns"), "{text}");
}

#[test]
fn how_late_a_schedule_was_turned_to_is_told_with_what_it_is_taken_from() {
    let mut run = whole(1_000);
    run.lag_ns = Some((1..=50).map(|i| Nanos(i * 1_000)).collect());
    let text = report(&plan(&[1_000]), &outcome(vec![run]));
    let told = "we turned to due messages late by 25.0 µs (p50), 50.0 µs (max), in 50 messages";
    assert!(section(&text, "Our own cost").contains(told), "{text}");
}

#[test]
fn disorder_is_told_with_its_extent() {
    let mut run = cut_link();
    (0..200).for_each(|_| run.reordering.note(3));
    (0..13).for_each(|_| run.reordering.note(40));
    run.reordering.note(7_400);
    let text = report(&plan(&[3_000]), &outcome(vec![run]));
    let told = "up to 7 400 messages behind the head of their stream, half of them at most 3";
    assert!(text.replace("\n  ", " ").contains(told), "{text}");
}

#[test]
fn misdelivered_copies_are_told_with_the_flag_that_may_be_wrong() {
    let mut run = whole(1_000);
    (run.delivery.misdelivered, run.delivery.seen) = (40, run.delivery.seen + 40);
    let plan = plan(&[1_000]);
    let audience = Audience::new(*plan.population(), FanOut::Others);
    let plan = Plan { audience, ..plan };
    let report = report(&plan, &outcome(vec![run]));
    let report = report.replace("\n  ", " ").replace("  ", " ");
    for words in ["corrupt misdelivered ", "--fan-out all may be right", "verdict: faulty: "] {
        assert!(report.contains(words), "{words} in {report}");
    }
    assert!(report.contains("misdelivered: 40 copies came to the socket that"), "{report}");
    assert!(report.contains(" 40 misdelivered"), "{report}");
}

#[test]
fn a_report_at_once_is_the_report_that_was_written_piece_by_piece() {
    let plan = plan(&[3_000, 4_000, 8_000]);
    let document = Document::begun(&plan, &invocation()).ended(&interrupted());
    assert_eq!(rendered(&Story::of(&document), false), report(&plan, &interrupted()));
}

fn calibrated(plan: &Plan, floor: &Baseline, outcome: Outcome) -> String {
    let outcome = held(floor, outcome);
    let document = Document::begun(plan, &invocation()).calibrated(Some(floor)).ended(&outcome);
    let report = rendered(&Story::of(&document), false);
    report[report.find("\nOur own floor").unwrap()..].to_owned()
}

#[test]
fn the_floor_stands_beside_the_row_and_too_near_to_it_is_a_caveat() {
    let plan = plan(&[1_000]);
    assert_eq!(calibrated(&plan, &calibration(None), outcome(vec![whole(1_000)])), FLOOR);
    let report = calibrated(&plan, &calibration(Some("interrupted")), outcome(vec![whole(2_000)]));
    assert!(report.starts_with("\nOur own floor, m = 2 000 (the same plan against 3 relays on CPU 0)\n  not whole: interrupted\n\nverdict: ok"), "{report}");
}

/// All texts in it, in order, but histograms and the name of the schema.
fn texts(value: &mut serde_json::Value) -> Vec<&mut serde_json::Value> {
    use serde_json::Value;
    match value {
        Value::Object(keys) => {
            let own = |key: &str| key == "schema" || key == "latency_histograms";
            keys.iter_mut().filter(|(key, _)| !own(key)).flat_map(|(_, of)| texts(of)).collect()
        }
        Value::Array(items) => items.iter_mut().flat_map(texts).collect(),
        Value::String(_) => vec![value],
        _ => Vec::new(),
    }
}

fn read(value: &serde_json::Value) -> Option<Document> {
    let bytes = serde_json::to_vec(value).unwrap();
    use crate::report::saved::Saved;
    match crate::report::saved::read(&bytes).ok()?.remove(0) {
        Saved::Result(document) => Some(*document),
        Saved::Failed(_) => None,
    }
}

/// Where any text may stand: elsewhere only certain words can be read.
fn free_texts() -> Vec<usize> {
    let count = texts(&mut talkative()).len();
    let is_free = |place: &usize| {
        let mut value = talkative();
        *texts(&mut value)[*place] = "anything".into();
        read(&value).is_some()
    };
    (0..count).filter(is_free).collect()
}

#[test]
fn most_of_the_texts_of_a_result_may_be_anything() {
    assert!(free_texts().len() >= 20, "{:?}", free_texts());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of a file that a stranger sent, or of what a node said.
    #[test]
    fn whatever_a_result_holds_nothing_in_its_report_is_obeyed_by_a_terminal(
        hostile in prop::collection::vec("[\\x00-\\x1f\\x7f-\\u{9f}\\u{202a}-\\u{202e}a ]{0,12}|.{0,12}", 1..8),
    ) {
        static FREE: LazyLock<Vec<usize>> = LazyLock::new(free_texts);
        let mut value = talkative();
        let mut texts = texts(&mut value);
        for (place, text) in FREE.iter().zip(hostile.iter().cycle()) {
            *texts[*place] = text.as_str().into();
        }
        let document = read(&value).expect("texts are free");
        let report = rendered(&Story::of(&document), false);
        let unseen = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
        prop_assert!(!report.contains(unseen), "{:?}", report);
        prop_assert!(report.lines().all(|line| line == plain(line)));
    }
}

#[test]
fn one_copy_is_not_called_all_copies() {
    let mut run = whole(1);
    run.delivery.expected = 1;
    run.delivery.delivered = 1;
    run.delivery.seen = 1;
    let report = report(&plan(&[1]), &outcome(vec![run]));
    assert!(
        report.ends_with(
            "verdict: ok: the one copy came, once and unaltered; the times describe the cluster\n"
        ),
        "{report}"
    );
}

#[test]
fn an_interruption_before_the_last_copy_of_what_was_sent_blames_nobody() {
    let mut run = whole(1_000);
    run.sent = 600;
    run.delivery = Delivery {
        expected: 6_000,
        delivered: 3_600,
        missing: 2_400,
        seen: 3_600,
        ..Delivery::default()
    };
    run.ending = Ending::Interrupted;
    let report = report(&plan(&[1_000]), &Outcome { interrupted: true, ..outcome(vec![run]) });
    for line in [
        "m = 1 000: interrupted; 600 of 1 000 messages were sent, and every copy of them has come\n",
        "verdict: interrupted: all 3 600 copies came (2 400 more belong to messages that were not sent);",
    ] {
        assert!(report.contains(line), "{line}{report}");
    }
}

#[test]
fn nothing_measured_is_said_and_not_tabulated() {
    let mut nothing = outcome(Vec::new());
    nothing.skipped = skipped(1_000);
    let report = report(&plan(&[1_000]), &nothing);
    assert!(report.ends_with("\nverdict: nothing was measured\n"), "{report}");
    assert!(!report.contains("Copies"), "{report}");
}

const FLOOR: &str = "
Our own floor, m = 1 000 (the same plan against 3 relays on CPU 0)
  service         p50      p99    p99.9      max  receive  per copy  verdict
  this run     600 µs  1.19 ms      n/a  1.20 ms  15.0 ms    612 ns  degraded
  floor        200 µs   396 µs      n/a   400 µs  5.00 ms    612 ns  ok
  generator, loopback and relays are all in it: an upper bound of what the tool itself adds

Caveats
  degraded  near-own-floor (m = 1 000): the same plan against a null cluster has a p99 of 396 µs, 33
    % of this trial's 1.19 ms: up to so much may be the generator's own, loopback and null cluster
    included
    what to do: compare such figures with the floor and not with 0; more --cores, or more CPUs
      beside them, lower it

verdict: degraded: all 6 000 copies came, once and unaltered; read the times with their caveats
";

const CLEAN: &str = "\
fanstorm 0.1.0: a burst of 10, 100, 1 000, 8 000 messages

  cluster   3 nodes: embedded, discovery http://127.0.0.1:7100/api/clients
            node 0 ws://127.0.0.1:7101/  takes every push
            node 1 ws://127.0.0.1:7102/
            node 2 ws://127.0.0.1:7103/
  sockets   3 push + 3 receive (1 to each node) = 6, on 1 worker (CPU 1), io_uring
  cores     each on a core of its own; the cluster on CPU 0
  message   dialect dsatter, text of 150 bytes, seed 42
  expected  messages x (3 push + 3 receive) copies: each message comes back on every socket
  times     send: until the kernel has taken the last frame; receive: until the last copy
  waiting   for latency: poll until no copy has come for 5 ms, then sleep until the next (--wait)
  ending    a trial ends when every copy has come, or after 10 s without one (--drain)
  memory    at most 3.34 MiB, in the largest trial
  host      Linux 6.18.44, AMD EPYC 9R14, 2 of 4 CPUs (quota 1.5), 25.0 GiB, virtual machine,
            container (docker)

                                                        service: from the send to each copy
messages           copies     send  receive   copies/s      p50      p99    p99.9      max  verdict
      10          60 / 60  20.0 µs   150 µs    400 000  6.00 µs      n/a      n/a  12.0 µs  ok
     100        600 / 600   200 µs  1.50 ms    400 000  60.0 µs      n/a      n/a   120 µs  ok
   1 000    6 000 / 6 000  2.00 ms  15.0 ms    400 000   600 µs  1.19 ms      n/a  1.20 ms  ok
   8 000  48 000 / 48 000  16.0 ms   120 ms    400 000  4.80 ms  9.51 ms  9.59 ms  9.60 ms  ok

Copies
                 expected    delivered    missing  duplicate  out of order    foreign    corrupt
  all trials       54 660       54 660          0          0             0          0          0

Latency, m = 8 000 (a burst has no due times: the clock starts at the send)
                samples      p50      p99    p99.9      max
  service        48 000  4.80 ms  9.51 ms  9.59 ms  9.60 ms  from the send to each copy
  completion      8 000  5.20 ms  10.3 ms      n/a  10.4 ms  until everyone has it: to the last copy
  spread          8 000  3.60 ms  7.13 ms      n/a  7.20 ms  from the first copy to the last

  receiving node                            copies    missing      p50      p99      max
  node 0 ws://127.0.0.1:7101/               32 000          0  3.20 ms  6.34 ms  6.40 ms
  node 1 ws://127.0.0.1:7102/                8 000          0   800 µs  1.58 ms  1.60 ms
  node 2 ws://127.0.0.1:7103/                8 000          0   800 µs  1.58 ms  1.60 ms

Our own cost, m = 8 000
              CPU used   polling     busy  per copy  copies/read  longest turn  no buffer  overflow
  CPU 1         64.5 %    40.0 %   24.5 %    612 ns          5.0       84.0 µs          0         0
  the whole process used 81.6 ms of CPU time, 1.70 µs for each copy; 48.0 ms of it polling (--wait)

verdict: ok: all 54 660 copies came, once and unaltered; the times describe the cluster
";

const DEFICIT: &str = "
messages           copies     send  receive   copies/s      p50      p99    p99.9      max  verdict
   1 000    6 000 / 6 000  2.00 ms  15.0 ms    400 000   600 µs  1.19 ms      n/a  1.20 ms  ok
   3 000  15 997 / 18 000  6.00 ms  45.0 ms    355 489  1.80 ms  3.57 ms  3.60 ms  3.60 ms  deficit

Copies
                 expected    delivered    missing  duplicate  out of order    foreign    corrupt
  m = 3 000        18 000       15 997      2 003          0           214          2          0
  all trials       24 000       21 997      2 003          0           214          2          0

m = 3 000: 2 003 copies are missing; ended after 10 s without a copy (--drain)
  node 2 ws://127.0.0.1:7103/ fell silent: it delivered 1 000 of 3 000 copies, and nothing from
    message 1 002 on
  receiving node                            copies    missing      p50      p99      max
  node 0 ws://127.0.0.1:7101/               12 000          0  1.20 ms  2.38 ms  2.40 ms
  node 1 ws://127.0.0.1:7102/                2 997          3   300 µs   594 µs   599 µs
  node 2 ws://127.0.0.1:7103/                1 000      2 000   100 µs   198 µs   200 µs
  missing messages, numbered from 0 within each push socket's own:
    on receive socket 4 (node 1) from push socket 1: 3 missing: 5, 411..412

Latency, m = 3 000 (a burst has no due times: the clock starts at the send)
                samples      p50      p99    p99.9      max
  service        18 000  1.80 ms  3.57 ms  3.60 ms  3.60 ms  from the send to each copy
  completion      3 000  1.95 ms  3.86 ms      n/a  3.90 ms  until everyone has it: to the last copy
  spread          3 000  1.35 ms  2.67 ms      n/a  2.70 ms  from the first copy to the last

Our own cost, m = 3 000
              CPU used   polling     busy  per copy  copies/read  longest turn  no buffer  overflow
  CPU 1         64.5 %    40.0 %   24.5 %    612 ns          5.0       84.0 µs          0         0
  the whole process used 30.6 ms of CPU time, 1.70 µs for each copy; 18.0 ms of it polling (--wait)

verdict: incomplete: 2 003 of 24 000 copies missing; the times describe the cluster
";

const VOID: &str = "
messages           copies     send  receive   copies/s      p50      p99    p99.9      max  verdict
   1 000    6 000 / 6 000  2.00 ms  15.0 ms    400 000   600 µs  1.19 ms      n/a  1.20 ms  degraded
   8 000  48 000 / 48 000  16.0 ms   120 ms    400 000  4.80 ms  9.51 ms  9.59 ms  9.60 ms  void

Copies
                 expected    delivered    missing  duplicate  out of order    foreign    corrupt
  all trials       54 000       54 000          0          0             0          0          0

Latency, m = 8 000 (a burst has no due times: the clock starts at the send)
                samples      p50      p99    p99.9      max
  service        48 000  4.80 ms  9.51 ms  9.59 ms  9.60 ms  from the send to each copy
  completion      8 000  5.20 ms  10.3 ms      n/a  10.4 ms  until everyone has it: to the last copy
  spread          8 000  3.60 ms  7.13 ms      n/a  7.20 ms  from the first copy to the last

  receiving node                            copies    missing      p50      p99      max
  node 0 ws://127.0.0.1:7101/               32 000          0  3.20 ms  6.34 ms  6.40 ms
  node 1 ws://127.0.0.1:7102/                8 000          0   800 µs  1.58 ms  1.60 ms
  node 2 ws://127.0.0.1:7103/                8 000          0   800 µs  1.58 ms  1.60 ms

Our own cost, m = 8 000
              CPU used   polling     busy  per copy  copies/read  longest turn  no buffer  overflow
  CPU 1         64.5 %    40.0 %   24.5 %    612 ns          5.0       84.0 µs          4        17
  the whole process used 81.6 ms of CPU time, 1.70 µs for each copy; 48.0 ms of it polling (--wait)

Caveats
  void  cq-overflow (m = 8 000): 17 completions came late
    what to do: more --cores
  degraded  core-busy (all trials): CPU 1 was 97.2 % busy with our own work: the receive time may be
    the generator's own, and a faster cluster would not show
    what to do: give the generator more --cores

verdict: void: all 54 000 copies came, once and unaltered; the times of m = 8 000 describe the
    generator, do not use them
";

const TINY: &str = "
messages           copies     send  receive   copies/s      p50      p99    p99.9      max  verdict
       1            6 / 6  2.00 µs  15.0 µs    400 000      n/a      n/a      n/a  1.20 µs  ok

Copies
                 expected    delivered    missing  duplicate  out of order    foreign    corrupt
  m = 1                 6            6          0          0             0          0          0

Latency, m = 1 (a burst has no due times: the clock starts at the send)
                samples      p50      p99    p99.9      max
  service             6      n/a      n/a      n/a  1.20 µs  from the send to each copy
  completion          1      n/a      n/a      n/a  1.30 µs  until everyone has it: to the last copy
  spread              1      n/a      n/a      n/a   900 ns  from the first copy to the last

  receiving node                            copies    missing      p50      p99      max
  node 0 ws://127.0.0.1:7101/                    4          0      n/a      n/a   800 ns
  node 1 ws://127.0.0.1:7102/                    1          0      n/a      n/a   200 ns
  node 2 ws://127.0.0.1:7103/                    1          0      n/a      n/a   200 ns

Our own cost, m = 1
              CPU used   polling     busy  per copy  copies/read  longest turn  no buffer  overflow
  CPU 1         64.5 %    40.0 %   24.5 %    612 ns          6.0       84.0 µs          0         0
  the whole process used 10.2 µs of CPU time, 1.70 µs for each copy; 6.00 µs of it polling (--wait)

verdict: ok: all 6 copies came, once and unaltered; the times describe the cluster
";

const INTERRUPTED: &str = "
messages           copies     send  receive   copies/s      p50      p99    p99.9      max  verdict
   3 000  18 000 / 18 000  6.00 ms  45.0 ms    400 000  1.80 ms  3.57 ms  3.60 ms  3.60 ms  ok
   1 500   8 500 / 24 000  8.00 ms  60.0 ms    141 667  2.40 ms  4.76 ms  4.80 ms  4.80 ms  cut off

Copies
                expected   delivered    missing   not sent  duplicate  out of order  foreign  corrupt
  m = 4 000       24 000       8 500        500     15 000          4             0        0        1
  all trials      42 000      26 500        500     15 000          4             0        0        1

m = 4 000: interrupted; 1 500 of 4 000 messages were sent, and 500 copies of them had not come
  receiving node                            copies    missing   not sent      p50      p99      max
  node 0 ws://127.0.0.1:7101/                5 500        500     10 000   550 µs  1.09 ms  1.10 ms
  node 1 ws://127.0.0.1:7102/                1 500          0      2 500   150 µs   297 µs   300 µs
  node 2 ws://127.0.0.1:7103/                1 500          0      2 500   150 µs   297 µs   300 µs
  lost receive socket 3 after 31.0 ms: node 0 ws://127.0.0.1:7101/: closed by the node: 1001 going
    away, after 1.50 s in which nothing came or left

Latency, m = 4 000 (a burst has no due times: the clock starts at the send)
                samples      p50      p99    p99.9      max
  service        24 000  2.40 ms  4.76 ms  4.80 ms  4.80 ms  from the send to each copy
  completion      4 000  2.60 ms  5.15 ms      n/a  5.20 ms  until everyone has it: to the last copy
  spread          4 000  1.80 ms  3.57 ms      n/a  3.60 ms  from the first copy to the last

Our own cost, m = 4 000
              CPU used   polling     busy  per copy  copies/read  longest turn  no buffer  overflow
  CPU 1         64.5 %    40.0 %   24.5 %    612 ns          5.0       84.0 µs          0         0
  the whole process used 40.8 ms of CPU time, 1.70 µs for each copy; 24.0 ms of it polling (--wait)

Not run
  m = 8 000: interrupted

verdict: interrupted: 500 of 27 000 copies missing (15 000 more belong to messages that were not
    sent), 4 duplicate, 1 corrupt; 1 trial did not run; the times describe the cluster
";
