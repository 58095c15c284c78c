//! Frames of a server without their compression: what the decoder reads.
//!
//! Belongs here: RSV1 and its rules (RFC 7692, section 6), inflating, and the bound of what a message may become.
//! Does not: any other rule of frames, which `wire::decoder` holds on what comes out.
//!
//! A compressed message becomes one frame; all else passes as it is. Its fragments are gathered until the last one is
//! here, so that a socket whose server forgets each message owns no window: one inflater does for all of a worker.

use std::fmt;

use zlib_rs::InflateFlush;

use super::DeflateCounts;
use super::offer::Agreed;
use super::window::{Stopped, Window};
use crate::wire::frame::{CloseCode, Header, Opcode, Violation, parse_header};

const RSV1: u8 = 0x40;

/// The largest header of a server's frame.
const HEADER_MAX: usize = 10;

/// Room that is left before a payload for its header, which most messages need.
const HEADER_ROOM: usize = 4;

/// Behind so much the decoder has its turn before more is inflated, and no read is longer: a read of 64 KiB may inflate
/// to a thousand times of that.
const PART_BYTES: usize = 256 << 10;

/// Beyond this the memory of a large message goes when it is done.
const KEPT_BYTES: usize = 4 << 20;

/// What is inflated at a time takes no more than this, where a message may have so many bytes.
pub const fn inflated_bytes_max(max_message_bytes: usize) -> usize {
    2 * PART_BYTES + max_message_bytes + 2 * HEADER_MAX
}

const TOO_BIG: Violation = Violation {
    code: CloseCode::TOO_BIG,
    what: "sent a compressed message that is larger than --max-message-bytes when it is inflated",
};
const TOO_MANY_FRAGMENTS: Violation = Violation {
    code: CloseCode::TOO_BIG,
    what: "sent a compressed message in more fragments than --max-fragments takes",
};
const NO_ROOM: Violation = Violation {
    code: CloseCode::TOO_BIG,
    what: "began compressed messages without ending them, which together take more than --partial-memory",
};
const TOO_MANY_LAST_BLOCKS: Violation = Violation {
    code: CloseCode::TOO_BIG,
    what: "sent a compressed message with more last blocks (BFINAL) than any that compresses",
};
const BROKEN: Violation = Violation {
    code: CloseCode::INVALID_DATA,
    what: "sent a compressed message that cannot be inflated",
};

/// What the sockets of a worker share.
pub struct Inflater {
    /// For servers that forget each message.
    shared: Option<Box<Window>>,
    /// What the last bytes became; all of it is initialised.
    out: Vec<u8>,
    used: usize,
    max_message_bytes: usize,
    max_fragments: u32,
    /// Bytes of messages that are not whole, and the most that they may be.
    held: usize,
    held_max: usize,
    counts: DeflateCounts,
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Inflater {
    /// With these bounds for the bytes and the fragments of one message, and for the bytes of all that are not whole.
    pub fn new(max_message_bytes: usize, max_fragments: u32, held_max: usize) -> Self {
        let out = vec![0; PART_BYTES];
        let (shared, counts) = (None, DeflateCounts::default());
        Self { shared, out, used: 0, max_message_bytes, max_fragments, held: 0, held_max, counts }
    }

    /// What has been inflated so far.
    pub const fn counts(&self) -> &DeflateCounts {
        &self.counts
    }

    /// Frames for the decoder, of the bytes that were unpacked last.
    pub fn unpacked(&self) -> &[u8] {
        &self.out[..self.used]
    }

    /// Memory for them.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.out.capacity()
    }

    fn begin(&mut self) {
        self.used = 0;
        if self.out.len() > KEPT_BYTES {
            self.out.truncate(KEPT_BYTES);
            self.out.shrink_to_fit();
        }
    }

