//! From a socket's bytes to those who hear them.
//!
//! Belongs here: who hears what of a read. Does not: what a message means to a script, and what is done
//! about a Close or a violation (`worker`).

use super::script::Script;
use crate::engine::connection::Connection;
use crate::engine::connection::outbox::Outbox;
use crate::engine::connection::transport::{Transport, TransportError};
use crate::engine::ring::Slot;
use crate::units::Nanos;
use crate::wire::decoder::{BufferPool, FrameCounts, Hearer, Item};
use crate::wire::frame::{Opcode, Violation};

/// A Close frame of the node.
pub(super) struct Closed {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
}

/// Why a node cannot be read any further.
pub(super) enum Unreadable {
    Transport(TransportError),
    Protocol(Violation),
}

/// Feeds a read to a connection's transport, and its plaintext to the decoder.
#[inline]
pub(super) fn feed_wire<S: Script, T: Transport>(
    connection: &mut Connection<T>,
    (slot, wire): (Slot, &[u8]),
    (pool, opcodes, outbox): (&mut BufferPool, &mut FrameCounts, &mut Outbox),
    script: &mut S,
    now: Nanos,
) -> Result<Option<Closed>, Unreadable> {
    let Connection { transport, decoder, owed, .. } = connection;
    let plain = transport.open(wire).map_err(Unreadable::Transport)?;
    let mut ear = Ear { script, slot, now, outbox, owed, closed: None };
    decoder.feed(plain, pool, opcodes, &mut ear).map_err(Unreadable::Protocol)?;
    Ok(ear.closed)
}

/// Feeds plaintext to a connection's decoder.
pub(super) fn feed<S: Script, T: Transport>(
    connection: &mut Connection<T>,
    (slot, bytes): (Slot, &[u8]),
    (pool, opcodes, outbox): (&mut BufferPool, &mut FrameCounts, &mut Outbox),
    script: &mut S,
    now: Nanos,
) -> Result<Option<Closed>, Unreadable> {
    let Connection { decoder, owed, .. } = connection;
    let mut ear = Ear { script, slot, now, outbox, owed, closed: None };
    decoder.feed(bytes, pool, opcodes, &mut ear).map_err(Unreadable::Protocol)?;
    Ok(ear.closed)
}

/// What hears one socket during one read.
struct Ear<'a, S> {
    script: &'a mut S,
    slot: Slot,
    now: Nanos,
    outbox: &'a mut Outbox,
    owed: &'a mut bool,
    closed: Option<Closed>,
}

impl<S: Script> Hearer for Ear<'_, S> {
    #[inline(always)]
    fn item(&mut self, item: Item<'_>) -> Result<(), Violation> {
        match item {
            Item::Message(message) => self.script.on_message(self.slot, message, self.now)?,
            Item::Ping(payload) => self.outbox.frame(self.slot, Opcode::Pong, payload, self.owed),
            Item::Pong(_) => {}
            Item::Close { code, reason } => {
                // A terminal obeys control characters; a node must not command ours.
                let reason = reason.replace(char::is_control, "\u{fffd}");
                self.closed = Some(Closed { code, reason });
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn frames(&mut self, bytes: &[u8]) -> (u64, usize) {
        self.script.hear_frames(self.slot, bytes, self.now)
    }
}
