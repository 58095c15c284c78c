//! A ring without a kernel: simulated time, a broadcast cluster in memory, and fault dials.
//!
//! Belongs here: everything that a kernel may do to us, made likely and repeatable by a seed. Does
//! not: faults of nodes (`cluster` has those, in real processes).
//!
//! The far end is a cluster of one node that sends every text to every client. It reads frames with
//! tungstenite's parser, not ours, so that a mistake of our framing cannot cancel out.

mod far;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;

use rustix::io::Errno;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

pub use self::far::FarTransport;
use self::far::FarWire;
use super::{Completion, Filled, Op, Ring, RingCounters, SendBuf, Slot, Wait};
use crate::host::clock::Clock;
use crate::units::Nanos;

/// How likely each fault is, 0 to 1, at each opportunity.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultKnobs {
    /// A send takes only part of its bytes.
    pub partial_send: f64,
    /// A receive ends after a few bytes, anywhere in a frame.
    pub split_receive: f64,
    /// Completions of different sockets and kinds come in another order than they happened.
    pub reorder: f64,
    /// An operation does not complete in this turn although it could.
    pub delay: f64,
    /// A receive finds no buffer, although there are some.
    pub enobufs: f64,
    /// A multishot receive ends without cause.
    pub cancel_multishot: f64,
    /// The connection is reset (at most one per turn, never the last open one).
    pub reset: f64,
    /// The far end loses a copy.
    pub lose_copy: f64,
    /// The far end sends a copy twice.
    pub duplicate_copy: f64,
    /// The far end sends a Ping with a copy.
    pub ping: f64,
    /// The far end sends a Ping behind its upgrade, and behind whatever was read of it.
    pub ping_flood: f64,
}

/// What the far end did, to hold against the client's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Copies lost.
    pub lost: u64,
    /// Copies sent once more.
    pub duplicated: u64,
    /// Connections reset.
    pub resets: u64,
    /// Pings sent, and Pongs with the right payload received.
    pub pings: u64,
    /// See `pings`.
    pub pongs: u64,
    /// Messages received whole.
    pub messages: u64,
    /// The most messages of one connection that had come and whose copy had not gone back on it.
    pub unanswered_max: u64,
}

/// How often a socket was read, and how often it was asked to acknowledge late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LateAcks {
    /// Completions of its receives that the worker took.
    pub reads: u64,
    /// Calls of [`Ring::delay_acks`].
    pub asked: u64,
    /// The most reads one after another between two calls, or before the first or after the last.
    pub reads_unasked_max: u64,
    reads_unasked: u64,
}

/// Simulated time, shared by ring and worker. It moves only while the worker waits.
#[derive(Clone, Debug)]
pub struct SimulatedClock(Rc<Cell<u64>>);

impl Clock for SimulatedClock {
    fn now(&self) -> Nanos {
        Nanos(self.0.get())
    }
}

impl Default for SimulatedClock {
    /// Starts at one second: zero stands for "no time yet" in some tables.
    fn default() -> Self {
        Self(Rc::new(Cell::new(1_000_000_000)))
    }
}

/// Our end and the far end of one connection.
#[derive(Default)]
struct Link {
    connecting: bool,
    armed: bool,
    sending: Option<(SendBuf, Range<usize>)>,
    sent: Option<SendBuf>,
    closed: bool,
    reset: bool,
    /// Bytes on their way to us.
    inbound: VecDeque<u8>,
    /// Bytes that the far end has not understood yet.
    far: Vec<u8>,
    upgraded: bool,
    wire: FarWire,
    /// Bytes that we have read, and up to which of them the copies of its own messages reach that
    /// are not read yet: what is unanswered.
    read: u64,
    own_copies: VecDeque<u64>,
    /// Own messages of which the copy was lost.
    own_lost: u64,
    /// Operations to end after a close.
    cancelled: Vec<Op>,
    late_acks: LateAcks,
}

/// The ring, its buffers and the cluster behind it.
pub struct FakeRing {
    links: Vec<Link>,
    buffers: Vec<Vec<u8>>,
    free: Vec<u16>,
    ready: VecDeque<Completion>,
    dials: FaultKnobs,
    rng: fastrand::Rng,
    clock: SimulatedClock,
    counters: RingCounters,
    deeds: Deeds,
    /// Makes the other end of the client's transport.
    far: Option<fn() -> Box<dyn FarTransport>>,
}

