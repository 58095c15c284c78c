//! `fanstorm compare A… -- B…`: results of one side against those of another.
//!
//! Belongs here: its flags, reading the files, where the report goes, exit codes. Does not: what is compared and
//! how (`report::compare`), how it is told (`report::story`), making runs (`compare_runs`).

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::compare_runs::{Made, Series, SeriesError, say};
use super::exit::Exit;
use super::output::{JsonTarget, ResultFile, UnwritableError};
use super::outputs::Json;
use super::report::{ReportError, results};
use super::signals::Signals;
use super::values::share;
use super::view::Output;
use crate::host::io_words::{unnumbered, unwritten};
use crate::report::compare::gate::{Held, Limit};
use crate::report::compare::ranks::{RUNS_MAX, RUNS_MIN};
use crate::report::compare::{self, Comparison, Pair, Runs};
use crate::report::sanitize::plain_lines;
use crate::report::saved::Saved;
use crate::report::story::{self, Story};
use crate::report::text::one_line;
use crate::report::{html, json};

const AFTER_HELP: &str = "\
Examples:
  fanstorm compare old-*.json -- new-*.json
      results of one version of a cluster, and of another: at least 4 a side, 5 or more are better
  fanstorm compare --run 5 --against '--node ws://10.0.0.7/' -- '--node ws://10.0.0.8/'
      makes them, in turns: A B A B A B A B A B
  fanstorm compare --fail-if-slower 'p99 by 10%' main-*.json -- branch-*.json
      the exit code is 6 where the branch is slower than that

Each run is one sample. A figure is different where the interval of its change is on one side of no \
change and the change is beyond --tolerance, the same where all of the interval is within it, else undecided.

Exit codes:
  0    compared; with --fail-if-slower: no limit is broken, as far as these runs show
  1    with --fail-if-slower: side B delivers worse: copies missing, duplicate or altered
  2    a flag or a file is wrong
  3    an output cannot be written, or a run cannot be started
  5    with --fail-if-slower: fewer than 4 runs of a side have times that count
  6    with --fail-if-slower: side B is slower
  130  interrupted; the runs that were made are compared
  with --run, the exit code of a first run that came to no result";

/// Flags of `compare`.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP, override_usage = "\
fanstorm compare [OPTIONS] A... -- B...
       fanstorm compare [OPTIONS] --run <N> --against <FLAGS> -- FLAGS")]
pub struct CompareArgs {
    /// Results of side A, as runs have written them with --json or --html
    #[arg(value_name = "A", conflicts_with = "run")]
    a: Vec<PathBuf>,

    /// Results of side B; with --run the flags of its runs
    #[arg(value_name = "B", last = true)]
    b: Vec<OsString>,

    /// Make so many runs of each side, in turns
    #[arg(long, value_name = "N", requires = "against", value_parser = clap::value_parser!(u8).range(1..=RUNS_MAX as i64))]
    run: Option<u8>,

    /// Flags of side A's runs, quoted as one word
    #[arg(long, value_name = "FLAGS", requires = "run", allow_hyphen_values = true)]
    against: Option<String>,

    /// Keep the results of --run in this directory [default: a new one for temporary files, which is named]
    #[arg(long, value_name = "DIR", requires = "run")]
    results: Option<PathBuf>,

    /// A change up to this share is none
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share)]
    tolerance: f64,

    /// Let this trial head the comparison [default: the largest that delivered every copy in every run]
    #[arg(long, value_name = "ID")]
    trial: Option<String>,

    /// Fail where side B is worse than A by more than this, like 'p99 by 10%'; may be repeated
    #[arg(long, value_name = "LIMIT")]
    fail_if_slower: Vec<Limit>,

    /// Write the comparison as JSON; - is standard output, the report then goes to standard error
    #[arg(long, value_name = "FILE|-")]
    json: Option<JsonTarget>,

    /// Write the report as a page with a picture, one file that needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// No report: --json, --html and the exit code say it all
    #[arg(long, short)]
    quiet: bool,
}

/// Flags that only one of all runs could have, or that `compare` sets itself.
const NOT_OF_A_SIDE: [&str; 7] =
    ["--json", "--html", "--hlog", "--hgrm", "--live", "--quiet", "-q"];

