//! Compression against another implementation of deflate (`miniz_oxide`, through `flate2`).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::collection::vec;
use proptest::prelude::*;
use zlib_rs::{Deflate, DeflateFlush};

use super::pack::{Packer, Packers};
use super::unpack::{Inflater, Unpacker, inflated_bytes_max};
use super::{Agreed, TAIL};
use crate::wire::decoder::{BufferPool, Decoder, FrameCounts, Item};
use crate::wire::encode;
use crate::wire::frame::{Opcode, Violation};
use crate::wire::naive::OwnedItem;

const LIMIT: usize = 80_000;
const FRAGMENTS: u32 = 6;

fn agreed(no_takeover: bool) -> Agreed {
    let (server_no_takeover, client_no_takeover) = (no_takeover, no_takeover);
    Agreed { server_no_takeover, client_no_takeover, server_bits: 15, client_bits: 15 }
}

/// A server's frame, as the RFC draws it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = match payload.len() {
        len @ 0..=125 => vec![len as u8],
        len @ 126..=65_535 => [&[126][..], &(len as u16).to_be_bytes()].concat(),
        len => [&[127][..], &(len as u64).to_be_bytes()].concat(),
    };
    [&[first][..], &len, payload].concat()
}

/// What a server makes of a message, with its compressor.
fn packed(compressor: &mut Compress, plain: &[u8], forgets: bool) -> Vec<u8> {
    if forgets {
        compressor.reset();
    }
    let mut out = Vec::with_capacity(plain.len() + 4096);
    compressor.compress_vec(plain, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&TAIL) || plain.is_empty());
    match out.strip_suffix(&TAIL) {
        Some(out) if !out.is_empty() => out.to_vec(),
        _ => vec![0],
    }
}

#[derive(Clone, Debug)]
struct Said {
    text: String,
    is_packed: bool,
    /// Where it is cut into fragments, and whether a Ping lies between them.
    cuts: Vec<(prop::sample::Index, bool)>,
}

fn said() -> impl Strategy<Value = Said> {
    let text = prop_oneof![
        4 => "[a-c ]{0,300}",
        2 => "\\PC{0,60}",
        1 => (60_000_usize..70_000).prop_map(|len| "lorem ipsum ".repeat(len / 12)),
    ];
    let cuts = vec((any::<prop::sample::Index>(), any::<bool>()), 0..4);
    (text, any::<bool>(), cuts).prop_map(|(text, is_packed, cuts)| Said { text, is_packed, cuts })
}

/// The frames of all messages, and what must be heard of them.
fn stream(all: &[Said], no_takeover: bool) -> (Vec<u8>, Vec<OwnedItem>) {
    let mut compressor = Compress::new(Compression::default(), false);
    let (mut bytes, mut heard) = (Vec::new(), Vec::new());
    for said in all {
        let payload = match said.is_packed {
            true => packed(&mut compressor, said.text.as_bytes(), no_takeover),
            false => said.text.clone().into_bytes(),
        };
        let mut cuts: Vec<_> =
            said.cuts.iter().map(|(at, ping)| (at.index(payload.len() + 1), *ping)).collect();
        cuts.sort_unstable();
        let (mut begin, mut first) = (0, 1 | if said.is_packed { 0x40 } else { 0 });
        for (end, ping) in cuts {
            bytes.extend(frame(first, &payload[begin..end]));
            (begin, first) = (end, 0);
            if ping {
                bytes.extend(frame(0x89, b"?"));
                heard.push(OwnedItem::Ping(b"?".to_vec()));
            }
        }
        bytes.extend(frame(0x80 | first, &payload[begin..]));
        heard.push(OwnedItem::Text(said.text.clone()));
    }
    (bytes, heard)
}

