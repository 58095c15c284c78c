//! Telling messages by some of their bytes.
//!
//! Belongs here: the three ways of it. Does not: what follows from a match (`engine`).

use memchr::memmem::Finder;

use super::pattern::{Pattern, Values};

/// How a message is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is this and nothing else.
    Exactly,
    /// It begins with this.
    StartingWith,
    /// It holds this anywhere.
    Containing,
}

/// Which messages are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// How they are compared.
    pub how: How,
    /// With what.
    pub pattern: Pattern,
}

/// The same with values in its places.
#[derive(Clone, Debug)]
pub struct Wanted {
    how: How,
    finder: Finder<'static>,
}

impl Matching {
    /// Puts values in its places.
    pub fn with(&self, values: &Values<'_>) -> Wanted {
        let finder = Finder::new(&self.pattern.bytes(values)).into_owned();
        Wanted { how: self.how, finder }
    }
}

impl Wanted {
    /// What is looked for.
    pub fn needle(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Where the first place that holds it ends.
    #[inline]
    pub fn next_end(&self, stretch: &[u8]) -> Option<usize> {
        self.finder.find(stretch).map(|at| at + self.finder.needle().len())
    }

    /// Whether `message` is meant.
    #[inline]
    pub fn is_in(&self, message: &[u8]) -> bool {
        match self.how {
            How::Exactly => message == self.finder.needle(),
            How::StartingWith => message.starts_with(self.finder.needle()),
            How::Containing => self.finder.find(message).is_some(),
        }
    }
}
