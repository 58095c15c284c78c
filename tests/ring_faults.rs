//! The real worker on the fake ring: whatever the kernel does, the account adds up.
//!
//! Every run is a function of its seed, which a failure prints. The oracle is what the far end says
//! that it did (`Deeds`); it parses our frames with tungstenite.

#[path = "common/plan.rs"]
mod common;
#[path = "common/records.rs"]
mod records;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use fanstorm::dialect::text::TextShape;
use fanstorm::dialect::{Dialect, Reading};
use fanstorm::engine::connection::transport::{Plain, Transport};
use fanstorm::engine::drain::DrainWatch;
use fanstorm::engine::ring::fake::{Deeds, FakeRing, FaultKnobs, LateAcks, SimulatedClock};
use fanstorm::engine::spread::spread;
use fanstorm::engine::worker::{Control, Directive, TrialPlan, TrialProgress, Worker};
use fanstorm::experiment::Outcome;
use fanstorm::host::clock::Clock;
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::{FixedRate, Window};
use fanstorm::load::trial::Trial;
use fanstorm::measure::connecting::Failure;
use fanstorm::measure::latencies::Latencies;
use fanstorm::measure::outcome::{Class, Ending, TrialOutcome};
use fanstorm::measure::sent::SentTimes;
use fanstorm::measure::tally::TrialMerge;
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::plan::wait::WaitMode;
use fanstorm::population::turns::Turns;
use fanstorm::report::Invocation;
use fanstorm::report::compare::{self, Answer, Pair, Runs};
use fanstorm::report::document::Document;
use fanstorm::units::{Nanos, Rate};
use fanstorm::verdict::Judged;
use records::Records;

const PUSH: u32 = 3;
const RECEIVERS: u32 = 5;
const MESSAGES: u64 = 200;

fn plan(frame_memory_bytes: u64) -> Plan {
    let spec = Spec {
        dialect: Dialect::raw(),
        push_sockets: PUSH,
        receivers_per_node: Some(RECEIVERS),
        trials: Trial::bursts(&[MESSAGES]),
        payload_bytes: 64,
        frame_memory_bytes,
        ..Spec::default()
    };
    common::plan(&["ws://127.0.0.1:1/"], spec)
}

/// Ends a phase by itself, as the fleet's coordinator would.
struct Alone {
    watch: DrainWatch,
    ending: Option<Ending>,
    /// How long the phase goes on when its end is decided.
    linger: Nanos,
    decided_at: Nanos,
}

impl Alone {
    fn new(now: Nanos) -> Self {
        let watch = DrainWatch::new(Nanos::from_secs(10), now);
        Self { watch, ending: None, linger: Nanos::ZERO, decided_at: now }
    }
}

impl Control for Alone {
    fn turn(&mut self, progress: TrialProgress, now: Nanos) -> Directive {
        if self.ending.is_none() {
            self.ending = self.watch.look(progress, now);
            self.decided_at = now;
        }
        let over = self.ending.is_some() && now.since(self.decided_at) >= self.linger;
        if over { Directive::End } else { Directive::Continue }
    }
}

/// Never ends a phase.
struct Patient;

impl Control for Patient {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        Directive::Continue
    }
}

struct Fixture<'a, T: Transport = Plain> {
    plan: &'a Plan,
    worker: Worker<'a, FakeRing, SimulatedClock, T>,
    clock: SimulatedClock,
    text: TextShape,
    linger: Nanos,
}

impl<'a> Fixture<'a> {
    /// A worker that is connected and has seen its probe, under the kernel's faults in `dials`.
    fn ready(plan: &'a Plan, dials: FaultKnobs, seed: u64) -> Self {
        Self::over(plan, ring(plan, dials, seed), seed)
    }
}

fn ring(plan: &Plan, dials: FaultKnobs, seed: u64) -> FakeRing {
    FakeRing::new(plan.sockets() as u32, 4, 256, dials, seed)
}

