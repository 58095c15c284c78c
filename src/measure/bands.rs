//! Latencies by order of magnitude: a few dozen counts where a histogram has thousands.
//!
//! Belongs here: where a band begins and which one holds a value. Does not: exact figures (`latencies`).

use crate::units::Nanos;

/// Bands to a power of two; each is as wide as the others of its power.
const PER_OCTAVE: u32 = 4;

/// The band that holds a latency.
pub const fn band(latency: Nanos) -> u8 {
    let ns = if latency.0 == 0 { 1 } else { latency.0 };
    let octave = ns.ilog2();
    let quarter = ((ns as u128 * PER_OCTAVE as u128) >> octave) as u32 - PER_OCTAVE;
    (octave * PER_OCTAVE + quarter) as u8
}

/// Where a band begins; it ends where the next one does.
pub const fn begin(band: u8) -> Nanos {
    let (octave, quarter) = (band as u32 / PER_OCTAVE, band as u32 % PER_OCTAVE);
    if octave > 63 {
        return Nanos::MAX;
    }
    let quarters = (PER_OCTAVE + quarter) as u128;
    Nanos((quarters << octave).div_ceil(PER_OCTAVE as u128) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_latency_lies_in_its_band_and_in_no_other(bits in 0..64_u32, ns: u64) {
            let ns = Nanos((ns >> bits).max(1));
            let own = band(ns);
            prop_assert!(begin(own) <= ns, "{own}");
            prop_assert!(own == 255 || ns < begin(own + 1), "{own}");
        }
    }

    #[test]
    fn a_band_is_at_most_a_quarter_of_its_beginning_wide() {
        for own in 8..=250 {
            let (from, to) = (begin(own).0, begin(own + 1).0);
            assert!(from < to && to - from <= from.div_ceil(4), "{own}: {from} to {to}");
        }
    }
}
