//! The course of a trial as a document has it: second by second, and how far out of order.
//!
//! Belongs here: making these parts of what was measured. Does not: their types (`series`).

use super::series;
use super::times::{micros, rounded};
use crate::measure::effort::Effort;
use crate::measure::outcome::Interval;
use crate::measure::reordering::Reordering;

/// A trial that is over within a second has no course.
pub(super) fn intervals(intervals: &[Interval]) -> Vec<series::Interval> {
    if intervals.len() == 1 {
        Vec::new()
    } else {
        intervals.iter().map(series::Interval::of).collect()
    }
}

impl series::Interval {
    /// One interval.
    pub fn of(interval: &Interval) -> Self {
        // Its tracks go into a log of their own.
        let Interval {
            start,
            length,
            warmup,
            sent,
            copies,
            misdelivered,
            missing_so_far,
            p50,
            p99,
            max,
            ref bands,
            effort,
            busiest,
            tracks: _,
        } = *interval;
        Self {
            start_s: start.as_secs_f64(),
            length_s: length.as_secs_f64(),
            warmup,
            sent,
            copies,
            misdelivered,
            missing_so_far,
            p50_us: p50.map(micros),
            p99_us: p99.map(micros),
            max_us: max.map(micros),
            bands: bands.iter().map(|&(band, copies)| [band.into(), copies]).collect(),
            cost: Some(cost(&effort, busiest)),
        }
    }
}

fn cost(effort: &Effort, busiest: Option<f64>) -> series::Cost {
    series::Cost {
        cpu_s: effort.cpu.as_secs_f64(),
        spun_s: effort.spun.as_secs_f64(),
        busy: effort.busy().map(rounded),
        busiest: busiest.map(rounded),
        lag_max_us: effort.lag.map(micros),
    }
}

pub(super) fn reordering(reordering: &Reordering) -> series::Reordering {
    let distances = |(first, last, copies): (u32, u32, u64)| series::Distances {
        first: first.into(),
        last: last.into(),
        copies,
    };
    series::Reordering {
        max_distance: reordering.max.into(),
        distances: reordering.ranges().map(distances).collect(),
    }
}
