//! The provided-buffer ring: receive buffers that the kernel picks from.
//!
//! Belongs here: the memory that the kernel writes to, and the shared tail. Does not: which socket
//! receives (`uring`). One of the three files of the crate with unsafe code.
//!
//! Source: io_uring_register_buf_ring(3). The traps: the ring must be page-aligned and outlive the
//! registration, and the tail lives in the *first* entry's reserved field, so entries are written
//! field by field, never as a whole.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::io;
use std::ops::RangeInclusive;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::{Filled, RingConfig};

/// `IOU_PBUF_RING_INC`: the kernel consumes a buffer in several reads.
const PBUF_INC: u16 = 2;
/// Buffers that are filled in several reads, and the size of each. The least hold what one turn of
/// many sockets brings; a burst on few sockets wants the most.
const INCREMENTAL: RangeInclusive<usize> = 16..=64;
const INCREMENTAL_BYTES: usize = 64 << 10;
/// Buffer group of most sockets.
pub(super) const GROUP: u16 = 0;
/// Buffer group of timed sockets: each read fills a buffer of its own, since a read needs room for what
/// comes before its payload, and the rest of a shared buffer may be too short for that.
pub(super) const TIMED_GROUP: u16 = 1;
/// Buffers of timed sockets, and the size of each.
const TIMED: u16 = 64;
const TIMED_BYTES: usize = 16 << 10;
/// A huge page.
const HUGE: usize = 2 << 20;

/// An anonymous mapping: page-aligned, zeroed, and present before the clock starts. A large one lies on huge
/// pages where the kernel has some to give, so that the copy of a read misses no TLB.
struct Mapping {
    start: NonNull<u8>,
    /// What was mapped: more than is used, where that must begin at a huge page's border.
    whole: NonNull<u8>,
    whole_len: usize,
}

