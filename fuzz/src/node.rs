//! A node that takes the upgrade and then says what it is given, read by read, and a client for it: the real worker
//! in simulated time, with one socket.
//!
//! Belongs here: the ring, the frames and the plan. Does not: what must hold of what came of it (`fuzz_targets`).

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use fanstorm::dialect::{Dialect, TextShape};
use fanstorm::engine::ring::{Completion, Filled, Op, Ring, RingCounters, SendBuf, Slot, Wait};
use fanstorm::engine::spread::spread;
use fanstorm::engine::worker::{Control, Directive, TrialPlan, TrialProgress, Worker};
use fanstorm::host::clock::Clock;
use fanstorm::load::trial::Trial;
use fanstorm::measure::connecting::Failure;
use fanstorm::measure::outcome::{Ending, TrialOutcome};
use fanstorm::measure::sent::SentTimes;
use fanstorm::measure::tally::TrialMerge;
use fanstorm::plan::Plan;
use fanstorm::plan::backend::Engine;
use fanstorm::plan::draft::{Cpus, Draft};
use fanstorm::plan::load::{Load, Spec};
use fanstorm::population::nodes::{PushNode, Targets};
use fanstorm::population::turns::Turns;
use fanstorm::units::Nanos;
use tungstenite::handshake::derive_accept_key;

use crate::RUN;

/// Messages of the trial, all of one socket.
pub const MESSAGES: u64 = 8;
const CANCELED: i32 = -125;
/// Turns that a phase goes on for after the node has said everything.
const TURNS_AFTER: u32 = 4;
/// More than any input needs: a phase that goes on is a fault.
const TURNS_MAX: u32 = 1 << 20;

/// Simulated time.
#[derive(Clone, Default)]
pub struct Time(Rc<Cell<u64>>);

impl Clock for Time {
    fn now(&self) -> Nanos {
        Nanos(1_000_000_000 + self.0.get())
    }
}

/// Goes on until the phase is over by itself.
#[derive(Default)]
struct Patient(u32);

impl Control for Patient {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        self.0 += 1;
        assert!(self.0 < TURNS_MAX, "a phase does not end");
        Directive::Continue
    }
}

/// Goes on until the node has said everything.
#[derive(Default)]
struct Script {
    left: Rc<Cell<usize>>,
    turns: u32,
    total: u32,
}

impl Control for Script {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        self.turns = if self.left.get() == 0 { self.turns + 1 } else { 0 };
        self.total += 1;
        assert!(self.total < TURNS_MAX, "a phase does not end");
        if self.turns > TURNS_AFTER { Directive::End } else { Directive::Continue }
    }
}

/// The kernel and the node behind it, for one socket.
pub struct Wire {
    time: Time,
    reads: VecDeque<Vec<u8>>,
    left: Rc<Cell<usize>>,
    /// The upgrade was answered.
    upgraded: bool,
    /// The node says nothing before it has heard so many bytes more.
    heard: Vec<u8>,
    patience: Patience,
    connecting: bool,
    armed: bool,
    closed: bool,
    sending: Option<(SendBuf, Range<usize>)>,
    sent: Option<SendBuf>,
    buffers: Vec<Option<Vec<u8>>>,
    ready: VecDeque<Completion>,
}

/// When the node begins to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Behind the upgrade.
    None,
    /// When it has heard all messages of the trial.
    Messages,
}

