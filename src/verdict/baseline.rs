//! The generator's own floor: the same plan against a cluster that does nothing but pass bytes on.
//!
//! Belongs here: which trial of it a trial is held against, and when a trial stands too near to it. Does
//! not: running it (`experiment::calibration`).
//!
//! What is measured there is generator, loopback and null cluster together, so it is an *upper bound*
//! of what the tool adds to a figure, and tight only where the null cluster is fast. Hence a trial is
//! never void for it: the generator's own lateness has rules of its own (`verdict`).

use crate::load::trial::TrialId;
use crate::measure::outcome::TrialOutcome;
use crate::measure::percentile::Percentile;
use crate::units::Nanos;
use crate::verdict::judged::Judged;
use crate::verdict::kind::{DEGRADED, Grounds, Kind, degraded};

/// Of a trial's percentile, the share that may stand in the floor before it has to be said: below it
/// the bound is within what percentiles vary by from run to run.
const SHARE_MAX: f64 = 0.10;

pub(super) const NEAR_OWN_FLOOR: Kind = Kind {
    code: "near-own-floor",
    severities: DEGRADED,
    meaning: "The same load against a null cluster (--calibrate) has a percentile that is a large part of this \
              one: up to that much may be the generator's own.",
};

/// What a calibration came to.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// Against what it ran, as a clause.
    pub cluster: String,
    /// The null cluster had no CPU of its own: the floor is higher than it need be.
    pub shares_cores: bool,
    /// Its trials, in order; fewer than the plan's after a failure.
    pub trials: Vec<Judged>,
    /// Why it did not come to its end.
    pub failure: Option<String>,
}

impl Baseline {
    /// What the calibration measured of the same trial. Where copies are missing it bounds nothing.
    pub fn of(&self, trial: &TrialId) -> Option<&TrialOutcome> {
        let mut trials = self.trials.iter().map(|floor| &floor.outcome);
        trials.find(|floor| floor.id == *trial && floor.complete())
    }

    /// The 99th percentiles of the class that heads the report are compared; where one of the two has
    /// too few samples, the medians.
    pub(super) fn near(&self, run: &TrialOutcome) -> Option<Grounds> {
        let floor = self.of(&run.id)?;
        let of = |run: &TrialOutcome, p: Percentile| p.of(&run.latency_ns.first()?.1);
        let both = |p: Percentile| Some((p, of(floor, p)?, of(run, p)?));
        let (percentile, own, all) = both(Percentile::P99).or_else(|| both(Percentile::P50))?;
        let share = own.0 as f64 / all.0.max(1) as f64;
        (share > SHARE_MAX).then(|| self.grounds(percentile, own, all, share))
    }

    fn grounds(&self, percentile: Percentile, own: Nanos, all: Nanos, share: f64) -> Grounds {
        let (label, percent) = (percentile.label(), share * 100.0);
        let crowded = match self.shares_cores {
            true => "; on CPUs that they shared, which makes it higher than it need be",
            false => "",
        };
        let text = format!(
            "the same plan against a null cluster has a {label} of {own}, {percent:.0} % of this \
                 trial's {all}: up to so much may be the generator's own, loopback and null cluster \
                 included{crowded}"
        );
        let remedy = "compare such figures with the floor and not with 0; more --cores, or more CPUs \
                      beside them, lower it";
        degraded(text, remedy)
    }
}

#[cfg(test)]
mod tests {
    use crate::load::profile::{Burst, Window};
    use crate::load::trial::Trial;
    use crate::measure::outcome::{Class, Delivery};
    use crate::verdict::baseline::*;

    /// A trial of so many copies that all took as long.
    fn run(copies: u64, latency_ns: u64) -> TrialOutcome {
        let ns = (0..copies).map(|_| Nanos(latency_ns)).collect();
        TrialOutcome {
            id: Trial::new(Burst, 100, Nanos::ZERO).id,
            messages: 100,
            sent: 100,
            delivery: Delivery {
                expected: copies,
                delivered: copies,
                seen: copies,
                ..Delivery::default()
            },
            latency_ns: vec![(Class::Service, ns)],
            ..TrialOutcome::nothing()
        }
    }

    /// Whether the second is near to the first.
    fn is_near(floor: TrialOutcome, run: &TrialOutcome) -> bool {
        let floor = Judged { outcome: floor, caveats: Vec::new() };
        Baseline { trials: vec![floor], ..Baseline::default() }.near(run).is_some()
    }

    #[test]
    fn a_tenth_is_said_and_less_is_not() {
        assert!(!is_near(run(2_000, 90_000), &run(2_000, 1_000_000)));
        assert!(is_near(run(2_000, 110_000), &run(2_000, 1_000_000)));
        // Faster than the null cluster: nothing of it is the target's.
        assert!(is_near(run(2_000, 2_000_000), &run(2_000, 1_000_000)));
    }

    #[test]
    fn with_few_samples_the_medians_are_compared_and_with_fewer_nothing() {
        assert!(is_near(run(50, 500_000), &run(2_000, 1_000_000)));
        assert!(!is_near(run(10, 500_000), &run(10, 1_000_000)));
    }

    #[test]
    fn a_calibration_with_a_deficit_or_of_another_trial_bounds_nothing() {
        let mut short = run(2_000, 900_000);
        short.delivery.missing = 1;
        assert!(!is_near(short, &run(2_000, 1_000_000)));
        let mut other = run(2_000, 900_000);
        other.id = Trial::new(Window { in_flight: 4 }, 100, Nanos::ZERO).id;
        assert!(!is_near(other, &run(2_000, 1_000_000)));
    }
}
