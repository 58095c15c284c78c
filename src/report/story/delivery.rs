//! Where the copies of all trials went.

use super::content::{Block, Cell, Column, Row, Section, Table};
use super::names::trial;
use super::phrase::{Phrase, Value, counted, phrase};
use crate::report::document::series::Reordering;
use crate::report::document::trial::{Delivery, Late, TrialResult};
use crate::report::document::{Document, FanOut, Plan};
use crate::units::Count;

/// Behind the missing copies.
const PLACE_OF_UNSENT: usize = 4;

/// A row for each trial that is not flawless, and one for all of them.
pub(super) fn section(document: &Document) -> Section {
    let (plan, trials) = (&document.plan, &document.trials);
    let total = document.delivery();
    let mut blocks = vec![Block::Table(table(document, &total))];
    blocks.extend(misdelivery(document.plan.fan_out, &total).map(Block::from));
    blocks.extend(trials.iter().filter_map(|run| lateness(plan, run)).map(Block::from));
    blocks.extend(trials.iter().filter_map(|run| reconnected(plan, run)).map(Block::from));
    let furthest = trials.iter().filter_map(|run| Some((run, run.reordering.as_ref()?)));
    let furthest = furthest.max_by_key(|(_, reordering)| reordering.max_distance);
    blocks.extend(furthest.map(|(run, reordering)| disorder(plan, run, reordering).into()));
    Section { key: "copies", heading: Some("Copies".into()), blocks }
}

fn table(document: &Document, total: &Delivery) -> Table {
    let trials = &document.trials;
    let unsent = trials.iter().map(TrialResult::unsent_copies).fold(0, u64::saturating_add);
    let cells = |name: Phrase, delivery: &Delivery, of_it: u64| {
        let mut cells = row(name, delivery, (unsent > 0).then_some(of_it));
        if total.misdelivered > 0 {
            cells.push(Cell::fault(delivery.misdelivered));
        }
        cells
    };
    let of_trial =
        |run: &TrialResult| cells(trial(&document.plan, run), &run.delivery, run.unsent_copies());
    let flawed = trials.iter().filter(|run| !flawless(&run.delivery));
    let mut rows: Vec<_> = flawed.map(of_trial).collect();
    match trials.as_slice() {
        [only] => rows = vec![of_trial(only)],
        _ => rows.push(cells("all trials".into(), total, unsent)),
    }
    let mut columns = vec![Column::words("")];
    let counts =
        ["expected", "delivered", "missing", "duplicate", "out of order", "foreign", "corrupt"];
    columns.extend(counts.map(Column::figures));
    // Most servers send nothing where it must not go.
    if total.misdelivered > 0 {
        columns.push(Column::figures("misdelivered"));
    }
    if unsent > 0 {
        columns.insert(PLACE_OF_UNSENT, Column::figures("not sent"));
    }
    Table { key: "copies", caption: None, columns, rows }
}

/// `unsent` are copies of messages that were not sent, where the table has a column for them: what is
/// missing beside it was sent.
fn row(name: Phrase, delivery: &Delivery, unsent: Option<u64>) -> Row {
    let missing = delivery.missing.saturating_sub(unsent.unwrap_or(0));
    let mut cells = vec![
        name.into(),
        Count(delivery.expected).into(),
        Count(delivery.delivered).into(),
        Cell::fault(missing),
        Cell::fault(delivery.duplicate),
        // Whether a cluster has to keep order is for its users to say; foreign traffic is no fault.
        Count(delivery.out_of_order).into(),
        Count(delivery.foreign).into(),
        Cell::fault(delivery.corrupt),
    ];
    if let Some(unsent) = unsent {
        cells.insert(PLACE_OF_UNSENT, Count(unsent).into());
    }
    cells
}

fn flawless(delivery: &Delivery) -> bool {
    let Delivery { missing, duplicate, misdelivered, out_of_order, foreign, corrupt, .. } =
        *delivery;
    [missing, duplicate, misdelivered, out_of_order, foreign, corrupt]
        .iter()
        .all(|&count| count == 0)
}

/// What copies on sockets that must not hear them say of the cluster, or of the flags.
fn misdelivery(fan_out: FanOut, total: &Delivery) -> Option<Phrase> {
    let (given, whom) = match fan_out {
        FanOut::All => return None,
        FanOut::Others => ("others", "the socket that pushed it"),
        FanOut::Own => ("own", "other sockets than the one that pushed it"),
    };
    (total.misdelivered > 0).then(|| {
        phrase![
            "misdelivered: ",
            counted(total.misdelivered, "copy", "copies"),
            " came to ",
            whom,
            "; where the cluster is meant to do that, --fan-out ",
            given,
            " is wrong and --fan-out all may be right"
        ]
    })
}

fn reconnected(plan: &Plan, run: &TrialResult) -> Option<Phrase> {
    let lost = counted(run.reconnected_sockets, "lost socket was", "lost sockets were");
    (run.reconnected_sockets > 0)
        .then(|| phrase![lost, " connected again before ", trial(plan, run)])
}

/// What came of a trial when it was over.
fn lateness(plan: &Plan, run: &TrialResult) -> Option<Phrase> {
    let Late { copies, duplicates, misdelivered, up_to_s } = run.late;
    let copies = (copies, counted(copies, "missing copy", "missing copies"));
    let duplicates = (duplicates, counted(duplicates, "duplicate", "duplicates"));
    let misdelivered = (misdelivered, phrase![Count(misdelivered), " misdelivered"]);
    let kinds = [copies, duplicates, misdelivered].into_iter();
    let kinds = kinds.filter(|(count, _)| *count > 0).map(|(_, words)| words);
    let (kinds, up_to) = (Phrase::joined(kinds, ", "), Value::seconds(Some(up_to_s)));
    (!kinds.is_empty()).then(|| {
        phrase![
            "late (",
            trial(plan, run),
            "): ",
            kinds,
            " came when the trial was over, up to ",
            up_to,
            " after its end"
        ]
    })
}

/// How far out of order copies came, in the trial where it was worst.
fn disorder(plan: &Plan, run: &TrialResult, reordering: &Reordering) -> Phrase {
    let half = run.delivery.out_of_order.div_ceil(2);
    let below = reordering.distances.iter().scan(0_u64, |sum, distances| {
        *sum = sum.saturating_add(distances.copies);
        Some((*sum, distances.last))
    });
    let median = below.filter(|(sum, _)| *sum >= half).map(|(_, last)| last).next();
    let most = reordering.max_distance;
    phrase![
        "out of order (",
        trial(plan, run),
        "): up to ",
        counted(most, "message", "messages"),
        " behind the head of their stream, half of them at most ",
        Count(median.unwrap_or(most).min(most))
    ]
}
