//! The reader of dialect files: a file is refused at a place that it has, or read, and then its messages are what
//! the rest of the program takes them for.
#![no_main]

use fanstorm::dialect::mqtt::identifier;
use fanstorm::dialect::pattern::seq_digits;
use fanstorm::dialect::{Dialect, Recognized, Scanner, Speaker, Tag, TextShape};
use fanstorm_fuzz::{RUN, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    match read("fuzz.toml", input) {
        Err(error) => is_told_in_a_line(&error.to_string(), input),
        Ok(dialect) => speaks(&dialect),
    }
});

/// One line for a terminal, whose place is in the file.
fn is_told_in_a_line(told: &str, input: &str) {
    assert!(!told.contains(char::is_control), "{told:?}");
    let Some(place) = told.strip_prefix("fuzz.toml:") else { return };
    let mut numbers = place.split(':').map(|number| number.trim().parse::<usize>());
    let (Some(Ok(line)), Some(Ok(column))) = (numbers.next(), numbers.next()) else {
        panic!("no place: {told}")
    };
    let lines: Vec<_> = input.split('\n').collect();
    assert!((1..=lines.len()).contains(&line), "{told}");
    assert!((1..=lines[line - 1].chars().count() + 1).contains(&column), "{told}");
}

fn speaks(dialect: &Dialect) {
    for (payload_bytes, sender) in [(26, 0), (64, u16::MAX)] {
        let shape = TextShape::new(payload_bytes).expect("room for the tag");
        let tags = [3, 4_000_000_000].map(|sequence| Tag { run: RUN, sender, sequence });
        let messages = tags.map(|tag| {
            let mut message = Vec::new();
            dialect.render(&shape, tag, &mut message);
            message
        });
        assert!(messages[0].len() <= dialect.message_len(&shape));
        // A finished frame is patched where it differs from the next.
        let places = dialect.template.places(&shape, sender, &Speaker::default());
        let mut patched = messages[0].clone();
        let tag = places
            .in_base64(tags[1])
            .map_or_else(|| tags[1].encode().to_vec(), |text| text.to_vec());
        patched[places.tag..][..tag.len()].copy_from_slice(&tag);
        for at in places.seq.iter().chain(&places.refs) {
            patched[*at..][..10].copy_from_slice(&seq_digits(tags[1].sequence));
        }
        for at in &places.packets {
            patched[*at..][..2].copy_from_slice(&identifier(tags[1].sequence));
        }
        assert_eq!(patched, messages[1]);
        // What is pushed is found where a node passes it on as it is.
        let mut plain = Scanner::new(&Dialect { copies: None, ..dialect.clone() }, &shape, RUN);
        let found = |sighting: Recognized| matches!(sighting, Recognized::Copy { sender: by, sequence: 3, .. } if by == sender);
        let mut copies = 0;
        let mut visit = |sighting| copies += u32::from(found(sighting));
        match dialect.stream {
            true => drop(plain.stream(&messages[0], 0, &mut visit)),
            false => plain.scan(&messages[0], &mut visit),
        }
        assert!(copies >= 1, "{:?}", String::from_utf8_lossy(&messages[0]));
    }
}