impl Mapping {
    fn new(len: usize) -> io::Result<Self> {
        let (spare, populate) = match len {
            // Pages that are there when the advice comes stay small.
            HUGE.. => (HUGE, MapFlags::empty()),
            _ => (0, MapFlags::POPULATE),
        };
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | populate);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let whole = unsafe { mmap_anonymous(ptr::null_mut(), len + spare, access, flags)? };
        let whole = NonNull::new(whole.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut mapping = Self { start: whole, whole, whole_len: len + spare };
        if spare > 0 {
            // SAFETY: a border is less than `HUGE` away, so `len` bytes from there on are mapped. Nothing
            // has been read or written yet, and neither hint changes what a read would find.
            unsafe {
                mapping.start = whole.add(whole.align_offset(HUGE));
                // Where huge pages are off, the first does nothing and the second populates small ones.
                let _ = madvise(mapping.start.as_ptr().cast(), len, Advice::LinuxHugepage);
                let _ = madvise(mapping.start.as_ptr().cast(), len, Advice::LinuxPopulateWrite);
            }
        }
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`, and nothing borrows from it any more: slices of
        // it borrow the `BufferRing` that owns it.
        // A failure would mean that the range is not mapped: nothing is left to release.
        let _ = unsafe { munmap(self.whole.as_ptr().cast(), self.whole_len) };
    }
}

/// Gives the kernel buffers to receive into: large ones that it fills read by read, so that a small
/// read takes little and the next goes to memory that is still in the cache; where it cannot (before
/// 6.12), one for each read.
pub(super) fn provide(ring: &IoUring, config: RingConfig) -> io::Result<BufferRing> {
    // Half of what single buffers take: no read leaves the rest of one unused.
    let bytes = usize::from(config.buffers) * config.buffer_bytes / 2;
    let count = (bytes / INCREMENTAL_BYTES).clamp(*INCREMENTAL.start(), *INCREMENTAL.end());
    let count = count.next_power_of_two() as u16;
    let incremental = register(ring, BufferRing::new(count, INCREMENTAL_BYTES)?, GROUP, PBUF_INC);
    match incremental {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
            register(ring, BufferRing::new(config.buffers, config.buffer_bytes)?, GROUP, 0)
        }
        done => done,
    }
}

fn register(ring: &IoUring, buffers: BufferRing, group: u16, flags: u16) -> io::Result<BufferRing> {
    let (address, count) = (buffers.address(), buffers.count());
    // SAFETY: the entries are page-aligned and live in `buffers`, which the ring's `Drop` frees only
    // when no receive is in flight, and leaks otherwise.
    unsafe { ring.submitter().register_buf_ring_with_flags(address, count, group, flags)? };
    Ok(buffers)
}

/// Gives the kernel buffers for timed sockets.
pub(super) fn provide_timed(ring: &IoUring) -> io::Result<BufferRing> {
    register(ring, BufferRing::new(TIMED, TIMED_BYTES)?, TIMED_GROUP, 0)
}

/// `count` buffers of `bytes_each`, all with the kernel at the start.
pub(super) struct BufferRing {
    entries: Mapping,
    memory: Mapping,
    count: u16,
    bytes_each: usize,
    tail: u16,
    /// How far the kernel has filled each buffer, where it fills them in several reads.
    filled: Vec<u32>,
}

impl BufferRing {
    /// # Errors
    /// `ENOMEM`: no memory for the buffers.
    ///
    /// # Panics
    /// `count` must be a power of two of at most 32 768 (the kernel's limit).
    pub(super) fn new(count: u16, bytes_each: usize) -> io::Result<Self> {
        assert!(count.is_power_of_two() && count <= 1 << 15, "buffer count {count}");
        assert!(bytes_each > 0 && u32::try_from(bytes_each).is_ok(), "buffer size {bytes_each}");
        let entries = Mapping::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = Mapping::new(usize::from(count) * bytes_each)?;
        let filled = vec![0; usize::from(count)];
        let mut ring = Self { entries, memory, count, bytes_each, tail: 0, filled };
        for id in 0..count {
            ring.give(id);
        }
        ring.publish();
        Ok(ring)
    }

    /// The address to register with the kernel.
    pub(super) fn address(&self) -> u64 {
        self.entries.start.as_ptr() as u64
    }

    /// Number of buffers.
    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// Queues a buffer for the kernel; visible to it at the next [`Self::publish`].
    pub(super) fn give(&mut self, id: u16) {
        debug_assert!(id < self.count);
        let index = usize::from(self.tail & (self.count - 1));
        let address = self.memory.start.as_ptr() as u64 + u64::from(id) * self.bytes_each as u64;
        // SAFETY: `index < count`, so the entry lies in the mapping, which is zeroed (a valid
        // entry), aligned to a page and borrowed mutably through `self`. The kernel reads an entry
        // only once the tail has passed it. Only address, length and id are written: the reserved
        // field of entry 0 is the tail.
        let entry = unsafe { &mut *self.entries.start.cast::<BufRingEntry>().add(index).as_ptr() };
        entry.set_addr(address);
        entry.set_len(self.bytes_each as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel all buffers given so far.
    pub(super) fn publish(&mut self) {
        // SAFETY: the base of the mapping is entry 0, zeroed at first and valid since; its reserved
        // field is the tail, 2-aligned, written by us alone and read by the kernel. The store is
        // Release, so that the entries before it are seen first.
        let tail = unsafe {
            let tail = BufRingEntry::tail(self.entries.start.as_ptr().cast());
            AtomicU16::from_ptr(tail.cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
    }

    /// Notes that the kernel has put `len` more bytes into a buffer, and whether more will follow
    /// there (`IORING_CQE_F_BUF_MORE`). To be called in the order of the completions.
    #[inline]
    pub(super) fn fill(&mut self, buffer: u16, len: u32, more: bool) -> Filled {
        let filled = &mut self.filled[usize::from(buffer)];
        let start = *filled;
        *filled = if more { start + len } else { 0 };
        Filled { buffer, timed: false, start, last: !more }
    }

    /// `len` bytes that the kernel has put into a buffer and that were not given back.
    pub(super) fn filled(&self, at: Filled, len: usize) -> &[u8] {
        let (id, start) = (usize::from(at.buffer), at.start as usize);
        assert!(at.buffer < self.count && start + len <= self.bytes_each, "{at:?}, {len} bytes");
        // SAFETY: within the mapping by the assertion, initialized (zeroed, then written by the
        // kernel). The kernel writes to bytes only once, after the buffer was given, which needs
        // `&mut self`.
        unsafe {
            let start = self.memory.start.as_ptr().add(id * self.bytes_each + start);
            std::slice::from_raw_parts(start, len)
        }
    }
}
