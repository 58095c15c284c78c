//! Which messages of an MQTT stream ask to be acknowledged.
//!
//! Belongs here: finding the packets of a stream (MQTT 3.1.1 and 5, section 2), the identifiers of messages of
//! QoS 1, and their acknowledgements. Does not: the texts in them (`stream`), when an acknowledgement is sent
//! (`engine`).

/// Bytes of an acknowledgement.
pub const PUBACK_LEN: usize = 4;

/// Types of packets, in the upper half of their first byte.
const PUBLISH: u8 = 3;

/// The length of a packet takes four bytes at most.
const LAST_SHIFT: u8 = 21;

/// Where a stream is that is read from its first byte on: a packet may be cut anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketReader {
    at: At,
    first: u8,
    /// Bytes of the packet that have not come.
    left: u32,
    /// Bytes of its topic that have not come.
    topic: u16,
    identifier: u16,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    First,
    Length {
        shift: u8,
    },
    TopicLength {
        is_low: bool,
    },
    Topic,
    Identifier {
        is_low: bool,
    },
    Rest,
}

/// The PUBACK of a message.
pub const fn puback(identifier: u16) -> [u8; PUBACK_LEN] {
    let [high, low] = identifier.to_be_bytes();
    [0x40, 2, high, low]
}

/// The packet identifier of a socket's message with this number: in turn all that there are, without 0.
pub const fn identifier(number: u64) -> [u8; 2] {
    ((number % u16::MAX as u64) as u16 + 1).to_be_bytes()
}

impl PacketReader {
    /// Reads on. Tells the identifier of each message of QoS 1 that is all there with these bytes, and says
    /// whether any of them are of other packets than messages.
    pub fn read(&mut self, bytes: &[u8], mut tell: impl FnMut(u16)) -> bool {
        let (mut rest, mut others) = (bytes, false);
        while let Some((&byte, behind)) = rest.split_first() {
            if self.at == At::First {
                *self = Self { at: At::Length { shift: 0 }, first: byte, ..Self::default() };
                rest = behind;
                others |= !self.is_message();
                continue;
            }
            others |= !self.is_message();
            rest = match self.at {
                At::Topic => self.skip(rest, self.topic.into()),
                At::Rest => self.skip(rest, self.left),
                _ => {
                    self.take(byte);
                    behind
                }
            };
            if self.at == At::Rest && self.left == 0 {
                self.at = At::First;
                if self.is_acknowledged() {
                    tell(self.identifier);
                }
            }
        }
        others
    }

    const fn is_message(&self) -> bool {
        self.first >> 4 == PUBLISH
    }

    /// It is a message of QoS 1.
    const fn is_acknowledged(&self) -> bool {
        self.is_message() && self.first >> 1 & 3 == 1
    }

