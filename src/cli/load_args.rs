//! The flags that say what is sent and when, and the trials that they ask for.
//!
//! Belongs here: the flags of every shape of load, their help, and which of them exclude each other. Does
//! not: what a shape is (`load::profile`), all other flags (`cli::args`).

use clap::Args;

use crate::cli::conflicts::FlagConflict;
use crate::cli::values::{ArrivalsArg, Counts, Rates, small_count};
use crate::load::inter_arrival::InterArrival;
use crate::load::profile::{FixedRate, Profile, Window};
use crate::load::trial::Trial;
use crate::notice::Notice;
use crate::plan::load::Spec;
use crate::units::{Nanos, Rate};

/// How long a rate is kept up where nobody says.
const DURATION: Nanos = Nanos::from_secs(10);

/// The same of a trial of a search: long enough for a p99, short enough for many.
const SEARCH_DURATION: Nanos = Nanos::from_secs(5);
/// The warm-up of a trial of a search.
const SEARCH_WARMUP: Nanos = Nanos::from_secs(1);

const LOAD: &str = "Load";

/// Flags of `run` about messages and when they leave.
#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// Messages of each trial, one trial after another
    /// [default: 10,100,1000,2000,4000,8000; with --rate as many as --duration holds]
    #[arg(long, value_name = "M[,M…]", help_heading = LOAD)]
    messages: Vec<Counts>,

    /// Send when messages are due, so many a second over all push sockets, like 50k or 200/s,
    /// whatever the cluster does (open loop); without it all go as fast as the sockets take them
    #[arg(long, value_name = "R", help_heading = LOAD)]
    rate: Option<Rates>,

    /// With --rate: send for this long [default: 10s, without --messages]
    #[arg(long, value_name = "TIME", help_heading = LOAD)]
    duration: Option<Nanos>,

    /// With --rate: send for this long before the measured part; what is due in it is accounted for as
    /// all else, and its times are reported apart
    #[arg(long, value_name = "TIME", help_heading = LOAD)]
    warmup: Option<Nanos>,

    /// With --rate: at even distances, or as many independent users would [default: constant]
    #[arg(long, value_name = "HOW", help_heading = LOAD)]
    arrivals: Option<ArrivalsArg>,

    /// Messages that a push socket may have under way, at most: the next one leaves when one has
    /// come back to it (closed loop)
    #[arg(long, value_name = "W", value_parser = small_count, help_heading = LOAD)]
    in_flight: Option<u32>,
}

/// What these flags say of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfSearch {
    /// The least and the largest rate.
    pub range: [Rate; 2],
    /// Length of a trial's measured part.
    pub lasting: Nanos,
    /// Its warm-up.
    pub warmup: Nanos,
    /// How messages are spread.
    pub arrivals: InterArrival,
}

impl LoadArgs {
    /// The trials that are asked for; what is drawn is drawn from `seed`.
    ///
    /// # Errors
    /// When flags exclude each other.
    pub(super) fn trials(&self, seed: u64) -> Result<Vec<Trial>, FlagConflict> {
        self.consistent()?;
        let profile = self.profile(seed);
        Ok(Trial::each(&self.message_counts(&profile), profile, self.warmup()))
    }

    /// The trials of a search: which rates, and how long each is.
    ///
    /// # Errors
    /// When a flag is of no search, or the range is missing.
    pub(super) fn of_search(&self, seed: u64) -> Result<OfSearch, FlagConflict> {
        for (flag, given, why) in [
            ("--messages", !self.messages.is_empty(), "--duration says how long each trial is"),
            ("--in-flight", self.in_flight.is_some(), "a search is for rates (open loop)"),
        ] {
            if given {
                return Err(FlagConflict::NotOfASearch { flag, why });
            }
        }
        let rates = self.rate.as_ref().ok_or(FlagConflict::SearchWithoutRates)?;
        if rates.ends[0].micro_per_s == 0 {
            return Err(FlagConflict::SearchFromZero(rates.text.clone()));
        }
        let lasting = self.duration.unwrap_or(SEARCH_DURATION);
        if lasting == Nanos::ZERO {
            return Err(FlagConflict::ZeroDuration);
        }
        Ok(OfSearch {
            range: rates.ends,
            lasting,
            warmup: self.warmup.unwrap_or(SEARCH_WARMUP),
            arrivals: self.arrivals(seed),
        })
    }

    fn consistent(&self) -> Result<(), FlagConflict> {
        match (&self.rate, self.in_flight) {
            (Some(Rates { ends: [least, most], text }), _) if least != most => {
                return Err(FlagConflict::RangeOfRates(text.clone()));
            }
            (Some(_), Some(_)) => return Err(FlagConflict::TwoLoops),
            (Some(_), None) => {}
            (None, _) if self.duration.is_some() => {
                return Err(FlagConflict::NoSchedule("--duration"));
            }
            (None, _) if self.arrivals.is_some() => {
                return Err(FlagConflict::NoSchedule("--arrivals"));
            }
            (None, _) if self.warmup.is_some() => {
                return Err(FlagConflict::NoSchedule("--warmup"));
            }
            (None, _) => {}
        }
        match self.duration {
            Some(_) if !self.messages.is_empty() => Err(FlagConflict::TwoAmounts),
            Some(Nanos::ZERO) => Err(FlagConflict::ZeroDuration),
            Some(_) | None => Ok(()),
        }
    }

