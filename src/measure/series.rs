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

use super::effort::{Effort, Efforts};
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
    /// What each worker spent in it.
    efforts: Vec<Efforts>,
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
                self.add(worker, &part);
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
        let mut idle = Vec::new();
        for (worker, (records, Rest { began, sent, efforts })) in rests.enumerate() {
            if records.count() + records.misdelivered + sent.all() > 0 {
                let until = end.max(began).max(self.closed_until);
                let from = began.max(self.closed_until);
                self.join((from, until), sent, records, (worker, efforts));
            } else {
                idle.push((worker, efforts));
            }
        }
        // What was spent after the last thing that happened belongs to the interval in which it happened.
        if let Some(last) = self.open.iter_mut().max_by_key(|open| open.until) {
            idle.drain(..).for_each(|(worker, efforts)| last.spend(worker, &efforts));
        }
        self.close(Nanos::MAX);
        idle.iter().for_each(|(_, efforts)| self.spent_late(efforts));
        Series { intervals: self.intervals, totals: self.totals }
    }

    /// Adds to the last intervals of its phases what was spent when they were over. Late copies of the warm-up
    /// have intervals that are none of it.
    fn spent_late(&mut self, efforts: &Efforts) {
        let warmed_up = self.owed.warmup;
        for (warmup, effort) in [(true, &efforts.warmup), (false, &efforts.measured)] {
            let phase =
                |row: &&mut Interval| row.warmup == warmup && (!warmup || row.start < warmed_up);
            if let Some(last) = self.intervals.iter_mut().rev().find(phase) {
                last.effort.add(effort);
                last.busiest = last.busiest.or_else(|| effort.busy());
            }
        }
    }

    fn add(&mut self, worker: usize, part: &IntervalRecords) {
        let span = (part.from, part.until);
        self.join(span, part.sent, &part.records, (worker, part.efforts));
    }

    /// Adds to the interval that it belongs to. Where a worker could not hand over in time its part
    /// is longer than others': the intervals that it touches become one.
    fn join(
        &mut self,
        (from, until): (Nanos, Nanos),
        sent: Sent,
        records: &Records,
        (worker, efforts): (usize, Efforts),
    ) {
        self.totals.add(records);
        let touched = |open: &mut Open| open.from < until && from < open.until;
        let mut touched: Vec<_> = self.open.extract_if(.., touched).collect();
        let mut sum = touched.pop().unwrap_or_else(|| self.blank(from, until));
        for other in touched {
            sum.add((other.from, other.until), other.sent, &other.records);
            let spent = other.efforts.iter().enumerate();
            spent.for_each(|(worker, efforts)| sum.spend(worker, efforts));
            self.put_away(other.records);
        }
        sum.add((from, until), sent, records);
        sum.spend(worker, &efforts);
        self.open.push(sum);
    }

    fn blank(&mut self, from: Nanos, until: Nanos) -> Open {
        let Records { measured, warmup, .. } = &self.totals;
        let new =
            || Records::new(measured.headline.len(), measured.service.is_some(), warmup.is_some());
        let records = self.pool.pop().unwrap_or_else(new);
        Open { from, until, sent: Sent::default(), records, efforts: Vec::new() }
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
        let Open { from, until, sent, records, efforts } = open;
        let measured_from = self.grid.measured_from;
        self.closed_until = until;
        self.sent.add(sent);
        self.copies.measured += records.measured.count();
        self.copies.warmup += records.warmup.as_ref().map_or(0, Copies::count);
        let first = self.intervals.len();
        let spent = |of: fn(&Efforts) -> Effort| efforts.iter().map(of).collect::<Vec<_>>();
        let (mut warmup, measured) = (spent(|all| all.warmup), spent(|all| all.measured));
        if from >= measured_from {
            // Of a turn that the warm-up's end fell into: alone it would be a share of next to no time.
            let late = Effort { lag: None, ..sum(&warmup) };
            self.spent_late(&Efforts { warmup: late, ..Efforts::default() });
            warmup = vec![Effort { lag: sum(&warmup).lag, ..Effort::default() }];
        }
        if let Some(copies) = &records.warmup
            && (from < measured_from || copies.count() + sent.warmup > 0)
        {
            self.row((from, until), true, sent.warmup, copies, &warmup);
        }
        if until > measured_from
            || records.measured.count() + sent.measured + records.misdelivered > 0
        {
            self.row((from, until), false, sent.measured, &records.measured, &measured);
        }
        // Which half of the interval they were due in is not asked.
        if let Some(row) = self.intervals[first..].last_mut() {
            row.misdelivered = records.misdelivered;
        }
        self.put_away(records);
    }

    fn row(
        &mut self,
        (from, until): (Nanos, Nanos),
        warmup: bool,
        sent: u64,
        copies: &Copies,
        efforts: &[Effort],
    ) {
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
            effort: sum(efforts),
            busiest: efforts.iter().filter_map(Effort::busy).max_by(f64::total_cmp),
            tracks: if self.keeps { tracks(self.headline, copies) } else { Vec::new() },
        });
    }
}

impl Open {
    fn add(&mut self, (from, until): (Nanos, Nanos), sent: Sent, records: &Records) {
        self.from = self.from.min(from);
        self.until = self.until.max(until);
        self.sent.add(sent);
        self.records.add(records);
    }

