//! What leaves on a socket: one send after the other, and which is next.
//!
//! Belongs here: completions of sends, and what follows them. Does not: how much of a send was taken
//! (`connection::in_flight`), when a socket ends (`worker`).

use std::ops::Range;

use rustix::io::Errno;

use super::errno::describe;
use super::{Loss, Script, State, Worker};
use crate::engine::connection::in_flight::{Cargo, InFlightSend, Left};
use crate::engine::connection::transport::Transport;
use crate::engine::ring::{Completion, Ring, SendBuf, Slot};
use crate::host::clock::Clock;
use crate::units::Nanos;

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    pub(super) fn sent<S: Script>(&mut self, script: &mut S, completion: Completion, now: Nanos) {
        let slot = completion.slot;
        let connection = &mut self.connections[slot as usize];
        if connection.state() == State::Closed {
            self.counters.stale += 1;
            return;
        }
        let Some(buf) = self.ring.take_sent(slot) else { return };
        if completion.result < 0 {
            let errno = Errno::from_raw_os_error(-completion.result);
            let reason = self.cut(slot, describe("send", errno));
            self.lose(script, slot, Loss::plain(reason), now);
            return;
        }
        connection.moved(now);
        match (connection.in_flight.took(completion.result as usize), buf) {
            (None, _) => return,
            (Some(Left::Part(part)), buf) => {
                self.counters.short_sends += 1;
                self.counters.launched += 1;
                return self.ring.send(slot, buf, part);
            }
            (Some(Left::Nothing(Cargo::Transport)), _) => {}
            (Some(Left::Nothing(Cargo::Messages)), buf) => {
                script.on_sent(slot, connection.transport.sent(buf, &mut self.shared), now);
            }
            (Some(Left::Nothing(Cargo::Control)), buf) => {
                let SendBuf::Owned(frame) = connection.transport.sent(buf, &mut self.shared) else {
                    unreachable!("control frames are in buffers of the outbox")
                };
                self.outbox.give_back(frame);
                // Whoever pings without end does not silence us: messages and Pongs take turns.
                if self.connections[slot as usize].state().is_open()
                    && self.next_send(script, slot, now)
                {
                    return;
                }
            }
        }
        self.send_next(script, slot, now);
    }

    /// What follows on a socket with nothing in flight: a control frame, the end, or messages.
    pub(super) fn send_next<S: Script>(&mut self, script: &mut S, slot: Slot, now: Nanos) {
        if self.send_outgoing(slot) {
            return;
        }
        if self.connections[slot as usize].state() == State::TransportHandshake {
            return self.proceed_handshake(slot, now);
        }
        if self.connections[slot as usize].state() == State::Opening {
            // Before Pongs: its messages have an end, Pings may have none.
            self.proceed_opening(script, slot, now);
            let connection = &self.connections[slot as usize];
            if connection.state() == State::Closed || !connection.in_flight.is_none() {
                return;
            }
        }
        let connection = &mut self.connections[slot as usize];
        if connection.owed {
            connection.owed = false;
            if let Some(frames) = self.outbox.take(slot) {
                let range = 0..frames.len();
                return self.launch(slot, (SendBuf::Owned(frames), range), Cargo::Control);
            }
        }
        match connection.state() {
            State::Closing => {
                connection.transport.close();
                if !self.send_outgoing(slot) {
                    self.shut(slot);
                }
            }
            State::Open => _ = self.next_send(script, slot, now),
            State::Idle
            | State::Connecting
            | State::TransportHandshake
            | State::Upgrading
            | State::Opening
            | State::Closed => {}
        }
    }

    /// Sends what the script has to say on a socket with nothing in flight, if anything.
    pub(super) fn next_send<S: Script>(&mut self, script: &mut S, slot: Slot, now: Nanos) -> bool {
        let Some(messages) = script.next_send(slot, now) else { return false };
        self.launch(slot, messages, Cargo::Messages);
        true
    }

    pub(super) fn launch(
        &mut self,
        slot: Slot,
        (buf, part): (SendBuf, Range<usize>),
        cargo: Cargo,
    ) {
        let connection = &mut self.connections[slot as usize];
        let (buf, part) = connection.transport.seal(buf, part, &mut self.shared);
        connection.in_flight = InFlightSend::new(cargo, &part);
        self.counters.launched += 1;
        self.ring.send(slot, buf, part);
    }

    /// Says what is due on open sockets.
    #[cold]
    pub(super) fn beat(&mut self, now: Nanos) {
        let Self { timers, connections, outbox, voices, .. } = self;
        timers.run(now, |slot, opcode, payload| {
            let connection = &mut connections[slot as usize];
            if connection.state().is_open() {
                outbox.frame(slot, opcode, voices.say(slot, payload), &mut connection.owed);
            }
        });
    }

    /// Sends waiting control frames on sockets with nothing in flight.
    pub(super) fn answer(&mut self) {
        let mut place = 0;
        while let Some(slot) = self.outbox.owner(place) {
            if !self.may_answer(slot) {
                // It goes when the send in flight is done.
                place += 1;
            } else if let Some(frames) = self.outbox.remove(place) {
                self.connections[slot as usize].owed = false;
                let range = 0..frames.len();
                self.launch(slot, (SendBuf::Owned(frames), range), Cargo::Control);
            }
        }
    }

    pub(super) fn may_answer(&self, slot: Slot) -> bool {
        let connection = &self.connections[slot as usize];
        connection.in_flight.is_none() && connection.state() != State::Closed
    }

    /// Lets a script speak on a socket that may be idle.
    pub(super) fn prompt<S: Script>(&mut self, script: &mut S, slot: Slot, now: Nanos) {
        let connection = &self.connections[slot as usize];
        if connection.state().is_open() && connection.in_flight.is_none() {
            self.send_next(script, slot, now);
        }
    }

    /// Sends what the transport itself has to say on a socket with nothing in flight, if anything.
    pub(super) fn send_outgoing(&mut self, slot: Slot) -> bool {
        let connection = &mut self.connections[slot as usize];
        if !connection.transport.has_outgoing() || connection.state() == State::Closed {
            return false;
        }
        let bytes = connection.transport.take_outgoing();
        let part = 0..bytes.len();
        connection.in_flight = InFlightSend::new(Cargo::Transport, &part);
        self.counters.launched += 1;
        self.ring.send(slot, SendBuf::Owned(bytes), part);
        true
    }
}
