//! What a worker used in a trial, and what it hands over when the trial is over.
//!
//! Belongs here: marks at the start and the end, and their differences. Does not: merging the tallies
//! of all workers (`measure::tally`).

use super::Running;
use crate::engine::connection::transport::Transport;
use crate::engine::ring::{Ring, RingCounters};
use crate::engine::worker::{Counters, Worker};
use crate::host::clock::{Clock, thread_cpu_time};
use crate::measure::effort::Reading;
use crate::measure::outcome::{CoreUse, Opcodes};
use crate::measure::tally::Tally;
use crate::units::Nanos;
use crate::wire::decoder::FrameCounts;
use crate::wire::deflate::DeflateCounts;

/// What a worker had used when its trial was complete. What it does after that, while the line must stay
/// quiet, is neither work nor polling of the trial.
pub(super) struct Used {
    pub(super) read: Reading,
    enters: u64,
}

/// What was counted before the trial began, or before its measured part did.
pub(super) struct Before {
    pub(super) read: Reading,
    seen: u64,
    counters: Counters,
    ring: RingCounters,
    deflate: DeflateCounts,
}

impl<R: Ring, C: Clock, T: Transport> Worker<'_, R, C, T> {
    pub(super) fn used(&self, at: Nanos) -> Used {
        let enters = self.ring.counters().enters;
        let read = Reading { at, cpu: thread_cpu_time(), spun: self.counters.spun };
        Used { read, enters }
    }

    /// What is counted from here on is the trial's, or its warm-up's while it is `warming`.
    pub(super) fn before(&mut self, trial: &mut Running<C>, warming: bool) -> Before {
        self.counters.longest_turn = Nanos::ZERO;
        self.stamps.begin();
        let read = self.used(self.clock.now()).read;
        trial.intervals.spend_from(read, warming);
        Before {
            read,
            seen: trial.recorder.seen(),
            counters: self.counters,
            ring: self.ring.counters(),
            deflate: T::deflated(&self.shared),
        }
    }

    pub(super) fn tally(
        &mut self,
        mut trial: Running<C>,
        before: &Before,
        used: Used,
        opcodes: &FrameCounts,
    ) -> Tally {
        let (counters, ring) = (self.counters, self.ring.counters());
        let core = CoreUse {
            cpu: self.cpu(),
            sockets: self.connections.len() as u64,
            copies: trial.recorder.seen() - before.seen,
            cpu_time: used.read.cpu.since(before.read.cpu),
            spun: used.read.spun.since(before.read.spun),
            wall: used.read.at.since(before.read.at),
            cq_overflow: ring.cq_overflow - before.ring.cq_overflow,
            enobufs: counters.enobufs - before.counters.enobufs,
            short_sends: counters.short_sends - before.counters.short_sends,
            stale: counters.stale - before.counters.stale,
            enters: used.enters - before.ring.enters,
            reads: counters.reads - before.counters.reads,
            longest_turn: counters.longest_turn,
        };
        let start = trial.first_send.unwrap_or(before.read.at);
        self.trial_began = start;
        let rest = trial.intervals.rest(used.read, trial.pace.take_longest_lag());
        let (lag, warmup_lag) = trial.pace.into_lag();
        let (stamps, clock_was_set) = self.stamps.take();
        Tally {
            core,
            late: trial.late,
            lost: self.take_losses(start),
            opcodes: since(&self.opcodes, opcodes),
            deflate: T::deflated(&self.shared).since(&before.deflate),
            sent: trial.sent,
            sent_each: trial
                .senders
                .all
                .iter()
                .map(|sender| (sender.sender, sender.sent))
                .collect(),
            first_send: trial.first_send,
            last_send: trial.last_send,
            stamps,
            clock_was_set,
            lag,
            warmup_lag,
            rest,
            recorder: trial.recorder,
        }
    }
}

fn since(now: &FrameCounts, before: &FrameCounts) -> Opcodes {
    Opcodes {
        text: now.text - before.text,
        binary: now.binary - before.binary,
        continuation: now.continuation - before.continuation,
        ping: now.ping - before.ping,
        pong: now.pong - before.pong,
        close: now.close - before.close,
    }
}
