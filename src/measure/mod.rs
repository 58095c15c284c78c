//! Ledger, recorder, tally, outcome, verdict.
pub mod correlate;
pub mod ledger;
pub mod outcome;
pub mod recorder;
pub mod sent;
pub mod tally;