impl<'a, T: Transport<Shared = ()>> Fixture<'a, T> {
    /// The same over a transport, of which the ring has the other end.
    fn over(plan: &'a Plan, ring: FakeRing, seed: u64) -> Self {
        let (clock, seats) =
            (ring.clock(), &spread(plan.population(), plan.generator.workers())[0]);
        let rng = fastrand::Rng::with_seed(seed);
        let mut worker = Worker::<_, _, T>::over((), plan, (ring, clock.clone()), seats, rng);
        assert_eq!(worker.connect(&mut Patient).unwrap(), [], "seed {seed}");
        let text = TextShape::new(plan.messages.payload_bytes).unwrap();
        let unseen = worker.probe(&text, 7, &mut Alone::new(clock.now())).unwrap();
        assert!(unseen.is_empty(), "seed {seed}: {unseen:?}");
        Self { plan, worker, clock, text, linger: Nanos::ZERO }
    }

    /// What was done about each socket's acknowledgements so far.
    fn late_acks(&mut self) -> Vec<LateAcks> {
        let sockets = 0..self.plan.sockets() as u32;
        sockets.map(|slot| self.worker.ring().late_acks(slot)).collect()
    }

    /// One trial under `dials`, and what the far end did meanwhile.
    fn trial(&mut self, dials: FaultKnobs) -> (TrialOutcome, Deeds) {
        let (run, deeds, _) = self.row_with_times(dials);
        (run, deeds)
    }

    /// The same, and when each message was sent, counted from the start, in the order of the trial.
    fn row_with_times(&mut self, dials: FaultKnobs) -> (TrialOutcome, Deeds, Vec<Option<u64>>) {
        let before = self.worker.ring().deeds();
        self.worker.ring().dial(dials);
        let counts: Arc<[u32]> = Turns::new(PUSH).share(MESSAGES).into();
        let sent = Arc::new(SentTimes::new(&counts));
        let trial = &self.plan.trials[0];
        let schedule = trial.schedule();
        let laid_out = TrialPlan {
            trial: trial.clone(),
            run: 8,
            text: self.text.clone(),
            counts,
            lay_all: self.plan.lays_all(MESSAGES, &self.text),
            sent: Arc::clone(&sent),
            schedule: schedule.clone(),
        };
        let lead = if schedule.is_some() { Nanos::from_millis(2) } else { Nanos::ZERO };
        let start = self.clock.now().plus(lead);
        let last_due = start.plus(schedule.map_or(Nanos::ZERO, |schedule| schedule.last()));
        let mut alone = Alone::new(start);
        alone.watch = alone.watch.not_before(last_due);
        alone.linger = self.linger;
        let tally = self.worker.trial(&laid_out, || start, &mut alone).unwrap();
        let ending = alone.ending.expect("the trial ended by itself");
        let merged = TrialMerge { plan: self.plan, trial, sent: &sent, ending }.merge(vec![tally]);
        let after = self.worker.ring().deeds();
        let deeds = Deeds {
            lost: after.lost - before.lost,
            duplicated: after.duplicated - before.duplicated,
            resets: after.resets - before.resets,
            pings: after.pings - before.pings,
            pongs: after.pongs - before.pongs,
            messages: after.messages - before.messages,
            unanswered_max: after.unanswered_max,
        };
        let time = |message: u64| {
            let (sender, sequence) = (message % u64::from(PUSH), message / u64::from(PUSH));
            let at = sent.sent(sent.index(sender as usize, sequence).unwrap())?;
            Some(at.0.checked_sub(start.0).expect("nothing leaves before the start"))
        };
        (merged, deeds, (0..MESSAGES).map(time).collect())
    }
}

/// Everything that a kernel may do without losing data.
fn rough_kernel(rng: &mut fastrand::Rng) -> FaultKnobs {
    FaultKnobs {
        partial_send: rng.f64(),
        split_receive: rng.f64() * 0.9,
        reorder: rng.f64(),
        delay: rng.f64() * 0.8,
        enobufs: rng.f64() * 0.5,
        cancel_multishot: rng.f64() * 0.5,
        ..FaultKnobs::default()
    }
}

