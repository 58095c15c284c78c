//! Sections of RFCs that are cited: they exist.
//!
//! Belongs here: the table of sections and finding what is cited. Does not: whether a section says what is claimed of
//! it, which a reader must look up.

use crate::source::Source;

/// RFCs and their sections. Of those of WebSocket all are listed; of others the ones that somebody here has read.
const SECTIONS: &[(&str, &str)] = &[
    ("3986", "3.4"),
    ("4231", "4.3"),
    ("4291", "2.6.1"),
    ("4519", "2"),
    ("4648", "4"),
    ("4737", "3 3.3 4.2.1"),
    ("5246", "6.2.3"),
    ("5280", "4.1.2.4"),
    ("6265", "6.1"),
    (
        "6455",
        "1 1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.8 1.9 2 2.1 3 4 4.1 4.2 4.2.1 4.2.2 4.3 4.4 5 5.1 5.2 5.3 5.4 5.5 5.5.1 \
         5.5.2 5.5.3 5.6 5.7 5.8 6 6.1 6.2 7 7.1 7.1.1 7.1.2 7.1.3 7.1.4 7.1.5 7.1.6 7.1.7 7.2 7.2.1 7.2.2 7.2.3 \
         7.3 7.4 7.4.1 7.4.2 8 8.1 8.2 9 9.1 9.2 10 10.1 10.2 10.3 10.4 10.5 10.6 10.7 10.8 11 11.1 11.1.1 11.1.2 \
         11.2 11.3 11.3.1 11.3.2 11.3.3 11.3.4 11.3.5 11.4 11.5 11.6 11.7 11.8 12 13 14 14.1 14.2",
    ),
    ("1951", "3.1.1 3.2.5"),
    (
        "7692",
        "1 2 3 4 5 5.1 5.2 6 6.1 6.2 7 7.1 7.1.1 7.1.1.1 7.1.1.2 7.1.2 7.1.2.1 7.1.2.2 7.1.3 7.2 7.2.1 7.2.2 7.2.3 \
         7.2.3.1 7.2.3.2 7.2.3.3 7.2.3.4 7.2.3.5 7.2.3.6 7.3 8 9 9.1 9.2 10 11 11.1 11.2",
    ),
    ("8259", "8.1"),
    ("8446", "5.1 5.2 5.5 6.2"),
    ("9110", "5.5 5.6.2 7.2 15.2"),
    ("9112", "7.1"),
];

/// Folders in which a section without an RFC is one of RFC 6455.
const OF_WEBSOCKET: [&str; 3] = ["src/wire/", "src/engine/", "src/cluster/"];

/// Sections that a file cites and no RFC has.
pub(crate) fn faults(source: &Source) -> Vec<String> {
    let text = if source.is_rust() { &source.comments } else { &source.text };
    let words: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .flat_map(|(line, text)| text.split_whitespace().map(move |word| (line + 1, word)))
        .filter(|(_, word)| !matches!(*word, "//" | "///" | "//!" | "#"))
        .collect();
    let is_websocket = OF_WEBSOCKET.iter().any(|folder| source.path.starts_with(folder));
    let mut found = Vec::new();
    for (at, (line, word)) in words.iter().enumerate() {
        if !matches!(word.trim_start_matches('('), "section" | "sections") {
            continue;
        }
        let before: Vec<&str> = words[..at].iter().rev().take(2).map(|(_, word)| *word).collect();
        let rfc = match before[..] {
            [number, kind] if kind.ends_with("RFC") => {
                number.trim_matches(|c: char| !c.is_ascii_digit())
            }
            _ if is_websocket => "6455",
            _ => continue,
        };
        for section in numbers(words[at + 1..].iter().map(|(_, word)| *word)) {
            if !exists(rfc, section) {
                found.push(format!(
                    "{}:{line}: RFC {rfc} has no section {section}, or nobody has looked: look it up, and put it \
                     into SECTIONS",
                    source.path
                ));
            }
        }
    }
    found
}

/// The numbers at the front of a list: `5.1, 5.2 and 5.5`.
fn numbers<'w>(words: impl Iterator<Item = &'w str>) -> Vec<&'w str> {
    let (mut found, mut goes_on) = (Vec::new(), true);
    for word in words {
        let number = word.trim_matches(|c: char| !c.is_ascii_digit());
        let is_number =
            !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        match word {
            "and" | "to" | "or" => goes_on = true,
            _ if goes_on && is_number => {
                found.push(number);
                goes_on = word.ends_with(',');
            }
            _ => break,
        }
    }
    found
}

fn exists(rfc: &str, section: &str) -> bool {
    let of = SECTIONS.iter().find(|(number, _)| *number == rfc);
    of.is_some_and(|(_, sections)| sections.split_whitespace().any(|known| known == section))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> usize {
        faults(&Source::new(path, text)).len()
    }

    #[test]
    fn a_section_that_no_rfc_has_is_found_however_it_is_cited() {
        for (path, text, faults) in [
            ("src/a.rs", "// RFC 6455, section 5.9: no", 1),
            ("src/a.rs", "/// RFC 6455\n/// (section 5.5.3)", 0),
            ("src/a.rs", "/// RFC 6455\n/// (section 5.5.4).", 1),
            ("src/a.rs", "// as RFC 6455 sections 5.1, 5.2 and 5.10 say", 1),
            ("src/a.rs", "// RFC 7692, section 7.2.1 and RFC 9999, section 1", 1),
            ("src/a.rs", "let text = \"RFC 6455, section 99\";", 0),
            ("src/wire/a.rs", "// A masked frame (section 5.99).", 1),
            ("src/load/a.rs", "// MQTT 3.1.1, section 99", 0),
            ("docs/a.md", "RFC 6455, section 5.5.", 0),
            ("docs/a.md", "(RFC 6455, section 15)", 1),
        ] {
            assert_eq!(told(path, text), faults, "{text}");
        }
    }
}
