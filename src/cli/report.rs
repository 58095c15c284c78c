//! `fanstorm report FILE`: a saved result, presented again.
//!
//! Belongs here: its flags, reading the file, standard output, exit codes. Does not: what is in a
//! result (`report::saved`), how it is told (`report`).

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::exit::Exit;
use super::output::Pipe;
use super::view::Output;
use crate::host::io_words::{unread, unwritten};
use crate::report::document::Document;
use crate::report::document::failed::FailedDocument;
use crate::report::document::trial::LatencyClass;
use crate::report::export::{csv, junit, k6, vegeta};
use crate::report::sanitize::plain;
use crate::report::saved::{self, Saved, Unreadable};
use crate::report::selection::{self, NotThere};
use crate::report::story::{self, Story};
use crate::report::text::Text;
use crate::report::{hgrm, html, json};

/// Flags of `report`.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct ReportArgs {
    /// A result that a run has written with --json or --html; - is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// How to present it
    #[arg(long, value_name = "HOW", default_value = "text")]
    format: Format,

    /// The latency class of the trials, or of the distribution [default: the one that the run leads
    /// with]
    #[arg(long, value_name = "CLASS")]
    class: Option<ClassArg>,

    /// Only this trial, by its name (m1000), or by its number of messages where no other has as many
    #[arg(long, value_name = "ID")]
    trial: Option<String>,
}

const AFTER_HELP: &str = "\
Examples:
  fanstorm --json result.json
      a run that writes such a file
  fanstorm report result.json
      the report that it printed
  fanstorm report result.json --format html >result.html
      a page with pictures, for a browser
  fanstorm report result.json --format hgrm --class completion >completion.hgrm
      until everyone has a message, as the HdrHistogram plotter takes it

Exit codes:
  0    the result was presented, whatever its verdict
  2    the file cannot be read, is no result of fanstorm, or has no such trial or class
  3    standard output cannot be written";

/// `--format`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As the run printed it
    Text,
    /// A percentile distribution in milliseconds, for the HdrHistogram plotter: of the trial of --trial,
    /// else of the largest complete one
    Hgrm,
    /// A page to look at in a browser, with pictures and the result in it
    Html,
    /// The result itself, one line each
    Json,
    /// The course of all trials as a table: a row for each second
    Csv,
    /// What must hold of each trial as a test, for continuous integration: delivery, and times that count
    Junit,
    /// The trial that heads the result, in the form of k6's --summary-export
    K6,
    /// The same in the form of vegeta report -type=json
    Vegeta,
}

impl Format {
    /// What it makes of one result, where it takes no more.
    const fn of_one(self) -> Option<&'static str> {
        match self {
            Self::Hgrm => Some("hgrm is a distribution"),
            Self::Html => Some("html is a page"),
            Self::Csv => Some("csv is a table"),
            Self::Junit => Some("junit is a report"),
            Self::K6 => Some("k6 is a summary"),
            Self::Vegeta => Some("vegeta is a report"),
            Self::Text | Self::Json => None,
        }
    }
}

/// `--class`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClassArg {
    /// From the send to each copy
    Service,
    /// From the due time to each copy
    Response,
    /// From the due time to the send
    Wait,
    /// From the due time, or the send, to the last copy
    Completion,
    /// From the first copy to the last
    Spread,
}

impl From<ClassArg> for LatencyClass {
    fn from(class: ClassArg) -> Self {
        match class {
            ClassArg::Service => Self::Service,
            ClassArg::Response => Self::Response,
            ClassArg::Wait => Self::Wait,
            ClassArg::Completion => Self::Completion,
            ClassArg::Spread => Self::Spread,
        }
    }
}

/// Presents a saved result. The exit code says whether that went well, not what the result says: the
/// run has said it.
pub fn run(args: &ReportArgs) -> Exit {
    match args.present() {
        Ok(()) => Exit::Complete,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", plain(&error.to_string()));
            error.exit()
        }
    }
}

impl ReportArgs {
    fn present(&self) -> Result<(), ReportError> {
        self.consistent()?;
        let name = self.name();
        let documents = results(&self.file)?;
        if let Some(made) = self.format.of_one()
            && documents.len() > 1
        {
            return Err(ReportError::Several { name, made, results: documents.len() });
        }
        let absent = |fault| ReportError::NotThere { name: self.name(), fault };
        let mut out = Vec::new();
        for (index, saved) in documents.into_iter().enumerate() {
            if index > 0 && self.format == Format::Text {
                out.push(b'\n');
            }
            match saved {
                Saved::Result(document) => self.document(&mut out, *document).map_err(absent)?,
                Saved::Failed(document) => self.failure(&mut out, &document).map_err(absent)?,
            }
        }
        let mut stdout = Pipe::new(io::stdout().lock());
        stdout.write_all(&out).and_then(|()| stdout.flush()).map_err(ReportError::Output)
    }

