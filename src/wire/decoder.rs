//! The incremental decoder of one socket: reads in, messages out.
//!
//! Belongs here: frames cut anywhere by reads, messages cut into fragments, control frames between
//! them. Does not: I/O, and what messages mean (`dialect`).
//!
//! A frame that lies whole in a read is visited in place. Only what a read cuts off is copied, into a
//! buffer of the worker's pool, and the next read adds just as much as completes that frame.

use super::close_code;
use super::frame::{Header, Opcode, Violation, parse_header};

/// Frames by opcode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Text frames that begin a message.
    pub text: u64,
    /// Binary frames that begin a message.
    pub binary: u64,
    /// Further fragments.
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

/// Something whole that a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A text message: valid UTF-8.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// To be answered with a Pong of this payload.
    Ping(&'a [u8]),
    /// Nothing to do.
    Pong(&'a [u8]),
    /// The server ends the connection.
    Close {
        /// Its code, if it gave one.
        code: Option<u16>,
        /// Its reason.
        reason: &'a str,
    },
}

/// Buffers for frames and messages that span reads, shared by the sockets of one worker.
#[derive(Debug)]
pub struct BufferPool {
    spare: Vec<Vec<u8>>,
    bytes_each: usize,
    grown: u64,
}

impl BufferPool {
    /// `count` buffers of `bytes_each`, made now.
    pub fn new(count: usize, bytes_each: usize) -> Self {
        let spare = (0..count).map(|_| Vec::with_capacity(bytes_each)).collect();
        Self { spare, bytes_each, grown: 0 }
    }

    /// How often the pool was empty, or a buffer too small, so that memory had to be asked for.
    pub fn grown(&self) -> u64 {
        self.grown
    }

    fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| {
            self.grown += 1;
            Vec::with_capacity(self.bytes_each)
        })
    }

    fn put(&mut self, mut buffer: Vec<u8>) {
        // A buffer that one giant message has blown up is not kept.
        if buffer.capacity() > 0 && buffer.capacity() <= self.bytes_each.max(1 << 16) {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if buffer.capacity() == 0 {
            *buffer = self.take();
        }
        self.grown += u64::from(buffer.capacity() - buffer.len() < bytes.len());
        buffer.extend_from_slice(bytes);
    }
}

/// The state between two reads. Owns no memory while nothing is cut.
#[derive(Debug)]
pub struct Decoder {
    /// The beginning of a frame that the last read cut.
    carry: Vec<u8>,
    /// The fragments of a message so far.
    message: Vec<u8>,
    /// What kind of message is being fragmented.
    fragmented: Option<Opcode>,
    closed: bool,
    max_message_bytes: usize,
}

impl Decoder {
    /// A decoder that takes messages of at most `max_message_bytes`.
    pub fn new(max_message_bytes: usize) -> Self {
        Self {
            carry: Vec::new(),
            message: Vec::new(),
            fragmented: None,
            closed: false,
            max_message_bytes,
        }
    }

    /// A frame or a message is incomplete.
    pub fn mid_message(&self) -> bool {
        !self.carry.is_empty() || self.fragmented.is_some()
    }

    /// Gives the buffers back when the socket ends.
    pub fn release(&mut self, pool: &mut BufferPool) {
        pool.put(std::mem::take(&mut self.carry));
        pool.put(std::mem::take(&mut self.message));
        self.closed = true;
    }

