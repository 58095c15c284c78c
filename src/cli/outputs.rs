//! All that a run leaves behind besides its report: opened before it starts, written when it is over, and
//! told the truth also when it failed.
//!
//! Belongs here: what is written in which order, and what becomes of what cannot be. Does not: how a file is
//! replaced (`place`), what is in it (`report`).

use std::fs::File;
use std::io::{self, Write};

use super::args::RunArgs;
use super::claims::{Claims, OutputError};
use super::embedded::Embedded;
use super::exit::Exit;
use super::metrics::Server;
use super::node_source::NodeSource;
use super::output::{JsonTarget, Pipe, ResultFile, UnwritableError, warn};
use super::signals::Signals;
use crate::cli::hgrm_files::Plots;
use crate::experiment::Outcome;
use crate::host::io_words::{unnumbered, unwritten};
use crate::plan::Plan;
use crate::report::document::failed::{Failed, FailedDocument};
use crate::report::document::{Document, Tool};
use crate::report::story::Story;
use crate::report::{hlog, html, json};

/// Where the result goes.
#[derive(Debug)]
pub enum Json {
    /// Standard output.
    Stdout,
    /// A file.
    File(ResultFile),
}

impl Json {
    /// As `--json` says.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(target: &JsonTarget) -> Result<Self, UnwritableError> {
        match target {
            JsonTarget::Stdout => Ok(Self::Stdout),
            JsonTarget::File(path) => ResultFile::open("--json", path).map(Self::File),
        }
    }

    /// Writes the result: it is never lost, where its file fails it, it goes to standard output. Returns
    /// whether it is where it was to be.
    pub fn write(&mut self, result: &[u8]) -> bool {
        match self {
            Self::Stdout => print(result),
            Self::File(file) => match file.write(result) {
                Ok(()) => true,
                Err(error) => {
                    lost_result(&error, result);
                    false
                }
            },
        }
    }
}

/// The outputs of one run.
#[derive(Debug, Default)]
pub struct Outputs {
    /// None until they are open.
    json: Option<Json>,
    html: Option<ResultFile>,
    hlog: Option<ResultFile>,
    plots: Plots,
    claims: Claims,
    /// Held open, so that the nodes of the cluster find a reader.
    _fault_log: Option<File>,
    /// The handlers, once there are any.
    pub signals: Option<Signals>,
    /// Where the run is scraped.
    pub metrics: Option<Server>,
    /// What the engine is about, for a failure that does not say it.
    phase: &'static str,
    /// All is written, or was tried to be: no failure after that is one of the run.
    over: bool,
}

/// What is written when a run is over.
struct Due {
    file: ResultFile,
    bytes: Vec<u8>,
    /// Completes the warning; the result needs none, it goes to standard output.
    otherwise: Option<&'static str>,
}

impl Due {
    /// What could not be written, and why.
    fn write(mut self) -> Option<(Self, UnwritableError)> {
        self.file.write(&self.bytes).err().map(|error| (self, error))
    }
}

impl Outputs {
    /// Opens what can be opened before anything is known of the nodes.
    ///
    /// # Errors
    /// When one cannot be written, or two are one.
    pub fn open(&mut self, args: &RunArgs) -> Result<(), OutputError> {
        self.claims = Claims::with_stdout();
        if let Some(JsonTarget::File(path)) = args.json() {
            self.claims.claim("--json", path)?;
        }
        for (flag, path) in [("--html", args.html()), ("--hlog", args.hlog())] {
            path.map_or(Ok(()), |path| self.claims.claim(flag, path))?;
        }
        self.json = args.json().map(Json::open).transpose()?;
        if let Ok(NodeSource::Embedded(Embedded { fault_log: Some(path), .. })) = args.source() {
            self.claims.claim("--fault-log", path)?;
            self._fault_log = ResultFile::open("--fault-log", path)?.into_stream();
        }
        self.html = args.html().map(|path| ResultFile::open("--html", path)).transpose()?;
        self.hlog = args.hlog().map(|path| ResultFile::open("--hlog", path)).transpose()?;
        Ok(())
    }

