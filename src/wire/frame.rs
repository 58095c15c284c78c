//! Frame headers that come from a server (RFC 6455, section 5.2).
//!
//! Belongs here: what a header says, and what it must not say. Does not: payloads (`decoder`).

use super::violation::Violation;

/// A frame's opcode (RFC 6455, section 5.2). Reserved ones do not exist here: they are violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A further fragment of a message.
    Continuation,
    /// A text message, or its first fragment.
    Text,
    /// A binary message, or its first fragment.
    Binary,
    /// The end of the connection.
    Close,
    /// To be answered with a Pong of the same payload.
    Ping,
    /// The answer to a Ping, or unasked.
    Pong,
}

impl Opcode {
    /// Control frames are short and never fragmented.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// Its kind.
    pub opcode: Opcode,
    /// Bytes that follow the header.
    pub payload_len: u64,
    /// Bytes of the header itself: 2, 4 or 10.
    pub header_len: u8,
}

/// Reads the header at the front of `bytes`; `None` when it is not all there.
///
/// # Errors
/// Everything that a server must not send, as soon as it can be seen.
#[inline]
pub fn parse_header(bytes: &[u8]) -> Result<Option<Header>, Violation> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Violation::protocol("reserved bits set without an extension"));
    }
    let Some(opcode) = Opcode::from_bits(first & 0x0f) else {
        return Err(Violation::protocol("a reserved opcode"));
    };
    let fin = first & 0x80 != 0;
    if opcode.is_control() && !fin {
        return Err(Violation::protocol("a fragmented control frame"));
    }
    let Some(&second) = rest.first() else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err(Violation::protocol("a masked frame from a server"));
    }
    let (payload_len, header_len) = match second {
        len @ 0..=125 => (u64::from(len), 2),
        _ if opcode.is_control() => {
            return Err(Violation::protocol("a control frame of more than 125 bytes"));
        }
        126 => match bytes.get(2..4) {
            Some(len) => (u64::from(u16::from_be_bytes([len[0], len[1]])), 4),
            None => return Ok(None),
        },
        _ => match bytes.get(2..10).and_then(|len| len.try_into().ok()) {
            Some(len) => (u64::from_be_bytes(len), 10),
            None => return Ok(None),
        },
    };
    match (header_len, payload_len) {
        (4, 0..=125) | (10, 0..=0xffff) => {
            Err(Violation::protocol("a length not in its shortest form"))
        }
        (10, len) if len >> 63 != 0 => Err(Violation::protocol("a length with its top bit set")),
        _ => Ok(Some(Header { fin, opcode, payload_len, header_len })),
    }
}
