//! An application message with a place for the text.
//!
//! Belongs here: `{text}`, `{len}`, and the arithmetic that lets a finished frame be patched.
//! Does not: the text (`dialect::text`), the frame around the message (`wire::encode`).

use super::tag::Tag;
use super::text::TextShape;

/// Literal bytes around exactly one text; `{len}` stands for the text's length in decimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    before: Vec<Part>,
    after: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    TextLen,
}

/// A template must say where the text goes, once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template `{template}` has {found} places for {{text}}: it needs exactly one")]
pub struct TemplateError {
    template: String,
    found: usize,
}

impl Template {
    /// Reads a template as a dialect file writes it. Braces other than those of `{text}` and
    /// `{len}` are literal, so JSON needs no escaping.
    ///
    /// # Errors
    /// [`TemplateError`] unless `{text}` occurs exactly once.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        let found = template.matches("{text}").count();
        match template.split_once("{text}") {
            Some((before, after)) if found == 1 => {
                Ok(Self { before: parts(before), after: parts(after) })
            }
            _ => Err(TemplateError { template: template.to_owned(), found }),
        }
    }

    /// Appends the message that carries `tag`.
    pub fn render(&self, shape: &TextShape, tag: Tag, out: &mut Vec<u8>) {
        render_parts(&self.before, shape, out);
        shape.render(tag, out);
        render_parts(&self.after, shape, out);
    }

    /// Bytes of every message around texts of `shape`: the tag is of fixed width.
    pub fn message_len(&self, shape: &TextShape) -> usize {
        parts_len(&self.before, shape) + shape.len() + parts_len(&self.after, shape)
    }

    /// Where in the message the tag begins.
    pub fn tag_offset(&self, shape: &TextShape) -> usize {
        parts_len(&self.before, shape) + shape.tag_offset()
    }
}

fn parts(literal: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, piece) in literal.split("{len}").enumerate() {
        if index > 0 {
            parts.push(Part::TextLen);
        }
        if !piece.is_empty() {
            parts.push(Part::Literal(piece.to_owned()));
        }
    }
    parts
}

fn render_parts(parts: &[Part], shape: &TextShape, out: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
            Part::TextLen => out.extend_from_slice(shape.len().to_string().as_bytes()),
        }
    }
}

fn parts_len(parts: &[Part], shape: &TextShape) -> usize {
    let mut rendered = Vec::new();
    render_parts(parts, shape, &mut rendered);
    rendered.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag { run: 1, sender: 2, sequence: 3 };

    fn rendered(template: &str, payload_bytes: usize) -> String {
        let template = Template::parse(template).expect("one {text}");
        let shape = TextShape::new(payload_bytes).expect("large enough");
        let mut message = b"kept ".to_vec();
        template.render(&shape, TAG, &mut message);
        let message = message.split_off(5);
        assert_eq!(message.len(), template.message_len(&shape));
        assert_eq!(Tag::decode(&message[template.tag_offset(&shape)..]), Ok(TAG));
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
        let none = Template::parse("hello {len}").unwrap_err().to_string();
        assert_eq!(
            none,
            "the template `hello {len}` has 0 places for {text}: it needs exactly one"
        );
        assert_eq!(Template::parse("{text}{text}").unwrap_err().found, 2);
    }
}
