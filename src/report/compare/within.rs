//! How sure a run is of its own percentile, from how its seconds differ: an interval for these runs alone.
//!
//! Belongs here: Woodruff's interval with the long-run variance of the seconds. Does not: any claim about two runs:
//! a new start may differ by more than all seconds of one do.

use crate::measure::bands;
use crate::report::compare::Kind;
use crate::report::document::figures::histogram_of;
use crate::report::document::series::Interval;
use crate::report::document::trial::{LatencyClass, TrialResult};

/// Fewer independent seconds say nothing.
const SECONDS_MIN: f64 = 8.0;

/// Two standard errors, and what few seconds ask for beyond: Student's t for 7 degrees of freedom.
const ERRORS: f64 = 2.36;

/// In the unit of the figure, microseconds.
pub(super) fn interval(run: &TrialResult, class: LatencyClass, kind: Kind) -> Option<[f64; 2]> {
    let quantile = kind.quantile()?;
    let ns = histogram_of(run, class)?.ok().filter(|ns| !ns.is_empty())?;
    let beyond = beyond(&run.intervals, ns.value_at_quantile(quantile));
    let error = standard_error(&beyond)?;
    let at = |quantile: f64| ns.value_at_quantile(quantile.clamp(0.0, 1.0)) as f64 / 1e3;
    Some([at(quantile - ERRORS * error), at(quantile + ERRORS * error)])
}

/// Of each measured second the share of copies that took longer than `ns`; of the band that holds it a part, as
/// if its copies were spread evenly.
fn beyond(intervals: &[Interval], ns: u64) -> Vec<f64> {
    let share = |interval: &Interval| {
        let all: u64 = interval.bands.iter().map(|[_, copies]| copies).sum();
        let beyond =
            interval.bands.iter().map(|&[band, copies]| part_beyond(band, ns) * copies as f64);
        (all > 0).then(|| beyond.sum::<f64>() / all as f64)
    };
    intervals.iter().filter(|interval| !interval.warmup).filter_map(share).collect()
}

fn part_beyond(band: u64, ns: u64) -> f64 {
    let edge = |band: u64| u8::try_from(band).map_or(u64::MAX, |band| bands::begin(band).0) as f64;
    let (from, to) = (edge(band), edge(band + 1));
    ((to - ns as f64) / (to - from).max(1.0)).clamp(0.0, 1.0)
}

/// Of their mean; none where fewer than eight of them are independent.
fn standard_error(shares: &[f64]) -> Option<f64> {
    let count = shares.len();
    let mean = shares.iter().sum::<f64>() / count.max(1) as f64;
    let x: Vec<f64> = shares.iter().map(|share| share - mean).collect();
    let covariance = |lag: usize| {
        x.iter().zip(x.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>() / count.max(1) as f64
    };
    let own = covariance(0);
    if own <= 0.0 {
        return None;
    }
    let reach = reach(count, |lag| covariance(lag) / own);
    let weighted = |lag: usize| 2.0 * (1.0 - lag as f64 / reach as f64) * covariance(lag);
    let long_run = (own + (1..reach).map(weighted).sum::<f64>()).max(own);
    let independent = count as f64 * own / long_run;
    (independent >= SECONDS_MIN).then(|| (long_run / count as f64).sqrt())
}

/// How many seconds of a row still know of each other: twice the lag behind which no correlation is more than
/// chance (Politis and White).
fn reach(count: usize, correlation: impl Fn(usize) -> f64) -> usize {
    let chance = 2.0 * ((count as f64).log10() / count as f64).sqrt();
    let most = count / 4;
    let quiet = |lag: &usize| (*lag..lag + 4).all(|lag| correlation(lag).abs() < chance);
    let lag = (1..most).find(quiet).unwrap_or(most);
    (2 * lag).clamp(1, (count / 3).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An autoregressive series of standard deviation 1 by a generator of its own.
    fn series(rng: &mut fastrand::Rng, count: usize, phi: f64) -> Vec<f64> {
        let mut at = 0.0;
        let mut next = || {
            let noise: f64 = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
            at = phi * at + (1.0 - phi * phi).sqrt() * noise;
            at
        };
        (0..count + 50).map(|_| next()).skip(50).collect()
    }

    /// The error that is told is that which the means of many such series show.
    #[test]
    fn the_error_of_a_mean_is_that_of_many_such_series() {
        for phi in [0.0, 0.5] {
            let mut rng = fastrand::Rng::with_seed(3);
            let (mut means, mut told) = (Vec::new(), Vec::new());
            for _ in 0..400 {
                let seconds = series(&mut rng, 120, phi);
                means.push(seconds.iter().sum::<f64>() / 120.0);
                told.extend(standard_error(&seconds));
            }
            let truth = (means.iter().map(|mean| mean * mean).sum::<f64>() / 400.0).sqrt();
            let told = told.iter().sum::<f64>() / told.len() as f64;
            assert!((told / truth - 1.0).abs() < 0.25, "{phi}: {told} for {truth}");
        }
    }

    #[test]
    fn a_drift_as_long_as_the_run_is_no_ground_for_an_interval() {
        let drift: Vec<f64> = (0..60).map(f64::from).collect();
        assert_eq!(standard_error(&drift), None);
        assert_eq!(standard_error(&[0.5; 60]), None);
        assert_eq!(standard_error(&[]), None);
    }

    #[test]
    fn a_band_that_holds_the_value_counts_for_its_part() {
        let (from, to) = (bands::begin(40).0, bands::begin(41).0);
        assert!((part_beyond(40, from) - 1.0).abs() < 1e-12);
        assert!(part_beyond(40, to).abs() < 1e-12);
        assert!((part_beyond(40, u64::midpoint(from, to)) - 0.5).abs() < 0.01);
        assert!((part_beyond(41, from) - 1.0).abs() < 1e-12 && part_beyond(39, to).abs() < 1e-12);
    }
}
