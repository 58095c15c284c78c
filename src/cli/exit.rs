//! Exit codes: what a script learns from a run without reading it.

use std::process::ExitCode;

use crate::experiment::Outcome;
use crate::experiment::search::bounds::Bounds;
use crate::experiment::search::{Ending, Searched};
use crate::verdict::{Judged, Trust};

/// How the program ends. The numbers are a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every copy came once and unaltered, and the numbers can be trusted.
    Complete = 0,
    /// Copies are missing, came twice or came altered; or trials did not run.
    Incomplete = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// This host cannot run it: io_uring, descriptors, ports, memory, processes. Or it did not take what was to be
    /// written: a full disk, a limit.
    Host = 3,
    /// The discovery or a node cannot be reached, refuses, or never answers.
    Unreachable = 4,
    /// Every copy came, but the numbers describe the generator, not the cluster.
    Void = 5,
    /// Side B of a comparison is slower than `--fail-if-slower` lets it be, or the cluster does not hold the least rate
    /// of a search.
    Slower = 6,
    /// Ctrl-C, SIGTERM or SIGHUP; what was measured was reported.
    Interrupted = 130,
}

impl Exit {
    /// For `--help`.
    pub const HELP: &'static str = concat!(
        "  0    complete: every copy came once, and the verdict is not void\n",
        "  1    copies are missing, duplicate, misdelivered or corrupt, or trials did not run\n",
        "  2    a flag or a file is wrong\n",
        "  3    this host cannot run it (io_uring, descriptors, ports, memory, processes), or a file that\n",
        "       was asked for could not be written\n",
        "  4    the target cannot be reached, refuses, or never becomes ready\n",
        "  5    complete, but the verdict is void: the generator was the bottleneck\n",
        "  6    `fanstorm compare --fail-if-slower`: side B is slower than that; `fanstorm search`: not even the\n",
        "       least rate holds\n",
        "  130  interrupted; what was measured is reported",
    );

    /// What it becomes where something that was to be written could not be: no success. What else is wrong
    /// comes first, because it stays true whatever was written.
    #[must_use]
    pub const fn with_outputs(self, written: bool) -> Self {
        match self {
            Self::Complete | Self::Void if !written => Self::Host,
            other => other,
        }
    }

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The exit code of a search.
pub fn search_exit(outcome: &Outcome, searched: &Searched) -> Exit {
    let Bounds { lower, upper, by_generator } = searched.bounds();
    // Whatever ended the search, the least rate is decided then.
    let is_least = upper.is_some_and(|upper| upper <= searched.plan.range[0]);
    match lower {
        _ if outcome.interrupted => Exit::Interrupted,
        None if is_least && by_generator => Exit::Void,
        None if is_least => Exit::Slower,
        Some(_) if searched.ending == Ending::Found => Exit::Complete,
        _ => Exit::Incomplete,
    }
}

