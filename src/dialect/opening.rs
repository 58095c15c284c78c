//! What passes between the upgrade and readiness: a login, a subscription, a greeting.
//!
//! Belongs here: the steps as data. Does not: carrying them out (`engine::connection`).

use memchr::memmem;

use super::matching::Matching;
use super::pattern::Pattern;

/// The steps, in order. A socket is ready when the last one is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Without any, a socket is ready when the upgrade is.
    pub steps: Vec<OpeningStep>,
    /// Columns of `--data` that they, or what is sent later, have places for.
    pub columns: Vec<String>,
}

/// Something is sent, then an answer is awaited; either may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpeningStep {
    /// One message, of the kind in which the dialect's messages travel.
    pub send: Option<Pattern>,
    /// What the next step waits for.
    pub answer: Option<OpeningAnswer>,
}

/// Which message answers a step. Messages that are neither answer nor refusal are passed over: a node
/// may greet, and tell of other users, at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningAnswer {
    /// This one does.
    pub expect: Matching,
    /// One of these refuses it.
    pub refuse: Vec<Matching>,
    /// What later steps repeat of it.
    pub captures: Vec<Capture>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// As `{capture:NAME}` names it.
    pub name: String,
    /// It begins behind the first of these.
    pub after: String,
    /// It ends before the next of these.
    pub until: String,
    /// Messages repeat it.
    pub in_messages: bool,
}

impl Opening {
    /// Names of all that the steps capture.
    pub(super) fn captured(&self) -> impl Iterator<Item = &str> {
        let answers = self.steps.iter().filter_map(|step| step.answer.as_ref());
        answers.flat_map(|answer| answer.captures.iter().map(|capture| capture.name.as_str()))
    }
}

impl OpeningStep {
    /// Columns of `--data` that it has places for.
    pub(super) fn columns(&self) -> Vec<String> {
        let answers = self.answer.iter();
        let matches = answers.flat_map(|answer| answer.refuse.iter().chain([&answer.expect]));
        let patterns = matches.map(|matching| &matching.pattern).chain(&self.send);
        patterns.flat_map(Pattern::columns).collect()
    }
}

impl Capture {
    /// The piece of `answer`, if it is there.
    pub fn find<'a>(&self, answer: &'a [u8]) -> Option<&'a [u8]> {
        let start = memmem::find(answer, self.after.as_bytes())? + self.after.len();
        let rest = &answer[start..];
        Some(&rest[..memmem::find(rest, self.until.as_bytes())?])
    }
}