#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error(
        "side {0} is empty: write fanstorm compare A... -- B..., each a result file or several"
    )]
    Empty(&'static str),
    #[error(
        "--run makes runs of flags: write fanstorm compare --run {0} --against 'FLAGS' -- 'FLAGS'"
    )]
    NoFlags(u8),
    #[error("{0} stands among the files of side B: write flags before the files of A")]
    FlagBehind(String),
    #[error("--against {0}: a quote is not closed")]
    Quote(String),
    #[error(
        "{0} among the flags of a side: each run would overwrite it; compare has --json and --html itself"
    )]
    OfARun(String),
    #[error("--results {}: {}", dir.display(), unwritten(source))]
    Results { dir: PathBuf, source: io::Error },
    #[error(transparent)]
    Read(#[from] ReportError),
    #[error("{first} and {second} hold the same result: a run counts once")]
    Twice { first: String, second: String },
    #[error("side {side} has {runs} results, more than {RUNS_MAX} are not compared")]
    TooMany { side: &'static str, runs: usize },
    #[error(
        "--fail-if-slower wants at least {RUNS_MIN} runs on each side, and side {side} has {runs}: fewer show \
         nothing"
    )]
    TooFew { side: &'static str, runs: usize },
    #[error("--trial {asked}: no trial of both sides has this name; there is {there}")]
    NoTrial { asked: String, there: String },
    #[error(transparent)]
    Series(#[from] SeriesError),
    #[error("cannot take signals: {}", unnumbered(.0))]
    Signals(io::Error),
    #[error(transparent)]
    Output(#[from] UnwritableError),
}

impl CompareError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read(error) => error.exit(),
            Self::Series(SeriesError::First { code, .. }) => match code {
                Some(2) => Exit::Usage,
                Some(4) => Exit::Unreachable,
                _ => Exit::Host,
            },
            // A file where a directory was asked for.
            Self::Results { source, .. } if is_no_directory(source) => Exit::Usage,
            Self::Series(SeriesError::Start(_)) | Self::Results { .. } | Self::Signals(_) => {
                Exit::Host
            }
            Self::Output(_) => Exit::Host,
            _ => Exit::Usage,
        }
    }
}

fn is_no_directory(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory)
}

/// Compares.
pub fn run(args: &CompareArgs) -> Exit {
    args.compared().unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {}", plain_lines(&error.to_string()));
        error.exit()
    })
}

/// Where a result is from, and what is in it.
type Named = (String, Saved);

impl CompareArgs {
    fn compared(&self) -> Result<Exit, CompareError> {
        let mut outputs = Outputs::open(self)?;
        let (files, interrupted) = match self.run {
            Some(runs) => {
                let made = self.make(runs)?;
                (made.files, made.interrupted)
            }
            None => ([self.a.clone(), self.b.iter().map(PathBuf::from).collect()], false),
        };
        let read = |files: &[PathBuf]| -> Result<Vec<Named>, CompareError> {
            let of = |file: &PathBuf| {
                let name = file.display().to_string();
                Ok(results(file)?.into_iter().map(move |saved| (name.clone(), saved)))
            };
            let all: Result<Vec<_>, ReportError> = files.iter().map(of).collect();
            Ok(all?.into_iter().flatten().collect())
        };
        if let Some(flag) =
            files[1].iter().find(|file| file.as_os_str().as_encoded_bytes().starts_with(b"--"))
        {
            return Err(CompareError::FlagBehind(flag.display().to_string()));
        }
        let all = [read(&files[0])?, read(&files[1])?];
        distinct(&all)?;
        let [a, b] = all.map(sorted);
        let runs = Pair::new(a, b);
        self.enough(&runs)?;
        let mut comparison = compare::compare(&runs, self.tolerance);
        self.choose(&mut comparison)?;
        let written = outputs.write(self, &comparison);
        let exit = match interrupted {
            true => Exit::Interrupted,
            false => self.judge(&comparison),
        };
        Ok(exit.with_outputs(written))
    }

    /// Runs of both sides.
    fn make(&self, runs: u8) -> Result<Made, CompareError> {
        let against = self.against.as_deref().unwrap_or_default();
        let flags = [words(against)?, self.flags_of_b(runs)?];
        for flag in flags.iter().flatten() {
            let word = flag.to_string_lossy();
            let name = word.split('=').next().unwrap_or_default();
            if NOT_OF_A_SIDE.contains(&name) {
                return Err(CompareError::OfARun(name.to_owned()));
            }
        }
        let dir = self.dir()?;
        say(&format!("compare: results go to {}", dir.display()));
        let stop = Arc::new(AtomicBool::new(false));
        let signals =
            Signals::ending_the_program(Arc::clone(&stop)).map_err(CompareError::Signals)?;
        signals.stop_the_run_first();
        let series = Series { flags, runs: runs.into(), dir };
        Ok(series.make(&stop, |name, file| say(&format!("compare: {name}: {}", in_short(file))))?)
    }

    /// One word is split as a shell would, several are taken as they are.
    fn flags_of_b(&self, runs: u8) -> Result<Vec<OsString>, CompareError> {
        match self.b.as_slice() {
            [] => Err(CompareError::NoFlags(runs)),
            [one] => words(&one.to_string_lossy()),
            several => Ok(several.to_vec()),
        }
    }

    fn dir(&self) -> Result<PathBuf, CompareError> {
        match &self.results {
            Some(dir) => fs::create_dir_all(dir)
                .map(|()| dir.clone())
                .map_err(|source| CompareError::Results { dir: dir.clone(), source }),
            None => tempfile::Builder::new()
                .prefix("fanstorm-compare-")
                .tempdir()
                .map(tempfile::TempDir::keep)
                .map_err(|source| CompareError::Results { dir: std::env::temp_dir(), source }),
        }
    }