fn assert_conserved(run: &TrialOutcome, seed: u64) {
    let d = run.delivery;
    assert_eq!(d.expected, MESSAGES * u64::from(PUSH + RECEIVERS), "seed {seed}");
    assert_eq!(d.expected, d.delivered + d.missing, "seed {seed}");
    let kinds = d.delivered + d.duplicate + d.misdelivered + d.earlier + d.foreign + d.corrupt;
    assert_eq!(d.seen, kinds, "seed {seed}");
    let service = run.latency_ns.iter().find(|(class, _)| *class == Class::Service).unwrap();
    assert_eq!(service.1.len(), d.delivered, "seed {seed}: one latency for each copy");
    let missing: u64 = run.gaps.iter().map(|gap| gap.missing).sum();
    assert_eq!(missing, d.missing, "seed {seed}: the gaps name what is missing");
}

#[test]
fn a_rough_kernel_loses_and_doubles_nothing() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Half of the seeds send from a window of patched frames.
        let plan = plan(if rng.bool() { u64::MAX } else { 0 });
        let dials = rough_kernel(&mut rng);
        let (run, deeds) = Fixture::ready(&plan, dials, seed).trial(dials);
        assert_conserved(&run, seed);
        assert_eq!(run.ending, Ending::Complete, "seed {seed}");
        let d = run.delivery;
        assert_eq!((d.missing, d.duplicate, d.foreign, d.corrupt), (0, 0, 0, 0), "seed {seed}");
        assert_eq!(d.out_of_order, 0, "seed {seed}: one far end keeps the order of a stream");
        assert_eq!((run.sent, deeds.messages), (MESSAGES, MESSAGES), "seed {seed}");
    }
}

/// Everything that a run tells and that does not depend on this machine's speed.
fn told(run: &TrialOutcome) -> String {
    let TrialOutcome { delivery, sent, send_time, receive_time, reordering, matrix, gaps, .. } =
        run;
    let TrialOutcome { opcodes, ending, lost, .. } = run;
    let ns = |ns: &Latencies| {
        let recorded = ns.histogram();
        let counts: Vec<_> =
            recorded.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect();
        format!("{counts:?} {:?} {:?} {}", ns.min(), ns.max(), ns.saturated())
    };
    let latency: Vec<_> = run.latency_ns.iter().map(|(class, all)| (*class, ns(all))).collect();
    let account = format!("{delivery:?} {reordering:?} {matrix:?} {gaps:?} {lost:?} {opcodes:?}");
    format!("{account} {sent} {send_time:?} {receive_time:?} {ending:?} {latency:?}")
}

#[test]
fn frames_taken_by_vectors_make_the_same_run_as_messages_read_one_by_one() {
    for seed in 1_000..1_100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut plan = plan(if rng.bool() { u64::MAX } else { 0 });
        if seed % 3 == 0 {
            plan.trials[0].profile = Window { in_flight: rng.u32(1..20) }.into();
        }
        let mut dials = rough_kernel(&mut rng);
        if seed % 2 == 0 {
            // Whole reads, so that there are stretches in order.
            dials.split_receive = 0.0;
        }
        (dials.lose_copy, dials.duplicate_copy) = (0.05 * rng.f64(), 0.05 * rng.f64());
        let run = |reading| {
            let mut fixture = Fixture::ready(&plan, dials, seed);
            fixture.worker.read_by(reading);
            told(&fixture.trial(dials).0)
        };
        let one_by_one = run(Reading::ByMessage);
        assert_eq!(run(Reading::Widest), one_by_one, "seed {seed}");
        assert_eq!(run(Reading::Portable), one_by_one, "seed {seed}");
    }
}

