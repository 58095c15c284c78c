//! What a person sees while a plan runs: the report on one stream, progress on the terminal.
//!
//! Belongs here: which stream is whose, and when which is written. Does not: wording (`report`).

use std::io::{self, IsTerminal, Write};
use std::{env, mem};

use super::busy::BusyShare;
#[cfg(feature = "live")]
use super::live::{self, LiveView};
use super::metrics::{self, Feed, Server};
use super::output::Pipe;
#[cfg(feature = "live")]
use super::{output::warn, signals::Signals};
use crate::engine::{self, Phase};
use crate::experiment;
use crate::experiment::search::attempt::Attempt;
use crate::host::io_words::unnumbered;
use crate::load::trial::Trial;
use crate::report::document::Document;
use crate::report::document::search::Finding;
use crate::report::document::series::Interval;
use crate::report::document::trial::TrialResult;
use crate::report::metrics::{Phase as Served, Second};
use crate::report::progress::{Progress, is_dumb};
use crate::report::story::{self, Story};
use crate::report::text::{self, Text};
use crate::units::Count;
use crate::verdict::Judged;

/// Why there is no live view.
#[cfg(feature = "live")]
const NO_SCREEN: &str = "standard error is no terminal that a screen can be drawn on";

/// Where the report goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error, because the result has standard output.
    Stderr,
    /// Nowhere, and no progress either.
    Quiet,
}

impl Output {
    /// What a report is written to.
    pub fn open(self) -> Box<dyn Write> {
        match self {
            Self::Stdout => Box::new(Pipe::new(io::stdout())),
            Self::Stderr => Box::new(Pipe::new(io::stderr())),
            Self::Quiet => Box::new(io::sink()),
        }
    }

    /// A report as text, in colour where it suits the place.
    pub fn text(self) -> Text {
        Text::new(self.obeys_escapes(), env::var_os("NO_COLOR").as_deref())
    }

    /// Whether what it writes to is a terminal that knows escape sequences.
    pub fn obeys_escapes(self) -> bool {
        let is_terminal = match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
            Self::Quiet => false,
        };
        is_terminal && !is_dumb(env::var_os("TERM").as_deref())
    }
}

/// Report and progress of one run.
pub struct View {
    text: Text,
    /// What was told before the first trial; the rows of its table go on.
    begun: Story,
    /// The same as a result.
    begun_document: Document,
    out: Box<dyn Write>,
    progress: Progress,
    #[cfg(feature = "live")]
    live: Option<LiveView>,
    /// What is scraped.
    metrics: Option<Feed>,
    busy: BusyShare,
    /// The first failure of `out`; nothing is written after it.
    failed: Option<io::Error>,
    /// What the engine did last.
    phase: &'static str,
}

impl View {
    /// Begins the report: what is about to be run. Those who scrape are told, too.
    pub fn begin(begun: &Document, sheet: Output, server: Option<&Server>) -> Self {
        server.into_iter().for_each(|server| server.plan(begun));
        let mut view = Self {
            text: sheet.text(),
            begun: Story::of(begun),
            begun_document: begun.clone(),
            out: sheet.open(),
            progress: Progress::new(sheet == Output::Quiet),
            #[cfg(feature = "live")]
            live: None,
            metrics: server.map(Server::feed),
            busy: BusyShare::default(),
            failed: None,
            phase: "connect",
        };
        view.write(|text, begun, out| text.header(out, begun));
        view
    }

    /// Whether somebody asks what the workers cost.
    const fn shows_busy(&self) -> bool {
        #[cfg(feature = "live")]
        if self.live.is_some() {
            return true;
        }
        self.metrics.is_some()
    }

    /// Shows what is to come on a screen of its own, in place of the progress line. Where it cannot be
    /// shown the run is worth as much.
    #[cfg(feature = "live")]
    pub fn show_live(&mut self, wanted: bool, begun: &Document, signals: Option<&mut Signals>) {
        if !wanted {
            return;
        }
        let nowhere = || io::Error::other(NO_SCREEN);
        let signals = signals.filter(|_| live::is_possible()).ok_or_else(nowhere);
        let screen = signals.and_then(Signals::watched);
        match screen.and_then(|signals| LiveView::open(begun, signals)) {
            Ok(live) => {
                self.progress = Progress::new(true);
                self.live = Some(live);
            }
            Err(error) => {
                warn(&format!("--live: {}; the run goes on without it", unnumbered(&error)))
            }
        }
    }

    /// Takes the progress away: what is printed from here on is to stay.
    pub fn finish(&mut self) {
        self.progress.finish();
        #[cfg(feature = "live")]
        drop(self.live.take());
    }

