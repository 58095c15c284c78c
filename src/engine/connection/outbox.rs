//! Control frames on their way out, and a dialect's replies and heartbeats.
//!
//! Belongs here: what waits for a socket whose send is in flight, and the memory for it. Does not: when it
//! is sent (`worker`).

use std::collections::VecDeque;

use crate::dialect::Dialect;
use crate::engine::key_rng::KeyRng;
use crate::engine::ring::Slot;
use crate::wire::encode;
use crate::wire::frame::Opcode;

/// Control frames, replies and heartbeats that wait for their socket, and the memory for more.
///
/// A Ping must be answered even while its socket sends flat out, but never in the middle of another
/// frame: the Pong waits here for the send in flight and goes before the next one. What waits for one
/// socket lies side by side and leaves in one send.
#[derive(Debug)]
pub(in crate::engine) struct Outbox {
    queue: VecDeque<(Slot, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    rng: KeyRng,
    /// Frames that are laid out, and bytes of each.
    frames: usize,
    room: usize,
    /// The most that waits for one socket.
    most: usize,
}

impl Outbox {
    /// Room for as many sockets with unanswered Pings as a worker may meet at once; more allocate.
    const FRAMES: usize = 256;
    /// The largest control frame of a client: header, mask key, 125 bytes (RFC 6455, section 5.5).
    const FRAME_BYTES: usize = 2 + 4 + 125;
    /// The largest header of a client's frame.
    const HEADER_BYTES: usize = 2 + 8 + 4;
    /// The most that waits for one socket. A node that floods us with Pings and reads no Pong must not
    /// take our memory: beyond this only the latest Ping is answered, as RFC 6455 (section 5.5.3)
    /// allows.
    const WAITING_BYTES: usize = 64 << 10;

    /// Sockets that acknowledge in one turn for which there is room; more allocate.
    const ACKNOWLEDGING_MAX: usize = 4096;
    /// Room for what they say: 64 KiB for each, which is 6 500 messages in a frame each, and less of it where they
    /// are many.
    const ACKNOWLEDGEMENTS_BYTES: usize = 16 << 20;
    /// More than a node can wait for: there are 65 535 identifiers, and a frame is 10 bytes.
    const UNACKNOWLEDGED_BYTES: usize = 1 << 20;

    pub(in crate::engine) fn new(rng: KeyRng) -> Self {
        // Twice: a Pong may be joined by another one, or by the Close.
        Self::laid_out(rng, Self::FRAMES, 2 * Self::FRAME_BYTES, Self::WAITING_BYTES)
    }

    /// As a dialect needs it.
    pub(in crate::engine) fn of(dialect: &Dialect, rng: KeyRng, sockets: usize) -> Self {
        match dialect.acknowledges {
            None => Self::new(rng),
            Some(_) => Self::of_acknowledgements(rng, sockets),
        }
    }

    /// Where messages are acknowledged each socket may have something to say in each turn, and nothing of that
    /// may be dropped: a node waits for it.
    fn of_acknowledgements(rng: KeyRng, sockets: usize) -> Self {
        let frames = sockets.clamp(Self::FRAMES, Self::ACKNOWLEDGING_MAX);
        let room = Self::ACKNOWLEDGEMENTS_BYTES / frames;
        Self::laid_out(rng, frames, room, Self::UNACKNOWLEDGED_BYTES)
    }

    fn laid_out(rng: KeyRng, frames: usize, room: usize, most: usize) -> Self {
        let spare = (0..frames).map(|_| Vec::with_capacity(room)).collect();
        Self { queue: VecDeque::with_capacity(frames), spare, rng, frames, room, most }
    }

