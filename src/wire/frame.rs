//! The header of one frame that comes from a server, and everything that can be wrong with it.
//!
//! Belongs here: rules that one frame can be held to on its own. Does not: rules between frames,
//! such as where a continuation may stand (`wire::decoder`).

use std::fmt;

/// Longest payload of a control frame (RFC 6455 section 5.5).
pub const CONTROL_PAYLOAD_MAX: u64 = 125;

const FIN: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE_BITS: u8 = 0x0f;
const CONTROL_BIT: u8 = 0x08;
const MASKED: u8 = 0x80;

/// A close code as RFC 6455 section 7.4 numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The connection did what it was for.
    pub const NORMAL: Self = Self(1000);
    /// The peer broke the framing rules.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// Text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// A message larger than we take.
    pub const TOO_BIG: Self = Self(1009);

    /// Whether a Close frame may carry this code: 1004 to 1006 and 1015 stand for events that no
    /// frame reports, 1016 to 2999 are unassigned (RFC 6455 section 7.4, IANA registry).
    pub const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the server did against the RFC, and the code to close the socket with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (close code {code})")]
pub struct Violation {
    /// The code that RFC 6455 section 7.4.1 assigns to it.
    pub code: CloseCode,
    /// What was seen, as a clause to be read after the node's name.
    pub what: &'static str,
}

impl Violation {
    pub(in crate::wire) const fn protocol(what: &'static str) -> Self {
        Self { code: CloseCode::PROTOCOL_ERROR, what }
    }

    pub(super) const fn not_utf8(what: &'static str) -> Self {
        Self { code: CloseCode::INVALID_DATA, what }
    }

    pub(super) const TOO_BIG: Self =
        Self { code: CloseCode::TOO_BIG, what: "sent a message larger than --max-message-bytes" };

    /// No single fragment is too large, and together they may be nothing.
    pub(super) const TOO_MANY_FRAGMENTS: Self = Self {
        code: CloseCode::TOO_BIG,
        what: "sent a message in more fragments than --max-fragments takes",
    };

    /// No single message is too large.
    pub(super) const NO_ROOM: Self = Self {
        code: CloseCode::TOO_BIG,
        what: "began messages without ending them, which together take more than --partial-memory",
    };
}

/// The six opcodes of RFC 6455 section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A further part of a fragmented message.
    Continuation,
    /// UTF-8 text, or its first part.
    Text,
    /// Bytes, or their first part.
    Binary,
    /// The end of the connection.
    Close,
    /// A question for a Pong with the same payload.
    Ping,
    /// The answer to a Ping, or a heartbeat nobody asked for.
    Pong,
}

impl Opcode {
    /// Close, Ping and Pong: never fragmented, and allowed between the parts of a message.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }
}

/// A frame's header, without the bits that a frame from a server may not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last (or only) frame of its message.
    pub fin: bool,
    /// What the frame carries.
    pub opcode: Opcode,
    /// Bytes of payload that follow the header.
    pub payload_len: u64,
    /// Bytes of the header itself: 2, 4 or 10.
    pub header_len: u8,
}

/// First bytes of whole messages.
const TEXT: u8 = FIN | 1;
const BINARY: u8 = FIN | 2;

/// The payload of the frame at the front of `bytes`, and what follows it, where that frame is what a
/// server sends nearly always: a whole text message of less than 64 KiB, all of it here. `None` says
/// nothing: [`parse_header`] tells.
#[inline]
pub fn plain_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match *bytes {
        [TEXT, len @ ..=125, ref rest @ ..] => rest.split_at_checked(usize::from(len)),
        [TEXT, 126, high, low, ref rest @ ..] => {
            let len = u16::from_be_bytes([high, low]);
            // Shorter ones have a shorter form, and must use it.
            if len > 125 { rest.split_at_checked(usize::from(len)) } else { None }
        }
        _ => None,
    }
}

