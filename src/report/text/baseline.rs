//! The generator's own floor beside the row that heads the report's end.

use std::io::{self, Write};

use crate::report::document::Calibration;
use crate::report::document::figures::{micros, seconds};
use crate::report::document::trial::{Latency, Run};
use crate::report::format::{Cell, Column, INDENT, Ink, or_na, table, trust_word, wrapped};
use crate::report::text::delivery::row_name;
use crate::report::text::page::Page;
use crate::report::text::trials::{PERCENTILES, latency_cells};
use crate::units::Nanos;

const WHAT: &str =
    "generator, loopback and relays are all in it: an upper bound of what the tool itself adds";

/// The row and its floor, one above the other, where there was a calibration.
pub(super) fn write(page: &Page<'_>, out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let Some(calibration) = &page.document.calibration else { return Ok(()) };
    let Calibration { cluster, shared_cores, .. } = calibration;
    let title = format!("Our own floor, {} (the same plan against {cluster})", row_name(run));
    page.heading(out, &title)?;
    if let Some(floor) = calibration.runs.iter().find(|floor| floor.messages == run.messages) {
        beside(page, out, run, floor)?;
        wrapped(out, INDENT, INDENT.len(), WHAT)?;
        if *shared_cores {
            wrapped(
                out,
                INDENT,
                INDENT.len(),
                "the relays had no CPU of their own: it is too high",
            )?;
        }
    }
    if let Some(failure) = &calibration.failure {
        let first = format!("{INDENT}{} ", page.paint.ink(Ink::Warning, "not whole:"));
        wrapped(out, &first, 4, &failure.to_string())?;
    }
    Ok(())
}

fn beside(page: &Page<'_>, out: &mut dyn Write, run: &Run, floor: &Run) -> io::Result<()> {
    let mut columns = vec![Column::left(page.class.key(), 10)];
    columns.extend(PERCENTILES.map(|p| Column::right(p, Nanos::WIDTH)));
    columns.push(Column::right("max", Nanos::WIDTH));
    let has_lag = run.generator.schedule_lag_us.is_some();
    if has_lag {
        columns.push(Column::right("lag p99", Nanos::WIDTH));
    }
    columns.extend([
        Column::right("receive", Nanos::WIDTH),
        Column::right("per copy", Nanos::WIDTH),
        Column::left("verdict", 8),
    ]);
    let rows = [cells(page, "this run", run, has_lag), cells(page, "floor", floor, has_lag)];
    table(out, page.paint, columns, &rows)
}

fn cells(page: &Page<'_>, name: &str, run: &Run, has_lag: bool) -> Vec<Cell> {
    let mut cells: Vec<Cell> = vec![name.into()];
    cells.extend(latency_cells(run.latency_us.of(page.class)));
    if has_lag {
        let p99 = |lag: &Latency| lag.p99.map(micros);
        cells.push(or_na(run.generator.schedule_lag_us.as_ref().and_then(p99)).into());
    }
    let trust = run.verdict.trust;
    cells.extend([
        or_na(run.time.receive_s.map(seconds)).into(),
        or_na(run.cpu_ns_per_copy().map(|ns| Nanos(ns.round() as u64))).into(),
        if run.complete() {
            Cell::inked(trust_word(trust), Ink::of(trust))
        } else {
            Cell::inked("deficit", Ink::Bad)
        },
    ]);
    cells
}
