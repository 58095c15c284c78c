//! The report that a person reads on a terminal or on paper: a [`Story`], in lines.
//!
//! Belongs here: where things stand on the page, how wide columns are, units and digits, colours. Does not:
//! what is said (`story`), and so nothing of a document.
//!
//! Made for 100 columns.

#[cfg(test)]
mod golden;
mod layout;
mod page;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::io::{self, Write};

use self::page::Page;
use super::columns::{Paint, phrase, wants_colour};
use crate::report::story::{Phrase, Row, Story, Table};

/// A text report, at once ([`all`](Self::all)) or piece by piece: [`header`](Self::header) before the
/// run, of a story that has only begun; [`row`](Self::row) as each trial ends; and of the whole story
/// the [`end`](Self::end).
#[derive(Clone, Copy, Debug)]
pub struct Text {
    page: Page,
}

impl Text {
    /// Colours are used on a terminal unless `no_color`, the variable `NO_COLOR`, is set and not empty.
    pub fn new(is_terminal: bool, no_color: Option<&OsStr>) -> Self {
        Self { page: Page { paint: Paint { colour: wants_colour(is_terminal, no_color) } } }
    }

    /// The whole report.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn all(self, out: &mut dyn Write, story: &Story) -> io::Result<()> {
        self.header(out, story)?;
        story.trials.rows.iter().try_for_each(|row| self.row(out, &story.trials, row))?;
        self.end(out, story)
    }

    /// What [`story::failure`](crate::report::story::failure) says, on one line however long it is.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn failure(out: &mut dyn Write, failure: &Phrase) -> io::Result<()> {
        writeln!(out, "{}", phrase(failure))
    }

    /// What is about to be run, and the headings of the trials.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn header(self, out: &mut dyn Write, story: &Story) -> io::Result<()> {
        self.page.title(out, &story.title)?;
        self.page.facts(out, &story.facts)?;
        self.page.headings(out, &story.trials)?;
        out.flush()
    }

    /// The headings of the trials alone.
    ///
    /// # Errors
    /// Those of `out`.
    #[cfg(feature = "live")]
    pub fn headings(self, out: &mut dyn Write, trials: &Table) -> io::Result<()> {
        self.page.headings(out, trials)
    }

    /// A trial that has ended, as a trial of the table whose headings were written.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn row(self, out: &mut dyn Write, trials: &Table, row: &Row) -> io::Result<()> {
        self.page.row(out, trials, row)?;
        out.flush()
    }

    /// Everything that follows the trials.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(self, out: &mut dyn Write, story: &Story) -> io::Result<()> {
        story.sections.iter().try_for_each(|section| self.page.section(out, section))?;
        self.page.verdict(out, &story.verdict)?;
        out.flush()
    }
}

/// A phrase alone, as the line of progress shows it.
pub fn one_line(words: &Phrase) -> String {
    phrase(words)
}
