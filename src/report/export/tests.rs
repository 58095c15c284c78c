//! What holds of every export: it has the figures of the result, whatever the situation.

use super::{csv, junit, k6, vegeta};
use crate::report::document::Document;
use crate::report::fixture::{begun, whole};
use crate::report::{json, situations};
use crate::units::Nanos;

fn text(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn value(exported: &impl serde::Serialize) -> serde_json::Value {
    serde_json::from_slice(&json::to_bytes(exported).unwrap()).unwrap()
}

#[test]
fn the_rows_of_a_table_add_up_to_each_trial() {
    situations::each(&mut |name, document, _| {
        let table = text(|out| csv::write(out, document));
        let mut lines = table.split("\r\n");
        let columns = lines.next().unwrap().split(',').count();
        let rows: Vec<Vec<&str>> =
            lines.filter(|line| !line.is_empty()).map(|line| line.split(',').collect()).collect();
        assert!(rows.iter().all(|row| row.len() == columns), "{name}: {table}");
        for run in &document.trials {
            let own = rows.iter().filter(|row| row[0] == run.id.raw());
            let sum =
                |at: usize| own.clone().map(|row| row[at].parse::<u64>().unwrap()).sum::<u64>();
            // Of a trial without seconds the one row is all of it.
            let mut whole = (run.sent, run.delivery.delivered);
            if !run.intervals.is_empty() {
                let seconds = run.intervals.iter();
                whole =
                    seconds.fold((0, 0), |(sent, copies), i| (sent + i.sent, copies + i.copies));
            }
            assert_eq!((sum(4), sum(5)), whole, "{name}");
        }
    });
}

#[test]
fn a_test_fails_where_copies_are_not_as_they_should_be_and_where_times_are_void() {
    situations::each(&mut |name, document: &Document, _| {
        let report = text(|out| junit::write(out, document));
        let count = |of: &str| report.matches(of).count();
        if document.search.is_some() {
            let failed = usize::from(name == "search_of_the_least");
            assert_eq!((count("<testcase "), count("<failure ")), (1, failed), "{name}: {report}");
            return;
        }
        let failed =
            document.trials.iter().filter(|run| !run.complete() || !run.lost_sockets.is_empty());
        assert_eq!(count("<failure "), failed.count(), "{name}: {report}");
        assert_eq!(count("<skipped "), document.skipped.len(), "{name}");
        assert_eq!(
            count("<testcase "),
            2 * document.trials.len() + document.skipped.len(),
            "{name}"
        );
        let suite = report.split("<testsuite ").nth(1).unwrap();
        assert!(suite.contains(&format!("tests=\"{}\"", count("<testcase "))), "{name}: {report}");
    });
}

#[test]
fn no_percentile_lies_beyond_the_longest() {
    let mut run = whole(1_000);
    for (_, latency) in &mut run.latency_ns {
        // Within its bucket, and not at its end.
        *latency = (0..6_000).map(|_| Nanos(84_204_583)).collect();
    }
    let document = begun(&[1_000]).ended(&situations::outcome(vec![run]));
    let (k6, vegeta) = (k6::of(&document).unwrap(), vegeta::of(&document).unwrap());
    let (k6, vegeta) = (value(&k6), value(&vegeta));
    for (of, names) in [
        (&k6["metrics"]["fanstorm_service"], ["med", "p(90)", "p(95)", "p(99)", "max"]),
        (&vegeta["latencies"], ["50th", "90th", "95th", "99th", "max"]),
    ] {
        let told = names.map(|name| of[name].as_f64().unwrap_or_else(|| panic!("{name}: {of}")));
        assert!(told.is_sorted(), "{of}");
    }
}

#[test]
fn other_tools_are_given_the_trial_that_heads_the_result() {
    situations::each(&mut |name, document, _| {
        let (k6, vegeta) = (k6::of(document), vegeta::of(document));
        let Some(run) = document.headline() else {
            assert!(k6.is_none() && vegeta.is_none(), "{name}");
            return;
        };
        let (k6, vegeta) = (value(&k6.unwrap()), value(&vegeta.unwrap()));
        let received = &k6["metrics"]["ws_msgs_received"]["count"];
        assert_eq!(received.as_f64().unwrap() as u64, run.delivery.delivered, "{name}");
        assert_eq!(vegeta["requests"], run.delivery.expected, "{name}");
        assert_eq!(vegeta["status_codes"]["200"], run.delivery.delivered, "{name}");
        for (class, latency) in run.latency_us.present() {
            let trend = &k6["metrics"][format!("fanstorm_{}", class.key())];
            let Some(figures) = trend.as_object() else {
                let is_known = latency.max.is_some() && run.latency_histograms.of(class).is_some();
                assert!(!is_known, "{name}: {}", class.key());
                continue;
            };
            let keys: Vec<_> = figures.keys().collect();
            assert_eq!(keys, ["avg", "max", "med", "min", "p(90)", "p(95)", "p(99)"], "{name}");
            if let Some(p50) = latency.p50 {
                assert_eq!(trend["med"].as_f64(), Some(p50 / 1e3), "{name}");
            }
        }
    });
}