impl FakeRing {
    /// A ring of `slots` sockets and `buffers` buffers of `buffer_bytes`.
    pub fn new(
        slots: u32,
        buffers: u16,
        buffer_bytes: usize,
        dials: FaultKnobs,
        seed: u64,
    ) -> Self {
        Self {
            links: (0..slots).map(|_| Link::default()).collect(),
            buffers: (0..buffers).map(|_| vec![0; buffer_bytes]).collect(),
            free: (0..buffers).collect(),
            ready: VecDeque::new(),
            dials,
            rng: fastrand::Rng::with_seed(seed),
            clock: SimulatedClock::default(),
            counters: RingCounters::default(),
            deeds: Deeds::default(),
            far: None,
        }
    }

    /// The far end of every connection speaks through such a transport.
    pub fn through(mut self, far: fn() -> Box<dyn FarTransport>) -> Self {
        self.far = Some(far);
        self
    }

    /// The clock that this ring moves.
    pub fn clock(&self) -> SimulatedClock {
        self.clock.clone()
    }

    /// What the far end did so far.
    pub fn deeds(&self) -> Deeds {
        self.deeds
    }

    /// What was done about a socket's acknowledgements so far.
    pub fn late_acks(&self, slot: Slot) -> LateAcks {
        self.links[slot as usize].late_acks
    }

    /// Turns the dials, say between the connect phase and a trial.
    pub fn dial(&mut self, dials: FaultKnobs) {
        self.dials = dials;
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }

    fn complete(&mut self, op: Op, slot: Slot, result: i32) {
        let more = false;
        self.ready.push_back(Completion { op, slot, result, more, buffer: None });
    }

    /// One step of kernel and cluster for one socket.
    fn step(&mut self, slot: Slot) {
        for op in std::mem::take(&mut self.links[slot as usize].cancelled) {
            self.complete(op, slot, errno(Errno::CANCELED));
        }
        if std::mem::take(&mut self.links[slot as usize].connecting) {
            self.complete(Op::Connect, slot, 0);
        }
        if !self.chance(self.dials.delay) {
            self.step_send(slot);
        }
        if !self.chance(self.dials.delay) {
            self.step_receive(slot);
        }
    }

    fn step_send(&mut self, slot: Slot) {
        let Some((buf, part)) = self.links[slot as usize].sending.take() else { return };
        if self.links[slot as usize].reset {
            self.links[slot as usize].sent = Some(buf);
            return self.complete(Op::Send, slot, errno(Errno::PIPE));
        }
        let taken = match self.chance(self.dials.partial_send) {
            true => self.rng.usize(1..=part.len()),
            false => part.len(),
        };
        let link = &mut self.links[slot as usize];
        link.wire.open(&buf.as_slice()[part][..taken], &mut link.far);
        self.links[slot as usize].sent = Some(buf);
        self.complete(Op::Send, slot, taken as i32);
        self.far_end(slot);
    }

    fn step_receive(&mut self, slot: Slot) {
        if !self.links[slot as usize].armed {
            return;
        }
        if self.links[slot as usize].reset {
            self.links[slot as usize].armed = false;
            return self.complete(Op::Receive, slot, errno(Errno::CONNRESET));
        }
        let link = &mut self.links[slot as usize];
        if link.wire.seal(&mut link.inbound).is_empty() {
            return;
        }
        let refused = self.chance(self.dials.enobufs);
        let Some(id) = (if refused { None } else { self.free.pop() }) else {
            self.links[slot as usize].armed = false;
            return self.complete(Op::Receive, slot, errno(Errno::NOBUFS));
        };
        let split = self.chance(self.dials.split_receive);
        let cancel = self.chance(self.dials.cancel_multishot);
        let (link, buffer) = (&mut self.links[slot as usize], &mut self.buffers[usize::from(id)]);
        let inbound = link.wire.seal(&mut link.inbound);
        let most = inbound.len().min(buffer.len());
        let len = if split { self.rng.usize(1..=most.min(40)) } else { most };
        for (to, from) in buffer.iter_mut().zip(inbound.drain(..len)) {
            *to = from;
        }
        link.armed = !cancel;
        link.read += len as u64;
        let upgraded = link.upgraded;
        while link.own_copies.front().is_some_and(|&end| end <= link.read) {
            link.own_copies.pop_front();
        }
        self.ready.push_back(Completion {
            op: Op::Receive,
            slot,
            result: len as i32,
            more: !cancel,
            buffer: Some(Filled::whole(id)),
        });
        if upgraded && self.chance(self.dials.ping_flood) {
            self.ping(slot);
        }
    }

