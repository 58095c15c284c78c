//! Frames, finished before the clock starts.
//!
//! Belongs here: where the bytes of each message lie. Does not: what they say (`dialect`), when they
//! leave (`worker`).
//!
//! All frames of a sender in a trial have one length: text is padded, the tag has a fixed width. Frame `i`
//! of a sender therefore lies at `i * frame_len`, and neighbours can leave in one send. A trial that needs
//! more memory than the plan allows is sent from a window of frames instead, which are patched in place
//! before each send: they get other numbers and, since each frame has a mask key of its own (RFC 6455,
//! section 5.3), another key. Nothing is framed anew. A window is never patched while the kernel holds it:
//! it travels with the send and comes back with it.

use std::ops::Range;

use bytes::Bytes;

use super::key_rng::KeyRng;
use super::ring::SendBuf;
use crate::dialect::mqtt::identifier;
use crate::dialect::pattern::seq_digits;
use crate::dialect::tag::RUN_PREFIX_LEN;
use crate::dialect::{Dialect, MessageKind, Places, Speaker, Tag, TextShape};
use crate::wire::encode;
use crate::wire::frame::Opcode;

/// The most that leaves in one send, and the bytes of a patched window. A message of a burst costs 37
/// ns in sends of 32 KiB, 29.6 in 64 KiB and 29.4 in 128, and a time stamped at submission must not
/// grow stale in a queue.
const CHUNK_BYTES: usize = 64 * 1024;

/// What all frames of a trial have in common.
#[derive(Clone, Debug)]
pub struct FrameShape {
    dialect: Dialect,
    text: TextShape,
    run: u32,
    frame_len: usize,
}

impl FrameShape {
    /// Frames of `dialect` around `text`, marked with the nonce `run`.
    pub fn new(dialect: Dialect, text: TextShape, run: u32) -> Self {
        let frame_len = encode::frame_len(dialect.message_len(&text));
        Self { dialect, text, run, frame_len }
    }

    /// Bytes of a frame of any sender at most, header and mask key included.
    pub fn frame_len(&self) -> usize {
        self.frame_len
    }

    /// Appends the frame of one message, as a socket says it of which nothing is known.
    pub fn write(&self, sender: u16, sequence: u64, rng: &mut KeyRng, out: &mut Vec<u8>) {
        let at = out.len();
        self.write_bare(&Speaker::default(), (sender, sequence), out);
        encode::mask(&mut out[at..], rng.mask());
    }

    /// Appends a frame whose mask key is 0: its payload is the message as it is.
    fn write_bare(&self, speaker: &Speaker<'_>, (sender, sequence): (u16, u64), out: &mut Vec<u8>) {
        let tag = Tag { run: self.run, sender, sequence };
        let mut message = Vec::with_capacity(self.dialect.message_len(&self.text));
        self.dialect.template.render(&self.text, tag, speaker, &mut message);
        encode::write_frame(out, opcode(self.dialect.kind), &message, [0; 4]);
    }
}

/// The type of frame in which messages of a kind travel.
pub(super) const fn opcode(kind: MessageKind) -> Opcode {
    match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    }
}

/// Where a sender's frames are.
#[derive(Debug)]
enum Store {
    /// All of them, side by side.
    Laid(Bytes),
    Window(Box<Window>),
}

/// The next ones.
#[derive(Debug)]
struct Window {
    /// `None` while they are in flight.
    frames: Option<Vec<u8>>,
    /// Of this window alone: from a seed its keys are the same whoever sends first.
    keys: KeyRng,
}

/// What tells the messages of a sender from one another.
#[derive(Debug)]
struct Numbers {
    run: u32,
    sender: u16,
    /// Where in a message of this sender its tag and its numbers are.
    places: Places,
    /// Messages that it sent before.
    said: u64,
}

