//! A Rust file as the rules see it: code, comments and tests told apart, byte for byte.
//!
//! Belongs here: just enough lexing to never mistake a string or a comment for code, and to know
//! what ships and what is compiled for tests only. Does not: any rule.
//!
//! Every view has the length of the file and its line breaks; what a view leaves out is blank.
//! So an offset means the same place in each of them, and no rule has to carry positions around.
//! Other files have no views, only their text.

/// One file of the tree.
pub(crate) struct Source {
    /// Relative to the package root, with `/`.
    pub(crate) path: String,
    /// As it is on disk.
    pub(crate) text: String,
    /// Without comments and without the inside of literals.
    pub(crate) code: String,
    /// Only the comments, with their slashes.
    pub(crate) comments: String,
    /// `code` without what is compiled for tests only.
    pub(crate) shipped: String,
    /// Modules that this file declares for tests only (`#[cfg(test)] mod naive;`).
    pub(crate) test_modules: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let rust = path.ends_with(".rs");
        let (code, comments) = if rust { split(text) } else { Default::default() };
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            shipped: String::new(),
            test_modules: Vec::new(),
            code,
            comments,
        };
        (source.shipped, source.test_modules) = without_tests(&source.code);
        source
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Marks the whole file as compiled for tests only.
    pub(crate) fn blank_shipped(&mut self) {
        self.shipped = blanked(&self.shipped, 0, self.shipped.len());
    }
}

/// One token of a view and the line it stands on, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
    pub(crate) at: usize,
}

impl Token<'_> {
    pub(crate) fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }
}

/// Names, `::`, and single characters; blanks are dropped.
pub(crate) fn tokens(view: &str) -> Vec<Token<'_>> {
    let bytes = view.as_bytes();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let end = at + token_len(&bytes[at..]);
        if bytes[at] == b'\n' {
            line += 1;
        } else if !bytes[at].is_ascii_whitespace() {
            found.push(Token { text: &view[at..end], line, at });
        }
        at = end;
    }
    found
}

fn token_len(rest: &[u8]) -> usize {
    let word = rest.iter().take_while(|&&b| is_word(b)).count();
    if word > 0 {
        word
    } else if rest.starts_with(b"::") {
        2
    } else {
        1 + rest[1..].iter().take_while(|&&b| b & 0xC0 == 0x80).count()
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The index of the token that closes the bracket at `open`, or the end of the file.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len().saturating_sub(1)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

fn split(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let (mut code, mut comments) = (bytes.to_vec(), bytes.to_vec());
    let mut at = 0;
    while at < bytes.len() {
        let (len, kind) = lexeme(bytes, at);
        blank(&mut code[at..at + len], kind != Kind::Code);
        blank(&mut comments[at..at + len], kind != Kind::Comment);
        at += len;
    }
    (utf8(code), utf8(comments))
}

fn blank(bytes: &mut [u8], really: bool) {
    bytes.iter_mut().filter(|b| really && **b != b'\n').for_each(|b| *b = b' ');
}

fn blanked(text: &str, start: usize, end: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    blank(&mut bytes[start..end], true);
    utf8(bytes)
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("whole characters are blanked")
}

fn lexeme(bytes: &[u8], at: usize) -> (usize, Kind) {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        (rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()), Kind::Comment)
    } else if rest.starts_with(b"/*") {
        (block_comment_len(rest), Kind::Comment)
    } else if let Some(len) = raw_string_len(bytes, at) {
        (len, Kind::Literal)
    } else if rest[0] == b'"' || rest[0] == b'\'' && is_char_literal(rest) {
        (quoted_len(rest), Kind::Literal)
    } else {
        (1, Kind::Code)
    }
}

