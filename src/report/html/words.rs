//! Words of a story as markup: escaped, and with flags and figures that a browser does not break.
//!
//! Belongs here: what of a text is a flag, what a figure. Does not: what is said (`story`), how it looks (the
//! page's style).

use std::fmt::Write;

use minijinja::HtmlEscape;

/// The longest name that is kept on one line: more would not fit on a small screen.
const FLAG_BYTES_MAX: usize = 40;

/// The text escaped, each name of a flag in an element of its own: browsers break lines behind every hyphen,
/// and `--` alone at the end of a line is no flag.
pub(super) fn markup(text: &str) -> String {
    let (mut html, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("--") {
        let (before, from) = rest.split_at(at);
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let (name, behind) = from.split_at(from.bytes().take_while(of_name).count());
        let before = HtmlEscape(before);
        let written = match is_flag(name) {
            true => write!(html, r#"{before}<span class="flag">{name}</span>"#),
            false => write!(html, "{before}{name}"),
        };
        written.expect("memory takes every text");
        rest = behind;
    }
    write!(html, "{}", HtmlEscape(rest)).expect("memory takes every text");
    html
}

fn is_flag(name: &str) -> bool {
    name.len() <= FLAG_BYTES_MAX && name.as_bytes().get(2).is_some_and(u8::is_ascii_lowercase)
}

/// What may follow a figure and belongs to it.
const UNITS: [&str; 11] = ["ns", "µs", "ms", "s", "min", "h", "%", "B", "KiB", "MiB", "GiB"];

/// A sentence with figures in it (`5 001`, `32.2 ms`), each of which stays on one line.
pub(super) fn figures(text: &str) -> String {
    let mut bound = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_within = c == ' ' && bound.ends_with(|c: char| c.is_ascii_digit());
        bound.push(if is_within && goes_on(&text[at + 1..]) { '\u{a0}' } else { c });
    }
    bound
}

/// Whether this begins with the next three digits of a figure, or with its unit.
fn goes_on(rest: &str) -> bool {
    let ends = |c: char| c != '%' && c != '.' && !c.is_alphanumeric();
    let word = rest.split(ends).next().unwrap_or_default().trim_end_matches('.');
    let digits = word.split('.').next().unwrap_or_default();
    UNITS.contains(&word) || (digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_flag_is_one_piece_and_its_value_is_not() {
        let flag = |name: &str| format!(r#"<span class="flag">{name}</span>"#);
        for (text, html) in [
            ("longer --connect-timeout", format!("longer {}", flag("--connect-timeout"))),
            ("--rate 2k", format!("{} 2k", flag("--rate"))),
            ("--rate=<2k>", format!("{}=&lt;2k&gt;", flag("--rate"))),
            ("(--a, --b)", format!("({}, {})", flag("--a"), flag("--b"))),
            ("a -- b", "a -- b".to_owned()),
            ("-----", "-----".to_owned()),
            ("--", "--".to_owned()),
            ("ws://a-b/?<", "ws:&#x2f;&#x2f;a-b&#x2f;?&lt;".to_owned()),
        ] {
            assert_eq!(markup(text), html, "{text}");
        }
        let long = format!("--{}", "x".repeat(39));
        assert_eq!(markup(&long), long);
    }

    #[test]
    fn a_figure_and_its_unit_are_one_piece() {
        for (text, shown) in [
            ("of 3 055 reads", "of 3~055 reads"),
            ("late by 32.2 ms.", "late by 32.2~ms."),
            ("1 234 567.5 s, then", "1~234~567.5~s, then"),
            ("0.5 % of (12 KiB)", "0.5~% of (12~KiB)"),
            ("at 5 000/s", "at 5~000/s"),
            ("2 times in 10 sockets, 4 12 1000", "2 times in 10 sockets, 4 12 1000"),
            ("a s b 100", "a s b 100"),
            ("4 ", "4 "),
        ] {
            assert_eq!(figures(text).replace('\u{a0}', "~"), shown);
        }
    }

    proptest! {
        /// A browser undoes escapes and shows no tags.
        #[test]
        fn a_reader_sees_the_text_and_nothing_of_it_is_markup(text in "(.|--[a-z]{0,3}|<|&|\"){0,20}") {
            let html = markup(&text);
            let seen = html.replace(r#"<span class="flag">"#, "").replace("</span>", "");
            prop_assert_eq!(seen, HtmlEscape(&text).to_string());
        }
    }
}
