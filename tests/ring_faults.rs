//! The real worker on the fake ring: whatever the kernel does, the account adds up.
//!
//! Every run is a function of its seed, which a failure prints. The oracle is what the far end says
//! that it did (`Deeds`); it parses our frames with tungstenite.

use std::net::SocketAddr;
use std::sync::Arc;

use fanstorm::dialect::Dialect;
use fanstorm::dialect::text::TextShape;
use fanstorm::engine::drain::{DrainWatch, Progress};
use fanstorm::engine::ring::fake::{Deeds, Dials, FakeRing, SimulatedClock};
use fanstorm::engine::spread::spread;
use fanstorm::engine::worker::{Conductor, Directive, RowPlan, Worker, WorkerProgress};
use fanstorm::measure::outcome::{Class, Ending, RunOutcome};
use fanstorm::measure::sent::{SentTimes, share};
use fanstorm::measure::tally::Row;
use fanstorm::plan::engine::Engine;
use fanstorm::plan::fan_out::FanOut;
use fanstorm::plan::{Node, Plan};
use fanstorm::units::Nanos;

const PUSH: u32 = 3;
const RECEIVERS: u32 = 5;
const MESSAGES: u64 = 200;

fn plan(frame_memory_bytes: usize) -> Plan {
    let node = Node {
        url: "ws://fake/".into(),
        addr: SocketAddr::from(([127, 0, 0, 1], 1)),
        host: "fake".into(),
        target: "/".into(),
    };
    Plan {
        nodes: vec![node],
        push_node: 0,
        dialect: Dialect::raw(),
        fan_out: FanOut::All,
        push_sockets: PUSH,
        receivers_per_node: RECEIVERS,
        cores: vec![0],
        engine: Engine::IoUring,
        messages: vec![MESSAGES],
        payload_bytes: 64,
        drain: Nanos::from_secs(10),
        connect_timeout: Nanos::from_secs(5),
        ready_timeout: Nanos::from_secs(10),
        max_message_bytes: 1 << 20,
        frame_memory_bytes,
        seed: 42,
    }
}

/// Ends a phase by itself, as the fleet's coordinator would.
struct Alone {
    watch: DrainWatch,
    ending: Option<Ending>,
}

impl Alone {
    fn new(now: Nanos) -> Self {
        Self { watch: DrainWatch::new(Nanos::from_secs(10), now), ending: None }
    }
}

impl Conductor for Alone {
    fn turn(&mut self, progress: WorkerProgress, now: Nanos) -> Directive {
        let WorkerProgress { seen, copies, sent, complete, lost } = progress;
        self.ending = self.watch.look(Progress { seen, copies, sent, complete, lost }, now);
        if self.ending.is_some() { Directive::End } else { Directive::Continue }
    }
}

/// Never ends a phase.
struct Patient;

impl Conductor for Patient {
    fn turn(&mut self, _: WorkerProgress, _: Nanos) -> Directive {
        Directive::Continue
    }
}

struct Fixture<'a> {
    plan: &'a Plan,
    worker: Worker<'a, FakeRing, SimulatedClock>,
    now: Nanos,
    text: TextShape,
}

impl<'a> Fixture<'a> {
    /// A worker that is connected and has seen its probe, under the kernel's faults in `dials`.
    fn ready(plan: &'a Plan, dials: Dials, seed: u64) -> Self {
        let sockets = plan.sockets() as u32;
        let ring = FakeRing::new(sockets, 4, 256, dials, seed);
        let clock = ring.clock();
        let seats = &spread(plan)[0];
        let mut worker = Worker::new(plan, ring, clock, seats, fastrand::Rng::with_seed(seed));
        assert_eq!(worker.connect(&mut Patient).unwrap(), [], "seed {seed}");
        let text = TextShape::new(plan.payload_bytes).unwrap();
        let now = Nanos::from_secs(1);
        let unseen = worker.probe(&text, 7, &mut Alone::new(now)).unwrap();
        assert!(unseen.is_empty(), "seed {seed}: {unseen:?}");
        Self { plan, worker, now, text }
    }

