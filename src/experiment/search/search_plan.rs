//! What is searched for.
//!
//! Belongs here: the question, and which trial shows a rate. Does not: which rates are tried (`controller`).

use super::bounds::Goal;
use crate::load::inter_arrival::InterArrival;
use crate::load::profile::{FixedRate, Profile};
use crate::load::trial::Trial;
use crate::plan::load::MAX_MESSAGES;
use crate::units::{Count, Nanos, Rate};
use crate::verdict::objective::Objective;

/// A trial that takes longer is refused.
const TRIAL_MAX: Nanos = Nanos::from_secs(60);

/// How long the cluster is looked at, at first, where trials are not shorter.
const LOOK: Nanos = Nanos::from_secs(1);

/// Copies of which a median is told, with some to spare.
const LOOK_COPIES: u64 = 30;

/// How often the cluster is looked at before it is said not to recover, each look twice as long as the one before.
pub(super) const LOOKS_MAX: u32 = 5;

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

/// Why a search cannot be made. Each is one line that names the flags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// Trials of the least rate would be too long.
    #[error(
        "--slo '{objective}' takes {} of a trial, at the least rate of --rate {lasting}: more than {TRIAL_MAX}; \
         let --rate begin at {least} or above, or ask for less", counted(*.messages)
    )]
    TooSlow {
        /// The objective that takes most.
        objective: String,
        /// So many.
        messages: u64,
        /// So long.
        lasting: Nanos,
        /// The least rate that would do.
        least: Rate,
    },
    /// Trials of the largest rate would have too many messages.
    #[error(
        "--rate up to {most} makes trials of {}: at most {} in one; let --rate end below, or shorten --duration",
        counted(*.messages), Count(MAX_MESSAGES)
    )]
    TooFast {
        /// The largest rate.
        most: Rate,
        /// So many.
        messages: u64,
    },
}

fn counted(messages: u64) -> String {
    format!("{} message{}", Count(messages), if messages == 1 { "" } else { "s" })
}

impl SearchPlan {
    /// Whether every objective can be told at the least rate, where a message is heard by so many sockets, and the
    /// largest trial can be sent.
    ///
    /// # Errors
    /// See [`SearchError`].
    pub fn check(&self, copies_each: u64) -> Result<(), SearchError> {
        let messages = self.largest(copies_each).messages;
        if messages > MAX_MESSAGES {
            return Err(SearchError::TooFast { most: self.range[1], messages });
        }
        let slowest = self.objectives.iter().max_by_key(|one| one.messages_min(copies_each));
        let Some(slowest) = slowest else { return Ok(()) };
        let (messages, least) = (slowest.messages_min(copies_each), self.range[0]);
        let lasting = self.lasting_of(messages, least);
        if lasting <= TRIAL_MAX.max(self.lasting) {
            return Ok(());
        }
        let objective = slowest.to_string();
        let least = Rate::per_second((messages as f64 / TRIAL_MAX.as_secs_f64()).ceil());
        Err(SearchError::TooSlow { objective, messages, lasting, least })
    }

    /// The trial that shows whether a rate holds, and how long its measured part is. `number` is another for each
    /// trial: what is drawn is drawn anew.
    pub fn trial(&self, rate: Rate, copies_each: u64, number: u64) -> (Trial, Nanos) {
        let lasting = self.lasting_of(self.messages_min(copies_each), rate);
        (self.lasting_for(rate, (self.warmup, lasting), number), lasting)
    }

    /// A look at the cluster at the least rate; each doubling makes it twice as long.
    pub fn recovery(&self, doublings: u32, copies_each: u64, number: u64) -> (Trial, Nanos) {
        let rate = self.range[0];
        let needed = time_of(LOOK_COPIES.div_ceil(copies_each.max(1)), rate);
        let long = Nanos(self.lasting.min(LOOK).0 << doublings).max(needed);
        (self.lasting_for(rate, (Nanos::ZERO, long), number), long)
    }

    /// Of all trials, one with as many messages as any.
    pub fn largest(&self, copies_each: u64) -> Trial {
        let [least, most] = self.range;
        // Just below the rate from which on trials need not be longer, they are longer by most.
        let longer = self.messages_min(copies_each) as f64 / self.lasting.as_secs_f64() * 0.999;
        let longer = Rate::per_second(longer).clamp(least, most);
        let trials = [least, longer, most].map(|rate| self.trial(rate, copies_each, 0).0);
        let looks = [self.recovery(LOOKS_MAX - 1, copies_each, 0).0];
        let all = trials.into_iter().chain(looks);
        all.max_by_key(|trial| trial.messages).expect("there are some")
    }

    /// The least latency that is too long.
    pub fn tightest(&self) -> Option<Nanos> {
        self.objectives.iter().filter_map(Objective::below).min()
    }

    fn messages_min(&self, copies_each: u64) -> u64 {
        let each = self.objectives.iter().map(|one| one.messages_min(copies_each));
        each.max().unwrap_or(1)
    }

    /// As asked, or as long as it takes.
    fn lasting_of(&self, messages: u64, rate: Rate) -> Nanos {
        let is_enough = messages as f64 <= rate.as_f64() * self.lasting.as_secs_f64();
        if is_enough { self.lasting } else { time_of(messages, rate) }
    }

    fn lasting_for(&self, rate: Rate, (warmup, lasting): (Nanos, Nanos), number: u64) -> Trial {
        let arrivals = match self.arrivals {
            InterArrival::Poisson { seed } => {
                InterArrival::Poisson { seed: seed.wrapping_add(number) }
            }
            InterArrival::Constant => InterArrival::Constant,
        };
        let profile = Profile::from(FixedRate { rate, arrivals });
        let due = |within| profile.due_within(within).unwrap_or(0);
        let warmed = due(warmup);
        // What is drawn for the warm-up may be more than that by some deviations.
        let drawn = match arrivals {
            InterArrival::Poisson { .. } => (4.0 * (warmed as f64).sqrt()).ceil() as u64,
            InterArrival::Constant => 0,
        };
        let messages = warmed.saturating_add(due(lasting).max(1)).saturating_add(drawn);
        Trial::new(profile, messages, warmup)
    }
}

/// In whole seconds.
fn time_of(messages: u64, rate: Rate) -> Nanos {
    let seconds = (messages as f64 / rate.as_f64()).ceil();
    Nanos::from_secs((seconds as u64).min(u64::from(u32::MAX)))
}

/// From 1 000/s to 64 000/s.
#[cfg(test)]
pub(super) fn asked() -> SearchPlan {
    SearchPlan {
        range: [1e3, 64e3].map(Rate::per_second),
        objectives: vec!["p99<50ms".parse().unwrap()],
        goal: Goal { duration_sum: Nanos::from_secs(25), exceed_ratio: 0.5, width: 0.05 },
        lasting: Nanos::from_secs(5),
        warmup: Nanos::from_secs(1),
        arrivals: InterArrival::Constant,
        timeout: Nanos::from_secs(3_600),
    }
}
