//! From a socket's bytes to those who hear them.
//!
//! Belongs here: who hears what of a read. Does not: what a message means to a script, and what is done
//! about a Close or a violation (`worker`).

use super::goodbyes::Goodbyes;
use super::script::Script;
use super::streams::{Places, Streams};
use super::voices::Voices;
use crate::dialect::matching::{Matching, Wanted};
use crate::dialect::pattern::Values;
use crate::dialect::{Dialect, Reply, Saying, TextShape};
use crate::engine::connection::Connection;
use crate::engine::connection::outbox::Outbox;
use crate::engine::connection::transport::Transport;
use crate::engine::frames::opcode;
use crate::engine::ring::Slot;
use crate::units::Nanos;
use crate::wire::decoder::{BufferPool, FrameCounts, Hearer, Item, LeftOut, Message};
use crate::wire::frame::{Opcode, Violation};

/// A Close frame of the node.
pub(super) struct Closed {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
}

/// What a worker knows of the protocol by itself, whoever's phase it is: what it answers, and goodbyes.
#[derive(Debug)]
pub(super) struct Replies {
    opcode: Opcode,
    all: Vec<(Wanted, Meaning)>,
    /// What is in a message of a stream is in all that differ from it in the digits of a tag, and nothing else.
    ignores_tags: bool,
    /// What is in a message is in it without bytes that repeat a period of it, too, since two periods are left.
    fit_a_period: bool,
}

/// Whether these bytes are in others whatever the digits of a tag there are: the digits would have to be at
/// their front, at their end, or all of them between.
fn ignores_tags(needle: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let at_the_ends = [needle.first(), needle.last()].into_iter().flatten().any(is_digit);
    !needle.is_empty()
        && !at_the_ends
        && !needle.windows(BODY_LEN).any(|all| all.iter().all(is_digit))
}

/// Digits of a tag that differ from message to message.
const BODY_LEN: usize = 16;

/// What a message of the protocol means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It asks for this.
    Asks(Saying),
    /// The node is about to end the connection.
    Goodbye,
}

impl Replies {
    pub(super) fn new(dialect: &Dialect) -> Self {
        let with = |matching: &Matching| matching.with(&Values::default());
        let reply = |reply: &Reply| (with(&reply.when), Meaning::Asks(reply.send.clone()));
        let goodbyes = dialect.goodbyes.iter().map(|said| (with(said), Meaning::Goodbye));
        let all: Vec<(Wanted, Meaning)> =
            dialect.replies.iter().map(reply).chain(goodbyes).collect();
        // Who acknowledges messages sees each of them.
        let ignores_tags = dialect.acknowledges.is_none()
            && all.iter().all(|(when, _)| ignores_tags(when.needle()));
        let fit_a_period = all.iter().all(|(when, _)| when.needle().len() <= TextShape::PERIOD);
        Self { opcode: opcode(dialect.kind), all, ignores_tags, fit_a_period }
    }

    /// Tells what of the protocol is in `window` from `from` on, and says up to where that was read: what follows
    /// may be the beginning of more.
    #[inline]
    fn in_stream(
        &self,
        window: &[u8],
        from: usize,
        mut tell: impl FnMut(&Meaning, &[u8]),
    ) -> usize {
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
        for (when, meaning) in self.all.iter().filter(|_| asks) {
            let mut at = from;
            while let Some(end) = when.next_end(&window[at..]) {
                at += end;
                // What is seen again is told then.
                let start = at - when.needle().len();
                if start >= open {
                    break;
                }
                tell(meaning, &window[start..]);
            }
        }
        open
    }
}

/// Who answers, and who remembers.
struct Answerer<'a> {
    outbox: &'a mut Outbox,
    owed: &'a mut bool,
    goodbyes: &'a mut Goodbyes,
    voices: &'a mut Voices,
}

