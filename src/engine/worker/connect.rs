//! Connecting: TCP, the upgrade, and the dialect's opening, for all sockets of a worker.
//!
//! Belongs here: how many connects are under way, and when one is given up. Does not: the bytes of
//! the upgrade (`wire::upgrade`).

use std::io;
use std::ops::Range;

use super::{Conductor, Directive, Phase, Script, Stamps, TICK, Worker, WorkerProgress, describe};
use crate::engine::ring::{Completion, Filled, Ring, SendBuf, Slot, Wait};
use crate::engine::session::{Loss, Upgrade};
use crate::host::clock::Clock;
use crate::measure::recorder::Seat;
use crate::units::Nanos;
use crate::wire::upgrade;
use rustix::io::Errno;

/// Connects under way at once: enough to fill the path, few enough for a listen queue of 4096 shared
/// with other cores.
const UNDER_WAY: usize = 256;

/// A socket that could not be made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which socket, to which node.
    pub seat: Seat,
    /// `open`, `connect`, `upgrade`, `session`.
    pub phase: &'static str,
    /// One clause.
    pub reason: String,
}

/// Nothing to say, and whatever is heard was not asked for.
struct Silence;

impl Script for Silence {
    fn hear(&mut self, _: Slot, _: &[u8], _: bool, _: Nanos) {}
    fn speak(&mut self, _: Slot, _: Nanos) -> Option<(SendBuf, Range<usize>)> {
        None
    }
    fn spoken(&mut self, _: Slot, _: SendBuf, _: Nanos) {}
    fn lost(&mut self, _: Slot) {}
}

impl<R: Ring, C: Clock> Worker<'_, R, C> {
    /// Connects, upgrades and opens every socket. Returns those that failed.
    ///
    /// # Errors
    /// The ring failed, or a socket could not even be made (descriptors, memory).
    pub fn connect(&mut self, conductor: &mut impl Conductor) -> io::Result<Vec<Failure>> {
        let mut next = 0;
        let mut pending: Vec<Slot> = Vec::with_capacity(UNDER_WAY);
        let mut settled = 0;
        while next < self.sessions.len() || !pending.is_empty() {
            while pending.len() < UNDER_WAY && next < self.sessions.len() {
                self.start(next as Slot)?;
                pending.push(next as Slot);
                next += 1;
            }
            let now = self.turn(&mut Silence, Wait::first(TICK))?;
            self.give_up_late(&pending, now);
            let before = pending.len();
            pending.retain(|&slot| self.sessions[slot as usize].under_way());
            settled += (before - pending.len()) as u64;
            let progress = WorkerProgress { seen: settled, ..WorkerProgress::default() };
            if conductor.turn(progress, now) != Directive::Continue {
                break;
            }
        }
        Ok(self.take_failures())
    }

    /// Serves Pings and losses while there is nothing to do.
    ///
    /// # Errors
    /// The ring failed.
    pub fn idle(&mut self) -> io::Result<()> {
        self.turn(&mut Silence, Wait::first(TICK)).map(drop)
    }

    /// Sockets lost since the last row or phase.
    pub fn take_failures(&mut self) -> Vec<Failure> {
        let failure = |lost: super::Lost| Failure {
            seat: lost.seat,
            phase: lost.phase.name(),
            reason: lost.loss.reason,
        };
        self.lost.drain(..).map(failure).collect()
    }

    /// Closes every open socket as RFC 6455 asks: a Close frame, then the end.
    ///
    /// # Errors
    /// The ring failed.
    pub fn say_goodbye(&mut self) -> io::Result<()> {
        let deadline = self.clock.now().plus(GOODBYE);
        for slot in 0..self.sessions.len() as Slot {
            if self.sessions[slot as usize].is_open() {
                self.close_normally(slot);
            }
        }
        let open = |worker: &Self| worker.sessions.iter().any(|s| s.phase == Phase::Closing);
        while open(self) && self.clock.now() < deadline {
            self.turn(&mut Silence, Wait::first(TICK))?;
        }
        Ok(())
    }

    fn start(&mut self, slot: Slot) -> io::Result<()> {
        let now = self.clock.now();
        let session = &mut self.sessions[slot as usize];
        let node = &self.plan.nodes[session.seat.node as usize];
        session.since = now;
        session.phase = Phase::Connecting;
        self.ring.connect(slot, node.addr, None)
    }

    pub(super) fn connected<S: Script>(&mut self, script: &mut S, done: Completion, now: Nanos) {
        let slot = done.slot;
        if self.sessions[slot as usize].phase != Phase::Connecting {
            self.counters.stale += 1;
            return;
        }
        if done.result < 0 {
            let reason = describe("connect", Errno::from_raw_os_error(-done.result));
            return self.lose(script, slot, Loss::plain(reason), now);
        }
        let session = &mut self.sessions[slot as usize];
        let node = &self.plan.nodes[session.seat.node as usize];
        let mut nonce = [0; 16];
        self.rng.fill(&mut nonce);
        let key = upgrade::key(nonce);
        let request = upgrade::request(&node.host, &node.target, &key, &[]);
        session.phase = Phase::Upgrading;
        session.upgrade =
            Some(Box::new(Upgrade { accept: upgrade::accept(&key), response: Vec::new() }));
        if Stamps::samples(slot, self.sessions.len() as u32) {
            self.ring.time_arrivals(slot);
        }
        self.ring.receive(slot);
        let range = 0..request.len();
        self.launch(slot, SendBuf::Owned(request), range, true);
    }

    /// Takes a read that belongs to the answer to the upgrade; what follows it belongs to frames.
    pub(super) fn read_upgrade<S: Script>(
        &mut self,
        script: &mut S,
        slot: Slot,
        (filled, len): (Filled, usize),
        now: Nanos,
    ) {
        let session = &mut self.sessions[slot as usize];
        let Some(mut state) = session.upgrade.take() else { return };
        state.response.extend_from_slice(self.ring.received(filled, len));
        match upgrade::parse_response(&state.response, &state.accept) {
            Ok(None) => session.upgrade = Some(state),
            Ok(Some(consumed)) => {
                session.phase = Phase::Open;
                let tail = &state.response[consumed..];
                let memory = (&mut self.pool, &mut self.opcodes, &mut self.outbox);
                let fed = super::feed(session, (slot, tail), memory, script, now);
                self.after_read(script, slot, fed, now);
            }
            Err(error) => self.lose(script, slot, Loss::plain(error.to_string()), now),
        }
    }

    fn give_up_late(&mut self, pending: &[Slot], now: Nanos) {
        let limit = self.plan.connect_timeout;
        for &slot in pending {
            let session = &self.sessions[slot as usize];
            if session.under_way() && now.since(session.since) > limit {
                let waited = limit.as_secs_f64();
                let reason = match session.phase {
                    Phase::Connecting => format!("no answer to the TCP connect within {waited} s"),
                    _ => format!("no answer to the upgrade request within {waited} s"),
                };
                self.lose(&mut Silence, slot, Loss::plain(reason), now);
            }
        }
    }
}

/// Time for Close frames at the end: nothing is measured any more.
const GOODBYE: Nanos = Nanos::from_millis(250);