    fn ping(&mut self, slot: Slot) {
        self.deeds.pings += 1;
        let opcode = OpCode::Control(Control::Ping);
        write_frame(&mut self.links[slot as usize].inbound, opcode, b"are you there");
    }

    /// What the cluster does with the bytes that came to it.
    fn far_end(&mut self, slot: Slot) {
        if !self.links[slot as usize].upgraded && !self.upgrade(slot) {
            return;
        }
        while let Some((opcode, payload)) = next_frame(&mut self.links[slot as usize].far) {
            match opcode {
                OpCode::Data(Data::Text) => self.broadcast(slot, &payload),
                OpCode::Control(Control::Pong) => {
                    self.deeds.pongs += u64::from(payload == b"are you there");
                }
                OpCode::Control(Control::Close) => {
                    write_frame(&mut self.links[slot as usize].inbound, opcode, &payload);
                }
                other => panic!("the client sent {other:?}"),
            }
        }
    }

    fn upgrade(&mut self, slot: Slot) -> bool {
        let link = &mut self.links[slot as usize];
        let request = String::from_utf8_lossy(&link.far).into_owned();
        let Some(end) = request.find("\r\n\r\n") else { return false };
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = derive_accept_key(key.expect("a key in the request").as_bytes());
        link.far.drain(..end + 4);
        link.upgraded = true;
        link.inbound.extend(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .bytes(),
        );
        if self.chance(self.dials.ping_flood) {
            self.ping(slot);
        }
        true
    }

    fn broadcast(&mut self, from: Slot, text: &[u8]) {
        self.deeds.messages += 1;
        for slot in 0..self.links.len() {
            if !self.links[slot].upgraded || self.links[slot].reset {
                continue;
            }
            if self.chance(self.dials.ping) {
                self.ping(slot as Slot);
            }
            if self.chance(self.dials.lose_copy) {
                self.deeds.lost += 1;
                self.links[slot].own_lost += u64::from(slot == from as usize);
                continue;
            }
            let copies = 1 + u64::from(self.chance(self.dials.duplicate_copy));
            self.deeds.duplicated += copies - 1;
            for copy in 0..copies {
                let link = &mut self.links[slot];
                write_frame(&mut link.inbound, OpCode::Data(Data::Text), text);
                if copy == 0 && slot == from as usize {
                    link.own_copies.push_back(link.read + link.inbound.len() as u64);
                }
            }
        }
        let link = &self.links[from as usize];
        let unanswered = link.own_copies.len() as u64 + link.own_lost;
        self.deeds.unanswered_max = self.deeds.unanswered_max.max(unanswered);
    }

    fn maybe_reset(&mut self) {
        let open = |link: &Link| link.upgraded && !link.reset && !link.closed;
        let living: Vec<usize> = (0..self.links.len()).filter(|&s| open(&self.links[s])).collect();
        if living.len() > 1 && self.chance(self.dials.reset) {
            let victim = living[self.rng.usize(..living.len())];
            self.links[victim].reset = true;
            self.links[victim].inbound.clear();
            self.links[victim].wire.clear();
            self.deeds.resets += 1;
        }
    }

    /// Swaps neighbours, but never two of one socket and operation: the kernel keeps their order.
    fn shuffle(&mut self) {
        for i in 1..self.ready.len() {
            let (a, b) = (self.ready[i - 1], self.ready[i]);
            if (a.op, a.slot) != (b.op, b.slot) && self.chance(self.dials.reorder) {
                self.ready.swap(i - 1, i);
            }
        }
    }
}

