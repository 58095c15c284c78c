//! Texts in a stream: however it is cut it says what its naive twin says.
#![no_main]

use fanstorm::dialect::{Recognized, Scanner, TextShape, naive};
use fanstorm_fuzz::{DIALECTS, EARLIER, Input, RUN, stretches};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let shape = input.shape();
    let nats = DIALECTS.iter().find(|dialect| dialect.name == "nats").expect("it is built in");
    let scanner = Scanner::new(nats, &shape, RUN).after(RUN - EARLIER);
    let reads = stretches(&shape, input.0);
    let whole = reads.concat();
    let expected = sorted(naive::in_stream(&shape, RUN, EARLIER, &whole));
    assert_eq!(pieces(&scanner, &shape, &reads), expected, "{}", whole.escape_ascii());
    assert_eq!(pieces(&scanner, &shape, &[whole.clone()]), expected, "{}", whole.escape_ascii());
    let mut framed = Scanner::new(nats, &shape, RUN).after(RUN - EARLIER);
    assert_eq!(in_frames(&mut framed, &reads), expected, "in frames: {}", whole.escape_ascii());
    let bytes: Vec<_> = whole.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(pieces(&scanner, &shape, &bytes), expected, "{}", whole.escape_ascii());
});

/// As a worker hears them that come in frames: those like one before are taken whole.
fn in_frames(scanner: &mut Scanner, payloads: &[Vec<u8>]) -> Vec<Recognized> {
    let frames: Vec<Vec<u8>> = payloads.iter().map(|payload| frame(payload)).collect();
    let (mut seen, mut open, mut at) = (Vec::new(), Vec::new(), 0);
    while at < frames.len() {
        if open.is_empty() {
            let taken = scanner.run(&frames[at..].concat(), &mut |sighting, many| {
                let Recognized::Copy { sender, sequence, id } = sighting else { panic!("{sighting:?}") };
                let each = sequence..sequence + u64::from(many);
                seen.extend(each.map(|sequence| Recognized::Copy { sender, sequence, id }));
            });
            at += taken.frames as usize;
        }
        let Some(payload) = payloads.get(at) else { break };
        let was_closed = open.is_empty();
        open.extend_from_slice(payload);
        let up_to = scanner.stream(&open, 0, &mut |sighting| seen.push(sighting));
        open.drain(..up_to);
        if was_closed && open.is_empty() {
            scanner.note_frame(payload, true);
        }
        at += 1;
    }
    sorted(seen)
}

/// A whole binary message.
fn frame(payload: &[u8]) -> Vec<u8> {
    let header = match payload.len() {
        len @ 0..=125 => vec![0x82, len as u8],
        len => [&[0x82, 126][..], &(len as u16).to_be_bytes()].concat(),
    };
    [&header, payload].concat()
}

fn sorted(mut seen: Vec<Recognized>) -> Vec<Recognized> {
    seen.sort();
    seen
}

fn pieces(scanner: &Scanner, shape: &TextShape, reads: &[Vec<u8>]) -> Vec<Recognized> {
    let (mut seen, mut open) = (Vec::new(), Vec::new());
    for read in reads {
        open.extend_from_slice(read);
        let up_to = scanner.stream(&open, 0, &mut |sighting| seen.push(sighting));
        open.drain(..up_to);
        assert!(open.len() < shape.len(), "more is kept than a text is long");
    }
    sorted(seen)
}