impl Wire {
    fn new(reads: Vec<Vec<u8>>, patience: Patience) -> Self {
        let reads: VecDeque<_> = reads.into_iter().filter(|read| !read.is_empty()).collect();
        Self {
            time: Time::default(),
            left: Rc::new(Cell::new(reads.len())),
            reads,
            upgraded: false,
            heard: Vec::new(),
            patience,
            connecting: false,
            armed: false,
            closed: false,
            sending: None,
            sent: None,
            buffers: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    fn complete(&mut self, op: Op, result: i32) {
        self.ready.push_back(Completion { op, slot: 0, result, more: false, buffer: None });
    }

    fn answer_upgrade(&mut self) {
        let Some(end) = self.heard.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return;
        };
        let request = String::from_utf8(self.heard.drain(..end + 4).collect()).expect("text");
        let header = |name: &str| request.lines().find_map(|line| line.strip_prefix(name));
        let key = header("Sec-WebSocket-Key: ").expect("a key");
        let accept = derive_accept_key(key.as_bytes());
        let chosen = header("Sec-WebSocket-Protocol: ").and_then(|all| all.split(',').next());
        let chosen = chosen.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        let chosen = chosen.unwrap_or_default();
        let answer = format!("{head}{chosen}Sec-WebSocket-Accept: {accept}\r\n\r\n");
        self.upgraded = true;
        self.reads.push_front(answer.into_bytes());
        self.left.set(self.reads.len());
    }

    fn may_speak(&self) -> bool {
        match self.patience {
            Patience::None => true,
            Patience::Messages => frames(&self.heard).len() as u64 >= MESSAGES,
        }
    }

    fn step(&mut self) {
        if std::mem::take(&mut self.connecting) {
            self.complete(Op::Connect, 0);
        }
        if let Some((buf, part)) = self.sending.take() {
            self.heard.extend_from_slice(&buf.as_slice()[part.clone()]);
            self.sent = Some(buf);
            self.complete(Op::Send, part.len() as i32);
            if !self.upgraded {
                self.answer_upgrade();
                return;
            }
        }
        let answers = self.reads.front().is_some_and(|read| read.starts_with(b"HTTP/1.1 101 "));
        if self.armed
            && self.upgraded
            && (answers || self.may_speak())
            && let Some(read) = self.reads.pop_front()
        {
            self.left.set(self.reads.len());
            let len = read.len();
            self.buffers.push(Some(read));
            let buffer = Some(Filled::whole((self.buffers.len() - 1) as u16));
            let result = len as i32;
            let more = true;
            self.ready.push_back(Completion { op: Op::Receive, slot: 0, result, more, buffer });
        }
    }
}

impl Ring for Wire {
    fn connect(&mut self, _: Slot, _: SocketAddr, _: Option<SocketAddr>) -> io::Result<()> {
        self.connecting = true;
        Ok(())
    }

    fn receive(&mut self, _: Slot) {
        self.armed = !self.closed;
    }

    fn send(&mut self, _: Slot, buf: SendBuf, part: Range<usize>) {
        assert!(self.sending.is_none() && !part.is_empty());
        if !self.closed {
            self.sending = Some((buf, part));
        }
    }

    fn take_sent(&mut self, _: Slot) -> Option<SendBuf> {
        self.sent.take()
    }

    fn close(&mut self, _: Slot) {
        self.closed = true;
        self.reads.clear();
        self.left.set(0);
        if std::mem::take(&mut self.armed) {
            self.complete(Op::Receive, CANCELED);
        }
        if self.sending.take().is_some() {
            self.complete(Op::Send, CANCELED);
        }
    }

    fn is_free(&self, _: Slot) -> bool {
        self.closed && self.ready.is_empty()
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.step();
        let idle = self.ready.is_empty() && wait.want > 0;
        let passed = if idle { wait.timeout.0 } else { 1000 };
        self.time.0.set(self.time.0.get() + passed);
        Ok(())
    }

    fn next_completion(&mut self) -> Option<Completion> {
        self.ready.pop_front()
    }

    fn received(&self, filled: Filled, len: usize) -> &[u8] {
        &self.buffers[usize::from(filled.buffer)].as_ref().expect("not given back")[..len]
    }

    fn recycle(&mut self, filled: Filled) {
        let given = self.buffers[usize::from(filled.buffer)].take();
        assert!(given.is_some(), "a buffer given back twice");
    }

    fn counters(&self) -> RingCounters {
        RingCounters::default()
    }
}

/// The client's whole frames: what kind each is, and its payload.
///
/// # Panics
/// One that no client may send.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert!(first & 0x70 == 0 && second & 0x80 != 0, "a frame that no client may send");
        let (len, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk::<2>() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => break,
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => break,
            },
            len => (len.into(), rest),
        };
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { break };
        let Some((payload, rest)) = rest.split_at_checked(len as usize) else { break };
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key);
        all.push((*first & 0xf, payload.collect()));
        bytes = rest;
    }
    all
}

