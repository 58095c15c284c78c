//! The mark by which a copy is recognised, whatever a cluster wraps around it.
//!
//! ```text
//! fs 1b2c3d4e 0001 00000002a7 5c
//! │  │        │    │          └ check   2 hex digits
//! │  │        │    └ sequence          10
//! │  │        └ sender, a push socket   4
//! │  └ run nonce                        8
//! └ prefix
//! ```
//!
//! Belongs here: its 26 bytes. Does not: the text around it (`dialect::text`) and where in a
//! message to look for it (`dialect::scan`).
//!
//! The check is the 88-bit number before it modulo the prime 251. Changing one hex digit adds
//! `d * 16^k` with `0 < |d| < 16`, swapping two neighbours adds `15 * d * 16^k`: neither is a
//! multiple of a prime above 15, so both are always caught, the check's own digits included.
//! Any other damage that leaves hex digits slips through once in 251. A CRC-8 promises the same
//! and costs eleven dependent table look-ups where this is one multiplication and one remainder.

/// Bytes of a tag.
pub const TAG_LEN: usize = 26;

/// The largest sequence number that a tag can carry: 2^40 - 1.
pub const SEQUENCE_MAX: u64 = (1 << 40) - 1;

/// Bytes that all tags of a run begin with.
pub const RUN_PREFIX_LEN: usize = 10;

/// Hex digits after them: sender, sequence and check, 64 bits in all.
pub const BODY_LEN: usize = TAG_LEN - RUN_PREFIX_LEN;

pub(super) const PREFIX: [u8; 2] = *b"fs";

/// Prime, so that the check catches what the module promises, and below 256, so that it fits.
const CHECK_MODULUS: u64 = 251;

/// `2^40 mod 251`: run and sender weigh in above the 40 bits of the sequence number.
const ABOVE_SEQUENCE: u64 = (1 << 40) % CHECK_MODULUS;

/// What a tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// The nonce of the run that sent it.
    pub run: u32,
    /// The push socket.
    pub sender: u16,
    /// The message's number in its push socket's stream; at most [`SEQUENCE_MAX`].
    pub sequence: u64,
}

/// Why bytes are not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The form of a tag, but the check does not belong to the rest: damaged.
    #[error("a tag whose check does not belong to it")]
    BadCheck,
    /// Anything else.
    #[error("not a tag")]
    NotATag,
}

impl Tag {
    /// The tag's bytes.
    ///
    /// # Panics
    /// When the sequence number is above [`SEQUENCE_MAX`].
    #[inline]
    pub fn encode(&self) -> [u8; TAG_LEN] {
        let mut bytes = [0; TAG_LEN];
        let (prefix, body) = bytes.split_at_mut(RUN_PREFIX_LEN);
        prefix.copy_from_slice(&run_prefix(self.run));
        body.copy_from_slice(&self.encode_body());
        bytes
    }

    /// The bytes that differ from tag to tag of a run: those from [`RUN_PREFIX_LEN`] on.
    ///
    /// # Panics
    /// When the sequence number is above [`SEQUENCE_MAX`].
    #[inline]
    pub fn encode_body(&self) -> [u8; BODY_LEN] {
        assert!(self.sequence <= SEQUENCE_MAX, "a plan has fewer than 2^40 messages");
        let body = u64::from(self.sender) << 48 | self.sequence << 8 | self.check();
        let mut bytes = [0; BODY_LEN];
        let (high, low) = bytes.split_at_mut(8);
        high.copy_from_slice(&write_hex8((body >> 32) as u32));
        low.copy_from_slice(&write_hex8(body as u32));
        bytes
    }

