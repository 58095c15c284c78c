//! What is shown rather than told: distributions, the course of latency, which messages are missing.
//!
//! Belongs here: which points a picture has. Does not: scales, sizes, colours (`html`).

use super::content::{Block, Column, Curve, Distribution, Heatmap, Series, Stretch, Strip};
use super::names::socket;
use super::phrase::{Value, phrase};
use crate::measure::bands;
use crate::report::document::connecting::Connecting;
use crate::report::document::figures::{histogram_of, micros, seconds};
use crate::report::document::series::Interval;
use crate::report::document::trial::{Gap, Latency, LatencyClass, TrialResult};
use crate::report::document::{Document, Plan};
use crate::report::silent_nodes::{of_sent, sent_each};
use crate::units::Nanos;

/// Points of a curve for each power of ten of the samples beyond them.
const POINTS_PER_NINE: u32 = 20;

/// Streams with missing copies that are shown, those with most first.
const STRIPS_MAX: usize = 24;

/// Latency by percentile, of every class that kept its histogram, and of the generator's own floor.
pub(super) fn distribution(document: &Document, run: &TrialResult) -> Option<Block> {
    let of = |run: &TrialResult, class: LatencyClass, name| {
        let latency = run.latency_us.of(class)?;
        // A file of a stranger may hold a text that is no histogram: a report goes without that curve.
        let ns = histogram_of(run, class)?.ok().filter(|ns| !ns.is_empty())?;
        Some(Curve { name, samples: ns.len(), points: points(&ns), told: told(latency) })
    };
    let mut curves: Vec<Curve> =
        LatencyClass::ALL.into_iter().filter_map(|class| of(run, class, class.key())).collect();
    let headline = document.plan.load_of(run).map(|load| load.headline_latency);
    let floors = document.calibration.iter().flat_map(|calibration| &calibration.trials);
    let floor = floors.into_iter().find(|floor| floor.id == run.id);
    curves.extend(floor.and_then(|floor| of(floor, headline?, "our own floor")));
    let (title, says) = ("Latency by percentile", "");
    (!curves.is_empty()).then_some(Block::Distribution(Distribution { title, says, curves }))
}

/// How long sockets took to be connected, where there were enough of them for a percentile.
pub(super) fn connecting(connecting: &Connecting) -> Option<Block> {
    let phases = [
        ("connect", Some(&connecting.connect_us)),
        ("TLS handshake", connecting.handshake_us.as_ref()),
        ("upgrade", Some(&connecting.upgrade_us)),
    ];
    let curve = |(name, latency): (&'static str, Option<&Latency>)| {
        let latency = latency.filter(|latency| latency.p50.is_some())?;
        let told = told(latency);
        let least = latency.min.map(|us| (0.0, micros(us)));
        let points = least.into_iter().chain(told.iter().map(|&(_, q, ns)| (q, ns))).collect();
        Some(Curve { name, samples: latency.count, points, told })
    };
    let curves: Vec<Curve> = phases.into_iter().filter_map(curve).collect();
    let title = "Connection set-up by percentile";
    let says = "Lines join the percentiles that are known.";
    (!curves.is_empty()).then_some(Block::Distribution(Distribution { title, says, curves }))
}

fn points(ns: &hdrhistogram::Histogram<u64>) -> Vec<(f64, Nanos)> {
    let nines = (ns.len() as f64).log10();
    let steps = (nines * f64::from(POINTS_PER_NINE)) as u32;
    let quantile = |step: u32| 1.0 - 10_f64.powf(-f64::from(step) / f64::from(POINTS_PER_NINE));
    let within = (0..=steps).map(quantile).map(|q| (q, Nanos(ns.value_at_quantile(q))));
    within.chain([(1.0 - 1.0 / ns.len() as f64, Nanos(ns.max()))]).collect()
}

fn told(latency: &Latency) -> Vec<(&'static str, f64, Nanos)> {
    let largest = 1.0 - 1.0 / latency.count.max(1) as f64;
    let told = [
        ("p50", 0.5, latency.p50),
        ("p90", 0.9, latency.p90),
        ("p99", 0.99, latency.p99),
        ("p99.9", 0.999, latency.p99_9),
        ("p99.99", 0.9999, latency.p99_99),
        ("max", largest, latency.max),
    ];
    told.into_iter().filter_map(|(name, q, us)| Some((name, q, micros(us?)))).collect()
}

/// Of the measured seconds, where they kept their bands.
pub(super) fn heatmap(all: &[&Interval]) -> Option<Block> {
    let measured = || all.iter().filter(|interval| !interval.warmup);
    if measured().all(|interval| interval.bands.is_empty()) {
        return None;
    }
    Some(Block::Heatmap(Heatmap { stretches: measured().map(|i| stretch(i)).collect() }))
}

fn stretch(interval: &Interval) -> Stretch {
    let band = |&[band, copies]: &[u64; 2]| {
        let band = u8::try_from(band).ok()?;
        Some(([bands::begin(band), bands::begin(band.checked_add(1)?)], copies))
    };
    Stretch {
        from: seconds(interval.start_s),
        until: seconds(interval.start_s + interval.length_s),
        bands: interval.bands.iter().filter_map(band).collect(),
        p50: interval.p50_us.map(micros),
        p99: interval.p99_us.map(micros),
        max: interval.max_us.map(micros),
    }
}

/// What measuring cost in each second, where it was kept.
pub(super) fn cost(all: &[Interval]) -> Option<Block> {
    let columns = vec![
        Column::durations("from"),
        Column::durations("length"),
        Column::durations("CPU used"),
        Column::durations("polling"),
        Column::figures("busy"),
        Column::figures("busiest"),
        Column::durations("latest"),
        Column::words("warm-up"),
    ];
    let share = |share: Option<f64>| share.map_or(Value::Unknown, Value::Share);
    let point = |interval: &Interval| {
        let cost = interval.cost.as_ref()?;
        Some(vec![
            Value::limit(interval.start_s),
            Value::Duration(seconds(interval.length_s)),
            Value::Duration(seconds(cost.cpu_s)),
            Value::Duration(seconds(cost.spun_s)),
            share(cost.busy),
            share(cost.busiest),
            Value::micros(cost.lag_max_us),
            Value::Words(if interval.warmup { "warm-up" } else { "" }.into()),
        ])
    };
    let points: Vec<_> = all.iter().filter_map(point).collect();
    (!points.is_empty()).then_some(Block::Series(Series { key: "cost", columns, points }))
}

/// The streams that lost copies of messages that were sent. None where it is not known which those are.
pub(super) fn strips(plan: &Plan, run: &TrialResult) -> Option<Block> {
    let sent = sent_each(plan, run)?;
    let strip = |gap: Gap| Strip {
        name: phrase![socket(plan, gap.socket), " from push socket ", Value::Number(gap.sender)],
        messages: sent[gap.sender as usize],
        missing: gap.missing,
        ranges: gap.ranges,
    };
    let gaps = run.gaps.iter().filter_map(|gap| of_sent(gap, &sent, plan.subscriptions));
    let strips: Vec<Strip> = gaps.take(STRIPS_MAX).map(strip).collect();
    (!strips.is_empty()).then_some(Block::Strips(strips))
}
