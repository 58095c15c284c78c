//! What sockets say in their own way when they are open: answers and heartbeats that differ from one to another.
//!
//! Belongs here: what is known of each socket for that. Does not: what is said (`dialect::keepalive`), when it is
//! due (`timers`, `ear`).
//!
//! Nothing is kept of sockets whose dialect says the same on all of them.

use crate::dialect::pattern::Values;
use crate::dialect::{Saying, Speaker};
use crate::engine::ring::Slot;
use crate::plan::Plan;
use crate::population::sockets::SocketId;

/// Room for one answer or heartbeat; a longer one allocates.
const SAYING_BYTES: usize = 4096;

/// The sockets of a worker.
#[derive(Debug)]
pub(super) struct Voices {
    /// By slot; empty where nothing differs.
    all: Vec<Voice>,
    /// What UUIDs are drawn from.
    uuids: u64,
    said: Vec<u8>,
}

/// One socket.
#[derive(Debug)]
struct Voice {
    seat: SocketId,
    /// What its opening has captured, and its row of `--data`.
    known: Vec<(String, Vec<u8>)>,
    /// Messages that it has sent but for those of trials: these have numbers of their own.
    said: u64,
}

impl Voices {
    /// For the sockets of `seats`, whose UUIDs are drawn from `uuids`.
    pub(super) fn new(plan: &Plan, seats: &[SocketId], uuids: u64) -> Self {
        let voice = |&seat: &SocketId| Voice { seat, known: Vec::new(), said: 0 };
        let differ = plan.dialect.keeps_values();
        let all = if differ { seats.iter().map(voice).collect() } else { Vec::new() };
        Self { all, uuids, said: Vec::with_capacity(if differ { SAYING_BYTES } else { 0 }) }
    }

    /// The UUID of a socket.
    pub(super) fn uuid_of(&self, socket: u32) -> u128 {
        fastrand::Rng::with_seed(self.uuids ^ u64::from(socket)).u128(..)
    }

    /// A socket is ready, of which this is known, and has sent so many messages.
    pub(super) fn begin(&mut self, slot: Slot, (known, said): (Vec<(String, Vec<u8>)>, u64)) {
        if let Some(voice) = self.all.get_mut(slot as usize) {
            (voice.known, voice.said) = (known, said);
        }
    }

    /// Something is known of each socket when it is ready.
    pub(super) const fn is_kept(&self) -> bool {
        !self.all.is_empty()
    }

    /// What is known of a socket, if it is kept.
    pub(super) fn known(&self, slot: Slot) -> Option<&[(String, Vec<u8>)]> {
        self.all.get(slot as usize).map(|voice| &voice.known[..])
    }

    /// The socket of `seat` as one that says messages, of which it has sent `said` before.
    pub(super) fn speaker<'k>(
        &self,
        seat: SocketId,
        known: &'k [(String, Vec<u8>)],
        said: u64,
    ) -> Speaker<'k> {
        Speaker { node: seat.node, uuid: self.uuid_of(seat.socket), said, captured: known }
    }

    /// What a socket says now.
    #[inline]
    pub(super) fn say<'s>(&'s mut self, slot: Slot, saying: &'s Saying) -> &'s [u8] {
        match saying {
            Saying::Same(bytes) => bytes,
            Saying::Varying(pattern) => {
                let uuid = self.uuid_of(self.all[slot as usize].seat.socket);
                let voice = &mut self.all[slot as usize];
                voice.said += 1;
                let values = Values {
                    socket: voice.seat.socket,
                    node: voice.seat.node,
                    uuid,
                    reference: voice.said,
                    captured: &voice.known,
                    ..Values::default()
                };
                self.said.clear();
                pattern.render(&values, &mut self.said);
                &self.said
            }
        }
    }
}
