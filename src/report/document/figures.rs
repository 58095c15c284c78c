//! What follows from the figures of a document: the sums, shares and units that reports speak in.
//!
//! Belongs here: arithmetic on what a document holds. Does not: words (`story`) and layout (`text`).

use hdrhistogram::Histogram;

use super::histogram::{self, NoHistogram};
use super::{Document, FanOut, Load, Plan, PlannedTrial};
use crate::population::fan_out;
use crate::report::document::trial::{
    Core, Delivery, Gap, HistogramByClass, Late, Latency, LatencyByClass, LatencyClass, LostSocket,
    MatrixCell, TrialResult, Trust,
};
use crate::report::sanitize::UntrustedText;
use crate::units::Nanos;

/// A duration that a document gives in seconds. What is no duration is none.
pub fn seconds(figure: f64) -> Nanos {
    Nanos((figure * 1e9).round() as u64)
}

/// A duration that a document gives in microseconds. What is no duration is none.
pub fn micros(figure: f64) -> Nanos {
    Nanos((figure * 1e3).round() as u64)
}

impl Plan {
    /// What was planned of a trial that ran.
    pub fn planned(&self, run: &TrialResult) -> Option<&PlannedTrial> {
        self.trials.iter().find(|planned| planned.id == run.id)
    }

    /// Its load; that of the first trial where the plan does not know it.
    pub fn load_of(&self, run: &TrialResult) -> Option<&Load> {
        self.planned(run).or_else(|| self.trials.first()).map(|planned| &planned.load)
    }

    /// Whether a number of messages does not say which trial is meant.
    pub fn repeats_a_size(&self) -> bool {
        let repeats = |(place, trial): (usize, &PlannedTrial)| {
            self.trials[..place].iter().any(|before| before.messages == trial.messages)
        };
        self.trials.iter().enumerate().any(repeats)
    }

    /// The class that heads a report on all trials: that of each, where they have one in common; else
    /// `service`, which every trial has.
    pub fn headline_latency(&self) -> LatencyClass {
        let mut classes = self.trials.iter().map(|trial| trial.load.headline_latency);
        let first = classes.next().unwrap_or(LatencyClass::Service);
        if classes.all(|class| class == first) { first } else { LatencyClass::Service }
    }

    /// Receive sockets over all nodes.
    pub fn receive_sockets(&self) -> u64 {
        self.receivers_per_node.saturating_mul(self.nodes.len() as u64)
    }

    /// All sockets: push and receive.
    pub fn sockets(&self) -> u64 {
        self.push_sockets.saturating_add(self.receive_sockets())
    }

    /// What must come back for a trial of `messages`.
    pub fn expected_copies(&self, messages: u64) -> u64 {
        let fan_out = fan_out::FanOut::from(self.fan_out);
        let sockets = fan_out.copies_each(self.sockets(), true);
        messages.saturating_mul(sockets).saturating_mul(self.subscriptions)
    }
}

impl From<FanOut> for fan_out::FanOut {
    fn from(fan_out: FanOut) -> Self {
        match fan_out {
            FanOut::All => Self::All,
            FanOut::Others => Self::Others,
            FanOut::Own => Self::Own,
        }
    }
}

impl Document {
    /// The worst verdict of its trials; `None` without any.
    pub fn trust(&self) -> Option<Trust> {
        self.trials.iter().map(|run| run.verdict.trust).max()
    }

    /// Where the copies of all trials went.
    pub fn delivery(&self) -> Delivery {
        let sum = |of: fn(&Delivery) -> u64| {
            self.trials.iter().fold(0_u64, |sum, run| sum.saturating_add(of(&run.delivery)))
        };
        Delivery {
            expected: sum(|d| d.expected),
            delivered: sum(|d| d.delivered),
            missing: sum(|d| d.missing),
            duplicate: sum(|d| d.duplicate),
            misdelivered: sum(|d| d.misdelivered),
            earlier: sum(|d| d.earlier),
            out_of_order: sum(|d| d.out_of_order),
            foreign: sum(|d| d.foreign),
            corrupt: sum(|d| d.corrupt),
            seen: sum(|d| d.seen),
        }
    }
}

impl Late {
    /// All that came when the trial was over.
    pub fn all(&self) -> u64 {
        self.copies.saturating_add(self.duplicates).saturating_add(self.misdelivered)
    }
}

impl TrialResult {
    /// Every copy came once and unaltered, and none to a socket that must not hear it.
    pub fn complete(&self) -> bool {
        let Delivery { missing, duplicate, misdelivered, corrupt, .. } = self.delivery;
        [missing, duplicate, misdelivered, corrupt].iter().all(|&count| count == 0)
    }

    /// Copies of messages that were not sent before the end: they are missing, and no cluster is to
    /// blame for it.
    pub fn unsent_copies(&self) -> u64 {
        let copies_each = self.delivery.expected / self.messages.max(1);
        let unsent = self.messages.saturating_sub(self.sent).saturating_mul(copies_each);
        unsent.min(self.delivery.missing)
    }

