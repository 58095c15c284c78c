//! The course of a trial: all of it as a series, and to read second by second where it is short, else the
//! worst of it.

use super::content::{Block, Cell, Column, Row, Section, Series, Table};
use super::names::trial;
use super::phrase::{Phrase, Value, counted, phrase};
use super::pictures;
use crate::report::document::Plan;
use crate::report::document::figures::{micros, seconds};
use crate::report::document::series::Interval;
use crate::report::document::trial::{Ending, TrialResult};
use crate::units::{Count, Rate};

/// More seconds are not read one by one: the worst of them are shown.
const ROWS_MAX: usize = 12;
/// As many of them.
const WORST: usize = 5;

/// The course of a trial that has one.
pub(super) fn section(plan: &Plan, run: &TrialResult) -> Option<Section> {
    let all: Vec<&Interval> = run.intervals.iter().collect();
    let (heading, mut blocks) = match all.len() {
        0 | 1 => return None,
        2..=ROWS_MAX => {
            (phrase!["Second by second, ", trial(plan, run)], vec![Block::Table(table(&all))])
        }
        count => {
            let of_all = phrase![" (in the table the worst of ", Count(count as u64), ")"];
            (phrase!["Second by second, ", trial(plan, run), of_all], worst(run, &all))
        }
    };
    let drawn = [Block::Series(series(&all))].into_iter().chain(pictures::heatmap(&all));
    blocks.splice(0..0, drawn);
    Some(Section { key: "series", heading: Some(heading), blocks })
}

/// Those with the highest p99 (or maximum, where there are too few copies for one), in order of time.
fn worst(run: &TrialResult, all: &[&Interval]) -> Vec<Block> {
    let timed = |i: &&Interval| !i.warmup && height(i).is_some();
    let mut measured: Vec<_> = all.iter().copied().filter(timed).collect();
    let empty = all.iter().filter(|i| !i.warmup && height(i).is_none()).count() as u64;
    measured
        .sort_by(|a, b| height(b).unwrap_or_default().total_cmp(&height(a).unwrap_or_default()));
    let usual = measured.get(measured.len() / 2).map(|usual| usual_height(usual, empty));
    measured.truncate(WORST);
    measured.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    // In the second of a signal messages were due that were not sent any more.
    let was_cut = usize::from(run.ending == Ending::Interrupted);
    let told = all.iter().take(all.len() - was_cut);
    let most = told.max_by_key(|i| i.missing_so_far).filter(|i| i.missing_so_far > 0);
    let most = most.map(|i| {
        let (missing, at) = (Count(i.missing_so_far), seconds(i.start_s + i.length_s));
        phrase!["the most that was missing at once were ", missing, " copies, after ", at]
    });
    let empty =
        (empty > 0).then(|| phrase!["no copy came in ", counted(empty, "second", "seconds")]);
    let line = Phrase::joined([usual, empty, most].into_iter().flatten(), "; ");
    vec![Block::Table(table(&measured)), line.into()]
}

/// What half of the seconds that are timed stay below: the figure by which they were sorted.
fn usual_height(usual: &Interval, empty: u64) -> Phrase {
    let with_copies = if empty == 0 { "" } else { " with copies" };
    let figure = if usual.p99_us.is_some() { "p99" } else { "maximum" };
    let below = Value::micros(Some(height(usual).unwrap_or_default()));
    phrase!["half of the seconds", with_copies, " have a ", figure, " below ", below]
}

/// `None` of a second in which nothing came.
fn height(interval: &Interval) -> Option<f64> {
    interval.p99_us.or(interval.max_us)
}

/// The columns of every second, and of their table.
fn columns() -> Vec<Column> {
    vec![
        Column::durations("from"),
        // Not rates: of the last moments of a trial they would be wild.
        Column::figures("sent"),
        Column::figures("copies"),
        Column::durations("p50"),
        Column::durations("p99"),
        Column::durations("max"),
        // Whether it is a fault shows at the end: in between, copies are under way.
        Column::figures("missing so far"),
    ]
}

fn values(interval: &Interval) -> Vec<Value> {
    vec![
        Value::limit(interval.start_s),
        Value::Count(interval.sent),
        Value::Count(interval.copies),
        Value::micros(interval.p50_us),
        Value::micros(interval.p99_us),
        Value::micros(interval.max_us),
        Value::Count(interval.missing_so_far),
    ]
}

const fn warmup(interval: &Interval) -> &'static str {
    if interval.warmup { "warm-up" } else { "" }
}

fn series(all: &[&Interval]) -> Series {
    let point = |interval: &&Interval| {
        let mut point = values(interval);
        point.extend([
            Value::Count(interval.misdelivered),
            Value::Duration(seconds(interval.length_s)),
            Value::Words(warmup(interval).into()),
        ]);
        point
    };
    let mut columns = columns();
    columns.extend([
        Column::figures("misdelivered"),
        Column::durations("length"),
        Column::words("warm-up"),
    ]);
    Series { key: "seconds", columns, points: all.iter().map(point).collect() }
}

fn table(intervals: &[&Interval]) -> Table {
    let misdelivered = intervals.iter().any(|interval| interval.misdelivered > 0);
    let mut columns = columns();
    columns.extend(misdelivered.then(|| Column::figures("misdelivered")));
    columns.push(Column::words(""));
    let row = |interval: &&Interval| {
        let mut cells: Row = values(interval).into_iter().map(Cell::from).collect();
        cells.extend(misdelivered.then(|| Cell::fault(interval.misdelivered)));
        cells.push(warmup(interval).into());
        cells
    };
    Table { key: "seconds", caption: None, columns, rows: intervals.iter().map(row).collect() }
}

/// What the last second was like, while the trial runs.
pub fn glance(interval: &Interval) -> Phrase {
    let rate = |count: u64| Rate::per_second(count as f64 / interval.length_s.max(1e-3));
    let warmup = if interval.warmup { "warm-up, " } else { "" };
    let tail = match (interval.p99_us, interval.max_us) {
        (Some(p99), _) => phrase![", p99 ", micros(p99)],
        (None, Some(max)) => phrase![", max ", micros(max)],
        (None, None) => Phrase::default(),
    };
    let (sent, copies) = (rate(interval.sent), rate(interval.copies));
    let missing = Count(interval.missing_so_far);
    phrase![warmup, sent, " sent, ", copies, " copies", tail, ", ", missing, " missing"]
}
