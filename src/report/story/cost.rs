//! What measuring cost the machine of the generator, and how late it was itself.
//!
//! Belongs here: the section of our own cost. Does not: what follows from it (the caveats).

use super::content::{Block, Cell, Column, Row, Section, Table};
use super::names::trial;
use super::phrase::{Phrase, Value, counted, phrase};
use super::pictures;
use crate::report::document::Plan;
use crate::report::document::figures::seconds;
use crate::report::document::trial::{Core, Latency, TrialResult};
use crate::units::{Bytes, Count, Nanos};

/// The section of a trial. Polling is shown beside work: it takes the same CPU.
pub(super) fn section(plan: &Plan, run: &TrialResult) -> Section {
    let columns = vec![
        Column::words(""),
        Column::figures("CPU used"),
        Column::figures("polling"),
        Column::figures("busy"),
        Column::durations("per copy"),
        Column::figures("copies/read"),
        Column::durations("longest turn"),
        Column::figures("no buffer"),
        Column::figures("overflow"),
    ];
    let rows = run.generator.cores.iter().map(row).collect();
    let mut blocks = vec![Block::Table(Table { key: "cores", caption: None, columns, rows })];
    let told = [process(run), lag(run), worst(run), stamps(run), compression(run)];
    blocks.extend(told.into_iter().flatten().map(Block::from));
    blocks.extend(pictures::cost(&run.intervals));
    Section { key: "cost", heading: Some(phrase!["Our own cost, ", trial(plan, run)]), blocks }
}

fn row(core: &Core) -> Row {
    let (used, polling) = core.used_and_polling();
    vec![
        phrase!["CPU ", Value::Number(core.cpu)].into(),
        Value::Share(used).into(),
        Value::Share(polling).into(),
        Value::Share(core.busy).into(),
        Value::nanos(core.cpu_ns_per_copy).into(),
        Value::Average(core.copies_per_read()).into(),
        Value::micros(Some(core.longest_turn_us)).into(),
        Cell::fault(core.enobufs),
        Cell::fault(core.cq_overflow),
    ]
}

/// All of it, with what a worker's own account leaves out.
fn process(run: &TrialResult) -> Option<Phrase> {
    let cpu = seconds(run.generator.process_cpu_s?);
    let each = run.generator.process_cpu_ns_per_copy;
    let each = each.map(|each| phrase![", ", Value::nanos(Some(each)), " for each copy"]);
    let polled: u64 = run.generator.cores.iter().map(|core| seconds(core.spun_s).0).sum();
    let polled = match polled {
        0 => "none of it".into(),
        ns => phrase![Nanos(ns), " of it"],
    };
    Some(phrase![
        "the whole process used ",
        cpu,
        " of CPU time",
        each,
        "; ",
        polled,
        " polling (--wait)"
    ])
}

/// What the schedule contains of ourselves.
fn lag(run: &TrialResult) -> Option<Phrase> {
    let lag = run.generator.schedule_lag_us.as_ref().filter(|lag| lag.count > 0)?;
    let messages = counted(lag.count, "message", "messages");
    Some(phrase!["we turned to due messages late by ", figures(lag), ", in ", messages])
}

/// The seconds in which a worker was nearest to its limit, of a trial that has several.
fn worst(run: &TrialResult) -> Option<Phrase> {
    let measured = || {
        let measured = run.intervals.iter().filter(|interval| !interval.warmup);
        measured.filter_map(|interval| Some((interval, interval.cost.as_ref()?)))
    };
    let busy = measured().filter_map(|(interval, cost)| Some((cost.busiest?, interval.start_s)));
    let busy = busy.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(busy, from)| {
        phrase!["at most ", Value::Share(busy), " busy (from ", Value::limit(from), " on)"]
    });
    let late = measured().filter_map(|(interval, cost)| Some((cost.lag_max_us?, interval.start_s)));
    let late = late.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(us, from)| {
        phrase!["at most ", Value::micros(Some(us)), " late (from ", Value::limit(from), " on)"]
    });
    let told = Phrase::joined([busy, late].into_iter().flatten(), " and ");
    (!told.is_empty()).then(|| phrase!["second by second a worker was ", told])
}

/// What every latency contains of ourselves.
fn stamps(run: &TrialResult) -> Option<Phrase> {
    let late = run.generator.stamp_lateness_us.as_ref()?;
    Some(phrase![
        "stamps are late by ",
        figures(late),
        ": from a copy's arrival at this host to our look at it, in ",
        Count(late.count),
        " sampled reads"
    ])
}

/// What compression came to: its work is in the CPU above, the nodes' in every latency.
fn compression(run: &TrialResult) -> Option<Phrase> {
    let deflate = run.deflate.as_ref()?;
    let told = |messages: u64, verb: &'static str, wire: u64, plain: u64| {
        (messages > 0).then(|| {
            let ratio = (wire > 0).then(|| plain as f64 / wire as f64);
            let messages = counted(messages, "compressed message", "compressed messages");
            phrase![
                messages,
                verb,
                Bytes(wire),
                " on the wire for ",
                Bytes(plain),
                " (",
                ratio.map_or(Value::Unknown, Value::Average),
                " times as much)"
            ]
        })
    };
    let came =
        told(deflate.received_messages, " came: ", deflate.received_bytes, deflate.inflated_bytes);
    let sent = told(deflate.sent_messages, " were sent: ", deflate.sent_bytes, deflate.plain_bytes);
    Some(Phrase::joined([came, sent].into_iter().flatten(), "; "))
}

/// Those of which there are samples enough.
fn figures(latency: &Latency) -> Phrase {
    let known = [(latency.p50, " (p50)"), (latency.p99, " (p99)"), (latency.max, " (max)")];
    let known = known.into_iter().filter(|(us, _)| us.is_some());
    Phrase::joined(known.map(|(us, name)| phrase![Value::micros(us), name]), ", ")
}
