//! What sending a message costs: our ring against `send(2)` and tokio-tungstenite.
//!
//! Client CPU time per message, on a CPU of its own, of one thread whose frames a sink on another CPU
//! counts. Three shapes: a `burst` over 3 sockets, as large as the kernel takes it; 64 messages due at
//! once, one for each of 64 sockets (`due64`); and one due at a time, on 64 sockets in turn (`due1`).
//! What is due leaves on an empty line: the next round waits, off the meter, until the sink has all of
//! the last one. Without that a sink that falls behind makes sends cheap, since TCP merges them.
//! `send2` and ours send frames that were finished before the clock; tokio-tungstenite frames and
//! masks while it sends, which is what it is for.
//!
//! `cargo bench --bench send` (add `-- due64` for one shape)

mod common;
#[path = "../tests/common/plan.rs"]
mod plan;
#[path = "common/sink.rs"]
mod sink;

use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use fanstorm::dialect::Dialect;
use fanstorm::dialect::text::TextShape;
use fanstorm::engine::frames::FrameShape;
use fanstorm::engine::ring::uring::UringRing;
use fanstorm::engine::ring::{Op, Ring, RingConfig, SendBuf, Wait};
use fanstorm::engine::worker::{Control, Directive, TrialPlan, TrialProgress, Worker};
use fanstorm::host::clock::{Clock, Monotonic, thread_cpu_time};
use fanstorm::load::trial::Trial;
use fanstorm::measure::sent::SentTimes;
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::population::sockets::SocketId;
use fanstorm::population::turns::Turns;
use fanstorm::units::Nanos;
use futures_util::SinkExt as _;
use rustix::net::SendFlags;
use sink::Sink;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

const SUBJECTS: [&str; 4] = ["worker", "sleeper", "send2", "tokio_tungstenite"];
/// Text of 150 bytes, as in the receive bench.
const PAYLOAD: usize = 150;
const RUN: u32 = 0x5eed_cafe;

/// What is due when.
#[derive(Clone, Copy, Debug)]
struct Shape {
    name: &'static str,
    sockets: u32,
    /// Messages that are due at once, one for each socket in turn; 0 is all of them.
    due: u32,
    messages: u64,
}

fn main() {
    let size = common::Size::from_env();
    let shapes = [
        Shape { name: "burst", sockets: 3, due: 0, messages: size.of(600_000) },
        Shape { name: "due64", sockets: 64, due: 64, messages: size.of(128_000) },
        Shape { name: "due1", sockets: 64, due: 1, messages: size.of(64_000) },
    ];
    let names = shapes.map(|shape| shape.name);
    for shape in shapes {
        if common::wants(shape.name, &names) {
            common::interleave("send", shape.name, size, &SUBJECTS, |name| measure(name, shape));
        }
    }
}

