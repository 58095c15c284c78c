//! The series: a trial interval by interval, as all workers together saw it.
//!
//! Belongs here: adding up the parts that workers hand over while the clock runs, and closing an
//! interval when every worker is past it. Does not: when a worker hands over (`interval`), words for
//! it (`report`).
//!
//! The parts are all that was recorded, so their sum over the trial *is* the trial's latency: nothing is
//! recorded twice, and [`Collector::finish`] gives both.

use std::sync::Arc;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};

use super::interval::{
    Counted, Grid, IntervalRecords, IntervalSink, IntervalSource, Rest, Sent, link,
};
use super::latencies::Latencies;
use super::outcome::{Class, Interval, Track};
use super::percentile::Percentile;
use super::recorder::{Copies, Records};
use crate::load::schedule::Schedule;
use crate::load::trial::Trial;
use crate::plan::Plan;
use crate::population::audience::Audience;
use crate::units::Nanos;

/// How long an interval is.
pub const INTERVAL: Nanos = Nanos::from_secs(1);

/// Takes what workers hand over and makes intervals of it.
#[derive(Debug)]
pub struct Collector {
    grid: Grid,
    owed: Owed,
    /// With the time up to which each worker has handed over.
    links: Vec<(IntervalSource, Nanos)>,
    /// What each worker had counted by then.
    counted: Vec<Counted>,
    /// Not closed yet, in no order.
    open: Vec<Open>,
    /// Empty records, to be used again.
    pool: Vec<Records>,
    closed_until: Nanos,
    copies: Sent,
    sent: Sent,
    totals: Records,
    /// The sum over nodes.
    scratch: Latencies,
    keeps: bool,
    headline: Class,
    intervals: Vec<Interval>,
}

/// An interval that not every worker has handed over.
#[derive(Debug)]
struct Open {
    from: Nanos,
    until: Nanos,
    sent: Sent,
    records: Records,
}

/// What must have come by a time.
#[derive(Clone, Debug)]
struct Owed {
    schedule: Option<Arc<Schedule>>,
    warmup: Nanos,
    /// Of the sockets that are there.
    audience: Audience,
}

/// A trial's series, and what its intervals add up to.
#[derive(Debug)]
pub struct Series {
    /// In order of time.
    pub intervals: Vec<Interval>,
    /// Everything that was recorded.
    pub totals: Records,
}

impl Collector {
    /// A collector for a trial of `plan`, and the port of each of its workers.
    pub fn new(
        plan: &Plan,
        trial: &Trial,
        schedule: Option<Arc<Schedule>>,
        workers: usize,
    ) -> (Self, Vec<IntervalSink>) {
        Self::with_intervals(INTERVAL, plan, trial, schedule, workers)
    }

    /// The same where more nodes are told apart than the plan has.
    pub fn with_places(
        places: usize,
        plan: &Plan,
        trial: &Trial,
        schedule: Option<Arc<Schedule>>,
        workers: usize,
    ) -> (Self, Vec<IntervalSink>) {
        Self::laid_out((INTERVAL, places), plan, trial, schedule, workers)
    }

    /// The same with intervals of another length.
    pub fn with_intervals(
        length: Nanos,
        plan: &Plan,
        trial: &Trial,
        schedule: Option<Arc<Schedule>>,
        workers: usize,
    ) -> (Self, Vec<IntervalSink>) {
        Self::laid_out((length, plan.nodes.len()), plan, trial, schedule, workers)
    }

    fn laid_out(
        (length, places): (Nanos, usize),
        plan: &Plan,
        trial: &Trial,
        schedule: Option<Arc<Schedule>>,
        workers: usize,
    ) -> (Self, Vec<IntervalSink>) {
        let on_schedule = schedule.is_some();
        let warmup = if on_schedule { trial.warmup } else { Nanos::ZERO };
        let empty = || Records::new(places, on_schedule, warmup > Nanos::ZERO);
        let (ports, links): (Vec<_>, Vec<_>) = (0..workers).map(|_| link(length, empty())).unzip();
        let collector = Self {
            grid: Grid { length, ..Grid::default() },
            owed: Owed { schedule, warmup, audience: plan.audience.clone() },
            links: links.into_iter().map(|link| (link, Nanos::ZERO)).collect(),
            counted: vec![Counted::default(); workers],
            open: Vec::new(),
            pool: Vec::new(),
            closed_until: Nanos::ZERO,
            copies: Sent::default(),
            sent: Sent::default(),
            totals: empty(),
            scratch: Latencies::new(),
            keeps: plan.keep_intervals,
            headline: if on_schedule { Class::Response } else { Class::Service },
            intervals: Vec::new(),
        };
        (collector, ports)
    }