/// What is heard of bytes that come in such pieces.
fn heard(
    bytes: &[u8],
    pieces: &[usize],
    agreed: &Agreed,
) -> (Vec<OwnedItem>, Result<(), Violation>) {
    let (mut pool, mut frames) = (BufferPool::new(2, 4096), FrameCounts::default());
    let (mut inflater, mut unpacker) =
        (Inflater::new(LIMIT, FRAGMENTS, 4 * LIMIT), Unpacker::new(agreed));
    let mut decoder = Decoder::new(LIMIT);
    let (mut items, mut rest) = (Vec::<OwnedItem>::new(), bytes);
    for piece in pieces.iter().cycle() {
        let (piece, after) = rest.split_at((*piece).min(rest.len()));
        rest = after;
        let mut left = piece;
        loop {
            let unpacked = unpacker.unpack(left, &mut inflater);
            let mut hear = |item: Item<'_>| {
                items.push(item.try_into()?);
                Ok(())
            };
            let fed = decoder.feed(inflater.unpacked(), &mut pool, &mut frames, &mut hear);
            match (fed, unpacked) {
                (Ok(()), Ok([])) => break,
                (Ok(()), Ok(more)) => left = more,
                (fed, unpacked) => return (items, fed.and_then(|()| unpacked.map(|_| ()))),
            }
        }
        if rest.is_empty() {
            return (items, Ok(()));
        }
    }
    unreachable!("pieces go on for ever")
}

