//! The picture of latency over time: the darker a cell, the more copies took as long in that second.

use std::fmt::Write;

use super::frame::{Frame, LEFT};
use super::picture::{Key, Picture};
use super::scale::{LogScale, Scale};
use crate::report::story::{Heatmap, Stretch};
use crate::units::{Count, Nanos};

const HEIGHT: f64 = 320.0;

/// Shades of cells.
const SHADES: usize = 8;

const MEDIAN: Key = Key("ink");
const P99: Key = Key("k1");
const MAX: Key = Key("k3");

/// `None` where nothing came in any second.
pub(super) fn picture(heatmap: &Heatmap) -> Option<Picture> {
    let stretches = merged(&heatmap.stretches);
    let latencies = || stretches.iter().flat_map(|stretch| [stretch.p50, stretch.max]).flatten();
    let lowest = stretches.iter().filter_map(|stretch| Some(stretch.bands.first()?.0[0]));
    latencies().next()?;
    let until = stretches.iter().map(|stretch| stretch.until).max()?;
    let mut frame =
        Frame::new(HEIGHT, "Latency over time; the table behind the next picture has the figures");
    let upward = LogScale::of(latencies().chain(lowest), frame.upward());
    let across = frame.seconds(until.as_secs_f64());
    cells(&mut frame, &stretches, (across, upward));
    frame.latencies(upward);
    for (key, of) in [
        (MEDIAN, (|stretch| stretch.p50) as fn(&Stretch) -> Option<Nanos>),
        (P99, |stretch| stretch.p99),
        (MAX, |stretch| stretch.max),
    ] {
        line(&mut frame, &stretches, key, of, (across, upward));
    }
    for stretch in &stretches {
        let (x, width) = span(stretch, across);
        let [low, high] = frame.upward();
        frame.svg.area("hover", [x, high], [width, low - high], &says(stretch));
    }
    Some(Picture {
        title: "Latency over time".into(),
        says: "The stronger the colour, the more copies took as long. What is rare is shown as well: shades \
               follow the logarithm of the count."
            .into(),
        keys: vec![(MEDIAN, "p50"), (P99, "p99"), (MAX, "max")],
        svg: frame.end(),
        table: None,
    })
}

/// More columns than pixels say nothing more: neighbours are added up, and their worst figures kept.
pub(super) const COLUMNS_MAX: usize = 240;

fn merged(stretches: &[Stretch]) -> Vec<Stretch> {
    let each = stretches.len().div_ceil(COLUMNS_MAX).max(1);
    stretches.chunks(each).map(sum).collect()
}

fn sum(stretches: &[Stretch]) -> Stretch {
    let mut bands = std::collections::BTreeMap::<[Nanos; 2], u64>::new();
    for (band, copies) in stretches.iter().flat_map(|stretch| &stretch.bands) {
        let sum = bands.entry(*band).or_default();
        *sum = sum.saturating_add(*copies);
    }
    let worst = |of: fn(&Stretch) -> Option<Nanos>| stretches.iter().filter_map(of).max();
    Stretch {
        from: stretches[0].from,
        until: stretches[stretches.len() - 1].until,
        bands: bands.into_iter().collect(),
        p50: worst(|stretch| stretch.p50),
        p99: worst(|stretch| stretch.p99),
        max: worst(|stretch| stretch.max),
    }
}

fn span(stretch: &Stretch, across: Scale) -> (f64, f64) {
    let from = across.place(stretch.from.as_secs_f64());
    (from, across.place(stretch.until.as_secs_f64()) - from)
}

/// One path for each shade: as many rectangles as cells would make the page ten times as large.
fn cells(frame: &mut Frame, stretches: &[Stretch], (across, upward): (Scale, LogScale)) {
    let copies = stretches.iter().flat_map(|stretch| stretch.bands.iter().map(|band| band.1));
    let most = copies.max().unwrap_or(1).max(2) as f64;
    let mut paths = vec![String::new(); SHADES];
    for stretch in stretches {
        let (x, width) = span(stretch, across);
        for &([from, to], copies) in &stretch.bands {
            let share = (copies as f64).ln_1p() / most.ln_1p();
            let shade = ((share * SHADES as f64) as usize).min(SHADES - 1);
            let (low, high) = (upward.place(from), upward.place(to));
            write!(paths[shade], "M{x:.1} {high:.1}h{width:.1}V{low:.1}h-{width:.1}z")
                .expect("memory takes every element");
        }
    }
    for (shade, d) in paths.iter().enumerate().filter(|(_, d)| !d.is_empty()) {
        frame.svg.path(&format!("heat h{shade}"), d);
    }
}

/// Broken where a second has no such figure.
fn line(
    frame: &mut Frame,
    stretches: &[Stretch],
    Key(class): Key,
    of: fn(&Stretch) -> Option<Nanos>,
    (across, upward): (Scale, LogScale),
) {
    for known in stretches.split(|stretch| of(stretch).is_none()) {
        let points: Vec<_> = known
            .iter()
            .filter_map(|stretch| {
                let (x, width) = span(stretch, across);
                let y = upward.place(of(stretch)?);
                Some([[x.max(LEFT), y], [x + width, y]])
            })
            .flatten()
            .collect();
        if !points.is_empty() {
            frame.svg.polyline(&format!("curve {class}"), &points);
        }
    }
}

fn says(stretch: &Stretch) -> String {
    let copies = stretch.bands.iter().fold(0_u64, |sum, band| sum.saturating_add(band.1));
    let mut says = format!("from {} to {}: {} copies", stretch.from, stretch.until, Count(copies));
    for (name, latency) in [("p50", stretch.p50), ("p99", stretch.p99), ("max", stretch.max)] {
        if let Some(latency) = latency {
            says.push_str(&format!(", {name} {latency}"));
        }
    }
    says
}
