//! What a person sees while a plan runs: the text report, row by row, and the progress line.
//!
//! Belongs here: bringing the two together on one terminal. Does not: what they say (`report`).

use std::io::{self, IsTerminal, Write};

use crate::engine::{Phase, Progress, Watch};
use crate::measure::outcome::{Outcome, RunOutcome};
use crate::plan::Plan;
use crate::report::text::Text;
use crate::report::{Invocation, progress};
use crate::units::Count;

/// The report's writer and the line on standard error.
pub struct View<'a> {
    text: Text<'a>,
    out: Box<dyn Write>,
    progress: progress::Progress,
}

impl<'a> View<'a> {
    /// A view of a plan on `out`.
    pub fn new(
        plan: &'a Plan,
        invocation: &'a Invocation,
        out: Box<dyn Write>,
        quiet: bool,
    ) -> Self {
        let no_color = std::env::var_os("NO_COLOR");
        let text = Text::new(plan, invocation, io::stdout().is_terminal(), no_color.as_deref());
        Self { text, out, progress: progress::Progress::new(quiet) }
    }

    /// What is about to be run.
    pub fn header(&mut self) {
        self.write(|text, out| text.header(out));
    }

    /// What came of it.
    pub fn end(&mut self, outcome: &Outcome) {
        self.progress.finish();
        self.write(|text, out| text.end(out, outcome));
    }

    fn write(&mut self, write: impl Fn(&Text<'a>, &mut dyn Write) -> io::Result<()>) {
        let (text, out) = (&self.text, &mut self.out);
        let written = self.progress.suspend(|| write(text, out));
        // A reader that went away (a pipe to head) is no reason to lose the run.
        if let Err(error) = written {
            let _ = writeln!(io::stderr(), "warning: the report cannot be written: {error}");
            self.out = Box::new(io::sink());
        }
    }
}

impl Watch for View<'_> {
    fn progress(&mut self, progress: &Progress) {
        let phase = match progress.phase {
            Phase::Connecting => "connecting sockets".into(),
            Phase::Probing => "waiting for the probe on every socket".into(),
            Phase::Preparing { messages } => format!("preparing {} messages", Count(messages)),
            Phase::Running { messages } => format!("{} messages: copies", Count(messages)),
        };
        self.progress.update(&phase, progress.done, progress.total);
    }

    fn row(&mut self, _plan: &Plan, run: &RunOutcome) {
        self.progress.finish();
        self.write(|text, out| text.row(out, run));
    }
}
