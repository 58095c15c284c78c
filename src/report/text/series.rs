//! The course of a row: second by second where that fits a screen, else the worst of it.

use std::io::{self, Write};

use super::page::Page;
use crate::report::document::figures::{micros, seconds};
use crate::report::document::series::Interval;
use crate::report::document::trial::Run;
use crate::report::format::{Cell, Column, INDENT, counted, or_na, table, whole_seconds, wrapped};
use crate::report::text::delivery::row_name;
use crate::units::{Count, Nanos, Rate};

/// More seconds are not read one by one: the worst of them are shown.
const ROWS_MAX: usize = 12;
/// So many of them.
const WORST: usize = 5;

/// The course of a row that has one.
pub(super) fn write(page: &Page<'_>, out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let all: Vec<&Interval> = run.intervals.iter().collect();
    match all.len() {
        0 | 1 => Ok(()),
        2..=ROWS_MAX => {
            page.heading(out, &format!("Second by second, {}", row_name(run)))?;
            rows(page, out, &all)
        }
        _ => worst(page, out, run, &all),
    }
}

/// Those with the highest p99 (or maximum, where there are too few copies for one), in order of time.
fn worst(page: &Page<'_>, out: &mut dyn Write, run: &Run, all: &[&Interval]) -> io::Result<()> {
    let timed = |i: &&Interval| !i.warmup && height(i).is_some();
    let mut measured: Vec<_> = all.iter().copied().filter(timed).collect();
    let empty = all.iter().filter(|i| !i.warmup && height(i).is_none()).count() as u64;
    measured
        .sort_by(|a, b| height(b).unwrap_or_default().total_cmp(&height(a).unwrap_or_default()));
    let usual = measured.get(measured.len() / 2).map(|usual| usual_height(usual, empty));
    measured.truncate(WORST);
    measured.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    let count = counted(all.len() as u64, "second", "seconds");
    page.heading(out, &format!("The worst of {count}, {}", row_name(run)))?;
    rows(page, out, &measured)?;
    let most = all.iter().max_by_key(|i| i.missing_so_far).filter(|i| i.missing_so_far > 0);
    let most = most.map_or_else(String::new, |i| {
        let (missing, at) = (Count(i.missing_so_far), seconds(i.start_s + i.length_s));
        format!("; the most that was missing at once were {missing} copies, after {at}")
    });
    let empty = match empty {
        0 => String::new(),
        empty => format!("; no copy came in {}", counted(empty, "second", "seconds")),
    };
    let line = usual.unwrap_or_default() + &empty + &most;
    wrapped(out, INDENT, INDENT.len(), line.trim_start_matches("; "))
}

/// What half of the seconds that are timed stay below: the figure by which they were sorted.
fn usual_height(usual: &Interval, empty: u64) -> String {
    let with_copies = if empty == 0 { "" } else { " with copies" };
    let figure = if usual.p99_us.is_some() { "p99" } else { "maximum" };
    let height = micros(height(usual).unwrap_or_default());
    format!("half of the seconds{with_copies} have a {figure} below {height}")
}

/// `None` of a second in which nothing came.
fn height(interval: &Interval) -> Option<f64> {
    interval.p99_us.or(interval.max_us)
}

fn rows(page: &Page<'_>, out: &mut dyn Write, intervals: &[&Interval]) -> io::Result<()> {
    let misdelivered = intervals.iter().any(|interval| interval.misdelivered > 0);
    let mut columns = vec![
        Column::right("from", Nanos::WIDTH),
        // Not rates: of the last moments of a row they would be wild.
        Column::right("sent", 9),
        Column::right("copies", 10),
        Column::right("p50", Nanos::WIDTH),
        Column::right("p99", Nanos::WIDTH),
        Column::right("max", Nanos::WIDTH),
        Column::right("missing so far", 14),
    ];
    if misdelivered {
        columns.push(Column::right("misdelivered", 12));
    }
    columns.push(Column::left("", 0));
    let rows: Vec<_> = intervals.iter().map(|interval| cells(interval, misdelivered)).collect();
    table(out, page.paint, columns, &rows)
}

fn cells(interval: &Interval, misdelivered: bool) -> Vec<Cell> {
    let figure = |us: Option<f64>| or_na(us.map(micros));
    let mut cells: Vec<Cell> = vec![
        whole_seconds(seconds(interval.start_s)).into(),
        Count(interval.sent).into(),
        Count(interval.copies).into(),
        figure(interval.p50_us).into(),
        figure(interval.p99_us).into(),
        figure(interval.max_us).into(),
        // Whether it is a fault shows at the end: in between, copies are under way.
        Count(interval.missing_so_far).into(),
    ];
    if misdelivered {
        cells.push(Cell::fault(interval.misdelivered));
    }
    cells.push(if interval.warmup { "warm-up" } else { "" }.into());
    cells
}

/// What the last second was like, while the row runs.
pub fn glance(interval: &Interval) -> String {
    let rate = |count: u64| Rate::per_second(count as f64 / interval.length_s.max(1e-3));
    let warmup = if interval.warmup { "warm-up, " } else { "" };
    let (p99, max) = (interval.p99_us.map(micros), interval.max_us.map(micros));
    let tail = match (p99, max) {
        (Some(p99), _) => format!(", p99 {p99}"),
        (None, Some(max)) => format!(", max {max}"),
        (None, None) => String::new(),
    };
    format!(
        "{warmup}{} sent, {} copies{tail}, {} missing",
        rate(interval.sent),
        rate(interval.copies),
        Count(interval.missing_so_far)
    )
}
