//! What is searched for.
//!
//! Belongs here: the question, and which trial shows a rate. Does not: which rates are tried (`controller`).

use super::bounds::Goal;
use crate::load::inter_arrival::InterArrival;
use crate::load::profile::{FixedRate, Profile};
use crate::load::trial::Trial;
use crate::units::{Count, Nanos, Rate};
use crate::verdict::objective::Objective;

/// A trial that takes longer is refused.
const TRIAL_MAX: Nanos = Nanos::from_secs(60);

/// How long the cluster is looked at, at first, where trials are not shorter.
const LOOK: Nanos = Nanos::from_secs(1);

/// Copies of which a median is told.
const LOOK_COPIES: u64 = 20;

/// A question to a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchPlan {
    /// The least and the largest rate.
    pub range: [Rate; 2],
    /// What must hold; at least one.
    pub objectives: Vec<Objective>,
    /// When the answer is close enough.
    pub goal: Goal,
    /// How long the measured part of a trial is, unless its copies are too few then.
    pub lasting: Nanos,
    /// How long each trial is warmed up.
    pub warmup: Nanos,
    /// How messages are spread.
    pub arrivals: InterArrival,
    /// How long all of it may take.
    pub timeout: Nanos,
}

/// Trials of a rate would be too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--slo '{objective}' takes {} messages of a trial, at the least rate of --rate {lasting}: more than {TRIAL_MAX}; \
     let --rate begin at {least} or above, or ask for less", Count(*.messages)
)]
pub struct TooSlow {
    objective: String,
    messages: u64,
    lasting: Nanos,
    least: Rate,
}

impl SearchPlan {
    /// Whether every objective can be told at the least rate, where a message is heard by so many sockets.
    ///
    /// # Errors
    /// See [`TooSlow`].
    pub fn check(&self, copies_each: u64) -> Result<(), TooSlow> {
        let slowest = self.objectives.iter().max_by_key(|one| one.messages_min(copies_each));
        let Some(slowest) = slowest else { return Ok(()) };
        let (messages, least) = (slowest.messages_min(copies_each), self.range[0]);
        let lasting = time_of(messages, least);
        if lasting <= TRIAL_MAX.max(self.lasting) {
            return Ok(());
        }
        let enough = Rate::per_second((messages as f64 / TRIAL_MAX.as_secs_f64()).ceil());
        Err(TooSlow { objective: slowest.to_string(), messages, lasting, least: enough })
    }

    /// The trial that shows whether a rate holds, and how long its measured part is.
    pub fn trial(&self, rate: Rate, copies_each: u64) -> (Trial, Nanos) {
        let needed = self.objectives.iter().map(|one| one.messages_min(copies_each)).max();
        self.lasting_for(rate, self.warmup, self.lasting, needed.unwrap_or(1))
    }

    /// A look at the cluster at the least rate; each doubling makes it twice as long.
    pub fn recovery(&self, doublings: u32, copies_each: u64) -> (Rate, Trial) {
        let long = Nanos(self.lasting.min(LOOK).0 << doublings);
        let rate = self.range[0];
        let needed = LOOK_COPIES.div_ceil(copies_each.max(1));
        (rate, self.lasting_for(rate, Nanos::ZERO, long, needed).0)
    }

    /// Of all trials, one with as many messages as any.
    pub fn largest(&self, copies_each: u64) -> Trial {
        let ends = self.range.map(|rate| self.trial(rate, copies_each).0);
        ends.into_iter().max_by_key(|trial| trial.messages).expect("a range has two ends")
    }

    /// The least latency that is too long.
    pub fn tightest(&self) -> Option<Nanos> {
        self.objectives.iter().filter_map(Objective::below).min()
    }

    fn lasting_for(
        &self,
        rate: Rate,
        warmup: Nanos,
        lasting: Nanos,
        needed: u64,
    ) -> (Trial, Nanos) {
        let is_enough = needed as f64 <= rate.as_f64() * lasting.as_secs_f64();
        let lasting = if is_enough { lasting } else { time_of(needed, rate) };
        let profile = Profile::from(FixedRate { rate, arrivals: self.arrivals });
        let due = |within| profile.due_within(within).unwrap_or(0);
        let messages = due(warmup).saturating_add(due(lasting).max(needed));
        (Trial::new(profile, messages, warmup), lasting)
    }
}

/// In whole seconds.
fn time_of(messages: u64, rate: Rate) -> Nanos {
    let seconds = (messages as f64 / rate.as_f64()).ceil();
    Nanos::from_secs((seconds as u64).min(u64::from(u32::MAX)))
}
