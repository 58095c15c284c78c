//! One child process as its parent sees it.
//!
//! Belongs here: starting, talking, CPU time, ending, and what a child said before it died. Does
//! not: how many there are and what for (`parent`).

use std::io::{self, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handshake::{CHILD_ARGUMENT, hear, say};
use crate::units::Nanos;

/// How long a child may take for one line. They take milliseconds; a machine may be very busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What to do where the system starts no more of them; nothing about its other answers.
pub(super) fn started_no_more(source: &io::Error) -> &'static str {
    // EAGAIN of clone(2), for processes and threads alike.
    if source.kind() == io::ErrorKind::WouldBlock {
        ": no more processes and threads may be started (ulimit -u, docker --pids-limit, systemd \
         TasksMax=)"
    } else {
        ""
    }
}

/// A child process that ends when this value does.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Held open: its closing tells the child that we have ended.
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// CPU time at the end, once ended.
    final_cpu_time: Option<Nanos>,
    reported: bool,
}

impl Process {
    /// Starts `executable` as a child.
    ///
    /// In a process group of its own: Ctrl-C at the terminal is for the parent, which still needs
    /// its cluster to bring a run to its end.
    pub(super) fn start(executable: &Path) -> io::Result<Self> {
        let mut child = Command::new(executable)
            .arg(CHILD_ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Ok(Self { child, stdin, stdout, final_cpu_time: None, reported: false })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn say(&mut self, line: &impl Serialize) -> io::Result<()> {
        say(&mut self.stdin, line)
    }

    /// The child's next line; `TimedOut` when none comes.
    pub(super) fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        self.wait_for_line()?;
        hear(&mut self.stdout)
    }

    fn wait_for_line(&self) -> io::Result<()> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        while self.stdout.buffer().is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("seconds fit");
            let mut ready = [PollFd::new(self.stdout.get_ref(), PollFlags::IN)];
            match poll(&mut ready, Some(&left)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Kills it, waits for its end, and gives the last line of its stderr.
    pub(super) fn end(&mut self) -> String {
        self.note_cpu_time();
        self.kill();
        let _ = self.child.wait();
        self.last_words()
    }

    /// Kills it, and waits for nothing.
    pub(super) fn kill(&mut self) {
        // Fails only when the child has been waited for already.
        let _ = self.child.kill();
    }

    /// Its end by itself, told once: how, and its last line.
    pub(super) fn ended(&mut self) -> Option<(ExitStatus, String)> {
        if self.reported {
            return None;
        }
        self.note_cpu_time();
        let status = self.child.try_wait().ok().flatten()?;
        self.reported = true;
        Some((status, self.last_words()))
    }

    /// Its exit status, waited for a little: for a child whose stdout has ended.
    pub(super) fn status_soon(&mut self) -> Option<ExitStatus> {
        for _ in 0..100 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Not to be told of as an end by itself.
    pub(super) fn forgive(&mut self) {
        self.reported = true;
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Time on a CPU, user and system; of an ended child, as far as it was looked at in time.
    pub(super) fn cpu_time(&self) -> Nanos {
        on_cpu(self.pid()).or(self.final_cpu_time).unwrap_or(Nanos::ZERO)
    }

    fn note_cpu_time(&mut self) {
        self.final_cpu_time = on_cpu(self.pid()).or(self.final_cpu_time);
    }

    /// Only after the end: the pipe ends with the child, which has no children of its own.
    fn last_words(&mut self) -> String {
        let mut text = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(64 << 10).read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text);
        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Process {
    /// Nobody asks for its CPU time any more: to look would only leave more behind in `/proc` for the
    /// kernel to clear away.
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Sum over its threads of the first figure of `schedstat`, nanoseconds on a CPU; `stat` would have
/// the same in ticks of 10 ms. See proc(5) and Documentation/scheduler/sched-stats.rst.
fn on_cpu(pid: u32) -> Option<Nanos> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let of_thread = |entry: io::Result<std::fs::DirEntry>| -> Option<u64> {
        let text = std::fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    let sum: u64 = threads.filter_map(of_thread).sum();
    // A child that is dead but not waited for has a folder with nothing to read in it.
    (sum > 0).then_some(Nanos(sum))
}
