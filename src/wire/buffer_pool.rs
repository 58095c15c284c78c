//! Memory for what reads cut, shared by a worker's sockets.
//!
//! Belongs here: lending buffers, the bound of what all of them take. Does not: what is kept in them
//! (`wire::decoder`).

use super::bounds::FRAGMENTS_MAX;
use super::frame::Violation;

/// Buffers for frames that a read cut and for fragmented messages, shared by a worker's sockets.
#[derive(Debug)]
pub struct BufferPool {
    pub(super) free: Vec<Vec<u8>>,
    count: usize,
    bytes_each: usize,
    pub(super) grown: u64,
    /// Bytes of all buffers, lent ones included.
    pub(super) held: usize,
    most: usize,
    /// Of one message.
    pub(super) fragments_max: u32,
    /// After so many bytes long messages repeat themselves; 0 where that is not known.
    pub(super) period: usize,
}

impl BufferPool {
    /// A buffer that had to grow beyond this many times its first size is freed rather than kept,
    /// so that one burst of large messages does not hold its memory for the rest of the run.
    const KEEP_GROWN_TIMES: usize = 16;

    /// Allocates `count` buffers of `bytes_each` now, so that the run does not.
    pub fn new(count: usize, bytes_each: usize) -> Self {
        let free = (0..count).map(|_| Vec::with_capacity(bytes_each)).collect();
        let (held, most) = (count * bytes_each, usize::MAX);
        Self {
            free,
            count,
            bytes_each,
            grown: 0,
            held,
            most,
            fragments_max: FRAGMENTS_MAX,
            period: 0,
        }
    }

    /// So that messages which have begun and not ended take no more than `bytes` beyond what the pool
    /// began with.
    pub fn within(mut self, bytes: usize) -> Self {
        self.most = self.held.saturating_add(bytes);
        self
    }

    /// So that no message comes in more than `most` fragments, [`FRAGMENTS_MAX`] at most.
    pub fn of_fragments(mut self, most: u32) -> Self {
        self.fragments_max = most.min(FRAGMENTS_MAX);
        self
    }

    /// So that of long messages which a read cuts no more is kept than they have before they repeat themselves,
    /// where their hearer takes them so: after `period` bytes.
    pub fn of_period(mut self, period: usize) -> Self {
        self.period = period;
        self
    }

    /// An empty buffer; allocated, and counted as growth, when none is free.
    ///
    /// # Errors
    /// Code 1009: there is no memory left for it.
    pub fn take(&mut self) -> Result<Vec<u8>, Violation> {
        if let Some(buffer) = self.free.pop() {
            return Ok(buffer);
        }
        self.room(self.bytes_each)?;
        self.grown += 1;
        let buffer = Vec::with_capacity(self.bytes_each);
        self.held += buffer.capacity();
        Ok(buffer)
    }

    /// Gives a buffer back. More than the pool began with are freed, and large ones sooner while memory
    /// is short.
    pub fn put(&mut self, mut buffer: Vec<u8>) {
        let scarce = self.held > self.most / 2 && self.held > self.count * self.bytes_each;
        let times = if scarce { 1 } else { Self::KEEP_GROWN_TIMES };
        let kept_max = self.bytes_each.saturating_mul(times);
        if self.free.len() < self.count && (1..=kept_max).contains(&buffer.capacity()) {
            buffer.clear();
            self.free.push(buffer);
        } else {
            self.held -= buffer.capacity();
        }
    }

    /// Times that memory was allocated after [`BufferPool::new`]: 0 when the pool was sized well.
    pub const fn grown(&self) -> u64 {
        self.grown
    }

    /// Appends to a lent buffer. Memory follows the bytes that came, never the length that a
    /// header merely claims.
    ///
    /// # Errors
    /// Code 1009: there is no memory left for them.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Violation> {
        self.reserve(buffer, bytes.len())?;
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Room in a lent buffer for `more` bytes.
    pub(super) fn reserve(&mut self, buffer: &mut Vec<u8>, more: usize) -> Result<(), Violation> {
        match buffer.capacity() - buffer.len() < more {
            true => self.grow(buffer, buffer.len() + more),
            false => Ok(()),
        }
    }

    /// Makes a lent buffer twice as large, or just large enough where that is too much.
    #[cold]
    fn grow(&mut self, buffer: &mut Vec<u8>, needed: usize) -> Result<(), Violation> {
        let before = buffer.capacity();
        let mut capacity = needed.max(before.saturating_mul(2));
        if self.room(capacity - before).is_err() {
            capacity = needed;
            self.room(capacity - before)?;
        }
        self.grown += 1;
        buffer.reserve_exact(capacity - buffer.len());
        self.held += buffer.capacity() - before;
        Ok(())
    }

    const fn room(&self, more: usize) -> Result<(), Violation> {
        if more > self.most.saturating_sub(self.held) { Err(Violation::NO_ROOM) } else { Ok(()) }
    }
}
