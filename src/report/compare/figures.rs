//! Which figures of a run are compared, and which way is worse.
//!
//! Belongs here: taking them out of a trial. Does not: comparing them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::document::trial::{Latency, LatencyClass, TrialResult};

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Median of the trial's class.
    P50,
    /// Its 99th percentile.
    P99,
    /// Its 99.9th percentile.
    P99_9,
    /// Its largest.
    Max,
    /// 99th percentile of completion.
    CompletionP99,
    /// Copies delivered in a second.
    CopiesPerS,
    /// The generator's own CPU time for a copy.
    CpuPerCopy,
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Microseconds.
    Us,
    /// In a second.
    PerS,
    /// Nanoseconds.
    Ns,
}

impl Kind {
    /// All, in the order of a report.
    pub const ALL: [Self; 7] = [
        Self::P50,
        Self::P99,
        Self::P99_9,
        Self::Max,
        Self::CompletionP99,
        Self::CopiesPerS,
        Self::CpuPerCopy,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P99_9 => "p99.9",
            Self::Max => "max",
            Self::CompletionP99 => "completion p99",
            Self::CopiesPerS => "copies/s",
            Self::CpuPerCopy => "own CPU/copy",
        }
    }

    /// Its unit.
    pub const fn unit(self) -> Unit {
        match self {
            Self::CopiesPerS => Unit::PerS,
            Self::CpuPerCopy => Unit::Ns,
            _ => Unit::Us,
        }
    }

    /// A side that has more of it is the worse one.
    pub const fn more_is_worse(self) -> bool {
        !matches!(self, Self::CopiesPerS)
    }

    /// The quantile that it is, of the trial's class.
    pub(super) const fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P99 => Some(0.99),
            Self::P99_9 => Some(0.999),
            _ => None,
        }
    }

    /// That of a trial; none where it has too few samples for it. What has no logarithm is none.
    pub(super) fn of(self, run: &TrialResult, class: LatencyClass) -> Option<f64> {
        let of =
            |class, figure: fn(&Latency) -> Option<f64>| run.latency_us.of(class).and_then(figure);
        let figure = match self {
            Self::P50 => of(class, |latency| latency.p50),
            Self::P99 => of(class, |latency| latency.p99),
            Self::P99_9 => of(class, |latency| latency.p99_9),
            Self::Max => of(class, |latency| latency.max),
            Self::CompletionP99 => of(LatencyClass::Completion, |latency| latency.p99),
            Self::CopiesPerS => run.throughput.copies_per_s,
            Self::CpuPerCopy => run.cpu_ns_per_copy(),
        };
        figure.filter(|figure| figure.is_finite() && *figure > 0.0)
    }
}
