//! What every shape of load must keep, whatever its law: held by sums and counts that know no law.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::load::profile::*;
use crate::load::shape::Pacing;

/// Profiles of every shape. A new one is put through all of this by a line here.
fn profiles() -> impl Strategy<Value = Profile> {
    let arrivals = prop_oneof![
        Just(InterArrival::Constant),
        any::<u64>().prop_map(|seed| InterArrival::Poisson { seed }),
    ];
    let rate = (1_u64..1_000_000_000_000).prop_map(|micro_per_s| Rate { micro_per_s });
    prop_oneof![
        Just(Burst.into()),
        (1_u32..).prop_map(|in_flight| Window { in_flight }.into()),
        (rate, arrivals).prop_map(|(rate, arrivals)| FixedRate { rate, arrivals }.into()),
    ]
}

/// One message after the other.
fn counted(schedule: &Schedule, elapsed: Nanos) -> u64 {
    (0..schedule.messages()).take_while(|&i| schedule.offset(i) <= elapsed).count() as u64
}

/// The area below the rate, in slices.
fn area(law: &dyn DueTimes, until: Nanos) -> f64 {
    const SLICES: u64 = 2_000;
    let width = until.0 as f64 / SLICES as f64;
    let middle = |slice| Nanos(((slice as f64 + 0.5) * width) as u64);
    let rates = (0..SLICES).map(|slice| law.rate_at(middle(slice)).as_f64());
    rates.sum::<f64>() * width / 1e9
}

proptest! {
    #[test]
    fn the_number_due_by_a_time_is_the_inverse_of_when_a_message_is_due(
        profile in profiles(),
        messages in 1_u64..300,
        part in 0.0..1.5,
    ) {
        let Some(schedule) = profile.schedule(messages) else { return Ok(()) };
        prop_assert_eq!(schedule.messages(), messages);
        let between = Nanos((schedule.last().0 as f64 * part) as u64);
        for elapsed in [Nanos::ZERO, between, schedule.last(), schedule.offset(messages / 2)] {
            prop_assert_eq!(schedule.due(elapsed), counted(&schedule, elapsed));
        }
        let offsets: Vec<_> = (0..messages).map(|i| schedule.offset(i)).collect();
        prop_assert!(offsets.is_sorted());
    }

    #[test]
    fn as_many_messages_are_due_as_there_is_area_below_the_rate(
        profile in profiles(),
        messages in 1_u64..5_000,
        part in 0.0..1.0,
    ) {
        let Some(law) = profile.due_times() else { return Ok(()) };
        let whole = law.seconds_for(messages);
        let until = Nanos((whole * part * 1e9) as u64);
        let (due, area) = (law.due_within(until) as f64, area(law, until));
        // What the sum is off by, and up to one message that is begun.
        let within = 1.0 + area * 1e-6;
        prop_assert!((due - area).abs() <= within, "{} due, an area of {}", due, area);
        let all = law.due_within(Nanos((whole * 1e9) as u64)) as f64;
        prop_assert!((all - messages as f64).abs() <= 1.0, "{} of {}", all, messages);
        if law.arrivals() == InterArrival::Constant {
            let schedule = law.schedule(messages);
            prop_assert!((schedule.due(until) as f64 - area).abs() <= within);
        }
    }

    #[test]
    fn no_rate_is_above_the_peak(profile in profiles(), at: u64, near in 0_u64..100_000_000_000) {
        let Some(law) = profile.due_times() else { return Ok(()) };
        for at in [0, near, at].map(Nanos) {
            prop_assert!(law.rate_at(at) <= law.peak());
        }
    }

    #[test]
    fn a_schedule_takes_the_memory_that_its_shape_named(profile in profiles(), messages in 1_u64..300) {
        let Some(law) = profile.due_times() else { return Ok(()) };
        prop_assert_eq!(law.schedule_bytes(messages), law.schedule(messages).bytes());
    }

    #[test]
    fn a_shape_is_read_back_from_what_a_result_file_keeps(profile in profiles()) {
        let (shape, law) = (profile.shape(), profile.due_times());
        let arrivals = law.map_or(InterArrival::Constant, DueTimes::arrivals);
        let again = Profile::read(shape.mode(), &shape.parameters(), arrivals);
        prop_assert_eq!(again.as_ref(), Ok(&profile));
        let written: Vec<_> = shape.parameters().0.iter().map(|(name, _)| *name).collect();
        let keys: Vec<_> = shape.mode().keys.iter().map(|key| key.name).collect();
        prop_assert_eq!(written, keys, "what is written is in the schema");
    }

    #[test]
    fn a_shape_is_open_closed_or_neither_and_its_mode_says_which(profile in profiles()) {
        let pacing = match (profile.is_open_loop(), profile.in_flight()) {
            (true, None) => Pacing::DueTimes,
            (false, Some(_)) => Pacing::Answers,
            (false, None) => Pacing::Free,
            (true, Some(_)) => panic!("{profile:?}"),
        };
        prop_assert_eq!(profile.pacing(), pacing);
        prop_assert_eq!(profile.shape().refusal(), None);
    }
}

#[test]
fn no_two_shapes_share_a_mode_or_a_key() {
    let modes: BTreeSet<_> = MODES.iter().map(|mode| mode.name).collect();
    assert_eq!(modes.len(), MODES.len());
    let keys = || MODES.iter().flat_map(|mode| mode.keys);
    let names: BTreeSet<_> = keys().map(|key| key.name).collect();
    assert_eq!(names.len(), keys().count());
}
