//! What may not stand in a file, and what must: bans with their replacement, and document shapes.
//!
//! Belongs here: rules about text. Does not: anything that needs to know who uses whom.

use std::collections::BTreeSet;

use crate::source::{Source, tokens};

/// Tokens one after the other, and what to write instead.
const BANNED_CODE: &[(&[&str], &str)] = &[
    (&["todo", "!"], "write it, or leave the feature out whole"),
    (&["unimplemented", "!"], "write it, or leave the feature out whole"),
    (&["dbg", "!"], "remove it; a figure worth printing belongs into the report"),
    (
        &["#", "[", "allow", "("],
        "`#[expect(…, reason = \"…\")]`, which complains when it is not needed",
    ),
    (&["#", "!", "[", "allow", "("], "`#![expect(…, reason = \"…\")]`"),
    (&["#", "[", "ignore"], "make the test fast and sure, or skip with a printed reason"),
    (&["get_unchecked"], "index, or iterate; the bounds check is not what costs"),
    (&["transmute"], "a conversion with a name (`from_ne_bytes`, `cast`)"),
];

/// Words in any text file. Put together here so that this file does not hold them itself.
fn banned_words() -> [(String, &'static str); 5] {
    [
        (["FIX", "ME"].concat(), "fix it, or file an issue and name its number"),
        (["XX", "X"].concat(), "say what is wrong and what would settle it"),
        (["/wo", "rk/"].concat(), "a path relative to the repository"),
        (["/ro", "ot/"].concat(), "a path relative to the repository, or `$HOME`"),
        (["/ho", "me/"].concat(), "a path relative to the repository, or `$HOME`"),
    ]
}

/// Everything that may not stand in a file.
pub(crate) fn banned(source: &Source) -> Vec<String> {
    let mut found = banned_everywhere(source);
    if source.is_rust() {
        found.extend(banned_in_code(source));
        found.extend(commented_out(source));
    }
    found
}

fn banned_in_code(source: &Source) -> Vec<String> {
    let all = tokens(&source.code);
    let mut found = Vec::new();
    for (marks, instead) in BANNED_CODE {
        for window in all.windows(marks.len()) {
            if window.iter().map(|t| t.text).eq(marks.iter().copied()) {
                let mark = marks.concat();
                found.push(format!("{}:{}: `{mark}`: {instead}", source.path, window[0].line));
            }
        }
    }
    found
}

fn banned_everywhere(source: &Source) -> Vec<String> {
    let words = banned_words();
    let mut found = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let mut say = |what: &str, instead: &str| {
            found.push(format!("{}:{}: {what}: {instead}", source.path, index + 1));
        };
        if line.ends_with([' ', '\t', '\r']) {
            say("blanks at the end of the line", "remove them");
        }
        if source.is_rust() && line.contains('\t') {
            say("a tab", "four blanks, or `\\t` in a string");
        }
        for (word, instead) in words.iter().filter(|(word, _)| has_word(line, word)) {
            say(word, instead);
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        found.push(format!("{}: no newline at the end of the file: add one", source.path));
    }
    found
}

/// A word of letters must not be part of a longer one (`mktemp` wants many of one letter); a path
/// must not be the tail of a longer path or of a URL.
fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let closed = word.ends_with('/') || !after.is_some_and(inside);
        closed && !before.is_some_and(inside)
    })
}

/// Comment lines that are code. A heuristic: prose rarely opens with a keyword and ends in `;`.
fn commented_out(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in source.comments.lines().enumerate() {
        let Some(text) = line.trim().strip_prefix("// ") else {
            continue;
        };
        if looks_like_code(text.trim()) {
            found.push(format!(
                "{}:{}: a comment that is code: remove it, git keeps it",
                source.path,
                index + 1
            ));
        }
    }
    found
}

fn looks_like_code(text: &str) -> bool {
    const OPENINGS: [&str; 12] = [
        "let ", "use ", "fn ", "pub ", "return ", "self.", "if ", "for ", "while ", "match ",
        "assert", "println!",
    ];
    let closes = text.ends_with([';', '{']) || text.ends_with("),") || text.ends_with(")?;");
    text == "}" || (closes && OPENINGS.iter().any(|opening| text.starts_with(opening)))
}

/// A Rust file says first what belongs in it.
pub(crate) fn undescribed(source: &Source) -> Option<String> {
    let opens = source.text.lines().find(|line| !line.trim().is_empty())?;
    (!opens.starts_with("//! ")).then(|| {
        format!("{}: opens without `//!`: say what belongs there and what does not", source.path)
    })
}

