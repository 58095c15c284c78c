//! The trial that heads a result, in the form of `vegeta report -type=json`: times in nanoseconds.
//!
//! A request is a copy that must come: it succeeds where it came. `rate` is messages sent in a second, `throughput`
//! copies delivered in one. Bytes are those of the messages' texts.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::report::document::Document;
use crate::report::document::figures::histogram_of;
use crate::report::document::trial::{Latency, TrialResult};

/// What vegeta writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    latencies: Latencies,
    bytes_in: Size,
    bytes_out: Size,
    earliest: String,
    latest: String,
    end: String,
    duration: u64,
    wait: u64,
    requests: u64,
    rate: f64,
    throughput: f64,
    success: f64,
    status_codes: BTreeMap<&'static str, u64>,
    errors: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Latencies {
    total: u64,
    mean: u64,
    #[serde(rename = "50th")]
    p50: u64,
    #[serde(rename = "90th")]
    p90: u64,
    #[serde(rename = "95th")]
    p95: u64,
    #[serde(rename = "99th")]
    p99: u64,
    max: u64,
    min: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Size {
    total: u64,
    mean: f64,
}

/// None where no trial ran.
pub fn of(document: &Document) -> Option<Metrics> {
    let run = document.headline()?;
    let copies = &run.delivery;
    let ns = |seconds: Option<f64>| (seconds.unwrap_or(0.0) * 1e9).round() as u64;
    let (sending, receiving) = (ns(run.time.send_s), ns(run.time.receive_s));
    let size = |count: u64| Size {
        total: count.saturating_mul(document.plan.payload_bytes),
        mean: document.plan.payload_bytes as f64,
    };
    let started_ns = u128::from(document.tool.started_unix_ms) * 1_000_000;
    let at = |ns: u64| timestamp(started_ns + u128::from(ns));
    let missing = (copies.missing > 0).then(|| format!("{} copies are missing", copies.missing));
    Some(Metrics {
        latencies: latencies(document, run),
        bytes_in: size(copies.delivered),
        bytes_out: size(run.sent),
        earliest: at(0),
        latest: at(sending),
        end: at(receiving.max(sending)),
        duration: sending,
        wait: receiving.saturating_sub(sending),
        requests: copies.expected,
        rate: run.throughput.sent_per_s.unwrap_or(0.0),
        throughput: run.throughput.copies_per_s.unwrap_or(0.0),
        success: copies.delivered as f64 / copies.expected.max(1) as f64,
        status_codes: BTreeMap::from([("0", copies.missing), ("200", copies.delivered)]),
        errors: missing.into_iter().collect(),
    })
}

/// Of its headline class, all from its histogram: vegeta has no way to say that a percentile is not known.
fn latencies(document: &Document, run: &TrialResult) -> Latencies {
    let Some(load) = document.plan.load_of(run) else { return Latencies::default() };
    let class = load.headline_latency;
    let Some(latency) = run.latency_us.of(class) else { return Latencies::default() };
    let known = |us: Option<f64>| (us.unwrap_or(0.0) * 1e3).round() as u64;
    let Latency { count, min, mean, max, .. } = latency;
    let exact = Latencies {
        total: known(*mean).saturating_mul(*count),
        mean: known(*mean),
        max: known(*max),
        min: known(*min),
        ..Latencies::default()
    };
    let Some(Ok(ns)) = histogram_of(run, class) else { return exact };
    // A bucket ends up to 0.1 % above the longest.
    let [p50, p90, p95, p99] =
        [0.5, 0.9, 0.95, 0.99].map(|quantile| ns.value_at_quantile(quantile).min(exact.max));
    Latencies { p50, p90, p95, p99, ..exact }
}

/// RFC 3339 in UTC, from nanoseconds since 1970.
fn timestamp(ns: u128) -> String {
    let (seconds, fraction) = ((ns / 1_000_000_000) as u64, (ns % 1_000_000_000) as u32);
    let [year, month, day] = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01. Years begin in March here, so that the
/// day of a leap year is their last.
fn date(days: u64) -> [u64; 3] {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let in_next = month >= 10;
    [era * 400 + year + u64::from(in_next), if in_next { month - 9 } else { month + 3 }, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (ns, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_709_164_800_000_000_001, "2024-02-29T00:00:00.000000001Z"),
            (1_795_737_599_500_000_000, "2026-11-26T23:59:59.500000000Z"),
        ] {
            assert_eq!(timestamp(ns), expected);
        }
    }
}
