//! The trial second by second, from the real worker on the fake ring: what was handed over while the
//! clock ran is all that was recorded, each copy once and in its place, however late the collector.

#[path = "common/plan.rs"]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use fanstorm::dialect::Dialect;
use fanstorm::dialect::text::TextShape;
use fanstorm::engine::drain::DrainWatch;
use fanstorm::engine::ring::fake::{FakeRing, FaultKnobs, SimulatedClock};
use fanstorm::engine::spread::spread;
use fanstorm::engine::worker::{Control, Directive, TrialPlan, TrialProgress, Worker};
use fanstorm::host::clock::Clock;
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::{Burst, FixedRate, Profile};
use fanstorm::load::trial::Trial;
use fanstorm::measure::effort::Effort;
use fanstorm::measure::late::Past;
use fanstorm::measure::latencies::{Latencies, histogram};
use fanstorm::measure::outcome::{Class, Ending, Interval, TrialOutcome};
use fanstorm::measure::sent::SentTimes;
use fanstorm::measure::series::Collector;
use fanstorm::measure::tally::{TrialContext, TrialMerge};
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::population::turns::Turns;
use fanstorm::units::{Nanos, Rate};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

const PUSH: u32 = 3;
const RECEIVERS: u32 = 2;
const COPIES: u64 = (PUSH + RECEIVERS) as u64;
const MESSAGES: u64 = 300;
const LENGTH: Nanos = Nanos::from_millis(20);

fn plan(profile: impl Into<Profile>, warmup: Nanos) -> Plan {
    let spec = Spec {
        dialect: Dialect::raw(),
        push_sockets: PUSH,
        receivers_per_node: Some(RECEIVERS),
        trials: vec![Trial::new(profile, MESSAGES, warmup)],
        keep_intervals: true,
        payload_bytes: 64,
        ..Spec::default()
    };
    common::plan(&["ws://127.0.0.1:1/"], spec)
}

/// Ends phases as the fleet would, fetches intervals now and then, and writes down how many copies
/// had come by each turn: an account of its own.
struct Fleet {
    watch: DrainWatch,
    ending: Option<Ending>,
    collector: Option<Collector>,
    rng: fastrand::Rng,
    /// How seldom it looks.
    idle: f64,
    copies: Vec<(Nanos, u64)>,
}

impl Fleet {
    fn new(start: Nanos, collector: Option<Collector>, mut rng: fastrand::Rng) -> Self {
        let watch = DrainWatch::new(Nanos::from_millis(200), start);
        let idle = rng.f64();
        Self { watch, ending: None, collector, rng, idle, copies: Vec::new() }
    }
}

impl Control for Fleet {
    fn turn(&mut self, progress: TrialProgress, now: Nanos) -> Directive {
        self.copies.push((now, progress.delivered));
        if self.rng.f64() >= self.idle
            && let Some(collector) = &mut self.collector
        {
            collector.collect();
        }
        self.ending = self.watch.look(progress, now);
        if self.ending.is_some() { Directive::End } else { Directive::Continue }
    }
}

struct Patient;

impl Control for Patient {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        Directive::Continue
    }
}

fn ready<'a>(plan: &'a Plan, seed: u64) -> (Worker<'a, FakeRing, SimulatedClock>, SimulatedClock) {
    let ring = FakeRing::new(plan.sockets() as u32, 4, 256, FaultKnobs::default(), seed);
    let clock = ring.clock();
    let seats = &spread(plan.population(), plan.generator.workers())[0];
    let mut worker = Worker::new(plan, ring, clock.clone(), seats, fastrand::Rng::with_seed(seed));
    assert_eq!(worker.connect(&mut Patient).unwrap(), [], "seed {seed}");
    let text = TextShape::new(plan.messages.payload_bytes).unwrap();
    let mut fleet = Fleet::new(clock.now(), None, fastrand::Rng::with_seed(seed));
    assert!(worker.probe(&text, 7, &mut fleet).unwrap().is_empty(), "seed {seed}");
    (worker, clock)
}

