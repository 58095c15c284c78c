//! What our own code costs for each copy, part by part, against naive twins.
//!
//! No kernel and no sockets: bytes in memory, one thread, CPU time. `loop` is all parts together in
//! the order of the worker, the number that decides whether the generator or the cluster is measured:
//! senders that take turns at each message (`64KiB`) and after 64 (`runs`), tags alone, and dsatter, where
//! half of the sockets hear ids. `64KiB` once more by two threads on two CPUs, which must not slow each other
//! down: they share only what is read; and by a naive twin. `FANSTORM_BENCH_LOOP_MAX=0.2` fails where the
//! loop takes more than that of its twin: for CI, far from what noise does.
//!
//! `cargo bench --bench parts` (add `-- tag` for one part)

mod common;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hint::black_box;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Barrier};

use common::{Row, Size};
use fanstorm::dialect::{CorrelationId, Dialect, Recognized, Scanner, Tag, TextShape};
use fanstorm::engine::frames::{FrameShape, SenderFrames};
use fanstorm::engine::ring::SendBuf;
use fanstorm::host::clock::{Clock, Monotonic, thread_cpu_time};
use fanstorm::measure::correlate::{Attribution, Correlator};
use fanstorm::measure::ledger::{Classification, Ledger};
use fanstorm::measure::recorder::Recorder;
use fanstorm::measure::sent::SentTimes;
use fanstorm::population::audience::Audience;
use fanstorm::population::fan_out::FanOut;
use fanstorm::population::sockets::{Population, SocketId};
use fanstorm::population::turns::Turns;
use fanstorm::units::Nanos;
use fanstorm::wire::decoder::{BufferPool, Decoder, FrameCounts, Hearer, Item, LeftOut, Message};
use fanstorm::wire::frame::Violation;
use tungstenite::protocol::{Role, WebSocket};

const RUN: u32 = 0xfeed_beef;
const PAYLOAD: usize = 150;
const SENDERS: u32 = 3;

fn main() {
    let (cpu, _) = common::cpus();
    common::pin(cpu);
    let size = Size::from_env();
    let parts = ["decode", "tag", "stream", "ledger", "record", "correlate", "patch", "loop"];
    for name in parts {
        if common::wants(name, &parts) {
            match name {
                "decode" => decode(size),
                "tag" => tag(size),
                "stream" => stream(size),
                "ledger" => ledger(size),
                "record" => record(size),
                "correlate" => correlate(size),
                "patch" => patch(size),
                _ => whole(size),
            }
        }
    }
}

/// CPU nanoseconds of `work` for each of `count` copies.
fn timed(count: u64, work: impl FnOnce()) -> f64 {
    let before = thread_cpu_time();
    work();
    thread_cpu_time().since(before).0 as f64 / count as f64
}

fn text() -> TextShape {
    TextShape::new(PAYLOAD).expect("long enough")
}

fn message(sender: u16, sequence: u64) -> Vec<u8> {
    let mut message = Vec::new();
    Dialect::raw().render(&text(), Tag { run: RUN, sender, sequence }, &mut message);
    message
}

fn server_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        len @ ..=125 => frame.push(len as u8),
        len => match u16::try_from(len) {
            Ok(len) => {
                frame.push(126);
                frame.extend(len.to_be_bytes());
            }
            Err(_) => {
                frame.push(127);
                frame.extend((len as u64).to_be_bytes());
            }
        },
    }
    frame.extend(payload);
    frame
}

/// A read of 64 KiB full of frames, cut where it ends.
fn reads(frames: u64) -> Vec<Vec<u8>> {
    let stream: Vec<u8> = (0..frames)
        .flat_map(|i| {
            server_frame(&message((i % u64::from(SENDERS)) as u16, i / u64::from(SENDERS)))
        })
        .collect();
    stream.chunks(64 << 10).map(<[u8]>::to_vec).collect()
}

