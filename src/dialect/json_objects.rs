//! The objects in a JSON message that stand for one copy each.
//!
//! Belongs here: where such an object begins and ends, and its id. Does not: its text
//! (`dialect::scan`). It is no JSON parser: it knows strings from structure and nothing more,
//! takes any bytes, and allocates nothing.

use std::ops::Range;

use memchr::{memchr2, memchr3};

use crate::dialect::Correlation;

/// Objects nested deeper than this are not looked into: chat frames nest three deep.
const DEPTH_MAX: usize = 64;

/// An object that holds the id key directly and has no such object inside it. (One that has is an
/// envelope: its id names the delivery, not a message.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// From its opening brace to after its closing one.
    pub(super) span: Range<usize>,
    /// The id's bytes within the message.
    pub(super) id: Range<usize>,
    /// Whether it holds the text key directly.
    pub(super) has_text: bool,
}

/// Finds elements; keeps its stack between messages.
#[derive(Debug)]
pub(super) struct JsonObjects {
    correlation: Correlation,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    start: usize,
    id: Option<Range<usize>>,
    has_text: bool,
    has_element: bool,
}

impl JsonObjects {
    pub(super) fn new(correlation: &Correlation) -> Self {
        Self { correlation: correlation.clone(), open: Vec::with_capacity(DEPTH_MAX) }
    }

    /// Visits the elements in order of their ends; they do not overlap.
    pub(super) fn walk(&mut self, message: &[u8], mut visit: impl FnMut(Element)) {
        self.open.clear();
        let mut at = 0;
        while let Some(step) = next_mark(&message[at..]) {
            let mark = at + step;
            at = mark + 1;
            match message[mark] {
                b'{' if self.open.len() == DEPTH_MAX => return,
                b'{' => self.open.push(Open {
                    start: mark,
                    id: None,
                    has_text: false,
                    has_element: false,
                }),
                b'}' => self.close(at, &mut visit),
                _ => at = self.string(message, at),
            }
        }
    }

    fn close(&mut self, end: usize, visit: &mut impl FnMut(Element)) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        let mut has_element = closed.has_element;
        if let (Some(id), false) = (closed.id, has_element) {
            visit(Element { span: closed.start..end, id, has_text: closed.has_text });
            has_element = true;
        }
        if let Some(parent) = self.open.last_mut() {
            parent.has_element |= has_element;
        }
    }

    /// Passes over the string that begins at `start` and notes it if it is one of our keys.
    fn string(&mut self, message: &[u8], start: usize) -> usize {
        let Some(end) = string_end(message, start) else {
            return message.len();
        };
        let after = end + 1;
        let content = &message[start..end];
        let Some(object) = self.open.last_mut() else {
            return after;
        };
        if content == self.correlation.id_key.as_bytes() {
            if let Some(value_at) = value_start(message, after) {
                object.id = scalar(message, value_at);
            }
        } else if content == self.correlation.text_key.as_bytes() {
            object.has_text |= value_start(message, after).is_some();
        }
        after
    }
}

/// Where the value begins if what follows a string is a colon, which makes the string a key.
pub(super) fn value_start(message: &[u8], after_key: usize) -> Option<usize> {
    let colon = skip_whitespace(message, after_key);
    (message.get(colon) == Some(&b':')).then(|| skip_whitespace(message, colon + 1))
}

/// The bytes of a string without its quotes, or of a number. Anything else is no id.
fn scalar(message: &[u8], at: usize) -> Option<Range<usize>> {
    let range = match message.get(at)? {
        b'"' => at + 1..string_end(message, at + 1)?,
        b'-' | b'0'..=b'9' => {
            let digits = message[at..].iter().take_while(|byte| is_number_byte(**byte)).count();
            at..at + digits
        }
        _ => return None,
    };
    (!range.is_empty()).then_some(range)
}

fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn skip_whitespace(message: &[u8], at: usize) -> usize {
    let rest = message.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// The closing quote of the string whose content begins at `start`.
fn string_end(message: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += next_quote(message.get(at..)?)?;
        if message[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Keys, short values and what lies between them end within this many bytes; up to there a plain
/// loop is faster than the start of a vector search.
const SHORT: usize = 16;

#[inline]
fn next_quote(bytes: &[u8]) -> Option<usize> {
    let (short, long) = bytes.split_at(SHORT.min(bytes.len()));
    let near = short.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    near.or_else(|| Some(SHORT + memchr2(b'"', b'\\', long)?))
}

#[inline]
fn next_mark(bytes: &[u8]) -> Option<usize> {
    let (short, long) = bytes.split_at(SHORT.min(bytes.len()));
    let near = short.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}'));
    near.or_else(|| Some(SHORT + memchr3(b'"', b'{', b'}', long)?))
}