impl Answerer<'_> {
    /// Does what a message asks for.
    #[inline]
    fn heed(&mut self, slot: Slot, opcode: Opcode, meaning: &Meaning, message: &[u8]) {
        match meaning {
            Meaning::Asks(reply) => {
                self.outbox.frame(slot, opcode, self.voices.say(slot, reply), self.owed);
            }
            Meaning::Goodbye => self.goodbyes.note(slot, message),
        }
    }
}

/// What of a worker's reading takes.
pub(super) struct Tools<'a> {
    pub(super) pool: &'a mut BufferPool,
    pub(super) opcodes: &'a mut FrameCounts,
    pub(super) outbox: &'a mut Outbox,
    pub(super) replies: &'a Replies,
    pub(super) goodbyes: &'a mut Goodbyes,
    pub(super) voices: &'a mut Voices,
    pub(super) streams: Option<&'a mut Streams>,
}

/// Feeds a read to a connection's transport, and its plaintext to the decoder.
#[inline]
pub(super) fn feed_wire<S: Script, T: Transport>(
    connection: &mut Connection<T>,
    (slot, wire): (Slot, &[u8]),
    shared: &mut T::Shared,
    Tools { pool, opcodes, outbox, replies, goodbyes, voices, streams }: Tools<'_>,
    script: &mut S,
    now: Nanos,
) -> Result<Option<Closed>, Violation> {
    let Connection { transport, decoder, owed, .. } = connection;
    let plain = transport.open(wire, shared);
    let answerer = Answerer { outbox, owed, goodbyes, voices };
    let mut ear = Ear { script, slot, now, answerer, replies, streams, closed: None };
    decoder.feed(plain, pool, opcodes, &mut ear)?;
    while let Some(plain) = transport.more(shared) {
        decoder.feed(plain, pool, opcodes, &mut ear)?;
    }
    match (ear.closed, transport.violation()) {
        (None, Some(violation)) => Err(violation),
        (closed, _) => Ok(closed),
    }
}

/// Feeds plaintext to a connection's decoder.
pub(super) fn feed<S: Script, T: Transport>(
    connection: &mut Connection<T>,
    (slot, bytes): (Slot, &[u8]),
    Tools { pool, opcodes, outbox, replies, goodbyes, voices, streams }: Tools<'_>,
    script: &mut S,
    now: Nanos,
) -> Result<Option<Closed>, Violation> {
    let Connection { transport, decoder, owed, .. } = connection;
    let answerer = Answerer { outbox, owed, goodbyes, voices };
    let mut ear = Ear { script, slot, now, answerer, replies, streams, closed: None };
    decoder.feed(bytes, pool, opcodes, &mut ear)?;
    match (ear.closed, transport.violation()) {
        (None, Some(violation)) => Err(violation),
        (closed, _) => Ok(closed),
    }
}

/// What hears one socket during one read.
struct Ear<'a, S> {
    script: &'a mut S,
    slot: Slot,
    now: Nanos,
    answerer: Answerer<'a>,
    replies: &'a Replies,
    streams: Option<&'a mut Streams>,
    closed: Option<Closed>,
}

impl<S: Script> Ear<'_, S> {
    /// Heeds a message of the protocol; false of any other.
    #[inline]
    fn heeds(&mut self, message: &[u8]) -> bool {
        let Replies { opcode, all, .. } = self.replies;
        let mut is_protocol = false;
        for (_, meaning) in all.iter().filter(|(when, _)| when.is_in(message)) {
            self.answerer.heed(self.slot, *opcode, meaning, message);
            is_protocol = true;
        }
        is_protocol
    }

    /// Reads more of a stream: first for what is of the protocol, since the script must know of that.
    #[inline]
    fn hear_stream(&mut self, bytes: &[u8], is_binary: bool) {
        let Self { script, slot, now, answerer, replies, streams, .. } = self;
        let Some(streams) = streams else { return };
        let was_closed = streams.is_closed(*slot);
        let mut is_protocol = streams.acknowledge(*slot, bytes, |acknowledgements| {
            let Answerer { outbox, owed, .. } = &mut *answerer;
            outbox.frame(*slot, replies.opcode, acknowledgements, owed);
        });
        streams.feed(*slot, bytes, |window, from| {
            let open = replies.in_stream(window, from.replies, |meaning, said| {
                is_protocol = true;
                answerer.heed(*slot, replies.opcode, meaning, said);
            });
            let script = if is_protocol || open < window.len() {
                script.on_protocol_stream(*slot, window, from.script, *now)
            } else {
                script.on_stream(*slot, window, from.script, *now)
            };
            Places { script, replies: open }
        });
        if was_closed && streams.is_closed(*slot) && !is_protocol && replies.ignores_tags {
            script.note_frame(bytes, is_binary);
        }
    }
}

