//! One trial as it is served: while it runs, second by second, and when it is over.
//!
//! Belongs here: what is kept of it, and by which nodes. Does not: names and words of families (`family`).

use std::sync::Arc;

use super::buckets::Buckets;
use super::{NODES_MAX, OTHERS, name};
use crate::measure::interval::Counted;
use crate::measure::outcome::Interval;
use crate::measure::reached::Reached;
use crate::measure::recorder::Records;
use crate::report::document::trial::TrialResult;
use crate::units::Nanos;
use crate::verdict::{Judged, Trust};

/// A trial that runs, as an interval of it ends.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a> {
    /// What the interval came to.
    pub interval: &'a Interval,
    /// All that was recorded since the trial began.
    pub so_far: &'a Records,
    /// What copies were counted as.
    pub counted: Counted,
    /// Whose the rows of `so_far` are, where they are not the plan's nodes.
    pub reached: Option<&'a [Reached]>,
    /// Sockets lost in the trial, by node of the plan.
    pub lost: &'a [u64],
    /// By worker: the share of its time that was work.
    pub busy: &'a [f64],
}

/// What is known of a trial.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) id: Arc<str>,
    pub(super) messages: u64,
    /// What it leads with.
    class: &'static str,
    pub(super) sent: u64,
    pub(super) copies: Copies,
    /// Of the measured part, and of the warm-up.
    missing: [u64; 2],
    pub(super) latency: Vec<(&'static str, Buckets)>,
    /// By node that a copy reached; of the class that the trial leads with.
    pub(super) by_node: Vec<Node>,
    pub(super) lost: Rows,
    pub(super) reconnected: u64,
    /// By worker.
    pub(super) busy: Vec<f64>,
    /// The longest lag behind the schedule.
    pub(super) lag: Option<Nanos>,
    /// None while it runs.
    pub(super) end: Option<End>,
}

/// The account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Copies {
    pub(super) expected: u64,
    pub(super) delivered: u64,
    pub(super) missing: u64,
    pub(super) duplicate: u64,
    pub(super) misdelivered: u64,
    pub(super) out_of_order: u64,
    pub(super) foreign: u64,
    pub(super) corrupt: u64,
}

/// A row of the matrix.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) node: Arc<str>,
    /// Who took its sockets behind that address, where a header told it.
    pub(super) reached: Arc<str>,
    pub(super) latency: Buckets,
    /// Expected and delivered, once the trial is over.
    pub(super) copies: Option<(u64, u64)>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) trust: &'static str,
    /// Codes with their severities.
    pub(super) caveats: Vec<(&'static str, &'static str)>,
    pub(super) send_s: Option<f64>,
    pub(super) receive_s: Option<f64>,
}

/// A count by node of the plan; those beyond the first ones together.
#[derive(Clone, Debug)]
pub(super) struct Rows(pub(super) Vec<(Arc<str>, u64)>);

impl Rows {
    pub(super) fn of(nodes: &[Arc<str>]) -> Self {
        Self((0..nodes.len()).take(NODES_MAX + 1).map(|at| (label(nodes, at), 0)).collect())
    }

    fn set(&mut self, counts: impl Iterator<Item = (usize, u64)>) {
        self.0.iter_mut().for_each(|(_, count)| *count = 0);
        for (node, count) in counts {
            if let Some((_, sum)) = self.0.get_mut(node.min(NODES_MAX)) {
                *sum += count;
            }
        }
    }
}

/// A place in a table of nodes, as a label.
fn label(nodes: &[Arc<str>], at: usize) -> Arc<str> {
    let own = nodes.get(at).filter(|_| at < NODES_MAX).map(Arc::clone);
    own.unwrap_or_else(|| OTHERS.into())
}

