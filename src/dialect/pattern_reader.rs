//! Reading patterns: the one grammar of all that a dialect file says.
//!
//! Belongs here: what may stand between braces, and where. Does not: where in a file a pattern stands
//! (`dialect::file`), putting values in (`pattern`).
//!
//! `{name}` and `{name:…}` are places where the name is a word; every other brace is one, so JSON needs no
//! escaping. `{{` is a brace where a place would be read otherwise.

use std::collections::BTreeMap;

use super::pattern::{Part, Pattern, Place, Width, column_name, count};
use super::signature::Key;

/// Where in a file a pattern stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// What all sockets say or hear alike, at any time.
    Fixed,
    /// What passes before a socket is ready.
    Opening,
    /// An answer or a heartbeat.
    Said,
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

/// What places of the file's own are called, and what each is, for errors and the reference.
pub const PLACES: [(&str, &str); 17] = [
    ("{text}", "the text with the tag by which a copy is known; exactly once in a message"),
    ("{len}", "bytes of the text, in decimal; in a message"),
    (
        "{seq}",
        "number of the message in its push socket's stream: ten digits, from 1000000000; in a message",
    ),
    (
        "{ref}",
        "a number that nothing else has which the connection sends: in an opening, answers and heartbeats it \
         counts from 1, and an opening may await the one that it sent last; in a message ten digits, from \
         1000000000",
    ),
    (
        "{packet_id}",
        "number of the message among all of its connection, as the two bytes of MQTT's packet identifier: from 1 \
         to 65535 and again from 1; in a message, where frames are binary",
    ),
    (
        "{socket}",
        "number of the socket in the run, from 0; in all that is sent, headers, path and query",
    ),
    (
        "{user}",
        "the socket's value in the column `user` of `--data`, without one `user` and its number; in all that \
         is sent, headers, path and query",
    ),
    (
        "{data:COLUMN}",
        "the socket's value in the file of `--data`; in all that is sent, headers, path, query and origin",
    ),
    (
        "{node}",
        "place of its node in the list, from 0; in all that is sent, headers, path and query",
    ),
    (
        "{uuid}",
        "a random UUID, always the same for a socket; in all that is sent, headers, path and query",
    ),
    (
        "{capture:NAME}",
        "what an earlier step has captured; in all that is sent from then on, in a message up to 4096 bytes",
    ),
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
    (
        "{hmac_sha256:NAME:REST}",
        "the rest signed with the parameter of that name, in hexadecimal, without the rest; in an opening",
    ),
];

impl Reader<'_> {
    /// Reads a pattern.
    pub(super) fn read(&self, written: &str) -> Result<Pattern, BadPattern> {
        let mut at = 0;
        let parts = self.parts(written, &mut at, false)?;
        Ok(Pattern::new(written.to_owned(), parts))
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
        let mut key = None;
        if name == "hmac_sha256" {
            key = Some(self.key(written, at).map_err(|what| wrong(*at, what))?);
        }
        if key.is_some() || matches!(name, "mqtt" | "u16" | "bytes") {
            let inner = self.parts(written, at, true)?;
            if !written[*at..].starts_with('}') {
                return Err(wrong(*at, format!("`{{{name}:` has no closing brace")));
            }
            *at += 1;
            return match key {
                Some(key) => Ok(Part::Signed(key, inner)),
                None => self.counted(name, inner).map_err(|what| wrong(*at, what)),
            };
        }
        let argument = &written[*at..];
        let Some(end) = argument.find('}') else {
            return Err(wrong(written.len(), format!("`{{{name}:` has no closing brace")));
        };
        *at += end + 1;
        self.named(name, &argument[..end]).map_err(|what| wrong(*at, what))
    }

    /// The key of a signature, behind whose name it leaves `at`.
    fn key(&self, written: &str, at: &mut usize) -> Result<Key, String> {
        if self.position != Position::Opening {
            return Err("this place has a value in an [[opening]] alone".into());
        }
        let rest = &written[*at..];
        let name = rest.split([':', '}']).next().unwrap_or_default();
        let Some(value) = self.parameters.get(name).filter(|_| rest[name.len()..].starts_with(':'))
        else {
            return Err(format!(
                "`{name}` is no parameter: name the one that holds the key, like {{hmac_sha256:secret:…}}"
            ));
        };
        *at += name.len() + 1;
        Ok(Key::new(value))
    }

    fn simple(&self, name: &str) -> Result<Part, String> {
        let place = match name {
            "text" => Place::Text,
            "len" => Place::Len,
            "seq" => Place::Seq,
            "socket" | "user" | "node" | "uuid" if self.position == Position::Upgrade => {
                return Ok(Part::Bytes(format!("{{{name}}}").into_bytes()));
            }
            "socket" => Place::Socket,
            "ref" => Place::Ref,
            "packet_id" if self.is_text => {
                return Err("its bytes are no text: say frames = \"binary\"".into());
            }
            "packet_id" => Place::PacketId,
            "user" => Place::User,
            "node" => Place::Node,
            "uuid" => Place::Uuid,
            _ => {
                let value = self.parameters.get(name);
                return match value {
                    Some(value) => Ok(Part::Bytes(value.clone().into_bytes())),
                    None if self.captured.iter().any(|captured| captured == name) => {
                        Err(format!("what an earlier step has captured is {{capture:{name}}}"))
                    }
                    None => Err(self.unknown(&format!("{{{name}}}"))),
                };
            }
        };
        self.allowed(place)
    }

    fn allowed(&self, place: Place) -> Result<Part, String> {
        let sent = "an [[opening]], the [message], a [[heartbeat]] or the answer of a [[reply]]";
        let is_sent =
            matches!(self.position, Position::Opening | Position::Message | Position::Said);
        let (may, belongs) = match place {
            Place::Text | Place::Len | Place::Seq | Place::PacketId => {
                (self.position == Position::Message, "the [message]")
            }
            Place::Ref | Place::Capture(_) => (is_sent, sent),
            Place::Socket | Place::User | Place::Node | Place::Uuid => {
                (is_sent, "what is sent, headers, the path or the query")
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
