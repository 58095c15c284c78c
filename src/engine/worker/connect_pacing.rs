//! When which socket may be begun: how many connects are under way, and how fast they follow.
//!
//! Belongs here: counting, which nodes are not worth waiting for, and the pace of `--connect-rate`, as
//! pure functions of time. Does not: connecting (`connect`).

use std::collections::VecDeque;

use crate::engine::ring::Slot;
use crate::measure::connecting::ConnectRecord;
use crate::units::{Nanos, Rate};

/// Connects under way at once over all workers: enough to fill the path, few enough for a listen
/// queue of 4096.
const UNDER_WAY: usize = 2_048;
/// On one worker: more would only wait for each other.
const UNDER_WAY_EACH: usize = 256;
const UNDER_WAY_LEAST: usize = 16;

/// Connects that one of so many workers has under way at once, at most.
pub fn under_way_max(workers: usize) -> usize {
    (UNDER_WAY / workers).clamp(UNDER_WAY_LEAST, UNDER_WAY_EACH)
}

/// What was missed for longer than this, because too many were under way, is not made up for: the
/// rate is a bound, and a node that has just recovered is not to be met with a flood.
const SLACK: Nanos = Nanos::from_millis(10);

/// A node that has let this many sockets one after another run into --connect-timeout and has not taken a single
/// one is not waited for any more: a black hole must not hold up the sockets of the others.
pub(super) const BLACK_HOLE: u32 = 64;

/// Nanoseconds over millionths of an event a second.
const NS_PER_MICRO_EVENT: u128 = 1_000_000_000_000_000;

/// Which of how many workers one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerShard {
    /// Counted from 0.
    pub index: usize,
    /// At least 1.
    pub of: usize,
}

impl WorkerShard {
    /// The only one.
    pub const ALONE: Self = Self { index: 0, of: 1 };
}

/// What a worker knows of connecting.
#[derive(Debug)]
pub(super) struct ConnectTurn {
    pub(super) lane: WorkerShard,
    /// Sockets that are ready or given up.
    pub(super) settled: u64,
    pub(super) dialled: ConnectRecord,
    nodes: Vec<NodeRecord>,
}

/// How a node has answered so far.
#[derive(Clone, Copy, Debug, Default)]
struct NodeRecord {
    has_opened: bool,
    timeouts: u32,
}

impl ConnectTurn {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            lane: WorkerShard::ALONE,
            settled: 0,
            nodes: vec![NodeRecord::default(); nodes],
            dialled: ConnectRecord::default(),
        }
    }

    /// A socket is ready, or given up.
    pub(super) fn settle(&mut self, at: Nanos) {
        self.settled += 1;
        self.dialled.settled_at = at;
    }

    /// A socket to `node` is open.
    pub(super) fn note_open(&mut self, node: u32, at: Nanos) {
        self.settle(at);
        self.nodes[node as usize].has_opened = true;
    }

    /// A socket to `node` has waited in vain.
    pub(super) fn note_timeout(&mut self, node: u32) {
        self.nodes[node as usize].timeouts += 1;
    }

    pub(super) fn is_black_hole(&self, node: u32) -> bool {
        let record = self.nodes[node as usize];
        !record.has_opened && record.timeouts >= BLACK_HOLE
    }
}

/// Where a worker is in beginning its sockets.
pub(super) struct Ramp {
    /// The next socket to begin, and the end of all.
    next: Slot,
    end: Slot,
    under_way_max: usize,
    /// Begun and perhaps not settled, oldest first.
    begun: VecDeque<Slot>,
    rate: Option<Rate>,
    lane: WorkerShard,
    start: Nanos,
}

impl Ramp {
    pub(super) fn new(sockets: usize, rate: Option<Rate>, lane: WorkerShard, start: Nanos) -> Self {
        let under_way_max = under_way_max(lane.of);
        let begun = VecDeque::with_capacity(sockets.min(under_way_max));
        Self { next: 0, end: sockets as Slot, under_way_max, begun, rate, lane, start }
    }

    /// Takes the next socket that may be begun now, when `settled` of those before are.
    pub(super) fn take(&mut self, settled: u64, now: Nanos) -> Option<Slot> {
        let under_way = u64::from(self.next) - settled;
        if self.next == self.end || under_way >= self.under_way_max as u64 {
            return None;
        }
        let due = self.due()?;
        if now < due {
            return None;
        }
        let late = now.since(due);
        self.start = self.start.plus(late.since(SLACK));
        let slot = self.next;
        self.next += 1;
        self.begun.push_back(slot);
        Some(slot)
    }

    /// How long until the next one is due; [`Nanos::MAX`] when it waits for something else than time.
    pub(super) fn until_next(&self, now: Nanos) -> Nanos {
        match self.due() {
            Some(due) if self.next < self.end && due > now => due.since(now),
            Some(_) | None => Nanos::MAX,
        }
    }

