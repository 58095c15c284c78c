//! What follows the rows: account, latency classes, generator, caveats, verdict.

use std::io::{self, Write};

use crate::report::document::figures::{micros, seconds};
use crate::report::document::trial::{Caveat, Delivery, Latency, LatencyClass, Run, Trust, WarmUp};
use crate::report::document::{Document, Mode};
use crate::report::format::{
    Cell, Column, INDENT, Ink, counted, table, trust_word, whole_seconds, wrapped,
};
use crate::report::text::baseline;
use crate::report::text::connecting;
use crate::report::text::cost;
use crate::report::text::delivery;
use crate::report::text::delivery::row_name;
use crate::report::text::page::Page;
use crate::report::text::series;
use crate::report::text::trials::{PERCENTILES, latency_cells, meaning};
use crate::units::{Count, Nanos};

pub(super) fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Document { runs, .. } = page.document;
    connecting::write(page, out)?;
    if let Some(detailed) = page.document.detailed() {
        delivery::delivery(page, out)?;
        for run in runs {
            delivery::deficit(page, out, run)?;
        }
        latency(page, out, detailed)?;
        series::write(page, out, detailed)?;
        cost::write(page, out, detailed)?;
        baseline::write(page, out, detailed)?;
    }
    caveats(page, out, runs)?;
    skipped(page, out)?;
    verdict(page, out)
}

/// From when times are counted.
const fn clock(mode: Mode) -> &'static str {
    match mode {
        Mode::Burst => "a burst has no due times: the clock starts at the send",
        Mode::Window => "closed loop, no due times: the clock starts at the send",
        Mode::Rate => "open loop: the clock starts when a message is due, sent or not",
    }
}

fn latency(page: &Page<'_>, out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let cells = |(class, latency): (LatencyClass, &Latency)| {
        let mut cells: Vec<Cell> = vec![class.key().into(), Count(latency.count).into()];
        cells.extend(latency_cells(Some(latency)));
        cells.push(meaning(class).into());
        cells
    };
    let mut rows: Vec<_> = run.latency_us.present().map(cells).collect();
    rows.extend(run.warmup.as_ref().and_then(|warmup| warmup_cells(page, warmup)));
    let mut columns = vec![Column::left("", 10), Column::right("samples", 9)];
    columns.extend(PERCENTILES.map(|p| Column::right(p, Nanos::WIDTH)));
    columns.extend([Column::right("max", Nanos::WIDTH), Column::left("", 0)]);
    let clock = clock(page.document.plan.mode);
    page.heading(out, &format!("Latency, {} ({clock})", row_name(run)))?;
    table(out, page.paint, columns, &rows)?;
    let notes = [survivors(run), unresolved(run)];
    notes.iter().flatten().try_for_each(|note| wrapped(out, INDENT, INDENT.len(), note))?;
    if run.matrix.len() > 1 && run.delivery.missing == 0 && run.lost_sockets.is_empty() {
        // Rows with a deficit have shown their nodes already.
        writeln!(out)?;
        delivery::nodes(page, out, run)?;
    }
    Ok(())
}

/// Where copies are missing: what is timed as a whole has left out those that did worst.
fn survivors(run: &Run) -> Option<String> {
    let completion = run.latency_us.completion.as_ref()?;
    let warmup = run.warmup.as_ref().map_or(0, |warmup| warmup.messages);
    let measured = run.sent.saturating_sub(warmup);
    let classes = match run.latency_us.spread {
        Some(_) => "completion and spread are",
        None => "completion is",
    };
    (run.delivery.missing > 0 && completion.count < measured).then(|| {
        format!(
            "{classes} of the {} of {} that came whole: those that lost a copy are left out",
            Count(completion.count),
            counted(measured, "message", "messages")
        )
    })
}

/// Where a spread is shorter than stamps can tell.
fn unresolved(run: &Run) -> Option<String> {
    let spread = run.latency_us.spread.as_ref()?;
    (spread.count > 0 && spread.min.is_none()).then(|| match run.generator.stamp_resolution_us {
        Some(us) => format!(
            "spread: n/a where it is below {}, for so long copies gather and are stamped together \
             (--wait throughput)",
            micros(us)
        ),
        None => "spread: n/a where all copies of a message were found at once and have one stamp"
            .to_owned(),
    })
}

/// Said where it is so: the percentiles beside it are too low.
fn saturated(count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!(", {} above the histogram's top left out", Count(count)),
    }
}