fn decode(size: Size) {
    // Over and over, so that the bytes are in the cache, where the kernel puts them.
    let (frames, times) = (4_000, size.of(100));
    let once = reads(frames);
    let (frames, reads) =
        (frames * times, || once.iter().cycle().take(once.len() * times as usize));
    common::interleave("decode", "64KiB", size, &["worker", "tungstenite"], |subject| {
        timed(frames, || {
            let seen =
                if subject == "worker" { decode_ours(reads()) } else { decode_peer(reads()) };
            assert_eq!(seen, frames);
        })
    });
}

fn decode_ours<'a>(reads: impl Iterator<Item = &'a Vec<u8>>) -> u64 {
    let (mut decoder, mut pool) = (Decoder::new(1 << 20), BufferPool::new(1, 512));
    let (mut counts, mut seen) = (FrameCounts::default(), 0);
    for read in reads {
        let visit = &mut |item: Item<'_>| {
            if let Item::Message(message) = item {
                black_box(message.checked()?);
                seen += 1;
            }
            Ok(())
        };
        decoder.feed(read, &mut pool, &mut counts, visit).expect("valid");
    }
    seen
}

fn decode_peer<'a>(reads: impl Iterator<Item = &'a Vec<u8>>) -> u64 {
    let mut socket = WebSocket::from_raw_socket(Wire(Cursor::default()), Role::Client, None);
    let mut seen = 0;
    for read in reads {
        socket.get_mut().0 = Cursor::new(read);
        while let Ok(message) = socket.read() {
            seen += u64::from(black_box(message).is_text());
        }
    }
    seen
}

/// Reads in memory as a socket.
struct Wire<'a>(Cursor<&'a [u8]>);

impl Read for Wire<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tag(size: Size) {
    let count = size.of(400_000);
    let messages: Vec<_> = (0..1000).map(|i| message(2, i)).collect();
    common::interleave("tag", "raw150", size, &["worker", "naive"], |subject| {
        let mut scanner = Scanner::new(&Dialect::raw(), &text(), RUN);
        let mut sum = 0;
        let ns = timed(count, || {
            for message in messages.iter().cycle().take(count as usize) {
                match subject {
                    "worker" => scanner.scan(message, &mut |sighting| {
                        if let Recognized::Copy { sequence, .. } = sighting {
                            sum += sequence;
                        }
                    }),
                    _ => sum += naive_tag(message),
                }
            }
        });
        assert_eq!(sum, (0..count).map(|i| i % 1000).sum::<u64>());
        ns
    });
}

/// What a server that glues messages sends, against the same messages one by one.
fn stream(size: Size) {
    let (glued, windows) = (300, size.of(1_500));
    let count = glued * windows;
    let dialect = Dialect { stream: true, ..Dialect::raw() };
    let messages: Vec<_> = (0..glued).map(|i| message(2, i)).collect();
    let window: Vec<u8> = messages
        .iter()
        .flat_map(|message| [b"MSG room.1 1 150\r\n".as_slice(), message, b"\r\n"].concat())
        .collect();
    common::interleave("stream", "nats150", size, &["worker", "raw"], |subject| {
        let scanner = Scanner::new(&dialect, &text(), RUN);
        let mut raw = Scanner::new(&Dialect::raw(), &text(), RUN);
        let mut sum = 0;
        let mut note = |sighting| {
            if let Recognized::Copy { sequence, .. } = sighting {
                sum += sequence;
            }
        };
        let ns = timed(count, || {
            for _ in 0..windows {
                match subject {
                    "worker" => {
                        let open = scanner.stream(black_box(&window), 0, &mut note);
                        assert_eq!(open, window.len());
                    }
                    _ => {
                        messages.iter().for_each(|message| raw.scan(black_box(message), &mut note))
                    }
                }
            }
        });
        assert_eq!(sum, windows * (glued * (glued - 1) / 2));
        ns
    });
}

/// Find, check, parse, compare: with what the standard library has.
fn naive_tag(message: &[u8]) -> u64 {
    let text = std::str::from_utf8(message).expect("text");
    let at = text.find(&format!("fs{RUN:08x}")).expect("a tag");
    let sequence = u64::from_str_radix(&text[at + 14..at + 24], 16).expect("digits");
    assert!(Tag::decode(&message[at..]).is_ok());
    assert!(text.starts_with("fanstorm message "));
    sequence
}

