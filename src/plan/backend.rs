//! Which kernel interface the workers stand on.
//!
//! Belongs here: the choice, as a rule over what was asked for and what the host says. Does not: why
//! a host refuses io_uring (`host::io_uring`), making rings (`engine`).

use crate::host::io_uring::Refusal;
use crate::notice::Notice;

/// What a worker asks the kernel through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Completions: fewest system calls.
    IoUring,
    /// Readiness, and a system call for each read and send: runs wherever Linux does.
    Epoll,
}

impl Engine {
    /// As `--engine` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// io_uring, or epoll where a user cannot get io_uring on the spot.
    #[default]
    Auto,
    /// This one or none.
    Only(Engine),
}

/// Why the host's refusal of io_uring ends the program. One line, with both ways on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; or go on without it: --engine epoll")]
pub struct EngineRefused(pub Refusal);

/// Chooses for a host that answers an attempt with `io_uring`, which is made only where the answer
/// matters. A notice says what was decided without being asked for.
///
/// # Errors
/// When the host does not give what is needed: where `io_uring` is asked for, or where the user can
/// have it with one command.
pub fn choose(
    wish: BackendChoice,
    io_uring: impl FnOnce() -> Result<(), Refusal>,
) -> Result<(Engine, Option<Notice>), EngineRefused> {
    if wish == BackendChoice::Only(Engine::Epoll) {
        return Ok((Engine::Epoll, None));
    }
    match io_uring() {
        Ok(()) => Ok((Engine::IoUring, None)),
        Err(refusal) if wish == BackendChoice::Auto && !refusal.is_fixed_on_the_spot() => {
            Ok((Engine::Epoll, Some(Notice::EpollInstead { refusal })))
        }
        Err(refusal) => Err(EngineRefused(refusal)),
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::backend::*;

    const IO_URING: BackendChoice = BackendChoice::Only(Engine::IoUring);
    const EPOLL: BackendChoice = BackendChoice::Only(Engine::Epoll);

    fn out_of_reach() -> [Refusal; 7] {
        let release = || "5.10.0".to_owned();
        [
            Refusal::Seccomp,
            Refusal::Killed,
            Refusal::NotEntered { error: "strange".to_owned() },
            Refusal::Untried { reason: "strange".to_owned() },
            Refusal::TooOld { release: release() },
            Refusal::Absent { release: release() },
            Refusal::Other { release: release(), error: "strange".to_owned() },
        ]
    }

    fn one_command_away() -> [Refusal; 3] {
        [Refusal::Sysctl { value: 2 }, Refusal::Sysctl { value: 1 }, Refusal::Memory]
    }

    #[test]
    fn a_host_that_gives_io_uring_gives_what_is_asked_for() {
        for (wish, engine) in [
            (BackendChoice::Auto, Engine::IoUring),
            (IO_URING, Engine::IoUring),
            (EPOLL, Engine::Epoll),
        ] {
            assert_eq!(choose(wish, || Ok(())), Ok((engine, None)));
        }
    }

    #[test]
    fn where_io_uring_is_out_of_reach_the_run_goes_on_with_epoll_and_says_so() {
        for refusal in out_of_reach() {
            let (engine, notice) = choose(BackendChoice::Auto, || Err(refusal.clone())).unwrap();
            assert_eq!(engine, Engine::Epoll);
            let text = notice.unwrap().to_string();
            assert!(text.contains("epoll") && text.contains(&refusal.to_string()), "{text}");
        }
    }

    #[test]
    fn where_one_command_gives_io_uring_the_program_ends_with_both_ways_on() {
        for refusal in one_command_away() {
            let error =
                choose(BackendChoice::Auto, || Err(refusal.clone())).unwrap_err().to_string();
            assert!(error.starts_with(&refusal.to_string()), "{error}");
            assert!(error.contains("--engine epoll") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn who_insists_on_io_uring_gets_nothing_else() {
        for refusal in out_of_reach().into_iter().chain(one_command_away()) {
            let refused = EngineRefused(refusal.clone());
            assert_eq!(choose(IO_URING, || Err(refusal)), Err(refused));
        }
    }

    #[test]
    fn who_asks_for_epoll_asks_for_no_io_uring_and_gets_no_notice() {
        let deadly = || panic!("a filter may kill who asks");
        assert_eq!(choose(EPOLL, deadly), Ok((Engine::Epoll, None)));
    }
}
