//! The push sockets of a worker during a trial: which message each of them is at.
//!
//! Belongs here: frames in flight, and how far a sender may go. Does not: what lets it go (`pace`).

use std::ops::Range;

use crate::engine::frames::SenderFrames;
use crate::engine::ring::{SendBuf, Slot};
use crate::measure::interval::Sent;

/// One push socket during a trial.
pub(super) struct Sender {
    pub(super) sender: u16,
    pub(super) frames: SenderFrames,
    /// First message that was not given to the ring yet.
    pub(super) next: u32,
    /// First message that may not leave yet.
    limit: u32,
    /// First message that is measured: those before it are due in the warm-up.
    measured: u32,
    /// Waits in [`Senders::ready`].
    is_ready: bool,
    in_flight: Range<u32>,
    lost: bool,
    /// Messages that the kernel took whole: the first ones.
    pub(super) sent: u32,
}

/// Frames that leave in one send.
pub(super) struct Departure {
    pub(super) sender: u16,
    pub(super) sequence: Range<u32>,
    pub(super) buf: SendBuf,
    pub(super) bytes: Range<usize>,
}

impl Sender {
    /// Nothing has left yet; `limit` messages may.
    pub(super) fn new(sender: u16, frames: SenderFrames, limit: u32, measured: u32) -> Self {
        Self {
            sender,
            frames,
            next: 0,
            limit,
            measured,
            is_ready: true,
            in_flight: 0..0,
            lost: false,
            sent: 0,
        }
    }

    /// The next frames that may leave, as many as fit one send.
    pub(super) fn take(&mut self) -> Option<Departure> {
        let chunk = self.frames.take(self.next, self.limit)?;
        self.next = chunk.sequence.end;
        self.in_flight = chunk.sequence.clone();
        Some(Departure {
            sender: self.sender,
            sequence: chunk.sequence,
            buf: chunk.buf,
            bytes: chunk.bytes,
        })
    }

    /// The kernel has taken the whole flight: its messages; `None` of a flight that is not ours.
    pub(super) fn landed(&mut self, buf: SendBuf) -> Option<Sent> {
        // The last send of an earlier trial, to a node that was stalled until now: its window is not
        // ours, and may be a shorter one.
        if self.in_flight.is_empty() {
            return None;
        }
        self.frames.give_back(buf);
        let flight = std::mem::replace(&mut self.in_flight, 0..0);
        Some(self.split(&flight))
    }

    /// The socket is gone, and of the flight the kernel has so many bytes: the messages that it took whole.
    pub(super) fn lose(&mut self, taken_bytes: usize) -> Sent {
        self.lost = true;
        let flight = std::mem::replace(&mut self.in_flight, 0..0);
        // As in `landed`: what is in flight may be an earlier trial's.
        let whole = (taken_bytes / self.frames.frame_len()).min(flight.len());
        self.split(&(flight.start..flight.start + whole as u32))
    }

    fn split(&mut self, flight: &Range<u32>) -> Sent {
        self.sent = self.sent.max(flight.end);
        let warmup = flight.end.min(self.measured).saturating_sub(flight.start);
        Sent { warmup: warmup.into(), measured: flight.len() as u64 - u64::from(warmup) }
    }

    /// The kernel has some of its messages, and has not said that it took them.
    pub(super) fn is_under_way(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Nothing is under way, and nothing will follow.
    pub(super) fn is_done(&self, stopped: bool) -> bool {
        self.lost || (self.in_flight.is_empty() && (stopped || self.next == self.frames.count()))
    }
}

/// All of them, by slot: push sockets are a worker's first slots.
pub(super) struct Senders {
    pub(super) all: Vec<Sender>,
    /// Senders with messages that may leave since this turn.
    pub(super) ready: Vec<Slot>,
}

impl Senders {
    /// All are ready.
    pub(super) fn new(all: Vec<Sender>) -> Self {
        Self { ready: (0..all.len() as Slot).collect(), all }
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Sender> {
        self.all.get_mut(slot as usize)
    }

    /// Lets a sender's messages before `limit` leave.
    pub(super) fn allow(&mut self, local: usize, limit: u32) {
        // Answers are noted for all sockets that may push in some plan; only senders have messages.
        let Some(sender) = self.all.get_mut(local) else { return };
        sender.limit = limit;
        if !std::mem::replace(&mut sender.is_ready, true) {
            self.ready.push(local as Slot);
        }
    }

    /// Lets one more of a sender's messages leave.
    pub(super) fn allow_next(&mut self, local: usize) {
        self.allow(local, self.all[local].limit + 1);
    }

    /// The next of the ready senders, in the order in which they became so, after `place` of them.
    pub(super) fn ready(&mut self, place: usize) -> Option<Slot> {
        let slot = *self.ready.get(place)?;
        self.all[slot as usize].is_ready = false;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Dialect, TextShape};
    use crate::engine::frames::FrameShape;

    fn sender() -> Sender {
        let shape = FrameShape::new(Dialect::raw(), TextShape::new(64).unwrap(), 1);
        let frames =
            SenderFrames::new(&shape, 0, 10, true, &mut fastrand::Rng::with_seed(1).into());
        Sender::new(0, frames, 10, 3)
    }

    #[test]
    fn of_a_lost_socket_the_messages_that_left_whole_are_counted() {
        let frame_len = sender().frames.frame_len();
        for taken_bytes in 0..10 * frame_len {
            let mut sender = sender();
            sender.take().unwrap();
            let whole = (taken_bytes / frame_len) as u64;
            let Sent { warmup, measured } = sender.lose(taken_bytes);
            assert_eq!((warmup, measured), (whole.min(3), whole.saturating_sub(3)));
            assert_eq!((u64::from(sender.sent), sender.is_done(false)), (whole, true));
        }
    }

    /// A send of the trial before, to a stalled node, whose socket is lost before anything else left.
    #[test]
    fn bytes_of_an_earlier_trials_send_are_no_messages_of_this_one() {
        let mut sender = sender();
        assert_eq!(sender.lose(5 * sender.frames.frame_len()).all(), 0);
        assert_eq!(sender.sent, 0);
    }
}