fn ledger(size: Size) {
    let count = size.of(300_000) as u32;
    let ordered: Vec<u32> = (0..count).collect();
    let mut shuffled = ordered.clone();
    fastrand::Rng::with_seed(1).shuffle(&mut shuffled);
    for (shape, numbers) in [("ordered", &ordered), ("shuffled", &shuffled)] {
        common::interleave("ledger", shape, size, &["worker", "naive"], |subject| {
            timed(count.into(), || match subject {
                "worker" => {
                    let mut ledger =
                        Ledger::new(&everybody(1), &[SocketId { socket: 0, node: 0 }], &[count]);
                    // Else the compiler knows that there is one stream, and looks for none.
                    black_box(&mut ledger);
                    for &number in numbers {
                        assert_ne!(ledger.arrive(0, 0, number), Classification::Duplicate);
                    }
                    assert_eq!(ledger.missing(0, 0).count(), 0);
                }
                _ => {
                    let mut seen = HashSet::new();
                    assert!(numbers.iter().all(|&number| seen.insert(number)));
                }
            })
        });
    }
}

/// So many senders on one node, 8 receivers, and everybody hears everything.
fn everybody(senders: u32) -> Audience {
    Audience::new(Population::new(1, 0, senders, 8).expect("few"), FanOut::All)
}

/// A recorder of 8 sockets and the copies that it will get: every message on every socket.
fn recorder(messages: u64, sent: Arc<SentTimes>) -> Recorder {
    let seats = (0..8).map(|socket| SocketId { socket, node: 0 }).collect();
    Recorder::new(seats, 1, &Turns::new(SENDERS).share(messages), &everybody(SENDERS), false, sent)
}

/// All messages, as sent at the beginning.
fn sent(messages: u64) -> Arc<SentTimes> {
    let counts = Turns::new(SENDERS).share(messages);
    let sent = SentTimes::new(&counts);
    for (sender, &count) in counts.iter().enumerate() {
        sent.stamp(sender, 0, count, Nanos(1));
    }
    Arc::new(sent)
}

fn record(size: Size) {
    let messages = size.of(50_000);
    let copies = messages * 8;
    common::interleave("record", "ordered", size, &["worker", "naive"], |subject| {
        if subject == "worker" {
            let mut recorder = recorder(messages, sent(messages));
            let ns = timed(copies, || {
                for i in 0..messages {
                    let (sender, sequence) = ((i % 3) as u16, i / 3);
                    for socket in 0..8 {
                        recorder.copy(socket, sender, sequence, None, Nanos(1000 + i * 10));
                    }
                }
            });
            assert_eq!(recorder.counts.delivered, copies);
            return ns;
        }
        let (mut seen, mut latencies) = (HashSet::new(), Vec::new());
        let mut times: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let ns = timed(copies, || {
            for i in 0..messages {
                for socket in 0..8_u64 {
                    if seen.insert((socket, i)) {
                        latencies.push(999 + i * 10);
                        times.entry(i).or_insert((1000 + i * 10, 0)).1 = 1000 + i * 10;
                    }
                }
            }
            latencies.sort_unstable();
        });
        assert_eq!(latencies.len() as u64, copies);
        ns
    });
}

fn correlate(size: Size) {
    let messages = size.of(100_000) as u32;
    common::interleave("correlate", "1teach4ask", size, &["worker", "naive"], |subject| {
        let key = |i: u32| CorrelationId::from(u128::from(i) * 7 + 1_003_000);
        let mut found = 0_u64;
        let ns = timed(u64::from(messages) * 4, || match subject {
            "worker" => {
                let mut correlator = Correlator::new(messages as usize, 1024);
                for i in 0..messages {
                    // One copy too early, three after.
                    assert_eq!(correlator.attribute(key(i), 0, 5), Attribution::Waits(0));
                    let mut waiters = correlator.learn(key(i), i);
                    while correlator.release(&mut waiters).is_some() {
                        found += 1;
                    }
                    for socket in 1..4 {
                        let known = correlator.attribute(key(i), socket, 6);
                        found += u64::from(known == Attribution::Message(i));
                    }
                }
            }
            _ => {
                let (mut known, mut waiting) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
                for i in 0..messages {
                    waiting.entry(key(i)).or_default().push((0, 5));
                    known.insert(key(i), i);
                    found += waiting.remove(&key(i)).map_or(0, |early| early.len() as u64);
                    for _ in 1..4 {
                        found += u64::from(known.get(&key(i)) == Some(&i));
                    }
                }
            }
        });
        assert_eq!(found, u64::from(messages) * 4);
        ns
    });
}

