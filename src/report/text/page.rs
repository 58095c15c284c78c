//! The pieces of a story on a page of lines.

use std::io::{self, Write};

use super::layout::{cell, columns, ink};
use crate::report::columns::{self, INDENT, Ink, Paint, phrase, table, wrapped};
use crate::report::story::{Block, Caveat, Fact, Phrase, Row, Section, Sentence, Table, Verdict};

/// Of the words before each fact.
const LABEL_WIDTH: usize = 10;

#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) paint: Paint,
}

impl Page {
    pub(super) fn title(self, out: &mut dyn Write, title: &Phrase) -> io::Result<()> {
        writeln!(out, "{}\n", self.paint.ink(Ink::Heading, &phrase(title)))
    }

    /// A label and its lines, and a blank line behind the last of all.
    pub(super) fn facts(self, out: &mut dyn Write, facts: &[Fact]) -> io::Result<()> {
        for fact in facts {
            for (index, line) in fact.lines.iter().enumerate() {
                let label = if index == 0 { fact.label } else { "" };
                let first = format!("{INDENT}{label:<LABEL_WIDTH$}");
                wrapped(out, &first, LABEL_WIDTH + INDENT.len(), &phrase(line))?;
            }
        }
        writeln!(out)
    }

    /// The headings of a table whose trials come one by one, and over them its caption.
    pub(super) fn headings(self, out: &mut dyn Write, table: &Table) -> io::Result<()> {
        let columns = columns(table);
        if let Some(caption) = &table.caption {
            let before = columns.iter().take(caption.column).map(|column| column.width + 2);
            let before: usize = before.sum();
            writeln!(out, "{}{}", " ".repeat(before), phrase(&caption.text))?;
        }
        columns::headings(out, self.paint, &columns)
    }

    /// One of these rows.
    pub(super) fn row(self, out: &mut dyn Write, table: &Table, row: &Row) -> io::Result<()> {
        let cells: Vec<_> = row.iter().map(cell).collect();
        columns::line(out, self.paint, &columns(table), &cells)
    }

    pub(super) fn section(self, out: &mut dyn Write, section: &Section) -> io::Result<()> {
        writeln!(out)?;
        if let Some(heading) = &section.heading {
            writeln!(out, "{}", self.paint.ink(Ink::Heading, &phrase(heading)))?;
        }
        section.blocks.iter().try_for_each(|block| self.block(out, block))
    }

    fn block(self, out: &mut dyn Write, block: &Block) -> io::Result<()> {
        match block {
            Block::Table(whole) => {
                let rows: Vec<Vec<_>> =
                    whole.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
                table(out, self.paint, columns(whole), &rows)
            }
            // Lines have no pictures.
            Block::Series(_)
            | Block::Distribution(_)
            | Block::Heatmap(_)
            | Block::Strips(_)
            | Block::Holds(_)
            | Block::Spans { .. } => Ok(()),
            Block::Sentence(sentence) => self.sentence(out, sentence),
            Block::List(items) => {
                items.iter().try_for_each(|item| wrapped(out, "    ", 6, &phrase(item)))
            }
            Block::Caveat(caveat) => self.caveat(out, caveat),
        }
    }

    /// What it is about stays on the first line; the rest hangs under it.
    fn sentence(self, out: &mut dyn Write, sentence: &Sentence) -> io::Result<()> {
        let Sentence { lead, emphasis, text } = sentence;
        let text = phrase(text);
        if lead.is_empty() {
            return wrapped(out, INDENT, INDENT.len(), &text);
        }
        let lead = self.paint.ink(ink(*emphasis), &phrase(lead));
        let (gap, text) = text.strip_prefix(' ').map_or(("", text.as_str()), |text| (" ", text));
        wrapped(out, &format!("{INDENT}{lead}{gap}"), 4, text)
    }

    fn caveat(self, out: &mut dyn Write, caveat: &Caveat) -> io::Result<()> {
        let Caveat { severity, emphasis, code, trials, text, remedy } = caveat;
        let first = format!("{INDENT}{}  ", self.paint.ink(ink(*emphasis), severity));
        wrapped(out, &first, 4, &format!("{code} ({}): {text}", phrase(trials)))?;
        wrapped(out, "    what to do: ", 6, &remedy.to_string())
    }

    pub(super) fn verdict(self, out: &mut dyn Write, verdict: &Verdict) -> io::Result<()> {
        let words = self.paint.ink(ink(verdict.emphasis), &phrase(&verdict.words));
        if verdict.sentence.is_empty() {
            return writeln!(out, "\nverdict: {words}");
        }
        writeln!(out)?;
        wrapped(out, &format!("verdict: {words}: "), 4, &phrase(&verdict.sentence))
    }
}
