//! One line on the terminal that says how far it is, and is gone when it is done.
//!
//! Belongs here: drawing. Does not: what the phases are (`engine` names them), reports (`text`).
//! Strings and numbers only, so that anything slow can use it.
//!
//! Where standard error is no terminal there is silence: what stands there then is trouble, and a
//! script may treat it so.

use std::ffi::OsStr;
use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::units::{Count, Rate};

/// Often enough to look alive, seldom enough to cost a shared core nothing.
const DRAWS_PER_S: u8 = 10;

/// Whether a terminal of this `TERM` obeys no escape sequences: Emacs shells, editors, some CI.
pub fn is_dumb(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| term == "dumb")
}

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
        let dumb = is_dumb(std::env::var_os("TERM").as_deref());
        let target = if quiet || dumb || !stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S)
        };
        Self::drawn_to(target)
    }

    fn drawn_to(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        Self { bar, phase: String::new() }
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

    /// Says what the last second was like, in place of the average rate, until the phase ends.
    pub fn lately(&mut self, words: String) {
        self.bar.set_style(styled("{msg}  {percent:>3} %  {prefix}"));
        self.bar.set_prefix(words);
    }

    /// Runs `print` while the line is out of the way.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        // The bar would draw itself behind what is printed, also where there was no line yet.
        if self.phase.is_empty() { print() } else { self.bar.suspend(print) }
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
    styled(if counts { "{msg}  {percent:>3} %  {done} of {total}  {rate}" } else { "{msg}" })
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is constant")
        .with_key("done", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", Count(state.pos()));
        })
        .with_key("total", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", Count(state.len().unwrap_or(0)));
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", Rate::per_second(state.per_sec()));
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    /// A terminal of one line: what stands on it, and all that ever did.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<(String, Vec<String>)>>);

    impl Screen {
        fn line(&self) -> String {
            self.0.lock().unwrap().0.clone()
        }

        fn history(&self) -> Vec<String> {
            self.0.lock().unwrap().1.clone()
        }

        fn progress(&self) -> Progress {
            Progress::drawn_to(ProgressDrawTarget::term_like(Box::new(self.clone())))
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            let (line, history) = &mut *self.0.lock().unwrap();
            line.push_str(text);
            history.push(line.trim_end().to_owned());
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().0.clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_line_names_the_phase_and_counts_and_is_gone_at_the_end() {
        let screen = Screen::default();
        let mut progress = screen.progress();
        progress.update("connecting", 3, 6);
        progress.update("m = 8 000", 12_000, 48_000);
        let history = screen.history();
        let drew = |text: &str| history.iter().any(|line| line.starts_with(text));
        assert!(drew("connecting"), "{history:?}");
        assert!(drew("m = 8 000   25 %  12 000 of 48 000"), "{history:?}");
        progress.finish();
        assert_eq!(screen.line().trim(), "");
    }

    #[test]
    fn the_last_second_takes_the_place_of_the_average_until_the_phase_ends() {
        let screen = Screen::default();
        let mut progress = screen.progress();
        progress.update("9 000 messages, in copies", 12_000, 48_000);
        progress.lately("2 000/s sent, p99 1.20 ms".into());
        progress.update("9 000 messages, in copies", 24_000, 48_000);
        let line = screen.line();
        assert_eq!(line.trim(), "9 000 messages, in copies   50 %  2 000/s sent, p99 1.20 ms");
        progress.update("10 messages, in copies", 1, 10);
        assert!(!screen.line().contains("sent"), "{}", screen.line());
    }

    #[test]
    fn only_a_terminal_that_calls_itself_dumb_is() {
        let dumb = |term: Option<&str>| is_dumb(term.map(OsStr::new));
        assert_eq!(
            [Some("dumb"), Some("xterm"), Some(""), None].map(dumb),
            [true, false, false, false]
        );
    }

    #[test]
    fn what_is_printed_meanwhile_does_not_land_behind_the_line() {
        let screen = Screen::default();
        let mut progress = screen.progress();
        progress.update("connecting", 3, 6);
        let seen = progress.suspend(|| screen.line());
        assert_eq!(seen.trim(), "");
    }

    #[test]
    fn where_there_was_no_line_none_stands_behind_what_is_printed() {
        let screen = Screen::default();
        let mut progress = screen.progress();
        progress.suspend(|| ());
        assert_eq!(screen.history(), [""; 0], "before the first phase");
        progress.update("connecting", 3, 6);
        progress.finish();
        let drawn = screen.history();
        progress.suspend(|| ());
        assert_eq!(screen.history(), drawn, "after the last");
    }

    #[test]
    fn a_phase_without_a_count_shows_none() {
        let screen = Screen::default();
        let mut progress = screen.progress();
        progress.update("preparing", 0, 0);
        assert_eq!(screen.line().trim(), "preparing");
        drop(progress);
        assert_eq!(screen.line().trim(), "");
    }
}
