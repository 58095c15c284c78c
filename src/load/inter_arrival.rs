//! How messages are spread around the rate of an open loop.
//!
//! Belongs here: the laws of arrivals, in mean gaps, whatever the rate. Does not: the rate (a shape of
//! `profile`), the times laid out (`schedule`).

/// How the messages of a rate are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterArrival {
    /// At even distances.
    Constant,
    /// At exponential distances, as many independent users make them.
    Poisson {
        /// Of the generator.
        seed: u64,
    },
}

/// Where the messages of Poisson arrivals lie, in mean gaps from the start: a shape turns them into times.
///
/// The sum is kept in mean gaps, not in nanoseconds, and rounded only for the table: its error stays
/// below a millionth of a gap for every number of messages that a trial may have.
pub(super) fn poisson(seed: u64) -> impl Iterator<Item = f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut sum = 0.0;
    std::iter::repeat_with(move || {
        // 1 - u is never 0, of which there is no logarithm.
        sum -= (1.0 - rng.f64()).ln();
        sum
    })
}
