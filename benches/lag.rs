//! How late the generator is for its own schedule, and what being in time costs.
//!
//! Schedule lag (due to noticed) and CPU time of one thread on a CPU of its own, at 1k, 10k and 100k
//! messages a second, sent to a sink on another CPU that reads and never answers. The real worker,
//! which sleeps in io_uring until 150 µs before a message is due and then polls, beside a loop that
//! sleeps in io_uring until it is due (`timeout`) and one that never sleeps (`spin`); these two send
//! with `send(2)`. Each is checked: every message was sent once, and none before it was due.
//!
//! `cargo bench --bench lag` (add `-- 10k` for one rate). `ns` is the median lag.

#[expect(dead_code, reason = "rows of one figure, which other benches print")]
mod common;
#[path = "common/figures.rs"]
mod figures;
#[path = "../tests/common/plan.rs"]
mod plan;
#[expect(dead_code, reason = "waiting for an empty line, which the send bench does")]
#[path = "common/sink.rs"]
mod sink;

use std::net::TcpStream;
use std::sync::Arc;

use fanstorm::dialect::Dialect;
use fanstorm::dialect::text::TextShape;
use fanstorm::engine::frames::FrameShape;
use fanstorm::engine::ring::uring::UringRing;
use fanstorm::engine::ring::{Ring, RingConfig, Wait};
use fanstorm::engine::worker::{Control, Directive, TrialPlan, TrialProgress, Worker};
use fanstorm::host::clock::{Clock, Monotonic, thread_cpu_time};
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::FixedRate;
use fanstorm::load::schedule::Timetable;
use fanstorm::load::trial::Trial;
use fanstorm::measure::latencies::Latencies;
use fanstorm::measure::sent::SentTimes;
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::population::sockets::SocketId;
use fanstorm::population::turns::Turns;
use fanstorm::units::{Nanos, Rate};
use figures::Figures;
use rustix::net::SendFlags;
use sink::Sink;

const SUBJECTS: [&str; 3] = ["worker", "timeout", "spin"];
/// What a run gives. CPU time is a share of the core over the run.
const FIGURES: [&str; 4] = ["p50_ns", "p99_ns", "max_ns", "cpu_share"];
/// A message goes to each in turn: none has to wait for the socket's last send.
const SOCKETS: u32 = 16;
const PAYLOAD: usize = 150;
const RUN: u32 = 0x5eed_cafe;
/// From the decision to start to the first message that is due.
const LEAD: Nanos = Nanos::from_millis(5);

#[derive(Clone, Copy, Debug)]
struct Load {
    per_second: u64,
    messages: u64,
}

fn main() {
    let size = common::Size::from_env();
    let shapes = [("1k", 1_000, 2.0), ("10k", 10_000, 1.0), ("100k", 100_000, 0.5)];
    let names = shapes.map(|(name, ..)| name);
    for (name, per_second, seconds) in shapes {
        let messages = size.of((per_second as f64 * seconds) as u64);
        let load = Load { per_second, messages };
        if common::wants(name, &names) {
            figures::interleave(("lag", name), size, FIGURES, &SUBJECTS, |subject| {
                measure(subject, load)
            });
        }
    }
}

/// One run of a subject, on a fresh thread.
fn measure(subject: &'static str, load: Load) -> Figures<4> {
    let (client, peer) = common::cpus();
    let run = move || {
        common::pin(client);
        let sink = Sink::start(SOCKETS, peer);
        let run = match subject {
            "worker" => worker(load, &sink),
            "timeout" => loop_of(load, &sink, &mut sleep_until(timer())),
            "spin" => loop_of(load, &sink, &mut spin_until),
            other => unreachable!("{other}"),
        };
        assert_eq!(sink.bytes(), load.messages * frames().frame_len() as u64, "{subject}");
        run
    };
    // Named, so that a profile can be cut by subject.
    let thread = std::thread::Builder::new().name(subject.to_owned()).spawn(run);
    thread.expect("a thread").join().expect("the subject ran").figures(load)
}

/// What a run left behind.
struct Run {
    lag: Latencies,
    cpu: Nanos,
    wall: Nanos,
}

impl Run {
    fn figures(&self, load: Load) -> Figures<4> {
        assert_eq!(self.lag.len(), load.messages, "each message was noticed once");
        let at = |quantile| self.lag.at_quantile(quantile).0 as f64;
        let max = self.lag.max().expect("messages").0 as f64;
        [at(0.5), at(0.99), max, self.cpu.0 as f64 / self.wall.0 as f64]
    }
}

fn frames() -> FrameShape {
    FrameShape::new(Dialect::raw(), text(), RUN)
}

fn text() -> TextShape {
    TextShape::new(PAYLOAD).expect("long enough")
}

