//! The one place that reads a clock. Everything else is handed `now`.
//!
//! Belongs here: the run's monotonic clock, the CPU time of a thread, the date of a run. Does not:
//! deadlines and schedules (`plan`).

use rustix::time::{ClockId, clock_gettime};

use crate::units::Nanos;

/// A source of instants. The worker is generic over it, so that fault tests run in simulated time.
pub trait Clock: Clone {
    /// The present instant.
    fn now(&self) -> Nanos;
}

/// `CLOCK_MONOTONIC`: the same for all threads and processes of one host, never set back.
/// A read costs about 23 ns in the vDSO, more than all our work on a copy; read it per batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic;

impl Clock for Monotonic {
    #[inline]
    fn now(&self) -> Nanos {
        read(ClockId::Monotonic)
    }
}

/// CPU time that the calling thread has used, user and system (`CLOCK_THREAD_CPUTIME_ID`).
/// This is a system call: for the start and the end of a trial, and once a second.
pub fn thread_cpu_time() -> Nanos {
    read(ClockId::ThreadCPUTime)
}

/// CPU time that all threads of this process have used, user and system.
/// This is a system call: for the start and the end of a trial only.
pub fn process_cpu_time() -> Nanos {
    read(ClockId::ProcessCPUTime)
}

/// Milliseconds since 1970 (`CLOCK_REALTIME`), to say when a run was: it may be set back, so nothing
/// is measured with it.
pub fn unix_ms() -> u64 {
    read(ClockId::Realtime).0 / 1_000_000
}

/// By how much `CLOCK_REALTIME` is ahead of `CLOCK_MONOTONIC`, to a few hundred nanoseconds: the kernel
/// stamps arrivals with the former. It holds until one of them is set: both are slewed together.
pub fn realtime_ahead() -> Nanos {
    // Between two reads of the one clock lies the other's; the closest pair says it best.
    let pair = |_| {
        let (before, real, after) = (Monotonic.now(), read(ClockId::Realtime), Monotonic.now());
        (after.since(before), real.since(Nanos(before.0.midpoint(after.0))))
    };
    (0..8).map(pair).min_by_key(|(width, _)| *width).map_or(Nanos::ZERO, |(_, ahead)| ahead)
}

/// Year, month from 0 and day of a day since 1970.
pub fn civil(days: u64) -> (u64, usize, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    (year, month, day + 1)
}

#[inline]
fn read(clock: ClockId) -> Nanos {
    let t = clock_gettime(clock);
    Nanos(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}
