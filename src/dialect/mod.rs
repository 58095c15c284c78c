//! What a given cluster says inside frames.
//!
//! Belongs here: the message around a text, and what comes back around it; as data, so that a dialect
//! is a description and not code. Does not: frames (`wire`), counting (`measure`).

pub mod scan;
pub mod tag;
pub mod text;

use self::tag::Tag;
use self::text::TextShape;
use crate::wire::frame::Opcode;

/// A cluster's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// As `--dialect` names it.
    pub name: &'static str,
    /// Text or binary messages, both ways.
    pub opcode: Opcode,
    /// A message before its text.
    before: &'static str,
    /// A message after its text.
    after: &'static str,
    /// Key of the id that the cluster gives a message and may pass on in place of its text.
    id_key: Option<&'static str>,
    /// Copies may come back as the other kind of message.
    any_kind: bool,
}

/// No such dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--dialect {0}: there is no such dialect; there are: dsatter, raw")]
pub struct UnknownDialect(pub String);

impl Dialect {
    /// The seed's distributed chat service: JSON objects; nodes other than the pushed one pass on a
    /// `messageId` in place of the text.
    pub const fn dsatter() -> Self {
        Self {
            name: "dsatter",
            opcode: Opcode::Text,
            before: r#"{"type":"newMessageFromClient","payload":{"text":""#,
            after: r#"","sender":"fanstorm","chatId":11}}"#,
            id_key: Some("messageId"),
            any_kind: false,
        }
    }

    /// Any echo or broadcast server: the message is the text itself. Many a server passes on what it
    /// heard as bytes, and so as a binary message (npm `ws` does unless told otherwise): the tag
    /// proves that it is ours.
    pub const fn raw() -> Self {
        let (before, after) = ("", "");
        Self { name: "raw", opcode: Opcode::Text, before, after, id_key: None, any_kind: true }
    }

    /// The dialect of a name.
    ///
    /// # Errors
    /// There is none.
    pub fn by_name(name: &str) -> Result<Self, UnknownDialect> {
        [Self::dsatter(), Self::raw()]
            .into_iter()
            .find(|dialect| dialect.name == name)
            .ok_or_else(|| UnknownDialect(name.to_owned()))
    }

    /// Copies may carry an id alone.
    pub const fn correlates(&self) -> bool {
        self.id_key.is_some()
    }

    /// Copies may be in a message of this kind; any other is not ours.
    pub fn hears(&self, binary: bool) -> bool {
        self.any_kind || binary == (self.opcode == Opcode::Binary)
    }

    /// Bytes of each message.
    pub fn message_len(&self, text: &TextShape) -> usize {
        self.before.len() + text.len() + self.after.len()
    }

    /// Where the tag begins in a message.
    pub fn tag_offset_in_message(&self, text: &TextShape) -> usize {
        self.before.len() + text.tag_offset()
    }

    /// Appends one message.
    pub fn render(&self, text: &TextShape, tag: Tag, out: &mut Vec<u8>) {
        out.extend(self.before.bytes());
        text.render(tag, out);
        out.extend(self.after.bytes());
    }
}
