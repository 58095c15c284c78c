//! The picture of latency by percentile: both axes logarithmic, so that each nine has the same room.

use super::frame::Frame;
use super::picture::{KEYS, Key, Picture};
use super::scale::{LogScale, Scale};
use crate::report::story::{Curve, Distribution};

const HEIGHT: f64 = 340.0;

const SAYS: &str = "From 90 % on, a tenth as many samples lie beyond each mark as beyond the one before: the tail \
                    has as much room as the rest. A line is dashed where fewer than 10 samples lie beyond.";

/// Beyond a percentile that is told are as many samples at least.
const BEYOND: f64 = 10.0;

/// `None` where every curve has one sample.
pub(super) fn picture(distribution: &Distribution) -> Option<Picture> {
    let curves = &distribution.curves;
    let most = curves.iter().map(|curve| curve.samples).max().filter(|&samples| samples > 1)?;
    let mut frame =
        Frame::new(HEIGHT, &format!("{}; the figures are told beside it", distribution.title));
    let nines = (most as f64).log10();
    let across = Scale::new([0.0, nines], Frame::across());
    let latencies = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1));
    let upward = LogScale::of(latencies, frame.upward());
    frame.latencies(upward);
    frame.mark(across.place(0.0), "0 %");
    frame.mark(across.place(1.0 - 5_f64.log10()), "50 %");
    for nine in 1..=nines as u32 {
        frame.mark(across.place(nine.into()), &percent(nine));
    }
    frame.below("of all samples took no longer");
    for (curve, key) in curves.iter().zip(KEYS) {
        draw(&mut frame, curve, key, (across, upward));
    }
    let keys = curves.iter().zip(KEYS).map(|(curve, key)| (key, curve.name)).collect();
    Some(Picture {
        title: distribution.title.into(),
        says: format!("{SAYS} {}", distribution.says).trim_end().to_owned(),
        keys,
        svg: frame.end(),
        table: None,
    })
}

fn draw(frame: &mut Frame, curve: &Curve, key: Key, (across, upward): (Scale, LogScale)) {
    let place = |quantile: f64, latency| {
        [across.place(-(1.0 - quantile).max(1e-18).log10()), upward.place(latency)]
    };
    let trusted = 1.0 - BEYOND / curve.samples as f64;
    let points: Vec<_> = curve.points.iter().map(|&(q, latency)| place(q, latency)).collect();
    let sure = curve.points.iter().filter(|(quantile, _)| *quantile <= trusted).count();
    frame.svg.polyline(&format!("curve {}", key.0), &points[..sure]);
    frame.svg.polyline(&format!("curve unsure {}", key.0), &points[sure.saturating_sub(1)..]);
    for &(name, quantile, latency) in &curve.told {
        let says = format!("{} {name}: {latency}", curve.name);
        frame.svg.dot(&format!("dot {}", key.0), place(quantile, latency), &says);
    }
}

/// `99.9 %` for three nines.
fn percent(nines: u32) -> String {
    match nines {
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        _ => format!("99.{} %", "9".repeat(nines as usize - 2)),
    }
}
