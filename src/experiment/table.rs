//! One trial after the other: the table.
//!
//! Belongs here: the order of the plan's trials, and which are skipped and why. Does not: what lies between two of
//! them (`session`).

use std::sync::Arc;

use super::session::{Bench, Session};
use super::{Experiment, Outcome, Skipped, Watch};
use crate::engine::{EngineError, Fleet};

impl Experiment<'_> {
    /// Connects, runs every trial of the plan, closes. Every trial that was measured reaches `watch` and
    /// the outcome, also when it ended badly.
    ///
    /// # Errors
    /// See [`EngineError`]: where nothing was measured.
    pub fn run(&self, watch: &mut dyn Watch) -> Result<Outcome, EngineError> {
        let mut fleet = Fleet::connect(Arc::new(self.plan.clone()), self.stop, watch)?;
        let outcome = self.run_on(&mut fleet, watch);
        fleet.close();
        outcome
    }

    fn run_on(&self, bench: &mut dyn Bench, watch: &mut dyn Watch) -> Result<Outcome, EngineError> {
        let mut session = Session::new(*self, bench);
        let (trials, mut skipped) = (&self.plan.trials, Vec::new());
        let mut over = None;
        for (index, trial) in trials.iter().enumerate() {
            over = over.or_else(|| session.reason_to_end());
            if over.is_none() {
                match session.trial(trial, index + 1 == trials.len(), watch)? {
                    Ok(judged) => watch.trial(judged),
                    Err(reason) => over = Some(reason),
                }
            }
            skipped.extend(over.clone().map(|reason| Skipped { trial: trial.clone(), reason }));
        }
        Ok(session.ended(skipped))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::{self, Measurement, Progress, Reconnected, Stop};
    use crate::experiment::session::lost_socket;
    use crate::host::facts::HostCounters;
    use crate::load::trial::Trial;
    use crate::measure::connecting::Connecting;
    use crate::measure::late::Late;
    use crate::measure::outcome::{LostSocket, TrialOutcome};
    use crate::plan::fixture;
    use crate::verdict::{Judged, Surroundings};

    /// A fleet in which nothing moves: what becomes of each trial is written down before.
    #[derive(Default)]
    struct Scripted {
        connecting: Connecting,
        /// Sockets lost in the trial of this many messages.
        lost_in: BTreeMap<u64, u32>,
        /// The same, after it.
        lost_after: BTreeMap<u64, u32>,
        /// Trials in which a worker fails.
        breaks: Vec<u64>,
        /// The trial in which the end is asked for.
        stop: Option<(u64, Stop)>,
        /// Late copies by nonce.
        late: BTreeMap<u32, Late>,
        /// What was asked of it.
        log: Vec<String>,
        last: u64,
    }

    fn lost(sockets: u32) -> Vec<LostSocket> {
        (0..sockets).map(lost_socket).collect()
    }

    impl Bench for Scripted {
        fn connecting(&self) -> &Connecting {
            &self.connecting
        }

        fn reconnect(&mut self, _: &mut dyn engine::Watch) -> Result<Reconnected, EngineError> {
            self.log.push("reconnect".to_owned());
            let of = |lost: &BTreeMap<u64, u32>| lost.get(&self.last).copied().unwrap_or(0);
            let again = u64::from(of(&self.lost_in) + of(&self.lost_after));
            Ok(Reconnected { lost_since: lost(of(&self.lost_after)), again })
        }

        fn ready_again(&mut self, _: &mut dyn engine::Watch) -> Result<(), EngineError> {
            self.log.push("ready".to_owned());
            Ok(())
        }

        fn trial(
            &mut self,
            trial: &Trial,
            is_last: bool,
            _: &mut dyn engine::Watch,
        ) -> Result<Measurement, EngineError> {
            let messages = trial.messages;
            self.last = messages;
            self.log.push(format!("{messages}{}", if is_last { " last" } else { "" }));
            if self.breaks.contains(&messages) {
                let source = std::io::Error::other("it broke");
                return Err(EngineError::Host { doing: "a worker failed".into(), source });
            }
            if let Some((_, stop)) = self.stop.as_ref().filter(|(at, _)| *at == messages) {
                stop.request();
            }
            let lost = lost(self.lost_in.get(&messages).copied().unwrap_or(0));
            Ok(Measurement {
                outcome: TrialOutcome { messages, lost, ..TrialOutcome::nothing() },
                host_before: HostCounters::default(),
                host_after: HostCounters::default(),
                nonce: messages as u32,
            })
        }

        fn late(&self, nonce: u32) -> Late {
            self.late.get(&nonce).copied().unwrap_or_default()
        }
    }

    /// The trials that were seen as they ended, and reconnections.
    #[derive(Default)]
    struct Seen(Vec<(u64, u64)>);

    impl engine::Watch for Seen {
        fn progress(&mut self, _: &Progress) {}
    }

    impl Watch for Seen {
        fn reconnected(&mut self, trial: &Trial, sockets: u64) {
            self.0.push((trial.messages, sockets));
        }

        fn trial(&mut self, trial: &Judged) {
            self.0.push((trial.messages, 0));
        }
    }

    fn run(
        bench: &mut Scripted,
        stop_on_loss: bool,
    ) -> (Result<Outcome, EngineError>, Vec<(u64, u64)>) {
        let plan = fixture::plan(&[1], |spec| {
            spec.trials = Trial::bursts(&[10, 20, 30]);
            spec.dialing.stop_on_loss = stop_on_loss;
        });
        let stop = bench.stop.as_ref().map(|(_, stop)| stop.clone()).unwrap_or_default();
        let surroundings = &Surroundings::default();
        let experiment = Experiment { plan: &plan, surroundings, baseline: None, stop: &stop };
        let mut seen = Seen::default();
        (experiment.run_on(bench, &mut seen), seen.0)
    }

    fn skipped(outcome: &Outcome) -> Vec<(u64, &str)> {
        outcome.skipped.iter().map(|skipped| (skipped.trial.messages, &*skipped.reason)).collect()
    }

    fn messages(outcome: &Outcome) -> Vec<u64> {
        outcome.trials.iter().map(|run| run.messages).collect()
    }

    #[test]
    fn every_trial_runs_in_order_and_only_the_last_one_is_told_that_nothing_follows() {
        let mut bench = Scripted::default();
        let (outcome, seen) = run(&mut bench, false);
        let outcome = outcome.unwrap();
        assert_eq!((messages(&outcome), outcome.interrupted), (vec![10, 20, 30], false));
        assert_eq!(seen, [(10, 0), (20, 0), (30, 0)]);
        assert!(outcome.skipped.is_empty());
        let asked = ["10", "reconnect", "ready", "20", "reconnect", "ready", "30 last"];
        assert_eq!(bench.log, asked);
    }

    #[test]
    fn sockets_lost_after_a_trial_are_its_own_and_are_there_again_for_the_next() {
        let mut bench = Scripted {
            lost_in: [(10, 2)].into(),
            lost_after: [(10, 1)].into(),
            ..Scripted::default()
        };
        let (outcome, seen) = run(&mut bench, false);
        let lost: Vec<_> = outcome.unwrap().trials.iter().map(|run| run.lost.len()).collect();
        assert_eq!((lost, &seen[..2]), (vec![3, 0, 0], &[(10, 0), (20, 3)][..]));
    }

    #[test]
    fn with_stop_on_loss_nothing_is_connected_again_and_the_rest_is_skipped_with_the_count() {
        let mut bench = Scripted { lost_in: [(20, 2)].into(), ..Scripted::default() };
        let outcome = run(&mut bench, true).0.unwrap();
        assert_eq!(
            (messages(&outcome), &bench.log[..]),
            (vec![10, 20], &["10", "20"].map(str::to_owned)[..])
        );
        let reason = "2 sockets were lost in an earlier trial (--stop-on-loss)";
        assert_eq!(skipped(&outcome), [(30, reason)]);
    }

    #[test]
    fn a_failure_ends_the_run_with_what_was_measured_or_is_the_answer_where_nothing_was() {
        let mut bench = Scripted { breaks: vec![20], ..Scripted::default() };
        let outcome = run(&mut bench, false).0.unwrap();
        let reason = "a worker failed: it broke";
        assert_eq!(messages(&outcome), [10]);
        assert_eq!(skipped(&outcome), [(20, reason), (30, reason)]);
        let mut bench = Scripted { breaks: vec![10], ..Scripted::default() };
        assert_eq!(run(&mut bench, false).0.unwrap_err().to_string(), reason);
    }

    #[test]
    fn after_an_interruption_the_trial_that_ran_is_kept_and_no_other_begins() {
        let stop = Some((20, Stop::default()));
        let mut bench = Scripted { stop, ..Scripted::default() };
        let outcome = run(&mut bench, false).0.unwrap();
        assert_eq!((messages(&outcome), outcome.interrupted), (vec![10, 20], true));
        assert_eq!(skipped(&outcome), [(30, "interrupted")]);
    }

    #[test]
    fn late_copies_are_credited_to_the_trial_that_they_belong_to() {
        let late = Late { duplicates: 4, ..Late::default() };
        let mut bench = Scripted { late: [(20, late)].into(), ..Scripted::default() };
        let outcome = run(&mut bench, false).0.unwrap();
        let duplicates: Vec<_> = outcome.trials.iter().map(|run| run.delivery.duplicate).collect();
        assert_eq!(duplicates, [0, 4, 0]);
        assert_eq!(outcome.trials[1].late, late);
    }
}