    /// Queues a frame, behind others of its socket; `owed` is the connection's flag.
    pub(in crate::engine) fn frame(
        &mut self,
        slot: Slot,
        opcode: Opcode,
        payload: &[u8],
        owed: &mut bool,
    ) {
        let mask = self.rng.mask();
        if *owed
            && let Some((_, waiting)) = self.queue.iter_mut().rfind(|(owner, _)| *owner == slot)
        {
            if waiting.len() + payload.len() + Self::HEADER_BYTES > self.most {
                waiting.clear();
            }
            return encode::write_frame(waiting, opcode, payload, mask);
        }
        *owed = true;
        let mut frame = self.spare.pop().unwrap_or_default();
        frame.clear();
        encode::write_frame(&mut frame, opcode, payload, mask);
        self.queue.push_back((slot, frame));
    }

    /// Queues finished frames behind others of their socket, however long they are.
    #[cold]
    pub(in crate::engine) fn frames(&mut self, slot: Slot, frames: &[u8], owed: &mut bool) {
        let waiting = self.queue.iter_mut().rfind(|(owner, _)| *owed && *owner == slot);
        match waiting {
            Some((_, waiting)) => waiting.extend_from_slice(frames),
            None => self.queue.push_back((slot, frames.to_vec())),
        }
        *owed = true;
    }

    /// The owner of what waits at a place of the queue.
    pub(in crate::engine) fn owner(&self, place: usize) -> Option<Slot> {
        self.queue.get(place).map(|(owner, _)| *owner)
    }

    /// What waits at a place of the queue.
    pub(in crate::engine) fn remove(&mut self, place: usize) -> Option<Vec<u8>> {
        self.queue.remove(place).map(|(_, frames)| frames)
    }

    /// The frames that wait for a socket.
    pub(in crate::engine) fn take(&mut self, slot: Slot) -> Option<Vec<u8>> {
        let place = self.queue.iter().position(|(owner, _)| *owner == slot)?;
        self.remove(place)
    }

    /// Drops what a socket can no longer send.
    pub(in crate::engine) fn discard(&mut self, slot: Slot) {
        if let Some(frame) = self.take(slot) {
            self.give_back(frame);
        }
    }

    /// Takes a sent frame's memory back.
    pub(in crate::engine) fn give_back(&mut self, frame: Vec<u8>) {
        // What a flood has blown up is not kept.
        if self.spare.len() < self.frames && frame.capacity() <= 2 * self.room {
            self.spare.push(frame);
        }
    }

    /// True when nothing waits.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::parse_header;

    fn outbox() -> Outbox {
        Outbox::new(fastrand::Rng::with_seed(1).into())
    }

    /// Frames of a client, one after the other: their payloads, unmasked.
    fn payloads(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        while let [_, len, rest @ ..] = bytes {
            let len = usize::from(len & 0x7f);
            let (mask, rest) = rest.split_at(4);
            let payload = rest[..len].iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
            payloads.push(payload.collect());
            bytes = &rest[len..];
        }
        payloads
    }

    #[test]
    fn every_ping_that_waits_is_answered_in_order_and_in_one_send() {
        let (mut outbox, mut owed) = (outbox(), false);
        for i in 0..200_u8 {
            outbox.frame(7, Opcode::Pong, &[i], &mut owed);
            outbox.frame(8, Opcode::Pong, b"other", &mut false);
        }
        let expected: Vec<_> = (0..200).map(|i| vec![i]).collect();
        assert_eq!(payloads(&outbox.take(7).unwrap()), expected);
        assert_eq!(outbox.take(7), None);
    }

    #[test]
    fn a_flood_of_pings_takes_bounded_memory_and_the_latest_is_answered() {
        let (mut outbox, mut owed) = (outbox(), false);
        for i in 0..100_000_u32 {
            outbox.frame(7, Opcode::Pong, &i.to_le_bytes(), &mut owed);
        }
        outbox.frame(7, Opcode::Close, b"", &mut owed);
        let waiting = outbox.take(7).unwrap();
        assert!(waiting.len() <= Outbox::WAITING_BYTES, "{}", waiting.len());
        let payloads = payloads(&waiting);
        let [.., latest, close] = &payloads[..] else { panic!("{payloads:?}") };
        assert_eq!((&latest[..], &close[..]), (&99_999_u32.to_le_bytes()[..], &[][..]));
        assert!(parse_header(&waiting).is_err(), "frames of a client are masked");
    }
}