/// CPU nanoseconds per message of one subject, on a fresh thread.
fn measure(subject: &str, shape: Shape) -> f64 {
    let (client, peer) = common::cpus();
    let run = || {
        common::pin(client);
        let sink = Sink::start(shape.sockets, peer);
        let cpu = match (subject, shape.due) {
            ("worker" | "sleeper", 0) => worker(shape, &sink),
            ("worker", _) => ring(shape, &sink, Wait::POLL),
            ("sleeper", _) => ring(shape, &sink, Wait::first(Nanos::from_millis(5))),
            ("send2", _) => send2(shape, &sink),
            ("tokio_tungstenite", _) => tokio_tungstenite(shape, &sink),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(sink.bytes(), shape.messages * frame_shape().frame_len() as u64, "{subject}");
        cpu
    };
    let cpu = std::thread::scope(|scope| {
        // Named, so that a profile can be cut by subject.
        let thread = std::thread::Builder::new().name(subject.to_owned());
        let thread = thread.spawn_scoped(scope, run).expect("a thread");
        thread.join().expect("the subject ran")
    });
    cpu.0 as f64 / shape.messages as f64
}

fn text() -> TextShape {
    TextShape::new(PAYLOAD).expect("long enough")
}

fn frame_shape() -> FrameShape {
    FrameShape::new(Dialect::raw(), text(), RUN)
}

/// The frame of each message, finished.
fn frames(shape: Shape) -> Vec<Bytes> {
    let (frame_shape, mut rng) = (frame_shape(), fastrand::Rng::with_seed(1).into());
    let mut arena = Vec::with_capacity(shape.messages as usize * frame_shape.frame_len());
    for sequence in 0..shape.messages {
        frame_shape.write(0, sequence, &mut rng, &mut arena);
    }
    let arena = Bytes::from(arena);
    let frame_len = frame_shape.frame_len();
    (0..arena.len()).step_by(frame_len).map(|at| arena.slice(at..at + frame_len)).collect()
}

/// CPU time of the rounds alone, without what is between them and without its own cost.
struct Meter {
    since: Nanos,
    spent: Nanos,
    rounds: u64,
    empty_round_ns: f64,
}

impl Meter {
    fn new() -> Self {
        let mut meter = Self { since: Nanos(0), spent: Nanos(0), rounds: 0, empty_round_ns: 0.0 };
        for _ in 0..10_000 {
            meter.begin();
            meter.end();
        }
        let empty_round_ns = meter.spent.0 as f64 / meter.rounds as f64;
        Self { spent: Nanos(0), rounds: 0, empty_round_ns, ..meter }
    }

    fn begin(&mut self) {
        self.since = thread_cpu_time();
    }

    fn end(&mut self) {
        self.spent = Nanos(self.spent.0 + thread_cpu_time().since(self.since).0);
        self.rounds += 1;
    }

    fn total(&self) -> Nanos {
        Nanos(self.spent.0.saturating_sub((self.rounds as f64 * self.empty_round_ns) as u64))
    }
}

/// The messages of each round.
fn rounds(shape: Shape) -> usize {
    if shape.due == 0 { shape.messages as usize } else { shape.due as usize }
}

/// Waits for an empty line between rounds.
fn pause(sent: &mut u64, messages: usize, sink: &Sink) {
    *sent += (messages * frame_shape().frame_len()) as u64;
    sink.await_bytes(*sent);
}

struct Patient;

impl Control for Patient {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        Directive::Continue
    }
}

/// Ends the trial with the last frame: nothing comes back from a sink.
struct UntilSent(u64);

impl Control for UntilSent {
    fn turn(&mut self, progress: TrialProgress, _: Nanos) -> Directive {
        if progress.sent == self.0 { Directive::End } else { Directive::Continue }
    }
}

fn plan(shape: Shape, sink: &Sink) -> Plan {
    let spec = Spec {
        dialect: Dialect::raw(),
        push_sockets: shape.sockets,
        receivers_per_node: Some(0),
        trials: Trial::bursts(&[shape.messages]),
        payload_bytes: PAYLOAD as u64,
        ..Spec::default()
    };
    plan::plan(&[format!("ws://{}/", sink.addr)], spec)
}

fn uring(shape: Shape) -> UringRing {
    UringRing::new(RingConfig::for_sockets(shape.sockets)).expect("io_uring")
}

fn seats(shape: Shape) -> Vec<SocketId> {
    (0..shape.sockets).map(|socket| SocketId { socket, node: 0 }).collect()
}

/// The real worker with all that it does for each message: frames from the arena, sent times.
fn worker(shape: Shape, sink: &Sink) -> Nanos {
    let plan = plan(shape, sink);
    let rng = fastrand::Rng::with_seed(1);
    let mut worker = Worker::new(&plan, uring(shape), Monotonic, &seats(shape), rng);
    assert_eq!(worker.connect(&mut Patient).expect("the ring works"), []);
    let counts: Arc<[u32]> = Turns::new(shape.sockets).share(shape.messages).into();
    let sent = Arc::new(SentTimes::new(&counts));
    let trial = plan.trials[0].clone();
    let trial_plan =
        TrialPlan { trial, run: RUN, text: text(), counts, lay_all: true, sent, schedule: None };
    let tally = worker
        .trial(&trial_plan, || Monotonic.now(), &mut UntilSent(shape.messages))
        .expect("the ring works");
    assert_eq!(tally.sent, shape.messages);
    tally.core.cpu_time
}