/// Issue 11, C1: the probe was dropped where a Pong was under way, and waited for ever behind Pongs that
/// never ended.
#[test]
fn a_node_that_pings_without_end_gets_the_probe_at_once_and_every_message() {
    for seed in 0..50 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = plan(if rng.bool() { u64::MAX } else { 0 });
        let delay = rng.f64() * 0.8;
        let dials = FaultKnobs { ping_flood: 1.0, delay, ..FaultKnobs::default() };
        let mut fixture = Fixture::ready(&plan, dials, seed);
        let deeds = fixture.worker.ring().deeds();
        assert_eq!(deeds.messages, 1, "seed {seed}: one probe is enough, none is repeated");
        assert!(deeds.pongs > 0, "seed {seed}");
        let (run, deeds) = fixture.trial(dials);
        assert_conserved(&run, seed);
        assert_eq!((run.delivery.missing, deeds.messages), (0, MESSAGES), "seed {seed}");
        assert!(deeds.pongs > 0, "seed {seed}: Pings are answered meanwhile");
    }
}

#[test]
fn the_account_is_exactly_what_a_faulty_cluster_did() {
    for seed in 200..400 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = plan(u64::MAX);
        let kernel = rough_kernel(&mut rng);
        let faulty = FaultKnobs {
            lose_copy: rng.f64() * 0.1,
            duplicate_copy: rng.f64() * 0.1,
            ping: rng.f64() * 0.1,
            ..kernel
        };
        let (run, deeds) = Fixture::ready(&plan, kernel, seed).trial(faulty);
        assert_conserved(&run, seed);
        assert_eq!(run.delivery.missing, deeds.lost, "seed {seed}");
        assert_eq!(run.delivery.duplicate, deeds.duplicated, "seed {seed}");
        assert_eq!(run.opcodes.ping, deeds.pings, "seed {seed}");
        assert_eq!(deeds.pongs, deeds.pings, "seed {seed}: every Ping has its Pong");
    }
}

#[test]
fn lost_sockets_are_connected_again_and_the_next_trial_is_whole() {
    let mut again = 0;
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = plan(u64::MAX);
        let dials = rough_kernel(&mut rng);
        let mut fixture = Fixture::ready(&plan, dials, seed);
        let (first, deeds) = fixture.trial(FaultKnobs { reset: 0.01, ..dials });
        fixture.worker.ring().dial(dials);
        let reconnected = fixture.worker.reconnect(&mut Patient).unwrap();
        assert_eq!(reconnected.failures, [], "seed {seed}");
        assert_eq!(reconnected.again, deeds.resets, "seed {seed}");
        assert_eq!(first.lost.len() + reconnected.lost_since.len(), deeds.resets as usize);
        again += reconnected.again;
        let (second, _) = fixture.trial(dials);
        assert_conserved(&second, seed);
        assert_eq!((second.delivery.missing, second.ending), (0, Ending::Complete), "seed {seed}");
    }
    assert!(again > 100, "{again} sockets were connected again");
}

#[test]
fn resets_are_named_and_what_they_cost_is_missing() {
    let mut resets = 0;
    for seed in 400..600 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = plan(if rng.bool() { u64::MAX } else { 0 });
        let kernel = rough_kernel(&mut rng);
        let (run, deeds) =
            Fixture::ready(&plan, kernel, seed).trial(FaultKnobs { reset: 0.02, ..kernel });
        assert_conserved(&run, seed);
        assert_eq!(run.lost.len() as u64, deeds.resets, "seed {seed}: {:?}", run.lost);
        assert!(run.delivery.missing > 0 || deeds.resets == 0 || run.complete(), "seed {seed}");
        assert_eq!(run.sent, deeds.messages, "seed {seed}: whole messages that the far end has");
        let each: u64 = run.sent_each.iter().sum();
        assert_eq!(each, if run.sent == MESSAGES { 0 } else { run.sent }, "seed {seed}");
        resets += deeds.resets;
    }
    assert!(resets > 100, "the dial did something: {resets}");
}

