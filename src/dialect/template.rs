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
            Some((before, after)) if found == 1 => Ok(Self {
                before: parts(before),
                after: parts(after),
            }),
            _ => Err(TemplateError {
                template: template.to_owned(),
                found,
            }),
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
