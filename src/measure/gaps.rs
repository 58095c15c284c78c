//! Which messages are missing on which socket.
//!
//! Belongs here: naming the streams with missing copies and the ranges of what they miss. Does not: counting what
//! is missing (`tally`), what it has in common (`report::silent_nodes`).

use super::outcome::StreamGap;
use super::reached::{Places, who_took};
use super::recorder::Recorder;
use crate::population::sockets::Population;

/// Streams with missing copies that a report names; the rest is counted.
const GAPS_MAX: usize = 10_000;
/// Missing ranges that a report names for each stream.
const RANGES_MAX: usize = 100;

/// Streams with missing copies, largest first, and how many there are.
pub(super) fn gaps<'a>(
    recorders: impl Iterator<Item = &'a Recorder>,
    population: &Population,
    places: Option<&Places>,
) -> (Vec<StreamGap>, u64) {
    let mut gaps = Vec::new();
    for recorder in recorders {
        for (local, seat) in recorder.seats.iter().enumerate() {
            for sender in recorder.ledger.heard(local) {
                let missing = recorder.ledger.missing_copies(local, sender);
                if missing > 0 {
                    let ranges = ranges(recorder.ledger.missing(local, sender));
                    gaps.push(StreamGap {
                        sender: sender as u32,
                        socket: seat.socket,
                        node: population.id(seat.socket).node as usize,
                        reached: who_took(places, seat.socket),
                        missing,
                        truncated: ranges.len() > RANGES_MAX,
                        ranges: ranges.into_iter().take(RANGES_MAX).collect(),
                    });
                }
            }
        }
    }
    let total = gaps.len() as u64;
    gaps.sort_by_key(|gap| (std::cmp::Reverse(gap.missing), gap.socket, gap.sender));
    gaps.truncate(GAPS_MAX);
    (gaps, total)
}

/// Ascending numbers as inclusive ranges, one more than a report names.
fn ranges(numbers: impl Iterator<Item = u32>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut previous = None;
    for number in numbers.map(u64::from) {
        let follows = previous.is_some_and(|previous| previous + 1 == number);
        previous = Some(number);
        let named = ranges.len();
        match ranges.last_mut() {
            Some(range) if follows && range.1 + 1 == number => range.1 = number,
            // Inside a range that is not named any more.
            Some(_) if follows => {}
            // One more than a report names, so that it can say that there are more.
            _ if named <= RANGES_MAX => ranges.push((number, number)),
            _ => {}
        }
    }
    ranges
}
