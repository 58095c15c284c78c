//! A rehearsal: a socket goes through a dialect as in a run, and all that passes is told.
//!
//! Belongs here: listening in between a worker and its wire, and saying what each message is to the dialect.
//! Does not: going through the dialect (`worker`, the same as in a run), printing (`cli::dialect`).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use super::connection::opening::{Next, OpeningProgress, Stream};
use super::connection::transport::deflated::{self, Deflated};
use super::connection::transport::tls::{self, Tls};
use super::connection::transport::{Transport, TransportError};
use super::key_rng::KeyRng;
use super::ring::epoll::EpollRing;
use super::ring::{RingConfig, SendBuf};
use super::spread::spread;
use super::worker::{Control, Directive, TrialProgress, Worker};
use crate::dialect::matching::Wanted;
use crate::dialect::pattern::Values;
use crate::dialect::{Recognized, Scanner, TextShape};
use crate::host::clock::{Clock, Monotonic};
use crate::plan::Plan;
use crate::population::nodes::Node;
use crate::population::sockets::SocketId;
use crate::units::Nanos;
use crate::wire::decoder::{BufferPool, Decoder, FrameCounts, Item};
use crate::wire::deflate::{Agreed, DeflateCounts};
use crate::wire::excerpt::excerpt;
use crate::wire::frame::Violation;

/// How long is listened after the copy came: what else comes may explain itself.
const AFTERWARDS: Nanos = Nanos::from_millis(300);

/// Something that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number of the socket.
    pub socket: u32,
    /// We said it.
    pub from_us: bool,
    /// Its beginning, escaped and without secrets.
    pub said: String,
    /// What it is to the dialect.
    pub note: String,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A socket was not let in, for this reason.
    Refused(String),
    /// The message was sent, and so many sockets that should have heard it did not.
    Heard {
        /// Of how many.
        of: usize,
        /// Those that did not.
        missing: usize,
        /// Copies that came to one of those that did: the least of them.
        fewest: u64,
        /// The most.
        most: u64,
    },
}

/// Goes through the dialect of `plan`, which has few sockets: all that passed, and how it ended.
///
/// # Errors
/// The ring failed.
pub fn rehearse(plan: &Plan, run: u32) -> io::Result<(Vec<Line>, Ended)> {
    let seats = &spread(plan.population(), 1)[0];
    let ring = EpollRing::new(RingConfig::for_sockets(seats.len() as u32))?;
    let tape = Rc::new(Tape::default());
    let over = (ring, Monotonic);
    let secured = tls::Shared::new(plan.tls.as_ref(), seats.len());
    // What is not offered is agreed to by nobody.
    let offer = plan.upgrade.deflate.unwrap_or_default();
    let (bounds, partial) = (plan.messages.of_one(), plan.partial_memory_each());
    let shared = (Rc::clone(&tape), deflated::Shared::new(secured, &offer, bounds, partial));
    let mut worker =
        Worker::<_, _, Witness>::over(shared, plan, over, seats, KeyRng::of_worker(None, 0));
    let failures = worker.connect(&mut Patience { until: Nanos::MAX, complete_at: None })?;
    let text = TextShape::new(plan.messages.payload_bytes).expect("a plan's payload holds a tag");
    let mut ended = match failures.into_iter().next() {
        Some(failure) => Ended::Refused(format!("{}: {}", failure.phase, failure.reason)),
        None => {
            let until = Monotonic.now().plus(plan.timeouts.ready);
            let missing =
                worker.probe(&text, run, &mut Patience { until, complete_at: None })?.len();
            worker.say_goodbye()?;
            Ended::Heard { of: seats.len(), missing, fewest: 0, most: 0 }
        }
    };
    let uuids: Vec<u128> = seats.iter().map(|seat| worker.uuid_of(seat.socket)).collect();
    let mut narrators: Vec<_> = seats
        .iter()
        .zip(uuids)
        .map(|(seat, uuid)| {
            Narrator::new(plan, (*seat, uuid), Scanner::new(&plan.dialect, &text, run))
        })
        .collect();
    let mut lines = Vec::new();
    for (socket, from_us, bytes) in tape.said.borrow().iter() {
        narrators[*socket].tell(*from_us, bytes, &mut lines);
    }
    if let Ended::Heard { fewest, most, .. } = &mut ended {
        let hears = |narrator: &&Narrator<'_>| plan.audience.hears_any(narrator.seat.socket);
        let copies = narrators.iter().filter(hears).map(Narrator::copies_of_a_message);
        (*fewest, *most) = (copies.clone().min().unwrap_or(0), copies.max().unwrap_or(0));
    }
    Ok((lines, ended))
}

