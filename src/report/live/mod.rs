//! What `--live` shows while a plan runs: how far it is, the last second beside the whole trial, the
//! nodes, and what the workers themselves cost.
//!
//! Belongs here: what is shown, and where on the screen (`screen`). Does not: the terminal (`cli::live`),
//! and what a figure means (`story`).

mod screen;

use std::collections::VecDeque;

pub use self::screen::draw;
use crate::report::columns::phrase;
use crate::report::document::trial::LatencyClass;
use crate::report::document::{self, Document};
use crate::report::story::{Phrase, Story};
use crate::units::Nanos;

/// Seconds that are kept for the sparklines: no screen is wider.
const SECONDS_KEPT: usize = 1_000;

/// What is known of a plan that runs.
#[derive(Clone, Debug)]
pub struct Live {
    title: String,
    /// What the latencies are.
    class: LatencyClass,
    nodes: Vec<Node>,
    cores: Vec<u64>,
    /// What is under way, `done` of `total`; a total of 0 means that there is nothing to count.
    phase: String,
    done: u64,
    total: u64,
    seconds: VecDeque<Second>,
    whole: Latency,
    /// By worker, of 1.
    busy: Vec<f64>,
    headings: Vec<String>,
    rows: Vec<String>,
}

#[derive(Clone, Debug)]
struct Node {
    url: String,
    takes_pushes: bool,
    sockets: u64,
    /// In the trial that runs.
    lost: u64,
}

/// Percentiles that are shown; none where there are too few samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// The median.
    pub p50: Option<Nanos>,
    /// The 99th percentile.
    pub p99: Option<Nanos>,
    /// The longest.
    pub max: Option<Nanos>,
}

/// An interval of a trial, about a second long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// Messages that the kernel took, in a second.
    pub sent_per_s: f64,
    /// Copies that came, in a second.
    pub copies_per_s: f64,
    /// Copies due and not there at its end.
    pub missing: u64,
    /// It is of the warm-up.
    pub warmup: bool,
    /// Of its copies.
    pub latency: Latency,
}

impl Live {
    /// Of a plan that has only begun; `headings` are those of the trials' rows.
    pub fn of(begun: &Document, headings: &str) -> Self {
        let plan = &begun.plan;
        let node = |(index, node): (usize, &document::Node)| {
            let takes_pushes = index as u64 == plan.push_node;
            let pushes = if takes_pushes { plan.push_sockets } else { 0 };
            let sockets = plan.receivers_per_node + pushes;
            Node { url: node.url.to_string(), takes_pushes, sockets, lost: 0 }
        };
        Self {
            title: phrase(&Story::of(begun).title),
            class: plan.headline_latency(),
            nodes: plan.nodes.iter().enumerate().map(node).collect(),
            cores: plan.cores.clone(),
            phase: String::new(),
            done: 0,
            total: 0,
            seconds: VecDeque::new(),
            whole: Latency::default(),
            busy: Vec::new(),
            headings: headings.lines().map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// `done` of `total` in `phase`. Another phase begins anew: nothing of the last trial is of this one.
    pub fn progress(&mut self, phase: &str, done: u64, total: u64) {
        if self.phase != phase {
            phase.clone_into(&mut self.phase);
            self.seconds.clear();
            self.whole = Latency::default();
            self.busy.clear();
            self.nodes.iter_mut().for_each(|node| node.lost = 0);
        }
        (self.done, self.total) = (done, total);
    }

    /// A second of the trial is over. `whole` is of the trial so far; `lost` are its lost sockets by node;
    /// `busy` the share of each worker's time that was work.
    pub fn second(&mut self, second: Second, whole: Latency, lost: &[u64], busy: Vec<f64>) {
        if self.seconds.len() == SECONDS_KEPT {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
        (self.whole, self.busy) = (whole, busy);
        self.nodes.iter_mut().zip(lost).for_each(|(node, &lost)| node.lost = lost);
    }

    /// A trial is over; `row` is its row of the report.
    pub fn trial(&mut self, row: &str) {
        self.rows.push(row.trim_end().to_owned());
    }
}

/// A figure as reports write it.
fn figure(value: impl Into<Phrase>) -> String {
    phrase(&value.into())
}