/// Patching a window of frames for its next send: tag, mask, and nothing else.
fn patch(size: Size) {
    let shape = FrameShape::new(Dialect::raw(), text(), RUN);
    let mut rng = fastrand::Rng::with_seed(1).into();
    let count = size.of(400_000) as u32;
    common::interleave("patch", "window", size, &["worker", "naive"], |subject| {
        let mut frames = SenderFrames::new(&shape, 2, count, false, &mut rng);
        let mut sent = 0;
        let ns = timed(count.into(), || {
            while let Some(chunk) = frames.take(sent, count) {
                sent = chunk.sequence.end;
                let SendBuf::Owned(mut window) = chunk.buf else {
                    unreachable!("a window is owned")
                };
                if subject == "naive" {
                    let numbers = chunk.sequence.clone();
                    window =
                        numbers.flat_map(|n| masked(&message(2, n.into()), [1, 2, 3, 4])).collect();
                }
                frames.give_back(SendBuf::Owned(black_box(window)));
            }
        });
        assert_eq!(sent, count);
        ns
    });
}

/// A client's frame, made byte by byte.
fn masked(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Decode, scan, account, record, stamp: everything between the kernel's bytes and the histogram.
fn whole(size: Size) {
    let mut median_of_naive = None;
    for shape in Shape::ALL {
        if !common::wants(shape.name, &Shape::ALL.map(|shape| shape.name)) {
            continue;
        }
        let messages = size.of(shape.messages);
        let reads = shape.reads(messages);
        let subjects: &[_] = match shape.name {
            "64KiB" => &["worker", "two_workers", "naive"],
            // Each text is cut by a read: with and without a copy of all that came before the cut.
            "long" => &["worker", "kept"],
            _ => &["worker"],
        };
        let rows = common::interleave("loop", shape.name, size, subjects, |subject| {
            let sent = sent(messages);
            match subject {
                "worker" | "kept" => receive_all(&shape, &reads, messages, sent, subject),
                "two_workers" => side_by_side(&shape, &reads, messages, &sent),
                _ => receive_naively(&reads, messages),
            }
        });
        let median = |subject| rows.iter().find(|row| row.subject == subject).map(Row::median);
        let (one, two, naive) = (median("worker"), median("two_workers"), median("naive"));
        if let (Some(one), Some(two)) = (one, two) {
            // In CPU time, not by the clock: other programs on the machine take turns, not cache lines.
            println!("loop       two workers do {:.2} times the work of one", 2.0 * one / two);
        }
        if let (Some(one), Some(naive)) = (one, naive) {
            println!("loop       the worker takes {:.3} of its naive twin", one / naive);
            median_of_naive = Some(one / naive);
        }
    }
    // 0.04 on a quiet Xeon; 0.06 before frames were taken by vectors.
    let most = std::env::var("FANSTORM_BENCH_LOOP_MAX").ok().map(|most| most.parse::<f64>());
    if let (Some(ratio), Some(most)) = (median_of_naive, most) {
        let most = most.expect("FANSTORM_BENCH_LOOP_MAX is a ratio");
        assert!(
            ratio < most,
            "the loop takes {ratio:.3} of its naive twin, and {most} is too much"
        );
    }
}

/// What the worker hears in `loop`.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    payload: usize,
    dialect: fn() -> Dialect,
    /// Messages of one sender before it is the next one's turn.
    turn: u64,
    messages: u64,
}

impl Shape {
    const ALL: [Self; 5] = [
        Self::of("64KiB", PAYLOAD, Dialect::raw),
        Self { turn: 64, ..Self::of("runs", PAYLOAD, Dialect::raw) },
        Self::of("bare26", 26, Dialect::raw),
        Self::of("dsatter", PAYLOAD, Dialect::dsatter),
        Self { messages: 500, ..Self::of("long", 64 << 10, Dialect::raw) },
    ];

