//! From a socket's bytes to those who hear them.
//!
//! Belongs here: who hears what of a read. Does not: what a message means to a script, and what is done
//! about a Close or a violation (`worker`).

use super::script::Script;
use super::streams::{Places, Streams};
use crate::dialect::matching::Wanted;
use crate::dialect::pattern::Values;
use crate::dialect::{Dialect, Reply};
use crate::engine::connection::Connection;
use crate::engine::connection::outbox::Outbox;
use crate::engine::connection::transport::Transport;
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

    /// Answers what is asked in `window` from `from` on, and says up to where that was read: what follows may
    /// be the beginning of a question.
    #[inline]
    fn in_stream(&self, window: &[u8], from: usize, mut answer: impl FnMut(&[u8])) -> usize {
        let (mut open, mut asks) = (window.len(), false);
        for (when, _) in &self.all {
            let mut at = from;
            while let Some(end) = when.next_end(&window[at..]) {
                at += end;
                asks = true;
            }
            let asked = when.needle();
            let rest = at.max((window.len() + 1).saturating_sub(asked.len()));
            let begun = (rest..window.len()).find(|&at| asked.starts_with(&window[at..]));
            open = open.min(begun.unwrap_or(window.len()));
        }
        for (when, reply) in self.all.iter().filter(|_| asks) {
            let mut at = from;
            while let Some(end) = when.next_end(&window[at..]) {
                at += end;
                // What is seen again is answered then.
                if at - when.needle().len() >= open {
                    break;
                }
                answer(reply);
            }
        }
        open
    }
}

/// What of a worker's reading takes.
pub(super) struct Tools<'a> {
    pub(super) pool: &'a mut BufferPool,
    pub(super) opcodes: &'a mut FrameCounts,
    pub(super) outbox: &'a mut Outbox,
    pub(super) replies: &'a Replies,
    pub(super) streams: Option<&'a mut Streams>,
}

/// Feeds a read to a connection's transport, and its plaintext to the decoder.
#[inline]
pub(super) fn feed_wire<S: Script, T: Transport>(
    connection: &mut Connection<T>,
    (slot, wire): (Slot, &[u8]),
    shared: &mut T::Shared,
    Tools { pool, opcodes, outbox, replies, streams }: Tools<'_>,
    script: &mut S,
    now: Nanos,
) -> Result<Option<Closed>, Violation> {
    let Connection { transport, decoder, owed, .. } = connection;
    let plain = transport.open(wire, shared);
    let mut ear = Ear { script, slot, now, outbox, owed, replies, streams, closed: None };
    decoder.feed(plain, pool, opcodes, &mut ear)?;
    Ok(ear.closed)
}

/// Feeds plaintext to a connection's decoder.
pub(super) fn feed<S: Script, T: Transport>(
    connection: &mut Connection<T>,
    (slot, bytes): (Slot, &[u8]),
    Tools { pool, opcodes, outbox, replies, streams }: Tools<'_>,
    script: &mut S,
    now: Nanos,
) -> Result<Option<Closed>, Violation> {
    let Connection { decoder, owed, .. } = connection;
    let mut ear = Ear { script, slot, now, outbox, owed, replies, streams, closed: None };
    decoder.feed(bytes, pool, opcodes, &mut ear)?;
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
    streams: Option<&'a mut Streams>,
    closed: Option<Closed>,
}

impl<S: Script> Ear<'_, S> {
    #[inline]
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
            Item::Message(message) if self.streams.is_some() => {
                let bytes = message.checked()?;
                let Self { script, slot, now, outbox, owed, replies, streams, .. } = self;
                let Some(streams) = streams else { return Ok(()) };
                streams.feed(*slot, bytes, |window, from| Places {
                    script: script.on_stream(*slot, window, from.script, *now),
                    replies: replies.in_stream(window, from.replies, |reply| {
                        outbox.frame(*slot, replies.opcode, reply, owed);
                    }),
                });
            }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::file::{self, Source};

    fn replies(asked: &[&str]) -> Replies {
        let mut text = "schema = 'fanstorm.dialect/1'\nname = 't'\nstream = true\n[message]\n\
                        template = '{text}'\n"
            .to_owned();
        for when in asked {
            text.push_str(&format!("[[reply]]\nwhen = '{when}'\nsend = '<{when}>'\n"));
        }
        let source = Source { file: "t", text: &text, settings: &[], environment: &|_| None };
        Replies::new(&file::read(&source).unwrap())
    }

    proptest! {
        /// The script keeps some bytes, too, as it likes: neither reader may miss anything or see it twice.
        #[test]
        fn what_a_stream_asks_is_answered_once_however_it_is_cut(
            pieces in prop::collection::vec("PING|PIN|G|P|xyx|yx|[x-z]{0,4}", 0..12),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..9), 0..8),
        ) {
            let stream = pieces.concat().into_bytes();
            let asked = ["PING", "xyx"];
            let replies = replies(&asked);
            let mut cuts: Vec<_> =
                cuts.iter().map(|(at, keep)| (at.index(stream.len() + 1), *keep)).collect();
            cuts.push((stream.len(), 0));
            cuts.sort_unstable();
            let mut streams = Streams::new(1, 4);
            let (mut said, mut heard, mut last) = (Vec::new(), Vec::new(), 0);
            for (cut, keep) in cuts {
                streams.feed(0, &stream[last..cut], |window, from| {
                    let script = (window.len() - keep.min(window.len())).max(from.script);
                    heard.extend_from_slice(&window[from.script..script]);
                    let say = |reply: &[u8]| said.push(String::from_utf8(reply.to_vec()).unwrap());
                    Places { script, replies: replies.in_stream(window, from.replies, say) }
                });
                last = cut;
            }
            streams.feed(0, b"", |window, from| {
                heard.extend_from_slice(&window[from.script..]);
                Places { script: window.len(), replies: window.len() }
            });
            prop_assert_eq!(&heard, &stream);
            for when in asked {
                let reply = format!("<{when}>");
                let count = said.iter().filter(|said| **said == reply).count();
                prop_assert_eq!(count, memchr::memmem::find_iter(&stream, when).count(), "{}", when);
            }
        }
    }
}
