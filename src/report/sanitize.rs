//! Text from elsewhere, as it may be shown: on one line, and with nothing that a terminal obeys.
//!
//! Belongs here: what is escaped, and the type of such text in a document. Does not: our own words, and
//! our own colours (`format`).
//!
//! A node words its close reasons and status lines, a stranger the result file that one is sent: an
//! escape sequence in them could retitle a terminal, a carriage return or a bidirectional override could
//! make a line say what it does not.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Text of a document. Files carry it as it is; what is shown of it is [`plain`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UntrustedText(String);

impl UntrustedText {
    /// As it is: to compare, never to show.
    pub fn raw(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for UntrustedText {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&plain(&self.0))
    }
}

/// In a file it is a text like any other.
impl JsonSchema for UntrustedText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// The text with escapes (`\u{1b}`, `\n`) in place of what is no visible character.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unseen(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The same for our own words of several lines, with text from elsewhere among them.
pub fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Control characters of ASCII and Latin-1, and what changes the order of letters, ends lines, or has no
/// width (Unicode UAX 9 and UAX 14).
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use crate::report::sanitize::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_all_else_is_left_alone() {
        for (text, shown) in [
            ("1001 going away", "1001 going away"),
            ("größer → 好 🦀 \\n", "größer → 好 🦀 \\n"),
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("a\r\nb\tc\x08", "a\\r\\nb\\tc\\u{8}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
        ] {
            assert_eq!(plain(text), shown);
            assert_eq!(UntrustedText::from(text).to_string(), shown);
        }
    }

    #[test]
    fn our_own_lines_stay_lines() {
        assert_eq!(plain_lines("one\x1b\r\n2 of 3"), "one\\u{1b}\n2 of 3");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_shown() {
        assert_eq!(format!("{:<6}|", UntrustedText::from("\r")), "\\r    |");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_shown_the_same_again(text: String) {
            let once = plain(&text).into_owned();
            prop_assert!(!once.contains(char::is_control));
            prop_assert_eq!(plain(&once), once.as_str());
        }

        #[test]
        fn files_carry_it_as_it_is(text: String) {
            let json = serde_json::to_string(&UntrustedText::from(text.as_str())).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
            let back: UntrustedText = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(back.raw(), text);
        }
    }
}
