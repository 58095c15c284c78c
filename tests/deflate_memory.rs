//! What a socket's windows of compression take, by the kernel's account of the process, against what a plan reckons.
//!
//! `zlib-rs` does not ask Rust's allocator, so that none that counts sees it: this process has no other test.

use fanstorm::plan::memory::{DEFLATE_BYTES, INFLATE_BYTES};
use fanstorm::wire::deflate::Agreed;
use fanstorm::wire::deflate::pack::{Packer, Packers};
use fanstorm::wire::deflate::unpack::{Inflater, Unpacker};
use fanstorm::wire::encode;
use fanstorm::wire::frame::Opcode;

/// Data of this process, touched or not (`VmData`).
fn data_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Of each of so many that are made, as far as nothing else was made meanwhile; and they, since what is given back would
/// be what the next ones are made of.
fn each<T>(count: u64, make: impl FnMut() -> T) -> (u64, Vec<T>) {
    let mut all = Vec::with_capacity(count as usize);
    let before = data_bytes();
    all.extend(std::iter::repeat_with(make).take(count as usize));
    ((data_bytes() - before) / count, all)
}

#[test]
fn windows_take_what_a_plan_reckons_and_hardly_less() {
    let agreed = |forgets| Agreed {
        server_no_takeover: forgets,
        client_no_takeover: forgets,
        server_bits: 15,
        client_bits: 15,
    };
    let mut inflater = Inflater::new(1 << 20, 8, 1 << 20);
    // An empty message: its compressor's sync flush without the tail (RFC 7692, section 7.2.3.6).
    let message = [0xc1, 1, 0];
    let mut unpacker = |agreed: &Agreed| {
        let mut unpacker = Unpacker::new(agreed);
        unpacker.unpack(&message, &mut inflater).unwrap();
        unpacker
    };
    drop(unpacker(&agreed(true)));
    let (goes_on, _windows) = each(1_000, || unpacker(&agreed(false)));
    assert!((INFLATE_BYTES * 9 / 10..=INFLATE_BYTES).contains(&goes_on), "{goes_on} B");
    let (forgets, _none) = each(1_000, || unpacker(&agreed(true)));
    assert!(forgets < 512, "{forgets} B: one window does for all");

    let (mut packers, mut frame) = (Packers::default(), Vec::new());
    encode::write_frame(&mut frame, Opcode::Text, b"a message", [1, 2, 3, 4]);
    let (mut wire, mut ends) = (Vec::with_capacity(1 << 20), Vec::with_capacity(1 << 10));
    let (packer, _compressors) = each(200, || {
        let mut packer = Packer::new(&agreed(false)).unwrap();
        packer.pack(&frame, &mut packers, &mut wire, &mut ends);
        packer
    });
    assert!((DEFLATE_BYTES * 9 / 10..=DEFLATE_BYTES).contains(&packer), "{packer} B");
}
