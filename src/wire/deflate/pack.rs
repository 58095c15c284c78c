//! Frames of a client with their messages compressed.
//!
//! Belongs here: RFC 7692, section 7.2.1, over finished frames. Does not: making the frames (`wire::encode`).

use std::fmt;

use zlib_rs::{Deflate, DeflateFlush, Status};

use super::offer::Agreed;
use super::{DeflateCounts, TAIL};

const RSV1: u8 = 0x40;
const CONTROL_BIT: u8 = 0x08;
const MASK_LEN: usize = 4;

/// As zlib chooses where nobody does.
const LEVEL: i32 = 6;

/// What the sockets of a worker share.
pub struct Packers {
    /// For clients that forget each message, with the window that it has.
    shared: Option<(u8, Deflate)>,
    plain: Vec<u8>,
    packed: Vec<u8>,
    counts: DeflateCounts,
}

impl fmt::Debug for Packers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packers").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Default for Packers {
    fn default() -> Self {
        let room = || Vec::with_capacity(128 << 10);
        Self { shared: None, plain: room(), packed: room(), counts: DeflateCounts::default() }
    }
}

impl Packers {
    /// What has been compressed so far.
    pub const fn counts(&self) -> &DeflateCounts {
        &self.counts
    }
}

/// What is kept of one socket.
pub struct Packer {
    no_takeover: bool,
    bits: u8,
    /// Made with its first message: most sockets send none.
    own: Option<Box<Deflate>>,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").field("bits", &self.bits).finish_non_exhaustive()
    }
}

impl Packer {
    /// As both ends have agreed. `None` where the server wants a window that we cannot make: nothing is compressed
    /// then, as each message may be (RFC 7692, section 6).
    pub fn new(agreed: &Agreed) -> Option<Self> {
        // zlib has no window of 8 bits without a header.
        let Agreed { client_no_takeover: no_takeover, client_bits: bits, .. } = *agreed;
        (bits > 8).then_some(Self { no_takeover, bits, own: None })
    }

    /// Appends the frames of `frames` to `wire`, messages compressed, and notes where each ends there and in `frames`.
    pub fn pack(
        &mut self,
        frames: &[u8],
        by: &mut Packers,
        wire: &mut Vec<u8>,
        ends: &mut Vec<(usize, usize)>,
    ) {
        let mut at = 0;
        while at < frames.len() {
            let (header_len, payload_len) = client_header(&frames[at..]);
            let (header, rest) = frames[at..].split_at(header_len);
            let payload = &rest[..payload_len];
            if header[0] & CONTROL_BIT != 0 {
                wire.extend_from_slice(&frames[at..at + header_len + payload_len]);
            } else {
                self.message(header, payload, by, wire);
            }
            at += header_len + payload_len;
            ends.push((wire.len(), at));
        }
    }

    fn message(&mut self, header: &[u8], payload: &[u8], by: &mut Packers, wire: &mut Vec<u8>) {
        let mask: [u8; MASK_LEN] = *header.last_chunk().expect("a client's frame is masked");
        by.plain.clear();
        by.plain.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        let bits = self.bits;
        let compressor = if self.no_takeover {
            if by.shared.as_ref().is_none_or(|(shared, _)| *shared != bits) {
                by.shared = Some((bits, Deflate::new(LEVEL, false, bits)));
            }
            let (_, shared) = by.shared.as_mut().expect("it was just made");
            shared.reset();
            shared
        } else {
            self.own.get_or_insert_with(|| Box::new(Deflate::new(LEVEL, false, bits)))
        };
        deflate(compressor, &by.plain, &mut by.packed);
        by.counts.sent += 1;
        by.counts.plain_bytes += payload.len() as u64;
        by.counts.sent_bytes += by.packed.len() as u64;
        wire.push(header[0] | RSV1);
        match by.packed.len() {
            len @ 0..=125 => wire.push(0x80 | len as u8),
            len @ 126..=0xffff => {
                wire.push(0x80 | 126);
                wire.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                wire.push(0x80 | 127);
                wire.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        wire.extend_from_slice(&mask);
        wire.extend(by.packed.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
}

/// Bytes of the header of a whole client's frame, and of its payload.
fn client_header(frame: &[u8]) -> (usize, usize) {
    match frame[1] & 0x7f {
        126 => (4 + MASK_LEN, usize::from(u16::from_be_bytes([frame[2], frame[3]]))),
        127 => {
            let len = frame[2..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            (10 + MASK_LEN, len as usize)
        }
        len => (2 + MASK_LEN, len.into()),
    }
}

/// Compresses a message, without the end that is left out on the wire.
fn deflate(compressor: &mut Deflate, mut plain: &[u8], packed: &mut Vec<u8>) {
    packed.clear();
    loop {
        let start = packed.len();
        packed.resize(start + plain.len() / 2 + 64, 0);
        let (read, written) = (compressor.total_in(), compressor.total_out());
        let status = compressor.compress(plain, &mut packed[start..], DeflateFlush::SyncFlush);
        let written = (compressor.total_out() - written) as usize;
        plain = &plain[(compressor.total_in() - read) as usize..];
        let is_full = start + written == packed.len();
        packed.truncate(start + written);
        assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "{status:?} of a compressor");
        if plain.is_empty() && !is_full {
            break;
        }
    }
    if packed.ends_with(&TAIL) {
        packed.truncate(packed.len() - TAIL.len());
    }
    // An empty message is an empty block (RFC 7692, section 7.2.3.6).
    if packed.is_empty() {
        packed.push(0);
    }
}
