//! Hosts that withhold io_uring in ways that end a careless program (issue 11, C4).
//!
//! Belongs here: the binary under seccomp filters that kill, or that refuse one call alone. Does not:
//! filters that refuse every call with an errno (`.ci/no_io_uring.py` runs all tests under one).

#![expect(unsafe_code, reason = "no crate at hand installs a seccomp filter")]

#[path = "common/seccomp.rs"]
mod seccomp;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use seccomp::{ALL, Answer, ENTER, REGISTER, SETUP};

const RUN: &str = "--nodes 2 --messages 20 --quiet --json -";

fn start(calls: &[u32], answer: Answer, words: &str) -> Option<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(words.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    seccomp::spawn(command, calls, answer)
}

fn under(calls: &[u32], answer: Answer, words: &str) -> Option<Output> {
    start(calls, answer, words).map(|child| child.wait_with_output().unwrap())
}

/// The run has done its work; 5 is what a busy host makes of it.
fn completed_on_epoll(output: &Output, why: &str) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 5)), "{why}: {}: {err}", output.status);
    let result: serde_json::Value = serde_json::from_str(&out).expect("the result is JSON");
    assert_eq!(result["plan"]["engine"], "epoll", "{why}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn errno(errno: Errno) -> Answer {
    Answer::Errno(errno.raw_os_error() as u32)
}

#[test]
fn who_asks_for_epoll_calls_nothing_of_io_uring_nor_does_the_embedded_cluster() {
    for words in [RUN.to_owned(), format!("{RUN} --calibrate")] {
        let words = format!("{words} --engine epoll");
        let Some(output) = under(ALL, Answer::Kill, &words) else { return };
        completed_on_epoll(&output, &words);
        assert!(!text(&output.stderr).contains("io_uring"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_filter_that_kills_who_asks_for_io_uring_is_survived_and_named() {
    for calls in [ALL, &[SETUP], &[ENTER], &[REGISTER]] {
        let Some(output) = under(calls, Answer::Kill, RUN) else { return };
        completed_on_epoll(&output, &format!("{calls:?}"));
        let err = text(&output.stderr);
        assert!(err.contains("epoll is used") && err.contains("SIGSYS"), "{calls:?}: {err}");
    }
}

#[test]
fn a_filter_that_refuses_to_enter_a_ring_alone_is_a_refusal_like_any_other() {
    for refused in [Errno::PERM, Errno::NOSYS] {
        let Some(output) = under(&[ENTER], errno(refused), RUN) else { return };
        completed_on_epoll(&output, &format!("{refused:?}"));
        let err = text(&output.stderr);
        assert!(err.contains("epoll is used") && err.contains("io_uring_enter"), "{err}");
    }
}

#[test]
fn who_insists_on_io_uring_is_told_who_kills_for_it() {
    for (calls, answer) in [(ALL, Answer::Kill), (&[ENTER][..], errno(Errno::PERM))] {
        let words = format!("{RUN} --engine io_uring");
        let Some(output) = under(calls, answer, &words) else { return };
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{answer:?}: {err}");
        assert!(err.contains("error: ") && err.contains("seccomp"), "{answer:?}: {err}");
    }
}

#[test]
fn the_audit_says_what_kills_and_lives() {
    for (words, named) in [("audit", true), ("audit --engine epoll", false)] {
        let Some(output) = under(ALL, Answer::Kill, words) else { return };
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{words}: {}: {err}", output.status);
        assert_eq!(out.contains("SIGSYS"), named, "{words}: {out}");
    }
}

#[test]
fn a_cluster_of_its_own_starts_where_io_uring_kills() {
    for words in ["cluster --nodes 1", "cluster --nodes 1 --engine epoll"] {
        let Some(mut child) = start(ALL, Answer::Kill, words) else { return };
        let mut first = String::new();
        // Held until its end: a cluster that nobody reads has a reason to fail.
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut first).unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let output = child.wait_with_output().unwrap();
        let err = text(&output.stderr);
        assert!(first.starts_with("discovery"), "{words}: {}: {first}{err}", output.status);
        assert!(err.is_empty() == words.contains("epoll"), "{words}: {err}");
    }
}