/// The header of the frame that [`plain_text`] reads, of a message of so many bytes, or of a binary one: the
/// first bytes, and how many of them. `None` of 64 KiB and more.
pub const fn plain_header(is_binary: bool, payload_len: usize) -> Option<([u8; 4], usize)> {
    let first = if is_binary { BINARY } else { TEXT };
    match payload_len {
        0..=125 => Some(([first, payload_len as u8, 0, 0], 2)),
        126..=0xffff => Some(([first, 126, (payload_len >> 8) as u8, payload_len as u8], 4)),
        _ => None,
    }
}

/// Whether a whole binary message begins here.
pub const fn is_binary(bytes: &[u8]) -> bool {
    matches!(bytes, [BINARY, ..])
}

/// Reads the header at the front of `bytes`; `None` when more bytes are needed to tell.
///
/// # Errors
/// Code 1002 for everything that RFC 6455 sections 5.1, 5.2 and 5.5 forbid to a server's frame.
#[inline]
pub fn parse_header(bytes: &[u8]) -> Result<Option<Header>, Violation> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    let (first, second) = (*first, *second);
    if first & RESERVED_BITS != 0 {
        return Err(Violation::protocol("set a reserved bit though no extension was negotiated"));
    }
    if second & MASKED != 0 {
        return Err(Violation::protocol("masked a frame, which only clients may"));
    }
    let Some(opcode) = Opcode::from_bits(first & OPCODE_BITS) else {
        return Err(Violation::protocol("used a reserved opcode"));
    };
    if first & CONTROL_BIT != 0 {
        check_control(first, second)?;
    }
    let Some((payload_len, length_bytes)) = payload_len(second, rest)? else {
        return Ok(None);
    };
    Ok(Some(Header { fin: first & FIN != 0, opcode, payload_len, header_len: 2 + length_bytes }))
}

fn check_control(first: u8, second: u8) -> Result<(), Violation> {
    if first & FIN == 0 {
        return Err(Violation::protocol("fragmented a control frame"));
    }
    if u64::from(second) > CONTROL_PAYLOAD_MAX {
        return Err(Violation::protocol("sent a control frame of more than 125 bytes"));
    }
    Ok(())
}

/// The payload length and how many bytes after the second one say it.
#[inline]
fn payload_len(second: u8, rest: &[u8]) -> Result<Option<(u64, u8)>, Violation> {
    const NOT_MINIMAL: Violation = Violation::protocol("padded a payload length");
    match second {
        126 => {
            let Some(bytes) = rest.first_chunk::<2>() else {
                return Ok(None);
            };
            let len = u64::from(u16::from_be_bytes(*bytes));
            if len < 126 { Err(NOT_MINIMAL) } else { Ok(Some((len, 2))) }
        }
        127 => {
            let Some(bytes) = rest.first_chunk::<8>() else {
                return Ok(None);
            };
            match u64::from_be_bytes(*bytes) {
                0..=0xffff => Err(NOT_MINIMAL),
                len if len >> 63 != 0 => {
                    Err(Violation::protocol("set the top bit of a payload length"))
                }
                len => Ok(Some((len, 8))),
            }
        }
        len => Ok(Some((u64::from(len), 0))),
    }
}

/// Reads a Close frame's payload: the code and the reason, or neither.
///
/// # Errors
/// 1002 for half a code or a code that no frame may carry, 1007 for a reason that is not UTF-8.
pub(super) fn parse_close(payload: &[u8]) -> Result<(Option<u16>, &str), Violation> {
    let [high, low, reason @ ..] = payload else {
        return match payload {
            [] => Ok((None, "")),
            _ => Err(Violation::protocol("sent a Close with half a code")),
        };
    };
    let code = u16::from_be_bytes([*high, *low]);
    if !CloseCode(code).may_be_sent() {
        return Err(Violation::protocol("sent a Close with a code that no frame may carry"));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok((Some(code), reason)),
        Err(_) => Err(Violation::not_utf8("sent a Close reason that is not UTF-8")),
    }
}