    /// Those of them that would have come over the sockets of one node. Over all nodes they are
    /// [`Self::unsent_copies`]: of one message every node but the push node has as many as of another.
    pub fn unsent_copies_to(&self, cell: &MatrixCell, plan: &Plan) -> u64 {
        let unsent = self.messages.saturating_sub(self.sent);
        let to = |cell: &MatrixCell| {
            (cell.expected / self.messages.max(1)).saturating_mul(unsent).min(cell.missing)
        };
        if cell.to != plan.push_node {
            return to(cell);
        }
        let others = self.matrix.iter().filter(|cell| cell.to != plan.push_node).map(to);
        let rest = self.unsent_copies().saturating_sub(others.fold(0, u64::saturating_add));
        // Those behind its address, each by its share: up to it, and up to the one before it.
        let at_push_node = || self.matrix.iter().filter(|cell| cell.to == plan.push_node);
        let all = at_push_node().fold(0, |sum: u64, cell| sum.saturating_add(cell.expected));
        let before = at_push_node().take_while(|other| other.place() != cell.place());
        let before = before.fold(0, |sum: u64, cell| sum.saturating_add(cell.expected));
        let up_to = |part: u64| u128::from(rest) * u128::from(part) / u128::from(all.max(1));
        let share = up_to(before.saturating_add(cell.expected)) - up_to(before);
        (share as u64).min(cell.missing)
    }

    /// Working time for each copy over all cores, in nanoseconds; `None` without copies.
    pub fn cpu_ns_per_copy(&self) -> Option<f64> {
        let cores = &self.generator.cores;
        let work_ns: u64 =
            cores.iter().map(|core| seconds(core.cpu_s).since(seconds(core.spun_s)).0).sum();
        let copies: u64 = cores.iter().map(|core| core.copies).sum();
        (copies > 0).then(|| (work_ns as f64 / copies as f64 * 1e3).round() / 1e3)
    }
}

impl LatencyClass {
    /// The key in result files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Response => "response",
            Self::Wait => "wait",
            Self::Completion => "completion",
            Self::Spread => "spread",
        }
    }

    /// All, in the order of a message's life.
    pub const ALL: [Self; 5] =
        [Self::Response, Self::Service, Self::Wait, Self::Completion, Self::Spread];
}

impl LatencyByClass {
    /// A class, if the mode has it.
    pub const fn of(&self, class: LatencyClass) -> Option<&Latency> {
        match class {
            LatencyClass::Service => self.service.as_ref(),
            LatencyClass::Response => self.response.as_ref(),
            LatencyClass::Wait => self.wait.as_ref(),
            LatencyClass::Completion => self.completion.as_ref(),
            LatencyClass::Spread => self.spread.as_ref(),
        }
    }

    /// The classes that there are, in the order of a message's life.
    pub fn present(&self) -> impl Iterator<Item = (LatencyClass, &Latency)> {
        LatencyClass::ALL.into_iter().filter_map(|class| Some((class, self.of(class)?)))
    }
}

impl HistogramByClass {
    /// Of a result that was written before there were any.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A class, if it is there.
    pub fn of(&self, class: LatencyClass) -> Option<&str> {
        let text = match class {
            LatencyClass::Service => &self.service,
            LatencyClass::Response => &self.response,
            LatencyClass::Wait => &self.wait,
            LatencyClass::Completion => &self.completion,
            LatencyClass::Spread => &self.spread,
        };
        text.as_deref()
    }
}

/// A node of the plan, or who took sockets behind its address, as far as a header named them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Index of the node.
    pub node: u64,
    /// The name.
    pub reached: Option<&'a UntrustedText>,
}

impl Gap {
    /// Where its socket is.
    pub fn place(&self) -> Place<'_> {
        Place { node: self.node, reached: self.reached.as_ref() }
    }
}

impl LostSocket {
    /// Where it was.
    pub fn place(&self) -> Place<'_> {
        Place { node: self.node, reached: self.reached.as_ref() }
    }
}

impl MatrixCell {
    /// Whose cell it is.
    pub fn place(&self) -> Place<'_> {
        Place { node: self.to, reached: self.reached.as_ref().and_then(|node| node.name.as_ref()) }
    }

    /// 99th percentile of the headline class, with enough samples.
    pub fn p99(&self) -> Option<Nanos> {
        self.p99_us.map(micros)
    }
}

impl Core {
    /// Copies that a receive brought, on average.
    pub fn copies_per_read(&self) -> f64 {
        self.copies as f64 / self.reads.max(1) as f64
    }

    /// Of the wall time, the share in which the worker used its CPU, and that in which it polled.
    pub fn used_and_polling(&self) -> (f64, f64) {
        let share = |cpu_s: f64| if self.wall_s > 0.0 { cpu_s / self.wall_s } else { 0.0 };
        (share(self.cpu_s), share(self.spun_s))
    }
}

/// The histogram of a class, where the trial carries it.
pub fn histogram_of(
    run: &TrialResult,
    class: LatencyClass,
) -> Option<Result<Histogram<u64>, NoHistogram>> {
    run.latency_histograms.of(class).map(histogram::decode)
}
