//! The ring: what the worker asks of the kernel, and what comes back.
//!
//! Belongs here: the [`Ring`] trait, which speaks in completions, and its implementations: the real
//! io_uring ([`uring`]) and one without a kernel and with fault dials ([`fake`]). Unsafe code of
//! the ring is in [`uring`] and its buffers. Does not belong here: what the bytes mean (`connection`, `worker`).
//!
//! Invariants that every ring keeps and the worker relies on:
//! - memory handed to [`Ring::send`] stays alive and unmoved until its completion was taken;
//! - at most one send is in flight per slot (independent sends on one socket may be reordered by
//!   the kernel);
//! - a slot is used again after [`Ring::close`] only when [`Ring::is_free`] says so; completions that
//!   come before that are delivered, and the worker counts them as stale;
//! - short sends, receives that end, exhausted buffers and stale completions are ordinary events.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::units::Nanos;

mod buffers;
pub mod epoll;
pub mod fake;
mod handle;
mod rx_timestamps;
pub mod several;
mod token;
pub mod uring;

/// A socket's place in one ring, counted from 0. A ring is built for a fixed number of slots.
pub type Slot = u32;

/// Bytes on their way to the kernel. The ring owns them while they are in flight.
#[derive(Debug)]
pub enum SendBuf {
    /// A slice of the read-only arena.
    Arena(Bytes),
    /// A buffer that its owner patches between two sends.
    Owned(Vec<u8>),
}

impl SendBuf {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Arena(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// True when there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a completion answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// [`Ring::connect`]: result 0 or a negative errno.
    Connect,
    /// [`Ring::receive`]: number of bytes, 0 at the end of the stream, or a negative errno.
    Receive,
    /// [`Ring::send`]: number of bytes taken, or a negative errno.
    Send,
}

/// Where the bytes of a receive are; to be given back with [`Ring::recycle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Number of the buffer.
    pub buffer: u16,
    /// It is one of those for timed sockets.
    pub timed: bool,
    /// Where in it the bytes start: a ring may fill one buffer in several reads, of any sockets.
    pub start: u32,
    /// No later read goes to this buffer: given back, it is free.
    pub last: bool,
}

impl Filled {
    /// A buffer with one read in it.
    pub const fn whole(buffer: u16) -> Self {
        Self { buffer, timed: false, start: 0, last: true }
    }
}

/// One completion.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// What was asked.
    pub op: Op,
    /// For which socket.
    pub slot: Slot,
    /// Bytes, or a negative errno.
    pub result: i32,
    /// The receive stays armed; when false it must be armed again.
    pub more: bool,
    /// Where the received bytes are.
    pub buffer: Option<Filled>,
}

/// How to wait for completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Return when so many completions are there. 0 submits and returns at once.
    pub want: u32,
    /// After so long, return as soon as there is one (one io_uring of Linux 6.12; elsewhere at the first).
    pub linger: Nanos,
    /// Return after so long in any case.
    pub timeout: Nanos,
}

impl Wait {
    /// Submits, and returns with what is there.
    pub const POLL: Self = Self { want: 0, linger: Nanos::ZERO, timeout: Nanos::ZERO };

    /// Sleeps until the first completion.
    pub const fn first(timeout: Nanos) -> Self {
        Self { want: 1, linger: Nanos::ZERO, timeout }
    }
}

/// What the ring counted since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Calls into the kernel to submit and wait.
    pub enters: u64,
    /// Completions that the kernel kept aside because the queue was full.
    pub cq_overflow: u64,
}

/// Receive buffers of one ring, all together: they stream through the cache.
const RECEIVE_BYTES: usize = 8 << 20;

/// How large to build a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Sockets that it can hold.
    pub slots: u32,
    /// Number of receive buffers: a power of two.
    pub buffers: u16,
    /// Size of each.
    pub buffer_bytes: usize,
    /// Sockets live in the ring's own table of descriptors (io_uring only).
    pub direct: bool,
}