/// The headline class of what was due in the warm-up, which is in no other line.
fn warmup_cells(page: &Page<'_>, warmup: &WarmUp) -> Option<Vec<Cell>> {
    let class = page.document.plan.headline_latency;
    let latency = warmup.latency_us.of(class)?;
    let mut cells: Vec<Cell> = vec!["warm-up".into(), Count(latency.count).into()];
    cells.extend(latency_cells(Some(latency)));
    let first = whole_seconds(seconds(warmup.duration_s));
    let out = saturated(warmup.saturated);
    cells.push(format!("{} of the first {first}{out}", class.key()).into());
    Some(cells)
}

fn caveats_of(run: &Run) -> impl Iterator<Item = (&Run, &Caveat)> {
    run.verdict.caveats.iter().map(move |caveat| (run, caveat))
}

/// Each caveat once, with the rows that it holds for and the figures of the last of them.
fn caveats(page: &Page<'_>, out: &mut dyn Write, runs: &[Run]) -> io::Result<()> {
    let mut found: Vec<(&Caveat, Vec<&Run>)> = Vec::new();
    for (run, caveat) in runs.iter().flat_map(caveats_of) {
        let same = |(known, _): &&mut (&Caveat, _)| {
            (&known.code, known.severity) == (&caveat.code, caveat.severity)
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
        wrapped(out, "    what to do: ", 6, &caveat.remedy.to_string())?;
    }
    Ok(())
}

fn which_rows(rows: &[&Run], all: usize) -> String {
    if rows.len() == all && all > 1 {
        return "all rows".to_owned();
    }
    let counts: Vec<_> = rows.iter().map(|run| Count(run.messages).to_string()).collect();
    format!("m = {}", counts.join(", "))
}

fn skipped(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    if page.document.skipped.is_empty() {
        return Ok(());
    }
    page.heading(out, "Not run")?;
    for skipped in &page.document.skipped {
        let line = format!("m = {}: {}", Count(skipped.messages), skipped.reason);
        wrapped(out, INDENT, INDENT.len(), &line)?;
    }
    Ok(())
}

fn verdict(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let document = page.document;
    let Some(worst) = document.trust() else {
        return writeln!(out, "\nverdict: nothing was measured");
    };
    let total = document.delivery();
    let shortfall = if document.interrupted {
        Some("interrupted")
    } else if total.missing > 0 || !document.skipped.is_empty() {
        Some("incomplete")
    } else {
        (total.duplicate + total.misdelivered + total.corrupt > 0).then_some("faulty")
    };
    let words = match (shortfall, worst) {
        (None, trust) => trust_word(trust).to_owned(),
        (Some(shortfall), Trust::Ok) => shortfall.to_owned(),
        (Some(shortfall), trust) => format!("{shortfall}, {}", trust_word(trust)),
    };
    let ink = if shortfall.is_some() { Ink::Bad } else { Ink::of(worst) };
    writeln!(out)?;
    let first = format!("verdict: {}: ", page.paint.ink(ink, &words));
    let skipped = match document.skipped.len() as u64 {
        0 => String::new(),
        rows => format!("{} did not run; ", counted(rows, "row", "rows")),
    };
    let unsent = document.runs.iter().map(Run::unsent_copies).fold(0, u64::saturating_add);
    let delivered = delivered(&total, unsent);
    let sentence = format!("{delivered}; {skipped}{}", trust(worst, &document.runs));
    wrapped(out, &first, 4, &sentence)
}

fn delivered(delivery: &Delivery, unsent: u64) -> String {
    let Delivery { expected, missing, duplicate, misdelivered, corrupt, .. } = *delivery;
    let due = expected.saturating_sub(unsent);
    let mut sentence = match (due, missing.saturating_sub(unsent)) {
        (0, 0) => "nothing was sent".to_owned(),
        (1, 0) => "the one copy came".to_owned(),
        (_, 0) => format!("all {} copies came", Count(due)),
        (_, lost) => format!("{} of {} missing", Count(lost), counted(due, "copy", "copies")),
    };
    if unsent > 0 && due > 0 {
        sentence += &format!(" ({} more belong to messages that were not sent)", Count(unsent));
    }
    let faults = [(duplicate, "duplicate"), (misdelivered, "misdelivered"), (corrupt, "corrupt")];
    for (count, word) in faults {
        if count > 0 {
            sentence += &format!(", {} {word}", Count(count));
        }
    }
    if missing + duplicate + misdelivered + corrupt == 0 {
        sentence += ", once and unaltered";
    }
    sentence
}

fn trust(worst: Trust, runs: &[Run]) -> String {
    let void: Vec<_> = runs.iter().filter(|run| run.verdict.trust == Trust::Void).collect();
    match worst {
        Trust::Ok => "the times describe the cluster".to_owned(),
        Trust::Degraded => "read the times with the caveats above".to_owned(),
        Trust::Void => format!(
            "the times of {} describe the generator, do not use them",
            which_rows(&void, runs.len())
        ),
    }
}
