//! Whether this host gives us io_uring, and if not, who refuses it and what to do.
//!
//! Belongs here: the diagnosis. Does not: making a ring; the attempt is a function passed in, so
//! that io_uring itself stays in `engine::ring`.
//!
//! Containers and hardened hosts refuse io_uring in different ways which all look alike in an
//! error number (see kernel.org, admin-guide/sysctl/kernel, `io_uring_disabled`; seccomp(2)).

use std::io;

use rustix::io::Errno;

/// Multishot receive needs 6.0, deferred task work (`IORING_SETUP_DEFER_TASKRUN`) 6.1.
const OLDEST: (u32, u32) = (6, 1);

/// Who refuses io_uring. The text is one line, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `kernel.io_uring_disabled` is 1 or 2.
    #[error(
        "io_uring is switched off by the sysctl kernel.io_uring_disabled={value}: run \
         `sudo sysctl -w kernel.io_uring_disabled=0`{}",
        if *.value == 1 { ", or join the group of kernel.io_uring_group" } else { "" }
    )]
    Sysctl {
        /// What it is set to.
        value: u8,
    },
    /// EPERM although the sysctl allows it.
    #[error(
        "io_uring is blocked by a seccomp filter (EPERM, kernel.io_uring_disabled allows it), as \
         container runtimes do: run the container with `--security-opt seccomp=unconfined`, or \
         with a profile that allows io_uring_setup, io_uring_enter and io_uring_register"
    )]
    Seccomp,
    /// SIGSYS in the process that asked.
    #[error(
        "io_uring is blocked by a seccomp filter that kills whoever asks for it (SIGSYS): run the \
         container with `--security-opt seccomp=unconfined`, or with a profile that allows \
         io_uring_setup, io_uring_enter and io_uring_register"
    )]
    Killed,
    /// A ring can be made, and is of no use.
    #[error(
        "io_uring can be set up but not entered, since a seccomp filter blocks io_uring_enter \
         ({error}): run the container with `--security-opt seccomp=unconfined`, or with a profile \
         that allows it"
    )]
    NotEntered {
        /// What the system call said.
        error: String,
    },
    /// A filter is on, and the process that was to ask in our place did not.
    #[error(
        "it is unknown whether the seccomp filter of this process grants io_uring, since no other \
         process could ask ({reason}): let one more be started (ulimit -u, docker --pids-limit)"
    )]
    Untried {
        /// What kept it.
        reason: String,
    },
    /// The release is too old for the features that we use.
    #[error(
        "this kernel ({release}) is too old: fanstorm needs io_uring as of Linux {}.{}, upgrade it",
        OLDEST.0, OLDEST.1
    )]
    TooOld {
        /// `uname -r`.
        release: String,
    },
    /// ENOSYS on a new kernel.
    #[error(
        "this kernel ({release}) has no io_uring (ENOSYS), or a container hides it: podman and buildah \
         answer so by default (`--security-opt seccomp=unconfined` grants it), and so do sandboxes \
         such as gVisor and kernels without CONFIG_IO_URING"
    )]
    Absent {
        /// `uname -r`.
        release: String,
    },
    /// ENOMEM: locked or plain memory.
    #[error(
        "io_uring got no memory for its queues (ENOMEM): raise the locked-memory limit \
         (`ulimit -l unlimited`, LimitMEMLOCK=infinity, docker --ulimit memlock=-1) or free some \
         memory"
    )]
    Memory,
    /// Anything else.
    #[error("io_uring cannot be set up on this kernel ({release}): {error}")]
    Other {
        /// `uname -r`.
        release: String,
        /// What the system call said.
        error: String,
    },
}

impl Refusal {
    /// One command on this host gives io_uring to whoever may run it. What a container runtime, a
    /// kernel build or a sandbox withholds is not to be had before the run.
    pub const fn is_fixed_on_the_spot(&self) -> bool {
        matches!(self, Self::Sysctl { .. } | Self::Memory)
    }
}

/// What a worker says whose ring failed. A smaller ring has succeeded before: where a larger one does
/// not, the user's locked memory is used up.
pub fn explained(error: io::Error) -> io::Error {
    match Errno::from_io_error(&error) {
        Some(Errno::NOMEM) => io::Error::other(Refusal::Memory.to_string()),
        _ => error,
    }
}

/// Of an attempt: the ring was made, and could not be entered.
#[derive(Debug, thiserror::Error)]
#[error("io_uring_enter: {0}")]
pub struct NotEntered(pub io::Error);

/// Whether a system call may end this process instead of failing: a seccomp filter can. Also where
/// nobody can say.
pub fn may_be_deadly() -> bool {
    let status = std::fs::read_to_string("/proc/self/status");
    status.map_or(true, |status| is_filtered(&status))
}

/// By `Seccomp:` of proc_pid_status(5), which a kernel without seccomp does not have.
fn is_filtered(status: &str) -> bool {
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() != "0")
}

/// What the diagnosis rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `/proc/sys/kernel/io_uring_disabled`; none before Linux 6.6.
    pub disabled: Option<u8>,
    /// `uname -r`.
    pub release: String,
}

impl Facts {
    /// Reads them from this host.
    pub fn read() -> Self {
        let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        Self {
            disabled: disabled.ok().and_then(|text| text.trim().parse().ok()),
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
        }
    }

