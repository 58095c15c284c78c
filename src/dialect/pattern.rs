//! Bytes with places for what is only known later: the one grammar of all that a dialect file says.
//!
//! Belongs here: what may stand between braces, what it needs, and putting values in. Does not: where in a
//! file a pattern stands (`dialect::file`), when it is sent (`engine`).
//!
//! `{name}` and `{name:…}` are places where the name is a word; every other brace is one, so JSON needs no
//! escaping. `{{` is a brace where a place would be read otherwise.

use std::collections::BTreeMap;
use std::fmt;

use super::tag::Tag;
use super::text::TextShape;

/// The first number that `{seq}` writes: all that follow have as many digits.
const SEQ_FIRST: u64 = 1_000_000_000;
/// What names of columns of `--data` begin with.
const COLUMN: &str = "data:";
/// Digits of `{seq}`: a plan has fewer than 2^32 messages.
pub(super) const SEQ_DIGITS: usize = 10;

/// Bytes with places in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    Value(Place),
    /// A length in front of what it is the length of.
    Counted(Width, Vec<Self>),
    /// The number of bytes of something, in decimal, and not the bytes.
    Bytecount(Vec<Self>),
}

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
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
    Socket,
    Node,
    Uuid,
    Capture(String),
}

/// Where in a file a pattern stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// What all sockets say or hear alike, at any time.
    Fixed,
    /// What passes before a socket is ready.
    Opening,
    /// A pushed message.
    Message,
    /// The upgrade, in which `plan::upgrade_options` finds places for secrets and for what differs from
    /// socket to socket: they are left to it.
    Upgrade,
}

/// Why a pattern cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadPattern {
    /// The part of it that is wrong.
    pub(super) token: String,
    /// Where in the pattern it begins.
    pub(super) at: usize,
    /// What is wrong, and what would be right.
    pub(super) what: String,
}

/// What places are read with.
pub(super) struct Reader<'a> {
    pub(super) parameters: &'a BTreeMap<String, String>,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) position: Position,
    /// Names of what earlier steps have captured.
    pub(super) captured: &'a [String],
    /// It becomes text: it must be UTF-8.
    pub(super) is_text: bool,
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
    /// What was found in answers, and the socket's row of `--data`, by name.
    pub captured: &'a [(String, Vec<u8>)],
    /// The message that is pushed.
    pub message: Option<(&'a TextShape, Tag)>,
}

/// Where in a rendered message its variable parts lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The text begins here.
    pub text: Option<usize>,
    /// Its number is here, each time in ten digits.
    pub seq: Vec<usize>,
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

    /// How often a place occurs as itself, and not only by its length.
    pub(super) fn count(&self, place: &Place) -> usize {
        count(&self.parts, place)
    }

    /// The columns of `--data` that it has places for.
    pub(super) fn columns(&self) -> Vec<String> {
        let mut columns = Vec::new();
        columns_of(&self.parts, &mut columns);
        columns
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

fn count(parts: &[Part], place: &Place) -> usize {
    let of = |part: &Part| match part {
        Part::Value(value) => usize::from(value == place),
        Part::Counted(_, inner) => count(inner, place),
        Part::Bytes(_) | Part::Bytecount(_) => 0,
    };
    parts.iter().map(of).sum()
}

fn columns_of(parts: &[Part], columns: &mut Vec<String>) {
    for part in parts {
        match part {
            Part::Value(Place::Capture(name)) => {
                columns.extend(name.strip_prefix(COLUMN).map(ToOwned::to_owned));
            }
            Part::Counted(_, inner) | Part::Bytecount(inner) => columns_of(inner, columns),
            Part::Bytes(_) | Part::Value(_) => {}
        }
    }
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
            Part::Bytecount(inner) => out.extend(len(inner, values).to_string().into_bytes()),
        }
    }
}

fn len(parts: &[Part], values: &Values<'_>) -> usize {
    let mut rendered = Vec::new();
    render(parts, values, &mut rendered, &mut Marks::default());
    rendered.len()
}

fn render_place(place: &Place, values: &Values<'_>, out: &mut Vec<u8>, marks: &mut Marks) {
    match place {
        Place::Socket => out.extend(values.socket.to_string().into_bytes()),
        Place::Node => out.extend(values.node.to_string().into_bytes()),
        Place::Uuid => out.extend(uuid(values.uuid).into_bytes()),
        Place::Capture(name) => {
            let found = values.captured.iter().find(|(captured, _)| captured == name);
            out.extend_from_slice(found.map_or(&[], |(_, value)| value));
        }
        Place::Text | Place::Len | Place::Seq => {
            let (shape, tag) = values.message.expect("the reader lets these into messages alone");
            match place {
                Place::Text => {
                    marks.text = Some(out.len());
                    shape.render(tag, out);
                }
                Place::Seq => {
                    marks.seq.push(out.len());
                    out.extend(seq_digits(tag.sequence));
                }
                _ => out.extend(shape.len().to_string().into_bytes()),
            }
        }
    }
}