fn plan(load: Load, sink: &Sink) -> Plan {
    let rate = Rate::per_second(load.per_second as f64);
    let profile = FixedRate { rate, arrivals: InterArrival::Constant };
    let spec = Spec {
        dialect: Dialect::raw(),
        push_sockets: SOCKETS,
        receivers_per_node: Some(0),
        trials: Trial::each(&[load.messages], profile, Nanos::ZERO),
        payload_bytes: PAYLOAD as u64,
        ..Spec::default()
    };
    plan::plan(&[format!("ws://{}/", sink.addr)], spec)
}

fn timetable(plan: &Plan, start: Nanos) -> Timetable {
    let schedule = plan.trials[0].schedule().expect("an open loop");
    let mut timetable = Timetable::new(schedule, SOCKETS);
    timetable.begin(start);
    timetable
}

struct Patient;

impl Control for Patient {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        Directive::Continue
    }
}

/// Ends the trial with the last message: nothing comes back from a sink.
struct UntilSent(u64);

impl Control for UntilSent {
    fn turn(&mut self, progress: TrialProgress, _: Nanos) -> Directive {
        if progress.sent == self.0 { Directive::End } else { Directive::Continue }
    }
}

/// The worker as it is in a run.
fn worker(load: Load, sink: &Sink) -> Run {
    let plan = plan(load, sink);
    let ring = UringRing::new(RingConfig::for_sockets(SOCKETS)).expect("io_uring");
    let seats: Vec<_> = (0..SOCKETS).map(|socket| SocketId { socket, node: 0 }).collect();
    let mut worker = Worker::new(&plan, ring, Monotonic, &seats, fastrand::Rng::with_seed(1));
    assert_eq!(worker.connect(&mut Patient).expect("the ring works"), []);
    let counts: Arc<[u32]> = Turns::new(SOCKETS).share(load.messages).into();
    let sent = Arc::new(SentTimes::new(&counts));
    let trial_plan = TrialPlan {
        trial: plan.trials[0].clone(),
        run: RUN,
        text: text(),
        counts,
        lay_all: true,
        sent: Arc::clone(&sent),
        schedule: plan.trials[0].schedule(),
    };
    let mut start = Nanos::ZERO;
    let begin = || {
        start = Monotonic.now().plus(LEAD);
        start
    };
    let tally =
        worker.trial(&trial_plan, begin, &mut UntilSent(load.messages)).expect("the ring works");
    assert_eq!(tally.sent, load.messages);
    let timetable = timetable(&plan, start);
    for index in 0..load.messages as u32 {
        let (sender, sequence) = sent.message(index);
        let due = timetable.intended_of(sender, sequence);
        assert!(sent.sent(index).is_some_and(|sent| sent >= due), "message {index} was early");
    }
    let lag = tally.lag.expect("an open loop");
    Run { lag, cpu: tally.core.cpu_time, wall: tally.core.wall }
}

/// Sends each message when it is due, on blocking sockets, after waiting in the given way.
fn loop_of(load: Load, sink: &Sink, wait_until: &mut dyn FnMut(Nanos)) -> Run {
    let plan = plan(load, sink);
    let sockets: Vec<TcpStream> = (0..SOCKETS).map(|_| connect(sink)).collect();
    let mut frame = Vec::new();
    frames().write(0, 0, &mut fastrand::Rng::with_seed(1).into(), &mut frame);
    let mut lag = Latencies::new();
    let (begin, cpu) = (Monotonic.now(), thread_cpu_time());
    let timetable = timetable(&plan, begin.plus(LEAD));
    let mut next = 0;
    while next < load.messages {
        wait_until(timetable.intended(next));
        let now = Monotonic.now();
        let due = timetable.due(now);
        for message in next..due {
            assert!(now >= timetable.intended(message), "message {message} was early");
            lag.record(now.since(timetable.intended(message)));
            let socket = &sockets[(message % u64::from(SOCKETS)) as usize];
            assert_eq!(rustix::net::send(socket, &frame, SendFlags::NOSIGNAL), Ok(frame.len()));
        }
        next = next.max(due);
    }
    Run { lag, cpu: thread_cpu_time().since(cpu), wall: Monotonic.now().since(begin) }
}

fn connect(sink: &Sink) -> TcpStream {
    let stream = TcpStream::connect(sink.addr).expect("connected");
    stream.set_nodelay(true).expect("an option");
    let (socket, _) = tungstenite::client("ws://bench/", stream).expect("upgraded");
    socket.get_ref().try_clone().expect("a descriptor")
}

/// A ring with nothing in it but the timeout of each wait.
fn timer() -> UringRing {
    let config = RingConfig { slots: 1, buffers: 1, buffer_bytes: 4096, direct: false };
    UringRing::new(config).expect("io_uring")
}

fn sleep_until(mut ring: UringRing) -> impl FnMut(Nanos) {
    move |due| {
        let left = due.since(Monotonic.now());
        if left > Nanos::ZERO {
            ring.wait(Wait::first(left)).expect("the ring works");
        }
    }
}

fn spin_until(due: Nanos) {
    while Monotonic.now() < due {
        std::hint::spin_loop();
    }
}
