//! Ctrl-C and SIGTERM: before there is anything to report they end the program at once; while a
//! plan runs, the first ends the run with a report and the second the program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::exit::Exit;

/// The handlers, installed for the life of the process.
#[derive(Debug)]
pub struct Signals {
    /// Set: the next signal ends the program.
    stop: Arc<AtomicBool>,
}

impl Signals {
    /// Lets a signal end the program, with the exit code of an interruption. `stop` is the flag that
    /// a running plan looks at; nothing runs yet.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn ending_the_program(stop: Arc<AtomicBool>) -> io::Result<Self> {
        stop.store(true, Ordering::SeqCst);
        for signal in [SIGINT, SIGTERM] {
            // Handlers run in the order of registration: the exit looks at the flag before the
            // same signal sets it.
            let code = Exit::Interrupted.code().into();
            flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Self { stop })
    }

    /// From now on the first signal only sets the flag; whoever presses Ctrl-C twice has waited long
    /// enough.
    pub fn stop_the_run_first(&self) {
        self.stop.store(false, Ordering::SeqCst);
    }
}