    fn enough(&self, runs: &Pair<Runs>) -> Result<(), CompareError> {
        for (side, of) in [("A", &runs.a), ("B", &runs.b)] {
            let runs = of.results.len();
            if runs == 0 && of.failed.is_empty() {
                return Err(CompareError::Empty(side));
            }
            if runs > RUNS_MAX {
                return Err(CompareError::TooMany { side, runs });
            }
            if !self.fail_if_slower.is_empty() && runs < RUNS_MIN {
                return Err(CompareError::TooFew { side, runs });
            }
        }
        Ok(())
    }

    fn choose(&self, comparison: &mut Comparison) -> Result<(), CompareError> {
        let Some(asked) = &self.trial else { return Ok(()) };
        let named = |trial: &compare::Trial| trial.id.a.raw() == asked || trial.id.b.raw() == asked;
        let Some(at) = comparison.trials.iter().position(named) else {
            let there: Vec<_> = comparison.trials.iter().map(|one| one.id.a.to_string()).collect();
            return Err(CompareError::NoTrial { asked: asked.clone(), there: there.join(", ") });
        };
        comparison.headline = Some(at);
        Ok(())
    }

    /// What the limits come to.
    fn judge(&self, comparison: &Comparison) -> Exit {
        if self.fail_if_slower.is_empty() {
            return Exit::Complete;
        }
        let mut exit = Exit::Complete;
        for limit in &self.fail_if_slower {
            match limit.held(comparison) {
                Held::Kept => {}
                Held::Broken => {
                    say(&format!("error: --fail-if-slower '{limit}': side B is slower than that"));
                    exit = Exit::Slower;
                }
                Held::NoEvidence => {
                    say(&format!(
                        "error: --fail-if-slower '{limit}': fewer than {RUNS_MIN} runs of a side have times \
                         that count"
                    ));
                    exit = if exit == Exit::Slower { exit } else { Exit::Void };
                }
            }
        }
        if comparison.delivery.different && comparison.delivery.b_is_worse {
            say("error: side B delivers worse than A: see the copies of all runs");
            exit = Exit::Incomplete;
        }
        exit
    }
}

/// As a shell splits them.
fn words(text: &str) -> Result<Vec<OsString>, CompareError> {
    let words = shlex::split(text).ok_or_else(|| CompareError::Quote(text.to_owned()))?;
    Ok(words.into_iter().map(OsString::from).collect())
}

/// One line of a result.
fn in_short(file: &Path) -> String {
    match results(file) {
        Ok(saved) => match saved.first() {
            Some(Saved::Result(document)) => one_line(&story::in_short(document)),
            Some(Saved::Failed(document)) => format!("no result: {}", document.failed.cause),
            None => "empty".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

/// The same result twice is one run.
fn distinct(sides: &[Vec<Named>; 2]) -> Result<(), CompareError> {
    let all: Vec<&Named> = sides.iter().flatten().collect();
    for (at, (second, saved)) in all.iter().enumerate() {
        if let Some((first, _)) = all[..at].iter().find(|(_, other)| other == saved) {
            return Err(CompareError::Twice { first: first.clone(), second: second.clone() });
        }
    }
    Ok(())
}

fn sorted(saved: Vec<Named>) -> Runs {
    let mut runs = Runs::default();
    for (_, saved) in saved {
        match saved {
            Saved::Result(document) => runs.results.push(*document),
            Saved::Failed(document) => runs.failed.push(document),
        }
    }
    runs
}

/// Where the comparison goes.
struct Outputs {
    json: Option<Json>,
    html: Option<ResultFile>,
}

impl Outputs {
    /// Before runs are made: an hour of them must not end in a folder that is not there.
    fn open(args: &CompareArgs) -> Result<Self, UnwritableError> {
        Ok(Self {
            json: args.json.as_ref().map(Json::open).transpose()?,
            html: args.html.as_ref().map(|path| ResultFile::open("--html", path)).transpose()?,
        })
    }

    /// Returns whether all is where it was to be.
    fn write(&mut self, args: &CompareArgs, comparison: &Comparison) -> bool {
        let result = json::to_bytes(comparison).expect("memory takes what is written");
        let story = Story::of_comparison(comparison);
        let sheet = match (&args.json, args.quiet) {
            (_, true) => Output::Quiet,
            (Some(JsonTarget::Stdout), _) => Output::Stderr,
            _ => Output::Stdout,
        };
        let told = sheet.text().all(&mut *sheet.open(), &story);
        let mut whole = told.map_err(|error| say(&format!("error: the report: {error}"))).is_ok();
        if let Some(file) = &mut self.html {
            let mut page = Vec::new();
            html::write(&mut page, &story, &result).expect("memory takes what is written");
            whole &= file.write(&page).map_err(|error| say(&format!("error: {error}"))).is_ok();
        }
        if let Some(json) = &mut self.json {
            whole &= json.write(&result);
        }
        whole
    }
}
