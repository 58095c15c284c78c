//! How late a copy is stamped, by the kernel's own receive timestamps, in each way of waiting.
//!
//! The real worker receives from 64 sockets 20 000 copies a second, one frame a read, from a blaster on
//! another CPU. Lateness goes from the kernel's timestamp of a read to the worker's stamp. Each way of
//! waiting runs twice: as it is, with one socket in 16 sampled, whose figures a report shows; and with
//! every socket timed (`…_all`), which is what the sample stands for. CPU time is a share of the core.
//!
//! `cargo bench --bench stamp`. `ns` is the median lateness.

#[path = "common/blaster.rs"]
mod blaster;
#[expect(dead_code, reason = "rows of one figure, which other benches print")]
mod common;
#[path = "common/conductors.rs"]
mod conductors;
#[path = "common/figures.rs"]
mod figures;
#[path = "../tests/common/plan.rs"]
mod plan;

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use blaster::{Blaster, PAYLOAD, RUN, Shape};
use conductors::{Patient, UntilComplete};
use fanstorm::dialect::{Dialect, TextShape};
use fanstorm::engine::ring::uring::UringRing;
use fanstorm::engine::ring::{
    Completion, Filled, Ring, RingConfig, RingCounters, SendBuf, Slot, Wait,
};
use fanstorm::engine::worker::{TrialPlan, Worker};
use fanstorm::host::clock::{Clock, Monotonic};
use fanstorm::load::trial::Trial;
use fanstorm::measure::sent::SentTimes;
use fanstorm::measure::tally::Tally;
use fanstorm::plan::load::Spec;
use fanstorm::plan::wait::WaitMode;
use fanstorm::population::sockets::SocketId;
use fanstorm::units::Nanos;
use figures::Figures;

const SUBJECTS: [&str; 8] = [
    "latency",
    "latency_all",
    "spin",
    "spin_all",
    "sleep",
    "sleep_all",
    "throughput",
    "throughput_all",
];
const FIGURES: [&str; 4] = ["p50_ns", "p99_ns", "max_ns", "cpu_share"];

fn main() {
    if blaster::child() {
        return;
    }
    let size = common::Size::from_env();
    let frames = size.of(625);
    let shape = Shape { name: "fan64", sockets: 64, batch: 1, frames, rate: 20_000 };
    figures::interleave(("stamp", shape.name), size, FIGURES, &SUBJECTS, |subject| {
        measure(subject, shape)
    });
}

/// One run, on a fresh thread.
fn measure(subject: &'static str, shape: Shape) -> Figures<4> {
    let (client, peer) = common::cpus();
    let run = move || {
        common::pin(client);
        let blaster = Blaster::start(shape, peer);
        let ring = UringRing::new(RingConfig::for_sockets(shape.sockets)).expect("io_uring");
        match subject.strip_suffix("_all") {
            Some(mode) => receive(Timed(ring), wait_mode(mode), shape, blaster),
            None => receive(ring, wait_mode(subject), shape, blaster),
        }
    };
    let thread = std::thread::Builder::new().name(subject.to_owned()).spawn(run);
    let tally = thread.expect("a thread").join().expect("the subject ran");
    figures(&tally, shape, subject.ends_with("_all"))
}

fn wait_mode(name: &str) -> WaitMode {
    let all = [WaitMode::Latency, WaitMode::Spin, WaitMode::Sleep, WaitMode::Throughput];
    all.into_iter().find(|mode| mode.to_string() == name).expect("a subject is a mode")
}

fn figures(tally: &Tally, shape: Shape, all: bool) -> Figures<4> {
    let copies = shape.frames * u64::from(shape.sockets);
    assert_eq!(tally.recorder.counts.delivered, copies);
    let stamps = tally.stamps.as_ref().expect("a kernel that times arrivals (Linux 6.7)");
    let reads = tally.core.reads;
    let timed = if all { reads } else { reads / 16 };
    // Reads that came before the trial began, and one of a socket that ended it, are the difference.
    assert!(stamps.len().abs_diff(timed) <= timed / 4 + 64, "{} of {timed}", stamps.len());
    let at = |quantile| stamps.at_quantile(quantile).0 as f64;
    let max = stamps.max().expect("timed reads").0 as f64;
    [at(0.5), at(0.99), max, tally.core.cpu_time.0 as f64 / tally.core.wall.0 as f64]
}

fn receive<R: Ring>(ring: R, mode: WaitMode, shape: Shape, mut blaster: Blaster) -> Tally {
    let spec = Spec {
        dialect: Dialect::raw(),
        push_sockets: 1,
        receivers_per_node: Some(shape.sockets),
        trials: Trial::bursts(&[shape.frames]),
        payload_bytes: PAYLOAD as u64,
        wait: Some(mode),
        ..Spec::default()
    };
    let plan = plan::plan(&[format!("ws://{}/", blaster.addr)], spec);
    // Number 0 is the push socket, which is not here.
    let seats: Vec<_> = (1..=shape.sockets).map(|socket| SocketId { socket, node: 0 }).collect();
    let rng = fastrand::Rng::with_seed(1);
    let mut worker = Worker::new(&plan, ring, Monotonic, &seats, rng);
    assert_eq!(worker.connect(&mut Patient).expect("the ring works"), []);
    let sent = SentTimes::new(&[shape.frames as u32]);
    sent.stamp(0, 0, shape.frames as u32, Monotonic.now());
    let trial_plan = TrialPlan {
        trial: plan.trials[0].clone(),
        run: RUN,
        text: TextShape::new(PAYLOAD).expect("long enough"),
        counts: [shape.frames as u32].into(),
        lay_all: true,
        sent: Arc::new(sent),
        schedule: None,
    };
    let go = || {
        blaster.go();
        Monotonic.now()
    };
    worker.trial(&trial_plan, go, &mut UntilComplete).expect("the ring works")
}

/// A ring that times every socket, whoever asks.
struct Timed(UringRing);

impl Ring for Timed {
    fn connect(&mut self, slot: Slot, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<()> {
        self.0.connect(slot, to, from)
    }

    fn receive(&mut self, slot: Slot) {
        self.0.time_arrivals(slot);
        self.0.receive(slot);
    }

    fn time_arrivals(&mut self, _: Slot) {}

    fn arrived(&self, completion: &Completion) -> Option<Nanos> {
        self.0.arrived(completion)
    }

    fn send(&mut self, slot: Slot, buf: SendBuf, part: Range<usize>) {
        self.0.send(slot, buf, part);
    }

    fn take_sent(&mut self, slot: Slot) -> Option<SendBuf> {
        self.0.take_sent(slot)
    }

    fn close(&mut self, slot: Slot) {
        self.0.close(slot);
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.0.wait(wait)
    }

    fn next_completion(&mut self) -> Option<Completion> {
        self.0.next_completion()
    }

    fn received(&self, filled: Filled, len: usize) -> &[u8] {
        self.0.received(filled, len)
    }

    fn recycle(&mut self, filled: Filled) {
        self.0.recycle(filled);
    }

    fn counters(&self) -> RingCounters {
        self.0.counters()
    }
}
