//! A histogram as a document carries it: HdrHistogram's V2 encoding, deflated, in base64, the text
//! that begins with `HISTFAAA` and that every HdrHistogram library reads.
//!
//! Belongs here: that text, both ways. Does not: percentiles (`measure`), what is made of it (`hgrm`).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

/// Longer than any that we write: a full histogram of ours takes less than half of it.
const TEXT_MAX: usize = 1 << 20;

/// Why a text is no histogram.
#[derive(Debug, thiserror::Error)]
pub enum NoHistogram {
    /// Larger than we would take apart for a stranger.
    #[error("is {0} characters long, which no latency histogram is")]
    TooLong(usize),
    /// Not base64.
    #[error("is no base64 ({0})")]
    Base64(base64::DecodeError),
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
    let bytes = BASE64_STANDARD.decode(text).map_err(NoHistogram::Base64)?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(NoHistogram::Content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latencies::histogram;
    use proptest::prelude::*;

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
