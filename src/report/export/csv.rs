//! The course of all trials as a table: RFC 4180, a row for each second, units in the names of columns.

use std::io::{self, Write};

use crate::report::document::series::Cost;
use crate::report::document::trial::{Core, Latency, TrialResult};
use crate::report::document::{Document, Plan};

const HEAD: &str = "trial,start_s,length_s,warmup,sent,copies,misdelivered,missing_so_far,p50_us,p99_us,max_us,cpu_s,\
                    spun_s,busy,busiest,lag_max_us";

/// Writes it. A trial that was over within a second is one row.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, document: &Document) -> io::Result<()> {
    write!(out, "{HEAD}\r\n")?;
    document.trials.iter().try_for_each(|run| trial(out, &document.plan, run))
}

fn trial(out: &mut dyn Write, plan: &Plan, run: &TrialResult) -> io::Result<()> {
    let name = quoted(&run.id.to_string());
    if run.intervals.is_empty() {
        let class = plan.load_of(run).map(|load| load.headline_latency);
        let latency = class.and_then(|class| run.latency_us.of(class));
        let us = |of: fn(&Latency) -> Option<f64>| figure(latency.and_then(of));
        let length = figure(run.time.receive_s.or(run.time.send_s));
        let copies = &run.delivery;
        let [p50, p99, max] =
            [us(|latency| latency.p50), us(|latency| latency.p99), us(|latency| latency.max)];
        let cost = own(&cost(run));
        return write!(
            out,
            "{name},0,{length},false,{},{},{},{},{p50},{p99},{max},{cost}\r\n",
            run.sent, copies.delivered, copies.misdelivered, copies.missing
        );
    }
    run.intervals.iter().try_for_each(|i| {
        let [p50, p99, max] = [i.p50_us, i.p99_us, i.max_us].map(figure);
        let (start, length) = (i.start_s, i.length_s);
        let cost = i.cost.as_ref().map_or_else(|| ",,,,".to_owned(), own);
        write!(
            out,
            "{name},{start},{length},{},{},{},{},{},{p50},{p99},{max},{cost}\r\n",
            i.warmup, i.sent, i.copies, i.misdelivered, i.missing_so_far
        )
    })
}

/// What the generator spent, and how late it was.
fn own(cost: &Cost) -> String {
    let Cost { cpu_s, spun_s, busy, busiest, lag_max_us } = *cost;
    let [busy, busiest, lag] = [busy, busiest, lag_max_us].map(figure);
    format!("{cpu_s},{spun_s},{busy},{busiest},{lag}")
}

/// Of a trial without a course.
fn cost(run: &TrialResult) -> Cost {
    let cores = &run.generator.cores;
    let sum = |of: fn(&Core) -> f64| cores.iter().map(of).sum::<f64>();
    let (cpu_s, spun_s, wall_s) = (sum(|c| c.cpu_s), sum(|c| c.spun_s), sum(|c| c.wall_s));
    Cost {
        cpu_s,
        spun_s,
        busy: (wall_s > 0.0).then(|| (cpu_s - spun_s) / wall_s),
        busiest: cores.iter().map(|core| core.busy).max_by(f64::total_cmp),
        lag_max_us: run.generator.schedule_lag_us.as_ref().and_then(|lag| lag.max),
    }
}

/// Empty where it is not known.
fn figure(figure: Option<f64>) -> String {
    figure.map(|figure| figure.to_string()).unwrap_or_default()
}

/// A spreadsheet takes a text that begins like this for a formula.
const FORMULA: [char; 4] = ['=', '+', '-', '@'];

fn quoted(text: &str) -> String {
    let before = if text.starts_with(FORMULA) { "'" } else { "" };
    match before.is_empty() && !text.contains([',', '"', '\r', '\n']) {
        true => text.to_owned(),
        false => format!("\"{before}{}\"", text.replace('"', "\"\"")),
    }
}
