//! The report that a person reads: what is run, a row for each number of messages as it ends, then
//! what came of it, and last whether to believe it.
//!
//! Belongs here: order and wording, for a reader who has never seen this program. Does not: alignment
//! (`format`), the machine's reader (`json`).
//!
//! Made for 100 columns. Sections after the rows appear only when they have something to say.

mod account;
mod ending;
mod header;

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::io::{self, Write};

use super::Invocation;
use super::format::{self, Cell, Column, Ink, Paint, or_na, trust_word, width};
use crate::measure::outcome::{Class, Outcome, RunOutcome, Trust};
use crate::measure::percentile::Percentile;
use crate::plan::Plan;
use crate::units::{Count, Nanos};

/// Percentiles of the rows, between the median and the maximum.
const PERCENTILES: [Percentile; 3] = [Percentile::P50, Percentile::P99, Percentile::P999];

/// A text report that is written piece by piece: [`header`](Self::header) before the run,
/// [`row`](Self::row) as each ends, [`end`](Self::end) at last.
#[derive(Debug)]
pub struct Text<'a> {
    plan: &'a Plan,
    invocation: &'a Invocation,
    paint: Paint,
    columns: Vec<Column>,
}

impl<'a> Text<'a> {
    /// A report on `plan`. Colours are used on a terminal unless `no_color`, the variable `NO_COLOR`,
    /// is set and not empty.
    pub fn new(
        plan: &'a Plan,
        invocation: &'a Invocation,
        is_terminal: bool,
        no_color: Option<&OsStr>,
    ) -> Self {
        let paint = Paint {
            colour: format::wants_colour(is_terminal, no_color),
        };
        Self {
            plan,
            invocation,
            paint,
            columns: row_columns(plan),
        }
    }

    /// What is about to be run, and the headings of the rows.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn header(&self, out: &mut dyn Write) -> io::Result<()> {
        header::write(self, out)?;
        self.row_headings(out)
    }

    /// A row that has ended.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn row(&self, out: &mut dyn Write, run: &RunOutcome) -> io::Result<()> {
        format::line(out, self.paint, &self.columns, &row_cells(run))?;
        out.flush()
    }

    /// Everything that follows the rows.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(&self, out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
        ending::write(self, out, outcome)?;
        out.flush()
    }

    fn row_headings(&self, out: &mut dyn Write) -> io::Result<()> {
        let before: usize = self.columns[..5]
            .iter()
            .map(|column| column.width + 2)
            .sum();
        // Burst has no schedule: latency can only begin when a frame is handed over.
        writeln!(
            out,
            "{}service: from the send to each copy",
            " ".repeat(before)
        )?;
        format::headings(out, self.paint, &self.columns)
    }

    fn heading(&self, out: &mut dyn Write, text: &str) -> io::Result<()> {
        writeln!(out, "\n{}", self.paint.ink(Ink::Heading, text))
    }

    /// `node 2 ws://…`.
    fn node(&self, index: usize) -> String {
        let url = self.plan.nodes.get(index).map_or("", |node| &node.url);
        format!("node {index} {url}")
    }
}

/// Wide enough for the largest row, so that each can be written as it ends.
fn row_columns(plan: &Plan) -> Vec<Column> {
    let messages = plan.messages.iter().copied().max().unwrap_or(0);
    let count_width = |count: u64| width(&Count(count).to_string());
    let copies = 2 * count_width(plan.expected_copies(messages)) + width(" / ");
    vec![
        Column::right("messages", count_width(messages).max(width("messages"))),
        Column::right("copies", copies.max(width("48 000 / 48 000"))),
        Column::right("send", Nanos::WIDTH),
        Column::right("receive", Nanos::WIDTH),
        Column::right("copies/s", width("1 234 567")),
        Column::right("p50", Nanos::WIDTH),
        Column::right("p99", Nanos::WIDTH),
        Column::right("p99.9", Nanos::WIDTH),
        Column::right("max", Nanos::WIDTH),
        Column::left("verdict", width("degraded")),
    ]
}

fn row_cells(run: &RunOutcome) -> Vec<Cell> {
    let delivery = &run.delivery;
    let copies = format!(
        "{} / {}",
        Count(delivery.delivered),
        Count(delivery.expected)
    );
    let copies_ink = if delivery.missing == 0 {
        Ink::Plain
    } else {
        Ink::Bad
    };
    let mut cells: Vec<Cell> = vec![
        Count(run.sent).into(),
        Cell::inked(copies, copies_ink),
        run.send_time.into(),
        run.receive_time.into(),
        Count(run.copies_per_s().round() as u64).into(),
    ];
    cells.extend(latency_cells(run, run.latency_ns.first()));
    cells.push(verdict_cell(run));
    cells
}

/// A row of which copies are missing is no good row, whatever its times are worth.
fn verdict_cell(run: &RunOutcome) -> Cell {
    match (run.trust(), run.delivery.missing, run.complete()) {
        (Trust::Void, ..) => Cell::inked(trust_word(Trust::Void), Ink::Bad),
        (_, 1.., _) => Cell::inked("deficit", Ink::Bad),
        (_, 0, false) => Cell::inked("faulty", Ink::Bad),
        (trust, ..) => Cell::inked(trust_word(trust), Ink::of(trust)),
    }
}

/// The percentiles of a class and its maximum.
fn latency_cells(
    run: &RunOutcome,
    class: Option<&(Class, hdrhistogram::Histogram<u64>)>,
) -> Vec<Cell> {
    let mut cells: Vec<Cell> = PERCENTILES
        .iter()
        .map(|percentile| or_na(class.and_then(|(_, ns)| percentile.of(ns))).into())
        .collect();
    let max = class
        .filter(|(_, ns)| !ns.is_empty())
        .map(|(_, ns)| Nanos(ns.max()));
    let above = if run.saturated > 0 && max.is_some() {
        ">"
    } else {
        ""
    };
    cells.push(format!("{above}{}", or_na(max)).into());
    cells
}