    const fn of(name: &'static str, payload: usize, dialect: fn() -> Dialect) -> Self {
        Self { name, payload, dialect, turn: 1, messages: 50_000 }
    }

    fn text(&self) -> TextShape {
        TextShape::new(self.payload).expect("long enough")
    }

    /// What each socket reads: 64 KiB at once, cut where they end. Of dsatter, the first half of the
    /// sockets hears the texts and the other the ids alone.
    fn reads(&self, messages: u64) -> [Vec<Vec<u8>>; 2] {
        let mut next = [0_u64; SENDERS as usize];
        let counts = Turns::new(SENDERS).share(messages);
        let mut order = Vec::new();
        while (order.len() as u64) < messages {
            for sender in 0..SENDERS as usize {
                let end = (next[sender] + self.turn).min(counts[sender].into());
                order.extend((next[sender]..end).map(|sequence| (sender as u16, sequence)));
                next[sender] = end;
            }
        }
        let stream = |with_text: bool| -> Vec<u8> {
            let numbered = (1_000_000_u64..).zip(&order);
            let frame = |(id, &(sender, sequence)): (u64, &(u16, u64))| {
                server_frame(&self.copy(with_text, id, sender, sequence))
            };
            numbered.flat_map(frame).collect()
        };
        [true, false]
            .map(|with_text| stream(with_text).chunks(64 << 10).map(<[u8]>::to_vec).collect())
    }

    fn copy(&self, with_text: bool, id: u64, sender: u16, sequence: u64) -> Vec<u8> {
        let mut text = Vec::new();
        self.text().render(Tag { run: RUN, sender, sequence }, &mut text);
        if !(self.dialect)().correlates() {
            return text;
        }
        let head = r#"{"type":"newMessagesForClient","source":1003,"payload":[{"#;
        if !with_text {
            return format!(r#"{head}"messageId":"1003{id}"}}]}}"#).into_bytes();
        }
        let text = String::from_utf8(text).expect("texts are ASCII");
        let ids = format!(r#""nodeId":1003,"id":{id},"messageId":"1003{id}","chatId":11"#);
        let time = format!("2026-11-24T09:01:05.{:03}Z", id % 1000);
        let rest = format!(r#""text":"{text}","dateTime":"{time}","sender":"fanstorm"}}]}}"#);
        format!("{head}{ids},{rest}").into_bytes()
    }
}

/// CPU nanoseconds per copy of the slower of two threads, each with its own state on its own CPU.
fn side_by_side(
    shape: &Shape,
    reads: &[Vec<Vec<u8>>; 2],
    messages: u64,
    sent: &Arc<SentTimes>,
) -> f64 {
    let (one, other) = common::cpus();
    let start = Barrier::new(2);
    let work = &|cpu| {
        common::pin(cpu);
        start.wait();
        receive_all(shape, reads, messages, Arc::clone(sent), "two_workers")
    };
    std::thread::scope(|scope| {
        let threads = [one, other].map(|cpu| scope.spawn(move || work(cpu)));
        threads.map(|thread| thread.join().expect("no panic")).into_iter().fold(0.0, f64::max)
    })
}

/// CPU nanoseconds per copy of one thread that hears everything on 8 sockets.
fn receive_all(
    shape: &Shape,
    [texts, others]: &[Vec<Vec<u8>>; 2],
    messages: u64,
    sent: Arc<SentTimes>,
    subject: &str,
) -> f64 {
    let copies = messages * 8;
    let dialect = (shape.dialect)();
    let seats = (0..8).map(|socket| SocketId { socket, node: 0 }).collect();
    let counts = Turns::new(SENDERS).share(messages);
    let correlates = dialect.correlates();
    let mut recorder = Recorder::new(seats, 1, &counts, &everybody(SENDERS), correlates, sent);
    let mut scanner = Scanner::new(&dialect, &shape.text(), RUN);
    let mut decoders: Vec<_> = (0..8).map(|_| Decoder::new(1 << 20)).collect();
    let room = (shape.payload + 512).next_power_of_two();
    let mut pool = BufferPool::new(16, room);
    if subject != "kept" {
        pool = pool.of_period(TextShape::PERIOD);
    }
    let mut frames = FrameCounts::default();
    let rounds = texts.len().max(others.len());
    let ns = timed(copies, || {
        for round in 0..rounds {
            for (socket, decoder) in (0_u32..).zip(&mut decoders) {
                let Some(read) = (if socket < 4 { texts } else { others }).get(round) else {
                    continue;
                };
                let at = Monotonic.now();
                let mut ear = Ear { recorder: &mut recorder, scanner: &mut scanner, socket, at };
                decoder.feed(read, &mut pool, &mut frames, &mut ear).expect("valid");
            }
        }
    });
    assert_eq!((recorder.counts.delivered, recorder.counts.duplicate), (copies, 0));
    ns
}

/// The worker's trial, without the worker.
struct Ear<'a> {
    recorder: &'a mut Recorder,
    scanner: &'a mut Scanner,
    socket: u32,
    at: Nanos,
}

impl Ear<'_> {
    #[inline(always)]
    fn note(recorder: &mut Recorder, socket: u32, at: Nanos, sighting: Recognized, many: u32) {
        match sighting {
            Recognized::Copy { sender, sequence, id: None } => {
                recorder.copies(socket, sender, sequence, many, at);
            }
            Recognized::Copy { sender, sequence, id } => {
                recorder.copy(socket, sender, sequence, id, at);
            }
            Recognized::Id(id) => recorder.id_only(socket, id, at),
            Recognized::Earlier { .. } | Recognized::Corrupt | Recognized::Foreign => {
                unreachable!("all are of this run")
            }
        }
    }
}

impl Hearer for Ear<'_> {
    #[inline(always)]
    fn item(&mut self, item: Item<'_>) -> Result<(), Violation> {
        let Item::Message(message) = item else { return Ok(()) };
        let Self { recorder, scanner, socket, at } = self;
        let mut note = |sighting| Self::note(recorder, *socket, *at, sighting, 1);
        match scanner.recognise(message.unchecked()) {
            Some(sighting) => note(sighting),
            None => scanner.search(message.checked()?, &mut note),
        }
        Ok(())
    }

