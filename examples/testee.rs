//! What a conformance suite's server tests: an echo client of our wire, or of our whole worker.
//!
//! ```text
//! testee AGENT HOST:PORT wire|io_uring|timed|several|epoll[+deflate|+deflate-each] READ_BYTES
//! ```
//!
//! It speaks Autobahn's protocol for clients: `/getCaseCount` says how many cases there are, `/runCase` runs one.
//! `tests/conformance.py` starts the server and it. `wire` is the decoder and the upgrade over an ordinary socket;
//! the others are the worker of a run, from connect to close, on that ring. With 1 as `READ_BYTES` every read of
//! more is handed over byte by byte. With `+deflate` compression is offered, both ways;
//! with `+deflate-each` each message by itself; `wire` does not compress.

#[path = "../tests/common/plan.rs"]
mod plan;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::num::NonZero;
use std::ops::Range;
use std::time::Duration;

use fanstorm::dialect::Dialect;
use fanstorm::engine::connection::transport::Plain;
use fanstorm::engine::connection::transport::deflated::{self, Deflated};
use fanstorm::engine::connection::transport::tls::{self, Tls};
use fanstorm::engine::ring::epoll::EpollRing;
use fanstorm::engine::ring::several::SeveralRings;
use fanstorm::engine::ring::uring::UringRing;
use fanstorm::engine::ring::{
    Completion, Filled, Op, Ring, RingConfig, RingCounters, SendBuf, Slot, Wait,
};
use fanstorm::engine::worker::Worker;
use fanstorm::host::clock::Monotonic;
use fanstorm::plan::load::Spec;
use fanstorm::plan::upgrade_options::UpgradeOptions;
use fanstorm::population::sockets::SocketId;
use fanstorm::units::Nanos;
use fanstorm::wire::decoder::{BufferPool, Decoder, FrameCounts, Item};
use fanstorm::wire::deflate::DeflateOffer;
use fanstorm::wire::frame::{CloseCode, Opcode};
use fanstorm::wire::{encode, upgrade};

/// Autobahn's largest message is 16 MiB.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
const SILENCE: Duration = Duration::from_secs(20);
/// Autobahn asks for less where it wants that.
const OFFER: DeflateOffer = DeflateOffer {
    server_bits: None,
    client_bits: None,
    server_no_takeover: false,
    client_no_takeover: false,
    sends: true,
};
const MASK: [u8; 4] = [1, 2, 3, 4];

struct Testee {
    server: String,
    agent: String,
    way: String,
    offer: Option<DeflateOffer>,
    read_bytes: usize,
}

impl Testee {
    /// Connects to a path of the server and echoes until the connection ends: its last message.
    fn session(&self, target: &str) -> io::Result<Option<Vec<u8>>> {
        let size = RingConfig { slots: 1, buffers: 64, buffer_bytes: 64 << 10, direct: false };
        match self.way.as_str() {
            "wire" => self.over_wire(target),
            "io_uring" => self.over(UringRing::new(size)?, false, target),
            "timed" => self.over(UringRing::new(size)?, true, target),
            "several" => self.over(SeveralRings::new(size.direct(2), 2)?, false, target),
            "epoll" => self.over(EpollRing::new(size)?, false, target),
            other => panic!("no way is called {other}"),
        }
    }

    fn over<R: Ring>(&self, ring: R, timed: bool, target: &str) -> io::Result<Option<Vec<u8>>> {
        let spec = Spec {
            dialect: Dialect::raw(),
            push_sockets: 1,
            max_message_bytes: MESSAGE_BYTES_MAX as u64,
            connect_timeout: Nanos::from_secs(SILENCE.as_secs()),
            upgrade: UpgradeOptions { deflate: self.offer, ..UpgradeOptions::default() },
            ..Spec::default()
        };
        let plan = plan::plan(&[format!("ws://{}{target}", self.server)], spec);
        let ring = Pieces { ring, timed, bytes: self.read_bytes, part: None };
        let seat = SocketId { socket: 0, node: 0 };
        let (ring, rng) = ((ring, Monotonic), fastrand::Rng::new());
        if let Some(offer) = &self.offer {
            let inner = tls::Shared::new(None, 1);
            let shared =
                deflated::Shared::new(inner, offer, plan.messages.of_one(), MESSAGE_BYTES_MAX);
            let mut worker = Worker::<_, _, Deflated<Tls>>::over(shared, &plan, ring, &[seat], rng);
            return Ok(worker.echo()?.last);
        }
        let mut worker = Worker::<_, _, Plain>::over((), &plan, ring, &[seat], rng);
        Ok(worker.echo()?.last)
    }

    fn over_wire(&self, target: &str) -> io::Result<Option<Vec<u8>>> {
        let mut socket = TcpStream::connect(&self.server)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE))?;
        let key = upgrade::key([7; 16]);
        socket.write_all(&upgrade::request(&self.server, target, &key, &[]))?;
        let accept = upgrade::accept(&key);
        let expected = upgrade::Expected { accept: &accept, ..upgrade::Expected::default() };
        let (mut head, mut buffer) = (Vec::new(), vec![0; self.read_bytes]);
        let used = loop {
            match socket.read(&mut buffer)? {
                0 => return Ok(None),
                len => head.extend_from_slice(&buffer[..len]),
            }
            if let Some(used) = upgrade::parse_response(&head, expected).expect("an upgrade") {
                break used;
            }
        };
        let mut wire = Wire::default();
        let mut more = wire.take(&head[used..]);
        while more && socket.write_all(&std::mem::take(&mut wire.out)).is_ok() {
            match socket.read(&mut buffer) {
                Ok(0) | Err(_) => return Ok(wire.last),
                Ok(len) => more = wire.take(&buffer[..len]),
            }
        }
        // The server may be gone.
        let _ = socket.write_all(&wire.out);
        let _ = socket.shutdown(Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
        Ok(wire.last)
    }
}

