//! Nothing is allocated between the start barrier and the last copy: counted by the allocator itself,
//! in the real worker, on the real ring, against a real cluster.

#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

#[path = "common/plan.rs"]
mod common;
#[path = "common/io_uring.rs"]
mod io_uring;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fanstorm::cluster::{Cluster, ClusterConfig};
use fanstorm::dialect::file::{self, Source};
use fanstorm::dialect::text::TextShape;
use fanstorm::dialect::{Dialect, Heartbeat, Opening, Upgrade, builtin};
use fanstorm::engine::connection::transport::deflated::{self, Deflated};
use fanstorm::engine::connection::transport::tls::{self, Tls};
use fanstorm::engine::connection::transport::{Plain, Transport, TransportError};
use fanstorm::engine::drain::DrainWatch;
use fanstorm::engine::ring::epoll::EpollRing;
use fanstorm::engine::ring::several::SeveralRings;
use fanstorm::engine::ring::uring::UringRing;
use fanstorm::engine::ring::{Ring, RingConfig, SendBuf};
use fanstorm::engine::spread::spread;
use fanstorm::engine::worker::{Control, Directive, TrialPlan, TrialProgress, Worker};
use fanstorm::host::clock::{Clock, Monotonic};
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::{FixedRate, Profile, Window};
use fanstorm::load::trial::Trial;
use fanstorm::measure::interval::IntervalSink;
use fanstorm::measure::sent::SentTimes;
use fanstorm::measure::series::Collector;
use fanstorm::plan::backend::Engine;
use fanstorm::plan::load::Spec;
use fanstorm::plan::memory::TLS_BYTES;
use fanstorm::plan::wait::WaitMode;
use fanstorm::plan::{Node, Plan};
use fanstorm::tls::{TlsClient, TlsOptions};
use fanstorm::units::{Nanos, Rate};
use fanstorm::wire::deflate::{Agreed, DeflateOffer};
use fanstorm::wire::encode;
use fanstorm::wire::frame::Opcode;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// What this thread has taken and not given back.
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: usize) {
    // After the thread's end there is nothing to count for.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
    weigh(bytes as i64);
}

fn weigh(bytes: i64) {
    let _ = LIVE_BYTES.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract;
// counting touches a thread-local that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        weigh(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        weigh(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

const MESSAGES: u64 = 5_000;
/// Short, so that there are many.
const INTERVAL: Nanos = Nanos::from_millis(10);

fn plan(cluster: &Cluster, dialect: Dialect, frame_memory_bytes: u64) -> Plan {
    let spec = Spec {
        dialect,
        receivers_per_node: Some(2),
        trials: Trial::bursts(&[MESSAGES]),
        frame_memory_bytes,
        ..Spec::default()
    };
    common::plan(cluster.node_urls(), spec)
}

/// Ends phases as the fleet would, and notes the count when the last copy is in.
struct Watcher {
    watch: DrainWatch,
    at_last_copy: Option<u64>,
}

impl Watcher {
    fn new() -> Self {
        let watch = DrainWatch::new(Nanos::from_secs(5), Monotonic.now());
        Self { watch, at_last_copy: None }
    }
}

impl Control for Watcher {
    fn turn(&mut self, progress: TrialProgress, now: Nanos) -> Directive {
        if progress.complete {
            self.at_last_copy.get_or_insert_with(allocations);
        }
        let over = self.watch.look(progress, now).is_some();
        if over { Directive::End } else { Directive::Continue }
    }
}

struct Patient;

impl Control for Patient {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        Directive::Continue
    }
}

/// What one trial came to.
struct Came {
    /// Allocations from the start barrier to the last copy.
    allocations: u64,
    /// Intervals that left the worker meanwhile.
    intervals: usize,
}

/// One trial, of which the intervals are fetched from another thread.
fn row<R: Ring>(plan: &Plan, ring: R) -> Came {
    let trial = &plan.trials[0];
    let (mut collector, mut ports) =
        Collector::with_intervals(INTERVAL, plan, trial, trial.schedule(), 1);
    let (over, port) = (AtomicBool::new(false), ports.remove(0));
    collector.begin(Monotonic.now());
    thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                collector.collect();
                thread::sleep(Duration::from_millis(1));
            }
            collector.finish(std::iter::empty(), Nanos::ZERO).intervals.len()
        });
        let allocations = allocations_of_a_trial(plan, ring, port);
        over.store(true, Ordering::Relaxed);
        Came { allocations, intervals: collecting.join().unwrap() }
    })
}

