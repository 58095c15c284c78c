//! Ctrl-C and SIGTERM: the first ends the run with a report, the second ends the program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::exit::Exit;

/// Sets `stop` at the first signal, exits at once at the second: whoever presses Ctrl-C twice has
/// waited long enough.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn set_on_signal(stop: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // Handlers run in the order of registration: the exit looks at the flag before it is set.
        flag::register_conditional_shutdown(signal, Exit::Interrupted.code().into(), stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(())
}