fn count_above(run: &TrialOutcome, class: Class, above: u64) -> u64 {
    let (_, ns) = run.latency_ns.iter().find(|(found, _)| *found == class).unwrap();
    let histogram = ns.histogram();
    let recorded = histogram.iter_recorded();
    recorded.filter(|v| v.value_iterated_to() > above).map(|v| v.count_at_value()).sum()
}

fn samples(run: &TrialOutcome) -> Vec<(Class, u64)> {
    run.latency_ns.iter().map(|(class, ns)| (*class, ns.len())).collect()
}

#[test]
fn a_schedule_on_a_rough_kernel_sends_everything_once_and_nothing_before_it_is_due() {
    for seed in 600..750 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut plan = plan(if rng.bool() { u64::MAX } else { 0 });
        // 100/s to 1M/s: from long sleeps to more than the simulated kernel can keep up with.
        let rate = Rate { micro_per_s: 10_u64.pow(rng.u32(8..12)) * rng.u64(1..10) + rng.u64(..7) };
        let arrivals = if rng.bool() {
            InterArrival::Constant
        } else {
            InterArrival::Poisson { seed: rng.u64(..) }
        };
        plan.trials[0].profile = FixedRate { rate, arrivals }.into();
        let schedule = plan.trials[0].schedule().unwrap();
        let dials = rough_kernel(&mut rng);
        let (run, deeds, sent) = Fixture::ready(&plan, dials, seed).row_with_times(dials);
        assert_conserved(&run, seed);
        assert_eq!(run.ending, Ending::Complete, "seed {seed}");
        assert_eq!((run.delivery.missing, run.delivery.duplicate), (0, 0), "seed {seed}");
        assert_eq!((run.sent, deeds.messages), (MESSAGES, MESSAGES), "seed {seed}");
        for (i, at) in sent.iter().enumerate() {
            let due = schedule.offset(i as u64).0;
            assert!(at.unwrap() >= due, "seed {seed}: message {i} left at {at:?}, due at {due}");
        }
        let copies = run.delivery.delivered;
        let each = [copies, copies, MESSAGES, MESSAGES, MESSAGES];
        use Class::{Completion, Response, Service, Spread, Wait};
        let classes = [Response, Service, Wait, Completion, Spread];
        let expected: Vec<_> = classes.into_iter().zip(each).collect();
        assert_eq!(samples(&run), expected, "seed {seed}: the response leads");
        assert_eq!(run.lag_ns.unwrap().len(), MESSAGES, "seed {seed}");
    }
}

#[test]
fn where_nothing_is_in_the_way_messages_leave_within_one_turn_of_their_due_time() {
    for rate in ["100/s", "1k/s", "7k/s"] {
        let mut plan = plan(u64::MAX);
        plan.trials[0].profile =
            FixedRate { rate: rate.parse().unwrap(), arrivals: InterArrival::Constant }.into();
        let schedule = plan.trials[0].schedule().unwrap();
        let (run, _, sent) =
            Fixture::ready(&plan, FaultKnobs::default(), 1).row_with_times(FaultKnobs::default());
        for (i, at) in sent.iter().enumerate() {
            // A turn that finds completions or polls takes at most 20 us of simulated time. What
            // happens just before polling begins may put off the look at the clock once more.
            let late = at.unwrap() - schedule.offset(i as u64).0;
            assert!(late <= 40_000, "{rate}: message {i} left {late} ns late");
        }
        assert_eq!(count_above(&run, Class::Wait, 41_000), 0, "{rate}");
    }
}

#[test]
fn messages_that_wait_for_a_blocked_socket_are_late_by_no_fault_of_ours_and_move_no_other() {
    let mut plan = plan(u64::MAX);
    plan.trials[0].profile =
        FixedRate { rate: "200/s".parse().unwrap(), arrivals: InterArrival::Constant }.into();
    // An operation takes 50 turns, of up to 5 ms where the worker sleeps: longer than from one message
    // of a sender to the next.
    plan.generator.wait = WaitMode::Sleep;
    let slow = FaultKnobs { delay: 0.98, ..FaultKnobs::default() };
    let (run, ..) = Fixture::ready(&plan, FaultKnobs::default(), 3).row_with_times(slow);
    assert_eq!(run.ending, Ending::Complete);
    assert!(count_above(&run, Class::Wait, 5_000_000) > 20, "messages waited for their socket");
    // Each was turned to in time all the same: had lateness been passed on, this would have grown.
    assert!(run.lag_ns.as_ref().unwrap().max().unwrap().0 <= 40_000);
}

