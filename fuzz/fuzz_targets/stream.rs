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
    let bytes: Vec<_> = whole.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(pieces(&scanner, &shape, &bytes), expected, "{}", whole.escape_ascii());
});

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