    /// The same where some sockets were never connected: they are owed nothing.
    #[must_use]
    pub fn of(mut self, audience: Audience) -> Self {
        self.owed.audience = audience;
        self
    }

    /// The trial begins at `start`.
    pub fn begin(&mut self, start: Nanos) {
        self.grid.start = start;
        self.grid.measured_from = start.plus(self.owed.warmup);
        self.closed_until = start;
        self.links.iter_mut().for_each(|(_, until)| *until = start);
    }

    /// When the trial began.
    pub fn start(&self) -> Nanos {
        self.grid.start
    }

    /// When the warm-up ends: the start, where there is none.
    pub fn measured_from(&self) -> Nanos {
        self.grid.measured_from
    }

    /// Takes what was handed over; the intervals that are complete with it, all that was recorded
    /// until now, and what it was counted as.
    pub fn collect(&mut self) -> (&[Interval], &Records, Counted) {
        let known = self.intervals.len();
        for worker in 0..self.links.len() {
            while let Some(part) = self.links[worker].0.take() {
                self.links[worker].1 = part.until;
                self.counted[worker] = part.counted;
                self.add(&part);
                self.links[worker].0.give_back(part);
            }
        }
        if let Some(until) = self.links.iter().map(|(_, until)| *until).min() {
            self.close(until);
        }
        let counted = self.counted.iter().copied().reduce(Counted::with).unwrap_or_default();
        (&self.intervals[known..], &self.totals, counted)
    }

    /// The trial is over: the rest of each worker's records belongs to the last interval, which ends
    /// with the last thing that happened, at `end`.
    pub fn finish<'a>(
        mut self,
        rests: impl Iterator<Item = (&'a Records, Rest)>,
        end: Nanos,
    ) -> Series {
        self.collect();
        for (records, Rest { began, sent }) in rests {
            if records.count() + records.misdelivered + sent.all() > 0 {
                let until = end.max(began).max(self.closed_until);
                self.join(began.max(self.closed_until), until, sent, records);
            }
        }
        self.close(Nanos::MAX);
        Series { intervals: self.intervals, totals: self.totals }
    }

    fn add(&mut self, part: &IntervalRecords) {
        self.join(part.from, part.until, part.sent, &part.records);
    }

    /// Adds to the interval that it belongs to. Where a worker could not hand over in time its part
    /// is longer than others': the intervals that it touches become one.
    fn join(&mut self, from: Nanos, until: Nanos, sent: Sent, records: &Records) {
        self.totals.add(records);
        let touched = |open: &mut Open| open.from < until && from < open.until;
        let mut touched: Vec<_> = self.open.extract_if(.., touched).collect();
        let mut sum = touched.pop().unwrap_or_else(|| self.blank(from, until));
        for other in touched {
            sum.add(other.from, other.until, other.sent, &other.records);
            self.put_away(other.records);
        }
        sum.add(from, until, sent, records);
        self.open.push(sum);
    }

    fn blank(&mut self, from: Nanos, until: Nanos) -> Open {
        let Records { measured, warmup, .. } = &self.totals;
        let new =
            || Records::new(measured.headline.len(), measured.service.is_some(), warmup.is_some());
        Open { from, until, sent: Sent::default(), records: self.pool.pop().unwrap_or_else(new) }
    }

    fn put_away(&mut self, mut records: Records) {
        records.clear();
        self.pool.push(records);
    }

    /// Closes what ends at `until` or before it.
    fn close(&mut self, until: Nanos) {
        let mut over: Vec<_> = self.open.extract_if(.., |open| open.until <= until).collect();
        over.sort_by_key(|open| open.from);
        for open in over {
            // Nothing happened on any worker between the last interval and this one.
            while self.closed_until < open.from {
                let end = self.grid.after(self.closed_until).min(open.from);
                let blank = self.blank(self.closed_until, end);
                self.publish(blank);
            }
            self.publish(open);
        }
    }