proptest! {
    #[test]
    fn what_another_compressor_made_is_heard_as_it_was_meant_however_it_is_cut(
        all in vec(said(), 0..8),
        no_takeover: bool,
        pieces in vec(prop_oneof![1_usize..4, 1_usize..200, 1_usize..100_000], 1..6),
    ) {
        let (bytes, meant) = stream(&all, no_takeover);
        let (items, end) = heard(&bytes, &pieces, &agreed(no_takeover));
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(items, meant);
    }

    #[test]
    fn damage_ends_the_connection_and_never_more(
        all in vec(said(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        pieces in vec(1_usize..3_000, 1..6),
        no_takeover: bool,
    ) {
        let (mut bytes, _) = stream(&all, no_takeover);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let (items, _) = heard(&bytes, &pieces, &agreed(no_takeover));
        let (whole, _) = heard(&bytes, &[usize::MAX], &agreed(no_takeover));
        prop_assert_eq!(items, whole, "pieces change nothing");
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_refused(text in "[a-d ]{1,120}|\\PC{1,30}", cut: prop::sample::Index) {
        for forgets in [false, true] {
            let whole = packed(&mut Compress::new(Compression::default(), false), text.as_bytes(), forgets);
            let (_, end) = heard(&frame(0xc1, &whole), &[usize::MAX], &agreed(forgets));
            prop_assert_eq!(end, Ok(()));
            let cut = &whole[..cut.index(whole.len())];
            // What is not compressed may end anywhere: the four bytes that are added are its own.
            prop_assume!(cut.first().is_none_or(|first| first & 7 != 0));
            let (items, end) = heard(&frame(0xc1, cut), &[usize::MAX], &agreed(forgets));
            prop_assert_eq!((items, end.map_err(|violation| violation.code.0)), (vec![], Err(1007)));
        }
    }

    /// By the other half of the crate, which can begin with a window: `miniz_oxide` cannot.
    #[test]
    fn last_blocks_end_no_window(
        all in vec((prop_oneof!["[a-c]{0,40}", "(lorem|ipsum| ){100,9000}"], 0_u8..3), 1..6),
    ) {
        let (mut before, mut bytes, mut meant) = (Vec::new(), Vec::new(), Vec::new());
        // From then on a last block is expected anywhere.
        let first = ("a first message with a last block behind another".to_owned(), 2);
        for (text, kind) in std::iter::once(&first).chain(&all) {
            bytes.extend(frame(0xc1, &with_last_block(&before, text.as_bytes(), *kind)));
            before.extend_from_slice(text.as_bytes());
            meant.push(OwnedItem::Text(text.clone()));
        }
        let (items, end) = heard(&bytes, &[usize::MAX], &agreed(false));
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(items, meant);
    }

    #[test]
    fn another_inflater_reads_what_we_send(
        all in vec(prop_oneof![3 => "[a-c ]{0,300}", 1 => "\\PC{0,60}", 1 => "[ab]{70000}"], 0..6),
        mask: [u8; 4],
        no_takeover: bool,
        bits in 9_u8..16,
    ) {
        let mut frames = Vec::new();
        for text in &all {
            encode::write_frame(&mut frames, Opcode::Text, text.as_bytes(), mask);
            encode::write_frame(&mut frames, Opcode::Pong, b"!", mask);
        }
        let agreed = Agreed { client_bits: bits, ..agreed(no_takeover) };
        let (mut wire, mut ends) = (Vec::new(), Vec::new());
        let mut packers = Packers::default();
        Packer::new(&agreed).unwrap().pack(&frames, &mut packers, &mut wire, &mut ends);
        prop_assert_eq!(ends.len(), 2 * all.len());
        if let Some(last) = ends.last() {
            prop_assert_eq!(*last, (wire.len(), frames.len()));
        }
        let mut inflate = Decompress::new(false);
        let mut begin = 0;
        for (place, (end, _)) in ends.iter().enumerate() {
            let frame = &wire[begin..*end];
            begin = *end;
            if place % 2 == 1 {
                let pong = [&[0x8a, 0x81][..], &mask, &[b'!' ^ mask[0]]].concat();
                prop_assert_eq!(frame, pong);
                continue;
            }
            prop_assert_eq!(frame[0], 0xc1);
            let header = match frame[1] & 0x7f { 126 => 8, 127 => 14, _ => 6 };
            let mut payload: Vec<u8> =
                frame[header..].iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
            payload.extend(TAIL);
            if no_takeover {
                inflate.reset(false);
            }
            let mut plain = Vec::with_capacity(100_000);
            inflate.decompress_vec(&payload, &mut plain, FlushDecompress::Sync).unwrap();
            prop_assert_eq!(&plain, all[place / 2].as_bytes());
        }
    }
}

/// Each costs as much as inflating a window, for two bytes: with no bound a message could hold a worker at will.
#[test]
fn a_message_of_last_blocks_alone_is_refused_before_it_takes_long() {
    for forgets in [false, true] {
        let said = |lasts: usize| {
            let packed = [&b"\x03\x00".repeat(lasts)[..], b"\x00"].concat();
            let (items, end) = heard(&frame(0xc1, &packed), &[usize::MAX], &agreed(forgets));
            (items.len(), end.map_err(|violation| violation.code.0))
        };
        assert_eq!([said(1), said(1_024)], [(1, Ok(())); 2]);
        assert_eq!(said(1_025), (0, Err(1009)));
    }
}

/// A message that leads back to what was said before, and that ends without a last block (0), is one (1), or has one
/// at its end (2): only the second says so at its beginning.
fn with_last_block(before: &[u8], text: &[u8], kind: u8) -> Vec<u8> {
    let mut deflate = Deflate::new(6, false, 15);
    if !before.is_empty() {
        deflate.set_dictionary(&before[before.len().saturating_sub(1 << 15)..]).unwrap();
    }
    let mut out = vec![0; 2 * text.len() + 1_000];
    let half = if kind == 2 { text.len() / 2 } else { 0 };
    if half > 0 {
        deflate.compress(&text[..half], &mut out, DeflateFlush::FullFlush).unwrap();
    }
    let at = deflate.total_out() as usize;
    let flush = if kind == 0 { DeflateFlush::SyncFlush } else { DeflateFlush::Finish };
    deflate.compress(&text[half..], &mut out[at..], flush).unwrap();
    out.truncate(deflate.total_out() as usize);
    match kind {
        0 if text.is_empty() => vec![0],
        0 => out.strip_suffix(&TAIL).unwrap().to_vec(),
        // RFC 7692, section 7.2.3.4.
        _ => [out, vec![0]].concat(),
    }
}

#[test]
fn a_last_block_may_lead_back_to_messages_before_it_and_what_follows_it_may_too() {
    let text: String = (0..400).map(|number| format!("{} ", number * number)).collect();
    let before = text.as_bytes();
    let again = with_last_block(before, before, 1);
    assert!(again.len() < 60, "{} bytes: it leads back", again.len());
    let first = packed(&mut Compress::new(Compression::default(), false), before, false);
    let twice = [before, before].concat();
    let bytes = [
        frame(0xc1, &first),
        frame(0xc1, &again),
        frame(0xc1, &with_last_block(&twice, before, 0)),
    ];
    let (items, end) = heard(&bytes.concat(), &[usize::MAX], &agreed(false));
    assert_eq!((items, end), (vec![OwnedItem::Text(text); 3], Ok(())));
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    // RFC 7692, sections 7.2.3.1 to 7.2.3.5.
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let again = b"\xf2\x00\x11\x00\x00";
    let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    let last_block = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    let two_blocks = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    let texts = |bytes: &[u8], no_takeover| {
        let (items, end) = heard(bytes, &[1], &agreed(no_takeover));
        assert_eq!(end, Ok(()));
        items
    };
    let text = OwnedItem::Text("Hello".into());
    let taken_over = [frame(0xc1, hello), frame(0xc1, again)].concat();
    assert_eq!(texts(&taken_over, false), [text.clone(), text.clone()]);
    for payload in [&hello[..], stored, last_block, two_blocks] {
        assert_eq!(texts(&frame(0xc1, payload), true), std::slice::from_ref(&text));
    }
    let fragments = [frame(0x41, &hello[..3]), frame(0x80, &hello[3..])].concat();
    assert_eq!(texts(&fragments, true), [text]);
}

#[test]
fn rules_of_rsv1_and_bounds_are_held_each_with_its_code() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let bomb = |len| packed(&mut Compress::new(Compression::best(), false), &vec![b'a'; len], true);
    for (what, bytes, code) in [
        ("on a control frame", frame(0xc9, b""), 1002),
        ("on a continuation", [frame(0x41, &hello[..3]), frame(0xc0, &hello[3..])].concat(), 1002),
        ("in a fragmented message", [frame(0x01, b"a"), frame(0xc1, hello)].concat(), 1002),
        ("in a compressed one", [frame(0x41, b"\xf2"), frame(0x81, b"a")].concat(), 1002),
        ("RSV2", frame(0xa1, b"a"), 1002),
        ("garbage", frame(0xc1, b"\xff\xff\xff\xff"), 1007),
        ("nothing at all", frame(0xc1, b""), 1007),
        ("a last block without its end", frame(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00"), 1007),
        (
            "in seven fragments",
            [frame(0x41, hello), frame(0, b"").repeat(5), frame(0x80, b"")].concat(),
            1009,
        ),
        ("a bomb", frame(0xc1, &bomb(LIMIT + 1)), 1009),
        ("a large frame", frame(0xc1, &vec![0; LIMIT + 1]), 1009),
        ("masked", vec![0xc1, 0x81, 0, 0, 0, 0, 0], 1002),
    ] {
        for piece in [1, usize::MAX] {
            let (_, end) = heard(&bytes, &[piece], &agreed(true));
            assert_eq!(end.map_err(|violation| violation.code.0), Err(code), "{what}");
        }
    }
    let (items, end) = heard(&frame(0xc2, &bomb(LIMIT)), &[usize::MAX], &agreed(false));
    assert_eq!((items, end), (vec![OwnedItem::Binary(vec![b'a'; LIMIT])], Ok(())));
}

#[test]
fn messages_that_never_end_take_no_more_than_the_bound_and_give_it_back() {
    let mut inflater = Inflater::new(1 << 20, FRAGMENTS, 1 << 20);
    let mut sockets: Vec<_> = (0..64).map(|_| Unpacker::new(&agreed(true))).collect();
    let part = frame(0x41, &[7; 30_000]);
    let refused = sockets.iter_mut().filter_map(|s| s.unpack(&part, &mut inflater).err()).count();
    assert_eq!(refused, 64 - (1 << 20) / 30_000);
    sockets.iter_mut().for_each(|socket| socket.release(&mut inflater));
    assert_eq!(sockets[0].unpack(&part[..2], &mut inflater), Ok(&[][..]));
}

/// 64 KiB of them inflate to 57 MB.
#[test]
fn what_one_read_inflates_to_takes_no_more_memory_than_a_part_and_one_message() {
    for max_bytes in [LIMIT, 5_000_000] {
        let plain = vec![b'a'; max_bytes];
        let bomb =
            frame(0xc2, &packed(&mut Compress::new(Compression::best(), false), &plain, true));
        let read = bomb.repeat((64 << 10) / bomb.len());
        let mut inflater = Inflater::new(max_bytes, FRAGMENTS, 0);
        let (mut unpacker, mut left, mut inflated) = (Unpacker::new(&agreed(true)), &read[..], 0);
        while !left.is_empty() {
            left = unpacker.unpack(left, &mut inflater).unwrap();
            inflated += inflater.unpacked().len();
            assert!(inflater.allocated() <= inflated_bytes_max(max_bytes), "{max_bytes}");
        }
        let header = 10;
        assert_eq!(inflated, read.len() / bomb.len() * (max_bytes + header));
        assert!(inflated > 40 << 20, "it could not have taken more: {inflated}");
    }
}
