//! The real ring.
//!
//! Belongs here: set-up, submission and completion of io_uring, and the life of descriptors and of
//! memory that the kernel holds. Does not: what to send when (`worker`). One of the three files of the
//! crate with unsafe code: the other half is the buffer ring (`buffers`).
//!
//! Why these flags (io_uring_setup(2)):
//! - `SINGLE_ISSUER`: one thread builds and uses the ring; the kernel saves its locks.
//! - `DEFER_TASKRUN`: receives run inside our own `io_uring_enter`, in one batch, instead of
//!   interrupting the loop after any system call. Needs 6.1.
//! - `TASKRUN_FLAG`: without it a loop that polls the queue and submits nothing never learns that
//!   deferred work waits, and spins for ever.
//! - `SUBMIT_ALL`: a refused entry must not keep those behind it from being submitted.
//!
//! Sockets are blocking on purpose: on an `O_NONBLOCK` descriptor io_uring answers `EAGAIN` instead
//! of waiting for room.

#![expect(unsafe_code, reason = "submission entries carry raw pointers")]

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use io_uring::types::{Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketAddrAny, SocketFlags};

use super::buffers::{self, BufferRing, GROUP, TIMED_GROUP};
use super::handle::{Aim, Handle, aimed};
use super::token::{UNWATCHED, bit, decode, token, unwrap_timed};
use super::{Completion, Filled, Op, Ring, RingConfig, RingCounters, SendBuf, Slot, Wait, open};
use crate::engine::ring::rx_timestamps;
use crate::engine::ring::rx_timestamps::Header;
use crate::host::io_uring::NotEntered;
use crate::units::Nanos;

/// How long the end of a ring may take before its memory is leaked rather than freed.
const TEARDOWN: Nanos = Nanos::from_secs(1);

/// Submission entries: enough for the sends and re-arms of one turn; more are submitted early. No more
/// than that, since the kernel counts both queues as locked memory (`RLIMIT_MEMLOCK`).
fn submissions(slots: u32) -> u32 {
    slots.saturating_mul(4).clamp(256, 2048).next_power_of_two()
}

/// The kernel's own bound, `IORING_MAX_CQ_ENTRIES`: more are EINVAL.
const COMPLETIONS_MAX: u32 = 1 << 16;

/// Completion entries: a burst may complete a read on every socket several times in one turn.
fn completions(slots: u32) -> u32 {
    // Of very many sockets not all can: the kernel hands completions over in small batches.
    let several = slots.saturating_mul(4).min(16_384).max(slots.saturating_mul(2));
    several.clamp(8192, COMPLETIONS_MAX).next_power_of_two()
}

/// One socket.
#[derive(Default)]
struct Socket {
    handle: Option<Handle>,
    /// The buffer of the send in flight, or of the one that completed last.
    sending: Option<SendBuf>,
    /// Operations that the kernel still holds: a bit for each kind, of which there is one at a time.
    in_flight: u8,
    closing: bool,
    timed: bool,
}

/// What a slot of a large ring takes: its state, its share of both completion queues, and its place in
/// the table of descriptors.
#[cfg(test)]
pub(crate) fn bytes_per_slot(slots: u32) -> usize {
    let queued = size_of::<Completion>() + 16;
    size_of::<Socket>() + queued * completions(slots) as usize / slots as usize + 8
}

/// An io_uring and all that it touches.
pub struct UringRing {
    // An `Option` only so that a teardown that fails can leak it.
    buffers: Option<BufferRing>,
    /// Present once a socket is timed, and what asks for its timestamps.
    timed: Option<(BufferRing, Box<Header>)>,
    sockets: Vec<Socket>,
    /// Addresses of connects in flight: the kernel copies one when the entry is submitted, which may
    /// be later than `connect` returns.
    addresses: HashMap<Slot, Box<SocketAddrAny>>,
    ready: Vec<Completion>,
    cursor: usize,
    in_flight: usize,
    counters: RingCounters,
    /// Sockets live in the ring's own table.
    direct: bool,
    /// The kernel can wait for many, but not for long (`IORING_FEAT_MIN_TIMEOUT`, 6.12).
    lingers: bool,
    ring: IoUring,
}

