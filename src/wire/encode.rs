//! Frames as a client sends them: masked, whole, and patched in place where they wait.
//!
//! Belongs here: client framing. Does not: what a message says (`dialect`), where frames lie in
//! memory (`engine::frames`).

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::frame::{CONTROL_PAYLOAD_MAX, CloseCode, Opcode};

const MASK_LEN: usize = 4;

/// Bytes of a client's frame around `payload_len` bytes: header, mask key and payload.
pub const fn frame_len(payload_len: usize) -> usize {
    payload_offset(payload_len) + payload_len
}

/// Where in a client's frame the masked payload begins.
pub const fn payload_offset(payload_len: usize) -> usize {
    MASK_LEN
        + match payload_len {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => 10,
        }
}

/// Appends one whole frame (FIN) with `payload` masked by `mask`.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: [u8; MASK_LEN]) {
    let header = FrameHeader {
        opcode: coding(opcode),
        mask: Some(mask),
        ..FrameHeader::default()
    };
    out.reserve(frame_len(payload.len()));
    header
        .format(payload.len() as u64, out)
        .expect("a Vec takes every byte");
    let at = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[at..], mask, 0);
}

/// A Close frame with a code and a reason, which is cut to fit at a character's border.
pub fn close(code: CloseCode, reason: &str, mask: [u8; MASK_LEN]) -> Vec<u8> {
    let room = CONTROL_PAYLOAD_MAX as usize - 2;
    let mut payload = code.0.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(room)]);
    control(Opcode::Close, &payload, mask)
}

/// The Pong that answers a Ping with `payload`.
pub fn pong(payload: &[u8], mask: [u8; MASK_LEN]) -> Vec<u8> {
    control(Opcode::Pong, payload, mask)
}

/// Writes `new` over the payload of a finished client frame, from `payload_offset_in_payload` on,
/// under the frame's own mask key.
///
/// # Panics
/// When `frame` is not a masked frame or `new` reaches past its payload: the caller laid it out.
pub fn patch(frame: &mut [u8], payload_offset_in_payload: usize, new: &[u8]) {
    assert!(frame[1] & 0x80 != 0, "a client's frame is masked");
    let payload_at = MASK_LEN
        + match frame[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        };
    let (header, payload) = frame.split_at_mut(payload_at);
    let mask = *header
        .last_chunk::<MASK_LEN>()
        .expect("a header ends with its mask key");
    let target = &mut payload[payload_offset_in_payload..][..new.len()];
    target.copy_from_slice(new);
    apply_mask(target, mask, payload_offset_in_payload);
}

fn control(opcode: Opcode, payload: &[u8], mask: [u8; MASK_LEN]) -> Vec<u8> {
    debug_assert!(
        payload.len() as u64 <= CONTROL_PAYLOAD_MAX,
        "RFC 6455 section 5.5"
    );
    let mut frame = Vec::with_capacity(frame_len(payload.len()));
    write_frame(&mut frame, opcode, payload, mask);
    frame
}

/// XORs `bytes`, which begin at `offset` of their payload, with the mask key.
fn apply_mask(bytes: &mut [u8], mut mask: [u8; MASK_LEN], offset: usize) {
    mask.rotate_left(offset % MASK_LEN);
    for chunk in bytes.chunks_mut(MASK_LEN) {
        chunk
            .iter_mut()
            .zip(mask)
            .for_each(|(byte, key)| *byte ^= key);
    }
}

const fn coding(opcode: Opcode) -> OpCode {
    match opcode {
        Opcode::Continuation => OpCode::Data(Data::Continue),
        Opcode::Text => OpCode::Data(Data::Text),
        Opcode::Binary => OpCode::Data(Data::Binary),
        Opcode::Close => OpCode::Control(Control::Close),
        Opcode::Ping => OpCode::Control(Control::Ping),
        Opcode::Pong => OpCode::Control(Control::Pong),
    }
}