    /// Runs `print` while the progress is out of its way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        #[cfg(feature = "live")]
        if let Some(live) = &self.live {
            return live.screen.suspend(print);
        }
        self.progress.suspend(print)
    }

    /// What the engine did last, as a result file names it.
    pub const fn phase(&self) -> &'static str {
        self.phase
    }

    /// Looks on while the calibration runs: its rows are not the report's.
    pub const fn calibrating(&mut self) -> Calibrating<'_> {
        Calibrating(self)
    }

    /// Ends the report: what came of it.
    ///
    /// # Errors
    /// The first of the stream, in this or in what was written before.
    pub fn end(mut self, ended: &Document) -> io::Result<()> {
        self.finish();
        if let Some(feed) = &self.metrics {
            feed.update(|metrics| metrics.end(ended));
        }
        let story = Story::of(ended);
        self.write(|text, _, out| text.end(out, &story));
        self.failed.map_or(Ok(()), Err)
    }

    fn under_way(&mut self, phase: &str, done: u64, total: u64) {
        #[cfg(feature = "live")]
        if let Some(live) = &self.live {
            live.screen.update(|live| live.progress(phase, done, total));
        }
        self.progress.update(phase, done, total);
    }

    /// A trial is over; of a search, with what it shows.
    fn ended(&mut self, trial: &Judged, finding: Option<Finding>) {
        let result = TrialResult::of(trial);
        self.busy.begin();
        if let Some(feed) = &self.metrics {
            feed.update(|metrics| metrics.trial(trial, &result));
        }
        let row = story::trial_row(&self.begun_document, &result, finding);
        #[cfg(feature = "live")]
        if let Some(live) = &self.live {
            live.trial(&self.begun, &row);
        }
        self.write(|text, begun, out| text.row(out, &begun.trials, &row));
    }

    fn write(&mut self, piece: impl FnOnce(Text, &Story, &mut dyn Write) -> io::Result<()>) {
        if self.failed.is_none() {
            let mut out = mem::replace(&mut self.out, Box::new(io::sink()));
            let (text, begun) = (self.text, &self.begun);
            let written = self.aside(|| piece(text, begun, &mut *out).and_then(|()| out.flush()));
            self.failed = written.err();
            self.out = out;
        }
    }
}

impl engine::Watch for View {
    fn progress(&mut self, progress: &engine::Progress) {
        self.phase = match progress.phase {
            Phase::Connecting => "connect",
            Phase::Probing => "probe",
            Phase::Preparing { .. } => "prepare",
            Phase::Running { .. } => "run",
        };
        let said = phase(progress.phase);
        self.under_way(&said, progress.done, progress.total);
        if let Some(feed) = &self.metrics {
            let phase = metrics::phase(progress.phase);
            feed.update(|metrics| metrics.progress(phase, progress.done, progress.total));
        }
    }

    fn interval(&mut self, now: &engine::Snapshot<'_>) {
        let busy = if self.shows_busy() { self.busy.look(now) } else { Vec::new() };
        if let Some(feed) = &self.metrics {
            let second = Second {
                interval: now.interval,
                so_far: now.so_far,
                counted: now.counted,
                reached: now.reached,
                lost: &now.lost,
                busy: &busy,
            };
            feed.update(|metrics| metrics.second(&second));
        }
        #[cfg(feature = "live")]
        if let Some(live) = &self.live {
            live.second(now, busy);
        }
        let glance = story::glance(&Interval::of(now.interval));
        self.progress.lately(text::one_line(&glance));
    }
}

impl experiment::Watch for View {
    fn reconnected(&mut self, trial: &Trial, sockets_again: u64) {
        let sockets = match sockets_again {
            1 => "1 lost socket was".to_owned(),
            sockets => format!("{} lost sockets were", Count(sockets)),
        };
        let line = format!(
            "warning: {sockets} connected again before m = {} (--stop-on-loss ends the run)",
            Count(trial.messages)
        );
        if let Some(feed) = &self.metrics {
            feed.update(|metrics| metrics.reconnected(sockets_again));
        }
        // Where standard error is gone, the report says it, too.
        self.aside(|| drop(writeln!(io::stderr(), "{line}")));
    }

    fn chosen(&mut self, trial: &Trial) {
        if let Some(feed) = &self.metrics {
            feed.update(|metrics| metrics.chosen(trial));
        }
    }

    fn trial(&mut self, trial: &Judged) {
        self.ended(trial, None);
    }

    fn attempt(&mut self, trial: &Judged, attempt: &Attempt) {
        self.ended(trial, attempt.finding.map(Finding::of));
    }
}

/// The progress of a calibration, and nothing else of it.
pub struct Calibrating<'a>(&'a mut View);

impl engine::Watch for Calibrating<'_> {
    fn progress(&mut self, progress: &engine::Progress) {
        let phase = format!("calibrating: {}", phase(progress.phase));
        self.0.under_way(&phase, progress.done, progress.total);
        if let Some(feed) = &self.0.metrics {
            feed.update(|metrics| metrics.progress(Served::Calibrate, 0, 0));
        }
    }
}

impl experiment::Watch for Calibrating<'_> {
    fn trial(&mut self, _: &Judged) {}
}

/// What is under way, with the noun of what is counted last: `connecting sockets  50 %  3 of 6`.
fn phase(phase: Phase) -> String {
    match phase {
        Phase::Connecting => "connecting sockets".to_owned(),
        Phase::Probing => "waiting for a probe on all sockets".to_owned(),
        Phase::Preparing { messages } => format!("laying out {} messages", Count(messages)),
        Phase::Running { messages } => format!("m = {}: copies", Count(messages)),
    }
}