    fn room(&mut self, more: usize) {
        if self.out.len() - self.used < more {
            let twice = (2 * self.out.len()).min(inflated_bytes_max(self.max_message_bytes));
            let len = (self.used + more).max(twice);
            self.out.reserve_exact(len - self.out.len());
            self.out.resize(len, 0);
        }
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        self.out[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    /// Adds the frame of a message; `own` is the window of its socket, where its server goes on with one.
    fn message(
        &mut self,
        opcode: Opcode,
        packed: &[u8],
        own: Option<&mut Window>,
    ) -> Result<(), Violation> {
        let start = self.used;
        self.room(HEADER_ROOM);
        self.used += HEADER_ROOM;
        let inflated = match own {
            Some(own) => self.inflate(own, packed),
            None => {
                let mut shared = self.shared.take().unwrap_or_else(|| Box::new(Window::new(15)));
                shared.forget();
                let inflated = self.inflate(&mut shared, packed);
                self.shared = Some(shared);
                inflated
            }
        };
        if inflated.is_err() {
            // Nothing of it is a frame.
            self.used = start;
            return inflated;
        }
        let body = start + HEADER_ROOM;
        let len = self.used - body;
        self.counts.received += 1;
        self.counts.received_bytes += packed.len() as u64;
        self.counts.inflated_bytes += len as u64;
        let (header, header_len) = server_header(opcode, len);
        self.room(HEADER_MAX);
        self.out.copy_within(body..self.used, start + header_len);
        self.out[start..start + header_len].copy_from_slice(&header[..header_len]);
        self.used = start + header_len + len;
        Ok(())
    }

    /// Appends what `packed` inflates to (RFC 7692, section 7.2.2).
    fn inflate(&mut self, window: &mut Window, packed: &[u8]) -> Result<(), Violation> {
        let body = self.used;
        window.begin(packed);
        let mut input = packed;
        loop {
            let end = self.place(body, input.len());
            let out = &mut self.out[self.used..end];
            let step = window.go_on(input, out, InflateFlush::SyncFlush)?;
            input = &input[step.read..];
            self.used += step.written;
            if self.used - body > self.max_message_bytes {
                return Err(TOO_BIG);
            }
            window.behind(step, &self.out[body..self.used])?;
            if input.is_empty() && self.used < end {
                break;
            }
            if step.is_stuck() && self.used < end {
                return Err(BROKEN);
            }
        }
        let end = self.place(body, 0);
        self.used += window.ends(&mut self.out[self.used..end])?;
        if self.used - body > self.max_message_bytes { Err(TOO_BIG) } else { Ok(()) }
    }

    /// Up to where a message that begins at `body` may be inflated now: one byte beyond what it may be.
    fn place(&mut self, body: usize, input: usize) -> usize {
        let most = body + self.max_message_bytes + 1;
        self.room(input.max(64).min(most - self.used));
        self.out.len().min(most)
    }
}

impl From<Stopped> for Violation {
    fn from(why: Stopped) -> Self {
        match why {
            Stopped::Broken => BROKEN,
            Stopped::NoMemory => NO_ROOM,
            Stopped::TooManyLastBlocks => TOO_MANY_LAST_BLOCKS,
        }
    }
}

/// The header of a server's only frame of a message.
fn server_header(opcode: Opcode, len: usize) -> ([u8; HEADER_MAX], usize) {
    let mut header = [0; HEADER_MAX];
    header[0] = 0x80 | if opcode == Opcode::Binary { 2 } else { 1 };
    match len {
        0..=125 => {
            header[1] = len as u8;
            (header, 2)
        }
        126..=0xffff => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            (header, 4)
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&(len as u64).to_be_bytes());
            (header, 10)
        }
    }
}

/// The message that a socket is in, where it comes in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fragments {
    None,
    /// It is not compressed.
    Plain,
    Packed(Opcode),
}

/// Where in a frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    /// So much of a payload is still to pass as it is.
    Passing(u64),
    /// So much is still to be gathered, of the last fragment or not.
    Gathering(u64, bool),
}