    /// Makes trials of an interval: one for the warm-up, one for the rest, each where it has a part in
    /// it.
    fn publish(&mut self, open: Open) {
        let Open { from, until, sent, records } = open;
        let measured_from = self.grid.measured_from;
        self.closed_until = until;
        self.sent.add(sent);
        self.copies.measured += records.measured.count();
        self.copies.warmup += records.warmup.as_ref().map_or(0, Copies::count);
        let first = self.intervals.len();
        if let Some(copies) = &records.warmup
            && (from < measured_from || copies.count() + sent.warmup > 0)
        {
            self.row((from, until), true, sent.warmup, copies);
        }
        let measured = records.measured.count() + sent.measured + records.misdelivered;
        if until > measured_from || measured > 0 {
            self.row((from, until), false, sent.measured, &records.measured);
        }
        // Which half of the interval they were due in is not asked.
        if let Some(row) = self.intervals[first..].last_mut() {
            row.misdelivered = records.misdelivered;
        }
        self.put_away(records);
    }

    fn row(&mut self, (from, until): (Nanos, Nanos), warmup: bool, sent: u64, copies: &Copies) {
        self.scratch.clear();
        copies.headline.iter().for_each(|node| self.scratch.add(node));
        let ns = &self.scratch;
        let of = |all: Sent| if warmup { all.warmup } else { all.measured };
        let due = of(self.owed.copies(until.since(self.grid.start), self.sent));
        self.intervals.push(Interval {
            start: from.since(self.grid.start),
            length: until.since(from),
            warmup,
            sent,
            copies: copies.count(),
            misdelivered: 0,
            missing_so_far: due.saturating_sub(of(self.copies)),
            p50: Percentile::P50.of(ns),
            p99: Percentile::P99.of(ns),
            max: ns.max(),
            bands: ns.bands(),
            tracks: if self.keeps { tracks(self.headline, copies) } else { Vec::new() },
        });
    }
}

impl Open {
    fn add(&mut self, from: Nanos, until: Nanos, sent: Sent, records: &Records) {
        self.from = self.from.min(from);
        self.until = self.until.max(until);
        self.sent.add(sent);
        self.records.add(records);
    }
}

impl Owed {
    /// Messages that were due before `elapsed`; without a schedule each is due when it is sent.
    fn messages(&self, elapsed: Nanos, sent: Sent) -> Sent {
        let Some(schedule) = &self.schedule else { return sent };
        let warm = schedule.due_before(self.warmup.min(elapsed));
        Sent { warmup: warm, measured: schedule.due_before(elapsed) - warm }
    }

    /// Copies of these messages.
    fn copies(&self, elapsed: Nanos, sent: Sent) -> Sent {
        let Sent { warmup, measured } = self.messages(elapsed, sent);
        let of_warmup = self.audience.expected(warmup);
        let all = self.audience.expected(warmup + measured);
        Sent { warmup: of_warmup, measured: all - of_warmup }
    }
}

/// The histograms of an interval that hold anything.
fn tracks(headline: Class, copies: &Copies) -> Vec<Track> {
    let nodes = copies.headline.iter().enumerate();
    let nodes = nodes.map(|(node, ns)| (headline, Some(node), ns));
    let service = copies.service.iter().map(|ns| (Class::Service, None, ns));
    let held = nodes.chain(service).filter(|(_, _, ns)| !ns.is_empty());
    held.map(|(class, to, ns)| track(class, to, &ns.histogram())).collect()
}

