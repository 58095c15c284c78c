//! A histogram as a document carries it: HdrHistogram's V2 encoding, deflated, in base64, the text
//! that begins with `HISTFAAA` and that every HdrHistogram library reads.
//!
//! Belongs here: that text, both ways. Does not: percentiles (`measure`), what is made of it (`hgrm`).

use std::io::Read;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{
    DeserializeError, Deserializer, Serializer, V2DeflateSerializer, V2Serializer,
};

use crate::measure::latencies::histogram as empty;

/// Longer than any that we write: a full histogram of ours takes less than half of it.
const TEXT_MAX: usize = 1 << 20;

/// `0x1c849314` and the length of what follows, both big-endian.
const COOKIE: [u8; 4] = [0x1c, 0x84, 0x93, 0x14];
const OUTER_BYTES: usize = 8;
/// Inside: cookie, length of the counts, offset, digits, lowest and highest value, a ratio.
const HEAD_BYTES: usize = 40;
/// A count takes at most so many (ZigZag LEB128).
const COUNT_BYTES_MAX: usize = 9;

/// Why a text is no histogram.
#[derive(Debug, thiserror::Error)]
pub enum NoHistogram {
    /// Larger than we would take apart for a stranger.
    #[error("is {0} characters long, which no latency histogram is")]
    TooLong(usize),
    /// Not base64.
    #[error("is no base64 ({0})")]
    Base64(base64::DecodeError),
    /// It unpacks to more than a histogram of ours has counts for.
    #[error("unpacks to more than {0} bytes, which no latency histogram does")]
    Bloated(usize),
    /// Not the layout of ours: nothing of it could be compared or added up.
    #[error(
        "is laid out otherwise than a latency histogram: not from 1 ns to {} ns in 3 digits, or not as \
         long as it says",
        empty().high()
    )]
    Layout,
    /// The packing is damaged.
    #[error("cannot be unpacked ({0})")]
    Packing(std::io::Error),
    /// Not what it should be inside.
    #[error("is no HdrHistogram of version 2 ({0})")]
    Content(hdrhistogram::serialization::DeserializeError),
}

/// The text of a histogram.
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    let written = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    written.expect("memory takes what is written, and counts are below 2^63");
    BASE64_STANDARD.encode(bytes)
}

/// The histogram of a text: the same counts in the same buckets.
///
/// # Errors
/// See [`NoHistogram`].
pub fn decode(text: &str) -> Result<Histogram<u64>, NoHistogram> {
    if text.len() > TEXT_MAX {
        return Err(NoHistogram::TooLong(text.len()));
    }
    let packed = BASE64_STANDARD.decode(text).map_err(NoHistogram::Base64)?;
    let bytes = unpacked(&packed)?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(NoHistogram::Content)
}

/// What is deflated, in no more memory than ours take; its head says nothing that is not so. The
/// decoder believes every length and every range that it reads, and allocates for them: up to 4 GiB for a
/// text of a hundred characters.
fn unpacked(packed: &[u8]) -> Result<Vec<u8>, NoHistogram> {
    let Some(deflated) = packed.get(OUTER_BYTES..).filter(|_| packed.starts_with(&COOKIE)) else {
        return Err(NoHistogram::Content(DeserializeError::InvalidCookie));
    };
    let most = HEAD_BYTES + COUNT_BYTES_MAX * empty().distinct_values();
    let mut bytes = Vec::new();
    let read = ZlibDecoder::new(deflated).take(most as u64 + 1).read_to_end(&mut bytes);
    read.map_err(NoHistogram::Packing)?;
    if bytes.len() > most {
        return Err(NoHistogram::Bloated(most));
    }
    if head(bytes.len()).is_none_or(|ours| !bytes.starts_with(&ours)) {
        return Err(NoHistogram::Layout);
    }
    Ok(bytes)
}