/// The exit code of a run that came to a report. Interruption is said first, because it explains the
/// rest; a deficit comes before a void verdict, because it stays true whatever the timing is worth.
pub fn exit_code(outcome: &Outcome) -> Exit {
    if outcome.interrupted {
        return Exit::Interrupted;
    }
    let incomplete = |run: &Judged| !run.complete();
    if outcome.trials.is_empty()
        || !outcome.skipped.is_empty()
        || outcome.trials.iter().any(incomplete)
    {
        return Exit::Incomplete;
    }
    if outcome.trials.iter().any(|run| run.trust() == Trust::Void) {
        return Exit::Void;
    }
    Exit::Complete
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Skipped;
    use crate::experiment::search::bounds::{Finding, Goal, Tries};
    use crate::experiment::search::search_plan::SearchPlan;
    use crate::load::inter_arrival::InterArrival;
    use crate::load::trial::Trial;
    use crate::measure::outcome::{Delivery, TrialOutcome};
    use crate::units::{Nanos, Rate};
    use crate::verdict::Caveat;

    fn run(delivery: Delivery, trust: Trust) -> Judged {
        let caveat =
            Caveat { code: "test", severity: trust, text: String::new(), remedy: String::new() };
        let outcome = TrialOutcome { messages: 10, sent: 10, delivery, ..TrialOutcome::nothing() };
        Judged { outcome, caveats: vec![caveat] }
    }

    fn outcome(trials: &[(Delivery, Trust)]) -> Outcome {
        let trials = trials.iter().map(|&(delivery, trust)| run(delivery, trust));
        Outcome { trials: trials.collect(), ..Outcome::default() }
    }

    const WHOLE: Delivery = Delivery {
        expected: 10,
        delivered: 10,
        missing: 0,
        duplicate: 0,
        misdelivered: 0,
        earlier: 0,
        out_of_order: 3,
        foreign: 7,
        corrupt: 0,
        seen: 17,
    };

    #[test]
    fn the_worst_trial_decides_and_a_deficit_comes_before_a_void_verdict() {
        let missing = Delivery { delivered: 9, missing: 1, ..WHOLE };
        let duplicate = Delivery { duplicate: 1, ..WHOLE };
        let misdelivered = Delivery { misdelivered: 1, ..WHOLE };
        let corrupt = Delivery { corrupt: 1, ..WHOLE };
        let (ok, degraded, void) = (Trust::Ok, Trust::Degraded, Trust::Void);
        for (trials, exit) in [
            (&[(WHOLE, ok)][..], Exit::Complete),
            (&[(WHOLE, ok), (WHOLE, degraded)], Exit::Complete),
            (&[(WHOLE, void), (WHOLE, ok)], Exit::Void),
            (&[(missing, ok), (WHOLE, ok)], Exit::Incomplete),
            (&[(duplicate, ok)], Exit::Incomplete),
            (&[(misdelivered, ok)], Exit::Incomplete),
            (&[(corrupt, ok)], Exit::Incomplete),
            (&[(WHOLE, void), (missing, ok)], Exit::Incomplete),
            (&[(missing, void)], Exit::Incomplete),
            (&[], Exit::Incomplete),
        ] {
            assert_eq!(exit_code(&outcome(trials)), exit, "{trials:?}");
        }
    }

    #[test]
    fn an_interruption_is_said_first() {
        let missing = Delivery { delivered: 0, missing: 10, ..WHOLE };
        for trials in [&[(missing, Trust::Void)][..], &[(WHOLE, Trust::Ok)], &[]] {
            let mut outcome = outcome(trials);
            outcome.interrupted = true;
            assert_eq!(exit_code(&outcome), Exit::Interrupted);
        }
    }

    #[test]
    fn a_search_ends_with_what_is_known_of_its_least_rate_and_how_it_ended() {
        let rate = Rate::per_second;
        let plan = SearchPlan {
            range: [100.0, 1_000.0].map(rate),
            objectives: Vec::new(),
            goal: Goal { duration_sum: Nanos::from_secs(3), exceed_ratio: 0.5, width: 0.05 },
            lasting: Nanos::from_secs(1),
            warmup: Nanos::ZERO,
            arrivals: InterArrival::Constant,
            timeout: Nanos::MAX,
        };
        let exit = |tried: &[(f64, Finding)], ending: Ending| {
            let mut tries = Tries::default();
            for &(per_s, finding) in tried {
                (0..3).for_each(|_| tries.add(rate(per_s), Nanos::from_secs(1), finding));
            }
            let (attempts, elapsed) = (Vec::new(), Nanos::ZERO);
            let searched = Searched { attempts, tries, plan: plan.clone(), ending, elapsed };
            search_exit(&Outcome::default(), &searched)
        };
        let (good, bad, void) = (Finding::Good, Finding::Bad, Finding::Void);
        let early = || [Ending::Timeout, Ending::NotRecovered, Ending::Failed(String::new())];
        for (tried, found, otherwise) in [
            (&[(100.0, good), (200.0, bad)][..], Exit::Complete, Exit::Incomplete),
            (&[(100.0, good), (200.0, void)], Exit::Complete, Exit::Incomplete),
            (&[(1_000.0, good)], Exit::Complete, Exit::Incomplete),
            (&[(100.0, bad)], Exit::Slower, Exit::Slower),
            (&[(100.0, void)], Exit::Void, Exit::Void),
            (&[(200.0, bad)], Exit::Incomplete, Exit::Incomplete),
            (&[(200.0, void)], Exit::Incomplete, Exit::Incomplete),
            (&[], Exit::Incomplete, Exit::Incomplete),
        ] {
            assert_eq!(exit(tried, Ending::Found), found, "{tried:?}");
            for ending in early() {
                assert_eq!(exit(tried, ending), otherwise, "{tried:?}");
            }
        }
    }

    #[test]
    fn rows_that_did_not_run_are_no_success() {
        let mut outcome = outcome(&[(WHOLE, Trust::Ok)]);
        let trial = Trial::bursts(&[8_000]).remove(0);
        outcome.skipped.push(Skipped { trial, reason: "too little memory".to_owned() });
        assert_eq!(exit_code(&outcome), Exit::Incomplete);
    }

    #[test]
    fn what_could_not_be_written_is_no_success_and_hides_no_other_failure() {
        for (exit, unwritten) in [
            (Exit::Complete, Exit::Host),
            (Exit::Void, Exit::Host),
            (Exit::Incomplete, Exit::Incomplete),
            (Exit::Interrupted, Exit::Interrupted),
        ] {
            assert_eq!(exit.with_outputs(true), exit);
            assert_eq!(exit.with_outputs(false), unwritten);
        }
    }

    #[test]
    fn the_help_names_every_code() {
        for exit in [
            Exit::Complete,
            Exit::Incomplete,
            Exit::Usage,
            Exit::Host,
            Exit::Unreachable,
            Exit::Void,
            Exit::Slower,
            Exit::Interrupted,
        ] {
            let code = exit.code().to_string();
            let named = |line: &str| line.split_whitespace().next() == Some(code.as_str());
            assert!(Exit::HELP.lines().any(named), "{exit:?}");
        }
    }
}
