//! Times and ratios as a document gives them.
//!
//! Belongs here: units and rounding. Does not: which times there are (`build`).

use super::trial::Latency;
use crate::measure::latencies::Latencies;
use crate::measure::percentile::Percentile;
use crate::units::Nanos;

/// Their figures.
pub(super) fn latency(ns: &Latencies) -> Latency {
    let percentile = |percentile: Percentile| percentile.of(ns).map(micros);
    Latency {
        count: ns.len(),
        min: ns.min().map(micros),
        mean: ns.mean_ns().map(|mean| rounded(mean / 1e3)),
        p50: percentile(Percentile::P50),
        p90: percentile(Percentile::P90),
        p99: percentile(Percentile::P99),
        p99_9: percentile(Percentile::P999),
        p99_99: percentile(Percentile::P9999),
        max: ns.max().map(micros),
    }
}

/// In microseconds.
pub(super) fn micros(duration: Nanos) -> f64 {
    duration.0 as f64 / 1e3
}

/// More than three decimals of a ratio are noise that makes files hard to read.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
