//! fanstorm: an io_uring load generator for WebSocket fan-out clusters.
//!
//! The rooms, in the order that data moves through them (`tests/tidy` holds the direction):
//!
//! - [`units`]: nanoseconds, bytes, counts and rates; one table scans and prints them
//! - [`wire`]: RFC 6455 bytes, without I/O and without a clock
//! - [`dialect`]: what a given cluster says inside frames, and the tag that marks a message
//! - [`host`]: clock, CPUs and limits of the machine we run on
//! - [`audit`]: what of this host stands in the way of a plan, and the command that changes it
//! - [`tls`]: whom to trust as a client of TLS, and its errors in words
//! - [`notice`]: what was decided for the user, who should know of it
//! - [`load`]: when each message is due
//! - [`population`]: which nodes there are, and who must hear each message
//! - [`plan`]: what to run, valid by construction
//! - [`measure`]: ledger, recorder, tally, outcome
//! - [`verdict`]: how far a trial can be trusted: its caveats, and the calibration's baseline
//! - [`engine`]: frames, rings, sessions, the worker and the fleet
//! - [`experiment`]: which trial is next, and the calibration
//! - [`report`]: one file per output format
//! - [`cluster`]: the reference cluster, which shares no code with the client
//! - [`cli`]: clap, and nothing else knows it

pub mod audit;
pub mod cli;
pub mod cluster;
pub mod dialect;
pub mod engine;
pub mod experiment;
pub mod host;
pub mod load;
pub mod measure;
pub mod notice;
pub mod plan;
pub mod population;
pub mod report;
pub mod tls;
pub mod units;
pub mod verdict;
pub mod wire;
