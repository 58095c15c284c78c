//! When the kernel had the bytes: receives that carry its own timestamps.
//!
//! Belongs here: the layout of a multishot `recvmsg` and of its control message. Does not: which
//! sockets are timed, and what for (`worker`).
//!
//! `recv` brings no timestamps, and `recvmsg` costs more for each read; so a few sockets are read with
//! it, as a sample of how late all others are looked at. Sources: io_uring_prep_recvmsg_multishot(3),
//! socket(7) `SO_TIMESTAMP`. The timestamp is that of the youngest segment in the read (`tcp_recvmsg`):
//! bytes before it waited longer.

use std::ptr;

use crate::units::Nanos;

/// `SOL_SOCKET`.
pub(super) const LEVEL: u32 = 1;
/// `SO_TIMESTAMPNS_NEW`: 64-bit seconds and nanoseconds on every architecture.
pub(super) const OPTION: u32 = 64;
/// The option's value: on. The kernel reads it when the entry is submitted.
pub(super) static ON: u32 = 1;

/// `struct io_uring_recvmsg_out`: lengths of name, control and payload, and flags.
const OUT: usize = 16;
/// `struct cmsghdr` (length, level, type) and a `struct __kernel_timespec`.
const CONTROL: usize = 16 + 16;
/// What comes before the payload.
pub(super) const PREFIX: usize = OUT + CONTROL;

/// `struct user_msghdr`, of which the kernel reads the lengths of name and control.
#[repr(C)]
pub(super) struct Header {
    name: *const u8,
    name_len: i32,
    vectors: *const u8,
    vectors_len: usize,
    control: *const u8,
    control_len: usize,
    flags: u32,
}

impl Header {
    /// Room for a timestamp, none for an address.
    pub(super) const fn new() -> Self {
        Self {
            name: ptr::null(),
            name_len: 0,
            vectors: ptr::null(),
            vectors_len: 0,
            control: ptr::null(),
            control_len: CONTROL,
            flags: 0,
        }
    }
}

/// The timestamp in front of a payload; `None` when the kernel gave none.
pub(super) fn timestamp(prefix: &[u8]) -> Option<Nanos> {
    let control_len = u32_at(prefix, 4)? as usize;
    let (level, kind) = (u32_at(prefix, OUT + 8)?, u32_at(prefix, OUT + 12)?);
    if control_len < CONTROL || (level, kind) != (LEVEL, OPTION) {
        return None;
    }
    let (seconds, nanos) = (u64_at(prefix, OUT + 16)?, u64_at(prefix, OUT + 24)?);
    Some(Nanos(seconds * 1_000_000_000 + nanos))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use crate::engine::ring::rx_timestamps::*;

    fn prefix(control_len: u32, kind: u32) -> Vec<u8> {
        let lengths = [0, control_len, 150, 0].map(u32::to_ne_bytes).concat();
        let head = [&32_u64.to_ne_bytes()[..], &LEVEL.to_ne_bytes(), &kind.to_ne_bytes()].concat();
        let time = [1_790_000_000_u64, 7].map(u64::to_ne_bytes).concat();
        [lengths, head, time].concat()
    }

    #[test]
    fn a_timestamp_is_read_where_the_kernel_puts_it() {
        let bytes = prefix(32, OPTION);
        assert_eq!(bytes.len(), PREFIX);
        assert_eq!(timestamp(&bytes), Some(Nanos(1_790_000_000_000_000_007)));
    }

    #[test]
    fn other_control_messages_none_and_a_cut_prefix_are_no_timestamp() {
        assert_eq!(timestamp(&prefix(0, OPTION)), None);
        assert_eq!(timestamp(&prefix(32, 1)), None);
        assert_eq!(timestamp(&prefix(32, OPTION)[..40]), None);
    }
}
