//! The dialect's opening on one socket: sending its steps and reading their answers.
//!
//! Belongs here: from the upgrade's end to an open socket. Does not: which step is next
//! (`connection::opening`), how long all of it may take (`connect`).

use std::ops::Range;

use super::ear::{Tools, feed};
use super::{Loss, Script, State, Worker};
use crate::dialect::opening::Opening;
use crate::engine::connection::Setup;
use crate::engine::connection::in_flight::Cargo;
use crate::engine::connection::opening::{Next, OpeningProgress, Stream};
use crate::engine::connection::state::Event;
use crate::engine::connection::transport::Transport;
use crate::engine::frames::opcode;
use crate::engine::ring::{Ring, SendBuf, Slot};
use crate::host::clock::Clock;
use crate::units::Nanos;
use crate::wire::decoder::Message;
use crate::wire::encode;
use crate::wire::frame::{CloseCode, Violation};

/// Messages go to the opening first, and what is none of it to the phase's own script.
struct Opener<'a, S> {
    progress: &'a mut OpeningProgress,
    opening: &'a Opening,
    script: &'a mut S,
}

impl<S: Script> Script for Opener<'_, S> {
    fn on_message(&mut self, slot: Slot, message: Message<'_>, at: Nanos) -> Result<(), Violation> {
        let bytes = message.checked()?;
        match self.progress.hear(self.opening, bytes) {
            true => Ok(()),
            false => self.script.on_message(slot, message, at),
        }
    }

    fn on_protocol(
        &mut self,
        slot: Slot,
        message: Message<'_>,
        at: Nanos,
    ) -> Result<(), Violation> {
        let bytes = message.checked()?;
        match self.progress.hear(self.opening, bytes) {
            true => Ok(()),
            false => self.script.on_protocol(slot, message, at),
        }
    }

    fn on_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize {
        match self.progress.hear_stream(self.opening, window, from) {
            Stream::Used(up_to) => up_to,
            Stream::Over(up_to) => self.script.on_stream(slot, window, up_to, at),
        }
    }

    fn on_protocol_stream(&mut self, slot: Slot, window: &[u8], from: usize, at: Nanos) -> usize {
        match self.progress.hear_stream(self.opening, window, from) {
            Stream::Used(up_to) => up_to,
            Stream::Over(up_to) => self.script.on_protocol_stream(slot, window, up_to, at),
        }
    }

    fn next_send(&mut self, slot: Slot, now: Nanos) -> Option<(SendBuf, Range<usize>)> {
        self.script.next_send(slot, now)
    }

    fn on_sent(&mut self, slot: Slot, buf: SendBuf, now: Nanos) {
        self.script.on_sent(slot, buf, now);
    }

    fn lost(&mut self, slot: Slot, taken_bytes: usize) {
        self.script.lost(slot, taken_bytes);
    }
}

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    /// The node took the upgrade, and `rest` came behind its answer.
    pub(super) fn upgraded<S: Script>(
        &mut self,
        script: &mut S,
        slot: Slot,
        rest: &[u8],
        now: Nanos,
    ) {
        let connection = &mut self.connections[slot as usize];
        connection.advance(Event::Upgraded);
        if let Some(streams) = &mut self.streams {
            streams.begin(slot);
        }
        self.goodbyes.begin(slot);
        if self.plan.dialect.opening.steps.is_empty() {
            if self.voices.is_kept() {
                let row = self.plan.opening_row(self.connections[slot as usize].seat.socket);
                self.voices.begin(slot, (row, 0));
            }
            self.opened(slot, now);
            return self.hear_open(script, slot, rest, now);
        }
        let seat = connection.seat;
        let row = self.plan.opening_row(seat.socket);
        let progress = OpeningProgress::new(seat, self.uuid_of(seat.socket), row);
        let connection = &mut self.connections[slot as usize];
        connection.setup = Some(Box::new(Setup::Opening(progress)));
        self.hear_opening(script, slot, rest, now);
    }

    /// Takes what came with what has opened the socket.
    pub(super) fn hear_open<S: Script>(
        &mut self,
        script: &mut S,
        slot: Slot,
        bytes: &[u8],
        now: Nanos,
    ) {
        let connection = &mut self.connections[slot as usize];
        let tools = Tools {
            pool: &mut self.pool,
            opcodes: &mut self.opcodes,
            outbox: &mut self.outbox,
            replies: &self.replies,
            goodbyes: &mut self.goodbyes,
            voices: &mut self.voices,
            streams: self.streams.as_mut(),
        };
        let fed = feed(connection, (slot, bytes), tools, script, now);
        self.after_read(script, slot, fed, now);
    }

    /// Takes what came before the socket is open.
    pub(super) fn hear_opening<S: Script>(
        &mut self,
        script: &mut S,
        slot: Slot,
        bytes: &[u8],
        now: Nanos,
    ) {
        let connection = &mut self.connections[slot as usize];
        let Some(mut setup) = connection.setup.take() else { return };
        if let Setup::Opening(progress) = &mut *setup {
            let mut opener = Opener { progress, opening: &self.plan.dialect.opening, script };
            let tools = Tools {
                pool: &mut self.pool,
                opcodes: &mut self.opcodes,
                outbox: &mut self.outbox,
                replies: &self.replies,
                goodbyes: &mut self.goodbyes,
                voices: &mut self.voices,
                streams: self.streams.as_mut(),
            };
            let fed = feed(connection, (slot, bytes), tools, &mut opener, now);
            connection.setup = Some(setup);
            self.after_read(script, slot, fed, now);
        }
        let connection = &self.connections[slot as usize];
        if connection.state() == State::Opening && connection.in_flight.is_none() {
            self.send_next(script, slot, now);
        }
    }

    /// The next step of a socket with nothing in flight.
    pub(super) fn proceed_opening<S: Script>(&mut self, script: &mut S, slot: Slot, now: Nanos) {
        let (connection, dialect) = (&mut self.connections[slot as usize], &self.plan.dialect);
        let Some(Setup::Opening(progress)) = connection.setup.as_deref_mut() else { return };
        match progress.next(&dialect.opening) {
            Next::Send(message) => {
                let (mut frame, mask) = (Vec::new(), self.rng.mask());
                encode::write_frame(&mut frame, opcode(dialect.kind), &message, mask);
                let part = 0..frame.len();
                self.launch(slot, (SendBuf::Owned(frame), part), Cargo::Control);
            }
            Next::Await => {}
            Next::Refused(reason) => {
                connection.setup = None;
                self.farewell(slot, &CloseCode::NORMAL.0.to_be_bytes());
                self.lose_politely(script, slot, Loss::plain(reason), now);
            }
            Next::Done => self.opened(slot, now),
        }
    }

    /// A socket is ready.
    fn opened(&mut self, slot: Slot, now: Nanos) {
        let connection = &mut self.connections[slot as usize];
        connection.advance(Event::Opened);
        let setup = connection.setup.take();
        if self.voices.is_kept()
            && let Some(Setup::Opening(progress)) = setup.map(|setup| *setup)
        {
            self.voices.begin(slot, progress.into_known());
        }
        connection.since = now;
        self.timers.begin(slot, now);
        self.dial.note_open(connection.seat.node, now);
    }
}
