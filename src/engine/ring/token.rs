//! What is written into an operation, and read from its completion.
//!
//! Belongs here: the 64 bits that come back, and completions as they are in the queue. Does not: when
//! they are taken (`uring`).

use io_uring::cqueue;

use super::{Completion, Filled, Op, Slot};
use crate::engine::ring::rx_timestamps;

/// Token of operations whose completion nobody waits for (cancellations).
pub(super) const UNWATCHED: u64 = u64::MAX;

/// An operation among those that a slot has in flight.
#[inline]
pub(super) const fn bit(op: Op) -> u8 {
    1 << op as u8
}

/// What tells a completion's operation and slot.
#[inline]
pub(super) const fn token(op: Op, slot: Slot) -> u64 {
    (op as u64) << 32 | slot as u64
}

/// Takes what comes before the payload of a timed read off it.
pub(super) fn unwrap_timed(completion: &mut Completion, buffer: u16) {
    completion.result = (completion.result - rx_timestamps::PREFIX as i32).max(0);
    completion.buffer =
        Some(Filled { buffer, timed: true, start: rx_timestamps::PREFIX as u32, last: true });
}

/// A completion from its queue entry; `None` for operations that nobody waits for.
#[inline]
pub(super) fn decode(entry: &cqueue::Entry) -> Option<Completion> {
    let token = entry.user_data();
    if token == UNWATCHED {
        return None;
    }
    let op = match token >> 32 {
        0 => Op::Connect,
        1 => Op::Receive,
        2 => Op::Send,
        other => unreachable!("token of operation {other}"),
    };
    Some(Completion {
        op,
        slot: token as u32,
        result: entry.result(),
        more: cqueue::more(entry.flags()),
        buffer: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_operation_and_slot() {
        for (op, slot) in [(Op::Connect, 0), (Op::Receive, u32::MAX), (Op::Send, 77)] {
            assert_eq!(token(op, slot) >> 32, op as u64);
            assert_eq!(token(op, slot) as u32, slot);
            assert_ne!(token(op, slot), UNWATCHED);
        }
    }
}
