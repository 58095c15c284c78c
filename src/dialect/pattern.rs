//! Bytes with places for what is only known later.
//!
//! Belongs here: what is in a pattern, and putting values in. Does not: reading one (`pattern_reader`), when it is
//! sent (`engine`).

use std::fmt;
use std::io::Write;

use super::base64_text::{encode, encoded_len};
use super::mqtt::identifier;
use super::signature::{Key, SIGNATURE_LEN};
use super::tag::Tag;
use super::text::TextShape;

/// The first number that `{seq}` writes: all that follow have as many digits.
const SEQ_FIRST: u64 = 1_000_000_000;
/// What names of columns of `--data` begin with.
const COLUMN: &str = "data:";
/// The column of `{user}`, and what a user without one is called before the number.
pub const USER: &str = "user";
const UUID_LEN: usize = 36;
/// Digits of `{seq}`: a plan has fewer than 2^32 messages.
pub(super) const SEQ_DIGITS: usize = 10;

/// Bytes with places in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    parts: Vec<Part>,
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Bytes(Vec<u8>),
    Value(Place),
    /// A length in front of what it is the length of.
    Counted(Width, Vec<Self>),
    /// The number of bytes of something, in decimal, and not the bytes.
    Bytecount(Vec<Self>),
    /// The signature of something, and not the bytes.
    Signed(Key, Vec<Self>),
}

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// Two bytes, the high one first.
    Short,
    /// Seven bits a byte, the low ones first (MQTT 3.1.1, section 2.2.3).
    Varint,
}

/// What is put in when the rest of a plan is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Text,
    Len,
    Seq,
    Ref,
    PacketId,
    Socket,
    User,
    Node,
    Uuid,
    Capture(String),
}

/// What is put into the places of a pattern.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// Number of the socket in the run, from 0.
    pub socket: u32,
    /// Place of its node in the list, from 0.
    pub node: u32,
    /// Drawn for the socket.
    pub uuid: u128,
    /// The number that no other message of the connection has.
    pub reference: u64,
    /// What was found in answers, and the socket's row of `--data`, by name.
    pub captured: &'a [(String, Vec<u8>)],
    /// The message that is pushed.
    pub message: Option<(&'a TextShape, Tag)>,
    /// Its text is in base64.
    pub in_base64: bool,
}

/// Where in a rendered message its variable parts lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The text begins here.
    pub text: Option<usize>,
    /// Its number is here, each time in ten digits.
    pub seq: Vec<usize>,
    /// Its number among all messages of the connection, too.
    pub refs: Vec<usize>,
    /// Its packet identifier is here, in two bytes.
    pub packets: Vec<usize>,
}

