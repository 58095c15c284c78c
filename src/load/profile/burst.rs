//! As fast as the sockets take them.

use crate::load::shape::{Mode, Pacing, Parameters, Shape, Word, Words};

/// All messages at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burst;

/// In a result file.
pub(super) const MODE: Mode = Mode {
    name: "burst",
    meaning: "All messages as fast as the sockets take them.",
    in_short: "all messages as fast as the sockets take them",
    pacing: Pacing::Free,
    keys: &[],
};

impl Burst {
    /// From what a result file keeps.
    pub(super) fn read(_: &Parameters) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Shape for Burst {
    fn mode(&self) -> &'static Mode {
        &MODE
    }

    fn parameters(&self) -> Parameters {
        Parameters::default()
    }

    fn suffix(&self) -> String {
        String::new()
    }

    fn sentence(&self) -> (Words, Words) {
        (Words(vec![Word::Text("a burst of ")]), Words::default())
    }
}
