//! Trials over one set of connections, whoever chooses them.
//!
//! Belongs here: what lies between two trials (lost sockets are connected again), how each is judged, to which trial
//! late copies are credited. Does not: which trial is next (`table`, `search`), doing any of it (`engine::fleet`).

use super::{Experiment, Outcome, Skipped, Watch};
use crate::engine::{self, EngineError, Fleet, Measurement, Reconnected};
use crate::load::trial::Trial;
use crate::measure::connecting::Connecting;
use crate::measure::late::Late;
#[cfg(test)]
use crate::measure::outcome::LostSocket;
#[cfg(test)]
use crate::units::Nanos;
use crate::verdict::{self, Evidence, Judged};

/// What trials need of a [`Fleet`].
pub(super) trait Bench {
    fn connecting(&self) -> &Connecting;
    fn reconnect(&mut self, watch: &mut dyn engine::Watch) -> Result<Reconnected, EngineError>;
    fn ready_again(&mut self, watch: &mut dyn engine::Watch) -> Result<(), EngineError>;
    fn trial(
        &mut self,
        trial: &Trial,
        is_last: bool,
        watch: &mut dyn engine::Watch,
    ) -> Result<Measurement, EngineError>;
    fn late(&self, nonce: u32) -> Late;
}

impl Bench for Fleet {
    fn connecting(&self) -> &Connecting {
        self.connecting()
    }

    fn reconnect(&mut self, watch: &mut dyn engine::Watch) -> Result<Reconnected, EngineError> {
        self.reconnect(watch)
    }

    fn ready_again(&mut self, watch: &mut dyn engine::Watch) -> Result<(), EngineError> {
        self.ready_again(watch)
    }

    fn trial(
        &mut self,
        trial: &Trial,
        is_last: bool,
        watch: &mut dyn engine::Watch,
    ) -> Result<Measurement, EngineError> {
        self.trial(trial, is_last, watch)
    }

    fn late(&self, nonce: u32) -> Late {
        self.late(nonce)
    }
}

/// A socket that was lost, for tests.
#[cfg(test)]
pub(super) fn lost_socket(socket: u32) -> LostSocket {
    LostSocket {
        socket,
        node: 0,
        reached: None,
        at: Nanos::ZERO,
        idle: None,
        close_code: None,
        our_close_code: None,
        reason: "gone".to_owned(),
    }
}

/// The trials so far.
pub(super) struct Session<'a> {
    experiment: Experiment<'a>,
    bench: &'a mut dyn Bench,
    connecting: Connecting,
    measured: Vec<Judged>,
    nonces: Vec<u32>,
}

impl<'a> Session<'a> {
    pub(super) fn new(experiment: Experiment<'a>, bench: &'a mut dyn Bench) -> Self {
        let connecting = bench.connecting().clone();
        Self { experiment, bench, connecting, measured: Vec::new(), nonces: Vec::new() }
    }

    /// Why no other trial may begin.
    pub(super) fn reason_to_end(&self) -> Option<String> {
        if self.experiment.stop.requested() {
            return Some("interrupted".into());
        }
        if !self.experiment.plan.connect.stop_on_loss {
            return None;
        }
        let lost: usize = self.measured.iter().map(|run| run.lost.len()).sum();
        let sockets = if lost == 1 { "socket was" } else { "sockets were" };
        (lost > 0).then(|| format!("{lost} {sockets} lost in an earlier trial (--stop-on-loss)"))
    }

    /// A trial over all sockets that can be had, judged. What was lost since the last one is that one's.
    ///
    /// # Errors
    /// Where nothing was measured of it: why, if other trials were, or else what ends the program.
    pub(super) fn trial(
        &mut self,
        trial: &Trial,
        is_last: bool,
        watch: &mut dyn Watch,
    ) -> Result<Result<&Judged, String>, EngineError> {
        match self.measure(trial, is_last, watch) {
            Ok(()) => {
                let judged = self.measured.last();
                Ok(Ok(judged.expect("a trial was measured")))
            }
            Err(error) if self.measured.is_empty() => Err(error),
            // A worker or a socket is gone, but what was measured before stays: it is reported, and
            // why there is no more of it.
            Err(error) => Ok(Err(match self.experiment.stop.requested() {
                true => "interrupted".to_owned(),
                false => error.to_string().replace('\n', "; "),
            })),
        }
    }

    fn measure(
        &mut self,
        trial: &Trial,
        is_last: bool,
        watch: &mut dyn Watch,
    ) -> Result<(), EngineError> {
        let plan = self.experiment.plan;
        if let Some(last) = self.measured.last_mut().filter(|_| !plan.connect.stop_on_loss) {
            let Reconnected { lost_since, again } = self.bench.reconnect(watch)?;
            last.outcome.lost.extend(lost_since);
            if again > 0 {
                watch.reconnected(trial, again);
            }
            self.bench.ready_again(watch)?;
        }
        let measured = self.bench.trial(trial, is_last, watch)?;
        self.nonces.push(measured.nonce);
        self.measured.push(self.judged(trial, measured));
        Ok(())
    }

    fn judged(&self, trial: &Trial, measured: Measurement) -> Judged {
        let Experiment { plan, surroundings, baseline, .. } = self.experiment;
        let caveats = verdict::judge(&Evidence {
            outcome: &measured.outcome,
            profile: &trial.profile,
            host_before: &measured.host_before,
            host_after: &measured.host_after,
            connecting: self.bench.connecting(),
            least: plan.connect.least,
            baseline,
            surroundings,
        });
        Judged { outcome: measured.outcome, caveats }
    }

    /// The trials that were measured.
    pub(super) fn measured(&self) -> &[Judged] {
        &self.measured
    }

    /// All of it, with what came late.
    pub(super) fn ended(self, skipped: Vec<Skipped>) -> Outcome {
        let mut trials = self.measured;
        for (run, nonce) in trials.iter_mut().zip(self.nonces) {
            run.outcome.credit_late(self.bench.late(nonce));
        }
        let interrupted = self.experiment.stop.requested();
        Outcome { connecting: Some(self.connecting), trials, skipped, interrupted }
    }
}
