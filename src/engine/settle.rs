//! How long the line must be quiet when every copy has come.
//!
//! Belongs here: that time, as a pure function of what was seen. Does not: watching the line (`drain`).
//!
//! What can still come then is a copy too many: one that is sent twice. Where none has come twice so far,
//! nor late from an earlier trial, a part of the longest latency is enough between trials: a duplicate
//! that comes later still is credited to its own trial from within the next one. After the last trial
//! nobody listens any more, so that it has the longer time. Where something did come twice or late, it is
//! waited for as long as that took, twice over.

use crate::units::Nanos;

/// Between trials: as long as it takes to look.
const LEAST: Nanos = Nanos::from_millis(5);
/// After the last one.
const LEAST_AFTER_LAST: Nanos = Nanos::from_millis(100);
/// Of the longest latency, where nothing came twice.
const PART: u64 = 4;
/// The longest that a part of a latency is waited for: a burst's grow with its pile.
const PART_MAX: Nanos = Nanos::from_millis(100);
/// The longest in any case.
const MOST: Nanos = Nanos::from_secs(1);

/// How long the line must be quiet. `slowest` is the longest latency of a copy, `straggler` that of a copy
/// that came twice or was an earlier trial's, 0 of none; `last` where no trial follows.
pub(super) fn quiet(slowest: Nanos, straggler: Nanos, last: bool) -> Nanos {
    let part = Nanos(slowest.0 / PART).min(PART_MAX);
    let twice = Nanos(straggler.0.saturating_mul(2));
    let least = if last { LEAST_AFTER_LAST } else { LEAST };
    part.max(twice).clamp(least, MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Nanos {
        Nanos::from_millis(millis)
    }

    #[test]
    fn a_quick_cluster_that_sends_nothing_twice_is_waited_for_as_long_as_a_look_takes() {
        assert_eq!(quiet(Nanos::from_micros(300), Nanos::ZERO, false), ms(5));
        assert_eq!(quiet(ms(120), Nanos::ZERO, false), ms(30));
        assert_eq!(quiet(ms(9_000), Nanos::ZERO, false), ms(100));
    }

    #[test]
    fn what_came_late_is_waited_for_twice_as_long_as_it_took() {
        assert_eq!(quiet(ms(1), ms(60), false), ms(120));
        assert_eq!(quiet(ms(1), ms(60_000), false), ms(1_000));
    }

    #[test]
    fn after_the_last_trial_a_copy_too_many_has_the_longer_time() {
        assert_eq!(quiet(ms(1), Nanos::ZERO, true), ms(100));
        assert_eq!(quiet(ms(1), ms(60), true), ms(120));
    }

    proptest! {
        #[test]
        fn the_time_is_bounded_and_never_shorter_for_what_was_seen_later(
            (slowest, straggler, more) in (any::<u64>(), any::<u64>(), any::<u64>()),
            last: bool,
        ) {
            let time = quiet(Nanos(slowest), Nanos(straggler), last);
            prop_assert!(LEAST <= time && time <= MOST);
            let later = Nanos(straggler.saturating_add(more));
            prop_assert!(time <= quiet(Nanos(slowest), later, last));
            prop_assert!(time <= quiet(Nanos(slowest.saturating_add(more)), Nanos(straggler), last));
            prop_assert!(quiet(Nanos(slowest), Nanos(straggler), false) <= time);
        }
    }
}
