//! The decoder again, with everything at hand and nothing clever: the oracle of tests and fuzzing.
//!
//! Belongs here: the RFC, read literally, over a whole buffer. Does not: anything that
//! `wire::decoder` could share a mistake with, so not even its header parser.

use super::decoder::Item;
use super::frame::Violation;

/// An [`Item`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedItem {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A Ping.
    Ping(Vec<u8>),
    /// A Pong.
    Pong(Vec<u8>),
    /// A Close: its code and reason.
    Close(Option<u16>, String),
}

impl TryFrom<Item<'_>> for OwnedItem {
    type Error = Violation;

    fn try_from(item: Item<'_>) -> Result<Self, Violation> {
        Ok(match item {
            Item::Message(message) if message.is_binary() => {
                Self::Binary(message.checked()?.into())
            }
            Item::Message(message) => {
                let bytes = message.checked()?.to_vec();
                Self::Text(String::from_utf8(bytes).expect("checked text is UTF-8"))
            }
            Item::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Item::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Item::Close { code, reason } => Self::Close(code, reason.to_owned()),
        })
    }
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Between messages.
    Clean,
    /// Inside a frame or between the fragments of a message.
    Cut,
    /// With a Close.
    Closed,
    /// With a violation that has this close code.
    Violation(u16),
}

/// Everything that `bytes` say, and how they end.
pub fn decode(
    bytes: &[u8],
    max_message_bytes: usize,
    max_fragments: usize,
) -> (Vec<OwnedItem>, End) {
    let mut items = Vec::new();
    let mut parts: Option<(u8, Vec<u8>)> = None;
    let mut fragments = 0;
    let mut rest = bytes;
    while let [first, second, tail @ ..] = rest {
        let (fin, opcode, len7) = (first >> 7 == 1, first & 15, second & 127);
        let control = opcode >= 8;
        let known = matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10);
        let is_odd = control && (!fin || len7 > 125);
        if first & 0b0111_0000 != 0 || second >> 7 == 1 || !known || is_odd {
            return (items, End::Violation(1002));
        }
        let width = length_width(len7);
        if tail.len() < width {
            return (items, End::Cut);
        }
        let extended = tail[..width].iter().fold(0u64, |len, byte| len * 256 + u64::from(*byte));
        if !is_minimal(width, extended) {
            return (items, End::Violation(1002));
        }
        let len = if width == 0 { u64::from(len7) } else { extended };
        if !control && (opcode == 0) != parts.is_some() {
            return (items, End::Violation(1002));
        }
        let before = parts.as_ref().map_or(0, |(_, bytes)| bytes.len());
        if !control && u128::from(len) + before as u128 > max_message_bytes as u128 {
            return (items, End::Violation(1009));
        }
        if (tail.len() - width) < len as usize {
            return (items, cut(parts, opcode, &tail[width..]));
        }
        let payload = &tail[width..width + len as usize];
        rest = &tail[width + len as usize..];
        match opcode {
            9 => items.push(OwnedItem::Ping(payload.to_vec())),
            10 => items.push(OwnedItem::Pong(payload.to_vec())),
            8 => match close(payload) {
                Ok(item) => {
                    items.push(item);
                    return (items, End::Closed);
                }
                Err(code) => return (items, End::Violation(code)),
            },
            _ => {
                let (kind, mut bytes) = parts.take().unwrap_or((opcode, Vec::new()));
                bytes.extend(payload);
                fragments = if opcode == 0 { fragments + 1 } else { 1 };
                match part(kind, &bytes, fragments <= max_fragments, fin) {
                    Err(code) => return (items, End::Violation(code)),
                    Ok(Some(item)) => items.push(item),
                    Ok(None) => parts = Some((kind, bytes)),
                }
            }
        }
    }
    let end = if rest.is_empty() && parts.is_none() { End::Clean } else { End::Cut };
    (items, end)
}

/// What a message of these bytes is, where they are all of it.
fn part(kind: u8, bytes: &[u8], may_be_so_many: bool, fin: bool) -> Result<Option<OwnedItem>, u16> {
    match message(kind, bytes) {
        Err(_) if is_hopeless(kind, bytes) => Err(1007),
        _ if !may_be_so_many => Err(1009),
        whole if fin => whole.map(Some),
        _ => Ok(None),
    }
}

/// How a stream ends within a frame's payload.
fn cut(parts: Option<(u8, Vec<u8>)>, opcode: u8, payload: &[u8]) -> End {
    let (kind, before) = match parts {
        Some(parts) if opcode == 0 => parts,
        _ => (opcode, Vec::new()),
    };
    let so_far = [&before, payload].concat();
    if is_hopeless(kind, &so_far) { End::Violation(1007) } else { End::Cut }
}

/// Whether a message that begins so is text and no UTF-8, whatever follows.
fn is_hopeless(opcode: u8, begun: &[u8]) -> bool {
    opcode == 1 && std::str::from_utf8(begun).is_err_and(|error| error.error_len().is_some())
}

fn message(opcode: u8, payload: &[u8]) -> Result<OwnedItem, u16> {
    if opcode == 2 {
        return Ok(OwnedItem::Binary(payload.to_vec()));
    }
    String::from_utf8(payload.to_vec()).map(OwnedItem::Text).map_err(|_| 1007)
}

fn length_width(len7: u8) -> usize {
    match len7 {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

fn is_minimal(width: usize, extended: u64) -> bool {
    match width {
        2 => extended >= 126,
        8 => (65_536..1 << 63).contains(&extended),
        _ => true,
    }
}

fn close(payload: &[u8]) -> Result<OwnedItem, u16> {
    if payload.is_empty() {
        return Ok(OwnedItem::Close(None, String::new()));
    }
    if payload.len() == 1 {
        return Err(1002);
    }
    let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
    let never_sent = [1004, 1005, 1006].contains(&code);
    if never_sent || code < 1000 || (1015..3000).contains(&code) || code >= 5000 {
        return Err(1002);
    }
    match String::from_utf8(payload[2..].to_vec()) {
        Ok(reason) => Ok(OwnedItem::Close(Some(code), reason)),
        Err(_) => Err(1007),
    }
}
