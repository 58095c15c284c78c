//! The name of a certificate's issuer, for people.
//!
//! Belongs here: reading an X.501 name (RFC 5280, section 4.1.2.4) far enough to show it. Does not: trust.

use crate::wire::excerpt::excerpt;

/// What is shown, in this order: object identifiers and their short names (RFC 4519, section 2).
const SHOWN: [(&[u8], &str); 3] =
    [(&[0x55, 4, 3], "CN"), (&[0x55, 4, 11], "OU"), (&[0x55, 4, 10], "O")];

const SET: u8 = 0x31;
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// `` `CN=Example CA, O=Example` ``, with nothing in it that a terminal obeys. `name` is without its outer tag.
pub(super) fn readable(name: &[u8]) -> String {
    let attributes: Vec<_> = attributes(name).collect();
    let mut shown: Vec<u8> = Vec::new();
    for (oid, short) in SHOWN {
        for (_, value) in attributes.iter().filter(|(attribute, _)| *attribute == oid) {
            if !shown.is_empty() {
                shown.extend_from_slice(b", ");
            }
            shown.extend_from_slice(short.as_bytes());
            shown.push(b'=');
            shown.extend_from_slice(value);
        }
    }
    if shown.is_empty() { "somebody without a name".to_owned() } else { excerpt(&shown) }
}

/// Object identifiers and values.
fn attributes(name: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    elements(name)
        .filter(|(tag, _)| *tag == SET)
        .flat_map(|(_, set)| elements(set))
        .filter(|(tag, _)| *tag == SEQUENCE)
        .filter_map(|(_, pair)| {
            let mut parts = elements(pair);
            let (tag, oid) = parts.next()?;
            let (_, value) = parts.next()?;
            (tag == OBJECT_IDENTIFIER).then_some((oid, value))
        })
}

/// Tags and contents, up to the first that is cut off.
fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&tag, rest) = der.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
            _ => return None,
        };
        let content = rest.get(..len)?;
        der = &rest[len..];
        Some((tag, content))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = content.len();
        let mut bytes = match len {
            0..=0x7f => vec![tag, len as u8],
            _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
        };
        bytes.extend_from_slice(content);
        bytes
    }

    fn attribute(oid: &[u8], value: &[u8]) -> Vec<u8> {
        let pair = [element(OBJECT_IDENTIFIER, oid), element(0x0c, value)].concat();
        element(SET, &element(SEQUENCE, &pair))
    }

    #[test]
    fn a_name_is_shown_with_its_common_name_first_and_escaped() {
        let name = [
            attribute(&[0x55, 4, 6], b"DE"),
            attribute(&[0x55, 4, 10], b"Example"),
            attribute(&[0x55, 4, 3], b"Root \x1b[31m"),
        ];
        assert_eq!(readable(&name.concat()), "`CN=Root \\u{1b}[31m, O=Example`");
        assert_eq!(readable(b""), "somebody without a name");
        let long = attribute(&[0x55, 4, 3], &[b'x'; 300]);
        assert!(readable(&long).starts_with("`CN=xxx") && readable(&long).len() < 120);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = readable(&bytes);
        }
    }
}
