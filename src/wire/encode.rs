//! Client frames: header, mask key, masked payload (RFC 6455, sections 5.2 and 5.3).
//!
//! Belongs here: making frames before the clock, and patching them in place. Does not: choosing mask
//! keys (the caller has the seeded generator).

use super::frame::Opcode;

/// Bytes of the mask key.
const KEY: usize = 4;

/// Bytes of a client frame around a payload.
pub const fn frame_len(payload_len: usize) -> usize {
    let header = match payload_len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    header + KEY + payload_len
}

/// Appends one unfragmented, masked frame.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: [u8; KEY]) {
    out.push(0x80 | opcode.bits());
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Replaces payload bytes of a finished frame, from `offset` in the payload on, under the frame's own
/// mask key: nothing is framed anew.
///
/// # Panics
/// The frame must be one of [`write_frame`]'s, and hold `offset + new.len()` bytes of payload.
pub fn patch(frame: &mut [u8], offset: usize, new: &[u8]) {
    let header = match frame[1] & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let key: [u8; KEY] = frame[header..header + KEY].try_into().expect("four bytes");
    let payload = &mut frame[header + KEY..][offset..][..new.len()];
    for (i, (byte, new)) in payload.iter_mut().zip(new).enumerate() {
        *byte = new ^ key[(offset + i) % KEY];
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tungstenite::protocol::frame::FrameSocket;

    use super::*;

    /// What tungstenite, as a server, reads.
    fn read_back(frame: &[u8]) -> (u8, Vec<u8>) {
        let mut socket = FrameSocket::new(Cursor::new(frame.to_vec()));
        let frame = socket.read(None).unwrap().expect("a whole frame");
        let key = frame.header().mask.expect("masked");
        let opcode = u8::from(frame.header().opcode);
        let mask = key.iter().cycle();
        (opcode, frame.into_payload().iter().zip(mask).map(|(byte, key)| byte ^ key).collect())
    }

    proptest! {
        #[test]
        fn a_peer_reads_what_was_written_and_what_was_patched(
            len in prop_oneof![0_usize..300, 65_530_usize..65_540],
            mask: [u8; 4],
            patched in prop::collection::vec(any::<u8>(), 0..40),
            place: prop::sample::Index,
        ) {
            let mut payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut frame = Vec::new();
            write_frame(&mut frame, Opcode::Text, &payload, mask);
            prop_assert_eq!(frame.len(), frame_len(len));
            prop_assert_eq!(read_back(&frame), (1, payload.clone()));
            if patched.len() <= len {
                let offset = place.index(len - patched.len() + 1);
                payload[offset..offset + patched.len()].copy_from_slice(&patched);
                patch(&mut frame, offset, &patched);
                prop_assert_eq!(read_back(&frame), (1, payload));
            }
        }
    }
}