/// A trial under `dials`, and how many copies had come by which time since its start.
fn trial(plan: &Plan, dials: FaultKnobs, seed: u64) -> (TrialOutcome, Vec<(Nanos, u64)>) {
    let (mut worker, clock) = ready(plan, seed);
    worker.ring().dial(dials);
    let counts: Arc<[u32]> = Turns::new(PUSH).share(MESSAGES).into();
    let sent = Arc::new(SentTimes::new(&counts));
    let trial = &plan.trials[0];
    let schedule = trial.schedule();
    let (mut collector, mut ports) =
        Collector::with_intervals(LENGTH, plan, trial, schedule.clone(), 1);
    worker.hand_over_to(ports.remove(0));
    let start = clock.now().plus(Nanos::from_millis(2));
    collector.begin(start);
    let laid_out = TrialPlan {
        trial: trial.clone(),
        run: 8,
        text: TextShape::new(plan.messages.payload_bytes).unwrap(),
        counts,
        lay_all: true,
        sent: Arc::clone(&sent),
        schedule: schedule.clone(),
    };
    let mut fleet = Fleet::new(start, Some(collector), fastrand::Rng::with_seed(seed));
    fleet.watch = fleet.watch.not_before(start.plus(schedule.map_or(Nanos::ZERO, |s| s.last())));
    let tally = worker.trial(&laid_out, || start, &mut fleet).unwrap();
    let merge = TrialMerge { plan, trial, sent: &sent, ending: fleet.ending.unwrap() };
    let (collector, context) = (fleet.collector.take().unwrap(), TrialContext::default());
    let past = &mut Past::new(plan.audience.clone());
    let run = merge.merge_with(vec![tally], collector, context, past).0;
    (run, fleet.copies.into_iter().map(|(at, copies)| (at.since(start), copies)).collect())
}

/// A schedule of 300 messages over 100 ms to 1.5 s, with or without a warm-up.
fn random_plan(rng: &mut fastrand::Rng) -> Plan {
    let rate = Rate::per_second(rng.f64() * 2_800.0 + 200.0);
    let arrivals = if rng.bool() {
        InterArrival::Constant
    } else {
        InterArrival::Poisson { seed: rng.u64(..) }
    };
    let warmup = if rng.bool() { Nanos::from_millis(rng.u64(1..60)) } else { Nanos::ZERO };
    plan(FixedRate { rate, arrivals }, warmup)
}

fn rough(rng: &mut fastrand::Rng) -> FaultKnobs {
    FaultKnobs {
        partial_send: rng.f64(),
        split_receive: rng.f64() * 0.9,
        reorder: rng.f64(),
        delay: rng.f64() * 0.9,
        lose_copy: if rng.bool() { 0.05 } else { 0.0 },
        duplicate_copy: if rng.bool() { 0.05 } else { 0.0 },
        ..FaultKnobs::default()
    }
}

fn sums(intervals: &[Interval], warmup: bool) -> (u64, u64) {
    let of = intervals.iter().filter(|interval| interval.warmup == warmup);
    of.fold((0, 0), |(sent, copies), i| (sent + i.sent, copies + i.copies))
}

/// The histograms of all intervals together, by class.
fn added_up(intervals: &[Interval], warmup: bool) -> BTreeMap<Class, Histogram<u64>> {
    let mut all: BTreeMap<Class, Histogram<u64>> = BTreeMap::new();
    for track in intervals.iter().filter(|i| i.warmup == warmup).flat_map(|i| &i.tracks) {
        let ns: Histogram<u64> = Deserializer::new().deserialize(&mut &*track.v2).unwrap();
        all.entry(track.class).or_insert_with(histogram).add(ns).unwrap();
    }
    all
}

