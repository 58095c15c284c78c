//! Runs of two sides in turns, each in a process of its own: what a new start changes is a part of what differs
//! from run to run.
//!
//! Belongs here: starting and ending these processes, and where their results go. Does not: reading and comparing
//! results (`compare`).

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::exit::Exit;
use crate::host::io_words::unnumbered;
use crate::report::sanitize::plain_lines;

/// How often it is looked whether this process was asked to end.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What to run on each side, how often, and where results go.
#[derive(Debug)]
pub(super) struct Series {
    /// Flags of A and of B.
    pub(super) flags: [Vec<OsString>; 2],
    /// Runs of each side.
    pub(super) runs: usize,
    /// An existing directory.
    pub(super) dir: PathBuf,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Results of A and of B, in order.
    pub(super) files: [Vec<PathBuf>; 2],
    /// A signal ended it early.
    pub(super) interrupted: bool,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeriesError {
    /// This program cannot be started.
    #[error("a run cannot be started: {}", unnumbered(.0))]
    Start(io::Error),
    /// The first run of a side came to nothing: so would the others.
    #[error("the first run of {side} came to no result ({how}), so no other was made; results are in {}", dir.display())]
    First {
        /// `A` or `B`.
        side: &'static str,
        /// How it ended.
        how: String,
        /// Its exit code.
        code: Option<i32>,
        /// Where results are.
        dir: PathBuf,
    },
}

const SIDES: [&str; 2] = ["A", "B"];

impl Series {
    /// Makes all runs, A B A B; `told` hears of each result. Once `stop` is set the run under way is asked to
    /// end, and no other is begun.
    ///
    /// # Errors
    /// When the first run of a side comes to nothing. A later one is told, and has a result that says why.
    pub(super) fn make(
        &self,
        stop: &AtomicBool,
        mut told: impl FnMut(&str, &Path),
    ) -> Result<Made, SeriesError> {
        let mut made = Made::default();
        for at in 0..2 * self.runs {
            let (side, number) = (at % 2, at / 2 + 1);
            let file = self.dir.join(format!("{}-{number}.json", ["a", "b"][side]));
            // What an earlier comparison left there is no result of this one.
            let _ = std::fs::remove_file(&file);
            let status = self.one(side, &file, stop)?;
            let name = format!("{}{number}, run {} of {}", SIDES[side], at + 1, 2 * self.runs);
            if came_to_nothing(status) && number == 1 && !stop.load(Ordering::SeqCst) {
                let (side, how) = (SIDES[side], how(status));
                let dir = self.dir.clone();
                return Err(SeriesError::First { side, how, code: status.code(), dir });
            }
            match file.exists() {
                true => {
                    told(&name, &file);
                    made.files[side].push(file);
                }
                false => say(&format!("warning: {name}: {} and left no result", how(status))),
            }
            if stop.load(Ordering::SeqCst) {
                made.interrupted = true;
                return Ok(made);
            }
        }
        Ok(made)
    }

    fn one(&self, side: usize, file: &Path, stop: &AtomicBool) -> Result<ExitStatus, SeriesError> {
        let program = std::env::current_exe().map_err(SeriesError::Start)?;
        let child = Command::new(program)
            .arg("run")
            .args(&self.flags[side])
            .args(["--quiet", "--json"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A signal of the terminal reaches it through us, once: a second one would end it without a result.
            .process_group(0)
            .spawn();
        end(child.map_err(SeriesError::Start)?, stop).map_err(SeriesError::Start)
    }
}

/// Waits for it, and passes on that this process was asked to end.
fn end(mut child: Child, stop: &AtomicBool) -> io::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a process without a number"))?;
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    let mut asked = false;
    loop {
        match poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&LOOK)) {
            Ok(1..) => return child.wait(),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !asked && stop.load(Ordering::SeqCst) {
            asked = true;
            kill_process(pid, Signal::INT)?;
        }
    }
}

/// Others than these leave a result with figures.
fn came_to_nothing(status: ExitStatus) -> bool {
    let measured = [Exit::Complete, Exit::Incomplete, Exit::Void, Exit::Interrupted];
    !status.code().is_some_and(|code| measured.iter().any(|exit| i32::from(exit.code()) == code))
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended in no known way".to_owned(),
    }
}

/// On standard error, where it can be written.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", plain_lines(text));
}