/// Other workers may have copies to come when one has all of its own: it polls on, and that is no part of
/// what its trial cost.
#[test]
fn what_a_worker_does_when_its_trial_is_complete_counts_as_no_time_no_polling_and_no_calls() {
    for wait in [WaitMode::Latency, WaitMode::Spin, WaitMode::Sleep] {
        let mut plan = plan(u64::MAX);
        plan.generator.wait = wait;
        let used = |linger: Nanos| {
            let mut fixture = Fixture::ready(&plan, FaultKnobs::default(), 11);
            fixture.linger = linger;
            let (run, _) = fixture.trial(FaultKnobs { delay: 0.5, ..FaultKnobs::default() });
            assert_eq!(run.ending, Ending::Complete);
            let core = &run.cores[0];
            ((core.wall, core.spun, core.enters), fixture.clock.now())
        };
        let long = Nanos::from_secs(1);
        let (brief, ended) = used(Nanos::ZERO);
        let (lingering, ended_later) = used(long);
        assert!(ended_later.since(ended) >= long, "it went on");
        assert_eq!(lingering, brief, "{wait:?}");
        assert!(brief.0 > Nanos::ZERO && brief.1 <= brief.0, "{wait:?}: {brief:?}");
    }
}

#[test]
fn a_window_is_never_exceeded_and_everything_is_sent() {
    let mut full = 0;
    for seed in 750..900 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut plan = plan(if rng.bool() { u64::MAX } else { 0 });
        let in_flight = rng.u32(1..20);
        plan.trials[0].profile = Window { in_flight }.into();
        let dials = rough_kernel(&mut rng);
        let duplicating = FaultKnobs { duplicate_copy: rng.f64() * 0.1, ..dials };
        let (run, deeds) = Fixture::ready(&plan, dials, seed).trial(duplicating);
        assert_conserved(&run, seed);
        assert_eq!(run.ending, Ending::Complete, "seed {seed}");
        assert_eq!((run.sent, deeds.messages), (MESSAGES, MESSAGES), "seed {seed}");
        // One that trails behind all else may come after the end.
        assert!(run.delivery.duplicate <= deeds.duplicated, "seed {seed}: they open no window");
        assert!(deeds.unanswered_max <= in_flight.into(), "seed {seed}: {deeds:?}");
        full += u32::from(deeds.unanswered_max == u64::from(in_flight));
        assert_eq!(run.latency_ns[0].0, Class::Service, "seed {seed}");
    }
    assert!(full > 100, "and it is used in full: in {full} of 150 trials");
}

#[test]
fn a_lost_answer_closes_its_place_in_the_window_and_the_drain_ends_the_trial() {
    let mut plan = plan(u64::MAX);
    plan.trials[0].profile = Window { in_flight: 4 }.into();
    let lossy = FaultKnobs { lose_copy: 0.2, ..FaultKnobs::default() };
    let (run, deeds) = Fixture::ready(&plan, FaultKnobs::default(), 9).trial(lossy);
    assert_conserved(&run, 9);
    assert_eq!(run.ending, Ending::Drained);
    assert!(deeds.messages < MESSAGES, "senders stopped when four answers were lost");
    assert_eq!((run.sent, deeds.unanswered_max), (deeds.messages, 4));
}

