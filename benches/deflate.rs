//! What permessage-deflate costs for each copy, in and out, against a naive twin.
//!
//! No kernel and no sockets: frames in memory, reads of 64 KiB, one thread, CPU time. `plain` is the decoder alone, over
//! the same messages without compression; what another row has above it is what compression adds to a copy that comes.
//! `takeover` goes on with one window from message to message, `no_takeover` forgets each. `miniz` is the same stream of
//! messages through `flate2` one by one, and nothing else: no frames, no bounds, no rules. The messages are those of a
//! run (`raw`), and JSON with a tag in it.
//!
//! `cargo bench --bench deflate` (add `-- raw150 takeover` for a part)

mod common;

use std::hint::black_box;

use common::Size;
use fanstorm::dialect::{Dialect, Tag, TextShape};
use fanstorm::host::clock::thread_cpu_time;
use fanstorm::wire::decoder::{BufferPool, Decoder, FrameCounts, Item};
use fanstorm::wire::deflate::Agreed;
use fanstorm::wire::deflate::pack::{Packer, Packers};
use fanstorm::wire::deflate::unpack::{Inflater, Unpacker};
use fanstorm::wire::encode;
use fanstorm::wire::frame::Opcode;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

const RUN: u32 = 0xfeed_beef;
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
const SUBJECTS_IN: [&str; 5] =
    ["plain", "takeover", "no_takeover", "miniz_takeover", "miniz_no_takeover"];
const SUBJECTS_OUT: [&str; 4] = ["takeover", "no_takeover", "miniz_takeover", "miniz_no_takeover"];

fn main() {
    let (cpu, _) = common::cpus();
    common::pin(cpu);
    let size = Size::from_env();
    let names = ["raw150", "raw1000", "json"];
    for name in names {
        if common::wants(name, &names) {
            let count = size.of(10_000);
            let messages: Vec<_> = (0..count).map(|number| message(name, number)).collect();
            came_in(name, size, &messages);
            goes_out(name, size, &messages);
        }
    }
}

fn message(kind: &str, number: u64) -> Vec<u8> {
    let of = |bytes| {
        let mut message = Vec::new();
        let tag = Tag { run: RUN, sender: (number % 3) as u16, sequence: number };
        let text = TextShape::new(bytes).expect("long enough");
        Dialect::raw().render(&text, tag, &mut message);
        message
    };
    match kind {
        "raw150" => of(150),
        "raw1000" => of(1_000),
        _ => json(number, &of(100)),
    }
}

/// Names that come again in each message, and values that do not: as a cluster's own messages are.
fn json(number: u64, text: &[u8]) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(number);
    let mut entry = || {
        format!(
            r#"{{"user":"user-{}","at":{},"body":"{:016x}","read":{}}}"#,
            rng.u32(..5_000),
            1_795_000_000_000 + rng.u64(..1_000_000_000),
            rng.u64(..),
            rng.bool()
        )
    };
    let entries: Vec<_> = std::iter::repeat_with(&mut entry).take(10).collect();
    let text = String::from_utf8_lossy(text);
    format!(r#"{{"type":"message","entries":[{}],"text":"{text}"}}"#, entries.join(",")).into()
}

fn agreed(forgets: bool) -> Agreed {
    Agreed {
        server_no_takeover: forgets,
        client_no_takeover: forgets,
        server_bits: 15,
        client_bits: 15,
    }
}

