//! Public items that nothing uses.
//!
//! Belongs here: the one question that the compiler does not ask of a library, where whatever is `pub` may be
//! somebody's. Does not: private items, of which rustc warns.
//!
//! An item is used where its name occurs a second time, in shipped code or in an integration test or bench. Two
//! items of one name hide each other: the rule finds most of what is unused, and what it finds is unused.

use std::collections::BTreeMap;

use crate::source::{Source, Token, tokens};

const KINDS: [&str; 7] = ["fn", "struct", "enum", "const", "static", "trait", "type"];

/// What waits for its first use, and why it is there already. An entry goes when it is used.
pub(crate) const WAITING: &[(&str, &str)] = &[];

/// Where an item is defined.
struct Item {
    file: String,
    line: usize,
    kind: String,
}

/// Public items under `src/` that no shipped code and no test of the program names.
pub(crate) fn unused(sources: &[Source], waiting: &[(&str, &str)]) -> Vec<String> {
    let (mut items, mut named) = (Vec::new(), BTreeMap::<String, usize>::new());
    for source in sources.iter().filter(|source| source.is_rust()) {
        let ours = source.path.starts_with("src/");
        let all = tokens(if ours { &source.shipped } else { &source.code });
        for index in named_in(&all) {
            *named.entry(all[index].text.to_owned()).or_default() += 1;
            if ours && let Some(kind) = defined(&all, index) {
                let (file, line) = (source.path.clone(), all[index].line);
                items
                    .push((all[index].text.to_owned(), Item { file, line, kind: kind.to_owned() }));
            }
        }
    }
    let waits = |name: &str| waiting.iter().any(|(waiting, _)| *waiting == name);
    let used = |name: &str| named.get(name).is_none_or(|&times| times > 1);
    let stale = waiting.iter().filter(|(name, _)| used(name));
    let stale = stale.map(|(name, _)| format!("`{name}` waits no longer: take it out of WAITING"));
    let unused = items.into_iter().filter(|(name, _)| !used(name) && !waits(name));
    let told = unused.map(|(name, Item { file, line, kind })| {
        format!(
            "{file}:{line}: `{kind} {name}` is public and nothing uses it: delete it, or use it"
        )
    });
    told.chain(stale).collect()
}

/// Names, but for those that a `pub use` passes on: to pass a name on is not to use it.
fn named_in(all: &[Token<'_>]) -> Vec<usize> {
    let (mut found, mut passing_on) = (Vec::new(), false);
    for (index, token) in all.iter().enumerate() {
        passing_on = match token.text {
            "use" => index > 0 && matches!(all[index - 1].text, "pub" | ")"),
            ";" => false,
            _ => passing_on,
        };
        if token.is_name() && !passing_on {
            found.push(index);
        }
    }
    found
}

/// The kind of a public item that has its name at `index`: `pub const unsafe fn name`.
fn defined<'a>(all: &[Token<'a>], index: usize) -> Option<&'a str> {
    let mut before = all[..index].iter().rev().map(|token| token.text);
    let kind = before.next().filter(|kind| KINDS.contains(kind))?;
    let first = before.find(|text| !matches!(*text, "const" | "unsafe" | "async" | "extern"))?;
    // `pub(crate)` ends with a bracket, as a call does; no call comes right before `fn`.
    matches!(first, "pub" | ")").then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        unused(&sources, &[("awaited", "a reason"), ("gone", "a reason")])
    }

    #[test]
    fn what_is_named_once_is_found_and_what_a_test_of_the_program_names_is_not() {
        let found = found(&[
            ("src/a.rs", "pub fn lonely() {}\npub(crate) const fn used() {}\npub struct Tested;\n"),
            ("src/c.rs", "pub fn awaited() {}\n"),
            ("src/b.rs", "fn caller() { used(); }\n// lonely\nconst S: &str = \"lonely\";\n"),
            ("tests/t.rs", "fn t() { Tested; }"),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("src/a.rs:1: `fn lonely`"), "{found:?}");
        assert!(found[1].starts_with("`gone` waits no longer"), "{found:?}");
    }

    #[test]
    fn neither_a_unit_test_nor_passing_a_name_on_is_a_use() {
        let found = found(&[(
            "src/a.rs",
            "pub const LIMIT: u32 = 1;\npub use self::b::LIMIT;\n#[cfg(test)]\nmod tests { fn t() { LIMIT; } }\n",
        )]);
        assert_eq!(found.iter().filter(|told| told.contains("LIMIT")).count(), 1, "{found:?}");
    }
}