impl<S: Script> Hearer for Ear<'_, S> {
    #[inline(always)]
    fn item(&mut self, item: Item<'_>) -> Result<(), Violation> {
        match item {
            Item::Message(message) if self.streams.is_some() => {
                let is_binary = message.is_binary();
                self.hear_stream(message.checked()?, is_binary);
            }
            Item::Message(message) => {
                if !self.replies.all.is_empty() && self.heeds(message.unchecked()) {
                    self.script.on_protocol(self.slot, message, self.now)?;
                } else {
                    self.script.on_message(self.slot, message, self.now)?;
                }
            }
            Item::Ping(payload) => {
                let Answerer { outbox, owed, .. } = &mut self.answerer;
                outbox.frame(self.slot, Opcode::Pong, payload, owed);
            }
            Item::Pong(_) => {}
            Item::Close { code, reason } => {
                // A terminal obeys control characters; a node must not command ours.
                let reason = reason.replace(char::is_control, "\u{fffd}");
                self.closed = Some(Closed { code, reason });
            }
        }
        Ok(())
    }

    fn hears_abridged(&self) -> bool {
        self.replies.fit_a_period && self.streams.is_none() && self.script.hears_abridged()
    }

    fn abridged(&mut self, message: Message<'_>, left_out: LeftOut) -> bool {
        let Self { script, slot, now, replies, .. } = self;
        let is_protocol = replies.all.iter().any(|(when, _)| when.is_in(message.unchecked()));
        !is_protocol && script.on_abridged(*slot, message, left_out, *now)
    }

    #[inline(always)]
    fn frames(&mut self, bytes: &[u8]) -> (u64, usize) {
        if self.streams.as_ref().is_some_and(|streams| !streams.is_closed(self.slot)) {
            return (0, 0);
        }
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
        /// Frames that differ in these digits alone are taken without a look at what they ask.
        #[test]
        fn what_ignores_tags_is_found_whatever_their_digits_are(
            needle in "([-P0-9a-fI]{1,6}|[0-9a-f]{14,18}|-[0-9a-f]{14,18}-)",
            around in prop::array::uniform2("[-P0-9a-fI]{0,6}"),
            digits in prop::array::uniform2("[0-9a-f]{16}"),
        ) {
            let needle = needle.as_bytes();
            prop_assume!(ignores_tags(needle));
            let [one, other] = digits.map(|digits| {
                let message = [&around[0], &digits[..], &around[1]].concat().into_bytes();
                let begun = (1..needle.len()).filter(|&len| message.ends_with(&needle[..len]));
                (memchr::memmem::find_iter(&message, needle).collect::<Vec<_>>(), begun.collect::<Vec<_>>())
            });
            prop_assert_eq!(one, other);
        }

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
                    let say = |meaning: &Meaning, from: &[u8]| match meaning {
                        Meaning::Asks(Saying::Same(reply)) => {
                            assert!(from.starts_with(&reply[1..reply.len() - 1]));
                            said.push(String::from_utf8(reply.clone()).unwrap());
                        }
                        other => panic!("{other:?}"),
                    };
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