/// A whole text frame of a server.
fn frame(is_packed: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![if is_packed { 0xc1 } else { 0x81 }];
    match payload.len() {
        len @ ..=125 => frame.push(len as u8),
        len => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// What a server makes of the messages: without the tail (RFC 7692, section 7.2.1).
fn packed(messages: &[Vec<u8>], forgets: bool) -> Vec<Vec<u8>> {
    let mut compressor = Compress::new(Compression::default(), false);
    let pack = |message: &Vec<u8>| {
        if forgets {
            compressor.reset();
        }
        let mut out = Vec::with_capacity(message.len() + 64);
        compressor.compress_vec(message, &mut out, FlushCompress::Sync).expect("room");
        out.strip_suffix(&TAIL).expect("a flush").to_vec()
    };
    messages.iter().map(pack).collect()
}

/// CPU nanoseconds of `work` for each of `count` messages.
fn timed(count: usize, work: impl FnOnce()) -> f64 {
    let before = thread_cpu_time();
    work();
    thread_cpu_time().since(before).0 as f64 / count as f64
}

fn came_in(name: &'static str, size: Size, messages: &[Vec<u8>]) {
    let total: usize = messages.iter().map(Vec::len).sum();
    let (goes_on, forgets) = (packed(messages, false), packed(messages, true));
    let stream = |packed: &[Vec<u8>]| {
        packed.iter().flat_map(|payload| frame(true, payload)).collect::<Vec<u8>>()
    };
    let plain: Vec<u8> = messages.iter().flat_map(|message| frame(false, message)).collect();
    let (goes_on_wire, forgets_wire) = (stream(&goes_on), stream(&forgets));
    common::interleave("inflate", name, size, &SUBJECTS_IN, |subject| {
        let mut heard = 0;
        let ns = timed(messages.len(), || {
            heard = match subject {
                "plain" => decode(&plain),
                "takeover" => unpack(&goes_on_wire, &agreed(false)),
                "no_takeover" => unpack(&forgets_wire, &agreed(true)),
                "miniz_takeover" => inflate_naively(&goes_on, false),
                _ => inflate_naively(&forgets, true),
            }
        });
        assert_eq!(heard, total);
        ns
    });
    let share = |packed: &[Vec<u8>]| {
        100.0 * packed.iter().map(Vec::len).sum::<usize>() as f64 / total as f64
    };
    println!(
        "inflate    {name:12} {:.1} B a message become {:.1} % with takeover and {:.1} % without",
        total as f64 / messages.len() as f64,
        share(&goes_on),
        share(&forgets)
    );
}

/// Bytes of the messages in `wire`.
fn decode(wire: &[u8]) -> usize {
    let mut ear = Ear::new();
    wire.chunks(64 << 10).for_each(|read| ear.hear(read));
    ear.heard
}

fn unpack(wire: &[u8], agreed: &Agreed) -> usize {
    let (mut inflater, mut unpacker) =
        (Inflater::new(MESSAGE_BYTES_MAX, 1, MESSAGE_BYTES_MAX), Unpacker::new(agreed));
    let mut ear = Ear::new();
    for mut read in wire.chunks(64 << 10) {
        while !read.is_empty() {
            read = unpacker.unpack(read, &mut inflater).expect("sound");
            ear.hear(inflater.unpacked());
        }
    }
    ear.heard
}

/// A decoder, and how many bytes of messages it has told of.
struct Ear {
    decoder: Decoder,
    pool: BufferPool,
    counts: FrameCounts,
    heard: usize,
}

impl Ear {
    fn new() -> Self {
        let (decoder, pool) = (Decoder::new(MESSAGE_BYTES_MAX), BufferPool::new(1, 2_048));
        Self { decoder, pool, counts: FrameCounts::default(), heard: 0 }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let Self { decoder, pool, counts, heard } = self;
        let visit = &mut |item: Item<'_>| {
            if let Item::Message(message) = item {
                *heard += black_box(message.checked()?).len();
            }
            Ok(())
        };
        decoder.feed(bytes, pool, counts, visit).expect("valid");
    }
}

fn inflate_naively(messages: &[Vec<u8>], forgets: bool) -> usize {
    let (mut inflater, mut heard) = (Decompress::new(false), 0);
    for message in messages {
        if forgets {
            inflater.reset(false);
        }
        let whole = [&message[..], &TAIL].concat();
        let mut plain = Vec::with_capacity(2_048);
        inflater.decompress_vec(&whole, &mut plain, FlushDecompress::Sync).expect("sound");
        heard += black_box(std::str::from_utf8(&plain).expect("text")).len();
    }
    heard
}

fn goes_out(name: &'static str, size: Size, messages: &[Vec<u8>]) {
    let mut sends = vec![Vec::new()];
    for message in messages {
        let frame_bytes = encode::frame_len(message.len());
        let last = sends.pop_if(|send: &mut Vec<u8>| send.len() + frame_bytes <= 64 << 10);
        let mut send = last.unwrap_or_default();
        encode::write_frame(&mut send, Opcode::Text, message, [1, 2, 3, 4]);
        sends.push(send);
    }
    common::interleave("pack", name, size, &SUBJECTS_OUT, |subject| {
        let mut sent = 0;
        let ns = timed(messages.len(), || {
            sent = match subject {
                "takeover" => pack(&sends, &agreed(false)),
                "no_takeover" => pack(&sends, &agreed(true)),
                _ => packed(messages, subject == "miniz_no_takeover").len(),
            }
        });
        assert_eq!(sent, messages.len());
        ns
    });
}

/// How many frames were sent.
fn pack(sends: &[Vec<u8>], agreed: &Agreed) -> usize {
    let mut packer = Packer::new(agreed).expect("a window that can be made");
    let (mut packers, mut wire, mut ends) = (Packers::default(), Vec::new(), Vec::new());
    let mut sent = 0;
    for send in sends {
        wire.clear();
        ends.clear();
        packer.pack(send, &mut packers, &mut wire, &mut ends);
        black_box(&wire);
        sent += ends.len();
    }
    sent
}