    /// Reads the tag at the front of `bytes`; what follows it is not looked at.
    ///
    /// # Errors
    /// [`TagError::NotATag`] unless there are 26 bytes of the right form, in lower case;
    /// [`TagError::BadCheck`] when only the check is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, TagError> {
        let tag = bytes.first_chunk::<TAG_LEN>().ok_or(TagError::NotATag)?;
        let (prefix, rest) = tag.split_first_chunk::<2>().ok_or(TagError::NotATag)?;
        let (run, body) = rest.split_first_chunk::<8>().ok_or(TagError::NotATag)?;
        if *prefix != PREFIX {
            return Err(TagError::NotATag);
        }
        match hex8(*run) {
            (run, 0) => Self::decode_body(run as u32, body),
            _ => Err(TagError::NotATag),
        }
    }

    /// Reads what follows the prefix of `run`.
    #[inline]
    pub(super) fn decode_body(run: u32, body: &[u8]) -> Result<Self, TagError> {
        let digits = body.first_chunk::<BODY_LEN>().ok_or(TagError::NotATag)?;
        let body = number(digits).ok_or(TagError::NotATag)?;
        let (sender, sequence) = split(body);
        let tag = Self { run, sender, sequence };
        if tag.check() == body & 0xff { Ok(tag) } else { Err(TagError::BadCheck) }
    }

    #[inline]
    fn check(&self) -> u64 {
        // Below 2^48 * 251 + 2^40, so it cannot overflow.
        let above = u64::from(self.run) << 16 | u64::from(self.sender);
        (above * ABOVE_SEQUENCE + self.sequence) % CHECK_MODULUS
    }
}

/// The number that the digits of a tag's body write.
#[inline]
pub(super) fn number(body: &[u8; BODY_LEN]) -> Option<u64> {
    let (halves, _) = body.as_chunks::<8>();
    let (high, unfit_high) = hex8(halves[0]);
    let (low, unfit_low) = hex8(halves[1]);
    (unfit_high | unfit_low == 0).then_some(high << 32 | low)
}

/// Sender and sequence of a body's number.
#[inline]
pub(super) const fn split(body: u64) -> (u16, u64) {
    ((body >> 48) as u16, body >> 8 & SEQUENCE_MAX)
}

/// What a run adds to the checks of all its tags.
pub(super) const fn run_weight(run: u32) -> u64 {
    ((run as u64) << 16) % CHECK_MODULUS * ABOVE_SEQUENCE
}

/// Whether a body's number holds the check that belongs to it in the run of this weight.
#[inline]
pub(super) const fn checks(run_weight: u64, body: u64) -> bool {
    let (sender, sequence) = split(body);
    (run_weight + sender as u64 * ABOVE_SEQUENCE + sequence) % CHECK_MODULUS == body & 0xff
}

/// The bytes that every tag of `run` begins with, and no tag of another run.
#[inline]
pub(super) fn run_prefix(run: u32) -> [u8; RUN_PREFIX_LEN] {
    let mut bytes = [0; RUN_PREFIX_LEN];
    bytes[..2].copy_from_slice(&PREFIX);
    bytes[2..].copy_from_slice(&write_hex8(run));
    bytes
}

