//! What an inflater remembers of messages before, and what must be done so that it does.
//!
//! Belongs here: the window over last blocks (BFINAL), which end a stream for zlib and none for RFC 7692, and whether a
//! message was whole. Does not: frames (`unpack`).

use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

use super::TAIL;

/// The largest window, and the largest distance of a match (RFC 1951, section 3.2.5).
const WINDOW_BYTES: usize = 1 << 15;

/// The longest match, and its code among the fixed ones.
const MATCH_BYTES: usize = 258;
const MATCH_CODE: u32 = 0b1100_0101;

/// A block without content, at a byte's border.
const NOTHING: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// Last blocks of one message. Each makes the stream begin anew, with a window to fill: two bytes on the wire cost as much
/// as inflating 32 KiB, and a server that compresses has one, or one for each part of a message.
const LAST_BLOCKS_MAX: u32 = 1_024;

/// Why nothing is inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It is no deflate, or no whole message of it.
    Broken,
    /// There is no memory for the window.
    NoMemory,
    /// It has more last blocks than [`LAST_BLOCKS_MAX`].
    TooManyLastBlocks,
}

/// One step of inflating.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inflated {
    /// Bytes that were read.
    pub(super) read: usize,
    /// Bytes that were written.
    pub(super) written: usize,
    /// The last block of a stream has ended.
    is_last: bool,
}

impl Inflated {
    /// Nothing happened, and nothing would with more room.
    pub(super) const fn is_stuck(self) -> bool {
        self.read == 0 && self.written == 0 && !self.is_last
    }
}

/// An inflater with the bytes that matches may lead back to.
pub(super) struct Window {
    stream: Inflate,
    /// Of the window.
    size: usize,
    /// How far a match may lead back.
    reach: usize,
    /// The message begins with a last block.
    begins_with_last: bool,
    /// Last blocks of the message so far.
    lasts: u32,
    /// What was in the window when it began, where a last block may come.
    before: Vec<u8>,
    /// A last block came where the message had not begun with one: what is before a message is kept from then on.
    is_surprised: bool,
}

impl Window {
    /// Of 2 to the power of `bits` bytes.
    pub(super) fn new(bits: u8) -> Self {
        let stream = Inflate::new(false, bits);
        let (size, before) = (1 << bits, Vec::new());
        Self {
            stream,
            size,
            reach: 0,
            begins_with_last: false,
            lasts: 0,
            before,
            is_surprised: false,
        }
    }

    /// Nothing before leads anywhere any more.
    pub(super) fn forget(&mut self) {
        self.stream.reset(false);
        (self.size, self.reach) = (WINDOW_BYTES, 0);
    }

    /// A message begins. For zlib a last block ends all, the window included: where one is seen to come the window is read
    /// out before.
    pub(super) fn begin(&mut self, packed: &[u8]) {
        self.before.clear();
        self.lasts = 0;
        self.begins_with_last = packed.first().is_some_and(|first| first & 1 != 0);
        if self.reach > 0 && (self.begins_with_last || self.is_surprised) {
            self.read_out();
        }
    }

    /// Inflates some of a message. `so_far` is what became of it before.
    pub(super) fn go_on(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        flush: InflateFlush,
    ) -> Result<Inflated, Stopped> {
        let (read, written) = (self.stream.total_in(), self.stream.total_out());
        let status = self.stream.decompress(input, out, flush);
        let read = (self.stream.total_in() - read) as usize;
        let written = (self.stream.total_out() - written) as usize;
        self.reach = (self.reach + written).min(self.size);
        match status {
            Ok(status) => Ok(Inflated { read, written, is_last: status == Status::StreamEnd }),
            Err(InflateError::MemError) => Err(Stopped::NoMemory),
            Err(_) => Err(Stopped::Broken),
        }
    }

    /// Goes on behind a last block, if the step ended with one (RFC 7692, section 7.2.3.5): `message` is all that was
    /// inflated of the message.
    pub(super) fn behind(&mut self, step: Inflated, message: &[u8]) -> Result<(), Stopped> {
        if !step.is_last {
            return Ok(());
        }
        // That message keeps what it has inflated itself: what was there before is gone, this once.
        self.is_surprised |= !self.begins_with_last;
        self.lasts += 1;
        if self.lasts > LAST_BLOCKS_MAX {
            return Err(Stopped::TooManyLastBlocks);
        }
        // No more of either than a match can lead back to: a message may be long, and have many last blocks.
        let message = &message[message.len().saturating_sub(WINDOW_BYTES)..];
        let more = WINDOW_BYTES - message.len();
        let before = &self.before[self.before.len().saturating_sub(more)..];
        self.restart(&[before, message].concat())
    }

    /// Whether a message may end here: behind a block, and at a byte's border (RFC 7692, section 7.2.2). `out` has room
    /// for what a stored block may still hold.
    pub(super) fn ends(&mut self, out: &mut [u8]) -> Result<usize, Stopped> {
        // One byte more than the tail: within a block it would be taken, too.
        let tail = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0];
        let end = self.go_on(&tail, out, InflateFlush::Block)?;
        if end.is_last || end.read != TAIL.len() {
            return Err(Stopped::Broken);
        }
        let nothing = self.go_on(&NOTHING, &mut [0], InflateFlush::Block)?;
        let is_aligned = !nothing.is_last && (nothing.read, nothing.written) == (NOTHING.len(), 0);
        if is_aligned { Ok(end.written) } else { Err(Stopped::Broken) }
    }

    /// Lets the stream repeat all that a match can lead back to, by a block of matches.
    fn read_out(&mut self) {
        let mut bits = Bits::default();
        // No last block, of fixed codes.
        bits.low_first(0b010, 3);
        for _ in 0..self.reach.div_ceil(MATCH_BYTES) {
            bits.high_first(MATCH_CODE, 8);
            bits.distance(self.reach);
        }
        let mut window = vec![0; self.reach];
        let read = self.go_on(&bits.bytes(), &mut window, InflateFlush::SyncFlush);
        if read.is_ok_and(|read| read.written == window.len()) && self.restart(&window).is_ok() {
            self.before = window;
        }
    }

    fn restart(&mut self, window: &[u8]) -> Result<(), Stopped> {
        self.forget();
        self.reach = window.len();
        self.stream.set_dictionary(window).map(|_| ()).map_err(|_| Stopped::NoMemory)
    }
}

/// Bits in the order of RFC 1951, section 3.1.1.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
}

impl Bits {
    /// A number: its lowest bit first.
    fn low_first(&mut self, value: u32, count: u32) {
        self.pending |= u64::from(value) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.pending as u8);
            (self.pending, self.count) = (self.pending >> 8, self.count - 8);
        }
    }

    /// A code: its highest bit first.
    fn high_first(&mut self, code: u32, count: u32) {
        self.low_first(code.reverse_bits() >> (32 - count), count);
    }

    /// How far a match leads back, with fixed codes (RFC 1951, section 3.2.5).
    fn distance(&mut self, distance: usize) {
        let from_zero = distance as u32 - 1;
        if from_zero < 4 {
            return self.high_first(from_zero, 5);
        }
        let extra = from_zero.ilog2() - 1;
        self.high_first(2 * (extra + 1) + (from_zero >> extra & 1), 5);
        self.low_first(from_zero & ((1 << extra) - 1), extra);
    }

    fn bytes(mut self) -> Vec<u8> {
        self.low_first(0, 7);
        self.bytes
    }
}
