//! From the bytes of one socket, however they are cut, to whole messages.
//!
//! Belongs here: what one frame means after another (fragments, control frames between them, the
//! carry of a frame that a read cut), and the pool that lends memory for it. Does not: the rules
//! of a single frame (`wire::frame`), what a message says (`dialect`).
//!
//! The path that matters is a read that holds whole frames: each is visited where it lies, without
//! a copy. Only a frame that the end of a read cuts is copied, into a buffer lent by the worker's
//! pool, and only until it is whole. An idle socket owns no memory.

use super::frame::{Header, Opcode, Violation, parse_close, parse_header};

/// Something a server sent, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A text message; the bytes are valid UTF-8.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// A Ping: answer with [`super::encode::pong`] and this payload.
    Ping(&'a [u8]),
    /// A Pong.
    Pong(&'a [u8]),
    /// The server closes; nothing after it is read.
    Close {
        /// Its code, if it gave one.
        code: Option<u16>,
        /// Its reason, often empty.
        reason: &'a str,
    },
}

/// How many frames of each opcode were whole and well formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Text frames, first fragments included.
    pub text: u64,
    /// Binary frames, first fragments included.
    pub binary: u64,
    /// Fragments after the first.
    pub continuation: u64,
    /// Pings.
    pub ping: u64,
    /// Pongs.
    pub pong: u64,
    /// Closes.
    pub close: u64,
}

impl FrameCounts {
    #[inline]
    fn count(&mut self, opcode: Opcode) {
        match opcode {
            Opcode::Text => self.text += 1,
            Opcode::Binary => self.binary += 1,
            Opcode::Continuation => self.continuation += 1,
            Opcode::Ping => self.ping += 1,
            Opcode::Pong => self.pong += 1,
            Opcode::Close => self.close += 1,
        }
    }
}

/// Buffers for frames that a read cut and for fragmented messages, shared by a worker's sockets.
#[derive(Debug)]
pub struct BufferPool {
    free: Vec<Vec<u8>>,
    count: usize,
    bytes_each: usize,
    grown: u64,
}

impl BufferPool {
    /// A buffer that had to grow beyond this many times its first size is freed rather than kept,
    /// so that one burst of large messages does not hold its memory for the rest of the run.
    const KEEP_GROWN_TIMES: usize = 16;

    /// Allocates `count` buffers of `bytes_each` now, so that the run does not.
    pub fn new(count: usize, bytes_each: usize) -> Self {
        let free = (0..count).map(|_| Vec::with_capacity(bytes_each)).collect();
        Self {
            free,
            count,
            bytes_each,
            grown: 0,
        }
    }

    /// An empty buffer; allocated, and counted as growth, when none is free.
    pub fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_else(|| {
            self.grown += 1;
            Vec::with_capacity(self.bytes_each)
        })
    }

    /// Gives a buffer back. More than the pool began with are freed.
    pub fn put(&mut self, mut buffer: Vec<u8>) {
        let kept_max = self.bytes_each.saturating_mul(Self::KEEP_GROWN_TIMES);
        if self.free.len() < self.count && (1..=kept_max).contains(&buffer.capacity()) {
            buffer.clear();
            self.free.push(buffer);
        }
    }

    /// Times that memory was allocated after [`BufferPool::new`]: 0 when the pool was sized well.
    pub const fn grown(&self) -> u64 {
        self.grown
    }

    /// Appends to a lent buffer. Memory follows the bytes that came, never the length that a
    /// header merely claims.
    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if buffer.capacity() - buffer.len() < bytes.len() {
            self.grown += 1;
        }
        buffer.extend_from_slice(bytes);
    }
}

/// Where a socket stands between two reads.
#[derive(Debug)]
pub struct Decoder {
    /// The front of a frame that the last read cut; owns memory only while it is not empty.
    carry: Vec<u8>,
    /// The fragments of the message under way.
    message: Vec<u8>,
    /// Opcode of the message under way; `None` between messages.
    fragmented: Option<Opcode>,
    /// After a Close or a violation nothing more is read.
    ended: bool,
    max_message_bytes: usize,
}

const _: () = assert!(size_of::<Decoder>() <= 96, "thousands of them lie idle");

impl Decoder {
    /// A decoder at the first byte after the upgrade's response.
    pub const fn new(max_message_bytes: usize) -> Self {
        Self {
            carry: Vec::new(),
            message: Vec::new(),
            fragmented: None,
            ended: false,
            max_message_bytes,
        }
    }

    /// Takes the next bytes of the socket and visits what they complete, in order.
    ///
    /// # Errors
    /// The first thing that the server did against the RFC. What came before it has been visited;
    /// after it, as after a Close, the decoder takes everything and says nothing.
    #[inline]
    pub fn feed(
        &mut self,
        bytes: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        let fed = self.feed_frames(bytes, pool, frames, visit);
        self.ended |= fed.is_err();
        fed
    }

    /// Gives lent memory back when the socket ends.
    pub fn release(&mut self, pool: &mut BufferPool) {
        pool.put(std::mem::take(&mut self.carry));
        pool.put(std::mem::take(&mut self.message));
        self.fragmented = None;
        self.ended = true;
    }

    /// Whether a frame or a fragmented message has begun and not ended: the end of the socket now
    /// would lose it.
    pub const fn mid_message(&self) -> bool {
        !self.carry.is_empty() || self.fragmented.is_some()
    }