/// A random UUID (RFC 9562, version 4) of these bits.
fn uuid(bits: u128) -> String {
    let hex = format!("{:032x}", bits & !(0xf << 76 | 0xc << 60) | 4 << 76 | 8 << 60);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
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

/// What places of the file's own are called, and what each is, for errors and the reference.
pub const PLACES: [(&str, &str); 13] = [
    ("{text}", "the text with the tag by which a copy is known; exactly once in a message"),
    ("{len}", "bytes of the text, in decimal; in a message"),
    (
        "{seq}",
        "number of the message in its push socket's stream: ten digits, from 1000000000; in a message",
    ),
    (
        "{socket}",
        "number of the socket in the run, from 0; in an opening, a message, headers and query",
    ),
    (
        "{data:COLUMN}",
        "the socket's value in the file of `--data`; in an opening, headers, query and origin",
    ),
    ("{node}", "place of its node in the list, from 0; in an opening"),
    ("{uuid}", "a random UUID, the same throughout a socket's opening; in an opening"),
    ("{capture:NAME}", "what an earlier step has captured; in an opening"),
    ("{env:NAME}", "a variable of the environment: the place for secrets; anywhere"),
    ("{hex:00 ff}", "these bytes; anywhere"),
    (
        "{mqtt:REST}",
        "the length of the rest as MQTT writes it, and the rest; where frames are binary",
    ),
    (
        "{u16:REST}",
        "the length of the rest in two bytes, and the rest (no `{text}`); where frames are binary",
    ),
    ("{bytes:REST}", "the length of the rest in decimal, without the rest; anywhere"),
];

impl Reader<'_> {
    /// Reads a pattern.
    pub(super) fn read(&self, written: &str) -> Result<Pattern, BadPattern> {
        let mut at = 0;
        let parts = self.parts(written, &mut at, false)?;
        Ok(Pattern { written: written.to_owned(), parts })
    }

    /// Parts up to the end, or `inside` of a place up to the brace that closes it.
    fn parts(&self, written: &str, at: &mut usize, inside: bool) -> Result<Vec<Part>, BadPattern> {
        let (mut parts, mut literal, mut open) = (Vec::new(), Vec::new(), 0);
        let flush = |literal: &mut Vec<u8>, parts: &mut Vec<Part>| {
            if !literal.is_empty() {
                parts.push(Part::Bytes(std::mem::take(literal)));
            }
        };
        loop {
            let rest = &written[*at..];
            let Some(first) = rest.chars().next() else { break };
            if rest.starts_with("{{") {
                literal.push(b'{');
                *at += 2;
                continue;
            }
            if first == '{'
                && let Some(name) = place_name(&rest[1..])
            {
                let part = self.place(written, at, name)?;
                match part {
                    Part::Bytes(bytes) => literal.extend(bytes),
                    part => {
                        flush(&mut literal, &mut parts);
                        parts.push(part);
                    }
                }
                continue;
            }
            match first {
                '}' if inside && open == 0 => break,
                '{' => open += 1,
                '}' => open = open.max(1) - 1,
                _ => {}
            }
            *at += first.len_utf8();
            literal.extend_from_slice(&rest.as_bytes()[..first.len_utf8()]);
        }
        flush(&mut literal, &mut parts);
        Ok(parts)
    }

    /// The place that begins at `at`, behind which it is left.
    fn place(&self, written: &str, at: &mut usize, name: &str) -> Result<Part, BadPattern> {
        let start = *at;
        let has_argument = written[start + 1 + name.len()..].starts_with(':');
        *at += 1 + name.len() + 1;
        let wrong = |end: usize, what: String| BadPattern {
            token: written[start..end].to_owned(),
            at: start,
            what,
        };
        if !has_argument {
            return self.simple(name).map_err(|what| wrong(*at, what));
        }
        if matches!(name, "mqtt" | "u16" | "bytes") {
            let inner = self.parts(written, at, true)?;
            if !written[*at..].starts_with('}') {
                return Err(wrong(*at, format!("`{{{name}:` has no closing brace")));
            }
            *at += 1;
            return self.counted(name, inner).map_err(|what| wrong(*at, what));
        }
        let argument = &written[*at..];
        let Some(end) = argument.find('}') else {
            return Err(wrong(written.len(), format!("`{{{name}:` has no closing brace")));
        };
        *at += end + 1;
        self.named(name, &argument[..end]).map_err(|what| wrong(*at, what))
    }

    fn simple(&self, name: &str) -> Result<Part, String> {
        let place = match name {
            "text" => Place::Text,
            "len" => Place::Len,
            "seq" => Place::Seq,
            "socket" if self.position == Position::Upgrade => {
                return Ok(Part::Bytes(b"{socket}".to_vec()));
            }
            "socket" => Place::Socket,
            "node" => Place::Node,
            "uuid" => Place::Uuid,
            _ => {
                let value = self.parameters.get(name);
                return match value {
                    Some(value) => Ok(Part::Bytes(value.clone().into_bytes())),
                    None => Err(self.unknown(&format!("{{{name}}}"))),
                };
            }
        };
        self.allowed(place)
    }

    fn allowed(&self, place: Place) -> Result<Part, String> {
        let (may, belongs) = match place {
            Place::Text | Place::Len | Place::Seq => {
                (self.position == Position::Message, "the [message]")
            }
            Place::Socket => (self.position != Position::Fixed, "an [[opening]] or the [message]"),
            Place::Node | Place::Uuid | Place::Capture(_) => {
                (self.position == Position::Opening, "an [[opening]]")
            }
        };
        match may {
            true => Ok(Part::Value(place)),
            false => Err(format!("this place has a value in {belongs} alone")),
        }
    }

    fn counted(&self, name: &str, inner: Vec<Part>) -> Result<Part, String> {
        if name == "bytes" {
            return Ok(Part::Bytecount(inner));
        }
        if self.is_text {
            return Err("its length is no text: say frames = \"binary\"".into());
        }
        if name == "u16" && count(&inner, &Place::Text) > 0 {
            return Err("a text may be longer than two bytes can say: use {bytes:…}".into());
        }
        let width = if name == "u16" { Width::Short } else { Width::Varint };
        Ok(Part::Counted(width, inner))
    }

    fn named(&self, name: &str, argument: &str) -> Result<Part, String> {
        match name {
            "env" => match (self.environment)(argument) {
                Some(_) if self.position == Position::Upgrade => {
                    Ok(Part::Bytes(format!("{{env:{argument}}}").into_bytes()))
                }
                Some(value) => Ok(Part::Bytes(value.into_bytes())),
                None => Err(format!("the environment has no variable `{argument}`: export it")),
            },
            "hex" => {
                let bytes = hex(argument).ok_or(
                    "not bytes in hexadecimal: write two digits for each, like {hex:82 0b}",
                )?;
                match self.is_text && !bytes.is_ascii() {
                    true => Err("bytes above 7f are no text: say frames = \"binary\"".into()),
                    false => Ok(Part::Bytes(bytes)),
                }
            }
            "data" if self.position == Position::Upgrade => {
                Ok(Part::Bytes(format!("{{data:{argument}}}").into_bytes()))
            }
            "data" => self.allowed(Place::Capture(column_name(argument))),
            "capture" if !self.captured.iter().any(|captured| captured == argument) => {
                Err(format!("no earlier step captures `{argument}`"))
            }
            "capture" => self.allowed(Place::Capture(argument.to_owned())),
            _ => Err(self.unknown(&format!("{{{name}:…}}"))),
        }
    }

    fn unknown(&self, place: &str) -> String {
        let own = self.parameters.keys().map(|name| format!("{{{name}}}"));
        let known: Vec<_> =
            PLACES.iter().map(|(place, _)| (*place).to_owned()).chain(own).collect();
        format!(
            "{place} is no place and no parameter: use one of {}, name it in [parameters], or write `{{{{` \
             for a brace",
            known.join(", ")
        )
    }
}

/// The word behind an opening brace, where a place begins with it.
fn place_name(rest: &str) -> Option<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = rest.find(|c| !word(c))?;
    let is_place = rest.starts_with(|c: char| c.is_ascii_alphabetic())
        && matches!(rest.as_bytes()[end], b'}' | b':');
    is_place.then_some(&rest[..end])
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b' ').collect();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let byte = |pair: &[u8; 2]| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        u8::from_str_radix(pair, 16).ok()
    };
    pairs.iter().map(byte).collect()
}
