//! A message on its way to clients, where faults look at each copy.
//!
//! Belongs here: what of a message can be sent, named in the account and corrupted. Does not:
//! deciding which copies are meddled with.

use std::rc::Rc;

use bytes::Bytes;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::cluster::node::chat::{Stamped, Told, id_element};
use crate::cluster::node::frame;

/// A message as this node's clients get it.
#[derive(Debug)]
pub(super) enum Message {
    /// Pushed to this node: the copy has everything.
    Stamped(Stamped),
    /// Told by another node: the copy has the id alone.
    Told(Told),
    /// Of a relay.
    Raw(Data, Bytes),
}

impl Message {
    pub(super) fn opcode(&self) -> Data {
        match self {
            Self::Stamped(_) | Self::Told(_) => Data::Text,
            Self::Raw(opcode, _) => *opcode,
        }
    }

    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Stamped(Stamped { message_id, .. }) | Self::Told(Told { message_id, .. }) => {
                Some(message_id)
            }
            Self::Raw(..) => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Stamped(stamped) => Some(&stamped.text),
            Self::Told(told) => Some(&told.text),
            Self::Raw(_, bytes) => std::str::from_utf8(bytes).ok(),
        }
    }

    pub(super) fn element(&self) -> Bytes {
        match self {
            Self::Stamped(stamped) => stamped.element().into(),
            Self::Told(told) => id_element(&told.message_id).into(),
            Self::Raw(_, bytes) => bytes.clone(),
        }
    }

    /// The same with one letter or digit of its text replaced by another; `None` for a copy that
    /// carries no text, or none with a letter or digit in it.
    fn corrupted(&self, random: &mut fastrand::Rng) -> Option<Self> {
        match self {
            Self::Stamped(stamped) => {
                let text = corrupted(stamped.text.as_bytes(), random)?;
                let text = String::from_utf8(text).expect("ASCII was replaced by ASCII");
                Some(Self::Stamped(stamped.with_text(text)))
            }
            Self::Told(_) => None,
            Self::Raw(opcode, bytes) => Some(Self::Raw(*opcode, corrupted(bytes, random)?.into())),
        }
    }
}

fn corrupted(text: &[u8], random: &mut fastrand::Rng) -> Option<Vec<u8>> {
    let places = text.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    if places == 0 {
        return None;
    }
    let chosen = random.usize(..places);
    let mut text = text.to_vec();
    let place = text
        .iter_mut()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .nth(chosen)
        .expect("the place was counted");
    let others: Vec<u8> = (b'a'..=b'z').chain(b'0'..=b'9').filter(|other| other != place).collect();
    *place = others[random.usize(..others.len())];
    Some(text)
}

/// What stands around the elements of a frame; nothing in a relay.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) head: Vec<u8>,
    pub(super) tail: &'static [u8],
}

impl Envelope {
    /// Appends the frame of one element.
    pub(super) fn append_frame(&self, to: &mut Vec<u8>, opcode: Data, element: &[u8]) {
        frame::append(to, OpCode::Data(opcode), true, &[&self.head, element, self.tail]);
    }

    /// The payload of a frame with all these elements.
    fn payload(&self, copies: &[Copy]) -> Vec<u8> {
        let mut payload = self.head.clone();
        for (index, copy) in copies.iter().enumerate() {
            if index > 0 {
                payload.push(b',');
            }
            payload.extend_from_slice(&copy.element);
        }
        payload.extend_from_slice(self.tail);
        payload
    }
}

/// One copy: the message, and its frame ready to be shared by all clients.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) message: Rc<Message>,
    element: Bytes,
    frame: Bytes,
}

impl Copy {
    pub(super) fn new(message: Message, element: Bytes, envelope: &Envelope) -> Self {
        let mut frame = Vec::new();
        envelope.append_frame(&mut frame, message.opcode(), &element);
        Self { message: Rc::new(message), element, frame: frame.into() }
    }

    /// See [`Message::corrupted`].
    pub(super) fn corrupted(
        &self,
        envelope: &Envelope,
        random: &mut fastrand::Rng,
    ) -> Option<Self> {
        let message = self.message.corrupted(random)?;
        let element = message.element();
        Some(Self::new(message, element, envelope))
    }
}

/// The frames of some copies, at least one, and how many they are.
///
/// With several copies the envelope must be one that holds several.
pub(super) fn frames(copies: &[Copy], envelope: &Envelope, split: Option<usize>) -> (Bytes, u64) {
    let first = copies.first().expect("at least one copy");
    match (copies, split) {
        ([one], None) => (one.frame.clone(), 1),
        (_, most) => {
            let payload = envelope.payload(copies);
            frame::split(first.message.opcode(), &payload, most.unwrap_or(usize::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::node::delivery::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn corruption_replaces_exactly_one_letter_or_digit(text in any::<String>(), seed in any::<u64>()) {
            let became = corrupted(text.as_bytes(), &mut fastrand::Rng::with_seed(seed));
            prop_assert_eq!(became.is_some(), text.contains(|c: char| c.is_ascii_alphanumeric()));
            if let Some(became) = became {
                let pairs = text.bytes().zip(&became).filter(|(old, new)| old != *new);
                let changes: Vec<_> = pairs.collect();
                prop_assert_eq!(became.len(), text.len());
                prop_assert_eq!(changes.len(), 1);
                prop_assert!(changes[0].0.is_ascii_alphanumeric());
                prop_assert!(matches!(changes[0].1, b'a'..=b'z' | b'0'..=b'9'));
            }
        }
    }
}