impl Numbers {
    /// Turns a frame of this sender into that of message `sequence`.
    fn write(&self, sequence: u32, frame: &mut [u8]) {
        let tag = Tag { run: self.run, sender: self.sender, sequence: sequence.into() };
        match self.places.in_base64(tag) {
            // The prefix is there already: its 10 bytes were a fifth of the work.
            None => encode::patch(frame, self.places.tag + RUN_PREFIX_LEN, &tag.encode_body()),
            Some(text) => encode::patch(frame, self.places.tag, &text),
        }
        for &at in &self.places.seq {
            encode::patch(frame, at, &seq_digits(sequence.into()));
        }
        for &at in &self.places.packets {
            encode::patch(frame, at, &identifier(self.said + u64::from(sequence)));
        }
        for &at in &self.places.refs {
            encode::patch(frame, at, &seq_digits(self.said + u64::from(sequence)));
        }
    }
}

/// All frames of one push socket in one trial.
#[derive(Debug)]
pub struct SenderFrames {
    numbers: Numbers,
    count: u32,
    frame_len: usize,
    store: Store,
}

/// Consecutive messages, ready to leave in one send.
#[derive(Debug)]
pub struct Chunk {
    /// The memory.
    pub buf: SendBuf,
    /// Which part of it to send.
    pub bytes: Range<usize>,
    /// Sequence numbers.
    pub sequence: Range<u32>,
}

impl SenderFrames {
    /// Whose frames they are.
    pub fn sender(&self) -> u16 {
        self.numbers.sender
    }

    /// Lays out `count` frames of `sender`, all of them or a window, as `all` says.
    pub fn new(shape: &FrameShape, sender: u16, count: u32, all: bool, rng: &mut KeyRng) -> Self {
        Self::said_by(&Speaker::default(), shape, (sender, count), all, rng)
    }

    /// The same with what is known of the socket.
    pub fn said_by(
        speaker: &Speaker<'_>,
        shape: &FrameShape,
        (sender, count): (u16, u32),
        all: bool,
        rng: &mut KeyRng,
    ) -> Self {
        let places = shape.dialect.template.places(&shape.text, sender, speaker);
        let frame_len = encode::frame_len(places.len);
        let frames = if all { count } else { count.min(chunk(frame_len)) };
        let numbers = Numbers { run: shape.run, sender, places, said: speaker.said };
        // Rendering each message anew cost 0.17 µs a message more than copying the first.
        let mut bare = Vec::with_capacity(frame_len);
        shape.write_bare(speaker, (sender, 0), &mut bare);
        let mut out = Vec::with_capacity(frames as usize * frame_len);
        for sequence in 0..frames {
            numbers.write(sequence, &mut bare);
            let at = out.len();
            out.extend_from_slice(&bare);
            encode::mask(&mut out[at..], rng.mask());
        }
        let store = if all {
            let bytes = Bytes::from(out);
            // The first clone of a `Bytes` allocates its reference count: now, not in the loop.
            drop(bytes.clone());
            Store::Laid(bytes)
        } else {
            Store::Window(Box::new(Window { frames: Some(out), keys: rng.fork() }))
        };
        Self { numbers, count, frame_len, store }
    }

    /// Bytes of each frame.
    pub fn frame_len(&self) -> usize {
        self.frame_len
    }

    /// Number of messages.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The frames from `from` on, before `limit`, as many as leave in one send. `None` when there
    /// are none, or when the window is in flight.
    pub fn take(&mut self, from: u32, limit: u32) -> Option<Chunk> {
        let to = limit.min(self.count).min(from.saturating_add(chunk(self.frame_len)));
        if from >= to {
            return None;
        }
        let sequence = from..to;
        let len = (to - from) as usize * self.frame_len;
        match &mut self.store {
            Store::Laid(bytes) => {
                let start = from as usize * self.frame_len;
                let buf = SendBuf::Arena(bytes.clone());
                Some(Chunk { buf, bytes: start..start + len, sequence })
            }
            Store::Window(window) => {
                let mut frames = window.frames.take()?;
                let laid = frames.chunks_exact_mut(self.frame_len).zip(sequence.clone());
                for (frame, sequence) in laid {
                    encode::mask(frame, window.keys.mask());
                    self.numbers.write(sequence, frame);
                }
                Some(Chunk { buf: SendBuf::Owned(frames), bytes: 0..len, sequence })
            }
        }
    }

