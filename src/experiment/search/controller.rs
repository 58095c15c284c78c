//! Which rate is tried next.
//!
//! Belongs here: the way from a range of rates to bounds that are close enough, as a function of what was tried.
//! Does not: trying (`search`), what trials say together (`bounds`).
//!
//! Upwards from the least rate, so that a cluster is not buried before it was seen well; then halving, in the
//! logarithm. Coarse goals come first: a rate that one short look rules out is not looked at five times.

use super::bounds::{Bound, Bounds, Goal, Tried, Tries};
use crate::units::{Nanos, Rate};

/// From one rate that holds to the next one up, while none is known that does not.
const STEP_UP: f64 = 4.0;

/// How much wider a coarser goal is than the next one.
const COARSER: f64 = 2.0;

/// Goals in all; all but the last are coarser.
const GOALS: i32 = 3;

/// Digits of a rate that is tried: more would be more precise than any result.
const DIGITS: i32 = 3;

/// Chooses rates.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    range: [Rate; 2],
    /// From the coarsest to the one that was asked for.
    goals: Vec<Goal>,
}

impl Controller {
    /// For rates from the first to the second of `range`, in trials of this length.
    pub(super) fn new(range: [Rate; 2], goal: Goal, trial: Nanos) -> Self {
        let (one, all) = (trial.as_secs_f64(), goal.duration_sum.as_secs_f64());
        let coarser = |index: i32| {
            let left = GOALS - 1 - index;
            let share = f64::from(index) / f64::from(GOALS - 1);
            let sum_s = one * (all / one).max(1.0).powf(share);
            let duration_sum = if left == 0 { goal.duration_sum } else { nanos(sum_s) };
            Goal { duration_sum, width: goal.width * COARSER.powi(left), ..goal }
        };
        Self { range, goals: (0..GOALS).map(coarser).collect() }
    }

    /// The rate to try next; none where the bounds are close enough, or lie at an end of the range.
    pub(super) fn next(&self, tries: &Tries) -> Option<Rate> {
        self.goals.iter().find_map(|goal| self.towards(goal, tries))
    }

    fn towards(&self, goal: &Goal, tries: &Tries) -> Option<Rate> {
        let [least, most] = self.range;
        let bounds = tries.bounds(goal);
        match bounds {
            Bounds { upper: Some(upper), .. } if upper <= least => return None,
            Bounds { lower: Some(lower), .. } if lower >= most => return None,
            Bounds { lower: Some(lower), upper: Some(upper), .. } if close(lower, upper, goal) => {
                return None;
            }
            _ => {}
        }
        if let Some(begun) = begun(bounds, goal, tries) {
            return Some(begun);
        }
        match (bounds.lower, bounds.upper) {
            (None, _) => Some(least),
            (Some(lower), None) => Some(times(lower, STEP_UP).min(most)),
            (Some(lower), Some(upper)) => between(lower, upper),
        }
    }
}

/// A rate between the bounds that was tried and is not decided: it is cheaper to decide than a new one. First the
/// largest that seems to hold, then the least that seems not to.
fn begun(bounds: Bounds, goal: &Goal, tries: &Tries) -> Option<Rate> {
    let within = |rate: &Rate| {
        bounds.lower.is_none_or(|lower| *rate > lower)
            && bounds.upper.is_none_or(|upper| *rate < upper)
    };
    let open = || {
        let all = tries.by_rate();
        all.filter(|(rate, tried)| within(rate) && tried.bound(goal) == Bound::Undecided)
    };
    let good = |(rate, tried): (Rate, &Tried)| tried.leans_to_good().then_some(rate);
    open().rev().find_map(good).or_else(|| open().next().map(|(rate, _)| rate))
}

fn close(lower: Rate, upper: Rate, goal: &Goal) -> bool {
    upper.as_f64() <= lower.as_f64() * (1.0 + goal.width) || between(lower, upper).is_none()
}

fn times(rate: Rate, factor: f64) -> Rate {
    Rate::per_second(rounded(rate.as_f64() * factor))
}

/// Halfway in the logarithm; none where no other rate lies between.
fn between(lower: Rate, upper: Rate) -> Option<Rate> {
    let middle = (lower.as_f64() * upper.as_f64()).sqrt();
    let within = |rate: &Rate| lower < *rate && *rate < upper;
    [rounded(middle), middle].map(Rate::per_second).into_iter().find(within)
}

/// To [`DIGITS`].
fn rounded(figure: f64) -> f64 {
    let step = 10_f64.powi(figure.log10().floor() as i32 + 1 - DIGITS);
    (figure / step).round() * step
}

fn nanos(seconds: f64) -> Nanos {
    Nanos((seconds * 1e9) as u64)
}
