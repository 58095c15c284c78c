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

/// The sender of probe messages; no push socket has this number.
pub const PROBE_SENDER: u16 = 0xffff;

/// The largest sequence number that a tag can carry: 2^40 - 1.
pub const SEQUENCE_MAX: u64 = (1 << 40) - 1;

/// Bytes that all tags of a run begin with.
pub(super) const RUN_PREFIX_LEN: usize = 10;

/// Hex digits after them: sender, sequence and check, 64 bits in all.
const BODY_LEN: usize = TAG_LEN - RUN_PREFIX_LEN;

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
    /// The push socket, or [`PROBE_SENDER`].
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
    pub fn encode(&self) -> [u8; TAG_LEN] {
        assert!(
            self.sequence <= SEQUENCE_MAX,
            "a plan has fewer than 2^40 messages"
        );
        let body = u64::from(self.sender) << 48 | self.sequence << 8 | self.check();
        let mut bytes = [0; TAG_LEN];
        bytes[..RUN_PREFIX_LEN].copy_from_slice(&run_prefix(self.run));
        write_hex(&mut bytes[RUN_PREFIX_LEN..], body);
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
        let body = body.first_chunk::<BODY_LEN>().ok_or(TagError::NotATag)?;
        let (halves, _) = body.as_chunks::<8>();
        let (high, unfit_high) = hex8(halves[0]);
        let (low, unfit_low) = hex8(halves[1]);
        if unfit_high | unfit_low != 0 {
            return Err(TagError::NotATag);
        }
        let body = high << 32 | low;
        let tag = Self {
            run,
            sender: (body >> 48) as u16,
            sequence: body >> 8 & SEQUENCE_MAX,
        };
        if tag.check() == body & 0xff {
            Ok(tag)
        } else {
            Err(TagError::BadCheck)
        }
    }

    #[inline]
    fn check(&self) -> u64 {
        // Below 2^48 * 251 + 2^40, so it cannot overflow.
        let above = u64::from(self.run) << 16 | u64::from(self.sender);
        (above * ABOVE_SEQUENCE + self.sequence) % CHECK_MODULUS
    }
}

/// The bytes that every tag of `run` begins with, and no tag of another run.
pub(super) fn run_prefix(run: u32) -> [u8; RUN_PREFIX_LEN] {
    let mut bytes = [0; RUN_PREFIX_LEN];
    bytes[..2].copy_from_slice(&PREFIX);
    write_hex(&mut bytes[2..], u64::from(run));
    bytes
}

/// Writes the low digits of `value`, as many as `out` has room for.
fn write_hex(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 0xf) as usize];
        value >>= 4;
    }
}

/// The number that eight lower-case hex digits write, every digit of a word in step; and bits that
/// are zero only if all of them are such digits, so that several words need one branch.
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