/// Whether this host lets us make a ring with the features that we need, and enter it.
///
/// # Errors
/// The kernel's errno: `EPERM` (sysctl or seccomp), `ENOSYS` (no io_uring), `EINVAL` (too old); or
/// [`NotEntered`].
pub fn probe() -> io::Result<()> {
    let config = RingConfig { slots: 1, buffers: 1, buffer_bytes: 64, direct: false };
    let entered = UringRing::new(config)?.ring.submit();
    entered.map(drop).map_err(|error| io::Error::other(NotEntered(error)))
}

impl UringRing {
    /// Builds a ring; the calling thread must be the one that uses it.
    ///
    /// # Errors
    /// As [`probe`], and `ENOMEM` (memory, or `RLIMIT_MEMLOCK` on kernels before 5.12 and from 6.14
    /// on); with direct descriptors `EMFILE` for more slots than `RLIMIT_NOFILE`, which holds for each
    /// ring's table.
    pub fn new(config: RingConfig) -> io::Result<Self> {
        let completions = completions(config.slots);
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(completions)
            .dontfork()
            .build(submissions(config.slots))?;
        if config.direct {
            ring.submitter().register_files_sparse(config.slots)?;
        }
        Ok(Self {
            direct: config.direct,
            buffers: Some(buffers::provide(&ring, config)?),
            timed: None,
            lingers: ring.params().is_feature_min_timeout(),
            sockets: (0..config.slots).map(|_| Socket::default()).collect(),
            addresses: HashMap::new(),
            ready: Vec::with_capacity(completions as usize),
            cursor: 0,
            in_flight: 0,
            counters: RingCounters::default(),
            ring,
        })
    }

    /// Signals `bell`, while it is heard, when there is something to do.
    pub(super) fn ring_bell(&mut self, bell: BorrowedFd<'_>) -> io::Result<()> {
        self.ring.submitter().register_eventfd(bell.as_raw_fd())?;
        self.hear_bell(false);
        Ok(())
    }

    /// While nobody sleeps, a bell would only cost those who send to us.
    pub(super) fn hear_bell(&mut self, hear: bool) {
        let queue = self.ring.completion();
        if hear { queue.enable_eventfd() } else { queue.disable_eventfd() }
    }

