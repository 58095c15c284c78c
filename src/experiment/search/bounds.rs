//! What trials at several rates say of the rate that a cluster holds: a bound from below and one from above.
//!
//! Belongs here: the arithmetic of MLRsearch (draft-ietf-bmwg-mlrsearch): when trials at one rate suffice, which
//! bounds count. Does not: which rate is tried next (`controller`), what makes a trial good or bad
//! (`verdict::objective`).

use std::collections::BTreeMap;

use crate::units::{Nanos, Rate};

/// What trials must show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// How much time of trials one rate takes, unless less of it decides already.
    pub duration_sum: Nanos,
    /// The part of that time that may be bad where a rate holds, from 0 to below 1.
    pub exceed_ratio: f64,
    /// How far the bounds may be apart at the end, as a part of the lower one.
    pub width: f64,
}

/// What a trial came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// All objectives held.
    Good,
    /// One was broken.
    Bad,
    /// The generator was the limit: it says nothing of the cluster.
    Void,
}

/// What all trials at one rate say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// It holds, whatever further trials say.
    Lower,
    /// It does not hold, whatever further trials say.
    Upper,
    /// The generator cannot make that rate.
    Generator,
    /// Not enough is known.
    Undecided,
}

/// Void trials at one rate that make it the generator's limit, where they are more than the others: one alone may be a
/// moment of the host.
const VOIDS_MIN: u32 = 3;

/// The trials at one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Time of good trials.
    pub good: Nanos,
    /// Time of bad trials.
    pub bad: Nanos,
    /// How many were good or bad.
    pub decided: u32,
    /// How many were void.
    pub voids: u32,
}

impl Tried {
    /// A rate is decided when the trials that are still owed could not change it.
    pub fn bound(&self, goal: &Goal) -> Bound {
        let (good, bad) = (self.good.as_secs_f64(), self.bad.as_secs_f64());
        let whole = (good + bad).max(goal.duration_sum.as_secs_f64());
        // Of what is still owed, all may be bad, or all good.
        if whole - good <= goal.exceed_ratio * whole + ROUNDING_S {
            Bound::Lower
        } else if bad > goal.exceed_ratio * whole + ROUNDING_S {
            Bound::Upper
        } else if self.voids >= VOIDS_MIN && self.voids > self.decided {
            Bound::Generator
        } else {
            Bound::Undecided
        }
    }

    /// More good time than bad.
    pub fn leans_to_good(&self) -> bool {
        self.good > self.bad
    }
}

/// Sums of seconds as floats are not exact; no trial is so short.
const ROUNDING_S: f64 = 1e-6;

/// What is known of the rate that a cluster holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The largest rate below `upper` that holds.
    pub lower: Option<Rate>,
    /// The least rate that does not hold.
    pub upper: Option<Rate>,
    /// The upper one is the generator's limit: whether the cluster holds it is not known.
    pub by_generator: bool,
}

/// All trials so far, by rate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tries(BTreeMap<Rate, Tried>);

impl Tries {
    /// Adds a trial.
    pub fn add(&mut self, rate: Rate, lasting: Nanos, finding: Finding) {
        let tried = self.0.entry(rate).or_default();
        match finding {
            Finding::Good => tried.good = tried.good.plus(lasting),
            Finding::Bad => tried.bad = tried.bad.plus(lasting),
            Finding::Void => tried.voids += 1,
        }
        tried.decided += u32::from(finding != Finding::Void);
    }

    /// What was tried, by rate.
    pub fn by_rate(&self) -> impl DoubleEndedIterator<Item = (Rate, &Tried)> {
        self.0.iter().map(|(rate, tried)| (*rate, tried))
    }

    /// The bounds that count: a rate that does not hold is one, and whatever holds above it is not.
    pub fn bounds(&self, goal: &Goal) -> Bounds {
        let of = |rate: &Rate| self.0[rate].bound(goal);
        let upper = self.0.keys().find(|rate| matches!(of(rate), Bound::Upper | Bound::Generator));
        let below = self.0.keys().rev().filter(|&rate| upper.is_none_or(|upper| rate < upper));
        let lower = below.into_iter().find(|rate| of(rate) == Bound::Lower);
        let by_generator = upper.is_some_and(|upper| of(upper) == Bound::Generator);
        Bounds { lower: lower.copied(), upper: upper.copied(), by_generator }
    }

    /// The largest rate up to which no trial was bad; none where the least one had a bad one.
    pub fn never_failed(&self) -> Option<Rate> {
        let below = self.0.iter().take_while(|(_, tried)| tried.bad == Nanos::ZERO);
        below.filter(|(_, tried)| tried.good > Nanos::ZERO).last().map(|(rate, _)| *rate)
    }

    /// The least rate that holds above one that does not: the cluster does not always do less the more is asked
    /// of it, or it changed meanwhile.
    pub fn holds_above(&self, goal: &Goal) -> Option<Rate> {
        let upper = self.bounds(goal).upper?;
        let mut above = self.0.range(upper..);
        above.find_map(|(rate, tried)| (tried.bound(goal) == Bound::Lower).then_some(*rate))
    }
}
