//! Messages to bytes, finished once and shared by all who get them.
//!
//! Belongs here: frames from a server, whole, split, and broken on purpose. Does not: queues.

use bytes::Bytes;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};

use crate::cluster::faults::BadFrame;

/// A Ping with an empty payload.
pub(super) const PING: Bytes = Bytes::from_static(&[0x89, 0x00]);

/// Appends one frame.
pub(super) fn append(to: &mut Vec<u8>, opcode: OpCode, is_final: bool, parts: &[&[u8]]) {
    let header = FrameHeader { is_final, opcode, ..FrameHeader::default() };
    let length: usize = parts.iter().map(|part| part.len()).sum();
    header.format(length as u64, to).expect("a vector takes all");
    for part in parts {
        to.extend_from_slice(part);
    }
}

/// A message in frames of at most `most` payload bytes, and how many they are.
pub(super) fn split(opcode: Data, payload: &[u8], most: usize) -> (Bytes, u64) {
    let mut bytes = Vec::with_capacity(payload.len() + 16);
    let count = payload.len().div_ceil(most).max(1);
    for index in 0..count {
        let from = index * most;
        let piece = &payload[from..payload.len().min(from.saturating_add(most))];
        let opcode = if index == 0 { opcode } else { Data::Continue };
        append(&mut bytes, OpCode::Data(opcode), index + 1 == count, &[piece]);
    }
    (bytes.into(), count as u64)
}

/// A Close frame without a reason.
pub(super) fn close(code: u16) -> Bytes {
    let frame = Frame::close(Some(CloseFrame { code: CloseCode::from(code), reason: "".into() }));
    let mut bytes = Vec::with_capacity(frame.len());
    frame.format(&mut bytes).expect("a vector takes all");
    bytes.into()
}

/// A frame that no server may send.
pub(super) fn broken(kind: BadFrame) -> Bytes {
    let text = OpCode::Data(Data::Text);
    let header = match kind {
        BadFrame::Masked => FrameHeader { mask: Some([1, 2, 3, 4]), ..header(text) },
        BadFrame::Rsv => FrameHeader { rsv1: true, ..header(text) },
        BadFrame::Opcode => header(OpCode::Control(Control::Reserved(11))),
        BadFrame::Utf8 | BadFrame::Oversize => header(text),
        BadFrame::Fragment => header(OpCode::Data(Data::Continue)),
    };
    let (length, payload): (u64, &[u8]) = match kind {
        BadFrame::Oversize => (1 << 40, b""),
        BadFrame::Utf8 => (3, b"a\xffb"),
        _ => (3, b"bad"),
    };
    let mut bytes = Vec::new();
    header.format(length, &mut bytes).expect("a vector takes all");
    bytes.extend_from_slice(payload);
    bytes.into()
}

fn header(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}
