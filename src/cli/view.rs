//! What a person sees while a plan runs: the report on one stream, progress on the terminal.
//!
//! Belongs here: which stream is whose, and when which is written. Does not: wording (`report`).

use std::env;
use std::io::{self, IsTerminal, Write};

use super::output::Pipe;
use crate::engine::{self, Phase};
use crate::experiment;
use crate::load::trial::Trial;
use crate::report::document::series::Interval;
use crate::report::document::trial::{LatencyClass, TrialResult};
use crate::report::document::{self, Document};
use crate::report::progress::{Progress, is_dumb};
use crate::report::story::{self, Story};
use crate::report::text::{self, Text};
use crate::units::Count;
use crate::verdict::Judged;

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
    /// What is run, as the result has it.
    plan: document::Plan,
    /// The class of the latencies in rows.
    class: LatencyClass,
    out: Box<dyn Write>,
    progress: Progress,
    /// The first failure of `out`; nothing is written after it.
    failed: Option<io::Error>,
    /// What the engine did last.
    phase: &'static str,
}

impl View {
    /// Begins the report: what is about to be run.
    pub fn begin(begun: &Document, sheet: Output) -> Self {
        let mut view = Self {
            text: sheet.text(),
            begun: Story::of(begun),
            plan: begun.plan.clone(),
            class: begun.plan.headline_latency(),
            out: sheet.open(),
            progress: Progress::new(sheet == Output::Quiet),
            failed: None,
            phase: "connect",
        };
        view.write(|text, begun, out| text.header(out, begun));
        view
    }

    /// Runs `print` while the progress line is out of its way.
    pub fn aside(&self, print: impl FnOnce()) {
        self.progress.suspend(print);
    }

    /// What the engine did last, as a result file names it.
    pub const fn phase(&self) -> &'static str {
        self.phase
    }

    /// Looks on while the calibration runs: its rows are not the report's.
    pub const fn calibrating(&mut self) -> Calibrating<'_> {
        Calibrating(&mut self.progress)
    }

    /// Ends the report: what came of it.
    ///
    /// # Errors
    /// The first of the stream, in this or in what was written before.
    pub fn end(mut self, ended: &Document) -> io::Result<()> {
        self.progress.finish();
        let story = Story::of(ended);
        self.write(|text, _, out| text.end(out, &story));
        self.failed.map_or(Ok(()), Err)
    }

    fn write(&mut self, piece: impl FnOnce(Text, &Story, &mut dyn Write) -> io::Result<()>) {
        if self.failed.is_none() {
            let (text, begun, out) = (self.text, &self.begun, &mut *self.out);
            let write = || piece(text, begun, out).and_then(|()| out.flush());
            self.failed = self.progress.suspend(write).err();
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
        self.progress.update(&phase(progress.phase), progress.done, progress.total);
    }

    fn interval(&mut self, now: &engine::Snapshot<'_>) {
        let glance = story::glance(&Interval::of(now.interval));
        self.progress.lately(text::one_line(&glance));
    }
}

impl experiment::Watch for View {
    fn reconnected(&mut self, trial: &Trial, sockets: u64) {
        let sockets = match sockets {
            1 => "1 lost socket was".to_owned(),
            sockets => format!("{} lost sockets were", Count(sockets)),
        };
        let line = format!(
            "warning: {sockets} connected again before m = {} (--stop-on-loss ends the run)",
            Count(trial.messages)
        );
        // Where standard error is gone, the report says it, too.
        self.aside(|| drop(writeln!(io::stderr(), "{line}")));
    }

    fn trial(&mut self, trial: &Judged) {
        let row = story::trial_row(&self.plan, &TrialResult::of(trial), self.class);
        self.write(|text, begun, out| text.row(out, &begun.trials, &row));
    }
}

/// The progress of a calibration, and nothing else of it.
pub struct Calibrating<'a>(&'a mut Progress);

impl engine::Watch for Calibrating<'_> {
    fn progress(&mut self, progress: &engine::Progress) {
        let phase = format!("calibrating: {}", phase(progress.phase));
        self.0.update(&phase, progress.done, progress.total);
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
