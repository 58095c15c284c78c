//! Flags that cannot stand together.
//!
//! Belongs here: the words for it, one line that names the flags. Does not: noticing it (`args`).

use std::num::NonZeroU16;

use crate::cli::dialect_args::DialectError;
use crate::cli::upgrade_args::UpgradeFlagError;
use crate::units::Nanos;

/// Flags that exclude each other. Each is one line that names them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagConflict {
    /// A flag of the upgrade.
    #[error(transparent)]
    Upgrade(#[from] UpgradeFlagError),
    /// Two sources of nodes.
    #[error("--discovery and --node: either a discovery names the nodes or you do")]
    TwoSources,
    /// A flag of the embedded cluster beside another cluster.
    #[error(
        "{embedded} and {outside}: {embedded} is for the embedded cluster, which does not run \
         when {outside} names another"
    )]
    NotEmbedded {
        /// The flag of the embedded cluster.
        embedded: &'static str,
        /// The flag that names another.
        outside: &'static str,
    },
    /// Two shapes of load.
    #[error(
        "--rate and --in-flight: either messages leave when they are due (open loop) or when \
         others have come back (closed loop)"
    )]
    TwoLoops,
    /// A flag of the schedule without one.
    #[error("{0} without --rate: only a schedule has one; say how many messages a second")]
    NoSchedule(&'static str),
    /// A range where one rate is wanted.
    #[error(
        "--rate {0}: a run has one rate; `fanstorm search` looks for the largest in a range that holds"
    )]
    RangeOfRates(String),
    /// A search of nothing.
    #[error("search without --rate: say between which rates, like --rate 1k..200k")]
    SearchWithoutRates,
    /// A rate at which nothing is sent.
    #[error("--rate {0}: nothing would ever be due at a rate of 0; let it begin above that")]
    SearchFromZero(String),
    /// A flag that a search has no use for.
    #[error("{flag} in a search: {why}")]
    NotOfASearch {
        /// The flag.
        flag: &'static str,
        /// What to do instead.
        why: &'static str,
    },
    /// A goal that no trial could reach.
    #[error("--duration-sum {sum} is less than --duration {duration}, the length of one trial")]
    SumBelowTrial {
        /// `--duration-sum`.
        sum: Nanos,
        /// `--duration`.
        duration: Nanos,
    },
    /// Two numbers of messages.
    #[error("--duration and --messages: with --rate, either says how many messages there are")]
    TwoAmounts,
    /// TLS without a node that speaks it.
    #[error(
        "{0} without TLS: no node is wss:// and no discovery https://, so that it would change nothing"
    )]
    NoTls(&'static str),
    /// `--node-scheme` where nothing lists nodes without their scheme.
    #[error(
        "--node-scheme without --discovery: the URL of a --node has its scheme, ws:// or wss://"
    )]
    SchemeWithoutDiscovery,
    /// `--insecure --cacert`.
    #[error("--insecure and --cacert: either these certificates are trusted or any is")]
    TrustsAnybody,
    /// `--cert` without `--key`, or the reverse.
    #[error("{0} without {1}: a certificate is shown by whoever has its key, and both are needed")]
    HalfAnIdentity(&'static str, &'static str),
    /// Nothing is due in no time.
    #[error("--duration must be longer than 0")]
    ZeroDuration,
    /// A log of nothing.
    #[error("--fault-log without --fault: there is nothing to write down")]
    LogWithoutFault,
    /// `fanstorm dialect try` without a node.
    #[error("dialect try: with --node, as ws://HOST:PORT/PATH, name the node to try it on")]
    NothingToTry,
    /// There is no such dialect.
    #[error(transparent)]
    Dialect(#[from] DialectError),
    /// The embedded cluster reads JSON.
    #[error(
        "--dialect {0} and the embedded cluster: its nodes take only dsatter's JSON; add --relay, \
         or name your server with --node"
    )]
    DialectWithoutRelay(String),
    /// The embedded cluster answers nothing but messages.
    #[error(
        "--dialect {0} and the embedded cluster: its nodes know nothing of the dialect's opening; name \
         your server with --node"
    )]
    EmbeddedOpening(String),
    /// The embedded cluster passes each message on once.
    #[error(
        "a dialect with subscriptions = {0} and the embedded cluster: its nodes send each message \
         once to each of their clients; name your server with --node"
    )]
    EmbeddedSubscriptions(NonZeroU16),
    /// The embedded cluster sends to everybody.
    #[error(
        "--fan-out {0} and the embedded cluster: its nodes send every message to all of their \
         clients; name your server with --node"
    )]
    EmbeddedFanOut(&'static str),
    /// The ports of the embedded cluster are not known before it runs.
    #[error(
        "--push-node {0} and the embedded cluster: its ports are not known before it runs; give \
         the place of the node, counted from 0"
    )]
    EmbeddedPushUrl(String),
    /// `--push-node 3 --nodes 3`.
    #[error("--push-node {index} and --nodes {nodes}: the nodes are numbered from 0")]
    EmbeddedPushIndex {
        /// As asked.
        index: usize,
        /// Size of the embedded cluster.
        nodes: u16,
    },
}