/// A Markdown file has one title, and its links to files lead somewhere.
pub(crate) fn document_faults(source: &Source, files: &BTreeSet<String>) -> Vec<String> {
    let prose = without_fences(&source.text);
    let titles = prose.iter().filter(|(_, line)| line.starts_with("# ")).count();
    let mut found = Vec::new();
    if titles != 1 {
        found.push(format!("{}: {titles} titles (`# `): a document has one", source.path));
    }
    for (number, line) in &prose {
        for target in links(line).filter(|target| leads_nowhere(&source.path, target, files)) {
            found.push(format!("{}:{number}: `{target}` leads nowhere: name a file", source.path));
        }
    }
    found
}

fn without_fences(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            found.push((index + 1, line));
        }
    }
    found
}

fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split([')', ' ']).next())
}

fn leads_nowhere(from: &str, target: &str, files: &BTreeSet<String>) -> bool {
    let file = target.split('#').next().unwrap_or_default();
    if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return false;
    }
    let mut way: Vec<&str> = from.split('/').collect();
    way.pop();
    for step in file.trim_end_matches('/').split('/') {
        match step {
            "." => {}
            ".." => drop(way.pop()),
            name => way.push(name),
        }
    }
    let way = way.join("/");
    !files.contains(&way) && !files.iter().any(|f| f.starts_with(&format!("{way}/")))
}

/// "Keep a Changelog": unreleased first, then versions with their dates, six kinds of change.
pub(crate) fn changelog_faults(text: &str, version: &str) -> Vec<String> {
    const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    let mut found = Vec::new();
    let heads: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    if heads.first() != Some(&"[Unreleased]") {
        found.push("CHANGELOG.md: the first section is `## [Unreleased]`".to_owned());
    }
    for head in heads.iter().skip(1).filter(|head| !is_release(head)) {
        found.push(format!("CHANGELOG.md: `## {head}`: write `## [1.2.3] - 2026-01-31`"));
    }
    for kind in text.lines().filter_map(|line| line.strip_prefix("### ")) {
        if !KINDS.contains(&kind) {
            found.push(format!("CHANGELOG.md: `### {kind}`: one of {}", KINDS.join(", ")));
        }
    }
    let released = heads.iter().any(|head| head.starts_with(&format!("[{version}]")));
    let pending = text.lines().any(|line| line.starts_with("- "));
    if !released && !pending {
        found.push(format!("CHANGELOG.md: says nothing about version {version}: add a line"));
    }
    found
}

fn is_release(head: &str) -> bool {
    let Some((version, date)) = head.strip_prefix('[').and_then(|h| h.split_once("] - ")) else {
        return false;
    };
    let numbers = |text: &str, by: char, lens: [usize; 3]| {
        let parts: Vec<&str> = text.split(by).collect();
        parts.len() == 3
            && parts.iter().zip(lens).all(|(part, len)| {
                !part.is_empty()
                    && (len == 0 || part.len() == len)
                    && part.bytes().all(|b| b.is_ascii_digit())
            })
    };
    numbers(version, '.', [0; 3]) && numbers(date, '-', [4, 2, 2])
}

/// The names under `[dependencies]`.
pub(crate) fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if let Some((name, _)) = line.split_once('=').filter(|_| inside) {
            found.push(name.trim().to_owned());
        }
    }
    found
}

/// Dependencies that ARCHITECTURE.md does not give a reason for.
pub(crate) fn unexplained(manifest: &str, architecture: &str) -> Vec<String> {
    let mut names = dependencies(manifest);
    names.retain(|name| !architecture.contains(&format!("`{name}`")));
    names
        .iter()
        .map(|name| {
            format!("Cargo.toml: `{name}` is not in ARCHITECTURE.md: say there why we need it")
        })
        .collect()
}

