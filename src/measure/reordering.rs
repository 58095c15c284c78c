//! How far out of order copies came.
//!
//! Belongs here: the distance of a late copy from the head of its stream. Does not: whether it was
//! late at all (`ledger`).
//!
//! The distance is counted in numbers: how far the highest number that had come was above the late
//! one. Where only the late copy was held up, that is the reordering extent of RFC 4737, section 4.2.1
//! (how many later ones overtook it); where others are missing in between, it is larger. The extent
//! itself would take the place of arrival of every copy above a gap.

/// Distances of copies that came late in their stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reordering {
    /// The largest distance; 0 where every stream kept its order.
    pub max: u32,
    /// How many distances there are from each power of two to below the next: `[1, 2..4, 4..8, ...]`.
    pub by_power: [u64; 32],
}

impl Reordering {
    /// Notes one copy that came so far behind.
    ///
    /// # Panics
    /// With a distance of 0: that is a copy in order.
    pub fn note(&mut self, behind: u32) {
        self.max = self.max.max(behind);
        self.by_power[behind.ilog2() as usize] += 1;
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.max = self.max.max(other.max);
        for (sum, count) in self.by_power.iter_mut().zip(&other.by_power) {
            *sum += count;
        }
    }

    /// The ranges that hold any: first and last distance, and how many.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32, u64)> + '_ {
        let range = |(power, &count): (usize, &u64)| {
            let first = 1_u32 << power;
            (count > 0).then(|| (first, first - 1 + first, count))
        };
        self.by_power.iter().enumerate().filter_map(range)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_distance_is_in_the_one_range_that_holds_it(
            distances in prop::collection::vec(1_u32.., 0..50),
        ) {
            let mut noted = Reordering::default();
            distances.iter().for_each(|&distance| noted.note(distance));
            let naive = |first, last| {
                distances.iter().filter(|&&distance| (first..=last).contains(&distance)).count()
            };
            for (first, last, count) in noted.ranges() {
                prop_assert_eq!(count, naive(first, last) as u64);
            }
            let counted: u64 = noted.ranges().map(|(_, _, count)| count).sum();
            prop_assert_eq!(counted, distances.len() as u64);
            prop_assert_eq!(noted.max, distances.iter().copied().max().unwrap_or(0));
        }
    }
}
