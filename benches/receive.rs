//! What receiving a copy costs: the real worker against the floor and the rivals.
//!
//! Client CPU time per copy, on a CPU of its own, of one thread that receives what a blaster on
//! another CPU sends. Every subject but the floor keeps the same account (scanner, ledger, latency,
//! message times) and is checked for it; the floor is the same ring with bytes only counted.
//!
//! `cargo bench --bench receive` (add `-- fan64` for one shape)

#[path = "common/account.rs"]
mod account;
#[path = "common/blaster.rs"]
mod blaster;
mod common;
#[path = "common/conductors.rs"]
mod conductors;
#[path = "../tests/common/plan.rs"]
mod plan;
#[path = "common/rival.rs"]
mod rival;

use std::cell::RefCell;
use std::rc::Rc;

use account::{Account, check, copies, seats, sent};
use blaster::{Blaster, PAYLOAD, RUN, Shape};
use conductors::{Patient, UntilComplete};
use fanstorm::dialect::{Dialect, TextShape};
use fanstorm::engine::ring::epoll::EpollRing;
use fanstorm::engine::ring::uring::UringRing;
use fanstorm::engine::ring::{Op, Ring, RingConfig, SendBuf, Wait};
use fanstorm::engine::worker::{TrialPlan, Worker};
use fanstorm::host::clock::{Clock, Monotonic, thread_cpu_time};
use fanstorm::load::trial::Trial;
use fanstorm::plan::load::Spec;
use fanstorm::plan::wait::WaitMode;
use fanstorm::units::Nanos;
use fanstorm::wire::decoder::{BufferPool, Decoder, FrameCounts, Item};
use fanstorm::wire::upgrade;

/// `stream` is the worker with a dialect whose messages do not end with frames.
const SUBJECTS: [&str; 6] =
    ["worker", "stream", "floor", "epoll", "tokio_uring", "tokio_tungstenite"];

fn main() {
    if blaster::child() {
        return;
    }
    let size = common::Size::from_env();
    let shape = |name, sockets, batch, frames, rate| Shape {
        name,
        sockets,
        batch,
        frames: size.of(frames).next_multiple_of(batch),
        rate,
    };
    // Paced so that the client has time to spare and each read meets one write.
    let shapes = [
        shape("fan64", 64, 1, 3_000, 100_000),
        shape("fan1000", 1000, 1, 200, 100_000),
        shape("batch16", 64, 16, 12_000, 400_000),
        shape("saturated64", 64, 410, 41_000, 0),
    ];
    let names = shapes.map(|shape| shape.name);
    for shape in shapes {
        if common::wants(shape.name, &names) {
            common::interleave("receive", shape.name, size, &SUBJECTS, |name| measure(name, shape));
        }
    }
}

/// CPU nanoseconds per copy of one subject, on a fresh thread.
fn measure(subject: &str, shape: Shape) -> f64 {
    let (client, peer) = common::cpus();
    let run = || {
        common::pin(client);
        let blaster = Blaster::start(shape, peer);
        match subject {
            "worker" => worker(uring(shape), Dialect::raw(), shape, blaster),
            "stream" => {
                let dialect = Dialect { stream: true, ..Dialect::raw() };
                worker(uring(shape), dialect, shape, blaster)
            }
            "floor" => floor(shape, blaster),
            "epoll" => {
                let ring = EpollRing::new(RingConfig::for_sockets(shape.sockets)).expect("epoll");
                worker(ring, Dialect::raw(), shape, blaster)
            }
            "tokio_uring" => tokio_uring(shape, blaster),
            "tokio_tungstenite" => rival::receive(blaster, shape, |stream| async { stream }),
            other => unreachable!("{other}"),
        }
    };
    let cpu = std::thread::scope(|scope| {
        // Named, so that a profile can be cut by subject.
        let thread = std::thread::Builder::new().name(subject.to_owned());
        let thread = thread.spawn_scoped(scope, run).expect("a thread");
        thread.join().expect("the subject ran")
    });
    cpu.0 as f64 / copies(shape) as f64
}

fn uring(shape: Shape) -> UringRing {
    UringRing::new(RingConfig::for_sockets(shape.sockets)).expect("io_uring")
}

