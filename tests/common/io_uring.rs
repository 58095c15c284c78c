//! What is held of io_uring alone, and so can be held only where the host grants it.

use std::io::{self, Write};

use fanstorm::engine::ring::uring;
use fanstorm::host::io_uring;

/// Whether it does; where not, says what is left out and why.
pub(crate) fn is_granted(to_hold: &str) -> bool {
    let refusal = io_uring::probe(uring::probe).err();
    if let Some(refusal) = &refusal {
        // Not by a macro: the harness would keep what a passing test prints to itself.
        let _ = writeln!(io::stderr(), "SKIPPED: {to_hold}: {refusal}");
    }
    refusal.is_none()
}
