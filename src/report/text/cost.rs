//! What measuring cost the machine of the generator, and how late it was itself.
//!
//! Belongs here: the section of our own cost. Does not: what follows from it (the caveats).

use std::io::{self, Write};

use super::page::Page;
use crate::report::document::figures::{micros, seconds};
use crate::report::document::trial::{Core, Latency, Run};
use crate::report::format::{Cell, Column, INDENT, counted, or_na, percent, table, wrapped};
use crate::report::text::delivery::row_name;
use crate::units::{Count, Nanos};

/// The section of a row. Polling is shown beside work: it takes the same CPU.
pub(super) fn write(page: &Page<'_>, out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let rows: Vec<_> = run.generator.cores.iter().map(core_cells).collect();
    let columns = vec![
        Column::left("", 10),
        Column::right("CPU used", 8),
        Column::right("polling", 8),
        Column::right("busy", 7),
        Column::right("per copy", 8),
        Column::right("copies/read", 11),
        Column::right("longest turn", 12),
        Column::right("no buffer", 9),
        Column::right("overflow", 8),
    ];
    page.heading(out, &format!("Our own cost, {}", row_name(run)))?;
    table(out, page.paint, columns, &rows)?;
    let lines = [process(run), lag(run), stamps(run)];
    lines.iter().flatten().try_for_each(|line| wrapped(out, INDENT, INDENT.len(), line))
}

fn core_cells(core: &Core) -> Vec<Cell> {
    let (used, polling) = core.used_and_polling();
    vec![
        format!("CPU {}", core.cpu).into(),
        percent(used).into(),
        percent(polling).into(),
        percent(core.busy).into(),
        or_na(core.work_per_copy()).into(),
        format!("{:.1}", core.copies_per_read()).into(),
        micros(core.longest_turn_us).into(),
        Cell::fault(core.enobufs),
        Cell::fault(core.cq_overflow),
    ]
}

/// All of it, with what a worker's own account leaves out.
fn process(run: &Run) -> Option<String> {
    let cpu = seconds(run.generator.process_cpu_s?);
    let each = run.generator.process_cpu_ns_per_copy.map(|ns| Nanos(ns.round() as u64));
    let each = each.map(|each| format!(", {each} for each copy")).unwrap_or_default();
    let polled: u64 = run.generator.cores.iter().map(|core| seconds(core.spun_s).0).sum();
    let polled = match polled {
        0 => "none of it".to_owned(),
        ns => format!("{} of it", Nanos(ns)),
    };
    Some(format!("the whole process used {cpu} of CPU time{each}; {polled} polling (--wait)"))
}

/// What the schedule contains of ourselves.
fn lag(run: &Run) -> Option<String> {
    let lag = run.generator.schedule_lag_us.as_ref().filter(|lag| lag.count > 0)?;
    let messages = counted(lag.count, "message", "messages");
    Some(format!("we turned to due messages late by {}, in {messages}", figures(lag)))
}

/// What every latency contains of ourselves.
fn stamps(run: &Run) -> Option<String> {
    let late = run.generator.stamp_lateness_us.as_ref()?;
    Some(format!(
        "stamps are late by {}: from a copy's arrival at this host to our look at it, in {} sampled \
         reads",
        figures(late),
        Count(late.count)
    ))
}

/// Those of which there are samples enough.
fn figures(latency: &Latency) -> String {
    let known = [("p50", latency.p50), ("p99", latency.p99), ("max", latency.max)];
    let figures =
        known.iter().filter_map(|(name, us)| Some(format!("{} ({name})", micros((*us)?))));
    figures.collect::<Vec<_>>().join(", ")
}
