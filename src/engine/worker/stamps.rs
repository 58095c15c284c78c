//! How late copies are stamped: a sample, against the kernel's own timestamps.
//!
//! Belongs here: which sockets are the sample, and the lateness of their reads. Does not: how the kernel
//! tells (`ring::arrival`).
//!
//! The kernel has a copy before we look: it wakes us, reads other sockets first, and hands over a batch.
//! What lies between is in every latency, and no property of the cluster.

use crate::engine::ring::Slot;
use crate::host::clock::realtime_ahead;
use crate::measure::latencies::Latencies;
use crate::units::Nanos;

/// One of so many sockets is timed.
const ONE_OF: u32 = 16;
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

    /// Lateness of all reads since then; `None` where nothing was timed.
    pub(super) fn take(&self) -> Option<Latencies> {
        (!self.late.is_empty()).then(|| self.late.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(stamps.take().is_none());
        stamps.note(Nanos(1_000_500), Nanos(720));
        assert_eq!(stamps.take().and_then(|late| late.max()), Some(Nanos(220)));
    }
}
