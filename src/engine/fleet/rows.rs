//! One row after the other, and what is done between two of them.
//!
//! Belongs here: which rows run, and connecting lost sockets again. Does not: a row (`fleet`), a worker's
//! part of connecting again (`worker::reconnect`).

use super::Coordinator;
use crate::dialect::text::TextShape;
use crate::engine::orders::{Command, Report};
use crate::engine::worker::Directive;
use crate::engine::{EngineError, Phase, Progress};
use crate::load::trial::Trial;
use crate::measure::outcome::{Outcome, Skipped, TrialOutcome};

/// The nonce of a row: those of all rows follow the probe's.
const fn nonce_of(probe: u32, index: usize) -> u32 {
    probe.wrapping_add(1 + index as u32)
}

impl Coordinator<'_> {
    pub(super) fn rows(&mut self, text: &TextShape, nonce: u32) -> Result<Outcome, EngineError> {
        let mut outcome =
            Outcome { connecting: Some(self.connecting.clone()), ..Outcome::default() };
        let (plan, mut nonces) = (self.plan, Vec::new());
        for (index, trial) in plan.trials.iter().enumerate() {
            if let Some(reason) = self.reason_to_skip(&outcome) {
                outcome.skipped.push(Skipped { trial: trial.clone(), reason });
                continue;
            }
            match self.mended_row(&mut outcome, index, text, nonce) {
                Ok(row) => {
                    self.watch.row(plan, &row);
                    outcome.runs.push(row);
                    nonces.push(nonce_of(nonce, index));
                }
                Err(error) if outcome.runs.is_empty() => return Err(error),
                // A worker or a socket is gone, but what was measured before stays: it is reported, and
                // why there is no more of it.
                Err(error) => {
                    let reason = match self.stop.requested() {
                        true => "interrupted".to_owned(),
                        false => error.to_string().replace('\n', "; "),
                    };
                    let rest = plan.trials[index..].iter().cloned();
                    let skipped = rest.map(|trial| Skipped { trial, reason: reason.clone() });
                    outcome.skipped.extend(skipped);
                    break;
                }
            }
        }
        for (row, run) in outcome.runs.iter_mut().zip(nonces) {
            row.credit_late(self.past.late(run));
        }
        outcome.interrupted = self.stop.requested();
        Ok(outcome)
    }

    fn reason_to_skip(&self, outcome: &Outcome) -> Option<String> {
        if self.stop.requested() {
            return Some("interrupted".into());
        }
        if !self.plan.dialing.stop_on_loss {
            return None;
        }
        let lost: usize = outcome.runs.iter().map(|run| run.lost.len()).sum();
        let sockets = if lost == 1 { "socket was" } else { "sockets were" };
        (lost > 0).then(|| format!("{lost} {sockets} lost in an earlier row (--stop-on-loss)"))
    }

    /// A row over all sockets that can be had.
    fn mended_row(
        &mut self,
        outcome: &mut Outcome,
        index: usize,
        text: &TextShape,
        nonce: u32,
    ) -> Result<TrialOutcome, EngineError> {
        let rows = self.plan.trials.len() as u32;
        let trial = &self.plan.trials[index];
        let mut again = 0;
        if index > 0 && !self.plan.dialing.stop_on_loss {
            again = self.reconnect(outcome, trial)?;
        }
        if again > 0 {
            // The path that was broken must be shown to be whole, by probes that are not another row's.
            self.probe(text, nonce.wrapping_add(1 + rows + index as u32))?;
        }
        let is_last = index + 1 == self.plan.trials.len();
        let mut run = self.row(trial, text, nonce_of(nonce, index), is_last)?;
        run.reconnected = again;
        Ok(run)
    }

    /// Connects lost sockets again; how many. What was lost since the last row is that row's.
    fn reconnect(&mut self, outcome: &mut Outcome, trial: &Trial) -> Result<u64, EngineError> {
        self.board.reset();
        self.tell(|| Command::Reconnect);
        let look = |this: &mut Self, _| {
            let phase = Phase::Connecting;
            this.watch.progress(&Progress { phase, done: 0, total: 0 });
            this.stop.requested().then_some(Directive::End)
        };
        let answers = self.await_all(look, |report| match report {
            Report::Reconnected(reconnected) => Some(*reconnected),
            _ => None,
        })?;
        self.interrupted()?;
        if let Some(last) = outcome.runs.last_mut() {
            last.lost.extend(answers.iter().flat_map(|answer| answer.lost_since.iter().cloned()));
        }
        let again = answers.iter().map(|answer| answer.again).sum();
        let failures: Vec<_> = answers.into_iter().map(|answer| answer.failures).collect();
        if again > 0 {
            self.watch.reconnected(trial, again);
        }
        self.enough(&failures)?;
        Ok(again)
    }
}
