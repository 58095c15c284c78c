//! What a given cluster says inside frames, and the tag that marks a message.
//!
//! Belongs here: openings, message templates, tags, and what a received message means. Does not:
//! framing (`wire`), attribution of a copy to a stream (`measure`).
//!
//! A dialect is data, read from a file (`file`): what a later protocol needs is a new file, not new code.

pub mod builtin;
pub mod correlation;
pub mod file;
mod json_objects;
mod layout;
pub mod matching;
#[cfg(test)]
mod naive;
pub mod opening;
pub mod pattern;
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
use file::Source;
pub use matching::Matching;
pub use opening::Opening;
pub use recognized::Recognized;
pub use scan::Scanner;
pub use stencil::Reading;
pub use tag::{TAG_LEN, Tag};
pub use template::{Places, Template};
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
    /// Only these messages may be copies; all, where there are none.
    pub copies: Option<Matching>,
    /// A socket hears what it has pushed.
    pub hears_own: bool,
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

impl Dialect {
    /// The chat cluster `kordaniel/dsatter`: JSON in text frames, and on every node but the pushed
    /// one a copy is its `messageId` alone.
    pub fn dsatter() -> Self {
        Self::built_in("dsatter")
    }

    /// The text alone, as echo and broadcast servers pass it on: many of them as the bytes that they
    /// heard, and so as a binary message. The tag proves that it is ours.
    pub fn raw() -> Self {
        Self::built_in("raw")
    }

    /// # Panics
    /// There is no built-in file of that name: a test reads them all.
    fn built_in(name: &str) -> Self {
        let file = builtin::ALL.iter().find(|file| file.name == name).expect("a file of that name");
        let source = Source { file: name, text: file.text, settings: &[], environment: &|_| None };
        file::read(&source).expect("built-in files are right")
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

    /// Bytes of a message around a text of `shape`, of any sender at most.
    pub fn message_len(&self, shape: &TextShape) -> usize {
        self.template.message_len(shape)
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::dsatter()
    }
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
    fn every_built_in_file_is_a_dialect_of_that_name() {
        for file in builtin::ALL {
            assert_eq!(Dialect::built_in(file.name).name, file.name);
        }
        assert_eq!(Dialect::default().name, builtin::ALL[0].name);
    }

    /// Byte by byte what was pushed before dialects were files.
    #[test]
    fn messages_of_the_built_in_dialects_are_what_they_always_were() {
        let shape = TextShape::new(43).unwrap();
        let text = "fanstorm message fsdeadbeef0001000000000924";
        assert_eq!(rendered(&Dialect::raw(), &shape), text.as_bytes());
        let head = r#"{"type":"newMessageFromClient","payload":{"text":""#;
        let whole = format!(r#"{head}{text}","sender":"fanstorm","chatId":11}}}}"#);
        assert_eq!(rendered(&Dialect::dsatter(), &shape), whole.as_bytes());
        let (dsatter, raw) = (Dialect::dsatter(), Dialect::raw());
        assert_eq!((dsatter.kind, dsatter.any_kind), (MessageKind::Text, false));
        assert_eq!((raw.kind, raw.any_kind, raw.correlation), (MessageKind::Text, true, None));
        let keys = Correlation { id_key: "messageId".into(), text_key: "text".into() };
        assert_eq!(dsatter.correlation, Some(keys));
        let none = Upgrade::default();
        assert_eq!((&dsatter.upgrade, &raw.upgrade), (&none, &none));
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