    fn message_counts(&self, profile: &Profile) -> Vec<u64> {
        if self.messages.is_empty() {
            let duration = self.duration.unwrap_or(DURATION);
            return match profile.due_within(duration.plus(self.warmup())) {
                // Whether there may be a rate of 0 is for the load to say.
                Some(messages) => vec![messages.max(1)],
                None => Spec::default().trials.iter().map(|trial| trial.messages).collect(),
            };
        }
        let given = self.messages.iter().flat_map(|given| &given.counts);
        // What is asked for is what is measured.
        let warmup = profile.due_within(self.warmup()).unwrap_or(0);
        given.map(|count| count.0.saturating_add(warmup)).collect()
    }

    /// Where `--messages` may have meant one number: several, as they were taken.
    pub(super) fn like_one_number(&self) -> Option<Notice> {
        let (written, trials) = match self.messages.as_slice() {
            [Counts { counts, like_one: Some(written) }] => (written, counts.len()),
            _ => return None,
        };
        Some(Notice::GroupedDigits { written: written.clone(), trials })
    }

    fn warmup(&self) -> Nanos {
        self.warmup.unwrap_or_default()
    }

    fn profile(&self, seed: u64) -> Profile {
        match (&self.rate, self.in_flight) {
            (Some(rates), _) => {
                FixedRate { rate: rates.ends[0], arrivals: self.arrivals(seed) }.into()
            }
            (None, Some(in_flight)) => Window { in_flight }.into(),
            (None, None) => Profile::default(),
        }
    }

    fn arrivals(&self, seed: u64) -> InterArrival {
        match self.arrivals {
            Some(ArrivalsArg::Poisson) => InterArrival::Poisson { seed },
            Some(ArrivalsArg::Constant) | None => InterArrival::Constant,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        load: LoadArgs,
    }

    /// With the seed 7.
    fn trials(words: &str) -> Result<Vec<Trial>, FlagConflict> {
        let words = std::iter::once("fanstorm").chain(words.split_whitespace());
        Alone::try_parse_from(words).unwrap().load.trials(7)
    }

    #[test]
    fn a_rate_sends_for_its_duration_or_as_many_as_are_named() {
        let per_s = |micro_per_s| Rate { micro_per_s };
        for (words, messages, micro_per_s, arrivals) in [
            ("--rate 50k --duration 3s", &[150_000][..], 50_000_000_000, InterArrival::Constant),
            ("--rate 200/s", &[2_000], 200_000_000, InterArrival::Constant),
            (
                "--rate 0.1/s --duration 1s --arrivals constant",
                &[1],
                100_000,
                InterArrival::Constant,
            ),
            (
                "--rate 90/min --messages 10,20 --arrivals poisson",
                &[10, 20],
                1_500_000,
                InterArrival::Poisson { seed: 7 },
            ),
        ] {
            let trials = trials(words).unwrap();
            let profile = FixedRate { rate: per_s(micro_per_s), arrivals };
            assert_eq!(trials, Trial::each(messages, profile, Nanos::ZERO), "{words}");
        }
        let window = trials("--in-flight 16").unwrap();
        let as_many = |(given, default): (&Trial, &Trial)| given.messages == default.messages;
        assert!(window.iter().zip(&Spec::default().trials).all(as_many));
        let profile = Profile::from(Window { in_flight: 16 });
        assert!(window.iter().all(|trial| trial.profile == profile), "{window:?}");
    }

    #[test]
    fn a_warm_up_comes_before_what_is_asked_for() {
        for (words, messages) in [
            ("--rate 1k --warmup 2s --duration 3s", &[5_000][..]),
            ("--rate 1k --warmup 500ms", &[10_500]),
            ("--rate 1k --warmup 2s --messages 10,20", &[2_010, 2_020]),
        ] {
            let trials = trials(words).unwrap();
            let found: Vec<_> = trials.iter().map(|trial| trial.messages).collect();
            assert_eq!(found, messages, "{words}");
        }
    }

    #[test]
    fn shapes_that_exclude_each_other_are_both_named_in_one_line() {
        for (words, names) in [
            ("--rate 1k --in-flight 4", &["--rate", "--in-flight"][..]),
            ("--duration 5s", &["--duration", "--rate"]),
            ("--in-flight 4 --duration 5s", &["--duration", "--rate"]),
            ("--arrivals poisson", &["--arrivals", "--rate"]),
            ("--warmup 1s", &["--warmup", "--rate"]),
            ("--in-flight 4 --warmup 1s", &["--warmup", "--rate"]),
            ("--rate 1k --duration 5s --messages 10", &["--duration", "--messages"]),
            ("--rate 1k --duration 0s", &["--duration", "longer than 0"]),
        ] {
            let text = trials(words).unwrap_err().to_string();
            assert!(names.iter().all(|name| text.contains(name)), "{words}: {text}");
            assert_eq!(text.lines().count(), 1, "{words}: {text}");
        }
    }
}