/// The eight lower-case hex digits of a number, every digit in step: [`hex8`] the other way round.
#[inline]
fn write_hex8(value: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let quads = (u64::from(value) | u64::from(value) << 16) & 0x0000_ffff_0000_ffff;
    let pairs = (quads | quads << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (pairs | pairs << 4) & (0x0f * EACH);
    let above_nine = (nibbles + 6 * EACH) >> 4 & EACH;
    (nibbles + 0x30 * EACH + above_nine * 39).to_be_bytes()
}

/// The number that eight lower-case hex digits write, every digit of a word in step; and bits that
/// are zero only if all of them are such digits, so that several words need one branch.
///
/// A tag takes 6.9 ns. Tried: loops over arrays, for the compiler to vectorise (16 ns).
#[inline]
fn hex8(digits: [u8; 8]) -> (u64, u64) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_be_bytes(digits);
    // Bit 6 tells letters from digits; a letter's low bits count from 1.
    let nibbles = (text & (0x0f * EACH)) + (text >> 6 & EACH) * 9;
    // Writing the nibbles out again must give the text back: that refuses everything else.
    let above_nine = (nibbles + 6 * EACH) >> 4 & EACH;
    let again = nibbles + 0x30 * EACH + above_nine * 39;
    let unfit = (again ^ text) | (nibbles & (0xf0 * EACH));
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    ((quads | quads >> 16) & 0xffff_ffff, unfit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags() -> impl Strategy<Value = Tag> {
        let edge = prop_oneof![Just(0), Just(SEQUENCE_MAX), 0..=SEQUENCE_MAX];
        (any::<u32>(), any::<u16>(), edge).prop_map(|(run, sender, sequence)| Tag {
            run,
            sender,
            sequence,
        })
    }

    /// The check again, digit by digit as one writes a long division.
    fn check_naively(digits: &str) -> u32 {
        digits.chars().fold(0, |rest, digit| (rest * 16 + digit.to_digit(16).unwrap()) % 251)
    }

    proptest! {
        #[test]
        fn a_tag_reads_back_as_it_was_written(tag in tags(), after in "\\PC{0,5}") {
            let bytes = [&tag.encode()[..], after.as_bytes()].concat();
            prop_assert_eq!(Tag::decode(&bytes), Ok(tag));
        }

        #[test]
        fn a_body_checks_by_its_number_as_it_does_by_its_fields(tag in tags(), flip in 0_u32..64) {
            let body = tag.encode()[RUN_PREFIX_LEN..].try_into().unwrap();
            let number = number(&body).unwrap();
            prop_assert_eq!(split(number), (tag.sender, tag.sequence));
            prop_assert!(checks(run_weight(tag.run), number));
            let (sender, sequence) = split(number ^ 1 << flip);
            let check = Tag { run: tag.run, sender, sequence }.check();
            let good = check == (number ^ 1 << flip) & 0xff;
            prop_assert_eq!(checks(run_weight(tag.run), number ^ 1 << flip), good);
        }

        #[test]
        fn a_tag_is_its_fields_in_hex(tag in tags()) {
            let fields = format!("{:08x}{:04x}{:010x}", tag.run, tag.sender, tag.sequence);
            let expected = format!("fs{fields}{:02x}", check_naively(&fields));
            prop_assert_eq!(&tag.encode()[..], expected.as_bytes());
            prop_assert_eq!(&tag.encode()[..RUN_PREFIX_LEN], run_prefix(tag.run));
        }

        #[test]
        fn no_single_changed_byte_and_no_swap_of_neighbours_passes(tag in tags()) {
            let good = tag.encode();
            for at in 0..TAG_LEN {
                for byte in 0..=u8::MAX {
                    let mut bad = good;
                    bad[at] = byte;
                    prop_assert_eq!(Tag::decode(&bad).is_ok(), bad == good);
                }
                let mut swapped = good;
                swapped.swap(at, (at + 1).min(TAG_LEN - 1));
                prop_assert_eq!(Tag::decode(&swapped).is_ok(), swapped == good);
            }
        }

        #[test]
        fn hex_is_read_in_lower_case_only(digits: [u8; 8], plain in "[0-9a-f]{8}") {
            let naive = |text: &[u8]| {
                let strict = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                let text = std::str::from_utf8(text).ok().filter(|_| strict)?;
                u64::from_str_radix(text, 16).ok()
            };
            for text in [digits, *plain.as_bytes().first_chunk().unwrap()] {
                let read = match hex8(text) {
                    (value, 0) => Some(value),
                    _ => None,
                };
                prop_assert_eq!(read, naive(&text));
            }
        }
    }

    #[test]
    fn every_byte_in_every_place_is_a_hex_digit_or_refused() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut digits = *b"0000000f";
                digits[place] = byte;
                let is_digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                assert_eq!(hex8(digits).1 == 0, is_digit, "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_tag_is_told_apart() {
        let tag = Tag { run: 0x1b2c_3d4e, sender: 1, sequence: 0x2a7 }.encode();
        let mut bad_check = tag;
        bad_check[20] ^= 1;
        assert_eq!(Tag::decode(&bad_check), Err(TagError::BadCheck));
        let upper_case = tag.to_ascii_uppercase();
        let not_hex = tag.map(|byte| if byte == b'2' { b'g' } else { byte });
        for bytes in [&tag[..25], &tag[1..], b"", &upper_case, &not_hex] {
            assert_eq!(Tag::decode(bytes), Err(TagError::NotATag));
        }
    }

    #[test]
    #[should_panic(expected = "fewer than 2^40")]
    fn a_sequence_number_that_does_not_fit_is_refused() {
        let _ = Tag { run: 0, sender: 0, sequence: SEQUENCE_MAX + 1 }.encode();
    }
}
