//! What a given cluster says inside frames, and the tag that marks a message.
//!
//! Belongs here: openings, message templates, tags, and what a received message means. Does not:
//! framing (`wire`), attribution of a copy to a stream (`measure`).
//!
//! A dialect is data: what a later protocol needs is a new value, not new code.

pub mod correlation;
mod json_objects;
mod layout;
#[cfg(test)]
mod naive;
pub mod opening;
mod payload_search;
pub mod recognized;
pub mod scan;
pub mod stencil;
pub mod tag;
pub mod template;
pub mod text;
pub mod upgrade;

use std::borrow::Cow;

pub use correlation::CorrelationId;
pub use opening::Opening;
pub use recognized::Recognized;
pub use scan::Scanner;
pub use stencil::Reading;
pub use tag::{TAG_LEN, Tag};
pub use template::{Template, TemplateError};
pub use text::TextShape;
pub use upgrade::Upgrade;

/// A cluster's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What a person calls it: `--dialect NAME`.
    pub name: Cow<'static, str>,
    /// What it wants of the HTTP upgrade.
    pub upgrade: Upgrade,
    /// What passes before the socket is ready.
    pub opening: Opening,
    /// One pushed message.
    pub template: Template,
    /// Whether messages travel as text or as binary.
    pub kind: MessageKind,
    /// By what a copy without text is attributed; `None` where every copy carries its text.
    pub correlation: Option<Correlation>,
    /// Copies may come back as the other kind of message.
    pub any_kind: bool,
}

/// The type of data frame that messages travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

/// How to read a cluster's own ids: JSON objects that hold `id_key` directly are copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlation {
    /// The key whose value (a string or a number) names a message.
    pub id_key: Cow<'static, str>,
    /// The key whose value is the text. An object that has it without a tag of ours is somebody
    /// else's message; one that lacks it is a copy known by its id alone.
    pub text_key: Cow<'static, str>,
}

/// No dialect goes by that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--dialect `{name}` is unknown: use one of {}", Dialect::NAMES.join(", "))]
pub struct UnknownDialect {
    name: String,
}

impl Dialect {
    /// The names of the built-in dialects, the default first.
    pub const NAMES: [&str; 2] = ["dsatter", "raw"];

    /// The chat cluster `kordaniel/dsatter`: JSON in text frames, and on every node but the pushed
    /// one a copy is its `messageId` alone.
    pub fn dsatter() -> Self {
        Self {
            name: "dsatter".into(),
            upgrade: Upgrade::default(),
            opening: Opening::default(),
            template: built_in(concat!(
                r#"{"type":"newMessageFromClient","payload":"#,
                r#"{"text":"{text}","sender":"fanstorm","chatId":11}}"#,
            )),
            kind: MessageKind::Text,
            correlation: Some(Correlation { id_key: "messageId".into(), text_key: "text".into() }),
            any_kind: false,
        }
    }

    /// The text alone, as echo and broadcast servers pass it on: many of them as the bytes that they
    /// heard, and so as a binary message (npm `ws` does unless told otherwise). The tag proves that
    /// it is ours.
    pub fn raw() -> Self {
        Self {
            name: "raw".into(),
            upgrade: Upgrade::default(),
            opening: Opening::default(),
            template: built_in("{text}"),
            kind: MessageKind::Text,
            correlation: None,
            any_kind: true,
        }
    }

    /// The built-in dialect called `name`.
    ///
    /// # Errors
    /// [`UnknownDialect`], which lists the names.
    pub fn by_name(name: &str) -> Result<Self, UnknownDialect> {
        match name {
            "dsatter" => Ok(Self::dsatter()),
            "raw" => Ok(Self::raw()),
            _ => Err(UnknownDialect { name: name.to_owned() }),
        }
    }

    /// The same messages as binary; copies may come back as text.
    pub fn in_binary(self) -> Self {
        Self { kind: MessageKind::Binary, any_kind: true, ..self }
    }

    /// Copies may carry an id alone.
    pub const fn correlates(&self) -> bool {
        self.correlation.is_some()
    }

    /// Whether copies may be in a message of this kind; any other is not ours.
    pub fn hears(&self, kind: MessageKind) -> bool {
        self.any_kind || kind == self.kind
    }

    /// Appends the message that carries `tag`.
    pub fn render(&self, shape: &TextShape, tag: Tag, out: &mut Vec<u8>) {
        self.template.render(shape, tag, out);
    }

    /// Bytes of every message around texts of `shape`.
    pub fn message_len(&self, shape: &TextShape) -> usize {
        self.template.message_len(shape)
    }

    /// Where in a message the tag begins, so that a finished frame can be patched.
    pub fn tag_offset_in_message(&self, shape: &TextShape) -> usize {
        self.template.tag_offset(shape)
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::dsatter()
    }
}

fn built_in(template: &str) -> Template {
    Template::parse(template).expect("a built-in template has one {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag { run: 0xdead_beef, sender: 1, sequence: 9 };

    fn rendered(dialect: &Dialect, shape: &TextShape) -> Vec<u8> {
        let mut message = Vec::new();
        dialect.render(shape, TAG, &mut message);
        message
    }

    #[test]
    fn every_name_leads_to_its_dialect_and_others_to_the_list() {
        for name in Dialect::NAMES {
            assert_eq!(Dialect::by_name(name).map(|dialect| dialect.name), Ok(name.into()));
        }
        assert_eq!(Dialect::default().name, Dialect::NAMES[0]);
        let unknown = Dialect::by_name("nats").unwrap_err().to_string();
        assert_eq!(unknown, "--dialect `nats` is unknown: use one of dsatter, raw");
    }

    #[test]
    fn lengths_and_offsets_are_those_of_the_rendered_message() {
        for name in Dialect::NAMES {
            let dialect = Dialect::by_name(name).unwrap();
            for payload_bytes in [26, 27, 43, 44, 150, 5000] {
                let shape = TextShape::new(payload_bytes).unwrap();
                let message = rendered(&dialect, &shape);
                assert_eq!(message.len(), dialect.message_len(&shape));
                let tag_at = dialect.tag_offset_in_message(&shape);
                assert_eq!(Tag::decode(&message[tag_at..]), Ok(TAG));
            }
        }
    }

    #[test]
    fn dsatter_is_pushed_as_its_clients_push() {
        let message = rendered(&Dialect::dsatter(), &TextShape::new(150).unwrap());
        let text = String::from_utf8(rendered(&Dialect::raw(), &TextShape::new(150).unwrap()));
        let expected = serde_json::json!({
            "type": "newMessageFromClient",
            "payload": {"text": text.unwrap(), "sender": "fanstorm", "chatId": 11},
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&message).unwrap(), expected);
    }
}
