//! What is wrong with a dialect file, and where.
//!
//! Belongs here: places as a person counts them, and the words. Does not: finding faults (`dialect::file`).

use std::ops::Range;

use crate::wire::excerpt::excerpt;

/// Why a dialect file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Something in it is wrong.
    #[error("{file}:{line}:{column}: {what}")]
    At {
        /// As it was named.
        file: String,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// The offending text, and what would be right.
        what: String,
    },
    /// `--set` asks for a variable that is not there.
    #[error("--set {name}: the environment has no variable `{variable}`: export it")]
    NoVariable {
        /// The parameter.
        name: String,
        /// What its value names.
        variable: String,
    },
    /// `--set` names what it has not.
    #[error("--set {name}=…: {dialect} has no parameter `{name}`: {known}")]
    NoParameter {
        /// As it was named.
        name: String,
        /// The file.
        dialect: String,
        /// Those that it has.
        known: String,
    },
}

/// The same on one line, with nothing in it that a terminal obeys: words may repeat what TOML escapes stand for.
fn harmless(what: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_debug().collect(),
        false => c.to_string(),
    };
    what.chars().map(shown).collect()
}

/// A file, for pointing at places in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Text<'_> {
    /// `what` is wrong with the bytes of `span`.
    pub(super) fn wrong(&self, span: &Range<usize>, what: &str) -> FileError {
        let start = self.whole(span.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let offending = &self.text[start..self.whole(span.end).max(start)];
        let offending = offending.lines().next().unwrap_or_default().trim_end();
        let offending = match offending {
            "" => self.text[line_start..].lines().next().unwrap_or_default().trim(),
            offending => offending,
        };
        // Much of what comes from the reader of TOML has it in its words.
        let what = match what.contains(&format!("`{offending}`")) || offending.is_empty() {
            true => what.to_owned(),
            false => format!("{}: {what}", excerpt(offending.as_bytes())),
        };
        FileError::At {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            what: harmless(&what),
        }
    }

    /// `what` is wrong with the `nth` piece (from 0) that reads `token` within the bytes of `span`; with all
    /// of them where escapes write it in another way.
    pub(super) fn wrong_token(
        &self,
        span: &Range<usize>,
        (token, nth): (&str, usize),
        what: &str,
    ) -> FileError {
        let within = self.text.get(span.clone()).unwrap_or_default();
        match within.match_indices(token).nth(nth).filter(|_| !token.is_empty()) {
            Some((at, _)) => {
                let start = span.start + at;
                self.wrong(&(start..start + token.len()), what)
            }
            None => self.wrong(span, &format!("{}: {what}", excerpt(token.as_bytes()))),
        }
    }

    /// What the reader of TOML says.
    pub(super) fn refused(&self, error: &toml::de::Error) -> FileError {
        let what = error.message().replace("unknown field", "unknown key");
        let what = what.replace("missing field", "missing key").replace("\n", ": ");
        let several = "there may be several: write [[…]] as its heading, or [{ … }, …]";
        let what = what.replace("invalid type: map, expected a sequence", several);
        self.wrong(&error.span().unwrap_or(0..0), &what)
    }

    /// The place at or before `at` where a character begins.
    fn whole(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        (0..=at).rev().find(|&at| self.text.is_char_boundary(at)).unwrap_or_default()
    }
}
