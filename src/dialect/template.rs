//! An application message with a place for the text.
//!
//! Belongs here: the arithmetic that lets a finished frame be patched. Does not: what may stand in a
//! message beside the text (`dialect::pattern`), the text (`dialect::text`), the frame around the message
//! (`wire::encode`).

use super::pattern::{Marks, Pattern, Place, Values};
use super::tag::Tag;
use super::text::TextShape;

/// A pattern with exactly one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Pattern);

/// What differs from message to message of a sender: where, and how long all of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Bytes of every message of this sender.
    pub len: usize,
    /// The tag begins here.
    pub tag: usize,
    /// Numbers of ten digits begin here.
    pub seq: Vec<usize>,
}

impl Template {
    /// A message, unless there is no text in it, or more than one: then how many.
    pub(super) fn new(pattern: Pattern) -> Result<Self, usize> {
        match pattern.count(&Place::Text) {
            1 => Ok(Self(pattern)),
            found => Err(found),
        }
    }

    /// Appends the message that carries `tag`.
    pub fn render(&self, shape: &TextShape, tag: Tag, out: &mut Vec<u8>) {
        self.write(shape, tag, out);
    }

    fn write(&self, shape: &TextShape, tag: Tag, out: &mut Vec<u8>) -> Marks {
        let socket = tag.sender.into();
        let values = Values { socket, message: Some((shape, tag)), ..Values::default() };
        self.0.render(&values, out)
    }

    /// What is the same for all messages of `sender` around texts of `shape`: the tag and every number are
    /// of fixed width.
    pub fn places(&self, shape: &TextShape, sender: u16) -> Places {
        let mut message = Vec::new();
        let Marks { text, seq } =
            self.write(shape, Tag { run: 0, sender, sequence: 0 }, &mut message);
        let text = text.expect("a template has a text");
        Places { len: message.len(), tag: text + shape.tag_offset(), seq }
    }

    /// Bytes of a message of any sender at most: `{socket}` has more digits for some.
    pub fn message_len(&self, shape: &TextShape) -> usize {
        self.places(shape, u16::MAX).len
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::dialect::pattern::{Position, Reader, seq_digits};

    const TAG: Tag = Tag { run: 1, sender: 2, sequence: 3 };

    fn template(written: &str) -> Result<Template, usize> {
        let reader = Reader {
            parameters: &BTreeMap::new(),
            environment: &|_| None,
            position: Position::Message,
            captured: &[],
            is_text: false,
        };
        Template::new(reader.read(written).expect("right places"))
    }

    fn rendered(written: &str, payload_bytes: usize) -> String {
        let template = template(written).expect("one {text}");
        let shape = TextShape::new(payload_bytes).expect("large enough");
        let mut message = b"kept ".to_vec();
        template.render(&shape, TAG, &mut message);
        let message = message.split_off(5);
        let places = template.places(&shape, TAG.sender);
        assert_eq!(message.len(), places.len);
        assert_eq!(Tag::decode(&message[places.tag..]), Ok(TAG));
        String::from_utf8(message).expect("templates are text")
    }

    #[test]
    fn the_text_and_its_length_stand_where_the_template_says() {
        let message = rendered("PUB chat {len}\r\n{text}\r\n{len}{len}", 30);
        assert!(message.starts_with("PUB chat 30\r\nage fs"));
        assert!(message.ends_with("\r\n3030"));
    }

    #[test]
    fn braces_of_json_are_literal() {
        let message = rendered(r#"{"a":{"t":"{text}"},"b":{}}"#, 26);
        let parsed: serde_json::Value = serde_json::from_str(&message).unwrap();
        assert_eq!(parsed["a"]["t"].as_str().map(str::len), Some(26));
    }

    #[test]
    fn a_template_without_exactly_one_text_is_refused_with_the_count() {
        assert_eq!(template("hello {len} {bytes:{text}}"), Err(0));
        assert_eq!(template("{text}{mqtt:{text}}"), Err(2));
    }

    proptest! {
        /// A finished frame is patched where it differs from the next one, and nowhere else: the twin is
        /// rendered anew.
        #[test]
        fn messages_of_a_sender_differ_in_tag_and_number_alone(
            pieces in prop::collection::vec(0_usize..6, 0..8),
            sender: u16,
            sequences in prop::array::uniform2(0_u64..u32::MAX.into()),
            payload_bytes in 26_usize..300,
        ) {
            const PIECES: [&str; 6] = ["{seq}", "{socket}", "{len}", "{\"a\":1}", "{bytes:{seq}{text}}", "é"];
            let before: String = pieces.iter().map(|&piece| PIECES[piece]).collect();
            let template = template(&format!("{before}{{mqtt:{before}{{text}}}}{before}")).unwrap();
            let shape = TextShape::new(payload_bytes).unwrap();
            let tags = sequences.map(|sequence| Tag { run: 7, sender, sequence });
            let [mut first, second] = tags.map(|tag| {
                let mut message = Vec::new();
                template.render(&shape, tag, &mut message);
                message
            });
            let places = template.places(&shape, sender);
            first[places.tag..][..26].copy_from_slice(&tags[1].encode());
            for at in places.seq {
                first[at..at + 10].copy_from_slice(&seq_digits(tags[1].sequence));
            }
            prop_assert!(template.message_len(&shape) >= first.len());
            prop_assert_eq!(first.len(), places.len);
            prop_assert_eq!(first, second);
        }
    }
}