    /// One row under `dials`, and what the far end did meanwhile.
    fn row(&mut self, dials: Dials) -> (RunOutcome, Deeds) {
        let before = self.worker.ring().deeds();
        self.worker.ring().dial(dials);
        let counts: Arc<[u32]> = share(MESSAGES, PUSH).into();
        let sent = Arc::new(SentTimes::new(&counts));
        let row = RowPlan {
            run: 8,
            text: self.text.clone(),
            counts,
            lay_all: self.plan.lays_all(MESSAGES, &self.text),
            sent: Arc::clone(&sent),
        };
        let mut alone = Alone::new(self.now);
        let tally = self.worker.row(&row, || {}, &mut alone).unwrap();
        let ending = alone.ending.expect("the row ended by itself");
        let merged =
            Row { plan: self.plan, messages: MESSAGES, sent: &sent, ending }.merge(vec![tally]);
        let after = self.worker.ring().deeds();
        let deeds = Deeds {
            lost: after.lost - before.lost,
            duplicated: after.duplicated - before.duplicated,
            resets: after.resets - before.resets,
            pings: after.pings - before.pings,
            pongs: after.pongs - before.pongs,
            messages: after.messages - before.messages,
        };
        (merged, deeds)
    }
}

/// Everything that a kernel may do without losing data.
fn rough_kernel(rng: &mut fastrand::Rng) -> Dials {
    Dials {
        partial_send: rng.f64(),
        split_receive: rng.f64() * 0.9,
        reorder: rng.f64(),
        delay: rng.f64() * 0.8,
        enobufs: rng.f64() * 0.5,
        cancel_multishot: rng.f64() * 0.5,
        ..Dials::default()
    }
}

fn assert_conserved(run: &RunOutcome, seed: u64) {
    let d = run.delivery;
    assert_eq!(d.expected, MESSAGES * u64::from(PUSH + RECEIVERS), "seed {seed}");
    assert_eq!(d.expected, d.delivered + d.missing, "seed {seed}");
    assert_eq!(d.seen, d.delivered + d.duplicate + d.foreign + d.corrupt, "seed {seed}");
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
        let plan = plan(if rng.bool() { usize::MAX } else { 0 });
        let dials = rough_kernel(&mut rng);
        let (run, deeds) = Fixture::ready(&plan, dials, seed).row(dials);
        assert_conserved(&run, seed);
        assert_eq!(run.ending, Ending::Complete, "seed {seed}");
        let d = run.delivery;
        assert_eq!((d.missing, d.duplicate, d.foreign, d.corrupt), (0, 0, 0, 0), "seed {seed}");
        assert_eq!(d.out_of_order, 0, "seed {seed}: one far end keeps the order of a stream");
        assert_eq!((run.sent, deeds.messages), (MESSAGES, MESSAGES), "seed {seed}");
    }
}

#[test]
fn the_account_is_exactly_what_a_faulty_cluster_did() {
    for seed in 200..400 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = plan(usize::MAX);
        let kernel = rough_kernel(&mut rng);
        let faulty = Dials {
            lose_copy: rng.f64() * 0.1,
            duplicate_copy: rng.f64() * 0.1,
            ping: rng.f64() * 0.1,
            ..kernel
        };
        let (run, deeds) = Fixture::ready(&plan, kernel, seed).row(faulty);
        assert_conserved(&run, seed);
        assert_eq!(run.delivery.missing, deeds.lost, "seed {seed}");
        assert_eq!(run.delivery.duplicate, deeds.duplicated, "seed {seed}");
        assert_eq!(run.opcodes.ping, deeds.pings, "seed {seed}");
        assert_eq!(deeds.pongs, deeds.pings, "seed {seed}: every Ping has its Pong");
    }
}

#[test]
fn resets_are_named_and_what_they_cost_is_missing() {
    let mut resets = 0;
    for seed in 400..600 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = plan(if rng.bool() { usize::MAX } else { 0 });
        let kernel = rough_kernel(&mut rng);
        let (run, deeds) = Fixture::ready(&plan, kernel, seed).row(Dials { reset: 0.02, ..kernel });
        assert_conserved(&run, seed);
        assert_eq!(run.lost.len() as u64, deeds.resets, "seed {seed}: {:?}", run.lost);
        assert!(run.delivery.missing > 0 || deeds.resets == 0 || run.complete(), "seed {seed}");
        assert!(run.sent <= MESSAGES, "seed {seed}");
        resets += deeds.resets;
    }
    assert!(resets > 100, "the dial did something: {resets}");
}
