//! Copies and latency by receiving node.

use super::content::{Block, Cell, Column, Row, Table};
use super::names;
use super::phrase::{Value, phrase};
use crate::report::document::Plan;
use crate::report::document::trial::{LatencyClass, MatrixCell, TrialResult};
use crate::units::Count;

/// Nodes in a table: the worst ones, where there are more.
const NODES_MAX: usize = 12;
/// Behind the missing copies.
const PLACE_OF_UNSENT: usize = 3;

/// The table, and over it the class of its times where the reader looks at another.
pub(super) fn blocks(plan: &Plan, class: LatencyClass, run: &TrialResult) -> Vec<Block> {
    let mut blocks = Vec::new();
    let own = plan.load_of(run).map_or(class, |load| load.headline_latency);
    if class != own {
        blocks.push(phrase![own.key(), " by receiving node:"].into());
    }
    let mut worst_first: Vec<&MatrixCell> = run.matrix.iter().collect();
    if worst_first.len() > NODES_MAX {
        worst_first.sort_by_key(|cell| std::cmp::Reverse((cell.missing, cell.p99())));
    }
    let is_short = run.unsent_copies() > 0;
    let of_node =
        |cell: &&MatrixCell| row(plan, cell, is_short.then(|| run.unsent_copies_to(cell, plan)));
    let rows = worst_first.iter().take(NODES_MAX).map(of_node).collect();
    let mut columns = vec![
        Column::words("receiving node"),
        Column::figures("copies"),
        Column::figures("missing"),
        Column::durations("p50"),
        Column::durations("p99"),
        Column::durations("max"),
    ];
    if is_short {
        columns.insert(PLACE_OF_UNSENT, Column::figures("not sent"));
    }
    blocks.push(Block::Table(Table { key: "nodes", caption: None, columns, rows }));
    let more = worst_first.len().saturating_sub(NODES_MAX) as u64;
    if more > 0 {
        blocks.push(phrase!["and ", Count(more), " nodes that did better"].into());
    }
    blocks
}

fn row(plan: &Plan, cell: &MatrixCell, unsent: Option<u64>) -> Row {
    let mut cells = vec![
        names::place(plan, cell.place()).into(),
        Count(cell.copies).into(),
        Cell::fault(cell.missing.saturating_sub(unsent.unwrap_or(0))),
        Value::micros(cell.p50_us).into(),
        Value::micros(cell.p99_us).into(),
        Value::micros(cell.max_us).into(),
    ];
    if let Some(unsent) = unsent {
        cells.insert(PLACE_OF_UNSENT, Count(unsent).into());
    }
    cells
}
