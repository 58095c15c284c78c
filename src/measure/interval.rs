//! The worker's side of the interval series: where intervals end, and how what was recorded in one
//! leaves the worker while the clock runs.
//!
//! Belongs here: deciding the boundary from a time that was read anyway, and the exchange. Does not:
//! adding up what several workers hand over (`series`).
//!
//! A worker records into one set of histograms. When an interval ends it exchanges that set for an
//! empty one, both laid out before the clock: two pointers move through bounded channels, nobody
//! waits, nothing is allocated. Where no empty one has come back in time the worker goes on with the
//! set that it has, and the interval becomes part of the next one: late, never lost.
//!
//! What is recorded late belongs to the interval in which it is recorded: copies that waited for
//! their id count when it is learned, with the latency of their own, earlier arrival.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use super::effort::{Efforts, LongestLag, Meter, Reading};
use super::recorder::{Counts, Records};
use crate::units::Nanos;

/// Sets of a worker: the one that it records into, and one on the way.
const SETS: usize = 2;

/// Where intervals begin and end: at even distances from the start, and anew from the end of the
/// warm-up, so that no interval holds both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// When the trial begins.
    pub start: Nanos,
    /// When the warm-up ends: `start` where there is none.
    pub measured_from: Nanos,
    /// How long an interval is; not 0.
    pub length: Nanos,
}

impl Grid {
    /// The first boundary after `at`.
    pub fn after(&self, at: Nanos) -> Nanos {
        let next = self.at_or_before(at).plus(self.length);
        if at < self.measured_from { next.min(self.measured_from) } else { next }
    }

    /// The last boundary at or before `at`; the start where there is none.
    pub fn at_or_before(&self, at: Nanos) -> Nanos {
        let origin = if at < self.measured_from { self.start } else { self.measured_from };
        let passed = at.since(origin).0 / self.length.0 * self.length.0;
        origin.plus(Nanos(passed))
    }
}

/// Messages that the kernel took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Of the warm-up.
    pub warmup: u64,
    /// Of the rest.
    pub measured: u64,
}

impl Sent {
    /// Both.
    pub const fn all(self) -> u64 {
        self.warmup + self.measured
    }

    /// Adds another's.
    pub const fn add(&mut self, other: Self) {
        self.warmup += other.warmup;
        self.measured += other.measured;
    }
}

/// What a worker had come to when it handed over, since the trial began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Where copies went.
    pub counts: Counts,
    /// The longest lag behind the schedule, of messages that are measured; none without such.
    pub lag: Option<Nanos>,
}

impl Counted {
    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { counts: self.counts.with(other.counts), lag: self.lag.max(other.lag) }
    }
}

/// What a worker says when it hands over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// What it had come to.
    pub counted: Counted,
    /// What it had spent.
    pub reading: Reading,
    /// The longest lag since it handed over last.
    pub lag: LongestLag,
}

/// What one worker recorded between two boundaries.
#[derive(Debug)]
pub struct IntervalRecords {
    /// Where it begins.
    pub from: Nanos,
    /// Where it ends: nothing in it came at that time or later.
    pub until: Nanos,
    /// Messages sent meanwhile.
    pub sent: Sent,
    /// Copies that came meanwhile.
    pub records: Records,
    /// What came of all until it was handed over.
    pub counted: Counted,
    /// What the worker spent meanwhile. A turn that began before the end is in here as far as it went.
    pub efforts: Efforts,
}

/// What a worker hands full sets to, and gets empty ones from.
#[derive(Debug)]
pub struct IntervalSink {
    full: SyncSender<Box<IntervalRecords>>,
    spare: Receiver<Box<IntervalRecords>>,
    length: Nanos,
}

/// The other end of a [`IntervalSink`].
#[derive(Debug)]
pub struct IntervalSource {
    full: Receiver<Box<IntervalRecords>>,
    spare: SyncSender<Box<IntervalRecords>>,
}

/// A port for intervals of `length` and its other end, with `empty` as the set on the way.
pub fn link(length: Nanos, empty: Records) -> (IntervalSink, IntervalSource) {
    let (full, parts) = sync_channel(SETS);
    let (back, spare) = sync_channel(SETS);
    let zero = Nanos::ZERO;
    let (sent, counted, efforts) = (Sent::default(), Counted::default(), Efforts::default());
    let part = IntervalRecords { from: zero, until: zero, sent, records: empty, counted, efforts };
    back.try_send(Box::new(part)).expect("an empty channel has room");
    (IntervalSink { full, spare, length }, IntervalSource { full: parts, spare: back })
}

impl IntervalSource {
    /// The next part that the worker handed over.
    pub fn take(&self) -> Option<Box<IntervalRecords>> {
        self.full.try_recv().ok()
    }

    /// Gives a part back, empty.
    pub fn give_back(&self, mut part: Box<IntervalRecords>) {
        part.records.clear();
        // A worker that is gone needs none.
        let _ = self.spare.try_send(part);
    }
}

/// Where a worker is in the series.
#[derive(Debug)]
pub struct Intervals {
    port: Option<IntervalSink>,
    grid: Grid,
    began: Nanos,
    /// Never, where nobody collects.
    ends: Nanos,
    sent: Sent,
    meter: Meter,
    /// The longest latency of what was handed over.
    slowest: Nanos,
}

/// What was not handed over when the trial ended, besides the records themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Since when.
    pub began: Nanos,
    /// Messages sent since then.
    pub sent: Sent,
    /// What the worker spent since then.
    pub efforts: Efforts,
}

