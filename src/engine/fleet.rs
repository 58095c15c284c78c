//! The fleet: all workers, and the phases that they go through together.
//!
//! Belongs here: [`Fleet`], which connects, runs the trial that it is given, and closes. Does not: threads
//! (`crew`), a phase's work (`worker`), which trial is next (`experiment`), what a trial is worth
//! (`verdict`).
//!
//! Nothing is shared between workers while the clock runs but read-only data and the sent times, each
//! written once by one of them. A worker tells how far it is in its own cache line.

mod crew;
mod readiness;
mod trial;

use std::io;
use std::sync::Arc;

use self::crew::Crew;
use self::readiness::Attendance;
pub use self::readiness::Reconnected;
pub use self::trial::Measurement;
use super::{EngineError, Stop, Watch};
use crate::dialect::text::TextShape;
use crate::host::clock::{Clock, Monotonic};
use crate::measure::connecting::Connecting;
use crate::measure::late::{Late, Past};
use crate::plan::Plan;

/// All workers and their sockets, connected and probed. It runs the trials that it is given, one after
/// the other; it chooses none and judges none.
pub struct Fleet {
    crew: Crew,
    attendance: Attendance,
    text: TextShape,
    nonces: Nonces,
    past: Past,
    /// Sockets that were connected again since the last trial.
    reconnected: u64,
}

impl Fleet {
    /// Starts the workers, connects all sockets and waits until every one has heard a probe.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn connect(
        plan: Arc<Plan>,
        stop: &Stop,
        watch: &mut dyn Watch,
    ) -> Result<Self, EngineError> {
        let text =
            TextShape::new(plan.messages.payload_bytes).map_err(|error| EngineError::Host {
                doing: "--payload-bytes".into(),
                source: io::Error::other(error.to_string()),
            })?;
        let audience = plan.audience.clone();
        let (crew, slices) = Crew::start(plan, stop)?;
        let mut attendance = Attendance::connect(&crew, &slices, watch)?;
        // Not from --seed: two invocations must not take each other's messages for their own, and a
        // cluster may replay an earlier one's from its database.
        let nonces = Nonces::of_probe(fastrand::Rng::new().u32(..));
        attendance.probe(&crew, &text, nonces.probe, watch)?;
        let past = Past::of_probe(audience, nonces.probe, Monotonic.now());
        Ok(Self { crew, attendance, text, nonces, past, reconnected: 0 })
    }

    /// How the sockets were connected; without those that are not there any more.
    pub const fn connecting(&self) -> &Connecting {
        &self.attendance.connecting
    }

    /// Connects the sockets again that were lost. Before the next trial, see [`Self::ready_again`].
    ///
    /// # Errors
    /// A worker failed, or the run was interrupted.
    pub fn reconnect(&mut self, watch: &mut dyn Watch) -> Result<Reconnected, EngineError> {
        let reconnected = self.attendance.reconnect(&self.crew, watch)?;
        self.reconnected += reconnected.again;
        Ok(reconnected)
    }

    /// Whether the sockets that are there are as many as there must be, and those that were connected
    /// again hear what is sent: probes show it, where there are any.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn ready_again(&mut self, watch: &mut dyn Watch) -> Result<(), EngineError> {
        self.attendance.enough(&self.crew)?;
        if self.reconnected == 0 {
            return Ok(());
        }
        let nonce = self.nonces.next_probe();
        self.attendance.probe(&self.crew, &self.text, nonce, watch)
    }

    /// Copies of the trial with this nonce that have come since it was over.
    pub fn late(&self, nonce: u32) -> Late {
        self.past.late(nonce)
    }

    /// Closes all sockets and waits for the workers' ends.
    pub fn close(self) {}
}

/// The numbers that mark what is sent: no probe and no trial takes another's copies for its own.
struct Nonces {
    /// The first probe's.
    probe: u32,
    trials: u32,
    probes: u32,
}

impl Nonces {
    const fn of_probe(probe: u32) -> Self {
        Self { probe, trials: 0, probes: 0 }
    }

    /// Those of trials follow the probe's: a worker knows by that which copies are of an earlier one.
    const fn next_trial(&mut self) -> u32 {
        self.trials += 1;
        self.probe.wrapping_add(self.trials)
    }

    /// Those of further probes go before it.
    const fn next_probe(&mut self) -> u32 {
        self.probes += 1;
        self.probe.wrapping_sub(self.probes)
    }
}
