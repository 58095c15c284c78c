//! What nodes, sockets, trials, latencies and trust are called throughout a story.
//!
//! Belongs here: names that several sections use. Does not: the sections.

use super::content::{Cell, Column, Emphasis};
use super::phrase::{Phrase, Value, phrase};
use crate::report::document::Plan;
use crate::report::document::figures::Place;
use crate::report::document::trial::{Latency, LatencyClass, TrialResult, Trust};
use crate::report::sanitize::UntrustedText;
use crate::units::Count;

/// More trials are counted, not listed.
const TRIALS_MAX: usize = 8;

/// `node 2 ws://…`.
pub(super) fn node(plan: &Plan, index: u64) -> Phrase {
    let node = usize::try_from(index).ok().and_then(|at| plan.nodes.get(at));
    phrase!["node ", Value::Number(index), " ", node.map(|node| Phrase::from(&node.url))]
}

/// `node 2 ws://…`, and `node 2 ws://… (b-1)` of those behind its address that `b-1` took.
pub(super) fn place(plan: &Plan, place: Place<'_>) -> Phrase {
    let name = place.reached.map(|name| phrase![" (", name, ")"]);
    phrase![node(plan, place.node), name]
}

/// `push socket 0`, `receive socket 3`: numbers run on over both.
pub(super) fn socket(plan: &Plan, socket: u64) -> Phrase {
    let role = if socket < plan.push_sockets { "push socket " } else { "receive socket " };
    phrase![role, Value::Number(socket)]
}

/// `m = 8 000`, and `m = 8 000 (m8000-r2000)` in a plan whose trials are not told apart by that.
pub(super) fn trial(plan: &Plan, run: &TrialResult) -> Phrase {
    trials(plan, [run])
}

/// `m = 1 000, 8 000`.
pub(super) fn trials<'a>(plan: &Plan, trials: impl IntoIterator<Item = &'a TrialResult>) -> Phrase {
    phrase![
        "m = ",
        Phrase::joined(trials.into_iter().map(|run| size(plan, run.messages, &run.id)), ", ")
    ]
}

/// `8 000`, with the name of the trial where another has as many messages.
pub(super) fn size(plan: &Plan, messages: u64, id: &UntrustedText) -> Phrase {
    let messages = Phrase::from(Count(messages));
    if plan.repeats_a_size() { phrase![messages, " (", id, ")"] } else { messages }
}

/// The same, where they may be all that there are, or too many to list.
pub(super) fn which_trials(plan: &Plan, of: &[&TrialResult], all: usize) -> Phrase {
    match of.len() == all && all > 1 {
        true => "all trials".into(),
        false if of.len() > TRIALS_MAX => {
            phrase![Count(of.len() as u64), " of ", Count(all as u64), " trials"]
        }
        false => trials(plan, of.iter().copied()),
    }
}

/// The word for how far a trial can be trusted.
pub(super) const fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Ok => "ok",
        Trust::Degraded => "degraded",
        Trust::Void => "void",
    }
}

/// How to take that word.
pub(super) const fn emphasis(trust: Trust) -> Emphasis {
    match trust {
        Trust::Ok => Emphasis::Good,
        Trust::Degraded => Emphasis::Warn,
        Trust::Void => Emphasis::Bad,
    }
}

/// What each class means stands beside its figures: most readers meet these words here.
pub(super) const fn meaning(class: LatencyClass) -> &'static str {
    match class {
        LatencyClass::Service => "from the send to each copy",
        LatencyClass::Response => "from the due time to each copy",
        LatencyClass::Wait => "from the due time to the send",
        LatencyClass::Completion => "until everyone has it: to the last copy",
        LatencyClass::Spread => "from the first copy to the last",
    }
}

/// The columns of [`latency_cells`].
pub(super) fn latency_columns() -> [Column; 4] {
    ["p50", "p99", "p99.9", "max"].map(Column::durations)
}

/// The percentiles of a class and its maximum.
pub(super) fn latency_cells(class: Option<&Latency>) -> [Cell; 4] {
    let figures: [fn(&Latency) -> Option<f64>; 4] = [|l| l.p50, |l| l.p99, |l| l.p99_9, |l| l.max];
    figures.map(|of| Value::micros(class.and_then(of)).into())
}
