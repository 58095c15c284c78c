//! What a network card does by itself: asked of the kernel by netlink, or read from a record.
//!
//! Belongs here: the one question that has no file (netlink(7), Documentation/networking/
//! ethtool-netlink, FEATURES_GET). Does not: other cards' business, and settings. A kernel without the
//! interface (before 5.6) or a sandbox gives no answer, which is no finding.

use std::io;

use rustix::fd::OwnedFd;
use rustix::net::netlink::GENERIC;
use rustix::net::sockopt::set_socket_timeout;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// The kernel's family that lists families (GENL_ID_CTRL), its question and the attributes.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// ETHTOOL_MSG_FEATURES_GET and its attributes (linux/ethtool_netlink.h).
const FEATURES_GET: u8 = 11;
const HEADER: u16 = 1;
const DEVICE_NAME: u16 = 2;
const ACTIVE: u16 = 4;
const BITSET_BITS: u16 = 3;
const BIT_NAME: u16 = 2;

const REQUEST: u16 = 1;
const NESTED: u16 = 1 << 15;
const MESSAGE_HEAD: usize = 16;
const GENERIC_HEAD: usize = 4;
/// All features of a card, each with its name, are some 3 KiB.
const ANSWER_MAX: usize = 32 << 10;

/// What makes many small packets cheap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Packets of one connection are handed on together (GRO).
    pub gro: bool,
    /// Large sends are cut into packets by the card (TSO).
    pub tso: bool,
}

/// The words of `ethtool -k`, as a recorded host has them.
pub(super) fn of_record(text: &str) -> Offloads {
    let on = |name: &str| text.lines().any(|line| line.trim().starts_with(&format!("{name}: on")));
    Offloads { gro: on("generic-receive-offload"), tso: on("tcp-segmentation-offload") }
}

/// Asks this kernel. None where it does not answer.
pub(super) fn of_device(name: &str) -> Option<Offloads> {
    let socket = Socket::open().ok()?;
    let family = socket.ask(CONTROL, GET_FAMILY, &text_attribute(FAMILY_NAME, "ethtool")).ok()?;
    let family = attributes(&family).find(|(kind, _)| *kind == FAMILY_ID)?.1;
    let family = u16::from_ne_bytes(family.try_into().ok()?);
    let header = attribute(HEADER | NESTED, &text_attribute(DEVICE_NAME, name));
    let answer = socket.ask(family, FEATURES_GET, &header).ok()?;
    let active = attributes(&answer).find(|(kind, _)| *kind == ACTIVE)?.1;
    Some(active_offloads(active))
}

/// Without a mask, which this question is answered without, only bits that are set are listed.
fn active_offloads(bitset: &[u8]) -> Offloads {
    let bits = attributes(bitset).filter(|(kind, _)| *kind == BITSET_BITS);
    let bits = bits.flat_map(|(_, bits)| attributes(bits));
    let names = bits.flat_map(|(_, bit)| attributes(bit)).filter(|(kind, _)| *kind == BIT_NAME);
    let names: Vec<_> = names.map(|(_, name)| name.trim_ascii_end()).collect();
    let on = |name: &[u8]| names.iter().any(|n| n.strip_suffix(b"\0").unwrap_or(n) == name);
    Offloads { gro: on(b"rx-gro"), tso: on(b"tx-tcp-segmentation") }
}

struct Socket(OwnedFd);

impl Socket {
    fn open() -> io::Result<Self> {
        let kind = SocketType::RAW;
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, Some(GENERIC))?;
        // The kernel answers within the send; what does not is not waited for.
        let patience = Some(std::time::Duration::from_millis(200));
        set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, patience)?;
        Ok(Self(socket))
    }

    /// The attributes of the answer.
    fn ask(&self, family: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
        let length = MESSAGE_HEAD + GENERIC_HEAD + attributes.len();
        let mut message = Vec::with_capacity(length);
        message.extend(u32::try_from(length).map_err(io::Error::other)?.to_ne_bytes());
        message.extend(family.to_ne_bytes());
        message.extend(REQUEST.to_ne_bytes());
        // Sequence, port: one question at a time, and the kernel knows whose.
        message.extend([0; 8]);
        message.extend([command, 1, 0, 0]);
        message.extend(attributes);
        rustix::net::send(&self.0, &message, SendFlags::empty())?;
        let mut answer = vec![0; ANSWER_MAX];
        let (read, _) = rustix::net::recv(&self.0, &mut answer[..], RecvFlags::empty())?;
        answer.truncate(read);
        // An error is a message of type 2 (NLMSG_ERROR).
        let kind = answer.get(4..6).map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
        if kind != Some(family) || read < MESSAGE_HEAD + GENERIC_HEAD {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(answer.split_off(MESSAGE_HEAD + GENERIC_HEAD))
    }
}

fn text_attribute(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), b"\0"].concat())
}

/// Length, kind, value, and blanks up to a multiple of four.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("names are short");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Kind and value of each attribute; ends where a length makes no sense.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(4)?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]])).checked_sub(4)?;
        let kind = u16::from_ne_bytes([head[2], head[3]]) & !NESTED;
        let value = rest.get(..length)?;
        bytes = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use crate::audit::facts::offloads::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_what_ethtool_prints() {
        let text = "Features for eth0:\ntcp-segmentation-offload: on\n\
                    \ttx-tcp-segmentation: on\ngeneric-receive-offload: off [fixed]\n";
        assert_eq!(of_record(text), Offloads { gro: false, tso: true });
    }

    #[test]
    fn names_of_set_bits_are_found_in_a_bitset() {
        let bit = |name| attribute(1 | NESTED, &text_attribute(BIT_NAME, name));
        let bits = [bit("rx-gro"), bit("tx-checksum-ip-generic")].concat();
        let bitset = attribute(BITSET_BITS | NESTED, &bits);
        assert_eq!(active_offloads(&bitset), Offloads { gro: true, tso: false });
    }

    #[test]
    fn loopback_segments_and_gathers_on_every_linux_that_answers() {
        // A sandbox may have no netlink; a kernel that answers has these on for loopback.
        if let Some(offloads) = of_device("lo") {
            assert_eq!(offloads, Offloads { gro: true, tso: true });
        }
        assert_eq!(of_device("no-such-card"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end(bytes: Vec<u8>) {
            let values: usize = attributes(&bytes).map(|(_, value)| value.len() + 4).sum();
            prop_assert!(values <= bytes.len());
        }

        #[test]
        fn attributes_that_were_written_are_read_back(
            list in prop::collection::vec((0..100_u16, prop::collection::vec(any::<u8>(), 0..40)), 0..9)
        ) {
            let bytes: Vec<u8> = list.iter().flat_map(|(k, v)| attribute(*k, v)).collect();
            let read: Vec<_> = attributes(&bytes).map(|(k, v)| (k, v.to_vec())).collect();
            prop_assert_eq!(read, list);
        }
    }
}