/// A decoder, and what is to be said to what it finds.
struct Wire {
    decoder: Decoder,
    pool: BufferPool,
    out: Vec<u8>,
    last: Option<Vec<u8>>,
}

impl Default for Wire {
    fn default() -> Self {
        let decoder = Decoder::new(MESSAGE_BYTES_MAX);
        Self { decoder, pool: BufferPool::new(4, 1 << 16), out: Vec::new(), last: None }
    }
}

impl Wire {
    /// False where the connection is over.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let Self { decoder, pool, out, last } = self;
        let mut is_open = true;
        let fed = decoder.feed(bytes, pool, &mut FrameCounts::default(), &mut |item: Item<'_>| {
            match item {
                Item::Message(message) => {
                    let opcode = if message.is_binary() { Opcode::Binary } else { Opcode::Text };
                    let bytes = message.checked()?;
                    encode::write_frame(out, opcode, bytes, MASK);
                    *last = Some(bytes.to_vec());
                }
                Item::Ping(payload) => out.extend(encode::pong(payload, MASK)),
                Item::Pong(_) => {}
                Item::Close { code, .. } => {
                    let code = code.map_or(CloseCode::NORMAL, CloseCode);
                    out.extend(encode::close(code, "", MASK));
                    is_open = false;
                }
            }
            Ok(())
        });
        if let Err(violation) = fed {
            self.out.extend(encode::close(violation.code, violation.what, MASK));
            is_open = false;
        }
        is_open
    }
}

/// A ring whose reads are handed over in pieces.
struct Pieces<R> {
    ring: R,
    /// Arrivals may be timed: reads go another way then.
    timed: bool,
    bytes: usize,
    /// What is left of a read.
    part: Option<Part>,
}

#[derive(Clone, Copy)]
struct Part {
    whole: Completion,
    filled: Filled,
    at: usize,
}

impl<R: Ring> Ring for Pieces<R> {
    fn connect(&mut self, slot: Slot, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<()> {
        self.ring.connect(slot, to, from)
    }

    fn receive(&mut self, slot: Slot) {
        self.ring.receive(slot);
    }

    fn time_arrivals(&mut self, slot: Slot) {
        if self.timed {
            self.ring.time_arrivals(slot);
        }
    }

    fn send(&mut self, slot: Slot, buf: SendBuf, part: Range<usize>) {
        self.ring.send(slot, buf, part);
    }

    fn take_sent(&mut self, slot: Slot) -> Option<SendBuf> {
        self.ring.take_sent(slot)
    }

    fn close(&mut self, slot: Slot) {
        self.ring.close(slot);
    }

    fn is_free(&self, slot: Slot) -> bool {
        self.ring.is_free(slot)
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.ring.wait(wait)
    }

    fn next_completion(&mut self) -> Option<Completion> {
        if self.part.is_none() {
            let whole = self.ring.next_completion()?;
            let (Op::Receive, Some(filled)) = (whole.op, whole.buffer) else { return Some(whole) };
            self.part = Some(Part { whole, filled, at: 0 });
        }
        let part = self.part.as_mut().expect("it was just set");
        let all = part.whole.result.max(0) as usize;
        let len = self.bytes.min(all - part.at);
        let is_last = part.at + len == all;
        let filled = Filled { last: is_last, ..part.filled };
        Some(Completion {
            result: if all == 0 { part.whole.result } else { len as i32 },
            more: part.whole.more || !is_last,
            buffer: Some(filled),
            ..part.whole
        })
    }

    fn received(&self, _: Filled, len: usize) -> &[u8] {
        let part = self.part.as_ref().expect("a read is at hand");
        let all = part.whole.result.max(0) as usize;
        &self.ring.received(part.filled, all)[part.at..part.at + len]
    }

    fn recycle(&mut self, piece: Filled) {
        let Some(mut part) = self.part.take() else { return };
        if piece.last {
            return self.ring.recycle(part.filled);
        }
        part.at += self.bytes;
        self.part = Some(part);
    }

    fn counters(&self) -> RingCounters {
        self.ring.counters()
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [agent, server, way, read_bytes] = &words[..] else {
        panic!(
            "testee AGENT HOST:PORT wire|io_uring|timed|several|epoll[+deflate|+deflate-each] READ_BYTES"
        )
    };
    let read_bytes: NonZero<usize> = read_bytes.parse().expect("READ_BYTES is a number above 0");
    let each = DeflateOffer { server_no_takeover: true, client_no_takeover: true, ..OFFER };
    let (way, offer) = match way.split_once('+') {
        Some((way, "deflate")) => (way.to_owned(), Some(OFFER)),
        Some((way, "deflate-each")) => (way.to_owned(), Some(each)),
        _ => (way.clone(), None),
    };
    assert!(way != "wire" || offer.is_none(), "wire does not compress");
    let (agent, server) = (agent.clone(), server.clone());
    let testee = Testee { server, agent, way, offer, read_bytes: read_bytes.get() };
    let session = |target: &str| testee.session(target).expect("a ring and a socket");
    let count = session("/getCaseCount").expect("the server says how many cases there are");
    let count: u32 =
        String::from_utf8(count).ok().and_then(|text| text.parse().ok()).expect("a number");
    for case in 1..=count {
        session(&format!("/runCase?case={case}&agent={}", testee.agent));
    }
    session(&format!("/updateReports?agent={}", testee.agent));
}
