//! Commands under a seccomp filter that answers io_uring's system calls, as sandboxes do.
//!
//! Belongs here: the filter (seccomp(2), Documentation/userspace-api/seccomp_filter.rst). Does not: what
//! a program should make of it.

use std::io::{self, Write};
use std::process::{Child, Command};
use std::thread;

/// io_uring's system calls; their numbers are the same on every architecture.
pub(crate) const SETUP: u32 = 425;
pub(crate) const ENTER: u32 = 426;
pub(crate) const REGISTER: u32 = 427;
pub(crate) const ALL: &[u32] = &[SETUP, ENTER, REGISTER];

/// What the filter does to who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The process is ended by SIGSYS.
    Kill,
    /// The call fails with this errno.
    Errno(u32),
}

#[repr(C)]
struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    value: u32,
}

#[repr(C)]
struct Program {
    len: u16,
    instructions: *const Instruction,
}

// SAFETY: as the C library declares it.
unsafe extern "C" {
    fn prctl(option: i32, ...) -> i32;
}

/// Starts a command under the filter. None, with a word about it, where this host takes none.
///
/// The filter is one thread's and what that thread starts: the test itself stays without.
pub(crate) fn spawn(mut command: Command, calls: &[u32], answer: Answer) -> Option<Child> {
    let calls = calls.to_vec();
    let started = thread::spawn(move || {
        filter(&calls, answer)?;
        command.spawn()
    });
    match started.join().expect("the thread does not panic") {
        Ok(child) => Some(child),
        Err(error) => {
            // Not by a macro: the harness would keep what a passing test prints to itself.
            let _ = writeln!(io::stderr(), "SKIPPED: what a seccomp filter does: {error}");
            None
        }
    }
}

fn filter(calls: &[u32], answer: Answer) -> io::Result<()> {
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const SET_SECCOMP: i32 = 22;
    const FILTER: u64 = 2;
    const SET_NO_NEW_PRIVS: i32 = 38;
    let instruction =
        |code, jump_true, value| Instruction { code, jump_true, jump_false: 0, value };
    let answered = match answer {
        Answer::Kill => 0x8000_0000,
        Answer::Errno(errno) => 0x0005_0000 | errno,
    };
    let mut instructions = vec![instruction(LOAD, 0, 0)];
    for (index, call) in calls.iter().enumerate() {
        instructions.push(instruction(JUMP_IF_EQUAL, (calls.len() - index) as u8, *call));
    }
    instructions.extend([instruction(RETURN, 0, ALLOW), instruction(RETURN, 0, answered)]);
    let program = Program { len: instructions.len() as u16, instructions: instructions.as_ptr() };
    // SAFETY: both calls take what prctl(2) says, and the program outlives them.
    let done = unsafe {
        prctl(SET_NO_NEW_PRIVS, 1u64, 0u64, 0u64, 0u64) == 0
            && prctl(SET_SECCOMP, FILTER, &raw const program) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}
