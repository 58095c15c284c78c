//! Samples as lines: names, labels and numbers, which both formats write alike.
//!
//! Belongs here: a line and its escapes. Does not: which samples there are (`family`).

use std::borrow::Cow;
use std::fmt::Write as _;

use super::buckets::Buckets;
use super::seconds;

/// A value of a sample.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Count(u64),
    Float(f64),
}

impl From<u64> for Number {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<bool> for Number {
    fn from(holds: bool) -> Self {
        Self::Count(holds.into())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// The samples of one family.
pub(super) struct Samples<'a> {
    pub(super) name: &'static str,
    pub(super) suffix: &'static str,
    pub(super) out: &'a mut String,
}

impl Samples<'_> {
    /// One sample.
    pub(super) fn put(&mut self, labels: Labels<'_>, value: impl Into<Number>) {
        self.line(self.suffix, labels, None, value.into());
    }

    /// A histogram.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, buckets: &Buckets) {
        for (bound, count) in buckets.cumulative() {
            self.line("_bucket", labels, Some(&float(seconds(bound))), count.into());
        }
        let count = buckets.count().into();
        self.line("_bucket", labels, Some("+Inf"), count);
        self.line("_count", labels, None, count);
        self.line("_sum", labels, None, buckets.sum_s().into());
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, le: Option<&str>, value: Number) {
        let Self { name, out, .. } = self;
        let _ = write!(out, "{name}{suffix}");
        let all = labels.iter().copied().chain(le.map(|le| ("le", le)));
        for (place, (label, text)) in all.clone().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let _ = write!(out, "{before}{label}=\"{}\"", escaped(text));
        }
        let close = if all.count() == 0 { "" } else { "}" };
        let _ = match value {
            Number::Count(count) => writeln!(out, "{close} {count}"),
            Number::Float(value) => writeln!(out, "{close} {}", float(value)),
        };
    }
}

/// What a label holds: any text, with these three written otherwise.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '"', '\n']) {
        return text.into();
    }
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n").into()
}

/// As the specification has it: `100.0`, `0.025`, `1.6e-05`.
fn float(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-4 {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once("e-").expect("it is small");
        return format!("{digits}e-{exponent:0>2}");
    }
    if value.fract() == 0.0 { format!("{value:.1}") } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_specification_has_them() {
        let written = [
            (0.0, "0.0"),
            (1e-5, "1e-05"),
            (1.6e-5, "1.6e-05"),
            (1e-10, "1e-10"),
            (1e-4, "0.0001"),
            (0.025, "0.025"),
            (100.0, "100.0"),
            (1.7, "1.7"),
        ];
        for (value, text) in written {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn no_text_in_a_label_ends_it() {
        assert_eq!(escaped("ws://a/\"}\n\\x"), r#"ws://a/\"}\n\\x"#);
        assert_eq!(escaped("ws://a/ü"), "ws://a/ü");
    }
}
