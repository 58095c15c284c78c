//! What can be held only where a process may open so many files.

use std::io::{self, Write};

use rustix::process::{Resource, getrlimit};

/// Whether the hard limit allows it; where not, says what is left out.
pub(crate) fn are_granted(needed: u64, to_hold: &str) -> bool {
    let hard = getrlimit(Resource::Nofile).maximum;
    let granted = hard.is_none_or(|hard| hard >= needed);
    if !granted {
        // Not by a macro: the harness would keep what a passing test prints to itself.
        let why = format!("it takes {needed} descriptors, the hard limit is lower");
        let _ = writeln!(io::stderr(), "SKIPPED: {to_hold}: {why}");
    }
    granted
}
