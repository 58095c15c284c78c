//! What follows the rows: account, latency classes, generator, caveats, verdict.

use std::io::{self, Write};

use super::account::{self, row_name};
use super::{PERCENTILES, Text, latency_cells};
use crate::measure::outcome::{Caveat, Class, CoreUse, Delivery, Outcome, RunOutcome, Trust};
use crate::report::format::{Cell, Column, INDENT, Ink, counted, percent, table, trust_word};
use crate::units::{Count, Nanos};

pub(super) fn write(text: &Text<'_>, out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    if let Some(last) = outcome.runs.last() {
        account::delivery(text, out, outcome)?;
        for run in &outcome.runs {
            account::deficit(text, out, run)?;
        }
        latency(text, out, last)?;
        generator(text, out, last)?;
    }
    caveats(text, out, &outcome.runs)?;
    skipped(text, out, outcome)?;
    verdict(text, out, outcome)
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

fn latency(text: &Text<'_>, out: &mut dyn Write, run: &RunOutcome) -> io::Result<()> {
    let cells = |class: &(Class, hdrhistogram::Histogram<u64>)| {
        let mut cells: Vec<Cell> = vec![class.0.key().into(), Count(class.1.len()).into()];
        cells.extend(latency_cells(run, Some(class)));
        cells.push(meaning(class.0).into());
        cells
    };
    let rows: Vec<_> = run.latency_ns.iter().map(cells).collect();
    let mut columns = vec![Column::left("", 10), Column::right("samples", 9)];
    columns.extend(PERCENTILES.map(|p| Column::right(p.label(), Nanos::WIDTH)));
    columns.extend([Column::right("max", Nanos::WIDTH), Column::left("", 0)]);
    text.heading(out, &format!("Latency, {}", row_name(run)))?;
    table(out, text.paint, columns, &rows)?;
    if run.matrix.len() > 1 && run.delivery.missing == 0 && run.lost.is_empty() {
        // Rows with a deficit have shown their nodes already.
        writeln!(out)?;
        account::nodes(text, out, run)?;
    }
    Ok(())
}

fn generator(text: &Text<'_>, out: &mut dyn Write, run: &RunOutcome) -> io::Result<()> {
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
    text.heading(out, &format!("Our own cost, {}", row_name(run)))?;
    table(out, text.paint, columns, &rows)
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
fn caveats(text: &Text<'_>, out: &mut dyn Write, runs: &[RunOutcome]) -> io::Result<()> {
    let mut found: Vec<(&Caveat, Vec<&RunOutcome>)> = Vec::new();
    for (run, caveat) in runs
        .iter()
        .flat_map(|run| run.caveats.iter().map(move |c| (run, c)))
    {
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
    text.heading(out, "Caveats")?;
    for (caveat, rows) in found {
        let word = text
            .paint
            .ink(Ink::of(caveat.severity), trust_word(caveat.severity));
        let rows = which_rows(&rows, runs.len());
        wrapped(
            out,
            &format!("{word}  {} ({rows}): {}", caveat.code, caveat.text),
        )?;
        wrapped(out, &format!("    what to do: {}", caveat.remedy))?;
    }
    Ok(())
}

fn which_rows(rows: &[&RunOutcome], all: usize) -> String {
    if rows.len() == all && all > 1 {
        return "all rows".to_owned();
    }
    let counts: Vec<_> = rows
        .iter()
        .map(|run| Count(run.messages).to_string())
        .collect();
    format!("m = {}", counts.join(", "))
}

/// Breaks a sentence at 100 columns; what follows is indented under it.
fn wrapped(out: &mut dyn Write, sentence: &str) -> io::Result<()> {
    const LINE_MAX: usize = 98;
    let lead = &sentence[..sentence.len() - sentence.trim_start().len()];
    let mut line = format!("{INDENT}{lead}");
    let mut begun = false;
    for word in sentence.split_whitespace() {
        if begun && crate::report::format::width(&line) + 1 + word.chars().count() > LINE_MAX {
            writeln!(out, "{line}")?;
            line = format!("{INDENT}    {lead}");
            begun = false;
        }
        line += if begun { " " } else { "" };
        line += word;
        begun = true;
    }
    writeln!(out, "{line}")
}

fn skipped(text: &Text<'_>, out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    if outcome.skipped.is_empty() {
        return Ok(());
    }
    text.heading(out, "Not run")?;
    for (messages, reason) in &outcome.skipped {
        writeln!(out, "{INDENT}m = {}: {reason}", Count(*messages))?;
    }
    Ok(())
}

fn verdict(text: &Text<'_>, out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let Some(worst) = outcome.runs.iter().map(RunOutcome::trust).max() else {
        return writeln!(out, "\nverdict: nothing was measured");
    };
    let word = text.paint.ink(Ink::of(worst), trust_word(worst));
    let delivery = delivered(&account::total(&outcome.runs));
    let interrupted = if outcome.interrupted {
        "interrupted; "
    } else {
        ""
    };
    writeln!(out)?;
    writeln!(
        out,
        "verdict: {word}: {interrupted}{delivery}; {}",
        trust(worst, &outcome.runs)
    )
}

fn delivered(delivery: &Delivery) -> String {
    let faults = [
        (delivery.missing, "missing"),
        (delivery.duplicate, "duplicate"),
        (delivery.corrupt, "corrupt"),
    ];
    let faults: Vec<_> = faults
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", Count(*count)))
        .collect();
    let expected = counted(delivery.expected, "copy", "copies");
    match faults.as_slice() {
        [] => format!("all {expected} came, once and unaltered"),
        _ => format!("of {expected} {}", faults.join(", ")),
    }
}

fn trust(worst: Trust, runs: &[RunOutcome]) -> String {
    let void: Vec<_> = runs
        .iter()
        .filter(|run| run.trust() == Trust::Void)
        .collect();
    match worst {
        Trust::Ok => "the times describe the cluster".to_owned(),
        Trust::Degraded => "read the times with the caveats above".to_owned(),
        Trust::Void => format!(
            "the times of {} describe the generator, do not use them",
            which_rows(&void, runs.len())
        ),
    }
}