    /// `6.18.44-generic` as (6, 18). None when it does not begin with two numbers.
    fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    pub(crate) fn is_old(&self) -> bool {
        self.version().is_some_and(|version| version < OLDEST)
    }
}

/// Tries to make a ring as the workers will make theirs.
///
/// # Errors
/// Who refuses it, with the remedy.
pub fn probe(attempt: impl FnOnce() -> io::Result<()>) -> Result<(), Refusal> {
    attempt().map_err(|error| diagnose(&Facts::read(), &error))
}

/// Names the culprit of a failed attempt. A successful one is never judged: distributions port
/// features back to releases that look too old.
pub fn diagnose(facts: &Facts, error: &io::Error) -> Refusal {
    let release = facts.release.clone();
    if let Some(NotEntered(error)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return Refusal::NotEntered { error: error.to_string() };
    }
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS) => match facts.disabled {
            Some(value @ 1..) => Refusal::Sysctl { value },
            _ => Refusal::Seccomp,
        },
        Some(Errno::NOSYS) if !facts.is_old() => Refusal::Absent { release },
        Some(Errno::NOMEM) => Refusal::Memory,
        _ if facts.is_old() => Refusal::TooOld { release },
        _ => Refusal::Other { release, error: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(disabled: Option<u8>, release: &str, errno: Errno) -> Refusal {
        let facts = Facts { disabled, release: release.to_owned() };
        diagnose(&facts, &io::Error::from_raw_os_error(errno.raw_os_error()))
    }

    #[test]
    fn each_way_to_refuse_io_uring_is_told_apart() {
        let release = || "6.8.0-31-generic".to_owned();
        let old = || "5.10.0-28-amd64".to_owned();
        for (disabled, on, errno, refusal) in [
            (Some(2), release(), Errno::PERM, Refusal::Sysctl { value: 2 }),
            (Some(1), release(), Errno::PERM, Refusal::Sysctl { value: 1 }),
            (Some(0), release(), Errno::PERM, Refusal::Seccomp),
            (Some(0), release(), Errno::ACCESS, Refusal::Seccomp),
            (None, "6.1.0".to_owned(), Errno::PERM, Refusal::Seccomp),
            (None, old(), Errno::INVAL, Refusal::TooOld { release: old() }),
            (None, old(), Errno::NOSYS, Refusal::TooOld { release: old() }),
            (None, "4.19.0".to_owned(), Errno::NOSYS, Refusal::TooOld { release: "4.19.0".into() }),
            (None, "6.0.9".to_owned(), Errno::INVAL, Refusal::TooOld { release: "6.0.9".into() }),
            (Some(0), release(), Errno::NOSYS, Refusal::Absent { release: release() }),
            (Some(0), release(), Errno::NOMEM, Refusal::Memory),
        ] {
            assert_eq!(diagnosis(disabled, &on, errno), refusal, "{disabled:?} {on} {errno:?}");
        }
        assert!(matches!(diagnosis(Some(0), "6.8.0", Errno::INVAL), Refusal::Other { .. }));
        assert!(matches!(diagnosis(Some(0), "strange", Errno::INVAL), Refusal::Other { .. }));
    }

    #[test]
    fn each_refusal_is_one_line_with_its_remedy() {
        for (refusal, remedy) in [
            (Refusal::Sysctl { value: 2 }, "sysctl -w kernel.io_uring_disabled=0"),
            (Refusal::Sysctl { value: 1 }, "kernel.io_uring_group"),
            (Refusal::Seccomp, "--security-opt seccomp=unconfined"),
            (Refusal::Killed, "--security-opt seccomp=unconfined"),
            (Refusal::NotEntered { error: "EPERM".to_owned() }, "seccomp=unconfined"),
            (Refusal::Untried { reason: "EAGAIN".to_owned() }, "ulimit -u"),
            (Refusal::TooOld { release: "5.4.0".to_owned() }, "Linux 6.1"),
            (Refusal::Absent { release: "6.8.0".to_owned() }, "CONFIG_IO_URING"),
            (Refusal::Memory, "ulimit -l"),
        ] {
            let text = refusal.to_string();
            assert!(text.contains(remedy) && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn a_ring_that_cannot_be_entered_is_told_from_one_that_cannot_be_made() {
        for errno in [Errno::PERM, Errno::NOSYS] {
            let attempt = || Err(io::Error::other(NotEntered(errno.into())));
            let refusal = probe(attempt).unwrap_err();
            assert!(matches!(refusal, Refusal::NotEntered { .. }), "{refusal:?}");
            assert!(!refusal.is_fixed_on_the_spot(), "no command of the user lifts a filter");
        }
    }

    #[test]
    fn a_filter_is_seen_in_the_status_of_the_process() {
        assert!(is_filtered("Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!is_filtered("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n"));
        assert!(!is_filtered("Name:\tx\n"), "a kernel without seccomp");
    }

    #[test]
    fn a_ring_that_can_be_made_is_never_refused() {
        assert_eq!(probe(|| Ok(())), Ok(()));
    }

    #[test]
    fn this_host_has_a_release_that_can_be_read() {
        assert!(Facts::read().version().is_some());
    }
}