/// Waits for the end of a phase, and no longer than until then.
struct Patience {
    until: Nanos,
    complete_at: Option<Nanos>,
}

impl Control for Patience {
    fn turn(&mut self, progress: TrialProgress, now: Nanos) -> Directive {
        if progress.complete {
            self.complete_at.get_or_insert(now);
        }
        let is_quiet = self.complete_at.is_some_and(|at| now.since(at) > AFTERWARDS);
        if is_quiet || now > self.until { Directive::End } else { Directive::Continue }
    }
}

/// All that passed, in order: which socket, whether we said it, and the bytes.
#[derive(Debug, Default)]
struct Tape {
    sockets: Cell<usize>,
    said: RefCell<Vec<(usize, bool, Vec<u8>)>>,
}

/// A transport that writes down what it passes on: frames as they are meant, without compression.
#[derive(Debug)]
struct Witness {
    socket: usize,
    tape: Rc<Tape>,
    inner: Deflated<Tls>,
}

impl Transport for Witness {
    type Shared = (Rc<Tape>, deflated::Shared<tls::Shared>);

    const NAME: &'static str = Tls::NAME;

    fn new((tape, shared): &Self::Shared) -> Self {
        let socket = tape.sockets.get();
        tape.sockets.set(socket + 1);
        Self { socket, tape: Rc::clone(tape), inner: Deflated::new(shared) }
    }

    fn begin(&mut self, (_, shared): &mut Self::Shared, node: &Node) {
        self.inner.begin(shared, node);
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn open<'b>(&'b mut self, wire: &'b [u8], (_, shared): &'b mut Self::Shared) -> &'b [u8] {
        let plain = self.inner.open(wire, shared);
        if !plain.is_empty() {
            self.tape.said.borrow_mut().push((self.socket, false, plain.to_vec()));
        }
        plain
    }

    fn more<'b>(&'b mut self, (_, shared): &'b mut Self::Shared) -> Option<&'b [u8]> {
        let plain = self.inner.more(shared)?;
        self.tape.said.borrow_mut().push((self.socket, false, plain.to_vec()));
        Some(plain)
    }

    fn upgraded(&mut self, agreed: Option<Agreed>, (_, shared): &mut Self::Shared) {
        self.inner.upgraded(agreed, shared);
    }

    fn behind_answer<'b>(
        &'b mut self,
        plain: &'b [u8],
        (_, shared): &'b mut Self::Shared,
    ) -> &'b [u8] {
        let frames = self.inner.behind_answer(plain, shared);
        // It came with the answer, and was written down as it came.
        if let Some((socket, false, last)) = self.tape.said.borrow_mut().last_mut()
            && *socket == self.socket
            && last.ends_with(plain)
        {
            last.truncate(last.len() - plain.len());
            last.extend_from_slice(frames);
        }
        frames
    }

    fn violation(&self) -> Option<Violation> {
        self.inner.violation()
    }

    fn deflated((_, shared): &Self::Shared) -> DeflateCounts {
        Deflated::<Tls>::deflated(shared)
    }

    fn release(&mut self, (_, shared): &mut Self::Shared) {
        self.inner.release(shared);
    }

    fn over(&self) -> Option<TransportError> {
        self.inner.over()
    }

    fn has_ended(&self) -> bool {
        self.inner.has_ended()
    }

    fn cut_off(&self) -> Option<&'static str> {
        self.inner.cut_off()
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
        (_, shared): &mut Self::Shared,
    ) -> (SendBuf, Range<usize>) {
        let said = plain.as_slice()[part.clone()].to_vec();
        self.tape.said.borrow_mut().push((self.socket, true, said));
        self.inner.seal(plain, part, shared)
    }

    fn plain_len(&self, taken: usize) -> usize {
        self.inner.plain_len(taken)
    }

    fn sent(&mut self, wire: SendBuf, (_, shared): &mut Self::Shared) -> SendBuf {
        self.inner.sent(wire, shared)
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

/// What a line of a head has of extensions, offered or agreed to (RFC 6455, section 9.1).
fn extensions(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"sec-websocket-extensions:";
    let (name, value) = line.trim_ascii().split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
}

/// Says of one socket what each message is.
struct Narrator<'a> {
    plan: &'a Plan,
    seat: SocketId,
    progress: OpeningProgress,
    is_open: bool,
    scanner: Scanner,
    /// How often each message came.
    came: HashMap<Recognized, u64>,
    replies: Vec<Wanted>,
    goodbyes: Vec<Wanted>,
    ours: Vec<u8>,
    theirs: Vec<u8>,
    decoder: Decoder,
    /// What is open of a stream.
    carried: Vec<u8>,
    /// The heads of the upgrade have passed, ours and theirs.
    heads: [bool; 2],
}

