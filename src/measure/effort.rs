//! What a worker itself spent in a stretch of a trial, and how late it was in it.
//!
//! Belongs here: readings of what was spent, their differences and sums. Does not: when a worker reads
//! (`interval`), which CPU is named for it (`outcome`).

use crate::units::Nanos;

/// What a worker had spent by a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// When it was read.
    pub at: Nanos,
    /// CPU time of the worker's thread.
    pub cpu: Nanos,
    /// Part of it that polled and found nothing.
    pub spun: Nanos,
}

/// What a worker spent between two readings, and how late it was meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// CPU time.
    pub cpu: Nanos,
    /// Part of it that polled and found nothing.
    pub spun: Nanos,
    /// Time that passed.
    pub wall: Nanos,
    /// How late it turned to a due message at most; none where it turned to none.
    pub lag: Option<Nanos>,
}

impl Effort {
    /// CPU time that was work.
    pub fn work(&self) -> Nanos {
        self.cpu.since(self.spun)
    }

    /// Working time over wall time, 0 to 1; none where no time passed.
    pub fn busy(&self) -> Option<f64> {
        let share = || self.work().0 as f64 / self.wall.0 as f64;
        (self.wall > Nanos::ZERO).then(|| share().min(1.0))
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.cpu = self.cpu.plus(other.cpu);
        self.spun = self.spun.plus(other.spun);
        self.wall = self.wall.plus(other.wall);
        self.lag = self.lag.max(other.lag);
    }
}

/// In the warm-up, and in the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Efforts {
    /// While the warm-up ran. Its lag is that of messages which were due in it.
    pub warmup: Effort,
    /// After it.
    pub measured: Effort,
}

impl Efforts {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.warmup.add(&other.warmup);
        self.measured.add(&other.measured);
    }
}

/// The longest lag since it was asked for last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongestLag {
    /// Of messages due in the warm-up.
    pub warmup: Option<Nanos>,
    /// Of the others.
    pub measured: Option<Nanos>,
}

/// Keeps account of a worker's readings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    last: Option<Reading>,
    warming: bool,
    open: Efforts,
}

impl Meter {
    /// What is spent from here on is the trial's, or its warm-up's while it is `warming`.
    pub fn begin(&mut self, reading: Reading, warming: bool) {
        self.read(reading);
        self.warming = warming;
    }

    /// What was spent since the last reading is of the phase that has begun.
    pub fn read(&mut self, reading: Reading) {
        let Some(last) = self.last.replace(reading) else { return };
        let phase = if self.warming { &mut self.open.warmup } else { &mut self.open.measured };
        phase.add(&Effort {
            cpu: reading.cpu.since(last.cpu),
            spun: reading.spun.since(last.spun),
            wall: reading.at.since(last.at),
            lag: None,
        });
    }

    /// Messages were turned to as late as that.
    pub fn note(&mut self, lag: LongestLag) {
        self.open.warmup.lag = self.open.warmup.lag.max(lag.warmup);
        self.open.measured.lag = self.open.measured.lag.max(lag.measured);
    }

    /// All since it was taken last.
    pub fn take(&mut self) -> Efforts {
        std::mem::take(&mut self.open)
    }
}