/// A histogram as it is kept: a few kilobytes in place of a few hundred.
pub fn track(class: Class, to: Option<usize>, ns: &Histogram<u64>) -> Track {
    let mut v2 = Vec::new();
    V2Serializer::new().serialize(ns, &mut v2).expect("memory takes every histogram");
    Track { class, to, v2: v2.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::interval::Intervals;
    use super::*;
    use crate::load::inter_arrival::InterArrival;
    use crate::load::profile::FixedRate;
    use crate::plan::fixture;
    use crate::units::Rate;

    const START: Nanos = Nanos(1_000);
    const WARMUP: Nanos = Nanos(250);
    const LENGTH: Nanos = Nanos(100);
    const END: u64 = 1_500;

    fn warming_plan() -> Plan {
        let rate = Rate::per_second(1e9);
        let profile = FixedRate { rate, arrivals: InterArrival::Constant };
        fixture::plan(&[1, 2], |spec| spec.trials = vec![Trial::new(profile, 10_000, WARMUP)])
    }

    /// A copy of a message that was due at `due`, of one of two nodes, came to a worker at `at`.
    #[derive(Clone, Copy, Debug)]
    struct Event {
        at: u64,
        worker: usize,
        node: usize,
        warmup: bool,
    }

    /// Events in order of time; how much time passes until each, and whether the collector looks.
    fn events() -> impl Strategy<Value = Vec<(Event, bool)>> {
        let one = (0_u64..60, 0_usize..3, 0_usize..2, 0_u64..100, any::<bool>());
        prop::collection::vec(one, 0..150).prop_map(|steps| {
            let mut at = 0;
            let event = |(passes, worker, node, took, looks): (u64, usize, usize, u64, bool)| {
                at += passes;
                let warmup = at.saturating_sub(took) < WARMUP.0;
                (Event { at, worker, node, warmup }, looks)
            };
            let events: Vec<_> = steps.into_iter().map(event).collect();
            events.into_iter().filter(|(event, _)| event.at < END).collect()
        })
    }

    /// What three workers record of the events, through their ports.
    fn collected(events: &[(Event, bool)]) -> Series {
        let plan = warming_plan();
        let trial = &plan.trials[0];
        let schedule = trial.schedule();
        let (mut collector, ports) = Collector::with_intervals(LENGTH, &plan, trial, schedule, 3);
        collector.begin(START);
        let mut workers: Vec<_> = ports
            .into_iter()
            .map(|port| (Intervals::new(Some(port)), Records::new(2, true, true)))
            .collect();
        for (intervals, _) in &mut workers {
            intervals.begin(START, START.plus(WARMUP));
        }
        for (event, looks) in events {
            let (intervals, records) = &mut workers[event.worker];
            intervals.advance(START.plus(Nanos(event.at)), records, Counted::default);
            let (copies, sent) = match (&mut records.warmup, event.warmup) {
                (Some(warmup), true) => (warmup, Sent { warmup: 1, measured: 0 }),
                _ => (&mut records.measured, Sent { warmup: 0, measured: 1 }),
            };
            copies.headline[event.node].record(Nanos(event.at));
            intervals.note_sent(sent);
            if *looks {
                collector.collect();
            }
        }
        let rests = workers.iter().map(|(intervals, records)| (records, intervals.rest()));
        collector.finish(rests, START.plus(Nanos(END)))
    }

    proptest! {
        #[test]
        fn each_interval_holds_what_happened_in_it_on_all_workers(events in events()) {
            let Series { intervals, totals } = collected(&events);
            prop_assert_eq!(totals.count(), events.len() as u64);
            for interval in &intervals {
                let span = interval.start.0..interval.start.0 + interval.length.0;
                let inside: Vec<u64> = events
                    .iter()
                    .map(|(event, _)| event)
                    .filter(|e| e.warmup == interval.warmup && span.contains(&e.at))
                    .map(|e| e.at)
                    .collect();
                prop_assert_eq!(interval.copies, inside.len() as u64, "{:?}", interval);
                prop_assert_eq!(interval.sent, interval.copies);
                let max = inside.iter().max().map(|&max| Nanos(max));
                prop_assert_eq!(interval.max, max, "values below 2048 are exact");
            }
            let copies: u64 = intervals.iter().map(|interval| interval.copies).sum();
            prop_assert_eq!(copies, events.len() as u64);
        }

        #[test]
        fn intervals_of_a_phase_follow_each_other_without_a_hole(events in events()) {
            let Series { intervals, .. } = collected(&events);
            let phase = intervals.iter().filter(|i| !i.warmup || i.start < WARMUP);
            let mut spans: Vec<_> = phase.map(|i| (i.start, i.length)).collect();
            // Of an interval that holds the end of the warm-up there are two rows.
            spans.dedup();
            let mut end = Nanos::ZERO;
            for (start, length) in spans {
                prop_assert_eq!(start, end, "{:?}", intervals);
                end = start.plus(length);
            }
        }
    }
}
