//! The engine: frames, rings, connections, the worker and the fleet.
//!
//! Belongs here: connecting, running one trial, closing ([`Fleet`]). Does not: choosing which trial is next
//! (`experiment`), saying how far it can be trusted (`verdict`) or how it went (`report`). Data flows down
//! this list:
//!
//! - [`key_rng`]: keys of upgrades and masks
//! - [`frames`]: every message as finished bytes, before the clock
//! - [`ring`]: the kernel's queue pair, real and fake
//! - [`connection`]: one socket, from connect to close and again
//! - [`worker`]: one core, one loop
//! - `pacing`: how to be in time
//! - [`drain`]: when a trial is over
//! - `settle`: how long the line must be quiet then
//! - [`spread`]: which socket lives on which core
//! - `min_connected`: whether enough sockets are there
//! - `orders`: what workers are told and answer
//! - `progress_board`: what workers tell and are told while they run
//! - `fleet`: all cores, the phases that they go through together
//! - [`rehearsal`]: a socket alone, and all that passes on it

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::host::io_words::unnumbered;
use crate::measure::interval::Counted;
use crate::measure::outcome::Interval;
use crate::measure::reached::Reached;
use crate::measure::recorder::Records;
use crate::units::{Count, Nanos};

pub mod connection;
pub mod drain;
mod fleet;
pub mod frames;
pub mod key_rng;
mod min_connected;
mod orders;
mod pacing;
mod progress_board;
pub mod rehearsal;
pub mod ring;
mod settle;
pub mod spread;
pub mod worker;

pub use self::fleet::{Fleet, Measurement, Reconnected};

/// A request to end early, from a signal handler or another thread.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for the end: nothing more is sent, what was measured is reported.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for a signal handler to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// What the fleet is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Connects, upgrades, openings; in sockets.
    Connecting,
    /// Waiting for the probe on every socket; in sockets.
    Probing,
    /// Laying out frames; nothing is counted.
    Preparing {
        /// Messages of the trial.
        messages: u64,
    },
    /// The clock runs; in copies.
    Running {
        /// Messages of the trial.
        messages: u64,
    },
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is counted.
    pub phase: Phase,
    /// So many are done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// A trial that runs, as an interval of it ends.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// What the interval came to.
    pub interval: &'a Interval,
    /// All that was recorded since the trial began, by class and node.
    pub so_far: &'a Records,
    /// What its copies were counted as until the workers handed over, and the longest lag.
    pub counted: Counted,
    /// Whose the rows of `so_far` are, where a header names who took each socket; else they are the plan's nodes.
    pub reached: Option<&'a [Reached]>,
    /// Sockets lost in the trial, by node.
    pub lost: Vec<u64>,
    /// By worker: time of polls that brought nothing. A worker's CPU time beyond it was work.
    pub spun: Vec<Nanos>,
}

/// Who looks on while the fleet is at work.
pub trait Watch {
    /// Called several times a second.
    fn progress(&mut self, progress: &Progress);
    /// An interval of the trial that runs is over.
    fn interval(&mut self, _: &Snapshot<'_>) {}
}

/// Why a plan could not be run to a report.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Sockets could not be connected, upgraded or opened.
    #[error("{}", unreachable_text(.0))]
    Unreachable(Vec<NodeFailure>),
    /// Fewer sockets than there must be could be connected.
    #[error("{}\n{why}", unreachable_text(.failures))]
    TooFew {
        /// What became of the others.
        failures: Vec<NodeFailure>,
        /// One sentence with the figures.
        why: String,
    },
    /// A probe did not come to every socket in time.
    #[error("{}", not_ready_text(.0, *.1))]
    NotReady(Vec<DeafNode>, f64),
    /// With `--fan-out others`: the server sends to the sender, too.
    #[error(
        "{node}: a push socket heard its own probe, which with --fan-out others it must not: give \
         --fan-out {}",
        if *.nobody_else { "own" } else { "all" }
    )]
    HearsItself {
        /// The push node.
        node: String,
        /// Others did not hear it.
        nobody_else: bool,
    },
    /// A signal came before anything was measured.
    #[error("interrupted before the first trial: nothing was measured")]
    Interrupted,
    /// The host starts no more threads; workers that run already have ended with their commands.
    #[error("no thread can be started for a worker of --cores (ulimit -u, pids.max): {}", unnumbered(.0))]
    NoThread(std::io::Error),
    /// The host does not let us.
    #[error("{doing}: {}", unnumbered(source))]
    Host {
        /// What was attempted, and with which flag it can be changed.
        doing: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Sockets to one node that failed in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFailure {
    /// The node.
    pub url: String,
    /// `connect`, `handshake` (of the transport), `upgrade`, `opening` (of the dialect) or `session`.
    pub phase: &'static str,
    /// One clause.
    pub reason: String,
    /// How many sockets.
    pub sockets: u64,
}

/// A node whose sockets did not all see the probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeafNode {
    /// The node.
    pub url: String,
    /// Its sockets that saw nothing.
    pub unseen: u64,
    /// All its sockets.
    pub sockets: u64,
    /// It is the one that takes the pushes.
    pub is_push_node: bool,
    /// The sender of the probe alone did not hear it.
    pub only_the_sender: bool,
    /// Other messages that these heard.
    pub others_heard: u64,
    /// One of them, the first of its socket.
    pub first_heard: Option<String>,
}

fn unreachable_text(failures: &[NodeFailure]) -> String {
    let line = |f: &NodeFailure| {
        let sockets = if f.sockets == 1 { "socket" } else { "sockets" };
        format!("{}: {}: {} ({} {sockets})", f.url, f.phase, f.reason, f.sockets)
    };
    failures.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn not_ready_text(nodes: &[DeafNode], waited_s: f64) -> String {
    let line = |n: &DeafNode| {
        let link = if n.is_push_node { "" } else { "is its link to the push node up, " };
        let question = match n.only_the_sender {
            true => "only its sender did not hear it: does this server leave the sender out \
                     (--fan-out others)?"
                .to_owned(),
            false => format!("{link}is --dialect right, does it send to every client (--fan-out)?"),
        };
        let first = n.first_heard.as_deref().unwrap_or_default();
        let heard = match n.others_heard {
            0 => "; nothing else came to them".to_owned(),
            1 => format!("; what came instead: {first}"),
            more => format!("; what came instead: {} messages, the first {first}", Count(more)),
        };
        format!(
            "{}: the probe did not reach {} of its {} sockets within {waited_s} s (--ready-timeout): \
             {question}{heard}",
            n.url, n.unseen, n.sockets,
        )
    };
    nodes.iter().map(line).collect::<Vec<_>>().join("\n")
}