    fn due(&self) -> Option<Nanos> {
        let Some(rate) = self.rate else { return Some(self.start) };
        let turn = u128::from(self.next) * self.lane.of as u128 + self.lane.index as u128;
        let offset = turn * NS_PER_MICRO_EVENT / u128::from(rate.micro_per_s.max(1));
        Some(self.start.plus(Nanos(u64::try_from(offset).ok()?)))
    }

    /// The oldest socket that was begun, for as long as `settled` says so of it: those are forgotten.
    pub(super) fn oldest(&mut self, settled: impl Fn(Slot) -> bool) -> Option<Slot> {
        while let Some(&slot) = self.begun.front() {
            if !settled(slot) {
                return Some(slot);
            }
            self.begun.pop_front();
        }
        None
    }

    /// Whether every socket was begun and is settled.
    pub(super) fn is_over(&self, settled: u64) -> bool {
        self.next == self.end && settled == u64::from(self.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::engine::worker::connect_pacing::*;

    proptest! {
        /// Whatever the kernel does, no second holds more connects than the rate allows, and all begin.
        #[test]
        fn the_rate_is_a_bound_over_all_workers(
            per_s in 1_u64..50_000,
            workers in 1_usize..5,
            steps in prop::collection::vec((0_u64..30_000_000, any::<bool>()), 1..200),
        ) {
            let rate = Rate { micro_per_s: per_s * 1_000_000 };
            let lane = |index| WorkerShard { index, of: workers };
            let mut ramps: Vec<_> =
                (0..workers).map(|index| Ramp::new(10_000, Some(rate), lane(index), Nanos(5))).collect();
            let (mut settled, mut now, mut begun) = (vec![0; workers], Nanos(5), Vec::new());
            for (step, settles) in steps {
                now = now.plus(Nanos(step));
                for (ramp, settled) in ramps.iter_mut().zip(&mut settled) {
                    while ramp.take(*settled, now).is_some() {
                        begun.push(now);
                    }
                    if settles {
                        *settled = ramp.next.into();
                    }
                }
            }
            let mut end = 0;
            for (place, &from) in begun.iter().enumerate() {
                while begun.get(end).is_some_and(|at| at.since(from) < Nanos::from_secs(1)) {
                    end += 1;
                }
                // One more at each end, for each worker, and what 10 ms of lateness may make up for.
                let most = per_s + per_s / 100 + 2 * workers as u64;
                prop_assert!((end - place) as u64 <= most, "{} in a second", end - place);
            }
        }
    }

    #[test]
    fn without_a_rate_as_many_are_under_way_as_may_be_and_all_are_begun() {
        let mut ramp = Ramp::new(1_000, None, WorkerShard::ALONE, Nanos(7));
        let mut begun = 0;
        let mut settled = 0;
        while !ramp.is_over(settled) {
            while let Some(slot) = ramp.take(settled, Nanos(7)) {
                assert_eq!(slot, begun);
                begun += 1;
            }
            assert_eq!(u64::from(begun), (settled + UNDER_WAY_EACH as u64).min(1_000));
            settled += 1;
        }
        assert_eq!(begun, 1_000);
    }

    #[test]
    fn a_node_that_never_answers_is_a_black_hole_and_one_that_has_answered_is_not() {
        let mut dial = ConnectTurn::new(2);
        dial.note_open(1, Nanos(9));
        for _ in 0..BLACK_HOLE {
            assert!(!dial.is_black_hole(0));
            (0..2).for_each(|node| dial.note_timeout(node));
        }
        assert_eq!([0, 1].map(|node| dial.is_black_hole(node)), [true, false]);
        assert_eq!((dial.settled, dial.dialled.settled_at), (1, Nanos(9)));
    }

    #[test]
    fn the_oldest_that_is_not_settled_is_looked_at_first() {
        let mut ramp = Ramp::new(10, None, WorkerShard::ALONE, Nanos::ZERO);
        while ramp.take(0, Nanos::ZERO).is_some() {}
        assert_eq!(ramp.oldest(|slot| slot < 3), Some(3));
        assert_eq!(ramp.oldest(|slot| slot != 7), Some(7));
        assert_eq!(ramp.oldest(|_| true), None);
    }

    #[test]
    fn the_next_connect_is_waited_for_no_longer_than_it_takes() {
        let rate = Some(Rate { micro_per_s: 1_000_000_000 });
        let mut ramp = Ramp::new(3, rate, WorkerShard { index: 1, of: 2 }, Nanos(100));
        assert_eq!(ramp.until_next(Nanos(100)), Nanos::from_millis(1));
        assert_eq!(ramp.take(0, Nanos(100)), None);
        assert_eq!(ramp.take(0, Nanos(1_000_100)), Some(0));
        assert_eq!(ramp.until_next(Nanos(1_000_100)), Nanos::from_millis(2));
    }
}