impl Intervals {
    /// Without a port the whole trial is one interval.
    pub fn new(port: Option<IntervalSink>) -> Self {
        let zero = Nanos::ZERO;
        Self {
            port,
            grid: Grid::default(),
            began: zero,
            ends: Nanos::MAX,
            sent: Sent::default(),
            meter: Meter::default(),
            slowest: zero,
        }
    }

    /// The trial begins.
    pub fn begin(&mut self, start: Nanos, measured_from: Nanos) {
        self.began = start;
        if let Some(port) = &self.port {
            self.grid = Grid { start, measured_from, length: port.length };
            self.ends = self.grid.after(start);
        }
    }

    /// What the worker had spent when its trial, or what of it is measured, began for it.
    pub fn spend_from(&mut self, reading: Reading, warming: bool) {
        self.meter.begin(reading, warming);
    }

    /// It is `now`: what is recorded from here on belongs to the interval that holds it. `told` is asked
    /// where one is over.
    #[inline]
    pub fn advance(&mut self, now: Nanos, records: &mut Records, told: impl FnOnce() -> Told) {
        if now >= self.ends {
            self.exchange(now, records, told);
        }
    }

    #[cold]
    #[inline(never)]
    fn exchange(&mut self, now: Nanos, records: &mut Records, told: impl FnOnce() -> Told) {
        let over = std::mem::replace(&mut self.ends, self.grid.after(now));
        let Some(port) = &self.port else { return };
        let mut part = match port.spare.try_recv() {
            Ok(part) => part,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
        };
        self.slowest = self.slowest.max(records.slowest());
        std::mem::swap(&mut part.records, records);
        (part.from, part.until) = (self.began, over);
        part.sent = std::mem::take(&mut self.sent);
        let Told { counted, reading, lag } = told();
        self.meter.read(reading);
        self.meter.note(lag);
        (part.counted, part.efforts) = (counted, self.meter.take());
        self.began = self.grid.at_or_before(now);
        match port.full.try_send(part) {
            // Nobody is there to collect: the run is being given up.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => unreachable!("there is room for every set"),
        }
    }

    /// Messages were sent in this interval.
    pub const fn note_sent(&mut self, sent: Sent) {
        self.sent.add(sent);
    }

    /// The longest latency of the trial, with `records` as what was not handed over.
    pub fn slowest(&self, records: &Records) -> Nanos {
        self.slowest.max(records.slowest())
    }

    /// The trial is over, and this was spent in all of it.
    pub fn rest(&mut self, reading: Reading, lag: LongestLag) -> Rest {
        self.meter.read(reading);
        self.meter.note(lag);
        Rest { began: self.began, sent: self.sent, efforts: self.meter.take() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> Records {
        Records::new(1, false, false)
    }

    proptest! {
        #[test]
        fn boundaries_are_even_from_the_start_and_anew_from_the_end_of_the_warm_up(
            start in 0_u64..1_000,
            warmup in 0_u64..100,
            length in 1_u64..40,
        ) {
            let (start, length) = (Nanos(start), Nanos(length));
            let measured_from = start.plus(Nanos(warmup));
            let grid = Grid { start, measured_from, length };
            let warm = (start.0..measured_from.0).step_by(length.0 as usize);
            let naive: Vec<u64> =
                warm.chain((measured_from.0..).step_by(length.0 as usize)).take(200).collect();
            for at in start.0..start.0 + 150 {
                let before = naive.iter().rev().find(|&&boundary| boundary <= at).unwrap();
                let after = naive.iter().find(|&&boundary| boundary > at).unwrap();
                prop_assert_eq!(grid.at_or_before(Nanos(at)), Nanos(*before));
                prop_assert_eq!(grid.after(Nanos(at)), Nanos(*after));
            }
        }
    }

    #[test]
    fn an_interval_that_nobody_fetched_becomes_part_of_the_next() {
        let (port, link) = link(Nanos(10), records());
        let mut intervals = Intervals::new(Some(port));
        let mut recorded = records();
        intervals.begin(Nanos(100), Nanos(100));
        let mut record = |intervals: &mut Intervals, at: u64| {
            intervals.advance(Nanos(at), &mut recorded, Told::default);
            recorded.measured.headline[0].record(Nanos(at));
            intervals.note_sent(Sent { warmup: 0, measured: 1 });
        };
        for at in [101, 109, 110, 125, 138] {
            record(&mut intervals, at);
        }
        let spans =
            |part: &IntervalRecords| (part.from.0, part.until.0, part.records.count(), part.sent);
        let sent = |measured| Sent { warmup: 0, measured };
        let first = link.take().unwrap();
        assert_eq!(spans(&first), (100, 110, 2, sent(2)));
        assert!(link.take().is_none(), "there was no empty set for the second");
        link.give_back(first);
        record(&mut intervals, 140);
        let second = link.take().unwrap();
        assert_eq!(spans(&second), (110, 140, 3, sent(3)));
        let rest = intervals.rest(Reading::default(), LongestLag::default());
        assert_eq!((rest.began, rest.sent), (Nanos(140), sent(1)));
    }

    #[test]
    fn without_a_port_a_trial_is_one_interval() {
        let (mut intervals, mut recorded) = (Intervals::new(None), records());
        intervals.begin(Nanos(5), Nanos(5));
        recorded.measured.headline[0].record(Nanos(7));
        intervals.advance(Nanos(1 << 60), &mut recorded, Told::default);
        let rest = intervals.rest(Reading::default(), LongestLag::default());
        assert_eq!((recorded.count(), rest.began), (1, Nanos(5)));
    }
}
