//! A trial: one load that is measured, and its name.
//!
//! Belongs here: what a trial is, and that no two of an invocation have one name. Does not: which trials
//! an invocation has (`cli`), what came of one (`measure::outcome`).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::load::profile::{Burst, Profile};
use crate::load::schedule::Schedule;
use crate::units::Nanos;

/// What a trial is called in results, reports and file names: short, `kebab-case`, and another for each
/// trial of an invocation. `m1000` is a burst of 1 000 messages, `m20000-r10000` sends 20 000 at 10 000/s.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrialId(Arc<str>);

impl TrialId {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One load that is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Its name.
    pub id: TrialId,
    /// When its messages leave.
    pub profile: Profile,
    /// How many messages it sends, those of the warm-up included; at least 1.
    pub messages: u64,
    /// Messages due this early are the warm-up: sent and accounted for, but timed apart. 0 without due
    /// times.
    pub warmup: Nanos,
}

impl Trial {
    /// A trial that is named after what it does.
    pub fn new(profile: impl Into<Profile>, messages: u64, warmup: Nanos) -> Self {
        let profile = profile.into();
        let id = TrialId(format!("m{messages}{}", profile.shape().suffix()).into());
        Self { id, profile, messages, warmup }
    }

    /// One trial for each number of messages, all else the same.
    pub fn each(messages: &[u64], profile: impl Into<Profile>, warmup: Nanos) -> Vec<Self> {
        let profile = profile.into();
        messages.iter().map(|&messages| Self::new(profile.clone(), messages, warmup)).collect()
    }

    /// One burst for each number of messages.
    pub fn bursts(messages: &[u64]) -> Vec<Self> {
        Self::each(messages, Burst, Nanos::ZERO)
    }

    /// When each of its messages is due, where they have due times.
    pub fn schedule(&self) -> Option<Arc<Schedule>> {
        self.profile.schedule(self.messages)
    }

    /// The same trials, each with a name of its own: the second of one name gets `-2`, and so on.
    pub fn distinct(trials: Vec<Self>) -> Vec<Self> {
        let mut names = Names::default();
        trials.into_iter().map(|trial| names.distinct(trial)).collect()
    }
}

/// The names of an invocation's trials, where these come one by one.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeSet<TrialId>);

impl Names {
    /// The trial with a name that none had before it.
    pub fn distinct(&mut self, mut trial: Trial) -> Trial {
        let plain = trial.id.clone();
        let mut number = 2_u32;
        while !self.0.insert(trial.id.clone()) {
            trial.id = TrialId(format!("{plain}-{number}").into());
            number += 1;
        }
        trial
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::load::inter_arrival::InterArrival;
    use crate::load::profile::{FixedRate, Window};
    use crate::load::trial::*;

    fn id(profile: impl Into<Profile>, messages: u64) -> String {
        Trial::new(profile, messages, Nanos::ZERO).id.to_string()
    }

    #[test]
    fn a_trial_is_named_after_what_it_does() {
        let rate = |text: &str, arrivals| FixedRate { rate: text.parse().unwrap(), arrivals };
        assert_eq!(id(Burst, 1_000), "m1000");
        assert_eq!(id(Window { in_flight: 16 }, 1_000), "m1000-w16");
        assert_eq!(id(rate("10k/s", InterArrival::Constant), 20_000), "m20000-r10000");
        assert_eq!(id(rate("0.5/s", InterArrival::Constant), 7), "m7-r0p5");
        let poisson = InterArrival::Poisson { seed: 42 };
        assert_eq!(id(rate("200/s", poisson), 2_000), "m2000-r200-poisson");
    }

    #[test]
    fn the_second_trial_of_a_name_gets_a_number() {
        let trials = Trial::distinct(Trial::bursts(&[10, 20, 10, 10]));
        let ids: Vec<_> = trials.iter().map(|trial| trial.id.as_str()).collect();
        assert_eq!(ids, ["m10", "m20", "m10-2", "m10-3"]);
        assert_eq!(Trial::distinct(trials.clone()), trials, "names that differ stay");
    }

    fn profiles() -> impl Strategy<Value = Profile> {
        let rate = |(micro_per_s, drawn, seed): (u64, bool, u64)| {
            let arrivals =
                if drawn { InterArrival::Poisson { seed } } else { InterArrival::Constant };
            FixedRate { rate: crate::units::Rate { micro_per_s }, arrivals }.into()
        };
        prop_oneof![
            Just(Burst.into()),
            (1_u32..4).prop_map(|in_flight| Window { in_flight }.into()),
            (1_u64..4_000_000, any::<bool>(), 0_u64..3).prop_map(rate),
        ]
    }

    proptest! {
        #[test]
        fn no_two_trials_share_a_name_and_each_name_is_kebab_case(
            loads in prop::collection::vec((profiles(), 1_u64..4), 1..40)
        ) {
            let trials = loads.into_iter().map(|(profile, m)| Trial::new(profile, m, Nanos::ZERO));
            let trials = Trial::distinct(trials.collect());
            let ids: BTreeSet<_> = trials.iter().map(|trial| &trial.id).collect();
            prop_assert_eq!(ids.len(), trials.len());
            let word = |word: &str| {
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            };
            for id in ids {
                prop_assert!(id.as_str().split('-').all(word), "{}", id);
            }
        }
    }
}