    fn consistent(&self) -> Result<(), ReportError> {
        match (self.format, self.class) {
            (Format::Json, Some(_)) => Err(ReportError::ClassOfJson),
            (Format::Csv | Format::Junit | Format::K6 | Format::Vegeta, Some(_)) => {
                Err(ReportError::ClassOfExport)
            }
            _ => Ok(()),
        }
    }

    fn name(&self) -> Name {
        Name::of(&self.file)
    }

    /// What a failed run wrote: it has no trials to choose from.
    fn failure(&self, out: &mut Vec<u8>, document: &FailedDocument) -> Result<(), NotThere> {
        if self.format.of_one().is_some() || self.trial.is_some() || self.class.is_some() {
            return Err(NotThere::Failed);
        }
        let written = match self.format {
            Format::Json => json::to_bytes(document).map(|bytes| out.extend(bytes)),
            _ => Text::failure(out, &story::failure(document)),
        };
        written.expect("memory takes what is written");
        Ok(())
    }

    /// Rendered into memory, so that an error later in the file is not told in the middle of it.
    fn document(&self, out: &mut Vec<u8>, document: Document) -> Result<(), NotThere> {
        let document = selection::trial(document, self.trial.as_deref())?;
        let class = self.class.map(LatencyClass::from);
        let written = match self.format {
            Format::Text => {
                let class = selection::class(&document, class)?;
                Output::Stdout.text().all(out, &Story::of_class(&document, class))
            }
            Format::Html => {
                let class = selection::class(&document, class)?;
                json::to_bytes(&document).and_then(|result| {
                    html::write(out, &Story::of_class(&document, class), &result)
                })
            }
            Format::Hgrm => {
                let (ns, what) = selection::histogram(&document, class)?;
                hgrm::write(out, &ns, &what)
            }
            Format::Json => json::to_bytes(&document).map(|bytes| out.extend(bytes)),
            Format::Csv => csv::write(out, &document),
            Format::Junit => junit::write(out, &document),
            Format::K6 => put(out, &k6::of(&document).ok_or(NotThere::NoTrials)?),
            Format::Vegeta => put(out, &vegeta::of(&document).ok_or(NotThere::NoTrials)?),
        };
        written.expect("memory takes what is written");
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, made: &impl Serialize) -> io::Result<()> {
    json::to_bytes(made).map(|bytes| out.extend(bytes))
}

/// The results in a file; `-` is standard input.
///
/// # Errors
/// When it cannot be read, or holds something else.
pub(super) fn results(file: &Path) -> Result<Vec<Saved>, ReportError> {
    let name = Name::of(file);
    saved::read(&bytes(&name)?).map_err(|fault| ReportError::Unreadable { name, fault })
}

fn bytes(name: &Name) -> Result<Vec<u8>, ReportError> {
    let read = match &name.0 {
        Some(path) => fs::File::open(path).and_then(within_bounds),
        None => within_bounds(io::stdin().lock()),
    };
    let name = name.clone();
    read.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ReportError::Absent { name: name.clone() }
        }
        io::ErrorKind::IsADirectory => ReportError::Directory { name: name.clone() },
        io::ErrorKind::PermissionDenied => ReportError::Forbidden { name: name.clone() },
        _ => ReportError::Read { name: name.clone(), source },
    })
}

/// A device may never end. One byte more than is read tells the reader that there is more.
fn within_bounds(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(saved::FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map(|_| bytes)
}

/// What a message calls the file.
#[derive(Clone, Debug)]
pub(super) struct Name(Option<PathBuf>);

impl Name {
    fn of(file: &Path) -> Self {
        Self((file.as_os_str() != "-").then(|| file.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("standard input"),
        }
    }
}

/// Why a result cannot be presented.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error(
        "{name}: there is no such file; a run writes one with --json: fanstorm --json {name}, or \
         with the flags of your cluster"
    )]
    Absent { name: Name },
    #[error("{name} is a directory; give it a file in it that a run has written with --json FILE")]
    Directory { name: Name },
    #[error(
        "{name} may not be read by this user: it, or a directory above it, wants `chmod`, or run \
         this as its owner"
    )]
    Forbidden { name: Name },
    #[error("{name}: {}", unread(source))]
    Read { name: Name, source: io::Error },
    #[error("{name} {fault}")]
    Unreadable { name: Name, fault: Unreadable },
    #[error("{name} {fault}")]
    NotThere { name: Name, fault: NotThere },
    #[error(
        "{name} holds {results} results, and --format {made} of one: give it one line of the file"
    )]
    Several { name: Name, made: &'static str, results: usize },
    #[error("--class and --format json: the JSON holds all classes")]
    ClassOfJson,
    #[error("--class: this format has the classes that it has; text, html and hgrm take one")]
    ClassOfExport,
    #[error("standard output: {}", unwritten(.0))]
    Output(io::Error),
}

impl ReportError {
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Output(_) => Exit::Host,
            _ => Exit::Usage,
        }
    }
}