    /// Submits what is queued, and takes nothing.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.ring.submission().is_empty() {
            return Ok(());
        }
        self.publish();
        self.enter(Wait::POLL)
    }

    /// A wait that does not sleep would do something. Asking is much cheaper than such a wait.
    pub(super) fn has_work(&mut self) -> bool {
        let queue = self.ring.submission();
        let has_asked = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        has_asked || self.has_completions() || !self.ring.completion().is_empty()
    }

    /// Completions wait for [`Ring::next_completion`].
    pub(super) fn has_completions(&self) -> bool {
        self.cursor < self.ready.len()
    }

    /// Shows the kernel the buffers that have come back.
    fn publish(&mut self) {
        self.buffers().publish();
        if let Some((buffers, _)) = &mut self.timed {
            buffers.publish();
        }
    }

    fn buffers(&mut self) -> &mut BufferRing {
        self.buffers.as_mut().expect("buffers live until drop")
    }

    fn group(&self, timed: bool) -> &BufferRing {
        match &self.timed {
            Some((buffers, _)) if timed => buffers,
            _ => self.buffers.as_ref().expect("buffers live until drop"),
        }
    }

    /// None once the socket is closing: what is armed behind the cancellation would never be
    /// cancelled, and keep the connection open.
    fn aim(&self, slot: Slot) -> Option<Aim> {
        let socket = &self.sockets[slot as usize];
        let handle = socket.handle.as_ref().filter(|_| !socket.closing);
        handle.map(|handle| handle.aim(slot))
    }

    /// Takes a socket over for a slot. What the slot held before is closed.
    fn adopt(&mut self, slot: Slot, fd: OwnedFd) -> io::Result<Aim> {
        let handle = if self.direct {
            // Its options are set and it is bound; from here on the ring's table keeps it alive, and
            // the process's has its place back.
            self.ring.submitter().register_files_update(slot, &[fd.as_raw_fd()])?;
            Handle::Direct
        } else {
            Handle::Process(fd)
        };
        let aim = handle.aim(slot);
        self.sockets[slot as usize].handle = Some(handle);
        Ok(aim)
    }

    /// Closes what nobody uses any more.
    fn release(&mut self, slot: Slot) {
        if let Some(Handle::Direct) = self.sockets[slot as usize].handle.take() {
            let entry = opcode::Close::new(Fixed(slot)).build().user_data(UNWATCHED);
            self.push(entry);
        }
    }

    /// Queues an operation on a slot and accounts for it.
    fn submit(&mut self, op: Op, slot: Slot, entry: squeue::Entry) {
        self.sockets[slot as usize].in_flight |= bit(op);
        self.in_flight += 1;
        self.push(entry.user_data(token(op, slot)));
    }

    fn push(&mut self, entry: squeue::Entry) {
        loop {
            // SAFETY: every entry points to memory that is kept until its completion: send buffers
            // in `sockets`, addresses in `addresses`, receive buffers in `buffers`.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            // The queue is full: hand it over early. EBUSY means that completions must be reaped
            // first, EAGAIN that the kernel lacks memory for now; both pass.
            self.counters.enters += 1;
            if self.ring.submit().is_err() {
                self.reap();
            }
        }
    }

    /// Asks for a socket option. The ring does it, since a direct descriptor has no number to call
    /// `setsockopt` with; where it cannot (before 6.7), the option stays as it is.
    fn set_option(&mut self, aim: Aim, (level, name): (u32, u32), value: &'static u32) {
        let (value, len) = (ptr::from_ref(value).cast(), size_of::<u32>() as u32);
        let option = aimed!(aim, |fd| opcode::SetSockOpt::new(fd, level, name, value, len).build());
        self.push(option.user_data(UNWATCHED));
    }

    /// Copies completions out of the ring, so that handling one may submit freely.
    fn reap(&mut self) {
        if self.cursor == self.ready.len() {
            self.ready.clear();
            self.cursor = 0;
        }
        if self.ring.submission().cq_overflow() {
            self.counters.cq_overflow += 1;
        }
        // What does not fit waits in the kernel's queue: `ready` must not grow after the start.
        let room = self.ready.capacity() - self.ready.len();
        let (sockets, in_flight) = (&mut self.sockets, &mut self.in_flight);
        let buffers = &mut self.buffers;
        for entry in self.ring.completion().take(room) {
            let Some(mut completion) = decode(&entry) else { continue };
            if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
                if sockets[completion.slot as usize].timed {
                    unwrap_timed(&mut completion, buffer);
                } else {
                    let more = cqueue::buffer_more(entry.flags());
                    let len = completion.result.max(0) as u32;
                    completion.buffer = buffers.as_mut().map(|b| b.fill(buffer, len, more));
                }
            }
            if !completion.more {
                sockets[completion.slot as usize].in_flight &= !bit(completion.op);
                *in_flight -= 1;
            }
            self.ready.push(completion);
        }
    }

    /// What a completion means for the ring itself, before the worker sees it.
    fn settle(&mut self, completion: &Completion) {
        if completion.op == Op::Connect {
            self.addresses.remove(&completion.slot);
        }
        let socket = &mut self.sockets[completion.slot as usize];
        if socket.closing && socket.in_flight == 0 {
            socket.sending = None;
            self.release(completion.slot);
        }
    }

    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let Wait { want, linger, timeout } = wait;
        let timespec =
            Timespec::new().sec(timeout.0 / 1_000_000_000).nsec((timeout.0 % 1_000_000_000) as u32);
        let args = SubmitArgs::new().timespec(&timespec);
        self.counters.enters += 1;
        let result = match want {
            0 => self.ring.submit(),
            2.. if self.lingers => {
                let args = args.min_wait_usec((linger.0 / 1_000) as u32);
                self.ring.submitter().submit_with_args(want as usize, &args)
            }
            _ => self.ring.submitter().submit_with_args(1, &args),
        };
        match result.map_err(|error| Errno::from_io_error(&error).ok_or(error)) {
            // ETIME: the timeout. EINTR: a signal; its flag is looked at elsewhere. EBUSY: completions
            // wait aside for a full queue. EAGAIN: no memory for requests now. All pass by reaping.
            Ok(_) | Err(Ok(Errno::TIME | Errno::INTR | Errno::BUSY | Errno::AGAIN)) => Ok(()),
            Err(Ok(errno)) => Err(errno.into()),
            Err(Err(error)) => Err(error),
        }
    }

    /// Cancels what a slot has in flight.
    ///
    /// By token, one for each operation: to find what a descriptor has, or all there is, the kernel
    /// goes through every operation of the ring for each that it finds, and the end of 10 000 sockets
    /// takes seconds.
    fn cancel(&mut self, slot: Slot) {
        let in_flight = self.sockets[slot as usize].in_flight;
        for op in [Op::Connect, Op::Receive, Op::Send] {
            if in_flight & bit(op) != 0 {
                let entry = opcode::AsyncCancel::new(token(op, slot)).build();
                self.push(entry.user_data(UNWATCHED));
            }
        }
    }

    /// Cancels everything and waits until the kernel holds nothing of ours.
    fn quiesce(&mut self) -> bool {
        for slot in 0..self.sockets.len() as Slot {
            self.cancel(slot);
        }
        let steps = 50;
        for _ in 0..steps {
            if self.in_flight == 0 {
                return true;
            }
            // One at a time would take an `enter` for every few of them.
            let want = self.in_flight.min(COMPLETIONS_MAX as usize / 8) as u32;
            let timeout = Nanos(TEARDOWN.0 / steps);
            if self.enter(Wait { want, ..Wait::first(timeout) }).is_err() {
                return false;
            }
            self.cursor = self.ready.len();
            self.reap();
        }
        self.in_flight == 0
    }
}

