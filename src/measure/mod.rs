//! Ledger, recorder, tally, outcome, verdict.
pub mod outcome;
pub mod percentile;
pub mod verdict;
pub mod ledger;
pub mod correlate;
pub mod recorder;
pub mod sent;
pub mod tally;