fn allocations_of_a_trial<R: Ring>(plan: &Plan, ring: R, port: IntervalSink) -> u64 {
    allocations_over::<R, Plain>(plan, ring, (), port)
}

fn allocations_over<R: Ring, T: Transport>(
    plan: &Plan,
    ring: R,
    shared: T::Shared,
    port: IntervalSink,
) -> u64 {
    let seats = &spread(plan.population(), plan.generator.workers())[0];
    let (over, rng) = ((ring, Monotonic), fastrand::Rng::with_seed(3));
    let mut worker = Worker::<R, _, T>::over(shared, plan, over, seats, rng);
    assert_eq!(worker.connect(&mut Patient).unwrap(), []);
    let text = TextShape::new(plan.messages.payload_bytes).unwrap();
    assert!(worker.probe(&text, 1, &mut Watcher::new()).unwrap().is_empty());
    let counts: Arc<[u32]> = plan.population().turns().share(MESSAGES).into();
    let trial_plan = TrialPlan {
        trial: plan.trials[0].clone(),
        run: 2,
        lay_all: plan.lays_all(MESSAGES, &text),
        text,
        sent: Arc::new(SentTimes::new(&counts)),
        schedule: plan.trials[0].schedule(),
        counts,
    };
    worker.hand_over_to(port);
    let mut watcher = Watcher::new();
    let mut at_start = 0;
    let ready = || {
        RECEIVED.store(0, Ordering::Relaxed);
        SENT.store(0, Ordering::Relaxed);
        at_start = allocations();
        Monotonic.now()
    };
    let tally = worker.trial(&trial_plan, ready, &mut watcher).unwrap();
    assert_eq!(tally.recorder.counts.delivered, plan.audience.expected(MESSAGES));
    watcher.at_last_copy.expect("the trial was complete") - at_start
}

fn size(slots: u64) -> RingConfig {
    RingConfig { slots: slots as u32, buffers: 256, buffer_bytes: 16 << 10, direct: false }
}

/// On what the plan was made for: the best that this host grants.
fn row_as_granted(plan: &Plan) -> Came {
    match plan.generator.engine {
        Engine::IoUring => row(plan, uring(plan.sockets())),
        Engine::Epoll => row(plan, EpollRing::new(size(plan.sockets())).unwrap()),
    }
}

fn uring(slots: u64) -> UringRing {
    UringRing::new(size(slots)).unwrap()
}

fn cluster(relay: bool) -> Cluster {
    cluster_with(relay, false)
}

fn cluster_with(relay: bool, tls: bool) -> Cluster {
    let executable = Some(env!("CARGO_BIN_EXE_fanstorm").into());
    Cluster::start(&ClusterConfig {
        nodes: 2,
        relay,
        executable,
        clients: Some(64),
        tls,
        ..ClusterConfig::default()
    })
    .unwrap()
}

#[test]
fn a_trial_allocates_nothing_on_io_uring_with_correlation_and_patched_frames() {
    if !io_uring::is_granted("a trial allocates nothing on io_uring") {
        return;
    }
    let cluster = cluster(false);
    for frame_memory in [u64::MAX, 0] {
        let plan = plan(&cluster, Dialect::dsatter(), frame_memory);
        assert_eq!(row(&plan, uring(plan.sockets())).allocations, 0);
    }
}

#[test]
fn a_trial_allocates_nothing_over_several_rings_polled_or_slept_over() {
    if !io_uring::is_granted("a trial allocates nothing over several rings") {
        return;
    }
    let cluster = cluster(false);
    for wait in [WaitMode::Latency, WaitMode::Sleep, WaitMode::Throughput] {
        let mut plan = plan(&cluster, Dialect::dsatter(), 0);
        plan.generator.wait = wait;
        let ring = SeveralRings::new(size(plan.sockets()).direct(3), 3).unwrap();
        assert_eq!(row(&plan, ring).allocations, 0, "{wait:?}");
    }
}

#[test]
fn a_schedule_and_a_window_allocate_nothing_either() {
    let cluster = cluster(false);
    let rate = Rate { micro_per_s: 20_000_000_000 };
    let arrivals = InterArrival::Poisson { seed: 1 };
    let profiles = [FixedRate { rate, arrivals }.into(), Window { in_flight: 8 }.into()];
    for profile in profiles as [Profile; 2] {
        let trials = vec![Trial::new(profile.clone(), MESSAGES, Nanos::ZERO)];
        let plan = Plan { trials, ..plan(&cluster, Dialect::dsatter(), 0) };
        assert_eq!(row_as_granted(&plan).allocations, 0, "{profile:?}");
    }
}

