//! Ledger, recorder, tally, outcome, verdict.
pub mod outcome;