/// Block comments nest in Rust.
fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// From the opening quote to past the closing one, escapes respected.
fn quoted_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != rest[0] {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `r"…"`, `br#"…"#`, `cr"…"`; not `for"` and not the raw name `r#type`.
fn raw_string_len(bytes: &[u8], at: usize) -> Option<usize> {
    if at > 0 && is_word(bytes[at - 1]) {
        return None;
    }
    let rest = &bytes[at..];
    let prefix = usize::from(matches!(rest[0], b'b' | b'c'));
    if rest.get(prefix) != Some(&b'r') {
        return None;
    }
    let hashes = rest[prefix + 1..].iter().take_while(|&&b| b == b'#').count();
    let body = prefix + 1 + hashes;
    if rest.get(body) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let inside = &rest[body + 1..];
    let len = inside.windows(end.len()).position(|w| w == end).unwrap_or(inside.len() - end.len());
    Some(body + 1 + len + end.len())
}

/// Tells `'a'`, `'\n'` and `'ä'` from the lifetime `'a`.
fn is_char_literal(rest: &[u8]) -> bool {
    match rest.get(1) {
        None => false,
        Some(b'\\') => true,
        Some(&b) if b < 0x80 => rest.get(2) == Some(&b'\''),
        Some(_) => true,
    }
}

fn without_tests(code: &str) -> (String, Vec<String>) {
    let all = tokens(code);
    let mut modules = Vec::new();
    let mut shipped = code.to_owned();
    let mut index = 0;
    while index < all.len() {
        let Some(after) = test_attribute(&all, index) else {
            index += 1;
            continue;
        };
        let inner = all[index + 1].text == "!";
        let last = if inner { all.len() - 1 } else { item_end(&all, after) };
        shipped = blanked(&shipped, all[index].at, all[last].at + all[last].text.len());
        modules.extend(declared_module(&all[after..=last]));
        index = last + 1;
    }
    (shipped, modules)
}

/// When a `#[cfg(test)]` (or `#![cfg(test)]`) stands at `index`: the index past it and past the
/// attributes that follow it.
fn test_attribute(all: &[Token<'_>], index: usize) -> Option<usize> {
    let end = attribute_end(all, index)?;
    let words: Vec<&str> = all[index..end].iter().map(|t| t.text).collect();
    let gate = words.contains(&"cfg") && words.contains(&"test") && !words.contains(&"not");
    if !gate {
        return None;
    }
    let mut after = end;
    while let Some(next) = attribute_end(all, after) {
        after = next;
    }
    Some(after.min(all.len() - 1))
}

fn attribute_end(all: &[Token<'_>], index: usize) -> Option<usize> {
    let text = |i: usize| all.get(i).map_or("", |t| t.text);
    let bang = usize::from(text(index + 1) == "!");
    (text(index) == "#" && text(index + 1 + bang) == "[")
        .then(|| closing(all, index + 1 + bang) + 1)
}

/// The last token of the item, field, variant or statement that begins at `start`.
fn item_end(all: &[Token<'_>], start: usize) -> usize {
    const ITEMS: [&str; 15] = [
        "pub",
        "mod",
        "fn",
        "impl",
        "struct",
        "enum",
        "trait",
        "use",
        "const",
        "static",
        "type",
        "unsafe",
        "async",
        "extern",
        "macro_rules",
    ];
    let item = ITEMS.contains(&all[start].text);
    // `use` has braces of its own; in `mod tests { use …` it is not the item's keyword.
    let keyword =
        all[start..].iter().find(|t| !matches!(t.text, "pub" | "(" | ")" | "crate" | "super"));
    let braces_end = item && keyword.is_some_and(|t| t.text != "use");
    let mut index = start;
    while index < all.len() {
        match all[index].text {
            ";" => return index,
            "," if !item => return index,
            ")" | "]" | "}" => return index.saturating_sub(1).max(start),
            "{" if braces_end => return closing(all, index),
            "(" | "[" | "{" => index = closing(all, index),
            _ => {}
        }
        index += 1;
    }
    all.len() - 1
}

fn declared_module(item: &[Token<'_>]) -> Option<String> {
    let at = item.iter().position(|t| t.text == "mod")?;
    let ends = item.get(at + 2).is_some_and(|t| t.text == ";");
    ends.then(|| item[at + 1].text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_words(text: &str) -> Vec<String> {
        let source = Source::new("src/a.rs", text);
        tokens(&source.code).iter().filter(|t| t.is_name()).map(|t| t.text.to_owned()).collect()
    }

    #[test]
    fn comments_and_literals_of_every_kind_are_not_code() {
        let text = r###"
            // one
            /* two /* nested */ two */ let a = "three \" three";
            let b = r#"four " four"#; let c = b"five"; let d = '"'; let e = '\''; let f = 'ä';
            fn g<'long>(x: &'long str) {} let h = r"six"; let i = br##"s"# even"##; let r#type = 1;
        "###;
        let words = code_words(text);
        let expected = "let a let b let c b let d let e let f fn g long x long str let h let i \
                        let r type";
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn every_view_has_the_length_and_the_lines_of_the_file() {
        let text = "fn a() { \"ä\n\" } // ö\n#[cfg(test)]\nmod t { fn x() {} }\n";
        let source = Source::new("src/a.rs", text);
        for view in [&source.code, &source.comments, &source.shipped] {
            assert_eq!(view.len(), text.len());
            assert_eq!(view.lines().count(), text.lines().count());
        }
    }

    #[test]
    fn what_is_gated_to_tests_does_not_ship() {
        let text = "use a::b;\n#[cfg(test)]\nuse gone::{x, y};\nstruct S {\n #[cfg(test)] gone: u8,\n \
                    kept: u8 }\n#[cfg(test)]\n#[path = \"x\"]\nmod naive;\n#[cfg(not(test))] fn c() {}\n\
                    #[cfg(test)]\nmod tests { fn gone() { if x { } } }\nfn last() {}\n";
        let source = Source::new("src/a.rs", text);
        assert!(!source.shipped.contains("gone"), "{}", source.shipped);
        for kept in ["kept", "fn c", "fn last", "a::b"] {
            assert!(source.shipped.contains(kept), "{kept} is missing: {}", source.shipped);
        }
        assert_eq!(source.test_modules, ["naive"]);
    }

    #[test]
    fn letters_beyond_ascii_and_files_of_other_kinds_do_no_harm() {
        let source = Source::new("src/a.rs", "fn größe() {} ─\n");
        assert!(tokens(&source.code).iter().any(|t| t.text == "ö"));
        assert_eq!(Source::new("a.md", "It's `\"` ─\n").code, "");
    }

    #[test]
    fn what_follows_a_module_of_tests_ships() {
        let text = "#[cfg(test)]\nmod tests {\n    use super::*;\n    fn gone() {}\n}\nuse a::kept;\n\
                    #[cfg(test)]\npub(crate) use b::{gone, c};\nfn kept_too() {}\n";
        let source = Source::new("src/a.rs", text);
        assert!(!source.shipped.contains("gone"), "{}", source.shipped);
        assert!(source.shipped.contains("use a::kept"), "{}", source.shipped);
        assert!(source.shipped.contains("kept_too"), "{}", source.shipped);
    }

    #[test]
    fn an_inner_attribute_gates_the_whole_file() {
        let source = Source::new("src/a.rs", "//! Doc.\n#![cfg(test)]\nfn gone() {}\n");
        assert!(!source.shipped.contains("gone"));
    }
}