impl Trial {
    pub(super) fn new(id: Arc<str>, messages: u64, class: &'static str, lost: Rows) -> Self {
        Self {
            id,
            messages,
            class,
            sent: 0,
            copies: Copies::default(),
            missing: [0; 2],
            latency: Vec::new(),
            by_node: Vec::new(),
            lost,
            reconnected: 0,
            busy: Vec::new(),
            lag: None,
            end: None,
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.end.is_some()
    }

    pub(super) const fn copies(&mut self, delivered: u64, expected: u64) {
        if !self.is_over() {
            (self.copies.delivered, self.copies.expected) = (delivered, expected);
        }
    }

    pub(super) fn second(&mut self, now: &Second<'_>, nodes: &[Arc<str>]) {
        let (interval, counts) = (now.interval, now.counted.counts);
        self.sent += interval.sent;
        self.missing[usize::from(interval.warmup)] = interval.missing_so_far;
        self.copies.missing = self.missing.iter().sum();
        self.copies.duplicate = counts.duplicate;
        self.copies.misdelivered = counts.misdelivered;
        self.copies.out_of_order = counts.out_of_order;
        self.copies.foreign = counts.foreign;
        self.copies.corrupt = counts.corrupt;
        self.lag = now.counted.lag;
        self.lost.set(now.lost.iter().copied().enumerate());
        self.busy = now.busy.to_vec();
        let measured = &now.so_far.measured;
        self.by_node.clear();
        for (row, latencies) in measured.headline.iter().enumerate() {
            let of_row = now.reached.and_then(|reached| reached.get(row));
            let node = of_row.map_or(row, |reached| reached.node);
            let reached = of_row.and_then(|reached| reached.name.as_deref());
            self.row(row, nodes, (node, reached), Buckets::of(latencies), None);
        }
        let mut whole = Buckets::default();
        self.by_node.iter().for_each(|row| whole.add(&row.latency));
        self.latency = vec![(self.class, whole)];
        let service = measured.service.as_ref();
        self.latency.extend(service.map(|ns| ("service", Buckets::of(ns))));
    }

    /// Adds a row of the matrix. Rows with the same labels are added up: those beyond the first ones, and
    /// names that are alike when they are cut.
    fn row(
        &mut self,
        row: usize,
        nodes: &[Arc<str>],
        (node, reached): (usize, Option<&str>),
        latency: Buckets,
        copies: Option<(u64, u64)>,
    ) {
        let is_own = row < NODES_MAX;
        let node = if is_own { label(nodes, node) } else { OTHERS.into() };
        let reached: Arc<str> = reached.filter(|_| is_own).map(name).unwrap_or_default().into();
        let mut rows = self.by_node.iter_mut();
        match rows.find(|other| other.node == node && other.reached == reached) {
            Some(sum) => {
                sum.latency.add(&latency);
                let both = sum.copies.zip(copies);
                sum.copies = both.map(|(sum, one)| (sum.0 + one.0, sum.1 + one.1));
            }
            None => self.by_node.push(Node { node, reached, latency, copies }),
        }
    }

    pub(super) fn end(&mut self, judged: &Judged, result: &TrialResult, nodes: &[Arc<str>]) {
        self.account(result);
        self.lag = judged.lag_ns.as_ref().and_then(|lag| lag.max());
        self.busy = judged.cores.iter().map(|core| core.busy()).collect();
        let classes = judged.latency_ns.iter();
        self.latency = classes.map(|(class, ns)| (class.key(), Buckets::of(ns))).collect();
        // One that the trial leads with is there from its first second on.
        if !self.latency.iter().any(|(key, _)| *key == self.class) {
            self.latency.push((self.class, Buckets::default()));
        }
        self.by_node.clear();
        for (row, cell) in judged.matrix.iter().enumerate() {
            let reached = cell.reached.as_ref().and_then(|reached| reached.name.as_deref());
            let copies = Some((cell.expected, cell.delivered));
            self.row(row, nodes, (cell.to, reached), Buckets::of(&cell.latency_ns), copies);
        }
        let caveats = judged.caveats.iter();
        self.end = Some(End {
            trust: trust(judged.trust()),
            caveats: caveats.map(|caveat| (caveat.code, trust(caveat.severity))).collect(),
            send_s: result.time.send_s,
            receive_s: result.time.receive_s,
        });
    }

    /// The counts as a result has them.
    pub(super) fn account(&mut self, result: &TrialResult) {
        let delivery = &result.delivery;
        self.sent = result.sent;
        self.copies = Copies {
            expected: delivery.expected,
            delivered: delivery.delivered,
            missing: delivery.missing,
            duplicate: delivery.duplicate,
            misdelivered: delivery.misdelivered,
            out_of_order: delivery.out_of_order,
            foreign: delivery.foreign,
            corrupt: delivery.corrupt,
        };
        self.lost.set(result.lost_sockets.iter().map(|lost| (lost.node as usize, 1)));
    }
}

/// How far a trial is trusted, as results write it.
pub(super) const fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Ok => "ok",
        Trust::Degraded => "degraded",
        Trust::Void => "void",
    }
}