    /// Takes the memory of a [`Chunk`] back once it was sent.
    pub fn give_back(&mut self, buf: SendBuf) {
        if let (Store::Window(window), SendBuf::Owned(frames)) = (&mut self.store, buf) {
            window.frames = Some(frames);
        }
    }
}

/// Frames of this length in one send.
fn chunk(frame_len: usize) -> u32 {
    ((CHUNK_BYTES / frame_len) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::dialect::file::{Source, read};

    fn dialect(frames: &str, message: &str) -> Dialect {
        let schema = "schema = 'fanstorm.dialect/1'";
        let text = format!("{schema}\nname = 'test'\nframes = '{frames}'\n[message]\n{message}\n");
        let environment = |_: &str| None;
        read(&Source { file: "t", text: &text, settings: &[], environment: &environment }).unwrap()
    }

    /// The mask key of a frame, and its payload as it is on the wire.
    fn masked(frame: &[u8]) -> (&[u8], &[u8]) {
        let header = 2 + [0, 2, 8][usize::from(frame[1] & 0x7f).saturating_sub(125)];
        frame[header..].split_at(4)
    }

    /// The message of a frame.
    fn message(frame: &[u8]) -> Vec<u8> {
        let (mask, payload) = masked(frame);
        payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
    }

    #[test]
    fn copied_and_patched_frames_hold_the_messages_that_are_rendered_one_by_one() {
        let dialects = [
            (30, "text", "template = '{text}'"),
            (100, "text", r#"template = '{"ref":{ref},"n":"{seq}","t":"{text}"}'"#),
            (400, "binary", "template = '{hex:32}{mqtt:{packet_id}{text}}'"),
            (67, "text", "template = '{seq} {text}'\ntext = 'base64'"),
        ];
        for (payload_bytes, kind, template) in dialects {
            let text = TextShape::new(payload_bytes).unwrap();
            let shape = FrameShape::new(dialect(kind, template), text, 0xfee1_900d);
            let speaker = Speaker { said: 70_000, ..Speaker::default() };
            let rendered = |sequence| {
                let mut frame = Vec::new();
                shape.write_bare(&speaker, (513, sequence), &mut frame);
                message(&frame)
            };
            for all in [true, false] {
                let mut rng = fastrand::Rng::with_seed(1).into();
                let mut frames =
                    SenderFrames::said_by(&speaker, &shape, (513, 5_000), all, &mut rng);
                let (mut next, mut sends) = (0, 0);
                while let Some(Chunk { buf, bytes, sequence }) = frames.take(next, 5_000) {
                    let sent = buf.as_slice()[bytes].chunks(frames.frame_len()).map(message);
                    assert!(sent.eq(sequence.clone().map(|n| rendered(n.into()))), "{template}");
                    assert_eq!(sequence.start, next);
                    next = sequence.end;
                    sends += 1;
                    frames.give_back(buf);
                }
                assert_eq!(next, 5_000);
                assert!(sends > 1, "a window that is never patched tests nothing");
            }
        }
    }

    #[test]
    fn no_frame_has_the_mask_key_of_another_one_laid_out_or_patched() {
        let dialect = dialect("text", "template = '{text}'");
        let shape = FrameShape::new(dialect, TextShape::new(1_000).unwrap(), 1);
        for all in [true, false] {
            let mut rng = fastrand::Rng::with_seed(2).into();
            let mut keys = BTreeSet::new();
            for sender in 0..2 {
                let mut frames = SenderFrames::new(&shape, sender, 1_000, all, &mut rng);
                let mut next = 0;
                // One by one now and then, as messages leave when they are due.
                while let Some(Chunk { buf, bytes, sequence }) =
                    frames.take(next, (next + 1 + next % 90).min(1_000))
                {
                    let sent = buf.as_slice()[bytes].chunks(frames.frame_len());
                    keys.extend(sent.map(|frame| masked(frame).0.to_vec()));
                    next = sequence.end;
                    frames.give_back(buf);
                }
                assert_eq!(next, 1_000);
            }
            // Of 2 000 numbers of 32 bits two are the same once in 2 000 times, and from this seed none are.
            assert_eq!(keys.len(), 2_000, "{}", if all { "laid out" } else { "patched" });
        }
    }
}