impl Ring for UringRing {
    fn connect(&mut self, slot: Slot, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<()> {
        let fd = open(to, from, SocketFlags::empty())?;
        if self.is_free(slot) {
            // The end of the last one in the ring's table may be queued still: it must not end this one.
            self.flush()?;
            self.sockets[slot as usize] = Socket::default();
        }
        let aim = self.adopt(slot, fd)?;
        let address = self.addresses.entry(slot).or_insert_with(|| Box::new(to.into()));
        let (at, len) = (address.as_ptr().cast(), address.addr_len());
        let entry = aimed!(aim, |fd| opcode::Connect::new(fd, at, len).build());
        self.submit(Op::Connect, slot, entry);
        Ok(())
    }

    fn receive(&mut self, slot: Slot) {
        let Some(aim) = self.aim(slot) else { return };
        let entry = match &self.timed {
            Some((_, header)) if self.sockets[slot as usize].timed => {
                let header: *const Header = &raw const **header;
                aimed!(aim, |fd| opcode::RecvMsgMulti::new(fd, header.cast(), TIMED_GROUP).build())
            }
            _ => aimed!(aim, |fd| opcode::RecvMulti::new(fd, GROUP).build()),
        };
        self.submit(Op::Receive, slot, entry);
    }

    fn time_arrivals(&mut self, slot: Slot) {
        let Some(aim) = self.aim(slot) else { return };
        if self.timed.is_none() {
            // What cannot be had is not timed: nothing else depends on it.
            let Ok(buffers) = buffers::provide_timed(&self.ring) else { return };
            self.timed = Some((buffers, Box::new(Header::new())));
        }
        self.sockets[slot as usize].timed = true;
        self.set_option(aim, (rx_timestamps::LEVEL, rx_timestamps::OPTION), &rx_timestamps::ON);
    }

    fn delay_acks(&mut self, slot: Slot) {
        /// `IPPROTO_TCP`, `TCP_QUICKACK`.
        const QUICKACK: (u32, u32) = (6, 12);
        static OFF: u32 = 0;
        if let Some(aim) = self.aim(slot) {
            self.set_option(aim, QUICKACK, &OFF);
        }
    }

    fn arrived(&self, completion: &Completion) -> Option<Nanos> {
        let filled = completion.buffer.filter(|filled| filled.timed)?;
        let prefix = Filled { start: 0, ..filled };
        rx_timestamps::timestamp(self.group(true).filled(prefix, rx_timestamps::PREFIX))
    }

    fn send(&mut self, slot: Slot, buf: SendBuf, part: Range<usize>) {
        let Some(aim) = self.aim(slot) else { return };
        let bytes = &buf.as_slice()[part];
        // A heap address, the same after `buf` has moved: `Bytes` and `Vec` point to their bytes.
        let (at, len) = (bytes.as_ptr(), bytes.len() as u32);
        let flags = SendFlags::NOSIGNAL.bits() as i32;
        let entry = aimed!(aim, |fd| opcode::Send::new(fd, at, len).flags(flags).build());
        let socket = &mut self.sockets[slot as usize];
        assert!(socket.in_flight & bit(Op::Send) == 0, "one send in flight for each socket");
        socket.sending = Some(buf);
        self.submit(Op::Send, slot, entry);
    }

    fn take_sent(&mut self, slot: Slot) -> Option<SendBuf> {
        let socket = &mut self.sockets[slot as usize];
        // The kernel reads from it until the completion: it must not leave before.
        if socket.in_flight & bit(Op::Send) == 0 { socket.sending.take() } else { None }
    }

    fn close(&mut self, slot: Slot) {
        let socket = &mut self.sockets[slot as usize];
        socket.closing = true;
        if socket.in_flight == 0 {
            return self.release(slot);
        }
        self.cancel(slot);
    }

    fn is_free(&self, slot: Slot) -> bool {
        let socket = &self.sockets[slot as usize];
        socket.closing && socket.in_flight == 0 && socket.handle.is_none()
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.publish();
        self.enter(if self.has_completions() { Wait::POLL } else { wait })?;
        self.reap();
        Ok(())
    }

    #[inline]
    fn next_completion(&mut self) -> Option<Completion> {
        let completion = *self.ready.get(self.cursor)?;
        self.cursor += 1;
        self.settle(&completion);
        Some(completion)
    }

    #[inline]
    fn received(&self, filled: Filled, len: usize) -> &[u8] {
        self.group(filled.timed).filled(filled, len)
    }

    #[inline]
    fn recycle(&mut self, filled: Filled) {
        match &mut self.timed {
            Some((buffers, _)) if filled.timed => buffers.give(filled.buffer),
            _ if filled.last => self.buffers().give(filled.buffer),
            _ => {}
        }
    }

    fn counters(&self) -> RingCounters {
        self.counters
    }
}

impl Drop for UringRing {
    fn drop(&mut self) {
        if self.quiesce() {
            return;
        }
        // The kernel may still write to this memory: a leak is the safe end.
        std::mem::forget(self.buffers.take());
        std::mem::forget(self.timed.take());
        std::mem::forget(std::mem::take(&mut self.sockets));
        std::mem::forget(std::mem::take(&mut self.addresses));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_worker_asks_for_no_more_completions_than_the_kernel_gives() {
        assert_eq!([1, 3_000, 16_667, u32::MAX].map(completions), [8_192, 16_384, 65_536, 65_536]);
    }
}