#[test]
fn intervals_leave_the_worker_without_allocating() {
    let cluster = cluster(false);
    let rate = Rate { micro_per_s: 20_000_000_000 };
    let profile = FixedRate { rate, arrivals: InterArrival::Constant };
    // 5 000 messages take 250 ms: 25 intervals, where every one of them is fetched in time.
    let warmup = Nanos::from_millis(45);
    let trials = vec![Trial::new(profile, MESSAGES, warmup)];
    let plan = Plan { trials, ..plan(&cluster, Dialect::dsatter(), 0) };
    let came = row_as_granted(&plan);
    assert_eq!(came.allocations, 0);
    assert!(came.intervals >= 5, "{} intervals", came.intervals);
}

#[test]
fn a_trial_allocates_nothing_on_epoll() {
    let cluster = cluster(true);
    let plan = plan(&cluster, Dialect::raw(), u64::MAX);
    let ring = EpollRing::new(size(plan.sockets())).unwrap();
    assert_eq!(row(&plan, ring).allocations, 0);
}

#[test]
fn a_stream_and_signs_of_life_allocate_nothing_either() {
    let cluster = cluster(true);
    let beat = Heartbeat { every: Nanos::from_millis(1), send: b"beat"[..].into() };
    let dialect = Dialect { stream: true, heartbeats: vec![beat], ..Dialect::raw() };
    let mut plan = plan(&cluster, dialect, u64::MAX);
    plan.connect.ping = Some(Nanos::from_millis(1));
    assert_eq!(row_as_granted(&plan).allocations, 0);
}

#[test]
fn acknowledging_messages_allocates_nothing_either() {
    let cluster = cluster(true);
    let file = builtin::ALL.iter().find(|file| file.name == "mqtt-qos1").unwrap();
    let source = Source { file: file.name, text: file.text, settings: &[], environment: &|_| None };
    let (opening, upgrade) = (Opening::default(), Upgrade::default());
    let dialect = Dialect { opening, upgrade, ..file::read(&source).unwrap() };
    assert_eq!(row_as_granted(&plan(&cluster, dialect, u64::MAX)).allocations, 0);
}

/// Records that passed a connection's wire, in and out.
static RECEIVED: AtomicU64 = AtomicU64::new(0);
static SENT: AtomicU64 = AtomicU64::new(0);

/// TLS, and beside it a look at the headers of records, which are plain (RFC 8446, section 5.1).
struct Counted {
    inner: Tls,
    header: [u8; 5],
    seen: usize,
    left: usize,
}