/// A node's frame: `stretch` says by its first byte which, and holds the payload.
pub fn frame(stretch: &[u8]) -> Vec<u8> {
    let Some((kind, payload)) = stretch.split_first() else { return Vec::new() };
    let first = match kind {
        b't' => 0x81,
        b'b' => 0x82,
        b'p' => 0x89,
        b'o' => 0x8a,
        b'c' => 0x88,
        b'[' => 0x01,
        b'<' => 0x02,
        b'-' => 0x00,
        b']' => 0x80,
        // Anything at all.
        _ => return payload.to_vec(),
    };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(len as u8),
        len @ 126..0x1_0000 => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A plan with one socket, which pushes and hears itself.
pub fn plan(dialect: &Dialect, shape: &TextShape) -> Plan {
    let spec = Spec {
        dialect: dialect.clone(),
        push_sockets: 1,
        receivers_per_node: Some(0),
        trials: Trial::bursts(&[MESSAGES]),
        connect_timeout: Nanos::from_millis(50),
        payload_bytes: shape.len() as u64,
        ..Spec::default()
    };
    let urls = ["ws://127.0.0.1:1/".parse().expect("a node's URL")];
    let no_names = |_: &str, _: u16| unreachable!("addresses only");
    let targets = Targets::new(&urls, &PushNode::First, &no_names, &mut Vec::new());
    let load = Load::new(spec).expect("a load that can be run");
    let draft = Draft::new(load, targets.expect("nodes"), vec![0], Engine::Epoll).expect("a draft");
    draft.from_kernels_choice().plan(u64::MAX, Cpus::Own).expect("a plan")
}

/// What came of connecting to a node that says `reads`.
pub fn connect(plan: &Plan, reads: Vec<Vec<u8>>) -> Vec<Failure> {
    let (mut worker, _) = worker(plan, reads, Patience::None);
    worker.connect(&mut Patient::default()).expect("no ring fails here")
}

/// What came of a trial against a node that says `reads`, and what it heard. None where it said something before
/// the trial that ended the socket.
pub fn trial(
    plan: &Plan,
    shape: &TextShape,
    reads: Vec<Vec<u8>>,
    patience: Patience,
) -> Option<(TrialOutcome, Vec<(u8, Vec<u8>)>)> {
    let (mut worker, mut script) = worker(plan, reads, patience);
    if !worker.connect(&mut Patient::default()).expect("no ring fails here").is_empty() {
        return None;
    }
    let counts: Arc<[u32]> = Turns::new(1).share(MESSAGES).into();
    let sent = Arc::new(SentTimes::new(&counts));
    let trial = &plan.trials[0];
    let laid_out = TrialPlan {
        trial: trial.clone(),
        run: RUN,
        text: shape.clone(),
        counts,
        lay_all: plan.lays_all(MESSAGES, shape),
        sent: Arc::clone(&sent),
        schedule: trial.schedule(),
    };
    let start = worker.ring().time.now();
    let tally = worker.trial(&laid_out, || start, &mut script).expect("no ring fails here");
    let outcome = TrialMerge { plan, trial, sent: &sent, ending: Ending::Complete };
    let outcome = outcome.merge(vec![tally]);
    Some((outcome, frames(&worker.ring().heard)))
}

fn worker(
    plan: &Plan,
    reads: Vec<Vec<u8>>,
    patience: Patience,
) -> (Worker<'_, Wire, Time>, Script) {
    let wire = Wire::new(reads, patience);
    let script = Script { left: Rc::clone(&wire.left), ..Script::default() };
    let (time, rng) = (wire.time.clone(), fastrand::Rng::with_seed(1));
    let seats = &spread(plan.population(), plan.generator.workers())[0];
    (Worker::new(plan, wire, time, seats, rng), script)
}
