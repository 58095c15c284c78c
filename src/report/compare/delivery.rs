//! Copies of both sides. Delivery is no statistic: one missing copy is a difference.
//!
//! Belongs here: the accounts and which is worse. Does not: times.

use schemars::JsonSchema;
use serde::Serialize;

use super::Pair;
use crate::report::document::Document;
use crate::report::document::trial::{Ending, TrialResult};

/// Copies of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Delivery {
    /// Over all runs of a side, without trials that a signal ended.
    pub account: Pair<Account>,
    /// The account of one side is worse than the other's: it alone has faults, or the larger share of its copies is
    /// missing, duplicate, misdelivered or corrupt, or it lost more sockets.
    pub different: bool,
    /// Side B is the worse one.
    pub b_is_worse: bool,
}

/// Copies over all runs of a side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Account {
    /// Copies that must come.
    pub expected: u64,
    /// Those that came.
    pub delivered: u64,
    /// Those that did not, of messages that were sent.
    pub missing: u64,
    /// Further arrivals of a copy.
    pub duplicate: u64,
    /// Copies where they must not come.
    pub misdelivered: u64,
    /// Copies that were altered.
    pub corrupt: u64,
    /// Copies of messages that were not sent.
    pub unsent: u64,
    /// Sockets lost.
    pub lost_sockets: u64,
    /// Trials that were skipped.
    pub skipped: u64,
    /// Runs with any of that.
    pub faulty_runs: u64,
}

impl Account {
    const fn faults(self) -> [u64; 7] {
        let Self {
            missing, duplicate, misdelivered, corrupt, unsent, lost_sockets, skipped, ..
        } = self;
        [missing, duplicate, misdelivered, corrupt, unsent, lost_sockets, skipped]
    }

    /// Nothing is wrong.
    pub fn flawless(self) -> bool {
        self.faults().iter().all(|&count| count == 0)
    }

    /// Copies with a fault, and sockets that were lost.
    fn wrong(self) -> u128 {
        let Self { missing, duplicate, misdelivered, corrupt, unsent, lost_sockets, .. } = self;
        let all = [missing, duplicate, misdelivered, corrupt, unsent, lost_sockets];
        all.into_iter().map(u128::from).sum()
    }

    fn with(self, run: &TrialResult) -> Self {
        let (copies, unsent) = (&run.delivery, run.unsent_copies());
        Self {
            expected: self.expected.saturating_add(copies.expected),
            delivered: self.delivered.saturating_add(copies.delivered),
            missing: self.missing.saturating_add(copies.missing - unsent),
            duplicate: self.duplicate.saturating_add(copies.duplicate),
            misdelivered: self.misdelivered.saturating_add(copies.misdelivered),
            corrupt: self.corrupt.saturating_add(copies.corrupt),
            unsent: self.unsent.saturating_add(unsent),
            lost_sockets: self.lost_sockets.saturating_add(run.lost_sockets.len() as u64),
            ..self
        }
    }
}

fn account(results: &[&Document]) -> Account {
    let mut sum = Account::default();
    for one in results {
        let mut own = Account::default();
        for run in one.trials.iter().filter(|run| run.ending != Ending::Interrupted) {
            own = own.with(run);
            sum = sum.with(run);
        }
        // What a signal kept from running says nothing of the cluster.
        own.skipped = if one.interrupted { 0 } else { one.skipped.len() as u64 };
        sum.skipped = sum.skipped.saturating_add(own.skipped);
        sum.faulty_runs += u64::from(!own.flawless());
    }
    sum
}

pub(super) fn of(results: &Pair<Vec<&Document>>) -> Delivery {
    let account = results.map(|side| account(side));
    // Shares are compared without dividing: one copy of any number counts.
    let share = |of: Account, other: Account| of.wrong() * u128::from(other.expected.max(1));
    let key = |of: Account, other: Account| (!of.flawless(), share(of, other));
    let (a, b) = (key(account.a, account.b), key(account.b, account.a));
    Delivery { account, different: a != b, b_is_worse: b > a }
}