    /// Passes over so many bytes, as far as they are here.
    fn skip<'b>(&mut self, bytes: &'b [u8], most: u32) -> &'b [u8] {
        let here = (most.min(self.left) as usize).min(bytes.len());
        self.left -= here as u32;
        if self.at == At::Topic {
            self.topic -= here as u16;
            if self.topic == 0 {
                self.at = At::Identifier { is_low: false };
            }
            self.at_the_end();
        }
        &bytes[here..]
    }

    /// A byte of what is in front of the payload.
    fn take(&mut self, byte: u8) {
        if let At::Length { shift } = self.at {
            self.left |= u32::from(byte & 0x7f) << shift;
            self.at = match (byte & 0x80 != 0 && shift < LAST_SHIFT, self.is_acknowledged()) {
                (true, _) => At::Length { shift: shift + 7 },
                (false, true) => At::TopicLength { is_low: false },
                (false, false) => At::Rest,
            };
            if !matches!(self.at, At::Length { .. }) {
                self.at_the_end();
            }
            return;
        }
        self.left -= 1;
        self.at = match self.at {
            At::TopicLength { is_low: false } => {
                self.topic = u16::from(byte) << 8;
                At::TopicLength { is_low: true }
            }
            At::TopicLength { is_low: true } => {
                self.topic |= u16::from(byte);
                if self.topic > 0 { At::Topic } else { At::Identifier { is_low: false } }
            }
            At::Identifier { is_low: false } => {
                self.identifier = u16::from(byte) << 8;
                At::Identifier { is_low: true }
            }
            _ => {
                self.identifier |= u16::from(byte);
                At::Rest
            }
        };
        self.at_the_end();
    }

    /// A packet that ends before it may is over all the same: what follows is the next one.
    fn at_the_end(&mut self) {
        if self.left == 0 && self.at != At::Rest {
            (self.at, self.first) = (At::Rest, self.first & 0xf9);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Packet {
        Message { qos: u8, dup: bool, topic: String, identifier: u16, payload: Vec<u8> },
        Other { first: u8, body: Vec<u8> },
    }

    impl Packet {
        /// As section 3.3 of the standard writes it.
        fn bytes(&self) -> Vec<u8> {
            let (first, body) = match self {
                Self::Other { first, body } => (*first, body.clone()),
                Self::Message { qos, dup, topic, identifier, payload } => {
                    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
                    body.extend(topic.bytes());
                    if *qos > 0 {
                        body.extend(identifier.to_be_bytes());
                    }
                    body.extend(payload);
                    (0x30 | u8::from(*dup) << 3 | qos << 1, body)
                }
            };
            let (mut out, mut len) = (vec![first], body.len());
            loop {
                out.push((len % 128) as u8 | if len > 127 { 128 } else { 0 });
                len /= 128;
                if len == 0 {
                    break;
                }
            }
            [out, body].concat()
        }
    }

    fn packet() -> impl Strategy<Value = Packet> {
        let payload = prop::collection::vec(any::<u8>(), 0..200);
        let message = (0_u8..3, any::<bool>(), "[a-z/]{0,9}", any::<u16>(), payload);
        let other = (
            prop::sample::select(vec![0x20_u8, 0x40, 0x90, 0xd0]),
            prop::collection::vec(any::<u8>(), 0..9),
        );
        prop_oneof![
            3 => message.prop_map(|(qos, dup, topic, identifier, payload)| Packet::Message { qos, dup, topic, identifier, payload }),
            1 => other.prop_map(|(first, body)| Packet::Other { first, body }),
        ]
    }

    proptest! {
        #[test]
        fn each_message_of_qos_1_is_acknowledged_once_however_the_stream_is_cut(
            packets in prop::collection::vec(packet(), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream: Vec<u8> = packets.iter().flat_map(Packet::bytes).collect();
            let asked = |packet: &Packet| match packet {
                Packet::Message { qos: 1, identifier, .. } => Some(*identifier),
                _ => None,
            };
            let expected: Vec<u16> = packets.iter().filter_map(asked).collect();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.push(stream.len());
            cuts.sort_unstable();
            let everywhere: Vec<usize> = (0..=stream.len()).collect();
            for cuts in [cuts, everywhere, vec![stream.len()]] {
                let (mut reader, mut told, mut others, mut last) = (PacketReader::default(), Vec::new(), false, 0);
                for cut in cuts {
                    others |= reader.read(&stream[last..cut], |identifier| told.push(identifier));
                    last = cut;
                }
                prop_assert_eq!(&told, &expected);
                prop_assert_eq!(others, packets.iter().any(|packet| matches!(packet, Packet::Other { .. })));
                prop_assert_eq!(reader.at, At::First);
            }
        }

        #[test]
        fn bytes_that_are_no_packets_break_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut told = 0;
            PacketReader::default().read(&bytes, |_| told += 1);
            prop_assert!(told <= bytes.len() / 6);
        }
    }

    #[test]
    fn identifiers_are_all_but_0_in_turn() {
        let numbers: Vec<u16> =
            (0..70_000).map(|number| u16::from_be_bytes(identifier(number))).collect();
        assert!(numbers.iter().all(|number| *number > 0));
        assert_eq!((numbers[0], numbers[65_534], numbers[65_535]), (1, 65_535, 1));
        assert_eq!(puback(0x0107), [0x40, 2, 1, 7]);
    }
}
