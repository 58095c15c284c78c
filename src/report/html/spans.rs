//! The picture of two sides: for each figure its runs, and the interval in which the change lies.

use super::frame::RIGHT;
use super::picture::{Key, Picture};
use super::scale::Scale;
use super::svg::{Anchor, Svg};
use super::table::phrase;
use crate::report::columns::value;
use crate::report::story::{Span, Value};

const ROW_HEIGHT: f64 = 46.0;
const TOP: f64 = 10.0;
const BELOW: f64 = 46.0;
/// Room for the name of a change.
const MARK_WIDTH: f64 = 56.0;
/// Names of figures fit before it.
const START: f64 = 130.0;

const A: Key = Key("k0");
const B: Key = Key("k1");
const INTERVAL: Key = Key("k2");

/// Changes that an axis names, as far as they are on it.
const MARKS: [f64; 15] =
    [0.1, 0.2, 0.33, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0];

/// `None` where there is nothing to show.
pub(super) fn picture(spans: &[Span], tolerance: f64) -> Option<Picture> {
    let all = || {
        let of = |span: &Span| {
            [span.runs.concat(), span.interval.map(Vec::from).unwrap_or_default()].concat()
        };
        spans.iter().flat_map(of).filter(|ratio| ratio.is_finite() && *ratio > 0.0).map(f64::ln)
    };
    let reach = all().map(f64::abs).fold((2.0 * tolerance).max(0.05), f64::max).min(10_f64.ln());
    let low = TOP + spans.len() as f64 * ROW_HEIGHT;
    let mut svg =
        Svg::new(low + BELOW, "Change from A to B by figure; the table before it has the figures");
    let across = Scale::new([-reach * 1.05, reach * 1.05], [START, RIGHT]);
    let place = |ratio: f64| across.place(ratio.max(1e-9).ln());
    let [from, to] = [1.0 / (1.0 + tolerance), 1.0 + tolerance].map(place);
    let says = format!("a change up to {:.1} % is none", tolerance * 100.0);
    svg.area("whole", [from, TOP], [to - from, low - TOP], &says);
    for mark in named(reach) {
        svg.line("grid", [place(mark), TOP], [place(mark), low + 5.0]);
        let name = if mark == 1.0 { "same".to_owned() } else { value(&Value::Change(mark - 1.0)) };
        // The last one would be cut off where half of it stood beyond the edge.
        let at_edge = place(mark) > RIGHT - MARK_WIDTH / 2.0;
        let (x, anchor) =
            if at_edge { (RIGHT, Anchor::End) } else { (place(mark), Anchor::Middle) };
        svg.words("tick", [x, low + 20.0], anchor, &name.replace(".0 %", " %"));
    }
    for (index, span) in spans.iter().enumerate() {
        row(&mut svg, span, TOP + (index as f64 + 0.5) * ROW_HEIGHT, place);
    }
    svg.words("axis", [RIGHT, low + BELOW - 6.0], Anchor::End, "against the median of A");
    Some(Picture {
        title: "Change from A to B".into(),
        says: "Each dot is a run, A above and B below the line; the line is the interval in which the \
               change lies, its dot the estimate. The band is what counts as no change."
            .into(),
        keys: vec![
            (Key("dot k0"), "runs of A"),
            (Key("dot k1"), "runs of B"),
            (INTERVAL, "change"),
            (Key("whole"), "no change"),
        ],
        svg: svg.end(),
        table: None,
    })
    .filter(|_| !spans.is_empty())
}

/// Those with room for their names.
fn named(reach: f64) -> impl Iterator<Item = f64> {
    let apart = 2.1 * reach / 9.0;
    let mut last = f64::MIN;
    MARKS.into_iter().filter(move |mark| {
        let at = mark.ln();
        // No change has its name in any case.
        let fits = *mark == 1.0 || at.abs() >= apart && at - last >= apart;
        let shown = at.abs() <= reach * 1.05 && fits;
        last = if shown { at } else { last };
        shown
    })
}

fn row(svg: &mut Svg, span: &Span, y: f64, place: impl Fn(f64) -> f64) {
    svg.words("tick", [START - 10.0, y + 4.0], Anchor::End, span.name);
    for (runs, key, at) in [(&span.runs[0], A, y - 12.0), (&span.runs[1], B, y + 12.0)] {
        for (index, ratio) in runs.iter().enumerate() {
            let side = if key.0 == A.0 { "A" } else { "B" };
            let says = format!(
                "{} {side}{}: {}",
                span.name,
                index + 1,
                value(&Value::Change(ratio - 1.0))
            );
            svg.dot(&format!("dot {}", key.0), [place(*ratio), at], &says);
        }
    }
    let mut says = format!("{}: {}", span.name, value(&Value::Change(span.change - 1.0)));
    if let Some([low, high]) = span.interval {
        svg.polyline(&format!("curve {}", INTERVAL.0), &[[place(low), y], [place(high), y]]);
        let ends = [low, high].map(|end| value(&Value::Change(end - 1.0)));
        says = format!("{says} ({} to {}), {}", ends[0], ends[1], phrase(&span.says));
    }
    svg.dot(&format!("dot {}", INTERVAL.0), [place(span.change), y], &says);
}