/// The kernel goes back to acknowledging at once by itself (tcp(7)), and does not say when: a socket that
/// is asked once, or only when others are read, is soon as if it had never been asked.
#[test]
fn each_socket_is_asked_to_acknowledge_late_at_its_start_and_after_every_16_reads_of_its_own() {
    let mut again = 0;
    for seed in 900..950 {
        let mut plan = plan(u64::MAX);
        plan.connect.delayed_ack = true;
        let dials = rough_kernel(&mut fastrand::Rng::with_seed(seed));
        let mut fixture = Fixture::ready(&plan, dials, seed);
        fixture.trial(dials);
        for (slot, acks) in fixture.late_acks().into_iter().enumerate() {
            assert_eq!(acks.asked, 1 + acks.reads / 16, "seed {seed}, socket {slot}: {acks:?}");
            assert!(acks.reads_unasked_max <= 16, "seed {seed}, socket {slot}: {acks:?}");
            again += acks.asked - 1;
        }
    }
    assert!(again > 50 * u64::from(PUSH + RECEIVERS), "they were read often enough: {again}");
}

#[test]
fn no_socket_is_asked_to_acknowledge_late_by_a_plan_that_does_not_want_it() {
    let plan = plan(u64::MAX);
    let mut fixture = Fixture::ready(&plan, FaultKnobs::default(), 951);
    fixture.trial(FaultKnobs::default());
    let acks = fixture.late_acks();
    assert!(acks.iter().all(|acks| acks.reads > 0 && acks.asked == 0), "{acks:?}");
}

/// Ends a trial before its first turn.
struct CalledOff;

impl Control for CalledOff {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        Directive::End
    }
}

/// Issue 11, B4: Ctrl-C while messages are laid out.
#[test]
fn a_trial_that_is_called_off_while_it_is_laid_out_sends_nothing() {
    let plan = plan(u64::MAX);
    let Fixture { mut worker, clock, text, .. } = Fixture::ready(&plan, FaultKnobs::default(), 952);
    let counts: Arc<[u32]> = Turns::new(PUSH).share(MESSAGES).into();
    let sent = Arc::new(SentTimes::new(&counts));
    let laid_out = TrialPlan {
        trial: plan.trials[0].clone(),
        run: 8,
        lay_all: plan.lays_all(MESSAGES, &text),
        text,
        counts,
        sent: Arc::clone(&sent),
        schedule: None,
    };
    let messages = worker.ring().deeds().messages;
    let start = clock.now();
    let tally = worker.trial(&laid_out, || start, &mut CalledOff).unwrap();
    let ending = Ending::Interrupted;
    let run =
        TrialMerge { plan: &plan, trial: &plan.trials[0], sent: &sent, ending }.merge(vec![tally]);
    assert_eq!((run.sent, worker.ring().deeds().messages), (0, messages));
}

#[test]
fn over_a_transport_with_records_of_its_own_a_rough_kernel_loses_and_doubles_nothing() {
    for seed in 2_000..2_100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = plan(if rng.bool() { u64::MAX } else { 0 });
        let kernel = rough_kernel(&mut rng);
        let ring = ring(&plan, kernel, seed).through(records::far_end);
        let dials = FaultKnobs { ping: 0.05, ..kernel };
        let (run, deeds) = Fixture::<Records>::over(&plan, ring, seed).trial(dials);
        assert_conserved(&run, seed);
        let d = run.delivery;
        assert_eq!((d.missing, d.duplicate, d.foreign, d.corrupt), (0, 0, 0, 0), "seed {seed}");
        assert_eq!((run.sent, deeds.messages), (MESSAGES, MESSAGES), "seed {seed}");
        assert_eq!(deeds.pongs, deeds.pings, "seed {seed}");
    }
    let [asked, given] = [&records::WORDS_ASKED, &records::WORDS_GIVEN].map(|n| n.load(Relaxed));
    assert!(asked > 1_000 && given > asked / 2, "{given} of {asked} words of the transport itself");
}

