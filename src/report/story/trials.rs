//! The table of trials: its columns are known before the first.

use super::content::{Caption, Cell, Column, Emphasis, Row, Table};
use super::names::{emphasis, latency_cells, latency_columns, meaning, trust};
use super::phrase::{Phrase, Value, phrase};
use crate::report::document::trial::{Ending, LatencyClass, TrialResult, Trust};
use crate::report::document::{Document, Plan};
use crate::units::Count;

pub(super) fn table(document: &Document, class: LatencyClass) -> Table {
    let messages = document.plan.trials.iter().map(|trial| trial.messages).max().unwrap_or(0);
    let copies = Count(document.plan.expected_copies(messages));
    let mut columns = vec![
        Column::figures("messages").within(Count(messages).into()),
        Column::figures("copies").within(phrase![copies, " / ", copies]),
        Column::durations("send"),
        Column::durations("receive"),
        Column::figures("copies/s"),
    ];
    if document.plan.repeats_a_size() {
        let ids = document.plan.trials.iter().map(|trial| &trial.id);
        let widest = ids.max_by_key(|id| id.raw().chars().count());
        columns
            .insert(0, Column::words("trial").within(widest.map(Phrase::from).unwrap_or_default()));
    }
    // Without a schedule latency can only begin when a frame is handed over.
    let text = phrase![class.key(), ": ", meaning(class)];
    let caption = Some(Caption { column: columns.len(), text });
    columns.extend(latency_columns());
    columns.push(Column::words("verdict"));
    let rows = document.trials.iter().map(|run| row(&document.plan, run, class)).collect();
    Table { key: "trials", caption, columns, rows }
}

/// One trial.
pub(super) fn row(plan: &Plan, run: &TrialResult, class: LatencyClass) -> Row {
    let delivery = &run.delivery;
    let copies = phrase![Count(delivery.delivered), " / ", Count(delivery.expected)];
    let taken = if delivery.missing == 0 { Emphasis::Plain } else { Emphasis::Bad };
    let per_s = run.throughput.copies_per_s.map_or(Value::Unknown, Value::PerSecond);
    let mut cells: Row = vec![
        Count(run.sent).into(),
        Cell::with(copies, taken),
        Value::seconds(run.time.send_s).into(),
        Value::seconds(run.time.receive_s).into(),
        per_s.into(),
    ];
    if plan.repeats_a_size() {
        cells.insert(0, Phrase::from(&run.id).into());
    }
    cells.extend(latency_cells(run.latency_us.of(class)));
    cells.push(verdict(run));
    cells
}

/// A trial of which copies are missing is no good one, whatever its times are worth.
fn verdict(run: &TrialResult) -> Cell {
    match (run.verdict.trust, run.delivery.missing, run.complete()) {
        // What is missing then is the signal's doing, not the cluster's.
        (_, 1.., _) if run.ending == Ending::Interrupted => Cell::with("cut off", Emphasis::Bad),
        (Trust::Void, ..) => Cell::with(trust(Trust::Void), Emphasis::Bad),
        (_, 1.., _) => Cell::with("deficit", Emphasis::Bad),
        (_, 0, false) => Cell::with("faulty", Emphasis::Bad),
        (worth, ..) => Cell::with(trust(worth), emphasis(worth)),
    }
}
