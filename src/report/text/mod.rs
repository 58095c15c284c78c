//! The report that a person reads: what is run, a row for each number of messages as it ends, then
//! what came of it, and last whether to believe it.
//!
//! Belongs here: order and wording, for a reader who has never seen this program. Does not: alignment
//! (`format`), the machine's reader (`json`), and anything that is not in the document: a saved result
//! is told as the run told it.
//!
//! Made for 100 columns. Sections after the rows appear only when they have something to say.

mod connecting;
mod cost;
mod header;
mod page;
mod series;

mod baseline;
mod delivery;
#[cfg(test)]
mod golden;
mod summary;
#[cfg(test)]
mod tests;
mod trials;

use std::ffi::OsStr;
use std::io::{self, Write};

use self::page::Page;
pub use self::series::glance;
use super::document::Document;
use super::format::{Paint, wants_colour};
use crate::report::document::trial::{LatencyClass, Run};

/// A text report, at once ([`all`](Self::all)) or piece by piece: [`header`](Self::header) before the
/// run, of a document that has only begun; [`row`](Self::row) as each ends; and of the whole document
/// the [`end`](Self::end).
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    page: Page<'a>,
}

impl<'a> Text<'a> {
    /// A report on `document`. Colours are used on a terminal unless `no_color`, the variable
    /// `NO_COLOR`, is set and not empty.
    pub fn new(document: &'a Document, is_terminal: bool, no_color: Option<&OsStr>) -> Self {
        let paint = Paint { colour: wants_colour(is_terminal, no_color) };
        Self { page: Page { document, class: document.plan.headline_latency, paint } }
    }

    /// The same with another latency class in the rows.
    pub const fn of_class(self, class: LatencyClass) -> Self {
        Self { page: Page { class, ..self.page } }
    }

    /// The whole report.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn all(&self, out: &mut dyn Write) -> io::Result<()> {
        self.header(out)?;
        self.page.document.runs.iter().try_for_each(|run| self.row(out, run))?;
        self.end(out)
    }

    /// What is about to be run, and the headings of the rows.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn header(&self, out: &mut dyn Write) -> io::Result<()> {
        header::write(&self.page, out)?;
        trials::headings(&self.page, out)?;
        out.flush()
    }

    /// A row that has ended.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn row(&self, out: &mut dyn Write, run: &Run) -> io::Result<()> {
        trials::row(&self.page, out, run)?;
        out.flush()
    }

    /// Everything that follows the rows.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        summary::write(&self.page, out)?;
        out.flush()
    }
}
