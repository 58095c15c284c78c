//! Frames, finished before the clock starts.
//!
//! Belongs here: where the bytes of each message lie. Does not: what they say (`dialect`), when they
//! leave (`worker`).
//!
//! All frames of a sender in a trial have one length: text is padded, the tag has a fixed width. Frame `i`
//! of a sender therefore lies at `i * frame_len`, and neighbours can leave in one send. A trial that needs
//! more memory than the plan allows is sent from a window of frames instead, whose tags are patched
//! in place before each send: XOR with the frame's own mask key, nothing is framed anew. A window is
//! never patched while the kernel holds it: it travels with the send and comes back with it.

use std::ops::Range;

use bytes::Bytes;

use super::ring::SendBuf;
use crate::dialect::mqtt::identifier;
use crate::dialect::pattern::seq_digits;
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

    /// Appends the frame of one message.
    pub fn write(&self, sender: u16, sequence: u64, rng: &mut fastrand::Rng, out: &mut Vec<u8>) {
        self.write_as(&Speaker::default(), (sender, sequence), rng, out);
    }

    fn write_as(
        &self,
        speaker: &Speaker<'_>,
        (sender, sequence): (u16, u64),
        rng: &mut fastrand::Rng,
        out: &mut Vec<u8>,
    ) {
        let tag = Tag { run: self.run, sender, sequence };
        let mut message = Vec::with_capacity(self.dialect.message_len(&self.text));
        self.dialect.template.render(&self.text, tag, speaker, &mut message);
        encode::write_frame(out, opcode(self.dialect.kind), &message, rng.u32(..).to_ne_bytes());
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
    /// The next ones; `None` while they are in flight.
    Window(Option<Vec<u8>>),
}

/// All frames of one push socket in one trial.
#[derive(Debug)]
pub struct SenderFrames {
    shape: FrameShape,
    sender: u16,
    count: u32,
    frame_len: usize,
    /// Where in a message of this sender its tag and its numbers are.
    places: Places,
    /// Messages that it sent before.
    said: u64,
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
        self.sender
    }

    /// Lays out `count` frames of `sender`, all of them or a window, as `all` says.
    pub fn new(
        shape: &FrameShape,
        sender: u16,
        count: u32,
        all: bool,
        rng: &mut fastrand::Rng,
    ) -> Self {
        Self::said_by(&Speaker::default(), shape, (sender, count), all, rng)
    }

    /// The same with what is known of the socket.
    pub fn said_by(
        speaker: &Speaker<'_>,
        shape: &FrameShape,
        (sender, count): (u16, u32),
        all: bool,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let places = shape.dialect.template.places(&shape.text, sender, speaker);
        let frame_len = encode::frame_len(places.len);
        let frames = if all { count } else { count.min(chunk(frame_len)) };
        let mut out = Vec::with_capacity(frames as usize * frame_len);
        for sequence in 0..frames {
            shape.write_as(speaker, (sender, sequence.into()), rng, &mut out);
        }
        debug_assert_eq!(out.len(), frames as usize * frame_len);
        let store = if all {
            let bytes = Bytes::from(out);
            // The first clone of a `Bytes` allocates its reference count: now, not in the loop.
            drop(bytes.clone());
            Store::Laid(bytes)
        } else {
            Store::Window(Some(out))
        };
        let said = speaker.said;
        Self { shape: shape.clone(), sender, count, frame_len, places, said, store }
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
                let mut frames = window.take()?;
                self.patch(sequence.clone(), &mut frames);
                Some(Chunk { buf: SendBuf::Owned(frames), bytes: 0..len, sequence })
            }
        }
    }

    /// Turns the first frames of `frames` into those of `sequence`.
    fn patch(&self, sequence: Range<u32>, frames: &mut [u8]) {
        for (frame, sequence) in frames.chunks_exact_mut(self.frame_len).zip(sequence) {
            let tag = Tag { run: self.shape.run, sender: self.sender, sequence: sequence.into() };
            encode::patch(frame, self.places.tag, &self.places.tag_text(tag));
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

    /// Takes the memory of a [`Chunk`] back once it was sent.
    pub fn give_back(&mut self, buf: SendBuf) {
        if let (Store::Window(window), SendBuf::Owned(frames)) = (&mut self.store, buf) {
            *window = Some(frames);
        }
    }
}

/// Frames of this length in one send.
fn chunk(frame_len: usize) -> u32 {
    ((CHUNK_BYTES / frame_len) as u32).max(1)
}