/// The worker's ring: what is due is queued, and leaves in one system call.
fn ring(shape: Shape, sink: &Sink, wait: Wait) -> Nanos {
    let frames = frames(shape);
    let mut ring = uring(shape);
    let sockets = connect(shape, sink, &mut ring);
    let mut slots = (0..sockets).cycle();
    let (mut meter, mut sent) = (Meter::new(), 0);
    for round in frames.chunks(rounds(shape)) {
        meter.begin();
        for frame in round {
            let slot = slots.next().expect("endless");
            ring.send(slot, SendBuf::Arena(frame.clone()), 0..frame.len());
        }
        let mut open = round.len();
        while open > 0 {
            ring.wait(wait).expect("the ring works");
            while let Some(done) = ring.next_completion() {
                assert_eq!((done.op, done.result as usize), (Op::Send, round[0].len()));
                drop(ring.take_sent(done.slot));
                open -= 1;
            }
        }
        meter.end();
        pause(&mut sent, round.len(), sink);
    }
    meter.total()
}

/// Connects and upgrades every slot, one after another. Returns how many.
fn connect(shape: Shape, sink: &Sink, ring: &mut UringRing) -> u32 {
    for slot in 0..shape.sockets {
        ring.connect(slot, sink.addr, None).expect("a socket");
        let mut upgraded = false;
        while !upgraded {
            ring.wait(Wait::first(Nanos::from_secs(1))).expect("the ring works");
            while let Some(done) = ring.next_completion() {
                assert!(done.result >= 0, "{done:?}");
                match done.op {
                    Op::Connect => {
                        let request = request(slot);
                        let all = 0..request.len();
                        ring.receive(slot);
                        ring.send(slot, SendBuf::Owned(request), all);
                    }
                    Op::Receive => {
                        ring.recycle(done.buffer.expect("bytes"));
                        upgraded = true;
                    }
                    Op::Send => drop(ring.take_sent(slot)),
                }
            }
        }
    }
    shape.sockets
}

fn request(slot: u32) -> Vec<u8> {
    let key = fanstorm::wire::upgrade::key([slot as u8; 16]);
    fanstorm::wire::upgrade::request("bench", "/", &key, &[])
}

/// A system call for each frame, on blocking sockets.
fn send2(shape: Shape, sink: &Sink) -> Nanos {
    let frames = frames(shape);
    let mut sockets = Vec::new();
    for _ in 0..shape.sockets {
        let stream = TcpStream::connect(sink.addr).expect("connected");
        stream.set_nodelay(true).expect("an option");
        let (socket, _) = tungstenite::client("ws://bench/", stream).expect("upgraded");
        sockets.push(socket.get_ref().try_clone().expect("a descriptor"));
    }
    let mut turns = (0..sockets.len()).cycle();
    let (mut meter, mut sent) = (Meter::new(), 0);
    for round in frames.chunks(rounds(shape)) {
        meter.begin();
        for frame in round {
            let socket = &sockets[turns.next().expect("endless")];
            let taken = rustix::net::send(socket, frame, SendFlags::NOSIGNAL);
            assert_eq!(taken, Ok(frame.len()));
        }
        meter.end();
        pause(&mut sent, round.len(), sink);
    }
    meter.total()
}

/// tokio-tungstenite on a current-thread runtime. A burst is fed into its write buffer, which goes
/// out as it fills: the cheapest that it can do. What is due is sent at once.
fn tokio_tungstenite(shape: Shape, sink: &Sink) -> Nanos {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let text = Utf8Bytes::from("x".repeat(PAYLOAD));
    runtime.block_on(async {
        let mut sockets = Vec::new();
        for _ in 0..shape.sockets {
            let stream = tokio::net::TcpStream::connect(sink.addr).await.expect("connected");
            stream.set_nodelay(true).expect("an option");
            let (socket, _) =
                tokio_tungstenite::client_async("ws://bench/", stream).await.expect("upgraded");
            sockets.push(socket);
        }
        let mut turns = (0..sockets.len()).cycle();
        let (mut meter, mut sent, due) = (Meter::new(), 0, rounds(shape));
        for first in (0..shape.messages as usize).step_by(due) {
            let messages = due.min(shape.messages as usize - first);
            meter.begin();
            for _ in 0..messages {
                let socket = &mut sockets[turns.next().expect("endless")];
                let message = Message::Text(text.clone());
                match shape.due {
                    0 => socket.feed(message).await.expect("the sink reads"),
                    _ => socket.send(message).await.expect("the sink reads"),
                }
            }
            if shape.due == 0 {
                for socket in &mut sockets {
                    socket.flush().await.expect("the sink reads");
                }
            }
            meter.end();
            pause(&mut sent, messages, sink);
        }
        meter.total()
    })
}
