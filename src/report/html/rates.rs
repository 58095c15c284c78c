//! The pictures of what was sent and what came, second by second, and of what was missing meanwhile.

use super::frame::Frame;
use super::heatmap::COLUMNS_MAX;
use super::picture::{Key, Picture};
use super::scale::Scale;
use super::table::Table;
use crate::report::story::{Series, Value};
use crate::units::{Count, Rate};

const RATES_HEIGHT: f64 = 260.0;
const MISSING_HEIGHT: f64 = 170.0;

const SENT: Key = Key("k0");
const COPIES: Key = Key("k2");
const MISSING: Key = Key("k1");

/// What happened in a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    from_s: f64,
    until_s: f64,
    sent: u64,
    copies: u64,
    missing: u64,
}

/// None where the series has other columns than these pictures show.
pub(super) fn pictures(series: &Series) -> Vec<Picture> {
    let Some(stretches) = stretches(series) else { return Vec::new() };
    let mut pictures = vec![rates(&stretches, series)];
    if stretches.iter().any(|stretch| stretch.missing > 0) {
        pictures.push(missing(&stretches));
    }
    pictures
}

fn stretches(series: &Series) -> Option<Vec<Stretch>> {
    let place = |heading| series.columns.iter().position(|column| column.heading == heading);
    let [from, length, sent, copies, missing] =
        ["from", "length", "sent", "copies", "missing so far"].map(place);
    let (from, length, sent, copies, missing) = (from?, length?, sent?, copies?, missing?);
    let mut all: Vec<Stretch> = Vec::new();
    for point in &series.points {
        let from_s = seconds(point.get(from)?)?;
        let next = Stretch {
            from_s,
            until_s: from_s + seconds(point.get(length)?)?,
            sent: count(point.get(sent)?)?,
            copies: count(point.get(copies)?)?,
            missing: count(point.get(missing)?)?,
        };
        // The warm-up's late copies have stretches of their own beside the others.
        match all.last_mut() {
            Some(last) if last.from_s == from_s => *last = last.with(next),
            _ => all.push(next),
        }
    }
    let each = all.len().div_ceil(COLUMNS_MAX).max(1);
    let sum = |part: &[Stretch]| part.iter().copied().reduce(Stretch::with).unwrap_or_default();
    Some(all.chunks(each).map(sum).collect())
}

impl Stretch {
    /// Both; what is missing at the end of the later one is missing.
    fn with(self, next: Self) -> Self {
        Self {
            from_s: self.from_s,
            until_s: self.until_s.max(next.until_s),
            sent: self.sent.saturating_add(next.sent),
            copies: self.copies.saturating_add(next.copies),
            missing: match self.from_s == next.from_s {
                true => self.missing.saturating_add(next.missing),
                false => next.missing,
            },
        }
    }

    /// Of the last moments of a trial rates would be wild: a stretch is taken for a tenth of a second at
    /// least.
    fn per_s(&self, count: u64) -> f64 {
        count as f64 / (self.until_s - self.from_s).max(0.1)
    }
}

fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Limit(duration) | Value::Duration(duration) => Some(duration.as_secs_f64()),
        _ => None,
    }
}

const fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Count(count) => Some(*count),
        _ => None,
    }
}

fn rates(stretches: &[Stretch], series: &Series) -> Picture {
    let mut frame = Frame::new(
        RATES_HEIGHT,
        "Sent and received per second; the table behind it has the figures",
    );
    let most = stretches.iter().flat_map(|s| [s.per_s(s.sent), s.per_s(s.copies)]);
    let upward = frame.counts(most.fold(0.0, f64::max));
    let across = seconds_of(&mut frame, stretches);
    for (Key(class), of) in
        [(SENT, (|s| s.per_s(s.sent)) as fn(&Stretch) -> f64), (COPIES, |s| s.per_s(s.copies))]
    {
        let points = steps(stretches, across, |s| upward.place(of(s)));
        frame.svg.polyline(&format!("curve {class}"), &points);
    }
    hover(&mut frame, stretches, across);
    Picture {
        title: "Sent and received per second".into(),
        says: "Messages that the kernel took, and copies that came.".into(),
        keys: vec![(SENT, "messages sent"), (COPIES, "copies received")],
        svg: frame.end(),
        table: Some(Table::of_series(series)),
    }
}

fn missing(stretches: &[Stretch]) -> Picture {
    let mut frame =
        Frame::new(MISSING_HEIGHT, "Copies missing so far; the table before it has the figures");
    let most = stretches.iter().map(|stretch| stretch.missing).max().unwrap_or(0);
    let upward = frame.counts(most as f64);
    let across = seconds_of(&mut frame, stretches);
    let points = steps(stretches, across, |stretch| upward.place(stretch.missing as f64));
    frame.svg.polyline(&format!("curve {}", MISSING.0), &points);
    hover(&mut frame, stretches, across);
    Picture {
        title: "Copies missing so far".into(),
        says: "Of messages that were due, or sent, by the end of each second. While a trial runs, some \
               are always under way."
            .into(),
        keys: vec![(MISSING, "copies missing")],
        svg: frame.end(),
        table: None,
    }
}

fn seconds_of(frame: &mut Frame, stretches: &[Stretch]) -> Scale {
    frame.seconds(stretches.iter().map(|stretch| stretch.until_s).fold(0.0, f64::max))
}

fn steps(stretches: &[Stretch], across: Scale, y: impl Fn(&Stretch) -> f64) -> Vec<[f64; 2]> {
    let step = |stretch: &Stretch| {
        [stretch.from_s, stretch.until_s].map(|s| [across.place(s), y(stretch)])
    };
    stretches.iter().flat_map(step).collect()
}

fn hover(frame: &mut Frame, stretches: &[Stretch], across: Scale) {
    let [low, high] = frame.upward();
    for stretch in stretches {
        let (x, end) = (across.place(stretch.from_s), across.place(stretch.until_s));
        let rate = |count| Rate::per_second(stretch.per_s(count));
        let says = format!(
            "from {:.1} s to {:.1} s: {} sent, {} copies, {} missing",
            stretch.from_s,
            stretch.until_s,
            rate(stretch.sent),
            rate(stretch.copies),
            Count(stretch.missing),
        );
        frame.svg.area("hover", [x, high], [end - x, low - high], &says);
    }
}
