//! What our own code costs for each copy, part by part, against naive twins.
//!
//! No kernel and no sockets: bytes in memory, one thread, CPU time. `loop` is all parts together in
//! the order of the worker, the number that decides whether the generator or the cluster is measured;
//! once more by two threads on two CPUs, which must not slow each other down: they share only what is
//! read.
//!
//! `cargo bench --bench parts` (add `-- tag` for one part)

mod common;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hint::black_box;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Barrier};

use common::Size;
use fanstorm::dialect::{CorrelationId, Dialect, Scanner, Sighting, Tag, TextShape};
use fanstorm::host::clock::{Clock, Monotonic, thread_cpu_time};
use fanstorm::measure::correlate::{Attribution, Correlator};
use fanstorm::measure::ledger::{Arrival, Ledger};
use fanstorm::measure::recorder::{Recorder, Seat};
use fanstorm::measure::sent::{SentTimes, share};
use fanstorm::plan::fan_out::FanOut;
use fanstorm::units::Nanos;
use fanstorm::wire::decoder::{BufferPool, Decoder, FrameCounts, Item};
use tungstenite::protocol::{Role, WebSocket};

const RUN: u32 = 0xfeed_beef;
const PAYLOAD: usize = 150;
const SENDERS: u32 = 3;

fn main() {
    let (cpu, _) = common::cpus();
    common::pin(cpu);
    let size = Size::from_env();
    let parts = ["decode", "tag", "ledger", "record", "correlate", "loop"];
    for name in parts {
        if common::wants(name, &parts) {
            match name {
                "decode" => decode(size),
                "tag" => tag(size),
                "ledger" => ledger(size),
                "record" => record(size),
                "correlate" => correlate(size),
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
    let mut frame = vec![0x81, 126];
    frame.extend((payload.len() as u16).to_be_bytes());
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
                        if let Sighting::Copy { sequence, .. } = sighting {
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
                    let mut ledger = Ledger::new(1, &[count], |_, _| true);
                    for &number in numbers {
                        assert_ne!(ledger.arrive(0, 0, number), Arrival::Duplicate);
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

/// A recorder of 8 sockets and the copies that it will get: every message on every socket.
fn recorder(messages: u64, sent: Arc<SentTimes>) -> Recorder {
    let seats = (0..8).map(|socket| Seat { socket, node: 0 }).collect();
    Recorder::new(seats, 1, &share(messages, SENDERS), FanOut::All, false, sent)
}

/// All messages, as sent at the beginning.
fn sent(messages: u64) -> Arc<SentTimes> {
    let counts = share(messages, SENDERS);
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

/// Decode, scan, account, record, stamp: everything between the kernel's bytes and the histogram.
fn whole(size: Size) {
    let messages = size.of(50_000);
    let reads = reads(messages);
    let rows = common::interleave("loop", "64KiB", size, &["worker", "two_workers"], |subject| {
        let sent = sent(messages);
        match subject {
            "worker" => receive_all(&reads, messages, sent),
            _ => side_by_side(&reads, messages, &sent),
        }
    });
    let [one, two] = &rows[..] else { return };
    // In CPU time, not by the clock: other programs on the machine take turns, not cache lines.
    let times = 2.0 * one.median() / two.median();
    println!("loop       two workers do {times:.2} times the work of one");
}

/// CPU nanoseconds per copy of the slower of two threads, each with its own state on its own CPU.
fn side_by_side(reads: &[Vec<u8>], messages: u64, sent: &Arc<SentTimes>) -> f64 {
    let (one, other) = common::cpus();
    let start = Barrier::new(2);
    let work = &|cpu| {
        common::pin(cpu);
        start.wait();
        receive_all(reads, messages, Arc::clone(sent))
    };
    std::thread::scope(|scope| {
        let threads = [one, other].map(|cpu| scope.spawn(move || work(cpu)));
        threads.map(|thread| thread.join().expect("no panic")).into_iter().fold(0.0, f64::max)
    })
}

/// CPU nanoseconds per copy of one thread that hears everything on 8 sockets.
fn receive_all(reads: &[Vec<u8>], messages: u64, sent: Arc<SentTimes>) -> f64 {
    let copies = messages * 8;
    let mut recorder = recorder(messages, sent);
    let mut scanner = Scanner::new(&Dialect::raw(), &text(), RUN);
    let mut decoders: Vec<_> = (0..8).map(|_| Decoder::new(1 << 20)).collect();
    let mut pool = BufferPool::new(16, 512);
    let mut counts = FrameCounts::default();
    let ns = timed(copies, || {
        for read in reads {
            for (socket, decoder) in (0_u32..).zip(&mut decoders) {
                let at = Monotonic.now();
                let visit = &mut |item: Item<'_>| {
                    let Item::Message(message) = item else { return Ok(()) };
                    let mut note = |sighting| {
                        if let Sighting::Copy { sender, sequence, .. } = sighting {
                            recorder.copy(socket, sender, sequence, None, at);
                        }
                    };
                    match scanner.recognise(message.unchecked()) {
                        Some(sighting) => note(sighting),
                        None => scanner.search(message.checked()?, &mut note),
                    }
                    Ok(())
                };
                decoder.feed(read, &mut pool, &mut counts, visit).expect("valid");
            }
        }
    });
    assert_eq!((recorder.counts.delivered, recorder.counts.duplicate), (copies, 0));
    ns
}
