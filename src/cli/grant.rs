//! Whether this host grants io_uring, asked so that the answer cannot end the program.
//!
//! Belongs here: who asks, this process or another one, and what they say to each other. Does not: what
//! is asked (`engine::ring`), what an answer means (`host::io_uring`).
//!
//! A seccomp filter may end whoever calls io_uring with SIGSYS, without a word. Which answer a filter
//! gives is not to be read anywhere, so another process asks where a filter is on. That costs the start
//! of a process, some 3 ms of a run's start; where no filter is on (`/proc/self/status`) this process
//! asks by itself, in 0.1 ms. Whoever takes `--engine epoll` does not ask at all.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::SIGSYS;

use crate::engine::ring::uring;
use crate::host::io_uring::{self, NotEntered, Refusal};
use crate::host::io_words::unnumbered;

/// The hidden subcommand of the process that asks.
const SUBCOMMAND: &str = "ask-for-io-uring";

/// It takes milliseconds; a filter may hand the call to a supervisor that never answers.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Whether the host grants a ring that can be used.
///
/// # Errors
/// Who refuses it, with the remedy.
pub fn io_uring() -> Result<(), Refusal> {
    if !io_uring::may_be_deadly() {
        return io_uring::probe(uring::probe);
    }
    let untried = |error: io::Error| Refusal::Untried { reason: unnumbered(&error) };
    let mut child = start().map_err(untried)?;
    let answer = hear(&mut child);
    // It has answered, has ended, or never will.
    let _ = child.kill();
    let status = child.wait().map_err(untried)?;
    match answer.map_err(untried)?.as_deref().map(parse) {
        Some(Some(answer)) => io_uring::probe(|| answer),
        _ if status.signal() == Some(SIGSYS) => Err(Refusal::Killed),
        _ => Err(Refusal::Untried { reason: status.to_string() }),
    }
}

fn start() -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(SUBCOMMAND).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn()
}

/// Its one line; none where it has ended without.
fn hear(child: &mut Child) -> io::Result<Option<String>> {
    let stdout = child.stdout.as_mut().expect("stdout is piped");
    if poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&PATIENCE))? == 0 {
        return Err(io::Error::other("it does not answer"));
    }
    let mut line = [0; 32];
    let len = stdout.read(&mut line)?;
    Ok((len > 0).then(|| String::from_utf8_lossy(&line[..len]).trim().to_owned()))
}

/// What the process does that asks in another one's place.
pub fn answer_parent() -> ExitCode {
    // Its end by a signal is an answer; nobody wants to find it on a disk.
    let limit = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit });
    let line = format(&uring::probe());
    let told = writeln!(io::stdout(), "{line}");
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn format(answer: &io::Result<()>) -> String {
    let Err(error) = answer else { return "granted".to_owned() };
    let entering = error.get_ref().and_then(|inner| inner.downcast_ref());
    let (step, error) = entering.map_or(("make", error), |NotEntered(error)| ("enter", error));
    let errno = Errno::from_io_error(error).unwrap_or(Errno::INVAL);
    format!("{step} {}", errno.raw_os_error())
}

fn parse(line: &str) -> Option<io::Result<()>> {
    if line == "granted" {
        return Some(Ok(()));
    }
    let (step, errno) = line.split_once(' ')?;
    let error = io::Error::from_raw_os_error(errno.parse().ok()?);
    match step {
        "make" => Some(Err(error)),
        "enter" => Some(Err(io::Error::other(NotEntered(error)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_the_same_on_both_sides() {
        let error = || io::Error::from(Errno::PERM);
        for answer in [Ok(()), Err(error()), Err(io::Error::other(NotEntered(error())))] {
            let line = format(&answer);
            let heard = parse(&line).expect("what we say is understood");
            assert_eq!(io_uring::probe(|| heard), io_uring::probe(|| answer), "{line}");
        }
        for noise in ["", "grant", "make", "make x", "leave 1"] {
            assert!(parse(noise).is_none(), "{noise}");
        }
    }
}
