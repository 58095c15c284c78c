//! The latency classes of the trial whose details are told.

use super::content::{Block, Column, Row, Section, Table};
use super::names::{latency_cells, latency_columns, meaning, trial};
use super::nodes;
use super::phrase::{Phrase, Value, counted, phrase};
use super::pictures;
use crate::load::shape::Pacing;
use crate::report::document::trial::{Latency, LatencyClass, TrialResult, WarmUp};
use crate::report::document::{Document, Plan};
use crate::units::Count;

/// A row for each class, and one for the warm-up.
pub(super) fn section(document: &Document, run: &TrialResult) -> Section {
    let plan = &document.plan;
    let mut rows: Vec<Row> = run.latency_us.present().map(row).collect();
    rows.extend(run.warmup.as_ref().and_then(|warmup| warmup_row(plan, run, warmup)));
    let mut columns = vec![Column::words(""), Column::figures("samples")];
    columns.extend(latency_columns());
    columns.push(Column::words(""));
    let mut blocks = vec![Block::Table(Table { key: "latency", caption: None, columns, rows })];
    blocks.extend(pictures::distribution(document, run));
    blocks.extend([survivors(run), unresolved(run)].into_iter().flatten().map(Block::from));
    let heading = phrase![
        "Latency, ",
        trial(plan, run),
        " (",
        plan.load_of(run).map_or("", |load| clock(load.pacing())),
        ")"
    ];
    Section { key: "latency", heading: Some(heading), blocks }
}

/// The nodes of a trial without a deficit; the others have told them already.
pub(super) fn by_node(plan: &Plan, class: LatencyClass, run: &TrialResult) -> Option<Section> {
    let wanted = run.matrix.len() > 1 && run.delivery.missing == 0 && run.lost_sockets.is_empty();
    let blocks = || nodes::blocks(plan, class, run);
    wanted.then(|| Section { key: "nodes", heading: None, blocks: blocks() })
}

/// From when times are counted.
const fn clock(pacing: Pacing) -> &'static str {
    match pacing {
        Pacing::Free => "a burst has no due times: the clock starts at the send",
        Pacing::Answers => "closed loop, no due times: the clock starts at the send",
        Pacing::DueTimes => "open loop: the clock starts when a message is due, sent or not",
    }
}

fn row((class, latency): (LatencyClass, &Latency)) -> Row {
    let mut cells: Row = vec![class.key().into(), Count(latency.count).into()];
    cells.extend(latency_cells(Some(latency)));
    cells.push(meaning(class).into());
    cells
}

/// The headline class of what was due in the warm-up, which is in no other row.
fn warmup_row(plan: &Plan, run: &TrialResult, warmup: &WarmUp) -> Option<Row> {
    let class = plan.load_of(run)?.headline_latency;
    let latency = warmup.latency_us.of(class)?;
    let mut cells: Row = vec!["warm-up".into(), Count(latency.count).into()];
    cells.extend(latency_cells(Some(latency)));
    let first = Value::limit(warmup.duration_s);
    cells.push(phrase![class.key(), " of the first ", first, saturated(warmup.saturated)].into());
    Some(cells)
}

/// Said where it is so: the percentiles beside it are too low.
fn saturated(count: u64) -> Phrase {
    match count {
        0 => Phrase::default(),
        count => phrase![", ", Count(count), " above the histogram's top left out"],
    }
}

/// Where copies are missing: what is timed as a whole has left out those that did worst.
fn survivors(run: &TrialResult) -> Option<Phrase> {
    let completion = run.latency_us.completion.as_ref()?;
    let warmup = run.warmup.as_ref().map_or(0, |warmup| warmup.messages);
    let measured = run.sent.saturating_sub(warmup);
    let classes = match run.latency_us.spread {
        Some(_) => "completion and spread are of the ",
        None => "completion is of the ",
    };
    (run.delivery.missing > 0 && completion.count < measured).then(|| {
        phrase![
            classes,
            Count(completion.count),
            " of ",
            counted(measured, "message", "messages"),
            " that came whole: those that lost a copy are left out"
        ]
    })
}

/// Where a spread is shorter than stamps can tell.
fn unresolved(run: &TrialResult) -> Option<Phrase> {
    let spread = run.latency_us.spread.as_ref()?;
    let resolution = run.generator.stamp_resolution_us;
    (spread.count > 0 && spread.min.is_none()).then(|| match resolution {
        Some(_) => phrase![
            "spread: n/a where it is below ",
            Value::micros(resolution),
            ", for so long copies gather and are stamped together (--wait throughput)"
        ],
        None => {
            "spread: n/a where all copies of a message were found at once and have one stamp".into()
        }
    })
}