impl Ring for FakeRing {
    fn connect(&mut self, slot: Slot, _: SocketAddr, _: Option<SocketAddr>) -> io::Result<()> {
        if self.links[slot as usize].closed {
            assert!(self.is_free(slot), "socket {slot} is still in flight");
            let late_acks = self.links[slot as usize].late_acks;
            self.links[slot as usize] = Link { late_acks, ..Link::default() };
        }
        self.links[slot as usize].wire = FarWire::new(self.far);
        self.links[slot as usize].connecting = true;
        Ok(())
    }

    fn is_free(&self, slot: Slot) -> bool {
        let link = &self.links[slot as usize];
        link.closed && link.cancelled.is_empty() && self.ready.iter().all(|done| done.slot != slot)
    }

    fn receive(&mut self, slot: Slot) {
        let link = &mut self.links[slot as usize];
        assert!(!link.armed, "socket {slot} has a receive in flight already");
        link.armed = !link.closed;
    }

    fn send(&mut self, slot: Slot, buf: SendBuf, part: Range<usize>) {
        let link = &mut self.links[slot as usize];
        assert!(link.sending.is_none(), "one send in flight for each socket");
        assert!(!part.is_empty(), "an empty send");
        if !link.closed {
            link.sending = Some((buf, part));
        }
    }

    fn take_sent(&mut self, slot: Slot) -> Option<SendBuf> {
        self.links[slot as usize].sent.take()
    }

    fn close(&mut self, slot: Slot) {
        let link = &mut self.links[slot as usize];
        link.closed = true;
        // What was in flight still completes: stale, for a socket that is gone.
        if std::mem::take(&mut link.armed) {
            link.cancelled.push(Op::Receive);
        }
        if link.sending.take().is_some() {
            link.cancelled.push(Op::Send);
        }
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.counters.enters += 1;
        self.maybe_reset();
        let mut slots: Vec<Slot> = (0..self.links.len() as Slot).collect();
        self.rng.shuffle(&mut slots);
        slots.into_iter().for_each(|slot| self.step(slot));
        self.shuffle();
        let idle = self.ready.is_empty() && wait.want > 0;
        let passed = if idle { wait.timeout.0 } else { self.rng.u64(100..20_000) };
        self.clock.0.set(self.clock.0.get() + passed);
        Ok(())
    }

    fn next_completion(&mut self) -> Option<Completion> {
        let completion = self.ready.pop_front()?;
        if completion.op == Op::Receive {
            let acks = &mut self.links[completion.slot as usize].late_acks;
            acks.reads += 1;
            acks.reads_unasked += 1;
            acks.reads_unasked_max = acks.reads_unasked_max.max(acks.reads_unasked);
        }
        Some(completion)
    }

    fn delay_acks(&mut self, slot: Slot) {
        let acks = &mut self.links[slot as usize].late_acks;
        acks.asked += 1;
        acks.reads_unasked = 0;
    }

    fn received(&self, filled: Filled, len: usize) -> &[u8] {
        &self.buffers[usize::from(filled.buffer)][..len]
    }

    fn recycle(&mut self, filled: Filled) {
        let id = filled.buffer;
        assert!(!self.free.contains(&id), "buffer {id} given back twice");
        self.free.push(id);
    }

    fn counters(&self) -> RingCounters {
        self.counters
    }
}

fn errno(errno: Errno) -> i32 {
    -errno.raw_os_error()
}

/// Takes one whole client frame off the front.
fn next_frame(bytes: &mut Vec<u8>) -> Option<(OpCode, Vec<u8>)> {
    let mut cursor = io::Cursor::new(&bytes[..]);
    let (header, len) = FrameHeader::parse(&mut cursor).expect("a well-formed frame")?;
    let start = cursor.position() as usize;
    let end = start + len as usize;
    let mut payload = bytes.get(start..end)?.to_vec();
    let mask = header.mask.expect("clients mask their frames");
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    assert!(header.is_final, "the client does not fragment");
    bytes.drain(..end);
    Some((header.opcode, payload))
}

fn write_frame(out: &mut VecDeque<u8>, opcode: OpCode, payload: &[u8]) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).expect("a Vec takes everything");
    out.extend(bytes);
    out.extend(payload);
}