/// What the generator spent in each interval is all that it spent, and in one of them it was as late as it ever was.
fn assert_cost_adds_up(run: &TrialOutcome, seed: u64) {
    let of = |warmup| run.intervals.iter().filter(move |i| i.warmup == warmup).map(|i| i.effort);
    let sum =
        |part: fn(&Effort) -> Nanos| of(false).map(|e| part(&e)).fold(Nanos::ZERO, Nanos::plus);
    let [core] = run.cores.as_slice() else { panic!("one worker: {:?}", run.cores) };
    let spent = (sum(|e| e.cpu), sum(|e| e.spun), sum(|e| e.wall));
    assert_eq!(spent, (core.cpu_time, core.spun, core.wall), "seed {seed}");
    assert_eq!(of(false).map(|e| e.lag).max(), Some(run.lag_ns.as_ref().and_then(Latencies::max)));
    if let Some(warmup) = &run.warmup {
        assert_eq!(of(true).map(|e| e.lag).max(), Some(warmup.lag_ns.max()), "seed {seed}");
    }
}

fn assert_adds_up(run: &TrialOutcome, seed: u64) {
    assert_cost_adds_up(run, seed);
    let d = run.delivery;
    let (sent, copies) = sums(&run.intervals, false);
    let (warm_sent, warm_copies) = sums(&run.intervals, true);
    assert_eq!((sent + warm_sent, copies + warm_copies), (run.sent, d.delivered), "seed {seed}");
    let mut phases = vec![(false, copies, &run.latency_ns)];
    if let Some(warmup) = &run.warmup {
        assert_eq!(warm_copies, warmup.delivered, "seed {seed}");
        assert!(warm_sent <= warmup.messages, "seed {seed}");
        assert_eq!(warmup.expected, warmup.messages * COPIES, "seed {seed}");
        phases.push((true, warm_copies, &warmup.latency_ns));
    }
    for (warmup, copies, latency_ns) in phases {
        assert_eq!(latency_ns[0].1.len(), copies, "seed {seed}, warm-up {warmup}: headline");
        let mut added_up = added_up(&run.intervals, warmup);
        for (class, ns) in latency_ns {
            let sum = added_up.remove(class).unwrap_or_else(histogram);
            assert!(sum == ns.histogram(), "seed {seed}, warm-up {warmup}: {class:?} differs");
        }
        assert!(added_up.is_empty(), "seed {seed}");
    }
}

#[test]
fn intervals_add_up_to_the_trial_however_late_they_are_fetched() {
    let mut merged = 0;
    for seed in 0..150 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (plan, dials) = (random_plan(&mut rng), rough(&mut rng));
        let (run, _) = trial(&plan, dials, seed);
        assert_adds_up(&run, seed);
        assert!(run.intervals.is_sorted_by_key(|interval| interval.start), "seed {seed}");
        merged += run.intervals.iter().filter(|i| i.length > LENGTH).count();
    }
    assert!(merged > 50, "some were fetched too late, and are part of the next: {merged}");
}

#[test]
fn a_copy_belongs_to_the_interval_of_its_arrival() {
    for seed in 200..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (plan, dials) = (random_plan(&mut rng), rough(&mut rng));
        let (run, by_turn) = trial(&plan, dials, seed);
        let mut copies = 0;
        for (place, interval) in run.intervals.iter().enumerate() {
            copies += interval.copies;
            let end = interval.start.plus(interval.length);
            let next = run.intervals.get(place + 1);
            if next.is_none_or(|next| next.start.plus(next.length) == end) {
                // The last is open, and of two rows of one time the second completes the sum.
                continue;
            }
            // Copies are told once a turn: as many as by the turn before the boundary, and no more
            // than by the turn after it.
            let turn = by_turn.partition_point(|(at, _)| *at < end);
            let (least, most) = (by_turn[turn - 1].1, by_turn[turn].1);
            assert!((least..=most).contains(&copies), "seed {seed}: {least} {copies} {most}");
        }
    }
}