    /// Opens the distributions, whose names the plan knows.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_plots(&mut self, args: &RunArgs, begun: &Document) -> Result<(), OutputError> {
        self.plots = Plots::open(args.hgrm(), begun, &mut self.claims)?;
        Ok(())
    }

    /// Whether the result's place is open.
    pub const fn has_json(&self) -> bool {
        self.json.is_some()
    }

    /// Notes what comes next.
    pub const fn entering(&mut self, phase: &'static str) {
        self.phase = phase;
    }

    /// The phase that was entered last.
    pub const fn phase(&self) -> &'static str {
        self.phase
    }

    /// Writes everything that was asked for: first the files, where no reader lets us wait, then the report
    /// (`show`), then pipes and devices. Returns whether all of it is where it was to be.
    pub fn write(
        &mut self,
        document: &Document,
        (plan, outcome): (&Plan, &Outcome),
        show: impl FnOnce() -> io::Result<()>,
    ) -> bool {
        self.over = true;
        let result = json::to_bytes(document).expect("a document is made of numbers and text");
        let to_stdout = matches!(self.json, Some(Json::Stdout));
        let due = self.due(document, &result, (plan, outcome));
        let (files, streams): (Vec<_>, Vec<_>) = due.into_iter().partition(|d| d.file.is_kept());
        self.wait_for_files();
        let mut failed: Vec<_> = files.into_iter().filter_map(Due::write).collect();
        self.end_at_once();
        let shown = show();
        failed.extend(streams.into_iter().filter_map(Due::write));
        for (due, error) in &failed {
            match due.otherwise {
                Some(otherwise) => warn(&format!("{error}; {otherwise}")),
                None => lost_result(error, &due.bytes),
            }
        }
        if let Err(error) = &shown {
            warn(&format!("the report could not be written: {}", unwritten(error)));
        }
        let printed = !to_stdout || print(&result);
        printed && failed.is_empty() && shown.is_ok()
    }

    fn due(
        &mut self,
        document: &Document,
        result: &[u8],
        (plan, outcome): (&Plan, &Outcome),
    ) -> Vec<Due> {
        let mut due = Vec::new();
        if let Some(Json::File(file)) = self.json.take() {
            due.push(Due { file, bytes: result.to_vec(), otherwise: None });
        }
        if let Some(file) = self.html.take() {
            let mut bytes = Vec::new();
            html::write(&mut bytes, &Story::of(document), result).expect("memory takes every page");
            let otherwise = Some("there is no page, the result is not affected");
            due.push(Due { file, bytes, otherwise });
        }
        if let Some(file) = self.hlog.take() {
            let started_unix_ms = document.tool.started_unix_ms;
            let mut bytes = Vec::new();
            hlog::write(&mut bytes, plan, started_unix_ms, outcome)
                .expect("memory takes every log");
            let otherwise = Some("there is no interval log, the result is not affected");
            due.push(Due { file, bytes, otherwise });
        }
        let otherwise = Some("there is no such distribution, the result is not affected");
        let plots = std::mem::take(&mut self.plots).of(document);
        due.extend(plots.map(|(file, bytes)| Due { file, bytes, otherwise }));
        due
    }

    /// Says in place of the result that there is none.
    pub fn write_failure(&mut self, args: &RunArgs, tool: Tool, failed: Failed) {
        let Some(target) = args.json().filter(|_| !self.over) else { return };
        // Flags that make no sense are found before anything is opened.
        let Some(mut json) = self.json.take().or_else(|| Json::open(target).ok()) else { return };
        if let Json::File(file) = &json
            && file.is_anothers()
        {
            warn("--json: another run has written the file meanwhile: it is left as it is");
            return;
        }
        let document = FailedDocument::new(tool, failed);
        let bytes = json::to_bytes(&document).expect("a document is made of numbers and text");
        self.wait_for_files();
        match &mut json {
            Json::Stdout => drop(print(&bytes)),
            Json::File(file) => {
                if let Err(error) = file.write(&bytes) {
                    warn(&format!("{error}; what it holds is not of this run"));
                }
            }
        }
    }

    /// Lets those who scrape see the end of a run that ended by itself: whoever ended it does not wait for them.
    pub fn linger(&mut self, args: &RunArgs, exit: Exit) {
        let (Some(server), Some(signals)) = (&self.metrics, &mut self.signals) else { return };
        let linger = args.metrics().linger().filter(|_| exit != Exit::Interrupted);
        let Some(long) = linger else { return };
        match signals.noted() {
            Ok(signal) => {
                server.say(&format!("served for {long} more; Ctrl-C ends it"));
                server.linger(long, &signal);
            }
            Err(error) => {
                warn(&format!("--metrics-linger: cannot take signals: {}", unnumbered(&error)))
            }
        }
    }

    fn wait_for_files(&mut self) {
        if let Some(signals) = &mut self.signals {
            signals.wait_for_files();
        }
    }

    fn end_at_once(&mut self) {
        if let Some(signals) = &mut self.signals {
            signals.end_at_once();
        }
    }
}

fn lost_result(error: &UnwritableError, result: &[u8]) {
    warn(&format!("{error}; the result goes to standard output"));
    print(result);
}

fn print(result: &[u8]) -> bool {
    let mut stdout = Pipe::new(io::stdout().lock());
    match stdout.write_all(result).and_then(|()| stdout.flush()) {
        Ok(()) => true,
        Err(error) => {
            warn(&format!("standard output: {}", unwritten(&error)));
            false
        }
    }
}