    /// A worker spent this in it.
    fn spend(&mut self, worker: usize, efforts: &Efforts) {
        if self.efforts.len() <= worker {
            self.efforts.resize(worker + 1, Efforts::default());
        }
        self.efforts[worker].add(efforts);
    }
}

/// Of all workers.
fn sum(efforts: &[Effort]) -> Effort {
    let mut sum = Effort::default();
    efforts.iter().for_each(|effort| sum.add(effort));
    sum
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

    use super::super::effort::{LongestLag, Reading};
    use super::super::interval::{Intervals, Told};
    use super::*;
    use crate::load::inter_arrival::InterArrival;
    use crate::load::profile::FixedRate;
    use crate::plan::fixture;
    use crate::units::Rate;

    const START: Nanos = Nanos(1_000);
    const WARMUP: Nanos = Nanos(250);
    const LENGTH: Nanos = Nanos(100);
    const END: u64 = 1_500;
    /// How long the turn goes on in which the warm-up ends.
    const TURN: u64 = 7;
    /// When workers read for the last time what they have spent.
    const ENDED: u64 = END + TURN;

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

    /// What a worker has spent by a time, each at a pace of its own.
    fn read(worker: usize, at: u64) -> Reading {
        let cpu = at * (worker as u64 + 1) / 4;
        Reading { at: START.plus(Nanos(at)), cpu: Nanos(cpu), spun: Nanos(cpu / 3) }
    }

    /// What three workers record of the events, through their ports. Each is as late as an event is old.
    fn collected(events: &[(Event, bool)]) -> Series {
        let plan = warming_plan();
        let trial = &plan.trials[0];
        let schedule = trial.schedule();
        let (mut collector, ports) = Collector::with_intervals(LENGTH, &plan, trial, schedule, 3);
        collector.begin(START);
        let mut workers: Vec<_> = ports
            .into_iter()
            .map(|port| {
                (Intervals::new(Some(port)), Records::new(2, true, true), LongestLag::default())
            })
            .collect();
        let (mut warming, mut looked) = ([true; 3], [0; 3]);
        for (worker, (intervals, ..)) in workers.iter_mut().enumerate() {
            intervals.begin(START, START.plus(WARMUP));
            intervals.spend_from(read(worker, 0), true);
        }
        for (event, looks) in events {
            let (intervals, records, lag) = &mut workers[event.worker];
            let reading = read(event.worker, event.at.max(looked[event.worker]));
            let now = START.plus(Nanos(event.at));
            intervals.advance(now, records, || Told {
                counted: Counted::default(),
                reading,
                lag: std::mem::take(lag),
            });
            if event.at >= WARMUP.0 && std::mem::take(&mut warming[event.worker]) {
                looked[event.worker] = event.at + TURN;
                intervals.spend_from(read(event.worker, event.at + TURN), false);
            }
            let (copies, sent, lag) = match (&mut records.warmup, event.warmup) {
                (Some(all), true) => (all, Sent { warmup: 1, measured: 0 }, &mut lag.warmup),
                _ => (&mut records.measured, Sent { warmup: 0, measured: 1 }, &mut lag.measured),
            };
            *lag = Some(Nanos(event.at));
            copies.headline[event.node].record(Nanos(event.at));
            intervals.note_sent(sent);
            if *looks {
                collector.collect();
            }
        }
        let rests = workers.iter_mut().enumerate().map(|(worker, (intervals, records, lag))| {
            (&*records, intervals.rest(read(worker, ENDED), *lag))
        });
        collector.finish(rests, START.plus(Nanos(END)))
    }

    /// What each worker spent in the warm-up and after it: it looks up with its events.
    fn spent(events: &[(Event, bool)]) -> [Nanos; 2] {
        let ended = |worker| {
            let after = |event: &&Event| event.worker == worker && event.at >= WARMUP.0;
            let first = events.iter().map(|(event, _)| event).find(after);
            first.map_or(ENDED, |event| event.at + TURN)
        };
        let cpu = |worker, at| read(worker, at).cpu;
        let sum = |of: &dyn Fn(usize) -> Nanos| (0..3).map(of).fold(Nanos::ZERO, Nanos::plus);
        let warmup = sum(&|worker| cpu(worker, ended(worker)));
        [warmup, sum(&|worker| cpu(worker, ENDED)).since(warmup)]
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
        fn what_workers_spend_is_all_in_the_intervals_of_its_phase(events in events()) {
            let Series { intervals, .. } = collected(&events);
            let of = |warmup| intervals.iter().filter(move |interval| interval.warmup == warmup);
            let cpu = |warmup| {
                of(warmup).map(|interval| interval.effort.cpu).fold(Nanos::ZERO, Nanos::plus)
            };
            if !events.is_empty() {
                prop_assert_eq!([true, false].map(cpu), spent(&events));
            }
            for interval in &intervals {
                prop_assert_eq!(interval.effort.lag, interval.max, "both are the event's time");
                if interval.warmup && interval.start >= WARMUP {
                    prop_assert_eq!(interval.busiest, None, "of no time there is no share");
                }
                let [busy, busiest] = [interval.effort.busy(), interval.busiest];
                let busiest = busiest.filter(|busiest| (0.0..=1.0).contains(busiest));
                prop_assert!(busy.is_none() || busiest.is_some(), "{:?}", interval);
            }
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