#[test]
fn what_is_missing_so_far_is_what_was_due_and_has_not_come() {
    let rate = Rate::per_second(1_000.0);
    let plan = plan(FixedRate { rate, arrivals: InterArrival::Constant }, Nanos::from_millis(50));
    let lossy = FaultKnobs { lose_copy: 0.1, ..FaultKnobs::default() };
    let (run, _) = trial(&plan, lossy, 3);
    assert_eq!(run.ending, Ending::Drained);
    let (mut warm, mut measured) = (0, 0);
    for interval in &run.intervals {
        // One is due each millisecond, and the first 50 are the warm-up.
        let due = (interval.start.plus(interval.length).0.div_ceil(1_000_000)).min(MESSAGES);
        let (come, due) = match interval.warmup {
            true => (&mut warm, due.min(50)),
            false => (&mut measured, due.saturating_sub(50)),
        };
        *come += interval.copies;
        assert_eq!(interval.missing_so_far, due * COPIES - *come, "{interval:?}");
    }
    let last = run.intervals.last().unwrap();
    let warmup = run.warmup.as_ref().unwrap();
    let missing = last.missing_so_far + warmup.expected - warmup.delivered;
    assert_eq!(missing, run.delivery.missing, "what was missing at last");
    let silent = run.intervals.iter().rev().take_while(|i| i.sent + i.copies == 0).count();
    // The last copy may have come in the first of the eight.
    assert!(silent >= 7, "the drain of 200 ms is in the series: {silent} intervals");
}

#[test]
fn a_warm_up_is_what_was_due_in_it_whenever_it_came() {
    for seed in 300..350 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let warmup = Nanos::from_millis(rng.u64(1..90));
        let arrivals = if rng.bool() {
            InterArrival::Constant
        } else {
            InterArrival::Poisson { seed: rng.u64(..) }
        };
        let plan = plan(FixedRate { rate: Rate::per_second(1_000.0), arrivals }, warmup);
        let schedule = plan.trials[0].schedule().unwrap();
        let due = (0..MESSAGES).filter(|&i| schedule.offset(i) < warmup).count() as u64;
        let dials = FaultKnobs { lose_copy: 0.0, duplicate_copy: 0.0, ..rough(&mut rng) };
        let (run, _) = trial(&plan, dials, seed);
        let warm = run.warmup.as_ref().unwrap();
        assert_eq!((warm.messages, warm.delivered), (due, due * COPIES), "seed {seed}");
        assert_eq!(run.delivery.expected, MESSAGES * COPIES, "seed {seed}: it is accounted for");
        let lag_ns = run.lag_ns.as_ref().unwrap();
        assert_eq!((warm.lag_ns.len(), lag_ns.len()), (due, MESSAGES - due), "seed {seed}");
        for (latency_ns, messages) in [(&warm.latency_ns, due), (&run.latency_ns, MESSAGES - due)] {
            let counts: Vec<_> = latency_ns.iter().map(|(class, ns)| (*class, ns.len())).collect();
            let copies = messages * COPIES;
            let each = [copies, copies, messages, messages, messages];
            use Class::{Completion, Response, Service, Spread, Wait};
            let classes = [Response, Service, Wait, Completion, Spread].into_iter().zip(each);
            assert_eq!(counts, classes.collect::<Vec<_>>(), "seed {seed}");
        }
        // An interval that was fetched too late may hold the end of the warm-up.
        let fine = |i: &Interval| i.warmup || i.start >= warmup || i.length > LENGTH;
        assert!(run.intervals.iter().all(fine), "seed {seed}");
    }
}

#[test]
fn a_burst_that_is_over_at_once_has_one_interval() {
    let (run, _) = trial(&plan(Burst, Nanos::ZERO), FaultKnobs::default(), 5);
    assert_adds_up(&run, 5);
    let [only] = run.intervals.as_slice() else { panic!("{:?}", run.intervals) };
    assert_eq!((only.copies, only.missing_so_far), (MESSAGES * COPIES, 0));
}
