//! `fanstorm search`: the largest rate that a cluster holds.
//!
//! Belongs here: its flags, and the question that they ask. Does not: running it (`run`), searching
//! (`experiment::search`).

use clap::Args;

use super::args::RunArgs;
use super::conflicts::FlagConflict;
use super::exit::Exit;
use super::load_args::OfSearch;
use super::run;
use super::values::share;
use crate::experiment::search::bounds::Goal;
use crate::experiment::search::search_plan::SearchPlan;
use crate::units::Nanos;
use crate::verdict::objective::Objective;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  fanstorm search --slo 'p99<50ms' --rate 1k..200k --node ws://10.0.0.7/ --node ws://10.0.0.8/
      the largest rate between these at which 99 % of copies take less than 50 ms and none is missing
  fanstorm search --slo 'completion.p99<200ms' --rate 2k --node ws://10.0.0.7/ --json gate.json
      whether 2 000 messages a second hold; the exit code is 6 where not

A trial is bad where an objective is broken, the cluster takes messages more slowly than they are due, a copy is
duplicate, corrupt or misdelivered, a socket is lost, or a queue is left that the bound has no room for. A rate
holds when at most --exceed-ratio of --duration-sum of trials at it are bad (MLRsearch): one bad moment of the
host decides nothing. Where the generator was the limit, a trial is void and says nothing of the cluster.

Exit codes:
  0    a rate holds; the report has the bounds
  1    the search did not come to its end: it took too long, the cluster did not recover, a trial failed
  2    a flag or a file is wrong
  3    this host cannot run it, or a file that was asked for could not be written
  4    the target cannot be reached, refuses, or never becomes ready
  5    the generator is the limit at the least rate already
  6    not even the least rate holds
  130  interrupted; what was measured is reported";

const SEARCH: &str = "Search";

/// Flags of `search`: those of a run, and what is asked.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("rate", |rate| rate.value_name("R..R").required(true).help(RATE).long_help(None)),
    mut_arg("duration", |duration| duration.help(DURATION).long_help(None)),
    mut_arg("warmup", |warmup| warmup.help(WARMUP).long_help(None)),
    mut_arg("messages", |arg| arg.hide(true)),
    mut_arg("in_flight", |arg| arg.hide(true)),
    mut_arg("calibrate", |arg| arg.hide(true)),
    mut_arg("hgrm", |arg| arg.hide(true)),
)]
pub struct SearchArgs {
    /// What must hold in a trial, like 'p99<50ms'; may be repeated. The figure is p50, p90, p99, p99.9, p99.99 or
    /// max of the response, or of service. or completion. written before it; 'missing<0.1%' lets copies be missing,
    /// of which there may be none otherwise
    #[arg(long, value_name = "OBJECTIVE", required = true, help_heading = SEARCH)]
    slo: Vec<Objective>,

    /// Time of trials that one rate takes, unless less of it decides
    #[arg(long, value_name = "TIME", default_value = "25s", help_heading = SEARCH)]
    duration_sum: Nanos,

    /// The part of that time that may be bad where a rate holds
    #[arg(long, value_name = "SHARE", default_value = "50%", value_parser = exceed_ratio, help_heading = SEARCH)]
    exceed_ratio: f64,

    /// End when the bounds are no further apart than this share
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = width, help_heading = SEARCH)]
    width: f64,

    /// End after this long with what is known then
    #[arg(long, value_name = "TIME", default_value = "10m", help_heading = SEARCH)]
    search_timeout: Nanos,

    #[command(flatten)]
    run: RunArgs,
}

const RATE: &str = "Rates between which is searched, as messages a second over all push sockets, like 1k..200k; one rate \
                    alone is only tried";
const DURATION: &str = "Length of a trial, without its warm-up; longer where its copies would be too few for an \
                        objective [default: 5s]";
const WARMUP: &str = "Send for this long before the measured part of each trial [default: 1s]";

/// Where all may be bad, every rate holds.
fn exceed_ratio(text: &str) -> Result<f64, String> {
    let below = share(text)?;
    if below < 1.0 { Ok(below) } else { Err("write a share below 100%".to_owned()) }
}

/// Closer bounds are further apart in noise than in width.
fn width(text: &str) -> Result<f64, String> {
    let width = share(text)?;
    if width >= 0.005 { Ok(width) } else { Err("write a share of 0.5% or more".to_owned()) }
}

/// Searches.
pub fn run(args: &SearchArgs) -> Exit {
    run::answered(&args.run, Some(&|| args.plan()))
}

impl SearchArgs {
    /// What the flags ask.
    fn plan(&self) -> Result<SearchPlan, FlagConflict> {
        let Self { slo, duration_sum, exceed_ratio, width, search_timeout, run } = self;
        for (flag, given, why) in [
            ("--calibrate", run.calibrate(), "run it at the rate that was found"),
            (
                "--hgrm",
                run.hgrm().is_some(),
                "`fanstorm report FILE --format hgrm` makes one of --json FILE",
            ),
        ] {
            if given {
                return Err(FlagConflict::NotOfASearch { flag, why });
            }
        }
        let OfSearch { range, lasting, warmup, arrivals } = run.of_search()?;
        if *duration_sum < lasting {
            return Err(FlagConflict::SumBelowTrial { sum: *duration_sum, duration: lasting });
        }
        let mut objectives = slo.clone();
        let of_missing = |one: &Objective| one.below().is_none();
        // A copy that is lost is no fast one.
        if !objectives.iter().any(of_missing) {
            objectives.push(Objective::NoneMissing);
        }
        Ok(SearchPlan {
            range,
            objectives,
            goal: Goal { duration_sum: *duration_sum, exceed_ratio: *exceed_ratio, width: *width },
            lasting,
            warmup,
            arrivals,
            timeout: *search_timeout,
        })
    }
}