/// Commands that a stranger must find in the README.
pub(crate) fn commands_missing(readme: &str) -> Vec<String> {
    let given = |command: &&str| {
        !readme.lines().any(|line| line.trim().trim_start_matches("$ ") == *command)
    };
    ["cargo run --release", "cargo test"]
        .into_iter()
        .filter(given)
        .map(|command| {
            format!("README.md: `{command}` is missing: give it a line of its own in a code block")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bans(path: &str, text: &str) -> String {
        banned(&Source::new(path, text)).join("\n")
    }

    #[test]
    fn each_banned_thing_is_found_and_answered_with_its_replacement() {
        let code = [
            ("fn f() { todo!() }\n", "write it"),
            ("fn f() { unimplemented!(\"x\") }\n", "write it"),
            ("fn f() { dbg!(1); }\n", "remove it"),
            ("#[allow(dead_code)]\nfn f() {}\n", "#[expect"),
            ("#![allow(dead_code)]\n", "#![expect"),
            ("#[test]\n#[ignore = \"slow\"]\nfn f() {}\n", "fast and sure"),
            ("fn f() {} \n", "remove them"),
            ("fn f() {\n\tg();\n}\n", "four blanks"),
            ("fn f() {}", "add one"),
            ("// let x = f();\n", "git keeps it"),
            ("    // if done {\n", "git keeps it"),
        ];
        for (text, answer) in code {
            let found = bans("src/wire/mod.rs", text);
            assert!(found.contains(answer), "{text:?}: {found}");
        }
        for (word, answer) in banned_words() {
            for text in [format!("// {word} x\n"), format!("a \"{word}x\"\n")] {
                let path = if word.starts_with('/') { "docs/a.md" } else { "src/a.rs" };
                let letters_only = !word.starts_with('/') && text.starts_with('a');
                assert_eq!(bans(path, &text).contains(answer), !letters_only, "{text}");
            }
        }
    }

    #[test]
    fn what_only_resembles_a_banned_thing_is_fine() {
        let more = ["XX", "XXXX"].concat();
        for text in [
            "/// `todo!` is banned, and so is `#[allow(…)]`.\n",
            "const S: &str = \"dbg!(x)\";\n",
            "// The kernel copies it first; then it is ours.\n",
            "// return codes are negative\n",
            &format!("// mktemp /tmp/a.{more}\n"),
            "// see https://example.org/home/x and a/home/b\n",
            "#[expect(dead_code, reason = \"x\")]\nfn allow() {}\n",
        ] {
            assert_eq!(bans("src/wire/mod.rs", text), "", "{text}");
        }
    }

    #[test]
    fn a_file_without_an_opening_sentence_is_found() {
        assert!(undescribed(&Source::new("src/a.rs", "use a::b;\n")).is_some());
        assert!(undescribed(&Source::new("src/a.rs", "//!\nuse a::b;\n")).is_some());
        assert_eq!(undescribed(&Source::new("src/a.rs", "//! Bytes.\n")), None);
    }

    #[test]
    fn a_document_has_one_title_and_links_that_lead_somewhere() {
        let files = BTreeSet::from(["docs/a.md".to_owned(), "src/lib.rs".to_owned()]);
        let faults =
            |text: &str| document_faults(&Source::new("docs/a.md", text), &files).join("\n");
        assert_eq!(
            faults("# A\n```sh\n# no title\n```\n[x](../src/lib.rs#L1) [y](../src) [z](#a)\n"),
            ""
        );
        assert!(faults("text\n").contains("0 titles"));
        assert!(faults("# A\n# B\n").contains("2 titles"));
        assert!(faults("# A\n[x](../src/main.rs)\n").contains("docs/a.md:2: `../src/main.rs`"));
        assert_eq!(faults("# A\n[x](https://example.org/nothing)\n"), "");
    }

    #[test]
    fn a_changelog_keeps_its_shape() {
        let good = "# Changelog\n\n## [Unreleased]\n\n### Added\n- X.\n\n## [0.1.0] - 2026-01-31\n";
        assert_eq!(changelog_faults(good, "0.1.0"), Vec::<String>::new());
        for (from, to) in [
            ("[Unreleased]", "Unreleased"),
            ("[0.1.0] - 2026-01-31", "0.1.0"),
            ("2026-01-31", "soon"),
            ("### Added", "### New"),
        ] {
            let bad = good.replace(from, to);
            assert_eq!(changelog_faults(&bad, "0.1.0").len(), 1, "{bad}");
        }
        assert_eq!(changelog_faults("# C\n\n## [Unreleased]\n", "0.1.0").len(), 1);
    }

    #[test]
    fn every_dependency_is_explained() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\nb-c = { version = \"2\" }\n\
                        [dev-dependencies]\nd = \"1\"\n";
        assert_eq!(dependencies(manifest), ["a", "b-c"]);
        assert_eq!(unexplained(manifest, "`a` does x, b-c does not count").len(), 1);
        assert_eq!(unexplained(manifest, "`a` `b-c`").len(), 0);
    }

    #[test]
    fn the_readme_gives_its_two_commands_on_lines_of_their_own() {
        assert_eq!(commands_missing("```\ncargo run --release\n$ cargo test\n```").len(), 0);
        assert_eq!(commands_missing("cargo run --release -- --help\nRun cargo test").len(), 2);
    }
}