/// How one of ours begins that is so long: up to the highest value, all of it is known.
fn head(bytes: usize) -> Option<Vec<u8>> {
    let counts = u32::try_from(bytes.checked_sub(HEAD_BYTES)?).ok()?;
    let mut ours = Vec::new();
    let written = V2Serializer::new().serialize(&empty(), &mut ours);
    written.expect("memory takes what is written");
    ours.truncate(HEAD_BYTES);
    ours[4..8].copy_from_slice(&counts.to_be_bytes());
    Some(ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use crate::measure::latencies::histogram;
    use proptest::prelude::*;

    /// As a stranger may write it.
    fn packed(plain: &[u8]) -> String {
        let mut deflater = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        deflater.write_all(plain).unwrap();
        let deflated = deflater.finish().unwrap();
        let length = (deflated.len() as u32).to_be_bytes();
        BASE64_STANDARD.encode([&COOKIE[..], &length, &deflated].concat())
    }

    fn head_saying(counts: u32, digits: u32, highest: u64) -> Vec<u8> {
        let cookie = 0x1c84_9313_u32.to_be_bytes();
        let numbers = [counts, 0, digits].map(u32::to_be_bytes).concat();
        let range = [1, highest].map(u64::to_be_bytes).concat();
        [&cookie[..], &numbers, &range, &1_f64.to_be_bytes()].concat()
    }

    #[test]
    fn a_head_that_says_what_ours_do_is_taken() {
        let text = packed(&head_saying(0, 3, 3_600_000_000_000));
        assert_eq!(decode(&text).unwrap(), histogram());
    }

    fn recorded(values: &[u64]) -> Histogram<u64> {
        let mut ns = histogram();
        values.iter().for_each(|&value| ns.record(value).unwrap());
        ns
    }

    proptest! {
        #[test]
        fn no_count_is_lost_on_the_way(
            values in proptest::collection::vec(0_u64..3_600_000_000_000, 0..500),
            more in proptest::collection::vec(0_u64..10_000, 0..50),
        ) {
            let (one, other) = (recorded(&values), recorded(&more));
            let text = encode(&one);
            prop_assert!(text.starts_with("HISTFAAA"), "{}", text);
            let mut read = decode(&text).unwrap();
            prop_assert_eq!(&read, &one);
            // What was saved can be merged like what was measured.
            read.add(decode(&encode(&other)).unwrap()).unwrap();
            prop_assert_eq!(read, recorded(&[values, more].concat()));
        }

        #[test]
        fn nothing_that_is_no_histogram_is_taken_for_one(
            values in proptest::collection::vec(1_u64..1_000_000_000, 1..50),
            place: prop::sample::Index,
            byte: u8,
        ) {
            let mut bytes = BASE64_STANDARD.decode(encode(&recorded(&values))).unwrap();
            let place = place.index(bytes.len());
            prop_assume!(bytes[place] != byte);
            bytes[place] = byte;
            // The checksum of the deflated stream ends behind what the decoder reads, so a change
            // may go unseen; it must not end in a panic.
            let _ = decode(&BASE64_STANDARD.encode(&bytes));
            bytes.truncate(place);
            prop_assert!(decode(&BASE64_STANDARD.encode(&bytes)).is_err() || place + 8 > bytes.len());
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("HIST", "is no HdrHistogram"),
            (&packed(&[0; 1 << 20]), "unpacks to more than"),
            (&packed(&head_saying(u32::MAX, 3, 3_600_000_000_000)), "is laid out otherwise"),
            (&packed(&head_saying(0, 5, u64::MAX)), "is laid out otherwise"),
            (&packed(&head_saying(0, 3, 1_000)), "is laid out otherwise"),
            (&packed(b"short"), "is laid out otherwise"),
            ("", "is no HdrHistogram"),
            ("{}", "is no base64"),
            (&"A".repeat(TEXT_MAX + 4), "characters long"),
        ] {
            let error = decode(text).unwrap_err().to_string();
            assert!(error.starts_with(says) || error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_histogram_with_a_value_in_every_bucket_is_shorter_than_what_is_refused() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut full = histogram();
        let mut value = 1;
        while value <= 3_600_000_000_000 {
            full.record_n(value, rng.u64(1..1 << 40)).unwrap();
            value = full.next_non_equivalent(value);
        }
        let length = encode(&full).len();
        assert!(2 * length < TEXT_MAX, "{length}");
    }
}
