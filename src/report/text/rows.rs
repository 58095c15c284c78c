//! The rows: one number of messages each, in columns that are known before the first.

use std::io::{self, Write};

use super::page::Page;
use crate::measure::latencies::Latencies;
use crate::measure::outcome::{Class, RunOutcome, Trust};
use crate::measure::percentile::Percentile;
use crate::plan::Plan;
use crate::report::format::{self, Cell, Column, Ink, or_na, trust_word, width};
use crate::units::{Count, Nanos};

/// Percentiles of the rows, before the maximum.
pub(super) const PERCENTILES: [Percentile; 3] =
    [Percentile::P50, Percentile::P99, Percentile::P999];

/// Columns before the latencies.
const BEFORE_LATENCY: usize = 5;

/// The headings, and over the latencies what they are.
pub(super) fn headings(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let columns = columns(page.plan);
    let before: usize = columns[..BEFORE_LATENCY].iter().map(|column| column.width + 2).sum();
    // Without a schedule latency can only begin when a frame is handed over.
    let headline = match page.plan.shape.is_open_loop() {
        true => "response: from the due time to each copy",
        false => "service: from the send to each copy",
    };
    writeln!(out, "{}{headline}", " ".repeat(before))?;
    format::headings(out, page.paint, &columns)
}

/// One row.
pub(super) fn row(page: &Page<'_>, out: &mut dyn Write, run: &RunOutcome) -> io::Result<()> {
    format::line(out, page.paint, &columns(page.plan), &cells(run))
}

/// Wide enough for the largest row, so that each can be written as it ends.
fn columns(plan: &Plan) -> Vec<Column> {
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

fn cells(run: &RunOutcome) -> Vec<Cell> {
    let delivery = &run.delivery;
    let copies = format!("{} / {}", Count(delivery.delivered), Count(delivery.expected));
    let copies_ink = if delivery.missing == 0 { Ink::Plain } else { Ink::Bad };
    let mut cells: Vec<Cell> = vec![
        Count(run.sent).into(),
        Cell::inked(copies, copies_ink),
        run.send_time.into(),
        run.receive_time.into(),
        Count(run.copies_per_s().round() as u64).into(),
    ];
    cells.extend(latency_cells(run.latency_ns.first()));
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
pub(super) fn latency_cells(class: Option<&(Class, Latencies)>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = PERCENTILES
        .iter()
        .map(|percentile| or_na(class.and_then(|(_, ns)| percentile.of(ns))).into())
        .collect();
    cells.push(or_na(class.and_then(|(_, ns)| ns.max())).into());
    cells
}
