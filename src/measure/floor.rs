//! The generator's own floor: the same plan against a cluster that does nothing but pass bytes on.
//!
//! Belongs here: which row of it a row is held against, and when a row stands too near to it. Does
//! not: running it (`cli::calibrate`).
//!
//! What is measured there is generator, loopback and null cluster together, so it is an *upper bound*
//! of what the tool adds to a figure, and tight only where the null cluster is fast. Hence a row is
//! never void for it: the generator's own lateness has rules of its own (`verdict`).

use hdrhistogram::Histogram;

use super::outcome::{Caveat, RunOutcome, Trust};
use super::percentile::Percentile;
use crate::units::Nanos;

/// Of a row's percentile, the share that may stand in the floor before it has to be said: below it
/// the bound is within what percentiles vary by from run to run.
const SHARE_MAX: f64 = 0.10;

/// What a calibration came to.
#[derive(Clone, Debug, Default)]
pub struct Floor {
    /// Against what it ran, as a clause.
    pub cluster: String,
    /// The null cluster had no CPU of its own: the floor is higher than it need be.
    pub shares_cores: bool,
    /// Its rows, in order; fewer than the plan's after a failure.
    pub runs: Vec<RunOutcome>,
    /// Why it did not come to its end.
    pub failure: Option<String>,
}

impl Floor {
    /// The row of the calibration that so many messages are held against. One of which copies are
    /// missing bounds nothing.
    pub fn of(&self, messages: u64) -> Option<&RunOutcome> {
        self.runs.iter().find(|floor| floor.messages == messages && floor.complete())
    }

    /// Adds to a row the caveat that it has earned, if it has, in its place among the others.
    pub fn hold(&self, run: &mut RunOutcome) {
        run.caveats.extend(self.near(run));
        run.caveats.sort_by_key(|caveat| std::cmp::Reverse(caveat.severity));
    }

    fn near(&self, run: &RunOutcome) -> Option<Caveat> {
        let (_, floor) = self.of(run.messages)?.latency_ns.first()?;
        let (_, row) = run.latency_ns.first()?;
        let (percentile, own, all) = compared(floor, row)?;
        let share = own.0 as f64 / all.0.max(1) as f64;
        (share > SHARE_MAX).then(|| self.caveat(percentile, own, all, share))
    }

    fn caveat(&self, percentile: Percentile, own: Nanos, all: Nanos, share: f64) -> Caveat {
        let (label, percent) = (percentile.label(), share * 100.0);
        let crowded = match self.shares_cores {
            true => "; on CPUs that they shared, which makes it higher than it need be",
            false => "",
        };
        Caveat {
            code: "near-own-floor",
            severity: Trust::Degraded,
            text: format!(
                "the same plan against a null cluster has a {label} of {own}, {percent:.0} % of this \
                 row's {all}: up to so much may be the generator's own, loopback and null cluster \
                 included{crowded}"
            ),
            remedy:
                "compare such figures with the floor and not with 0; more --cores, or more CPUs \
                     beside them, lower it"
                    .to_owned(),
        }
    }
}

/// The 99th percentiles of floor and row; where one of the two has too few samples, the medians; where
/// even those, nothing.
fn compared(floor: &Histogram<u64>, row: &Histogram<u64>) -> Option<(Percentile, Nanos, Nanos)> {
    let both =
        |percentile: Percentile| Some((percentile, percentile.of(floor)?, percentile.of(row)?));
    both(Percentile::P99).or_else(|| both(Percentile::P50))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::recorder::histogram;

    /// So many samples, half of them of 1 µs, the others of 9.
    fn samples(count: u64) -> Histogram<u64> {
        let mut ns = histogram();
        ns.record_n(1_000, count / 2 + 1).unwrap();
        ns.record_n(9_000, count / 2).unwrap();
        ns
    }

    #[test]
    fn with_few_samples_the_medians_are_compared_and_with_fewer_nothing() {
        let value = |floor, row| {
            let (percentile, own, _) = compared(&samples(floor), &samples(row))?;
            Some((percentile.label(), own.0 / 1_000))
        };
        assert_eq!(value(2_000, 2_000), Some(("p99", 9)));
        assert_eq!(value(100, 2_000), Some(("p50", 1)));
        assert_eq!(value(2_000, 100), Some(("p50", 1)));
        assert_eq!(value(10, 2_000), None);
    }
}
