//! When the phases of a worker on a bench end.

use fanstorm::engine::worker::{Control, Directive, TrialProgress};
use fanstorm::units::Nanos;

/// With the last copy.
pub(crate) struct UntilComplete;

impl Control for UntilComplete {
    fn turn(&mut self, progress: TrialProgress, _: Nanos) -> Directive {
        if progress.complete { Directive::End } else { Directive::Continue }
    }
}

/// By themselves.
pub(crate) struct Patient;

impl Control for Patient {
    fn turn(&mut self, _: TrialProgress, _: Nanos) -> Directive {
        Directive::Continue
    }
}
