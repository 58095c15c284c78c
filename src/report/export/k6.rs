//! The trial that heads a result, in the form of k6's `--summary-export`: metrics by name, times in milliseconds.
//!
//! `ws_msgs_sent` and `ws_msgs_received` are k6's own names, and so is `checks`: copies that came against those that
//! must. Our latencies have names of ours, `fanstorm_service` and its like: k6 has none that means the same.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::report::document::Document;
use crate::report::document::figures::histogram_of;
use crate::report::document::trial::{Latency, LatencyClass, TrialResult};

/// What k6 writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    metrics: BTreeMap<String, BTreeMap<&'static str, f64>>,
    root_group: Group,
}

/// k6 has its checks in groups; one without any is what it writes of a script without checks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Group {
    name: &'static str,
    path: &'static str,
    id: &'static str,
    groups: BTreeMap<&'static str, ()>,
    checks: BTreeMap<&'static str, ()>,
}

/// Of an empty path, as k6 has it: its MD5.
const ROOT: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// None where no trial ran.
pub fn of(document: &Document) -> Option<Summary> {
    let run = document.headline()?;
    let copies = &run.delivery;
    let seconds = |seconds: Option<f64>, count: u64| {
        seconds.filter(|s| *s > 0.0).map_or(0.0, |s| count as f64 / s)
    };
    let counter = |count: u64, rate: f64| BTreeMap::from([("count", count as f64), ("rate", rate)]);
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, values| drop(metrics.insert(name.to_owned(), values));
    put("ws_msgs_sent", counter(run.sent, seconds(run.time.send_s, run.sent)));
    put(
        "ws_msgs_received",
        counter(copies.delivered, seconds(run.time.receive_s, copies.delivered)),
    );
    let sockets = run.push_sockets.saturating_add(run.receive_sockets);
    put("ws_sessions", counter(sockets, seconds(run.time.receive_s, sockets)));
    let share = copies.delivered as f64 / copies.expected.max(1) as f64;
    let checks =
        [("passes", copies.delivered as f64), ("fails", copies.missing as f64), ("value", share)];
    put("checks", BTreeMap::from(checks));
    for (class, latency) in run.latency_us.present() {
        if let Some(trend) = trend(run, class, latency) {
            put(&format!("fanstorm_{}", class.key()), trend);
        }
    }
    Some(Summary { metrics, root_group: Group { id: ROOT, ..Group::default() } })
}

/// All figures of a class, or none of it: k6 has no way to say that one is not known, and its readers take each. What a
/// result does not tell (a percentile of few samples, a least spread that stamps cannot tell from none) is the histogram's.
fn trend(
    run: &TrialResult,
    class: LatencyClass,
    latency: &Latency,
) -> Option<BTreeMap<&'static str, f64>> {
    let ns = histogram_of(run, class)?.ok()?;
    // A bucket ends up to 0.1 % above the longest.
    let longest = latency.max?;
    let at = |share: f64| longest.min(ns.value_at_quantile(share) as f64 / 1e3);
    let all = [
        ("avg", latency.mean?),
        ("min", latency.min.unwrap_or_else(|| at(0.0))),
        ("med", latency.p50.unwrap_or_else(|| at(0.5))),
        ("max", longest),
        ("p(90)", latency.p90.unwrap_or_else(|| at(0.9))),
        ("p(95)", at(0.95)),
        ("p(99)", latency.p99.unwrap_or_else(|| at(0.99))),
    ];
    Some(all.into_iter().map(|(name, us)| (name, us / 1e3)).collect())
}
