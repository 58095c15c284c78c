//! Frames of a server: however they are cut into reads they are what the naive twin says, and nothing is kept behind
//! the end.
#![no_main]

use fanstorm::wire::decoder::{BufferPool, Decoder, FrameCounts, Item};
use fanstorm::wire::naive::{self, End, OwnedItem};
use fanstorm_fuzz::{Input, cuts};
use libfuzzer_sys::fuzz_target;

/// Small, so that both bounds are met.
const MESSAGE_BYTES_MAX: usize = 300;
const FRAGMENTS_MAX: u32 = 4;

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let steps = [input.byte(), input.byte(), input.byte()];
    let wire = input.0;
    let (meant, end) = naive::decode(wire, MESSAGE_BYTES_MAX, FRAGMENTS_MAX as usize);
    for reads in [vec![wire], cuts(wire, &steps)] {
        let mut pool = BufferPool::new(1, 64).of_fragments(FRAGMENTS_MAX);
        let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
        let mut heard = Vec::<OwnedItem>::new();
        let mut violation = None;
        for read in reads {
            let fed = decoder.feed(
                read,
                &mut pool,
                &mut FrameCounts::default(),
                &mut |item: Item<'_>| {
                    heard.push(item.try_into()?);
                    Ok(())
                },
            );
            violation = violation.or(fed.err());
        }
        let told = match violation {
            Some(violation) => End::Violation(violation.code.0),
            None if matches!(heard.last(), Some(OwnedItem::Close(..))) => End::Closed,
            None if decoder.cut_off().is_some() => End::Cut,
            None => End::Clean,
        };
        assert_eq!((&heard, &told), (&meant, &end), "{}", wire.escape_ascii());
    }
});
