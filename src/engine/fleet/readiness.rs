//! Whether every socket hears what is sent: probes over all workers.
//!
//! Belongs here: waiting for the probes. Does not: a worker's
//! part of it (`worker::probe`), what it means where one is not seen (`quorum`).

use super::Coordinator;
use crate::dialect::text::TextShape;
use crate::engine::drain::DrainWatch;
use crate::engine::orders::{Command, Report};
use crate::engine::worker::Directive;
use crate::engine::{EngineError, Phase, Progress, min_connected};
use crate::host::clock::{Clock, Monotonic};
use crate::plan::connect_options::MinConnected;
use crate::units::Nanos;

impl Coordinator<'_> {
    pub(super) fn probe(&mut self, text: &TextShape, nonce: u32) -> Result<(), EngineError> {
        self.board.reset();
        self.tell(|| Command::Probe { text: text.clone(), run: nonce });
        let start = Monotonic.now();
        let total = self.plan.sockets();
        let all = self.plan.dialing.least == MinConnected::All;
        let mut settle = DrainWatch::new(Nanos::MAX, start);
        let look = |this: &mut Self, now: Nanos| {
            let progress = this.board.progress();
            let phase = Phase::Probing;
            this.watch.progress(&Progress { phase, done: progress.seen, total });
            let late = now.since(start) >= this.plan.ready_timeout;
            let over = settle.look(progress, now).is_some() || (progress.lost && all) || late;
            (over || this.stop.requested()).then_some(Directive::End)
        };
        let answers = self.await_all(look, |report| match report {
            Report::Probed(probed) => Some(*probed),
            _ => None,
        })?;
        self.interrupted()?;
        let failures: Vec<_> = answers.iter().map(|probed| probed.failures.clone()).collect();
        self.enough(&failures)?;
        min_connected::heard(self.plan, &answers)
    }
}
