//! Compressed messages of a server: however they are cut into reads the same comes out of them, within its bound, and
//! `miniz_oxide` reads the same.
#![no_main]

use fanstorm::wire::deflate::Agreed;
use fanstorm::wire::deflate::unpack::{Inflater, Unpacker, inflated_bytes_max};
use fanstorm::wire::naive::{self, OwnedItem};
use fanstorm_fuzz::{Input, cuts};
use flate2::{Decompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;

const MESSAGE_BYTES_MAX: usize = 20_000;
const FRAGMENTS_MAX: u32 = 8;

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let how = input.byte();
    let (forgets, is_framed) = (how & 1 != 0, how & 2 == 0);
    let agreed = Agreed {
        server_no_takeover: forgets,
        client_no_takeover: true,
        server_bits: 8 + how % 8,
        client_bits: 15,
    };
    let steps = [input.byte(), input.byte(), input.byte()];
    // Payloads between bytes of \xff, or bytes as they are.
    let payloads: Vec<&[u8]> = input.0.split(|byte| *byte == 0xff).collect();
    let wire = match is_framed {
        true => payloads.iter().flat_map(|payload| frame(payload)).collect(),
        false => input.0.to_vec(),
    };
    let (whole, is_sound) = unpacked(&agreed, vec![&wire]);
    let (cut, is_sound_too) = unpacked(&agreed, cuts(&wire, &steps));
    assert!(whole == cut && is_sound == is_sound_too, "{}", wire.escape_ascii());
    let (messages, _) = naive::decode(&whole, MESSAGE_BYTES_MAX, usize::MAX);
    if is_framed && forgets {
        for (message, packed) in messages.iter().zip(&payloads) {
            let OwnedItem::Binary(bytes) = message else { unreachable!("all are binary") };
            // Behind a last block it wants to be begun anew.
            if let Some(theirs) = by_miniz(packed) {
                assert_eq!(*bytes, theirs, "{}", packed.escape_ascii());
            }
        }
    }
});

/// A whole compressed binary message.
fn frame(payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    match len {
        ..126 => [&[0xc2, len as u8][..], payload].concat(),
        _ => [&[0xc2, 126][..], &len.to_be_bytes(), payload].concat(),
    }
}

/// What the decoder reads, and whether all of it was sound.
fn unpacked(agreed: &Agreed, reads: Vec<&[u8]>) -> (Vec<u8>, bool) {
    let mut inflater = Inflater::new(MESSAGE_BYTES_MAX, FRAGMENTS_MAX, 1 << 16);
    let mut unpacker = Unpacker::new(agreed);
    let mut all = Vec::new();
    for mut read in reads {
        while !read.is_empty() {
            let taken = unpacker.unpack(read, &mut inflater);
            all.extend_from_slice(inflater.unpacked());
            assert!(inflater.unpacked().len() <= inflated_bytes_max(MESSAGE_BYTES_MAX));
            let Ok(left) = taken else { return (all, false) };
            read = left;
        }
    }
    unpacker.release(&mut inflater);
    (all, true)
}

fn by_miniz(packed: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(MESSAGE_BYTES_MAX + 64);
    let all = [packed, &[0, 0, 0xff, 0xff]].concat();
    match Decompress::new(false).decompress_vec(&all, &mut plain, FlushDecompress::Sync) {
        Ok(Status::Ok) => Some(plain),
        _ => None,
    }
}