/// The digits of `{seq}`.
#[inline]
pub fn seq_digits(sequence: u64) -> [u8; SEQ_DIGITS] {
    let mut left = SEQ_FIRST + sequence;
    let mut digits = [0; SEQ_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    digits
}

impl Pattern {
    /// As it was written, and what that is.
    pub(super) const fn new(written: String, parts: Vec<Part>) -> Self {
        Self { written, parts }
    }

    /// Appends its bytes with `values` put in, and says where the message's own are.
    pub fn render(&self, values: &Values<'_>, out: &mut Vec<u8>) -> Marks {
        let mut marks = Marks::default();
        render(&self.parts, values, out, &mut marks);
        marks
    }

    /// Its bytes with `values` put in.
    pub fn bytes(&self, values: &Values<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        self.render(values, &mut out);
        out
    }

    /// Its bytes, if they are the same for all sockets and at all times.
    pub(super) fn constant(&self) -> Option<Vec<u8>> {
        let varies = any_of(&self.parts, &|_| true);
        (!varies).then(|| self.bytes(&Values::default()))
    }

    /// Whether these bytes begin and end as it does, as far as that is always the same.
    pub(super) fn may_be(&self, bytes: &[u8]) -> bool {
        let same = |part: Option<&Part>| match part {
            Some(Part::Bytes(same)) => same.clone(),
            _ => Vec::new(),
        };
        let (first, last) = (same(self.parts.first()), same(self.parts.last()));
        first.len() + last.len() > 0 && bytes.starts_with(&first) && bytes.ends_with(&last)
    }

    /// It has this place, if only for its length.
    pub(super) fn has(&self, place: &Place) -> bool {
        any_of(&self.parts, &|other| other == place)
    }

    /// It repeats what a step of the opening has captured.
    pub(super) fn repeats_captures(&self) -> bool {
        any_of(
            &self.parts,
            &|place| matches!(place, Place::Capture(name) if !name.starts_with(COLUMN)),
        )
    }

    /// What of the names of captures and columns it has places for.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        names_of(&self.parts, &mut names);
        names
    }

    /// How often a place occurs as itself, and not only by its length.
    pub(super) fn count(&self, place: &Place) -> usize {
        count(&self.parts, place)
    }

    /// The columns of `--data` that it has places for.
    pub(super) fn columns(&self) -> Vec<String> {
        let names = self.names().into_iter();
        names.filter_map(|name| name.strip_prefix(COLUMN).map(ToOwned::to_owned)).collect()
    }

    /// All that it becomes is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// As it was written, which is the same for all sockets and holds no secrets of the environment.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// How often a place occurs as itself.
pub(super) fn count(parts: &[Part], place: &Place) -> usize {
    let of = |part: &Part| match part {
        Part::Value(value) => usize::from(value == place),
        Part::Counted(_, inner) => count(inner, place),
        Part::Bytes(_) | Part::Bytecount(_) | Part::Signed(..) => 0,
    };
    parts.iter().map(of).sum()
}

fn names_of(parts: &[Part], names: &mut Vec<String>) {
    for part in parts {
        match part {
            Part::Value(Place::Capture(name)) => names.push(name.clone()),
            Part::Counted(_, inner) | Part::Bytecount(inner) | Part::Signed(_, inner) => {
                names_of(inner, names);
            }
            Part::Bytes(_) | Part::Value(_) => {}
        }
    }
}

fn any_of(parts: &[Part], wanted: &impl Fn(&Place) -> bool) -> bool {
    parts.iter().any(|part| match part {
        Part::Value(place) => wanted(place),
        Part::Counted(_, inner) | Part::Bytecount(inner) | Part::Signed(_, inner) => {
            any_of(inner, wanted)
        }
        Part::Bytes(_) => false,
    })
}

/// Under which name the value of a column of `--data` is among what was captured: no step captures one of
/// that name.
pub fn column_name(column: &str) -> String {
    format!("{COLUMN}{column}")
}

fn render(parts: &[Part], values: &Values<'_>, out: &mut Vec<u8>, marks: &mut Marks) {
    for part in parts {
        match part {
            Part::Bytes(bytes) => out.extend_from_slice(bytes),
            Part::Value(place) => render_place(place, values, out, marks),
            Part::Counted(width, inner) => {
                write_len(*width, len(inner, values), out);
                render(inner, values, out, marks);
            }
            Part::Bytecount(inner) => write_number(len(inner, values) as u64, out),
            Part::Signed(key, inner) => {
                let mut signed = Vec::new();
                render(inner, values, &mut signed, &mut Marks::default());
                out.extend(key.sign(&signed).into_bytes());
            }
        }
    }
}

fn len(parts: &[Part], values: &Values<'_>) -> usize {
    let of = |part: &Part| match part {
        Part::Bytes(bytes) => bytes.len(),
        Part::Value(place) => place_len(place, values),
        Part::Counted(width, inner) => {
            let inner = len(inner, values);
            len_len(*width, inner) + inner
        }
        Part::Bytecount(inner) => digits(len(inner, values) as u64),
        Part::Signed(..) => SIGNATURE_LEN,
    };
    parts.iter().map(of).sum()
}

fn place_len(place: &Place, values: &Values<'_>) -> usize {
    match place {
        Place::Ref if values.message.is_some() => SEQ_DIGITS,
        Place::Ref => digits(values.reference),
        Place::Socket => digits(values.socket.into()),
        Place::User => values
            .captured(&column_name(USER))
            .map_or_else(|| USER.len() + digits(values.socket.into()), <[u8]>::len),
        Place::Node => digits(values.node.into()),
        Place::Uuid => UUID_LEN,
        Place::Capture(name) => values.captured(name).map_or(0, <[u8]>::len),
        Place::PacketId => 2,
        Place::Text | Place::Len | Place::Seq => {
            let (shape, _) = values.message.expect("the reader lets these into messages alone");
            match place {
                Place::Text => values.text_len(shape),
                Place::Seq => SEQ_DIGITS,
                _ => digits(values.text_len(shape) as u64),
            }
        }
    }
}

const fn digits(number: u64) -> usize {
    match number.checked_ilog10() {
        Some(log) => log as usize + 1,
        None => 1,
    }
}

/// Without memory of its own: a heartbeat may be due while the clock runs.
fn write_number(number: u64, out: &mut Vec<u8>) {
    write!(out, "{number}").expect("a Vec takes every byte");
}

impl<'a> Values<'a> {
    /// Bytes of the text as it is written.
    const fn text_len(&self, shape: &TextShape) -> usize {
        if self.in_base64 { encoded_len(shape.len()) } else { shape.len() }
    }

    fn captured(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.captured.iter().find(|(captured, _)| captured == name);
        found.map(|(_, value)| &value[..])
    }
}

fn render_place(place: &Place, values: &Values<'_>, out: &mut Vec<u8>, marks: &mut Marks) {
    match place {
        Place::Ref if values.message.is_some() => {
            let (_, tag) = values.message.expect("a message");
            marks.refs.push(out.len());
            out.extend(seq_digits(values.reference + tag.sequence));
        }
        Place::Ref => write_number(values.reference, out),
        Place::Socket => write_number(values.socket.into(), out),
        Place::User => match values.captured(&column_name(USER)) {
            Some(user) => out.extend_from_slice(user),
            None => {
                out.extend_from_slice(USER.as_bytes());
                write_number(values.socket.into(), out);
            }
        },
        Place::Node => write_number(values.node.into(), out),
        Place::Uuid => out.extend(uuid(values.uuid).into_bytes()),
        Place::Capture(name) => out.extend_from_slice(values.captured(name).unwrap_or_default()),
        Place::Text | Place::Len | Place::Seq | Place::PacketId => {
            let (shape, tag) = values.message.expect("the reader lets these into messages alone");
            match place {
                Place::Text => {
                    marks.text = Some(out.len());
                    if values.in_base64 {
                        let mut text = Vec::with_capacity(shape.len());
                        shape.render(tag, &mut text);
                        encode(&text, out);
                    } else {
                        shape.render(tag, out);
                    }
                }
                Place::PacketId => {
                    marks.packets.push(out.len());
                    out.extend(identifier(values.reference + tag.sequence));
                }
                Place::Seq => {
                    marks.seq.push(out.len());
                    out.extend(seq_digits(tag.sequence));
                }
                _ => write_number(values.text_len(shape) as u64, out),
            }
        }
    }
}

/// A random UUID (RFC 9562, version 4) of these bits.
pub(crate) fn uuid(bits: u128) -> String {
    let hex = format!("{:032x}", bits & !(0xf << 76 | 0xc << 60) | 4 << 76 | 8 << 60);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Bytes of a length.
const fn len_len(width: Width, len: usize) -> usize {
    match width {
        Width::Short => 2,
        Width::Varint => match len {
            0..=0x7f => 1,
            0x80..=0x3fff => 2,
            0x4000..=0x1f_ffff => 3,
            0x20_0000..=0xfff_ffff => 4,
            _ => 5,
        },
    }
}

fn write_len(width: Width, len: usize, out: &mut Vec<u8>) {
    match width {
        Width::Short => out.extend((len as u16).to_be_bytes()),
        Width::Varint => {
            let mut left = len;
            while left > 0x7f {
                out.push(0x80 | (left & 0x7f) as u8);
                left >>= 7;
            }
            out.push(left as u8);
        }
    }
}
