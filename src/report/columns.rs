//! Cells, columns and ink: how text reports are laid out.
//!
//! Belongs here: alignment, colour, how each kind of figure is written. Does not: units (`units` prints
//! them), and what a report says (`story`).

use std::ffi::OsStr;
use std::io::{self, Write};

use crate::report::story::{Phrase, Value};
use crate::units::{Count, Nanos};

/// Between two columns.
const GAP: &str = "  ";
/// Before every line that belongs to a heading.
pub(super) const INDENT: &str = "  ";

/// What a piece of text means; colours follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ink {
    #[default]
    Plain,
    Heading,
    Good,
    Warning,
    Bad,
}

impl Ink {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Heading => Some("1"),
            Self::Good => Some("32"),
            Self::Warning => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// Whether colours are wanted: on a terminal, unless `NO_COLOR` is set to something
/// (<https://no-color.org>).
pub(super) fn wants_colour(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

/// Applies ink, or does not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Paint {
    pub(super) colour: bool,
}

impl Paint {
    pub(super) fn ink(self, ink: Ink, text: &str) -> String {
        match ink.code().filter(|_| self.colour && !text.is_empty()) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

/// One cell of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) ink: Ink,
}

impl Cell {
    pub(super) fn inked(text: impl Into<String>, ink: Ink) -> Self {
        Self { text: text.into(), ink }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.to_string(), ink: Ink::Plain }
    }
}

/// Which side of a column its cells lean on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column: heading, side, and the least width.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) lean: Align,
    pub(super) width: usize,
}

impl Column {
    pub(super) const fn left(heading: &'static str, width: usize) -> Self {
        Self { heading, lean: Align::Left, width }
    }

    /// Padded first, inked then: escape sequences have no width.
    fn cell(&self, cell: &Cell, paint: Paint) -> String {
        let width = self.width.max(width(self.heading));
        let padding = " ".repeat(width.saturating_sub(self::width(&cell.text)));
        let text = paint.ink(cell.ink, &cell.text);
        match self.lean {
            Align::Left => text + &padding,
            Align::Right => padding + &text,
        }
    }
}

/// Columns of a text on a terminal, as far as our own texts need it.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// Writes one line of cells. Columns keep their width, so that lines may be written as they come.
pub(super) fn line(
    out: &mut dyn Write,
    paint: Paint,
    columns: &[Column],
    cells: &[Cell],
) -> io::Result<()> {
    let padded: Vec<_> =
        columns.iter().zip(cells).map(|(column, cell)| column.cell(cell, paint)).collect();
    writeln!(out, "{}", padded.join(GAP).trim_end())
}

/// The line of headings.
pub(super) fn headings(out: &mut dyn Write, paint: Paint, columns: &[Column]) -> io::Result<()> {
    let cells: Vec<_> =
        columns.iter().map(|column| Cell::inked(column.heading, Ink::Heading)).collect();
    line(out, paint, columns, &cells)
}

/// A table that is complete before it is written: columns grow to their widest cell.
pub(super) fn table(
    out: &mut dyn Write,
    paint: Paint,
    mut columns: Vec<Column>,
    rows: &[Vec<Cell>],
) -> io::Result<()> {
    for (index, column) in columns.iter_mut().enumerate() {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let widest = cells.map(|cell| width(&cell.text)).max().unwrap_or(0);
        column.width = column.width.max(widest);
    }
    write!(out, "{INDENT}")?;
    headings(out, paint, &columns)?;
    for row in rows {
        write!(out, "{INDENT}")?;
        line(out, paint, &columns, row)?;
    }
    Ok(())
}

/// Lines are made for a terminal of this width.
const LINE_MAX: usize = 100;

/// Writes `text` behind `first`; what does not fit goes on in further lines under `indent` blanks.
pub(super) fn wrapped(
    out: &mut dyn Write,
    first: &str,
    indent: usize,
    text: &str,
) -> io::Result<()> {
    let (mut line, mut used, mut fresh) = (first.to_owned(), visible(first), true);
    for word in text.split(' ') {
        if !fresh && used + 1 + width(word) > LINE_MAX {
            writeln!(out, "{line}")?;
            (line, used, fresh) = (" ".repeat(indent), indent, true);
        }
        let gap = if fresh { "" } else { " " };
        line += gap;
        line += word;
        used += gap.len() + width(word);
        fresh = false;
    }
    writeln!(out, "{line}")
}

/// Width without escape sequences.
fn visible(text: &str) -> usize {
    let mut escaped = false;
    text.chars()
        .filter(|&c| {
            let starts = c == '\x1b';
            let hidden = escaped || starts;
            escaped = starts || (escaped && c != 'm');
            !hidden
        })
        .count()
}

/// `1 socket`, `2 sockets`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", Count(count), if count == 1 { one } else { many })
}

/// Words and figures as one line of text.
pub(super) fn phrase(phrase: &Phrase) -> String {
    phrase.values().iter().map(value).collect()
}

pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Words(words) => words.to_string(),
        Value::Untrusted(text) => text.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Count(count) => Count(*count).to_string(),
        Value::Duration(duration) => duration.to_string(),
        Value::Limit(duration) => whole_seconds(*duration),
        Value::Bytes(bytes) => bytes.to_string(),
        Value::Rate(rate) => rate.to_string(),
        Value::PerSecond(rate) => Count(rate.round() as u64).to_string(),
        Value::Share(share) => format!("{:.1} %", share * 100.0),
        Value::Change(change) => format!("{:+.1} %", change * 100.0),
        Value::Average(average) => format!("{average:.1}"),
        Value::Unknown => "n/a".to_owned(),
    }
}

/// A limit that somebody set reads better as they wrote it: `10 s`, not `10.0 s`.
fn whole_seconds(duration: Nanos) -> String {
    match duration.0 % 1_000_000_000 {
        0 => format!("{} s", Count(duration.0 / 1_000_000_000)),
        _ => duration.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_whose_owner_wants_them() {
        for (is_terminal, no_color, wanted) in [
            (true, None, true),
            (true, Some(""), true),
            (true, Some("1"), false),
            (false, None, false),
        ] {
            assert_eq!(wants_colour(is_terminal, no_color.map(OsStr::new)), wanted);
        }
    }

    #[test]
    fn ink_does_not_move_a_column() {
        let right = Column { lean: Align::Right, ..Column::left("a", 6) };
        let columns = [right, Column::left("b", 4)];
        let cells = [Cell::inked("µ", Ink::Bad), Cell::from("x")];
        let written = |colour| {
            let mut out = Vec::new();
            line(&mut out, Paint { colour }, &columns, &cells).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(false), "     µ  x\n");
        let stripped = written(true).replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(stripped, written(false));
    }
}
