//! How late copies are stamped: a sample, against the kernel's own timestamps.
//!
//! Belongs here: which sockets are the sample, and the lateness of their reads. Does not: how the kernel
//! tells (`ring::rx_timestamps`).
//!
//! It stamps arrivals by the wall clock, which may be set; nothing else here is measured with it. Both
//! clocks are slewed together, so what lies between them changes only when one is set (or a leap second
//! is put in, or the host was suspended): where it has changed by the end of a trial, the sample of that
//! trial is not told. To read both clocks beside each sampled copy would cost 50 ns of the loop.
//!
//! The kernel has a copy before we look: it wakes us, reads other sockets first, and hands over a batch.
//! What lies between is in every latency, and no property of the cluster.

use crate::engine::ring::Slot;
use crate::host::clock::realtime_ahead;
use crate::measure::latencies::Latencies;
use crate::units::Nanos;

/// One of so many sockets is timed.
const ONE_OF: u32 = 16;
/// What lies between the clocks is read to a few hundred nanoseconds; a clock that was set by less than
/// this changes no figure that anybody would act on.
const SET_MIN: Nanos = Nanos::from_micros(5);
/// At most so many of a worker's: each costs a timestamp for each segment, and a dearer read.
const AT_MOST: u32 = 8;

/// The sample of one worker.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    late: Latencies,
    realtime_ahead: Nanos,
}

impl Stamps {
    /// Whether a socket is in the sample of a worker with so many: evenly spread, at least one.
    pub(super) fn samples(slot: Slot, sockets: u32) -> bool {
        let sampled = sockets.div_ceil(ONE_OF).min(AT_MOST);
        // The last of each of as many equal parts: push sockets come first and are left alone.
        let part = |slot: u32| u64::from(slot) * u64::from(sampled) / u64::from(sockets);
        part(slot) != part(slot + 1)
    }

    /// A read was stamped `at`; its last byte had `arrived` by `CLOCK_REALTIME`.
    #[inline]
    pub(super) fn note(&mut self, arrived: Nanos, at: Nanos) {
        self.late.record(at.since(arrived.since(self.realtime_ahead)));
    }

    /// Before the clock starts: forgets what was, and looks at the clocks.
    pub(super) fn begin(&mut self) {
        self.late.clear();
        self.realtime_ahead = realtime_ahead();
    }

    /// Lateness of all reads since then, `None` where nothing was timed; and whether the wall clock was
    /// set meanwhile, so that it cannot be told.
    pub(super) fn take(&self) -> (Option<Latencies>, bool) {
        self.take_at(realtime_ahead())
    }

    fn take_at(&self, realtime_ahead: Nanos) -> (Option<Latencies>, bool) {
        let was_set = self.realtime_ahead.0.abs_diff(realtime_ahead.0) >= SET_MIN.0;
        // Without a sample there is nothing to say of it.
        match self.late.is_empty() {
            true => (None, false),
            false if was_set => (None, true),
            false => (Some(self.late.clone()), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::worker::timestamp_lag::*;

    #[test]
    fn the_sample_is_one_socket_in_sixteen_and_at_most_eight() {
        for (sockets, expected) in
            [(1, 1), (6, 1), (16, 1), (17, 2), (64, 4), (1_000, 8), (200_000, 8)]
        {
            let sampled = (0..sockets).filter(|&slot| Stamps::samples(slot, sockets));
            assert_eq!(sampled.count(), expected, "{sockets} sockets");
            assert!(Stamps::samples(sockets - 1, sockets), "a receive socket, where there is one");
        }
    }

    #[test]
    fn lateness_is_counted_from_the_arrival_on_the_same_clock() {
        let mut stamps = Stamps { realtime_ahead: Nanos(1_000_000), ..Stamps::default() };
        let ahead = Nanos(1_000_000);
        assert!(stamps.take_at(ahead).0.is_none());
        stamps.note(Nanos(1_000_500), Nanos(720));
        let (late, was_set) = stamps.take_at(ahead);
        assert_eq!((late.and_then(|late| late.max()), was_set), (Some(Nanos(220)), false));
    }

    #[test]
    fn a_wall_clock_that_was_set_takes_the_sample_with_it_in_either_direction() {
        // Issue 11, A9: what lies between the clocks was read once, and a step shifted every sample.
        let ahead = Nanos::from_secs(1_000_000);
        let mut stamps = Stamps { realtime_ahead: ahead, ..Stamps::default() };
        let told = |stamps: &Stamps, ahead| {
            let (late, was_set) = stamps.take_at(ahead);
            (late.is_some(), was_set)
        };
        let later = ahead.plus(Nanos::from_secs(1));
        assert_eq!(told(&stamps, later), (false, false), "no sample");
        stamps.note(ahead.plus(Nanos(500)), Nanos(720));
        for by in [Nanos::from_micros(5), Nanos::from_secs(3_600)] {
            assert_eq!(told(&stamps, ahead.plus(by)), (false, true), "{by}");
            assert_eq!(told(&stamps, ahead.since(by)), (false, true), "{by}");
        }
        // As inexact as reading is.
        assert_eq!(told(&stamps, ahead.plus(Nanos(400))), (true, false));
        // This host's clocks, from one moment to the next.
        stamps.begin();
        stamps.note(stamps.realtime_ahead.plus(Nanos(1)), Nanos(2));
        assert!(matches!(stamps.take(), (Some(_), false)));
    }
}