    fn hears_abridged(&self) -> bool {
        self.scanner.hears_abridged()
    }

    fn abridged(&mut self, message: Message<'_>, left_out: LeftOut) -> bool {
        let said = self.scanner.recognise_abridged(message.unchecked(), left_out);
        if let Some(sighting) = said {
            Self::note(self.recorder, self.socket, self.at, sighting, 1);
        }
        said.is_some()
    }

    #[inline(always)]
    fn frames(&mut self, bytes: &[u8]) -> (u64, usize) {
        let Self { recorder, scanner, socket, at } = self;
        let taken = scanner.run(bytes, &mut |sighting, many| {
            Self::note(recorder, *socket, *at, sighting, many);
        });
        (taken.frames, taken.bytes)
    }
}

/// The same by what libraries and the standard library have: tungstenite's frames, a search for the tag, a
/// set and a list.
fn receive_naively([texts, _]: &[Vec<Vec<u8>>; 2], messages: u64) -> f64 {
    let copies = messages * 8;
    let (mut seen, mut latencies) = (HashSet::new(), Vec::new());
    let ns = timed(copies, || {
        for socket in 0..8_u32 {
            let mut peer = WebSocket::from_raw_socket(Wire(Cursor::default()), Role::Client, None);
            for read in texts {
                let at = Monotonic.now();
                peer.get_mut().0 = Cursor::new(read);
                while let Ok(message) = peer.read() {
                    let payload = message.into_data();
                    let sender = Tag::decode(&payload[LEAD_IN..]).expect("a tag").sender;
                    if seen.insert((socket, sender, naive_tag(&payload))) {
                        latencies.push(at.0);
                    }
                }
            }
        }
        latencies.sort_unstable();
    });
    assert_eq!(latencies.len() as u64, copies);
    ns
}

/// Bytes before the tag.
const LEAD_IN: usize = "fanstorm message ".len();
