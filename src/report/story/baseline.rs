//! The generator's own floor beside the trial whose details are told.

use super::content::{Block, Cell, Column, Emphasis, Row, Section, Sentence, Table};
use super::names::{emphasis, latency_cells, latency_columns, trial, trust};
use super::phrase::{Phrase, Value, phrase};
use crate::report::document::trial::{LatencyClass, TrialResult};
use crate::report::document::{Calibration, Document};

const WHAT: &str =
    "generator, loopback and relays are all in it: an upper bound of what the tool itself adds";
const SHARED: &str = "the relays had no CPU of their own: it is too high";

/// The trial and its floor, one above the other, where there was a calibration.
pub(super) fn section(
    document: &Document,
    class: LatencyClass,
    run: &TrialResult,
) -> Option<Section> {
    let calibration = document.calibration.as_ref()?;
    let Calibration { cluster, shared_cores, .. } = calibration;
    let mut blocks = Vec::new();
    if let Some(floor) = calibration.trials.iter().find(|floor| floor.id == run.id) {
        blocks.extend([Block::Table(table(class, run, floor)), Phrase::from(WHAT).into()]);
        blocks.extend(shared_cores.then(|| Phrase::from(SHARED).into()));
    }
    if let Some(failure) = &calibration.failure {
        let text = phrase![" ", failure];
        let sentence = Sentence::about("not whole:".into(), Emphasis::Warn, text);
        blocks.push(Block::Sentence(sentence));
    }
    let heading = phrase![
        "Our own floor, ",
        trial(&document.plan, run),
        " (the same plan against ",
        cluster,
        ")"
    ];
    Some(Section { key: "baseline", heading: Some(heading), blocks })
}

fn table(class: LatencyClass, run: &TrialResult, floor: &TrialResult) -> Table {
    let mut columns = vec![Column::words(class.key())];
    columns.extend(latency_columns());
    let has_lag = run.generator.schedule_lag_us.is_some();
    columns.extend(has_lag.then(|| Column::durations("lag p99")));
    columns.extend([
        Column::durations("receive"),
        Column::durations("per copy"),
        Column::words("verdict"),
    ]);
    let rows = vec![row(class, "this run", run, has_lag), row(class, "floor", floor, has_lag)];
    Table { key: "baseline", caption: None, columns, rows }
}

fn row(class: LatencyClass, name: &'static str, run: &TrialResult, has_lag: bool) -> Row {
    let mut cells: Row = vec![name.into()];
    cells.extend(latency_cells(run.latency_us.of(class)));
    let lag = run.generator.schedule_lag_us.as_ref().and_then(|lag| lag.p99);
    cells.extend(has_lag.then(|| Cell::from(Value::micros(lag))));
    let worth = run.verdict.trust;
    cells.extend([
        Value::seconds(run.time.receive_s).into(),
        Value::nanos(run.cpu_ns_per_copy()).into(),
        match run.complete() {
            true => Cell::with(trust(worth), emphasis(worth)),
            false => Cell::with("deficit", Emphasis::Bad),
        },
    ]);
    cells
}
