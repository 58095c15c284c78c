//! The picture of a search: the latency of each trial by its rate, and between which rates the cluster's limit lies.

use super::frame::{Frame, LEFT, RIGHT};
use super::picture::{Key, Picture};
use super::scale::{LogScale, RateScale};
use super::table::phrase;
use crate::report::story::{Hold, Holds, RateTrial};

const HEIGHT: f64 = 340.0;

const GOOD: Key = Key("dot k0");
const BAD: Key = Key("cross k1");
const VOID: Key = Key("ring k5");
const BOUND: Key = Key("k3");
const HELD: Key = Key("held");
const UPPER: Key = Key("k2");

/// `None` where no trial has a latency.
pub(super) fn picture(holds: &Holds) -> Option<Picture> {
    let trials = &holds.trials;
    if trials.is_empty() {
        return None;
    }
    let figure = phrase(&holds.figure);
    let mut frame =
        Frame::new(HEIGHT, &format!("{figure} by rate; the table before it has the figures"));
    let latencies = trials.iter().map(|trial| trial.latency).chain(holds.below);
    let upward = LogScale::of(latencies, frame.upward());
    let rates = trials.iter().map(|trial| trial.rate).chain(holds.bounds.into_iter().flatten());
    let across = RateScale::of(rates, Frame::across());
    held(&mut frame, holds, across);
    frame.latencies(upward);
    for (x, name) in across.ticks() {
        frame.mark(x, &name);
    }
    frame.below("messages in a second, over all push sockets");
    if let Some(below) = holds.below {
        let y = upward.place(below);
        frame.svg.polyline(&format!("curve {}", BOUND.0), &[[LEFT, y], [RIGHT, y]]);
    }
    for trial in trials {
        draw(&mut frame, trial, [across.place(trial.rate), upward.place(trial.latency)], &figure);
    }
    let used = |hold| trials.iter().any(|trial| trial.hold == hold);
    let keys = [
        (GOOD, "good trial", used(Hold::Good)),
        (BAD, "bad trial", used(Hold::Bad)),
        (VOID, "void trial: the generator was the limit", used(Hold::Void)),
        (BOUND, "what it must be below", holds.below.is_some()),
        (HELD, "rates up to the lower bound", holds.bounds[0].is_some()),
        (UPPER, "upper bound", holds.bounds[1].is_some()),
    ];
    Some(Picture {
        title: format!("{figure} by rate"),
        says: "Each mark is a trial of the search; one that is bad although its latency is short was bad for another \
               reason. Trials of which too few copies came to know it are not drawn. Both axes are logarithmic."
            .into(),
        keys: keys.into_iter().filter(|key| key.2).map(|(key, name, _)| (key, name)).collect(),
        svg: frame.end(),
        table: None,
    })
}

/// The rates up to the lower bound, and a line at the upper one.
fn held(frame: &mut Frame, holds: &Holds, across: RateScale) {
    let [low, high] = frame.upward();
    if let [Some(lower), _] = holds.bounds {
        let to = across.place(lower);
        let says = format!("{lower} holds");
        frame.svg.area(HELD.0, [LEFT, high], [to - LEFT, low - high], &says);
    }
    if let [_, Some(upper)] = holds.bounds {
        let x = across.place(upper);
        frame.svg.polyline(&format!("curve {}", UPPER.0), &[[x, low], [x, high]]);
    }
}

fn draw(frame: &mut Frame, trial: &RateTrial, at: [f64; 2], figure: &str) {
    let RateTrial { rate, latency, hold, id } = trial;
    let (key, word) = match hold {
        Hold::Good => (GOOD, "good"),
        Hold::Bad => (BAD, "bad"),
        Hold::Void => (VOID, "void"),
    };
    let says = format!("{rate}, {figure} {latency}: {word} ({id})");
    match hold {
        Hold::Bad => frame.svg.cross(key.0, at, &says),
        Hold::Good | Hold::Void => frame.svg.dot(key.0, at, &says),
    }
}
