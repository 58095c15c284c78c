//! Sockets that are gone, as the report names them.
//!
//! Belongs here: what is kept of a loss, and its words. Does not: when a socket is given up (`worker`).

use crate::engine::connection::Loss;
use crate::engine::connection::state::State;
use crate::engine::ring::Slot;
use crate::measure::outcome::LostSocket;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::wire::cut_off::CutOff;

/// A socket that is gone.
pub(super) struct Lost {
    pub(super) loss: Loss,
    pub(super) slot: Slot,
    pub(super) seat: SocketId,
    pub(super) at: Nanos,
    /// Where it was in its life.
    pub(super) state: State,
    /// How long nothing had come or left, if it was open.
    pub(super) idle: Option<Nanos>,
}

impl Lost {
    /// For the report, with its time counted from `start`.
    pub(super) fn since(self, start: Nanos) -> LostSocket {
        LostSocket {
            socket: self.seat.socket,
            node: self.seat.node as usize,
            reached: None,
            at: self.at.since(start),
            idle: self.idle,
            close_code: self.loss.close_code,
            our_close_code: self.loss.our_close_code,
            reason: self.loss.reason,
        }
    }
}

/// The reason of an end, with what it cut off.
pub(super) fn with_cut(reason: String, cut_off: Option<CutOff>) -> String {
    match cut_off {
        Some(cut_off) => format!("{reason}, {cut_off}"),
        None => reason,
    }
}
