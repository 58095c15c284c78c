//! What `--metrics` serves while a plan runs: one state, written as OpenMetrics or as Prometheus text.
//!
//! Belongs here: the state ([`Metrics`]), its families and their words ([`family`]), and their text
//! ([`exposition`]). Does not: sockets and threads (`cli::metrics`).
//!
//! Whoever scrapes may keep what was scraped for years, so that labels take few values: nodes beyond the first
//! [`NODES_MAX`] share one, the oldest trials go, and histograms by node go before them.

mod buckets;
pub mod exposition;
pub mod family;
mod samples;
mod state;
#[cfg(test)]
mod tests;
mod trial;

pub use self::buckets::BOUNDS;
pub use self::state::{Metrics, Phase};
pub use self::trial::Second;
use crate::report::sanitize::plain;
use crate::units::Nanos;

/// Nodes that have labels of their own.
pub const NODES_MAX: usize = 64;
/// Trials that are shown: the newest.
pub const TRIALS_MAX: usize = 50;
/// Rows by node that are kept, over all trials: those of the newest.
pub const ROWS_MAX: usize = 256;
/// Characters of a node's name.
const NAME_CHARS_MAX: usize = 200;
/// The label of all other nodes together.
pub const OTHERS: &str = "(others)";

/// As a label: printable, and not endless.
fn name(text: &str) -> String {
    plain(text).chars().take(NAME_CHARS_MAX).collect()
}

fn seconds(time: Nanos) -> f64 {
    time.0 as f64 / 1e9
}
