//! What came back.
//!
//! Belongs here: everything between recognising a copy and showing a number. Does not: rings and
//! sockets (`engine`), formats (`report`). In the order that data moves:
//!
//! - [`connecting`]: how the sockets came to be there
//! - [`extensions`]: how they compress, where that was offered
//! - [`sessions`]: what they settled on with their nodes, where TLS lies between
//! - [`sent`]: when each message was handed over
//! - [`ledger`], [`correlate`]: which copies came
//! - [`credits`]: which push sockets heard themselves
//! - [`latencies`], [`bands`]: a histogram that knows its ends exactly, and a coarse one
//! - [`reordering`]: how far out of order they came
//! - [`recorder`]: one worker's record of a trial
//! - [`interval`], [`series`]: the trial second by second, while it runs
//! - [`effort`]: what a worker itself spent in each of these seconds, and how late it was
//! - [`messages`]: what is known of each message at the end
//! - [`tally`]: all workers' records become one
//! - [`late`]: what comes when its trial is over
//! - [`outcome`]: the result, plain data
//! - [`percentile`]: what may be said of it; how far to trust it is the `verdict`

pub mod bands;
pub mod connecting;
pub mod correlate;
pub mod credits;
pub mod effort;
pub mod extensions;
mod gaps;
pub mod interval;
pub mod late;
pub mod latencies;
mod layout;
pub mod ledger;
pub mod messages;
pub mod outcome;
pub mod percentile;
pub mod reached;
pub mod recorder;
pub mod reordering;
pub mod sent;
pub mod series;
pub mod sessions;
pub mod tally;
