//! The board: what workers tell while they run, and what they are told.
//!
//! Belongs here: progress and directives, in atomics of one writer each. Does not: deciding anything
//! from them (`fleet`, `drain`).

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::engine::drain::TrialProgress;
use crate::engine::worker::{Control, Directive};
use crate::units::Nanos;

/// One worker's progress, in cache lines of its own (two: the next one is prefetched).
#[repr(align(128))]
#[derive(Default)]
struct Gauge {
    seen: AtomicU64,
    delivered: AtomicU64,
    doubtful: AtomicU64,
    sent: AtomicU64,
    complete: AtomicBool,
    lost: AtomicBool,
    slowest_ns: AtomicU64,
    straggler_ns: AtomicU64,
    spun_ns: AtomicU64,
}

/// What coordinator and workers both see.
pub(super) struct Board {
    gauges: Vec<Gauge>,
    /// Sockets lost in the trial, by node.
    lost: Vec<AtomicU64>,
    directive: AtomicU8,
}

const CONTINUE: u8 = 0;
const STOP_SENDING: u8 = 1;
const END: u8 = 2;

impl Board {
    /// For so many workers, whose sockets are connected to so many nodes.
    pub(super) fn new(workers: usize, nodes: usize) -> Self {
        Self {
            gauges: (0..workers).map(|_| Gauge::default()).collect(),
            lost: (0..nodes).map(|_| AtomicU64::new(0)).collect(),
            directive: AtomicU8::new(CONTINUE),
        }
    }

    /// Tells all workers what to do.
    pub(super) fn direct(&self, directive: Directive) {
        let directive = match directive {
            Directive::Continue => CONTINUE,
            Directive::StopSending => STOP_SENDING,
            Directive::End => END,
        };
        self.directive.store(directive, Ordering::Relaxed);
    }

    /// Makes it ready for the next phase.
    pub(super) fn reset(&self) {
        for gauge in &self.gauges {
            gauge.seen.store(0, Ordering::Relaxed);
            gauge.delivered.store(0, Ordering::Relaxed);
            gauge.doubtful.store(0, Ordering::Relaxed);
            gauge.sent.store(0, Ordering::Relaxed);
            gauge.complete.store(false, Ordering::Relaxed);
            gauge.lost.store(false, Ordering::Relaxed);
            gauge.slowest_ns.store(0, Ordering::Relaxed);
            gauge.straggler_ns.store(0, Ordering::Relaxed);
            gauge.spun_ns.store(0, Ordering::Relaxed);
        }
        self.lost.iter().for_each(|lost| lost.store(0, Ordering::Relaxed));
        self.directive.store(CONTINUE, Ordering::Relaxed);
    }

    /// What each worker spent on polls that brought nothing.
    pub(super) fn spun(&self) -> Vec<Nanos> {
        self.gauges.iter().map(|gauge| Nanos(gauge.spun_ns.load(Ordering::Relaxed))).collect()
    }

    /// Sockets lost in the trial, by node.
    pub(super) fn lost(&self) -> Vec<u64> {
        self.lost.iter().map(|lost| lost.load(Ordering::Relaxed)).collect()
    }

    /// How far all workers together are.
    pub(super) fn progress(&self) -> TrialProgress {
        let sum = |of: fn(&Gauge) -> &AtomicU64| {
            self.gauges.iter().map(|gauge| of(gauge).load(Ordering::Relaxed)).sum()
        };
        let most = |of: fn(&Gauge) -> &AtomicU64| {
            let all = self.gauges.iter().map(|gauge| of(gauge).load(Ordering::Relaxed));
            Nanos(all.max().unwrap_or(0))
        };
        TrialProgress {
            slowest: most(|gauge| &gauge.slowest_ns),
            straggler: most(|gauge| &gauge.straggler_ns),
            spun: Nanos(sum(|gauge| &gauge.spun_ns)),
            seen: sum(|gauge| &gauge.seen),
            delivered: sum(|gauge| &gauge.delivered),
            doubtful: sum(|gauge| &gauge.doubtful),
            sent: sum(|gauge| &gauge.sent),
            complete: self.gauges.iter().all(|gauge| gauge.complete.load(Ordering::Relaxed)),
            lost: self.gauges.iter().any(|gauge| gauge.lost.load(Ordering::Relaxed)),
        }
    }
}

/// A worker's view of the board.
pub(super) struct WorkerHandle<'a, F> {
    board: &'a Board,
    index: usize,
    /// Wakes the coordinator, which otherwise looks at the board now and then.
    wake: F,
    has_woken: bool,
}

impl<'a, F: FnMut()> WorkerHandle<'a, F> {
    /// For the worker of this index, for one phase. `wake` is called once, when the worker has all that
    /// it can expect.
    pub(super) fn new(board: &'a Board, index: usize, wake: F) -> Self {
        Self { board, index, wake, has_woken: false }
    }
}

impl<F: FnMut()> Control for WorkerHandle<'_, F> {
    #[inline]
    fn turn(&mut self, progress: TrialProgress, _now: Nanos) -> Directive {
        let gauge = &self.board.gauges[self.index];
        gauge.seen.store(progress.seen, Ordering::Relaxed);
        gauge.delivered.store(progress.delivered, Ordering::Relaxed);
        gauge.doubtful.store(progress.doubtful, Ordering::Relaxed);
        gauge.sent.store(progress.sent, Ordering::Relaxed);
        gauge.complete.store(progress.complete, Ordering::Relaxed);
        gauge.lost.store(progress.lost, Ordering::Relaxed);
        gauge.slowest_ns.store(progress.slowest.0, Ordering::Relaxed);
        gauge.straggler_ns.store(progress.straggler.0, Ordering::Relaxed);
        gauge.spun_ns.store(progress.spun.0, Ordering::Relaxed);
        if progress.complete && !self.has_woken {
            self.has_woken = true;
            (self.wake)();
        }
        match self.board.directive.load(Ordering::Relaxed) {
            CONTINUE => Directive::Continue,
            STOP_SENDING => Directive::StopSending,
            _ => Directive::End,
        }
    }

    fn lost(&mut self, node: u32) {
        self.board.lost[node as usize].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::progress_board::*;

    #[test]
    fn the_coordinator_is_woken_once_by_a_worker_that_has_all_it_can_expect() {
        let board = Board::new(2, 3);
        let mut woken = Vec::new();
        for (index, done) in [(0, 3), (1, 5)] {
            let mut count = 0;
            let mut turns = Vec::new();
            let mut remote = WorkerHandle::new(&board, index, || count += 1);
            for seen in 0..9 {
                let complete = seen >= done;
                let progress = TrialProgress { seen, complete, ..TrialProgress::default() };
                turns.push(remote.turn(progress, Nanos::ZERO));
            }
            assert!(turns.iter().all(|&turn| turn == Directive::Continue));
            woken.push(count);
        }
        assert_eq!(woken, [1, 1]);
        assert!(board.progress().complete, "what it is woken for is there already");
    }
}