/// The real worker on some ring.
fn worker<R: Ring>(ring: R, dialect: Dialect, shape: Shape, mut blaster: Blaster) -> Nanos {
    let spec = Spec {
        dialect,
        push_sockets: 1,
        receivers_per_node: Some(shape.sockets),
        trials: Trial::bursts(&[shape.frames]),
        payload_bytes: PAYLOAD as u64,
        // As the floor and the rivals do.
        wait: Some(WaitMode::Sleep),
        ..Spec::default()
    };
    let plan = plan::plan(&[format!("ws://{}/", blaster.addr)], spec);
    let rng = fastrand::Rng::with_seed(1);
    let mut worker = Worker::new(&plan, ring, Monotonic, &seats(shape), rng);
    assert_eq!(worker.connect(&mut Patient).expect("the ring works"), []);
    let trial_plan = TrialPlan {
        trial: plan.trials[0].clone(),
        run: RUN,
        text: TextShape::new(PAYLOAD).expect("long enough"),
        counts: [shape.frames as u32].into(),
        lay_all: true,
        sent: sent(shape),
        schedule: None,
    };
    let go = || {
        blaster.go();
        Monotonic.now()
    };
    let tally = worker.trial(&trial_plan, go, &mut UntilComplete).expect("the ring works");
    check(&tally.recorder, shape);
    tally.core.cpu_time
}

/// The same ring, receives armed, bytes counted, nothing understood.
fn floor(shape: Shape, mut blaster: Blaster) -> Nanos {
    let mut ring = uring(shape);
    for slot in 0..shape.sockets {
        ring.connect(slot, blaster.addr, None).expect("a socket");
        let request = upgrade::request("bench", "/", &upgrade::key([slot as u8; 16]), &[]);
        let mut upgraded = false;
        while !upgraded {
            ring.wait(Wait::first(Nanos::from_secs(1))).expect("the ring works");
            while let Some(done) = ring.next_completion() {
                assert!(done.result >= 0, "{done:?}");
                match done.op {
                    Op::Connect => {
                        ring.receive(slot);
                        ring.send(slot, SendBuf::Owned(request.clone()), 0..request.len());
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
    let total = copies(shape) * (4 + PAYLOAD as u64);
    let mut bytes = 0;
    blaster.go();
    let before = thread_cpu_time();
    while bytes < total {
        ring.wait(Wait::first(Nanos::from_millis(5))).expect("the ring works");
        while let Some(done) = ring.next_completion() {
            if let Some(buffer) = done.buffer {
                bytes += done.result as u64;
                ring.recycle(buffer);
            }
            if !done.more {
                ring.receive(done.slot);
            }
        }
    }
    let cpu = thread_cpu_time().since(before);
    assert_eq!(bytes, total);
    cpu
}

/// tokio-uring with our own decoder: one read in flight for each socket, a task each.
fn tokio_uring(shape: Shape, blaster: Blaster) -> Nanos {
    let account = Account::new(shape);
    let shared = Rc::clone(&account);
    let blaster = Rc::new(RefCell::new(Some(blaster)));
    let cpu = tokio_uring::start(async move {
        let addr = blaster.borrow().as_ref().expect("running").addr;
        let mut streams = Vec::new();
        for slot in 0..shape.sockets {
            streams.push(upgraded(addr, slot).await);
        }
        let finished = Rc::new(RefCell::new(None));
        let before = thread_cpu_time();
        blaster.borrow_mut().as_mut().expect("running").go();
        let tasks: Vec<_> = streams
            .into_iter()
            .enumerate()
            .map(|(slot, stream)| {
                let (account, blaster) = (Rc::clone(&shared), Rc::clone(&blaster));
                let finished = Rc::clone(&finished);
                tokio_uring::spawn(async move {
                    let (mut decoder, mut pool) = (Decoder::new(1 << 20), BufferPool::new(1, 512));
                    let mut frames = FrameCounts::default();
                    let mut memory = vec![0; 16 << 10];
                    loop {
                        let (read, back) = stream.read(memory).await;
                        memory = back;
                        // A killed blaster resets: the end of this read, and of the task.
                        let Ok(len @ 1..) = read else { return };
                        let at = Monotonic.now();
                        let mut account = account.borrow_mut();
                        let mut hear = |item: Item<'_>| {
                            if let Item::Message(message) = item {
                                account.hear(slot as u32, message.checked()?, at);
                            }
                            Ok(())
                        };
                        decoder
                            .feed(&memory[..len], &mut pool, &mut frames, &mut hear)
                            .expect("valid frames");
                        if account.complete(shape) && finished.borrow().is_none() {
                            *finished.borrow_mut() = Some(thread_cpu_time());
                            // Ends every read before the runtime ends: tokio-uring 0.5 frees the
                            // memory of reads in flight.
                            *blaster.borrow_mut() = None;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        let finished: Option<Nanos> = *finished.borrow();
        finished.expect("complete").since(before)
    });
    check(&account.borrow().recorder, shape);
    cpu
}

async fn upgraded(addr: std::net::SocketAddr, slot: u32) -> tokio_uring::net::TcpStream {
    let stream = tokio_uring::net::TcpStream::connect(addr).await.expect("connected");
    stream.set_nodelay(true).expect("an option");
    let request = upgrade::request("bench", "/", &upgrade::key([slot as u8; 16]), &[]);
    stream.write_all(request).await.0.expect("written");
    let (read, _) = stream.read(vec![0; 1024]).await;
    assert!(read.expect("a response") > 0);
    stream
}
