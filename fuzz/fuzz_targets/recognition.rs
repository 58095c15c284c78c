//! Whose copies a message carries: what was learned from messages before it changes nothing, frames taken whole
//! say the same, and so does the naive twin where it understands the message.
#![no_main]

use fanstorm::dialect::{Dialect, Reading, Recognized, Scanner, TextShape, naive};
use fanstorm_fuzz::{DIALECTS, Input, RUN, stretches};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let (dialect, shape) = (input.one_of(&DIALECTS), input.shape());
    if dialect.stream {
        return;
    }
    let mut warm = [Reading::Widest, Reading::Portable, Reading::ByMessage]
        .map(|reading| Scanner::new(dialect, &shape, RUN).read_by(reading));
    for message in stretches(&shape, input.0) {
        let expected = searched(dialect, &shape, &message);
        twin_agrees(dialect, &shape, &message, &expected);
        for scanner in &mut warm {
            // Once to learn it, once as it was learned, then as frames of a read.
            for _ in 0..2 {
                let recognised = scanner.recognise(&message);
                assert!(recognised.is_none() || std::str::from_utf8(&message).is_ok());
                assert_eq!(scanned(scanner, &message), expected, "{}", shown(&message));
            }
            let mut thrice = expected.repeat(3);
            thrice.sort();
            assert_eq!(heard(scanner, &message, 3), thrice, "{}", shown(&message));
        }
    }
});

fn shown(message: &[u8]) -> String {
    message.escape_ascii().to_string()
}

fn searched(dialect: &Dialect, shape: &TextShape, message: &[u8]) -> Vec<Recognized> {
    let mut seen = Vec::new();
    Scanner::new(dialect, shape, RUN).search(message, &mut |sighting| seen.push(sighting));
    seen.sort();
    seen
}

fn scanned(scanner: &mut Scanner, message: &[u8]) -> Vec<Recognized> {
    let mut seen = Vec::new();
    scanner.scan(message, &mut |sighting| seen.push(sighting));
    seen.sort();
    seen
}

/// The twin parses JSON whole, and looks at text; what it was not made for is left to the laws above.
fn twin_agrees(dialect: &Dialect, shape: &TextShape, message: &[u8], expected: &[Recognized]) {
    if dialect.correlation.is_some() || std::str::from_utf8(message).is_err() {
        return;
    }
    let passes = dialect.copies.as_ref().is_none_or(|copies| {
        copies.with(&fanstorm::dialect::pattern::Values::default()).is_in(message)
    });
    let twin = match passes {
        true => naive::sightings(dialect, shape, RUN, message),
        false => vec![Recognized::Foreign],
    };
    assert_eq!(expected, twin, "{}", shown(message));
}

/// A server's frame of text.
fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match message.len() {
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
    frame.extend(message);
    frame
}

/// What so many frames in one read say, as a connection reads them.
fn heard(scanner: &mut Scanner, message: &[u8], many: usize) -> Vec<Recognized> {
    let framed = frame(message);
    let bytes = framed.repeat(many);
    let (mut rest, mut seen) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let taken = scanner.run(rest, &mut |sighting, copies| {
            for more in 0..u64::from(copies) {
                seen.push(later(sighting, more));
            }
        });
        assert_eq!(taken.bytes, taken.frames as usize * framed.len());
        rest = &rest[taken.bytes..];
        if !rest.is_empty() {
            scanner.scan(message, &mut |sighting| seen.push(sighting));
            rest = &rest[framed.len()..];
        }
    }
    seen.sort();
    seen
}

/// The copy that is so many behind this one in its sender's stream.
fn later(sighting: Recognized, more: u64) -> Recognized {
    match sighting {
        Recognized::Copy { sender, sequence, id } => {
            Recognized::Copy { sender, sequence: sequence + more, id }
        }
        other => other,
    }
}
