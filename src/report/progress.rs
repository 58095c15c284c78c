//! One line on the terminal that says how far it is, and is gone when it is done.
//!
//! Belongs here: drawing. Does not: what the phases are (`engine` names them), reports (`text`).
//! Strings and numbers only, so that anything slow can use it.
//!
//! Where standard error is no terminal there is silence: what stands there then is trouble, and a
//! script may treat it so.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::units::{Count, Rate};

/// Often enough to look alive, seldom enough to cost a shared core nothing.
const DRAWS_PER_S: u8 = 10;

/// A progress line on standard error. Uses no colour at all, so `NO_COLOR` needs no case.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    phase: String,
}

impl Progress {
    /// A line that appears with the first [`update`](Self::update); never where `quiet`, and never
    /// where standard error is no terminal, or one that cannot move its cursor.
    pub fn new(quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let target = if quiet || dumb || !stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S)
        };
        Self::drawn_to(target)
    }

    fn drawn_to(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        Self {
            bar,
            phase: String::new(),
        }
    }

    /// `done` of `total` in `phase`. A total of 0 means that there is nothing to count. The rate is
    /// measured from the first update of a phase.
    pub fn update(&mut self, phase: &str, done: u64, total: u64) {
        if self.phase != phase {
            self.begin(phase, total);
        }
        if total > 0 && self.bar.length() != Some(total) {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    fn begin(&mut self, phase: &str, total: u64) {
        phase.clone_into(&mut self.phase);
        self.bar.reset();
        self.bar.set_style(style(total > 0));
        self.bar.set_message(self.phase.clone());
    }

    /// Runs `print` while the line is out of the way.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    /// Takes the line away. A later update brings it back.
    pub fn finish(&mut self) {
        self.phase.clear();
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Also on the way out of an error: its message must not land behind a half-drawn line.
        self.bar.finish_and_clear();
    }
}

fn style(counts: bool) -> ProgressStyle {
    let template = if counts {
        "{msg}  {percent:>3} %  {done} of {total}  {rate}"
    } else {
        "{msg}"
    };
    ProgressStyle::with_template(template)
        .expect("the template is constant")
        .with_key(
            "done",
            |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}", Count(state.pos()));
            },
        )
        .with_key(
            "total",
            |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}", Count(state.len().unwrap_or(0)));
            },
        )
        .with_key(
            "rate",
            |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}", Rate::per_second(state.per_sec()));
            },
        )
}