impl Counted {
    fn look(&mut self, wire: &[u8]) {
        for &byte in wire {
            if self.left > 0 {
                self.left -= 1;
                continue;
            }
            self.header[self.seen] = byte;
            self.seen += 1;
            if self.seen == 5 {
                let [_, _, _, high, low] = self.header;
                (self.seen, self.left) = (0, usize::from(u16::from_be_bytes([high, low])));
                RECEIVED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Transport for Counted {
    type Shared = tls::Shared;
    const NAME: &'static str = Tls::NAME;

    fn new(shared: &Self::Shared) -> Self {
        Self { inner: Tls::new(shared), header: [0; 5], seen: 0, left: 0 }
    }

    fn begin(&mut self, shared: &mut Self::Shared, node: &Node) {
        self.inner.begin(shared, node);
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn open<'b>(&'b mut self, wire: &'b [u8], shared: &'b mut Self::Shared) -> &'b [u8] {
        self.look(wire);
        self.inner.open(wire, shared)
    }

    fn over(&self) -> Option<TransportError> {
        self.inner.over()
    }

    fn has_outgoing(&self) -> bool {
        self.inner.has_outgoing()
    }

    fn take_outgoing(&mut self) -> Vec<u8> {
        self.inner.take_outgoing()
    }

    fn seal(
        &mut self,
        plain: SendBuf,
        part: Range<usize>,
        shared: &mut Self::Shared,
    ) -> (SendBuf, Range<usize>) {
        let (wire, part) = self.inner.seal(plain, part, shared);
        let mut rest = &wire.as_slice()[part.clone()];
        while let [_, _, _, high, low, ..] = rest {
            rest = &rest[5 + usize::from(u16::from_be_bytes([*high, *low]))..];
            SENT.fetch_add(1, Ordering::Relaxed);
        }
        (wire, part)
    }

    fn plain_len(&self, taken: usize) -> usize {
        self.inner.plain_len(taken)
    }

    fn sent(&mut self, wire: SendBuf, shared: &mut Self::Shared) -> SendBuf {
        self.inner.sent(wire, shared)
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

fn client_of(cluster: &Cluster) -> TlsClient {
    let embedded = cluster.certificate().map(str::to_owned);
    TlsClient::load(&TlsOptions { embedded, ..TlsOptions::default() }).unwrap()
}

#[test]
fn an_open_connection_over_tls_takes_no_more_than_the_plan_says() {
    let cluster = cluster_with(false, true);
    let client = client_of(&cluster);
    let plan = plan(&cluster, Dialect::dsatter(), 0);
    let seats = &spread(plan.population(), 1)[0];
    let over = (EpollRing::new(size(plan.sockets())).unwrap(), Monotonic);
    let shared = tls::Shared::new(Some(&client), seats.len());
    let rng = fastrand::Rng::with_seed(3);
    let mut worker = Worker::<_, _, Tls>::over(shared, &plan, over, seats, rng);
    let before = LIVE_BYTES.with(Cell::get);
    assert_eq!(worker.connect(&mut Patient).unwrap(), []);
    let each = (LIVE_BYTES.with(Cell::get) - before) / seats.len() as i64;
    assert!((4_000..=TLS_BYTES as i64).contains(&each), "{each} bytes for each of {}", seats.len());
}

/// rustls makes one vector for each record that leaves; those that come are opened in place.
#[test]
fn over_tls_a_trial_allocates_once_for_each_record_that_leaves_and_never_else() {
    let cluster = cluster_with(false, true);
    let client = client_of(&cluster);
    let rate = Rate { micro_per_s: 20_000_000_000 };
    let paced = FixedRate { rate, arrivals: InterArrival::Constant };
    let bursts = Trial::bursts(&[MESSAGES]);
    for trials in [bursts, vec![Trial::new(paced, MESSAGES, Nanos::ZERO)]] {
        let plan = Plan { trials, ..plan(&cluster, Dialect::dsatter(), u64::MAX) };
        let trial = &plan.trials[0];
        let (_collector, mut ports) =
            Collector::with_intervals(INTERVAL, &plan, trial, trial.schedule(), 1);
        let ring = EpollRing::new(size(plan.sockets())).unwrap();
        let shared = tls::Shared::new(Some(&client), plan.sockets() as usize);
        let came = allocations_over::<_, Counted>(&plan, ring, shared, ports.remove(0));
        let [received, sent] = [&RECEIVED, &SENT].map(|count| count.swap(0, Ordering::Relaxed));
        assert!(received > 2 * sent, "{received} records came, {sent} left");
        assert!((1..=sent).contains(&came), "{came} allocations, {sent} records left");
    }
}

/// As a server says what a client has said under a mask of zeros.
fn said_by_a_server(mut frames: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    while let [first, len, _, _, _, _, rest @ ..] = frames {
        let (payload, after) = rest.split_at(usize::from(len & 0x7f));
        said.extend([*first, len & 0x7f]);
        said.extend(payload);
        frames = after;
    }
    said
}

/// Windows are made before the clock. `zlib-rs` takes them from an allocator of its own, which is not counted.
#[test]
fn compression_allocates_nothing_for_each_message() {
    const TEXT: [u8; 150] = [b'a'; 150];
    let offer = DeflateOffer { sends: true, ..DeflateOffer::default() };
    for forgets in [false, true] {
        let (server_bits, client_bits) = (15, 15);
        let (server_no_takeover, client_no_takeover) = (forgets, forgets);
        let agreed = Agreed { server_no_takeover, client_no_takeover, server_bits, client_bits };
        let mut shared = deflated::Shared::new((), &offer, (1 << 20, 1), 1 << 20);
        let mut transport = Deflated::<Plain>::new(&shared);
        transport.upgraded(Some(agreed), &mut shared);
        let mut frame = Vec::new();
        encode::write_frame(&mut frame, Opcode::Text, &TEXT, [0; 4]);
        let mut frames = SendBuf::Owned(frame.repeat(100));
        for turn in 0..3 {
            let part = 0..frames.len();
            let before = allocations();
            let (wire, _) = transport.seal(frames, part, &mut shared);
            let sealing = allocations() - before;
            let said = said_by_a_server(wire.as_slice());
            let before = allocations();
            let plain = transport.open(&said, &mut shared).len();
            frames = transport.sent(wire, &mut shared);
            let came = sealing + allocations() - before;
            assert_eq!(plain, 100 * (TEXT.len() + 4));
            assert!(turn == 0 || came == 0, "{came} allocations in turn {turn}");
        }
    }
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    drop(std::hint::black_box(Vec::<u8>::with_capacity(10)));
    assert_eq!(allocations() - before, 1);
}