impl RingConfig {
    /// For a worker with so many sockets. Many with little each want many small buffers, few in a
    /// burst want large ones.
    pub fn for_sockets(sockets: u32) -> Self {
        let buffers = (sockets as usize * 2).next_power_of_two().clamp(256, 4096);
        Self {
            slots: sockets,
            buffers: buffers as u16,
            buffer_bytes: (RECEIVE_BYTES / buffers).clamp(2048, 32 << 10),
            direct: false,
        }
    }

    /// Sockets in the ring's own table, and `rings` of its kind for one worker, which looks at one at a
    /// time: they share the cache, so each has its part of the buffers.
    pub fn direct(self, rings: usize) -> Self {
        let buffers = (usize::from(self.buffers) / rings.max(1)).next_power_of_two().max(256);
        Self { direct: true, buffers: buffers.min(self.buffers.into()) as u16, ..self }
    }
}

/// A queue pair with a kernel, or something that behaves like one.
pub trait Ring {
    /// Opens a socket in `slot` and starts connecting it to `to`, from `from` when given. Answered
    /// by [`Op::Connect`]. After one that failed it may be asked again for the same slot.
    ///
    /// # Errors
    /// The socket could not be made: descriptors, memory, a source address that is not ours
    /// (`EADDRNOTAVAIL`) or a port that another holds (`EADDRINUSE`).
    fn connect(&mut self, slot: Slot, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<()>;

    /// Arms a multishot receive. Answered by any number of [`Op::Receive`], the last without `more`.
    fn receive(&mut self, slot: Slot);

    /// Asks the kernel to note when bytes came to `slot`, before its first receive. A sample: each
    /// costs more than a read that nobody times. A ring that cannot says nothing.
    fn time_arrivals(&mut self, _slot: Slot) {}

    /// Asks the kernel to acknowledge what comes to `slot` late, with data or after 40 ms, rather than
    /// at once (tcp(7), `TCP_QUICKACK` off). To be asked once the connection is there: its beginning
    /// turns quick acknowledgements on.
    fn delay_acks(&mut self, _slot: Slot) {}

    /// When the last byte of a received completion came to this host's network stack
    /// (`CLOCK_REALTIME`), for sockets whose arrivals are timed.
    fn arrived(&self, _completion: &Completion) -> Option<Nanos> {
        None
    }

    /// Sends `buf[part]`. Answered by one [`Op::Send`], after which [`Ring::take_sent`] gives the
    /// buffer back. At most one is in flight for each slot.
    fn send(&mut self, slot: Slot, buf: SendBuf, part: Range<usize>);

    /// The buffer of the send that completed last on `slot`.
    fn take_sent(&mut self, slot: Slot) -> Option<SendBuf>;

    /// Ends the socket: cancels what is in flight and closes it as soon as the kernel lets go.
    fn close(&mut self, slot: Slot);

    /// Nothing is left of a socket that was closed: [`Ring::connect`] may be asked for its slot.
    fn is_free(&self, _slot: Slot) -> bool {
        true
    }

    /// Submits all that was asked, and waits.
    ///
    /// # Errors
    /// The ring itself failed; nothing of one socket ends up here.
    fn wait(&mut self, wait: Wait) -> io::Result<()>;

    /// The next completion that has come, if any.
    fn next_completion(&mut self) -> Option<Completion>;

    /// The bytes of a receive completion.
    fn received(&self, filled: Filled, len: usize) -> &[u8];

    /// Gives bytes back, in the order in which they came; a buffer whose last they were is free for
    /// further receives.
    fn recycle(&mut self, filled: Filled);

    /// Counters since the ring was built.
    fn counters(&self) -> RingCounters;
}

/// Opens a stream socket for `to`, bound to `from` when given.
fn open(to: SocketAddr, from: Option<SocketAddr>, flags: SocketFlags) -> io::Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = flags | SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Frames must leave when they are submitted; Nagle would hold small ones for an ACK.
    sockopt::set_tcp_nodelay(&fd, true)?;
    if let Some(from) = from {
        // One port serves a connection to each node: without this the first would keep it.
        sockopt::set_socket_reuseaddr(&fd, true)?;
        rustix::net::bind(&fd, &from)?;
    }
    Ok(fd)
}