impl<'a> Narrator<'a> {
    fn new(plan: &'a Plan, (seat, uuid): (SocketId, u128), scanner: Scanner) -> Self {
        let replies = plan.dialect.replies.iter();
        Self {
            plan,
            seat,
            progress: OpeningProgress::new(seat, uuid, plan.opening_row(seat.socket)),
            is_open: false,
            scanner,
            came: HashMap::new(),
            replies: replies.map(|reply| reply.when.with(&Values::default())).collect(),
            goodbyes: plan
                .dialect
                .goodbyes
                .iter()
                .map(|said| said.with(&Values::default()))
                .collect(),
            ours: Vec::new(),
            theirs: Vec::new(),
            decoder: Decoder::new(plan.messages.max_bytes),
            carried: Vec::new(),
            heads: [false; 2],
        }
    }

    fn tell(&mut self, from_us: bool, bytes: &[u8], lines: &mut Vec<Line>) {
        let all = if from_us { &mut self.ours } else { &mut self.theirs };
        all.extend_from_slice(bytes);
        let head = &mut self.heads[usize::from(from_us)];
        if !*head {
            let Some(end) = memchr::memmem::find(all, b"\r\n\r\n") else { return };
            let said: Vec<u8> = all.drain(..end + 4).collect();
            *head = true;
            let mut said = said.split(|byte| *byte == b'\r');
            let first = said.next().unwrap_or_default();
            let note = said.find_map(extensions).map_or_else(
                || "the upgrade".to_owned(),
                |extensions| format!("the upgrade, with {}", excerpt(extensions)),
            );
            self.line(from_us, first, note, lines);
        }
        if from_us { self.tell_ours(lines) } else { self.tell_theirs(lines) }
    }

    fn line(&self, from_us: bool, said: &[u8], note: String, lines: &mut Vec<Line>) {
        let socket = self.seat.socket;
        let said = self.plan.upgrade.hide(socket, excerpt(said));
        lines.push(Line { socket, from_us, said, note: self.plan.upgrade.hide(socket, note) });
    }

    fn tell_ours(&mut self, lines: &mut Vec<Line>) {
        while let Some((code, payload)) = take_frame(&mut self.ours) {
            let note = match code {
                OpCode::Control(control) => format!("{control:?}").to_lowercase(),
                OpCode::Data(_) => self.of_ours(&payload),
            };
            let is_close = note == "close";
            self.line(true, if is_close { b"" } else { &payload }, note, lines);
        }
    }

    /// What a message of ours is.
    fn of_ours(&mut self, payload: &[u8]) -> String {
        let dialect = &self.plan.dialect;
        if let Some(place) = dialect.replies.iter().position(|reply| reply.send.may_be(payload)) {
            return format!("reply {}", place + 1);
        }
        self.look();
        if !self.is_open {
            let step = self.progress.step() + 1;
            if let Next::Send(_) = self.progress.next(&dialect.opening) {
                self.look();
                return format!("step {step} of the opening");
            }
        }
        match dialect.heartbeats.iter().position(|beat| beat.send.may_be(payload)) {
            Some(place) => format!("heartbeat {}", place + 1),
            None => "the message".into(),
        }
    }

    /// Steps that are done without a word.
    fn look(&mut self) {
        self.is_open = self.progress.skip(&self.plan.dialect.opening);
    }

