//! What follows the rows: account, latency classes, generator, caveats, verdict.

use std::io::{self, Write};

use super::account::{self, row_name};
use super::page::Page;
use super::rows::{PERCENTILES, latency_cells};
use crate::measure::latencies::Latencies;
use crate::measure::outcome::{Caveat, Class, CoreUse, Delivery, Outcome, RunOutcome, Trust};
use crate::plan::schedule::Shape;
use crate::report::format::{
    Cell, Column, INDENT, Ink, counted, percent, table, trust_word, wrapped,
};
use crate::units::{Count, Nanos};

pub(super) fn write(page: &Page<'_>, out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    if let Some(last) = outcome.runs.last() {
        account::delivery(page, out, outcome)?;
        for run in &outcome.runs {
            account::deficit(page, out, run)?;
        }
        latency(page, out, last)?;
        generator(page, out, last)?;
    }
    caveats(page, out, &outcome.runs)?;
    skipped(page, out, outcome)?;
    verdict(page, out, outcome)
}

/// What each class means stands beside its figures: most readers meet these words here.
const fn meaning(class: Class) -> &'static str {
    match class {
        Class::Service => "from the send to each copy",
        Class::Response => "from the due time to each copy",
        Class::Wait => "from the due time to the send",
        Class::Completion => "until everyone has it: to the last copy",
        Class::Spread => "from the first copy to the last",
    }
}

/// From when times are counted.
const fn clock(shape: Shape) -> &'static str {
    match shape {
        Shape::Burst => "a burst has no due times: the clock starts at the send",
        Shape::Window { .. } => "closed loop, no due times: the clock starts at the send",
        Shape::Rate { .. } => "open loop: the clock starts when a message is due, sent or not",
    }
}

fn latency(page: &Page<'_>, out: &mut dyn Write, run: &RunOutcome) -> io::Result<()> {
    let cells = |class: &(Class, Latencies)| {
        let mut cells: Vec<Cell> = vec![class.0.key().into(), Count(class.1.len()).into()];
        cells.extend(latency_cells(Some(class)));
        cells.push(meaning(class.0).into());
        cells
    };
    let rows: Vec<_> = run.latency_ns.iter().map(cells).collect();
    let mut columns = vec![Column::left("", 10), Column::right("samples", 9)];
    columns.extend(PERCENTILES.map(|p| Column::right(p.label(), Nanos::WIDTH)));
    columns.extend([Column::right("max", Nanos::WIDTH), Column::left("", 0)]);
    let clock = clock(page.plan.shape);
    page.heading(out, &format!("Latency, {} ({clock})", row_name(run)))?;
    table(out, page.paint, columns, &rows)?;
    if run.matrix.len() > 1 && run.delivery.missing == 0 && run.lost.is_empty() {
        // Rows with a deficit have shown their nodes already.
        writeln!(out)?;
        account::nodes(page, out, run)?;
    }
    Ok(())
}

fn generator(page: &Page<'_>, out: &mut dyn Write, run: &RunOutcome) -> io::Result<()> {
    let rows: Vec<_> = run.cores.iter().map(core_cells).collect();
    let columns = vec![
        Column::left("", 10),
        Column::right("busy", 7),
        Column::right("per copy", 8),
        Column::right("copies/read", 11),
        Column::right("longest turn", 12),
        Column::right("no buffer", 9),
        Column::right("overflow", 8),
    ];
    page.heading(out, &format!("Our own cost, {}", row_name(run)))?;
    table(out, page.paint, columns, &rows)
}

fn core_cells(core: &CoreUse) -> Vec<Cell> {
    let per_read = core.copies as f64 / core.reads.max(1) as f64;
    vec![
        format!("CPU {}", core.cpu).into(),
        percent(core.busy()).into(),
        Nanos(core.cpu_ns_per_copy().round() as u64).into(),
        format!("{per_read:.1}").into(),
        core.longest_turn.into(),
        Cell::fault(core.enobufs),
        Cell::fault(core.cq_overflow),
    ]
}