    #[inline]
    fn feed_frames(
        &mut self,
        bytes: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        let mut rest = bytes;
        if !self.carry.is_empty() {
            rest = self.finish_carried(rest, pool, frames, visit)?;
        }
        while !self.ended && !rest.is_empty() {
            let header = parse_header(rest)?;
            if let Some(header) = header {
                self.admit(&header)?;
                if let Some((frame, after)) = rest.split_at_checked(frame_len(&header)) {
                    let payload = &frame[usize::from(header.header_len)..];
                    self.take_frame(&header, payload, pool, frames, visit)?;
                    rest = after;
                    continue;
                }
            }
            self.carry = pool.take();
            pool.append(&mut self.carry, rest);
            return Ok(());
        }
        Ok(())
    }

    /// Completes the carried frame with as few bytes as it needs and returns those after it.
    #[cold]
    fn finish_carried<'b>(
        &mut self,
        bytes: &'b [u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<&'b [u8], Violation> {
        let (header, bytes) = match self.carried_header(bytes, pool)? {
            (Some(header), bytes) => (header, bytes),
            (None, bytes) => return Ok(bytes),
        };
        let missing = frame_len(&header) - self.carry.len();
        let (front, after) = bytes.split_at(missing.min(bytes.len()));
        pool.append(&mut self.carry, front);
        if front.len() == missing {
            let carry = std::mem::take(&mut self.carry);
            let payload = &carry[usize::from(header.header_len)..];
            let taken = self.take_frame(&header, payload, pool, frames, visit);
            pool.put(carry);
            taken?;
        }
        Ok(after)
    }

    /// The carried frame's header, fed byte by byte while it is not whole: at most nine times.
    fn carried_header<'b>(
        &mut self,
        mut bytes: &'b [u8],
        pool: &mut BufferPool,
    ) -> Result<(Option<Header>, &'b [u8]), Violation> {
        loop {
            if let Some(header) = parse_header(&self.carry)? {
                self.admit(&header)?;
                return Ok((Some(header), bytes));
            }
            let Some((byte, after)) = bytes.split_first() else {
                return Ok((None, bytes));
            };
            pool.append(&mut self.carry, std::slice::from_ref(byte));
            bytes = after;
        }
    }

    /// Whether this frame may come now, told before its payload is here.
    #[inline]
    fn admit(&self, header: &Header) -> Result<(), Violation> {
        match (header.opcode, self.fragmented) {
            (Opcode::Ping | Opcode::Pong | Opcode::Close, _) => return Ok(()),
            (Opcode::Continuation, None) => {
                return Err(Violation::protocol(
                    "continued a message that had not begun",
                ));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::protocol(
                    "began a message inside a fragmented one",
                ));
            }
            (Opcode::Continuation, Some(_)) | (Opcode::Text | Opcode::Binary, None) => {}
        }
        let room = self.max_message_bytes.saturating_sub(self.message.len());
        if header.payload_len > room as u64 {
            Err(Violation::TOO_BIG)
        } else {
            Ok(())
        }
    }

    #[inline]
    fn take_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        match header.opcode {
            Opcode::Text if header.fin => visit(text(payload)?),
            Opcode::Binary if header.fin => visit(Item::Binary(payload)),
            Opcode::Ping => visit(Item::Ping(payload)),
            Opcode::Pong => visit(Item::Pong(payload)),
            Opcode::Close => {
                let (code, reason) = parse_close(payload)?;
                self.ended = true;
                visit(Item::Close { code, reason });
            }
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                self.take_fragment(header, payload, pool, visit)?;
            }
        }
        frames.count(header.opcode);
        Ok(())
    }

    #[cold]
    fn take_fragment(
        &mut self,
        header: &Header,
        payload: &[u8],
        pool: &mut BufferPool,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        let opcode = *self.fragmented.get_or_insert(header.opcode);
        if self.message.capacity() == 0 {
            self.message = pool.take();
        }
        pool.append(&mut self.message, payload);
        if !header.fin {
            return Ok(());
        }
        let message = std::mem::take(&mut self.message);
        self.fragmented = None;
        let item = match opcode {
            Opcode::Text => text(&message),
            _ => Ok(Item::Binary(&message)),
        };
        let visited = item.map(visit);
        pool.put(message);
        visited
    }
}

/// Header and payload. Admitted frames are within the limit, which is a `usize`.
#[inline]
fn frame_len(header: &Header) -> usize {
    usize::from(header.header_len) + header.payload_len as usize
}

#[inline]
fn text(payload: &[u8]) -> Result<Item<'_>, Violation> {
    if is_ascii(payload) || std::str::from_utf8(payload).is_ok() {
        Ok(Item::Text(payload))
    } else {
        Err(Violation::not_utf8("sent text that is not UTF-8"))
    }
}

/// Nearly every payload is ASCII, and then one OR over all bytes tells.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<LANES>() else {
        return bytes.iter().fold(0, |all, byte| all | byte) < 0x80;
    };
    let (chunks, _) = bytes.as_chunks::<LANES>();
    let mut all = *last;
    for chunk in chunks {
        for (lane, byte) in all.iter_mut().zip(chunk) {
            *lane |= byte;
        }
    }
    all.iter().fold(0, |all, byte| all | byte) < 0x80
}

const LANES: usize = 32;
