//! The types of a trial's course in a result file: second by second, and how far out of order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stretch of a trial: a second, less where the warm-up or the trial ended, and more where two seconds
/// could not be told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Since the start of the trial.
    pub start_s: f64,
    /// How long it is.
    pub length_s: f64,
    /// It counts what was due in the warm-up. Copies of the warm-up that came after its end have
    /// intervals of their own beside the measured ones.
    pub warmup: bool,
    /// Messages that the kernel took.
    pub sent: u64,
    /// Copies that came. Those that waited for their id count when it was learned.
    pub copies: u64,
    /// Copies that came to sockets that must not hear them.
    #[serde(default)]
    pub misdelivered: u64,
    /// Copies of messages due by its end (sent by then, without due times) that had not come.
    pub missing_so_far: u64,
    /// Median of the headline class; null below 20 samples.
    pub p50_us: Option<f64>,
    /// 99th percentile of the headline class; null below 1000 samples.
    pub p99_us: Option<f64>,
    /// Largest of the headline class; null without samples.
    pub max_us: Option<f64>,
    /// Copies by latency of the headline class: pairs of a band and how many are in it. Band b begins at
    /// (4 + b mod 4) / 4 x 2^(b div 4) nanoseconds, rounded up, and ends where the next one begins. Empty in
    /// results of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<[u64; 2]>,
    /// What measuring cost meanwhile. Absent in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// What the generator itself spent in an interval, and how late it was in it. Of all measured intervals together the
/// CPU times are those of `generator.cores`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// CPU time of all workers' threads.
    pub cpu_s: f64,
    /// Part of it that was spent polling for a due time, with nothing to do.
    pub spun_s: f64,
    /// CPU time without `spun_s`, over the time of all workers, 0 to 1; null where none was at work any more.
    pub busy: Option<f64>,
    /// The same of the worker that was busiest.
    pub busiest: Option<f64>,
    /// How late the generator turned to a due message at most, those that it turned to in this interval; null
    /// without due times, and where none was due.
    pub lag_max_us: Option<f64>,
}

/// How far out of order copies came: by how many numbers a late copy was behind the highest of its
/// stream. Where it alone was held up, that is its reordering extent (RFC 4737, section 4.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reordering {
    /// The largest distance.
    pub max_distance: u64,
    /// Late copies by distance, from each power of two to below the next; together as many as
    /// `delivery.out_of_order`.
    pub distances: Vec<Distances>,
}

/// Late copies with a distance in an inclusive range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Distances {
    /// From this distance.
    pub first: u64,
    /// To this one.
    pub last: u64,
    /// How many.
    pub copies: u64,
}