/// Each caveat once, with the rows that it holds for and the figures of the last of them.
fn caveats(page: &Page<'_>, out: &mut dyn Write, runs: &[RunOutcome]) -> io::Result<()> {
    let mut found: Vec<(&Caveat, Vec<&RunOutcome>)> = Vec::new();
    for (run, caveat) in runs.iter().flat_map(|run| run.caveats.iter().map(move |c| (run, c))) {
        let same = |(known, _): &&mut (&Caveat, _)| {
            (known.code, known.severity) == (caveat.code, caveat.severity)
        };
        match found.iter_mut().find(same) {
            Some((latest, rows)) => {
                *latest = caveat;
                rows.push(run);
            }
            None => found.push((caveat, vec![run])),
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    found.sort_by_key(|(caveat, _)| std::cmp::Reverse(caveat.severity));
    page.heading(out, "Caveats")?;
    for (caveat, rows) in found {
        let word = page.paint.ink(Ink::of(caveat.severity), trust_word(caveat.severity));
        let rows = which_rows(&rows, runs.len());
        let first = format!("{INDENT}{word}  ");
        wrapped(out, &first, 4, &format!("{} ({rows}): {}", caveat.code, caveat.text))?;
        wrapped(out, "    what to do: ", 6, &caveat.remedy)?;
    }
    Ok(())
}

fn which_rows(rows: &[&RunOutcome], all: usize) -> String {
    if rows.len() == all && all > 1 {
        return "all rows".to_owned();
    }
    let counts: Vec<_> = rows.iter().map(|run| Count(run.messages).to_string()).collect();
    format!("m = {}", counts.join(", "))
}

fn skipped(page: &Page<'_>, out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    if outcome.skipped.is_empty() {
        return Ok(());
    }
    page.heading(out, "Not run")?;
    for (messages, reason) in &outcome.skipped {
        writeln!(out, "{INDENT}m = {}: {reason}", Count(*messages))?;
    }
    Ok(())
}

fn verdict(page: &Page<'_>, out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let Some(worst) = outcome.runs.iter().map(RunOutcome::trust).max() else {
        return writeln!(out, "\nverdict: nothing was measured");
    };
    let total = account::total(&outcome.runs);
    let shortfall = if outcome.interrupted {
        Some("interrupted")
    } else if total.missing > 0 || !outcome.skipped.is_empty() {
        Some("incomplete")
    } else {
        (total.duplicate > 0 || total.corrupt > 0).then_some("faulty")
    };
    let words = match (shortfall, worst) {
        (None, trust) => trust_word(trust).to_owned(),
        (Some(shortfall), Trust::Ok) => shortfall.to_owned(),
        (Some(shortfall), trust) => format!("{shortfall}, {}", trust_word(trust)),
    };
    let ink = if shortfall.is_some() { Ink::Bad } else { Ink::of(worst) };
    writeln!(out)?;
    let first = format!("verdict: {}: ", page.paint.ink(ink, &words));
    let skipped = match outcome.skipped.len() as u64 {
        0 => String::new(),
        rows => format!("{} did not run; ", counted(rows, "row", "rows")),
    };
    let sentence = format!("{}; {skipped}{}", delivered(&total), trust(worst, &outcome.runs));
    wrapped(out, &first, 4, &sentence)
}

fn delivered(delivery: &Delivery) -> String {
    let Delivery { expected, missing, duplicate, corrupt, .. } = *delivery;
    let mut sentence = match missing {
        0 => format!("all {} came", counted(expected, "copy", "copies")),
        _ => format!("{} of {} missing", Count(missing), counted(expected, "copy", "copies")),
    };
    for (count, word) in [(duplicate, "duplicate"), (corrupt, "corrupt")] {
        if count > 0 {
            sentence += &format!(", {} {word}", Count(count));
        }
    }
    if missing + duplicate + corrupt == 0 {
        sentence += ", once and unaltered";
    }
    sentence
}

fn trust(worst: Trust, runs: &[RunOutcome]) -> String {
    let void: Vec<_> = runs.iter().filter(|run| run.trust() == Trust::Void).collect();
    match worst {
        Trust::Ok => "the times describe the cluster".to_owned(),
        Trust::Degraded => "read the times with the caveats above".to_owned(),
        Trust::Void => format!(
            "the times of {} describe the generator, do not use them",
            which_rows(&void, runs.len())
        ),
    }
}
