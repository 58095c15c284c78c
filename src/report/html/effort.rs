//! The pictures of what measuring cost second by second: how busy the generator was, and how late.

use super::frame::Frame;
use super::heatmap::COLUMNS_MAX;
use super::picture::{Key, Picture};
use super::scale::{LogScale, Scale};
use super::table::Table;
use crate::report::columns;
use crate::report::story::{Series, Value};
use crate::units::Nanos;

const BUSY_HEIGHT: f64 = 200.0;
const LATE_HEIGHT: f64 = 190.0;

const ALL: Key = Key("k2");
const BUSIEST: Key = Key("k1");
const LATEST: Key = Key("k3");

/// What a stretch of time cost.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    from_s: f64,
    until_s: f64,
    busy: Option<f64>,
    busiest: Option<f64>,
    latest: Option<Nanos>,
}

/// None where the series has other columns than these pictures show.
pub(super) fn pictures(series: &Series) -> Vec<Picture> {
    let Some(stretches) = stretches(series) else { return Vec::new() };
    let mut pictures = vec![busy(&stretches, series)];
    pictures.extend(late(&stretches));
    pictures
}

fn stretches(series: &Series) -> Option<Vec<Stretch>> {
    let place = |heading| series.columns.iter().position(|column| column.heading == heading);
    let [from, length, busy, busiest, latest] =
        ["from", "length", "busy", "busiest", "latest"].map(place);
    let (from, length, busy, busiest, latest) = (from?, length?, busy?, busiest?, latest?);
    let mut all: Vec<Stretch> = Vec::new();
    for point in &series.points {
        let from_s = duration(point.get(from)?)?.as_secs_f64();
        let next = Stretch {
            from_s,
            until_s: from_s + duration(point.get(length)?)?.as_secs_f64(),
            busy: share(point.get(busy)?),
            busiest: share(point.get(busiest)?),
            latest: duration(point.get(latest)?),
        };
        // The warm-up's late copies have stretches of their own beside the others.
        match all.last_mut() {
            Some(last) if last.from_s == from_s => *last = last.with(next),
            _ => all.push(next),
        }
    }
    let each = all.len().div_ceil(COLUMNS_MAX).max(1);
    let worst = |part: &[Stretch]| part.iter().copied().reduce(Stretch::with).unwrap_or_default();
    Some(all.chunks(each).map(worst).collect())
}

impl Stretch {
    /// Both, with the worst figures of either.
    fn with(self, next: Self) -> Self {
        let larger = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        Self {
            from_s: self.from_s,
            until_s: self.until_s.max(next.until_s),
            busy: larger(self.busy, next.busy),
            busiest: larger(self.busiest, next.busiest),
            latest: self.latest.max(next.latest),
        }
    }
}

const fn duration(value: &Value) -> Option<Nanos> {
    match value {
        Value::Limit(duration) | Value::Duration(duration) => Some(*duration),
        _ => None,
    }
}

const fn share(value: &Value) -> Option<f64> {
    match value {
        Value::Share(share) => Some(*share),
        _ => None,
    }
}

fn busy(stretches: &[Stretch], series: &Series) -> Picture {
    let mut frame =
        Frame::new(BUSY_HEIGHT, "How busy the generator was; the table behind it has the figures");
    let upward = frame.shares();
    let across = frame.seconds(end(stretches));
    let mut keys = vec![(BUSIEST, "the busiest worker")];
    draw(&mut frame, stretches, BUSIEST, (across, upward), |stretch| stretch.busiest);
    // Of one worker both are the same.
    if stretches.iter().any(|stretch| stretch.busy != stretch.busiest) {
        keys.push((ALL, "all workers"));
        draw(&mut frame, stretches, ALL, (across, upward), |stretch| stretch.busy);
    }
    hover(&mut frame, stretches, across);
    Picture {
        title: "How busy the generator was".into(),
        says: "The share of its time that a worker worked in each second; polling is no work. At 100 % the \
               generator itself is the limit."
            .into(),
        keys,
        svg: frame.end(),
        table: Some(Table::of_series(series)),
    }
}

fn late(stretches: &[Stretch]) -> Option<Picture> {
    let latest = || stretches.iter().filter_map(|stretch| stretch.latest);
    latest().next()?;
    let mut frame =
        Frame::new(LATE_HEIGHT, "How late the generator was; the table before it has the figures");
    let upward = LogScale::of(latest(), frame.upward());
    frame.latencies(upward);
    let across = frame.seconds(end(stretches));
    for stretches in stretches.split(|stretch| stretch.latest.is_none()) {
        let points = steps(stretches, across, |stretch| Some(upward.place(stretch.latest?)));
        if !points.is_empty() {
            frame.svg.polyline(&format!("curve {}", LATEST.0), &points);
        }
    }
    hover(&mut frame, stretches, across);
    Some(Picture {
        title: "How late the generator was".into(),
        says: "The longest time in each second from when a message was due until the generator turned to it."
            .into(),
        keys: vec![(LATEST, "the latest message")],
        svg: frame.end(),
        table: None,
    })
}

fn end(stretches: &[Stretch]) -> f64 {
    stretches.iter().map(|stretch| stretch.until_s).fold(0.0, f64::max)
}

/// Broken where no worker looked up.
fn draw(
    frame: &mut Frame,
    stretches: &[Stretch],
    Key(class): Key,
    (across, upward): (Scale, Scale),
    of: fn(&Stretch) -> Option<f64>,
) {
    for stretches in stretches.split(|stretch| of(stretch).is_none()) {
        let points = steps(stretches, across, |stretch| Some(upward.place(of(stretch)?)));
        if !points.is_empty() {
            frame.svg.polyline(&format!("curve {class}"), &points);
        }
    }
}

fn steps(
    stretches: &[Stretch],
    across: Scale,
    y: impl Fn(&Stretch) -> Option<f64>,
) -> Vec<[f64; 2]> {
    let step = |stretch: &Stretch| {
        let y = y(stretch)?;
        Some([stretch.from_s, stretch.until_s].map(|s| [across.place(s), y]))
    };
    stretches.iter().filter_map(step).flatten().collect()
}

fn hover(frame: &mut Frame, stretches: &[Stretch], across: Scale) {
    let [low, high] = frame.upward();
    for stretch in stretches {
        let (x, end) = (across.place(stretch.from_s), across.place(stretch.until_s));
        let mut says = format!("from {:.1} s to {:.1} s:", stretch.from_s, stretch.until_s);
        let share =
            |share: Option<f64>| columns::value(&share.map_or(Value::Unknown, Value::Share));
        says.push_str(&format!(" busiest worker {}", share(stretch.busiest)));
        says.push_str(&format!(", all workers {}", share(stretch.busy)));
        if let Some(latest) = stretch.latest {
            says.push_str(&format!(", late by {latest} at most"));
        }
        frame.svg.area("hover", [x, high], [end - x, low - high], &says);
    }
}
