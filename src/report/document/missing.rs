//! What is known of copies that did not come, and of sockets that were lost, as a document keeps it.
//!
//! Belongs here: these two types, field by field. Does not: the rest of a trial (`build`).

use crate::measure::outcome::{LostSocket, StreamGap};
use crate::report::document::trial;
use crate::units::Nanos;

pub(super) fn gap(gap: &StreamGap) -> trial::Gap {
    let StreamGap { sender, socket, node, reached, missing, ranges, truncated } = gap;
    trial::Gap {
        sender: (*sender).into(),
        socket: (*socket).into(),
        node: *node as u64,
        reached: reached.as_deref().map(Into::into),
        missing: *missing,
        ranges: ranges.iter().map(|&(first, last)| [first, last]).collect(),
        truncated: *truncated,
    }
}

pub(super) fn lost_socket(lost: &LostSocket) -> trial::LostSocket {
    let LostSocket { socket, node, reached, at, idle, close_code, our_close_code, reason } = lost;
    trial::LostSocket {
        socket: (*socket).into(),
        node: *node as u64,
        reached: reached.as_deref().map(Into::into),
        at_s: at.as_secs_f64(),
        idle_s: idle.map(Nanos::as_secs_f64),
        close_code: *close_code,
        our_close_code: *our_close_code,
        reason: reason.as_str().into(),
    }
}