/// Of a send that was cut, only whole records count, and of those whole messages.
#[test]
fn over_a_transport_the_sent_messages_of_a_lost_socket_are_those_that_the_far_end_has() {
    let (mut resets, mut cut_short, mut said_bye) = (0, 0, 0);
    for seed in 2_100..2_250 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = plan(if rng.bool() { u64::MAX } else { 0 });
        let kernel = rough_kernel(&mut rng);
        let ring = ring(&plan, kernel, seed).through(records::far_end);
        let mut fixture = Fixture::<Records>::over(&plan, ring, seed);
        let (run, deeds) = fixture.trial(FaultKnobs { reset: 0.02, ..kernel });
        assert_conserved(&run, seed);
        assert_eq!(run.sent, deeds.messages, "seed {seed}");
        resets += deeds.resets;
        cut_short += u64::from(run.sent < MESSAGES);
        // Connected again, each with a handshake of its own.
        fixture.worker.ring().dial(kernel);
        let reconnected = fixture.worker.reconnect(&mut Patient).unwrap();
        assert_eq!((reconnected.again, reconnected.failures), (deeds.resets, Vec::new()));
        // Behind the Close frame comes the transport's own last word, once.
        fixture.worker.say_goodbye().unwrap();
        said_bye += plan.sockets();
        assert_eq!(records::BYES.load(Relaxed), said_bye, "seed {seed}");
    }
    assert!(resets > 100 && cut_short > 3, "{resets} resets, {cut_short} trials cut short");
}

#[test]
fn a_handshake_of_the_transport_that_fails_is_named_as_such() {
    for (far, reason) in [
        (records::wrong_far_end as fn() -> _, "answered the handshake with nope"),
        (records::silent_far_end, "the records handshake did not end within 5 s"),
    ] {
        let plan = plan(u64::MAX);
        let ring = ring(&plan, FaultKnobs::default(), 1).through(far);
        let (clock, seats, rng) = (
            ring.clock(),
            &spread(plan.population(), plan.generator.workers())[0],
            fastrand::Rng::with_seed(1),
        );
        let mut worker = Worker::<_, _, Records>::over((), &plan, (ring, clock), seats, rng);
        let failures = worker.connect(&mut Patient).unwrap();
        assert_eq!(failures.len() as u64, plan.sockets());
        let told = |failure: &Failure| (failure.phase, failure.reason.clone());
        assert!(failures.iter().all(|f| told(f) == ("handshake", reason.into())), "{failures:?}");
    }
}

/// A result as a run would write it, of a kernel that is drawn from the seed.
fn result(plan: &Plan, seed: u64, started_unix_ms: u64) -> Document {
    let mut rng = fastrand::Rng::with_seed(seed);
    let dials = rough_kernel(&mut rng);
    let (run, _) = Fixture::ready(plan, FaultKnobs::default(), seed).trial(dials);
    let judged = Judged { outcome: run, caveats: Vec::new() };
    let outcome = Outcome { trials: vec![judged], ..Outcome::default() };
    let invocation = Invocation { started_unix_ms, ..Invocation::default() };
    Document::begun(plan, &invocation).ended(&outcome)
}

#[test]
fn equal_sides_of_whole_runs_are_called_different_in_no_more_than_one_of_twenty_comparisons() {
    const COMPARISONS: u64 = 200;
    const EACH: u64 = 5;
    let plan = plan(u64::MAX);
    let mut different = BTreeMap::<&str, usize>::new();
    for comparison in 0..COMPARISONS {
        let mut runs = Pair::<Runs>::default();
        for at in 0..2 * EACH {
            let side = if at % 2 == 1 { &mut runs.b } else { &mut runs.a };
            side.results.push(result(&plan, comparison * 2 * EACH + at, at));
        }
        let compared = compare::compare(&runs, 0.05);
        for figure in &compared.headline().unwrap().figures {
            let found = usize::from(figure.answer == Answer::Different);
            *different.entry(figure.figure.name()).or_default() += found;
        }
    }
    // 5 % of 200, and three standard deviations.
    assert!(different.values().all(|&found| found <= 19), "{different:?}");
    assert!(different.contains_key("p99") && different.contains_key("copies/s"), "{different:?}");
}
