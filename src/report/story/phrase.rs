//! Words and figures side by side, each figure as a value of its kind.
//!
//! Belongs here: the kinds, and how phrases are put together. Does not: how a figure is written (units,
//! digits, escapes), which is each format's own.

use std::borrow::Cow;

use crate::report::document::figures::{micros, seconds};
use crate::report::sanitize::UntrustedText;
use crate::units::{Bytes, Count, Nanos, Rate};

/// One piece of a phrase.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Our own words.
    Words(Cow<'static, str>),
    /// Text of a node, a host, or a file that a stranger sent.
    Untrusted(UntrustedText),
    /// What identifies something: a node, a socket, a CPU, a seed.
    Number(u64),
    /// How many.
    Count(u64),
    /// A measured duration.
    Duration(Nanos),
    /// A duration that somebody set.
    Limit(Nanos),
    /// A size.
    Bytes(Bytes),
    /// How many in a second, written with its unit.
    Rate(Rate),
    /// How many in a second, where the words beside it name the unit.
    PerSecond(f64),
    /// A part of 1.
    Share(f64),
    /// By which part of it something is more or less: 0.1 for a tenth more.
    Change(f64),
    /// A mean of counts.
    Average(f64),
    /// Not measured, or of too few samples to say.
    Unknown,
}

impl Value {
    /// A measured duration of a document, in microseconds.
    pub(super) fn micros(figure: Option<f64>) -> Self {
        figure.map_or(Self::Unknown, |figure| Self::Duration(micros(figure)))
    }

    /// A measured duration of a document, in seconds.
    pub(super) fn seconds(figure: Option<f64>) -> Self {
        figure.map_or(Self::Unknown, |figure| Self::Duration(seconds(figure)))
    }

    /// A measured duration of a document, in nanoseconds.
    pub(super) fn nanos(figure: Option<f64>) -> Self {
        figure.map_or(Self::Unknown, |figure| Self::Duration(Nanos(figure.round() as u64)))
    }

    /// A duration of a document that somebody set, in seconds.
    pub(super) fn limit(figure: f64) -> Self {
        Self::Limit(seconds(figure))
    }
}

/// Words and figures, in order; spaces are among the words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phrase(Vec<Value>);

impl Phrase {
    /// Its pieces.
    pub fn values(&self) -> &[Value] {
        &self.0
    }

    /// Nothing to say.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Goes on with `more`.
    pub(super) fn push(&mut self, more: impl Into<Self>) {
        self.0.extend(more.into().0);
    }

    /// Phrases with words between them.
    pub(super) fn joined(parts: impl IntoIterator<Item = Self>, between: &'static str) -> Self {
        let mut joined = Self::default();
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                joined.push(between);
            }
            joined.push(part);
        }
        joined
    }
}

impl From<Value> for Phrase {
    fn from(value: Value) -> Self {
        Self(vec![value])
    }
}

impl From<&'static str> for Phrase {
    fn from(words: &'static str) -> Self {
        Self(if words.is_empty() { Vec::new() } else { vec![Value::Words(words.into())] })
    }
}

impl From<&UntrustedText> for Phrase {
    fn from(text: &UntrustedText) -> Self {
        Value::Untrusted(text.clone()).into()
    }
}

impl From<Count> for Phrase {
    fn from(count: Count) -> Self {
        Value::Count(count.0).into()
    }
}

impl From<Nanos> for Phrase {
    fn from(duration: Nanos) -> Self {
        Value::Duration(duration).into()
    }
}

impl From<Bytes> for Phrase {
    fn from(bytes: Bytes) -> Self {
        Value::Bytes(bytes).into()
    }
}

impl From<Rate> for Phrase {
    fn from(rate: Rate) -> Self {
        Value::Rate(rate).into()
    }
}

impl From<Option<Self>> for Phrase {
    fn from(phrase: Option<Self>) -> Self {
        phrase.unwrap_or_default()
    }
}

/// `phrase!["all ", Count(12), " copies came"]`.
macro_rules! phrase {
    ($($part:expr),* $(,)?) => {{
        let mut phrase = $crate::report::story::phrase::Phrase::default();
        $(phrase.push($part);)*
        phrase
    }};
}

pub(super) use phrase;

/// `1 socket`, `2 sockets`.
pub(super) fn counted(count: u64, one: &'static str, many: &'static str) -> Phrase {
    phrase![Count(count), " ", if count == 1 { one } else { many }]
}
