//! The rows: one number of messages each, in columns that are known before the first.

use std::io::{self, Write};

use crate::report::document::Plan;
use crate::report::document::figures::{micros, seconds};
use crate::report::document::trial::{Ending, Latency, LatencyClass, Run, Trust};
use crate::report::format::{self, Cell, Column, Ink, NA, or_na, trust_word, width};
use crate::report::text::page::Page;
use crate::units::{Count, Nanos};

/// Percentiles of the rows, before the maximum.
pub(super) const PERCENTILES: [&str; 3] = ["p50", "p99", "p99.9"];

/// Columns before the latencies.
const BEFORE_LATENCY: usize = 5;

/// The headings, and over the latencies what they are.
pub(super) fn headings(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let columns = columns(&page.document.plan);
    let before: usize = columns[..BEFORE_LATENCY].iter().map(|column| column.width + 2).sum();
    // Without a schedule latency can only begin when a frame is handed over.
    let headline = format!("{}: {}", page.class.key(), meaning(page.class));
    writeln!(out, "{}{headline}", " ".repeat(before))?;
    format::headings(out, page.paint, &columns)
}

/// What each class means stands beside its figures: most readers meet these words here.
pub(super) const fn meaning(class: LatencyClass) -> &'static str {
    match class {
        LatencyClass::Service => "from the send to each copy",
        LatencyClass::Response => "from the due time to each copy",
        LatencyClass::Wait => "from the due time to the send",
        LatencyClass::Completion => "until everyone has it: to the last copy",
        LatencyClass::Spread => "from the first copy to the last",
    }
}

/// One row.
pub(super) fn row(page: &Page<'_>, out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let plan = &page.document.plan;
    format::line(out, page.paint, &columns(plan), &cells(run, page.class))
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

fn cells(run: &Run, class: LatencyClass) -> Vec<Cell> {
    let delivery = &run.delivery;
    let copies = format!("{} / {}", Count(delivery.delivered), Count(delivery.expected));
    let copies_ink = if delivery.missing == 0 { Ink::Plain } else { Ink::Bad };
    let mut cells: Vec<Cell> = vec![
        Count(run.sent).into(),
        Cell::inked(copies, copies_ink),
        or_na(run.time.send_s.map(seconds)).into(),
        or_na(run.time.receive_s.map(seconds)).into(),
        run.throughput.copies_per_s.map_or_else(|| NA.to_owned(), whole).into(),
    ];
    cells.extend(latency_cells(run.latency_us.of(class)));
    cells.push(verdict_cell(run));
    cells
}

fn whole(per_s: f64) -> String {
    Count(per_s.round() as u64).to_string()
}

/// A row of which copies are missing is no good row, whatever its times are worth.
fn verdict_cell(run: &Run) -> Cell {
    match (run.verdict.trust, run.delivery.missing, run.complete()) {
        // What is missing then is the signal's doing, not the cluster's.
        (_, 1.., _) if run.ending == Ending::Interrupted => Cell::inked("cut off", Ink::Bad),
        (Trust::Void, ..) => Cell::inked(trust_word(Trust::Void), Ink::Bad),
        (_, 1.., _) => Cell::inked("deficit", Ink::Bad),
        (_, 0, false) => Cell::inked("faulty", Ink::Bad),
        (trust, ..) => Cell::inked(trust_word(trust), Ink::of(trust)),
    }
}

/// The percentiles of a class and its maximum.
pub(super) fn latency_cells(class: Option<&Latency>) -> Vec<Cell> {
    let figures: [fn(&Latency) -> Option<f64>; 4] = [|l| l.p50, |l| l.p99, |l| l.p99_9, |l| l.max];
    let figure = |of: fn(&Latency) -> Option<f64>| or_na(class.and_then(of).map(micros));
    figures.into_iter().map(|of| figure(of).into()).collect()
}