    /// Decodes a read and visits what it completes, in order. After a Close nothing more comes.
    ///
    /// # Errors
    /// The server broke the protocol; what came before was visited.
    #[inline]
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        if !self.carry.is_empty() {
            bytes = self.finish_carry(bytes, pool, frames, visit)?;
        }
        while !bytes.is_empty() && !self.closed {
            let Some((header, end)) = self.whole_frame(bytes)? else {
                pool.append(&mut self.carry, bytes);
                break;
            };
            let payload = &bytes[usize::from(header.header_len)..end];
            self.frame(header, payload, pool, frames, visit)?;
            bytes = &bytes[end..];
        }
        Ok(())
    }

    /// The header of the frame at the front and where the frame ends; `None` when it is cut.
    #[inline]
    fn whole_frame(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        let Some(header) = parse_header(bytes)? else { return Ok(None) };
        let so_far = if header.opcode.is_control() { 0 } else { self.message.len() };
        if header.payload_len > (self.max_message_bytes - so_far) as u64 {
            return Err(Violation {
                code: close_code::TOO_BIG,
                what: "a message larger than --max-message-bytes",
            });
        }
        let end = usize::from(header.header_len) + header.payload_len as usize;
        Ok((end <= bytes.len()).then_some((header, end)))
    }

    /// Adds to the cut frame what completes it; returns the rest of the read.
    #[cold]
    fn finish_carry<'b>(
        &mut self,
        mut bytes: &'b [u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<&'b [u8], Violation> {
        loop {
            let missing = match parse_header(&self.carry)? {
                // The header itself is cut: byte by byte, it is at most ten.
                None => 1,
                Some(header) => {
                    let end = usize::from(header.header_len) + header.payload_len as usize;
                    end - self.carry.len()
                }
            };
            let (now, rest) = bytes.split_at(missing.min(bytes.len()));
            let mut carry = std::mem::take(&mut self.carry);
            pool.append(&mut carry, now);
            bytes = rest;
            match self.whole_frame(&carry)? {
                Some((header, end)) => {
                    let payload = &carry[usize::from(header.header_len)..end];
                    let done = self.frame(header, payload, pool, frames, visit);
                    pool.put(carry);
                    return done.map(|()| bytes);
                }
                None => self.carry = carry,
            }
            if bytes.is_empty() {
                return Ok(bytes);
            }
        }
    }

    /// One whole frame.
    #[inline]
    fn frame(
        &mut self,
        header: Header,
        payload: &[u8],
        pool: &mut BufferPool,
        frames: &mut FrameCounts,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        frames.count(header.opcode);
        match header.opcode {
            Opcode::Text | Opcode::Binary if self.fragmented.is_some() => {
                Err(Violation::protocol("a new message inside a fragmented one"))
            }
            opcode @ (Opcode::Text | Opcode::Binary) if header.fin => message(opcode, payload, visit),
            opcode @ (Opcode::Text | Opcode::Binary) => {
                self.fragmented = Some(opcode);
                pool.append(&mut self.message, payload);
                Ok(())
            }
            Opcode::Continuation => self.continuation(header.fin, payload, pool, visit),
            Opcode::Ping => {
                visit(Item::Ping(payload));
                Ok(())
            }
            Opcode::Pong => {
                visit(Item::Pong(payload));
                Ok(())
            }
            Opcode::Close => {
                self.closed = true;
                let (code, reason) = close_code::parse(payload)?;
                visit(Item::Close { code, reason });
                Ok(())
            }
        }
    }

    fn continuation(
        &mut self,
        fin: bool,
        payload: &[u8],
        pool: &mut BufferPool,
        visit: &mut impl FnMut(Item<'_>),
    ) -> Result<(), Violation> {
        let Some(opcode) = self.fragmented else {
            return Err(Violation::protocol("a continuation of no message"));
        };
        pool.append(&mut self.message, payload);
        if !fin {
            return Ok(());
        }
        self.fragmented = None;
        let whole = std::mem::take(&mut self.message);
        let done = message(opcode, &whole, visit);
        pool.put(whole);
        done
    }
}

/// A whole message; text must be UTF-8.
#[inline]
fn message(
    opcode: Opcode,
    payload: &[u8],
    visit: &mut impl FnMut(Item<'_>),
) -> Result<(), Violation> {
    if opcode == Opcode::Binary {
        visit(Item::Binary(payload));
        return Ok(());
    }
    if std::str::from_utf8(payload).is_err() {
        return Err(Violation { code: close_code::INVALID_DATA, what: "text that is not UTF-8" });
    }
    visit(Item::Text(payload));
    Ok(())
}
