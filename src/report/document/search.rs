//! The part of a document that tells a search: what was asked, which rates were tried, which of them hold.
//!
//! Belongs here: keys and their meaning. Does not: how they come about (`searched`); the trials, which are in
//! `trials` as those of any run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trial::LatencyClass;
use crate::report::sanitize::UntrustedText;

/// A search for the rate that the cluster holds; the trials of the file are its trials. Rates are messages in a
/// second over all push sockets. The terms are those of MLRsearch (draft-ietf-bmwg-mlrsearch).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Search {
    /// What must hold in a trial, as `p99 < 50.0 ms`.
    pub objectives: Vec<UntrustedText>,
    /// The latency that `attempts[].latency_us` and the picture show: that of the first objective about one.
    pub latency: Watched,
    /// The least rate that is tried.
    pub least_per_s: f64,
    /// The largest rate that is tried.
    pub most_per_s: f64,
    /// The measured part of a trial; longer where its copies would be too few to know the objectives.
    pub trial_s: f64,
    /// The warm-up of each trial.
    pub warmup_s: f64,
    /// Goal: the time of trials that one rate takes, unless less of it decides.
    pub duration_sum_s: f64,
    /// Goal: the part of that time that may be bad where a rate holds.
    pub exceed_ratio: f64,
    /// Goal: how far the bounds may be apart, as a part of the lower one.
    pub width: f64,
    /// The search ends after so long.
    pub timeout_s: f64,
    /// Relevant lower bound: the largest rate that holds and lies below the upper one; null where none is known.
    pub lower_per_s: Option<f64>,
    /// Relevant upper bound: the least rate that does not hold; null where none is known.
    pub upper_per_s: Option<f64>,
    /// Whose limit the upper bound is; null without one.
    pub limit_of: Option<LimitOf>,
    /// The largest rate with a good trial up to which no trial was bad; null where there is none. It is no bound of a goal
    /// with an exceed ratio of 0: that takes `duration_sum_s` of good trials.
    pub never_failed_per_s: Option<f64>,
    /// A rate above the upper bound that holds all the same; null where there is none.
    pub holds_above_per_s: Option<f64>,
    /// Why it ended; null while it has not.
    pub ending: Option<Ending>,
    /// What failed, where something did.
    pub reason: Option<UntrustedText>,
    /// How long it took, all trials and looks included.
    pub elapsed_s: f64,
    /// The rates that were tried, the least first.
    pub rates: Vec<TriedRate>,
    /// The trials of the file, in their order, as the search saw them.
    pub attempts: Vec<TriedTrial>,
}

/// A figure of a latency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Watched {
    /// Its class.
    pub class: LatencyClass,
    /// `p50` to `p99.99`, or `max`.
    pub figure: UntrustedText,
    /// What it must be below; null where no objective is about a latency.
    pub below_us: Option<f64>,
}

/// Whose limit a rate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitOf {
    /// The cluster broke an objective.
    Cluster,
    /// The generator could not make that rate: whether the cluster holds it is not known.
    Generator,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The bounds are close enough, or at an end of the range.
    Found,
    /// It took too long.
    Timeout,
    /// The cluster did not become as fast as it was at the least rate.
    NotRecovered,
    /// A trial failed, or a signal ended it.
    Failed,
}

/// What trials say of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It holds: a lower bound.
    Holds,
    /// It does not hold: an upper bound.
    Fails,
    /// Its trials were void.
    Generator,
    /// Not enough was measured.
    Undecided,
}

/// All trials at one rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriedRate {
    /// The rate.
    pub rate_per_s: f64,
    /// What its trials say.
    pub says: Says,
    /// Time of good trials.
    pub good_s: f64,
    /// Time of bad trials.
    pub bad_s: f64,
    /// Number of void trials.
    pub voids: u64,
}

/// What a trial of a search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It shows whether its rate holds.
    Measured,
    /// It shows at the least rate whether the cluster is as fast as before.
    Recovery,
}

/// What a trial shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// All objectives held.
    Good,
    /// One was broken.
    Bad,
    /// The generator was the limit.
    Void,
}

/// A trial as the search saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriedTrial {
    /// Its name in `trials`.
    pub id: UntrustedText,
    /// What it was run for.
    pub role: Role,
    /// Its rate.
    pub rate_per_s: f64,
    /// What it shows; null of a look at the least rate, and of a trial that was cut short.
    pub finding: Option<Finding>,
    /// Why it is bad or void.
    pub reasons: Vec<UntrustedText>,
    /// The latency that is watched; null with too few samples.
    pub latency_us: Option<f64>,
}

impl Search {
    /// Whether the bounds are what they are because of this trial.
    pub fn rests_on(&self, id: &UntrustedText) -> bool {
        let wanted = |tried: &&TriedTrial| match tried.finding {
            Some(Finding::Void) => self.limit_of == Some(LimitOf::Generator),
            found => found.is_some(),
        };
        let bounds = [self.lower_per_s, self.upper_per_s];
        if bounds == [None, None] {
            return true;
        }
        let bounds = bounds.into_iter().flatten();
        bounds.flat_map(|rate| self.measured_at(rate)).filter(wanted).any(|tried| tried.id == *id)
    }

    /// Trials at a rate that show whether it holds.
    pub fn measured_at(&self, rate_per_s: f64) -> impl DoubleEndedIterator<Item = &TriedTrial> {
        let at = move |tried: &&TriedTrial| {
            tried.role == Role::Measured && tried.rate_per_s == rate_per_s
        };
        self.attempts.iter().filter(at)
    }
}
