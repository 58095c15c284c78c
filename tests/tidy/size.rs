//! How long a file and a function may get, as a ratchet.
//!
//! Belongs here: the two limits, the table of those that are over them, and the arithmetic.
//! An exception names its exact size: it may not grow, and when it shrinks the table must follow.

use crate::source::{Source, Token, closing, tokens};

/// Lines of a file under `src/`, without what is compiled for tests only.
const FILE_LINES_MAX: usize = 500;

/// Lines of a function, from `fn` to its closing brace, tests included.
const FUNCTION_LINES_MAX: usize = 63;

/// What is over a limit and why that is better than splitting it. Entries only go and shrink.
pub(crate) const EXCEPTIONS: &[Exception] = &[];

pub(crate) struct Exception {
    pub(crate) file: &'static str,
    /// Empty: the file itself.
    pub(crate) function: &'static str,
    pub(crate) lines: usize,
}

#[derive(Debug)]
struct Measured {
    file: String,
    function: String,
    line: usize,
    lines: usize,
    max: usize,
}

/// What is too long, has grown, or has an exception that it no longer needs.
pub(crate) fn oversize(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let measured: Vec<Measured> =
        sources.iter().filter(|s| s.is_rust()).flat_map(measure).collect();
    let mut found: Vec<String> = measured
        .iter()
        .filter(|m| !m.is_excepted(exceptions))
        .filter_map(Measured::too_long)
        .collect();
    found.extend(exceptions.iter().filter_map(|e| e.stale(&measured)));
    found
}

impl Measured {
    fn name(&self) -> String {
        match self.function.as_str() {
            "" => self.file.clone(),
            function => format!("{}:{}: fn {function}", self.file, self.line),
        }
    }

    fn is_excepted(&self, exceptions: &[Exception]) -> bool {
        exceptions.iter().any(|e| e.file == self.file && e.function == self.function)
    }

    fn too_long(&self) -> Option<String> {
        let split = if self.function.is_empty() {
            "split it by what it does, one file per concern"
        } else {
            "give each step a name and a function of its own"
        };
        (self.lines > self.max)
            .then(|| format!("{}: {} lines, {} may be; {split}", self.name(), self.lines, self.max))
    }
}

impl Exception {
    fn stale(&self, measured: &[Measured]) -> Option<String> {
        let same = measured.iter().filter(|m| m.file == self.file && m.function == self.function);
        let name = format!("{} {}", self.file, self.function);
        match same.max_by_key(|m| m.lines) {
            None => Some(format!("{name}: is gone; remove its exception")),
            Some(m) if m.lines <= m.max => {
                Some(format!("{name}: {} lines need no exception; remove it", m.lines))
            }
            Some(m) if m.lines < self.lines => {
                Some(format!("{name}: shrank to {} lines; lower its exception to that", m.lines))
            }
            Some(m) if m.lines > self.lines => Some(format!(
                "{name}: grew from {} to {} lines; take the new part out of it",
                self.lines, m.lines
            )),
            Some(_) => None,
        }
    }
}

fn measure(source: &Source) -> Vec<Measured> {
    let all = tokens(&source.code);
    let mut found: Vec<Measured> = all
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0].text == "fn" && pair[1].is_name())
        .filter_map(|(index, _)| function(source, &all, index))
        .collect();
    if source.path.starts_with("src/") {
        found.push(Measured {
            file: source.path.clone(),
            function: String::new(),
            line: 1,
            lines: file_lines(source),
            max: FILE_LINES_MAX,
        });
    }
    found
}

/// Lines that ship: a line that holds code for tests only is not counted, comments and blanks
/// outside of it are.
fn file_lines(source: &Source) -> usize {
    let gone = |(code, shipped): &(&str, &str)| code.trim() != shipped.trim();
    let pairs = source.code.lines().zip(source.shipped.lines());
    let first_shipped = !source.shipped.trim().is_empty();
    let gone = pairs.filter(gone).count();
    if first_shipped { source.text.lines().count().saturating_sub(gone) } else { 0 }
}

fn function(source: &Source, all: &[Token<'_>], index: usize) -> Option<Measured> {
    let mut open = index;
    while all.get(open)?.text != "{" {
        match all[open].text {
            ";" => return None,
            "(" | "[" => open = closing(all, open),
            _ => {}
        }
        open += 1;
    }
    let last = all[closing(all, open)].line;
    Some(Measured {
        file: source.path.clone(),
        function: all[index + 1].text.to_owned(),
        line: all[index].line,
        lines: last - all[index].line + 1,
        max: FUNCTION_LINES_MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_function(lines: usize) -> Source {
        let body = "    a();\n".repeat(lines - 2);
        Source::new(
            "src/engine/worker.rs",
            &format!("fn f(x: [u8; 3]) {{\n{body}}}\nfn g() {{}}\n"),
        )
    }

    fn sizes(source: Source, exceptions: &[Exception]) -> String {
        oversize(&[source], exceptions).join("\n")
    }

    const fn exception(lines: usize) -> Exception {
        Exception { file: "src/engine/worker.rs", function: "f", lines }
    }

    #[test]
    fn a_function_may_reach_the_limit_and_not_one_line_more() {
        assert_eq!(sizes(long_function(FUNCTION_LINES_MAX), &[]), "");
        let found = sizes(long_function(FUNCTION_LINES_MAX + 1), &[]);
        assert!(found.contains("src/engine/worker.rs:1: fn f: 64 lines"), "{found}");
    }

    #[test]
    fn the_ratchet_only_turns_one_way() {
        assert_eq!(sizes(long_function(80), &[exception(80)]), "");
        assert!(sizes(long_function(81), &[exception(80)]).contains("grew from 80 to 81"));
        assert!(sizes(long_function(79), &[exception(80)]).contains("lower its exception"));
        assert!(sizes(long_function(60), &[exception(80)]).contains("remove it"));
        let gone = Source::new("src/engine/worker.rs", "fn g() {}\n");
        assert!(sizes(gone, &[exception(80)]).contains("is gone"));
    }

    #[test]
    fn a_file_is_measured_without_its_tests() {
        let shipped = "// A line.\n".repeat(FILE_LINES_MAX - 1);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    fn t() {}\n".repeat(50));
        let fits = format!("{shipped}fn a() {{}}\n{tests}");
        assert_eq!(sizes(Source::new("src/a.rs", &fits), &[]), "");
        let over = format!("// One more.\n{fits}");
        assert!(sizes(Source::new("src/a.rs", &over), &[]).contains("src/a.rs: 501 lines"));
    }

    #[test]
    fn a_declaration_without_a_body_has_no_length() {
        let text = "trait T { fn a(&self) -> [u8; 3]; fn b(); }\n";
        assert_eq!(measure(&Source::new("tests/x.rs", text)).len(), 0);
    }
}
