//! As fast as answers come: closed loop.

use crate::load::shape::{Figure, Key, Kind, Mode, Pacing, Parameters, Shape, Word, Words};

/// The next message of a push socket when another of its messages has come back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Messages of one push socket whose copy has not come back to that socket, at most.
    pub in_flight: u32,
}

const IN_FLIGHT: &str = "in_flight";

/// In a result file.
pub(super) const MODE: Mode = Mode {
    name: "window",
    meaning: "The next message when another has come back: closed loop.",
    in_short: "at most `in_flight` messages of a push socket under way",
    pacing: Pacing::Answers,
    keys: &[Key {
        name: IN_FLIGHT,
        meaning: "messages of a push socket whose copy has not come back to it, at most.",
        kind: Kind::Count,
    }],
};

impl Window {
    /// From what a result file keeps.
    pub(super) fn read(parameters: &Parameters) -> Result<Self, String> {
        let asked = parameters.count(IN_FLIGHT).ok_or("mode window without in_flight")?;
        let in_flight = asked.try_into().map_err(|_| format!("mode window: in_flight {asked}"))?;
        Ok(Self { in_flight })
    }
}

impl Shape for Window {
    fn mode(&self) -> &'static Mode {
        &MODE
    }

    fn parameters(&self) -> Parameters {
        Parameters(vec![(IN_FLIGHT, Figure::Count(self.in_flight.into()))])
    }

    fn suffix(&self) -> String {
        format!("-w{}", self.in_flight)
    }

    fn sentence(&self) -> (Words, Words) {
        let most = Word::Count(self.in_flight.into());
        let after = [Word::Text(", at most "), most, Word::Text(" under way on a push socket")];
        (Words::default(), Words(after.into()))
    }

    fn refusal(&self) -> Option<&'static str> {
        (self.in_flight == 0).then_some("--in-flight 0: nothing could ever be sent; at least 1")
    }

    fn in_flight(&self) -> Option<u32> {
        Some(self.in_flight)
    }
}
