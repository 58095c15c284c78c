//! What coordinator and workers tell each other while a phase runs.
//!
//! Belongs here: one writer for each cache line, relaxed. Does not: what is done about it (`fleet`,
//! `worker`).

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use super::drain::Progress;
use super::worker::{Conductor, Directive, WorkerProgress};
use crate::units::Nanos;

/// One worker's progress, in cache lines of its own (two: the next one is prefetched).
#[repr(align(128))]
#[derive(Default)]
struct Gauge {
    seen: AtomicU64,
    sent: AtomicU64,
    complete: AtomicBool,
    lost: AtomicBool,
}

/// What coordinator and workers both see.
pub(super) struct Board {
    gauges: Vec<Gauge>,
    directive: AtomicU8,
}

const CONTINUE: u8 = 0;
pub(super) const STOP_SENDING: u8 = 1;
pub(super) const END: u8 = 2;

impl Board {
    /// For so many workers.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            gauges: (0..workers).map(|_| Gauge::default()).collect(),
            directive: AtomicU8::new(CONTINUE),
        }
    }

    /// Tells all workers what to do.
    pub(super) fn direct(&self, directive: u8) {
        self.directive.store(directive, Ordering::Relaxed);
    }

    /// For the next phase.
    pub(super) fn reset(&self) {
        for gauge in &self.gauges {
            gauge.seen.store(0, Ordering::Relaxed);
            gauge.sent.store(0, Ordering::Relaxed);
            gauge.complete.store(false, Ordering::Relaxed);
            gauge.lost.store(false, Ordering::Relaxed);
        }
        self.directive.store(CONTINUE, Ordering::Relaxed);
    }

    /// All workers together.
    pub(super) fn progress(&self) -> Progress {
        let sum = |of: fn(&Gauge) -> &AtomicU64| {
            self.gauges.iter().map(|gauge| of(gauge).load(Ordering::Relaxed)).sum()
        };
        Progress {
            seen: sum(|gauge| &gauge.seen),
            sent: sum(|gauge| &gauge.sent),
            complete: self.gauges.iter().all(|gauge| gauge.complete.load(Ordering::Relaxed)),
            lost: self.gauges.iter().any(|gauge| gauge.lost.load(Ordering::Relaxed)),
        }
    }
}

/// A worker's view of the board.
pub(super) struct Remote<'a> {
    pub(super) board: &'a Board,
    pub(super) index: usize,
}

impl Conductor for Remote<'_> {
    #[inline]
    fn turn(&mut self, progress: WorkerProgress, _now: Nanos) -> Directive {
        let gauge = &self.board.gauges[self.index];
        gauge.seen.store(progress.seen, Ordering::Relaxed);
        gauge.sent.store(progress.sent, Ordering::Relaxed);
        gauge.complete.store(progress.complete, Ordering::Relaxed);
        gauge.lost.store(progress.lost, Ordering::Relaxed);
        match self.board.directive.load(Ordering::Relaxed) {
            CONTINUE => Directive::Continue,
            STOP_SENDING => Directive::StopSending,
            _ => Directive::End,
        }
    }
}