    fn tell_theirs(&mut self, lines: &mut Vec<Line>) {
        let bytes = std::mem::take(&mut self.theirs);
        let (mut pool, mut counts) = (BufferPool::new(1, 1024), FrameCounts::default());
        let mut items = Vec::new();
        let mut hear = |item: Item<'_>| -> Result<(), Violation> {
            items.push(match item {
                Item::Message(message) => (message.unchecked().to_vec(), None),
                Item::Ping(payload) => (payload.to_vec(), Some("ping".to_owned())),
                Item::Pong(payload) => (payload.to_vec(), Some("pong".to_owned())),
                Item::Close { code, reason } => {
                    let code =
                        code.map_or_else(|| "without a code".into(), |code| code.to_string());
                    (reason.as_bytes().to_vec(), Some(format!("close {code}")))
                }
            });
            Ok(())
        };
        // Where it breaks the rules the worker has said so.
        let _ = self.decoder.feed(&bytes, &mut pool, &mut counts, &mut hear);
        for (said, note) in items {
            let note = note.unwrap_or_else(|| self.of_theirs(&said));
            self.line(false, &said, note, lines);
        }
    }

    /// What a message of the node is.
    fn of_theirs(&mut self, message: &[u8]) -> String {
        let opening = &self.plan.dialect.opening;
        self.look();
        let stream = self.plan.dialect.stream;
        if stream {
            self.carried.extend_from_slice(message);
        }
        let (step, mut notes) = (self.progress.step(), Vec::new());
        let window = if stream { std::mem::take(&mut self.carried) } else { message.to_vec() };
        let mut from = 0;
        if !self.is_open {
            if stream {
                match self.progress.hear_stream(opening, &window, 0) {
                    Stream::Used(up_to) | Stream::Over(up_to) => from = up_to,
                }
            } else {
                self.progress.hear(opening, message);
            }
            notes.extend(
                (step..self.progress.step()).map(|step| format!("answers step {}", step + 1)),
            );
            if let Some(refusal) = self.progress.refusal() {
                notes.push(refusal.to_owned());
            } else if notes.is_empty() {
                notes.push(format!("no answer to step {}", step + 1));
            }
            self.look();
        }
        if self.is_open && (from > 0 || notes.is_empty()) && from < window.len().max(1) {
            let copies = self.copies(&window, from);
            match copies {
                0 if notes.is_empty() => notes.push("no copy".into()),
                0 => {}
                1 => notes.push("a copy of the message".into()),
                more => notes.push(format!("{more} copies of the message")),
            }
        } else if stream {
            self.carried = window[from..].to_vec();
        }
        let asked = |wanted: &&Wanted| wanted.is_in(message);
        if self.goodbyes.iter().any(|wanted| wanted.is_in(message)) {
            notes.retain(|note| !note.starts_with("no "));
            notes.push("a goodbye".into());
        }
        if let Some(place) = self.replies.iter().position(|wanted| asked(&wanted)) {
            notes.retain(|note| !note.starts_with("no "));
            notes.push(format!("asks for reply {}", place + 1));
        }
        notes.join(", ")
    }

    /// How often one message came: a probe that came late may have been repeated, and then not all of the last.
    fn copies_of_a_message(&self) -> u64 {
        self.came.values().copied().max().unwrap_or(0)
    }

    fn copies(&mut self, window: &[u8], from: usize) -> usize {
        let mut copies = 0;
        let came = &mut self.came;
        let mut count = |sighting| {
            let message = match sighting {
                Recognized::Copy { sender, sequence, .. } => {
                    Recognized::Copy { sender, sequence, id: None }
                }
                Recognized::Id(_) => sighting,
                Recognized::Earlier { .. } | Recognized::Corrupt | Recognized::Foreign => return,
            };
            copies += 1;
            *came.entry(message).or_default() += 1;
        };
        if self.plan.dialect.stream {
            let open = self.scanner.stream(window, from, &mut count);
            self.carried = window[open..].to_vec();
        } else {
            self.scanner.scan(window, &mut count);
        }
        copies
    }
}

/// Takes a frame of a client off the front, if it is all there.
fn take_frame(bytes: &mut Vec<u8>) -> Option<(OpCode, Vec<u8>)> {
    let mut cursor = io::Cursor::new(&bytes[..]);
    let (header, len) = FrameHeader::parse(&mut cursor).ok()??;
    let (start, len) = (cursor.position() as usize, usize::try_from(len).ok()?);
    let mask = header.mask.unwrap_or_default();
    let payload = bytes.get(start..start + len)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    bytes.drain(..start + len);
    Some((header.opcode, payload))
}
