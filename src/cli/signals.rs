//! Ctrl-C, SIGTERM and SIGHUP: before there is anything to report they end the program at once; while a
//! plan runs, the first ends the run with a report and the second the program. SIGXFSZ ends nothing:
//! the write that was too large says so.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;
#[cfg(feature = "live")]
use signal_hook::consts::signal::SIGCONT;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::{flag, low_level};

use super::exit::Exit;

/// Those that ask for the end.
pub fn ends() -> impl Iterator<Item = i32> {
    [SIGINT, SIGTERM].into_iter().chain((!hangup_is_ignored()).then_some(SIGHUP))
}

/// `nohup` has it so: the program is to outlive its terminal.
fn hangup_is_ignored() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| is_ignored(&status, SIGHUP))
}

/// `SigIgn: 0000000000000001` (proc_pid_status(5)): the lowest bit is signal 1.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Lets a write beyond `ulimit -f` fail with EFBIG, which names what was written, and not kill us.
pub fn survive_large_files() {
    // Where it cannot be done all is as it was.
    let _ = flag::register(SIGXFSZ, Arc::default());
}

/// The handlers, installed for the life of the process.
#[derive(Debug)]
pub struct Signals {
    /// Set: the next signal ends the program.
    stop: Arc<AtomicBool>,
    /// One came that is no Ctrl-C: whoever sends it does not mean a part of the run.
    terminated: Arc<AtomicBool>,
    shutdowns: Vec<SigId>,
}

impl Signals {
    /// Lets a signal end the program, with the exit code of an interruption. `stop` is the flag that
    /// a running plan looks at; nothing runs yet.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn ending_the_program(stop: Arc<AtomicBool>) -> io::Result<Self> {
        stop.store(true, Ordering::SeqCst);
        let mut signals = Self { stop, terminated: Arc::default(), shutdowns: Vec::new() };
        for signal in ends() {
            // Handlers run in the order of registration: the exit looks at the flag before the
            // same signal sets it.
            signals.shut_down_on(signal, Arc::clone(&signals.stop))?;
            flag::register(signal, Arc::clone(&signals.stop))?;
            if signal != SIGINT {
                flag::register(signal, Arc::clone(&signals.terminated))?;
            }
        }
        Ok(signals)
    }

    fn shut_down_on(&mut self, signal: i32, when: Arc<AtomicBool>) -> io::Result<()> {
        let code = Exit::Interrupted.code().into();
        self.shutdowns.push(flag::register_conditional_shutdown(signal, code, when)?);
        Ok(())
    }

    /// From now on the first signal only sets the flag; whoever presses Ctrl-C twice has waited long
    /// enough.
    pub fn stop_the_run_first(&self) {
        self.stop.store(false, Ordering::SeqCst);
    }

    /// From now on no signal ends the program by itself: whoever has the terminal's screen does, as what
    /// is returned says, once the screen is given back.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    #[cfg(feature = "live")]
    pub fn watched(&mut self) -> io::Result<Watched> {
        let (came, continued) = (Arc::<AtomicBool>::default(), Arc::default());
        ends().try_for_each(|signal| flag::register(signal, Arc::clone(&came)).map(drop))?;
        flag::register(SIGCONT, Arc::clone(&continued))?;
        self.wait_for_files();
        Ok(Watched { stop: Arc::clone(&self.stop), was_to_stop: false, came, continued })
    }

    /// Whether another signal than Ctrl-C has come.
    pub fn terminated(&self) -> bool {
        self.terminated.load(Ordering::SeqCst)
    }

    /// From now on no signal ends the program: files are being written, which takes no time that a
    /// person would feel.
    pub fn wait_for_files(&mut self) {
        for id in self.shutdowns.drain(..) {
            low_level::unregister(id);
        }
    }

    /// From now on a signal only sets what is returned: all is written, and somebody is still served.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn noted(&mut self) -> io::Result<Arc<AtomicBool>> {
        let came = Arc::<AtomicBool>::default();
        ends().try_for_each(|signal| flag::register(signal, Arc::clone(&came)).map(drop))?;
        self.wait_for_files();
        Ok(came)
    }

    /// From now on every signal ends the program: what is left is for readers who may never read.
    pub fn end_at_once(&mut self) {
        for signal in ends() {
            // Without it the report is written to its end, or SIGKILL comes.
            let _ = self.shut_down_on(signal, Arc::new(AtomicBool::new(true)));
        }
    }
}

/// Signals as seen by somebody who looks now and then.
#[cfg(feature = "live")]
#[derive(Debug)]
pub struct Watched {
    stop: Arc<AtomicBool>,
    /// As the last look saw it.
    was_to_stop: bool,
    came: Arc<AtomicBool>,
    continued: Arc<AtomicBool>,
}

#[cfg(feature = "live")]
impl Watched {
    /// Whether a signal came since the last look, and the run was to stop before it.
    pub fn ends_the_program(&mut self) -> bool {
        // In this order: a signal between the two reads is the first and not the second.
        let was_to_stop =
            std::mem::replace(&mut self.was_to_stop, self.stop.load(Ordering::SeqCst));
        self.came.swap(false, Ordering::SeqCst) && was_to_stop
    }

    /// Whether the program was stopped (Ctrl-Z) and goes on since the last look.
    pub fn goes_on(&self) -> bool {
        self.continued.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_to_outlive_its_terminal_is_known_by_the_mask() {
        let status = |mask: &str| format!("Name:\tx\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
        assert!(is_ignored(&status("0000000000001001"), SIGHUP));
        assert!(!is_ignored(&status("0000000000001000"), SIGHUP));
        assert!(is_ignored(&status("0000000000001000"), 13));
        assert!(!is_ignored("", SIGHUP));
    }
}