/// What is kept of one socket.
pub struct Unpacker {
    place: Place,
    fragments: Fragments,
    /// Of the compressed message so far.
    count: u32,
    header: [u8; HEADER_MAX],
    header_len: u8,
    gathered: Vec<u8>,
    /// Of a server that goes on with one window from message to message.
    window: Option<Box<Window>>,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Unpacker {
    /// At the first byte after the upgrade's answer.
    pub fn new(agreed: &Agreed) -> Self {
        // zlib calls a window of 8 bits one of 9.
        let window = || Box::new(Window::new(agreed.server_bits.max(9)));
        Self {
            place: Place::Header,
            fragments: Fragments::None,
            count: 0,
            header: [0; HEADER_MAX],
            header_len: 0,
            gathered: Vec::new(),
            window: (!agreed.server_no_takeover).then(window),
        }
    }

    /// Makes frames for the decoder of the next bytes: see [`Inflater::unpacked`]. The bytes that are left are to be
    /// unpacked next.
    ///
    /// # Errors
    /// What the server did against RFC 7692. What came before it was unpacked.
    pub fn unpack<'b>(
        &mut self,
        mut bytes: &'b [u8],
        by: &mut Inflater,
    ) -> Result<&'b [u8], Violation> {
        by.begin();
        while !bytes.is_empty() && by.used < PART_BYTES {
            bytes = match self.place {
                Place::Header => self.read_header(bytes, by)?,
                Place::Passing(left) => {
                    let (now, after) = bytes.split_at(bytes.len().min(clamped(left)));
                    by.pass(now);
                    self.place = match left - now.len() as u64 {
                        0 => Place::Header,
                        left => Place::Passing(left),
                    };
                    after
                }
                Place::Gathering(left, is_last) => self.gather(bytes, (left, is_last), by)?,
            };
        }
        Ok(bytes)
    }

    /// Gives memory back when the socket ends.
    pub fn release(&mut self, by: &mut Inflater) {
        by.held -= self.gathered.capacity();
        self.gathered = Vec::new();
    }

    fn read_header<'b>(
        &mut self,
        bytes: &'b [u8],
        by: &mut Inflater,
    ) -> Result<&'b [u8], Violation> {
        let begun = usize::from(self.header_len);
        let more = bytes.len().min(HEADER_MAX - begun);
        self.header[begun..begun + more].copy_from_slice(&bytes[..more]);
        let mut plain = self.header;
        plain[0] &= !RSV1;
        let Some(header) = parse_header(&plain[..begun + more])? else {
            self.header_len += more as u8;
            return Ok(&bytes[more..]);
        };
        let (is_packed, len) = (self.header[0] & RSV1 != 0, usize::from(header.header_len));
        self.header_len = 0;
        self.place = self.judge(&header, is_packed, by)?;
        if matches!(self.place, Place::Passing(_)) {
            by.pass(&plain[..len]);
        }
        let after = &bytes[len - begun..];
        match self.place {
            Place::Passing(0) => self.place = Place::Header,
            Place::Gathering(0, is_last) => return self.gather(after, (0, is_last), by),
            _ => {}
        }
        Ok(after)
    }

    /// What is to be done with a frame (RFC 7692, section 6).
    fn judge(
        &mut self,
        header: &Header,
        is_packed: bool,
        by: &Inflater,
    ) -> Result<Place, Violation> {
        let is_begun = self.fragments != Fragments::None;
        match (header.opcode, is_packed) {
            (Opcode::Ping | Opcode::Pong | Opcode::Close, true) => {
                return Err(Violation::protocol("set RSV1 on a control frame"));
            }
            (Opcode::Continuation, true) => {
                return Err(Violation::protocol("set RSV1 on a frame that continues a message"));
            }
            (Opcode::Text | Opcode::Binary, true) if is_begun => {
                return Err(Violation::protocol("began a message inside a fragmented one"));
            }
            (Opcode::Text | Opcode::Binary, false)
                if matches!(self.fragments, Fragments::Packed(_)) =>
            {
                return Err(Violation::protocol("began a message inside a fragmented one"));
            }
            (Opcode::Ping | Opcode::Pong | Opcode::Close, false) => {
                return Ok(Place::Passing(header.payload_len));
            }
            (opcode @ (Opcode::Text | Opcode::Binary), true) => {
                self.fragments = Fragments::Packed(opcode);
            }
            (Opcode::Text | Opcode::Binary, false) if !header.fin => {
                self.fragments = Fragments::Plain;
            }
            (Opcode::Text | Opcode::Binary | Opcode::Continuation, false) => {}
        }
        if !matches!(self.fragments, Fragments::Packed(_)) {
            if header.fin {
                self.fragments = Fragments::None;
            }
            return Ok(Place::Passing(header.payload_len));
        }
        self.count += 1;
        if self.count > by.max_fragments {
            return Err(TOO_MANY_FRAGMENTS);
        }
        let room = by.max_message_bytes.saturating_sub(self.gathered.len());
        if header.payload_len > room as u64 {
            return Err(TOO_BIG);
        }
        Ok(Place::Gathering(header.payload_len, header.fin))
    }

    /// Takes more of a compressed message, and inflates it where that is all.
    fn gather<'b>(
        &mut self,
        bytes: &'b [u8],
        (left, is_last): (u64, bool),
        by: &mut Inflater,
    ) -> Result<&'b [u8], Violation> {
        let (now, after) = bytes.split_at(bytes.len().min(clamped(left)));
        let left = left - now.len() as u64;
        let is_whole = left == 0 && is_last;
        if is_whole && self.gathered.is_empty() {
            self.finish(now, by)?;
            return Ok(after);
        }
        let before = self.gathered.capacity();
        if before - self.gathered.len() < now.len() {
            let needed =
                (self.gathered.len() + now.len()).max((2 * before).min(by.max_message_bytes));
            if by.held - before + needed > by.held_max {
                return Err(NO_ROOM);
            }
            self.gathered.reserve_exact(needed - self.gathered.len());
            by.held += self.gathered.capacity() - before;
        }
        self.gathered.extend_from_slice(now);
        self.place = if left == 0 { Place::Header } else { Place::Gathering(left, is_last) };
        if is_whole {
            let whole = std::mem::take(&mut self.gathered);
            let finished = self.finish(&whole, by);
            by.held -= whole.capacity();
            finished?;
        }
        Ok(after)
    }

    fn finish(&mut self, packed: &[u8], by: &mut Inflater) -> Result<(), Violation> {
        let Fragments::Packed(opcode) = self.fragments else {
            unreachable!("only compressed messages are gathered")
        };
        (self.fragments, self.count, self.place) = (Fragments::None, 0, Place::Header);
        by.message(opcode, packed, self.window.as_deref_mut())
    }
}

fn clamped(left: u64) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX)
}
