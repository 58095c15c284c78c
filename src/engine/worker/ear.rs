//! From a socket's bytes to those who hear them.
//!
//! Belongs here: who hears what of a read. Does not: what a message means to a script, and what is done
//! about a Close or a violation (`worker`).

use super::script::Script;
use crate::dialect::matching::Wanted;
use crate::dialect::pattern::Values;
use crate::dialect::{Dialect, Reply};
use crate::engine::connection::Connection;
use crate::engine::connection::outbox::Outbox;
use crate::engine::connection::transport::{Transport, TransportError};
use crate::engine::frames::opcode;
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

/// What a worker answers by itself, whoever's phase it is.
#[derive(Debug)]
pub(super) struct Replies {
    opcode: Opcode,
    all: Vec<(Wanted, Vec<u8>)>,
}

impl Replies {
    pub(super) fn new(dialect: &Dialect) -> Self {
        let reply = |reply: &Reply| (reply.when.with(&Values::default()), reply.send.clone());
        Self { opcode: opcode(dialect.kind), all: dialect.replies.iter().map(reply).collect() }
    }
}

/// What of a worker's reading takes.
type Tools<'a> = (&'a mut BufferPool, &'a mut FrameCounts, &'a mut Outbox, &'a Replies);

/// Feeds a read to a connection's transport, and its plaintext to the decoder.
#[inline]
pub(super) fn feed_wire<S: Script, T: Transport>(
    connection: &mut Connection<T>,
    (slot, wire): (Slot, &[u8]),
    (pool, opcodes, outbox, replies): Tools<'_>,
    script: &mut S,
    now: Nanos,
) -> Result<Option<Closed>, Unreadable> {
    let Connection { transport, decoder, owed, .. } = connection;
    let plain = transport.open(wire).map_err(Unreadable::Transport)?;
    let mut ear = Ear { script, slot, now, outbox, owed, replies, closed: None };
    decoder.feed(plain, pool, opcodes, &mut ear).map_err(Unreadable::Protocol)?;
    Ok(ear.closed)
}

/// Feeds plaintext to a connection's decoder.
pub(super) fn feed<S: Script, T: Transport>(
    connection: &mut Connection<T>,
    (slot, bytes): (Slot, &[u8]),
    (pool, opcodes, outbox, replies): Tools<'_>,
    script: &mut S,
    now: Nanos,
) -> Result<Option<Closed>, Unreadable> {
    let Connection { decoder, owed, .. } = connection;
    let mut ear = Ear { script, slot, now, outbox, owed, replies, closed: None };
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
    replies: &'a Replies,
    closed: Option<Closed>,
}

impl<S: Script> Ear<'_, S> {
    #[cold]
    fn answer(&mut self, message: &[u8]) {
        for (_, reply) in self.replies.all.iter().filter(|(when, _)| when.is_in(message)) {
            self.outbox.frame(self.slot, self.replies.opcode, reply, self.owed);
        }
    }
}

impl<S: Script> Hearer for Ear<'_, S> {
    #[inline(always)]
    fn item(&mut self, item: Item<'_>) -> Result<(), Violation> {
        match item {
            Item::Message(message) => {
                if !self.replies.all.is_empty() {
                    self.answer(message.unchecked());
                }
                self.script.on_message(self.slot, message, self.now)?;
            }
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
