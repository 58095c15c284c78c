//! The result of an invocation, as every report tells it and as a result file keeps it.
//!
//! Belongs here: the keys and their meaning, which are the published schema, comments included; every
//! unit is in its key, or in the key above. Does not: how a document is made of what was measured
//! (`build`), its bytes (`json`), what a report says of it (`story`).
//!
//! Measuring and presenting meet here and nowhere else: a report knows no plan and no histogram, so
//! that a result that was saved is presented as the run presented it. Within version 2 keys are added,
//! never removed or given another meaning.

mod build;
pub mod connecting;
mod course;
pub mod deflate;
pub mod failed;
pub mod figures;
pub mod histogram;
pub mod load;
mod missing;
pub mod reached;
pub mod search;
mod searched;
pub mod series;
mod summary;
mod times;
pub mod trial;
pub mod validate;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::connecting::{Connecting, Dialing};
pub use self::load::Load;
use self::search::Search;
use self::trial::{TrialResult, Trust};
use crate::report::sanitize::UntrustedText;

/// Name and version of the format.
pub const SCHEMA: &str = "fanstorm.result/2";

/// Result of one invocation of fanstorm.
///
/// Within version 2 keys may be added; none is removed or changes its meaning. Optional figures are
/// null when they are not known, never zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "fanstorm.result/2")]
pub struct Document {
    /// Name and version of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Who measured.
    pub tool: Tool,
    /// On which machine. Figures that a container hides are null.
    pub host: Host,
    /// What was to be run.
    pub plan: Plan,
    /// How sockets were to be connected; absent in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialing: Option<Dialing>,
    /// What connecting came to; absent in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connecting: Option<Connecting>,
    /// Trials that ran, in order.
    #[serde(rename = "trials")]
    pub trials: Vec<TrialResult>,
    /// Trials that did not run.
    pub skipped: Vec<Skipped>,
    /// A signal ended the invocation early.
    pub interrupted: bool,
    /// The same plan against a null cluster, where that was asked for: the generator's own floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// What was searched and found, where the trials are those of a search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// The most wanted figures without nesting, for continuous integration.
    pub summary: Summary,
}

/// The generator's own floor: the same load over the same sockets, run first against relays on
/// loopback that read nothing. Generator, loopback and relays are all in it, so it is an upper bound
/// of what the tool adds to a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Against what.
    pub cluster: UntrustedText,
    /// The relays had no CPU of their own, which makes the floor higher than it need be.
    pub shared_cores: bool,
    /// Its trials, by the same names as those of the result.
    #[serde(rename = "trials")]
    pub trials: Vec<TrialResult>,
    /// Why trials are missing or cut short; null if none is.
    pub failure: Option<UntrustedText>,
}

/// Who measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Always `fanstorm`.
    pub name: UntrustedText,
    /// Its version.
    pub version: UntrustedText,
    /// Its arguments.
    pub args: Vec<UntrustedText>,
    /// Seed of all that it draws; of upgrade and mask keys only where `--seed` is among the arguments.
    pub seed: u64,
    /// Wall-clock start, milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: u64,
}

/// The machine of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Kernel release.
    pub kernel: Option<UntrustedText>,
    /// CPU model.
    pub cpu_model: Option<UntrustedText>,
    /// CPUs that are online.
    pub cpus_online: Option<u64>,
    /// CPUs that the process may use.
    pub cpus_allowed: Option<Vec<u64>>,
    /// A hypervisor lies under it.
    pub virtual_machine: Option<bool>,
    /// Physical memory.
    pub memory_bytes: Option<u64>,
    /// CPUs' worth of time that the control group grants; null without a limit.
    pub cgroup_cpus: Option<f64>,
    /// Memory that the control group grants; null without a limit.
    pub cgroup_memory_bytes: Option<u64>,
    /// Clock source of the kernel.
    pub clocksource: Option<UntrustedText>,
    /// Frequency governor.
    pub governor: Option<UntrustedText>,
    /// Kind of container, as a guess.
    pub container: Option<UntrustedText>,
}

/// What was to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The trials, in order: what is measured, one after another.
    pub trials: Vec<PlannedTrial>,
    /// Where the nodes come from.
    pub cluster: UntrustedText,
    /// The nodes; other parts of the file name them by their index.
    pub nodes: Vec<Node>,
    /// Index of the node that takes every push.
    pub push_node: u64,
    /// What the cluster speaks inside frames.
    pub dialect: UntrustedText,
    /// Who hears a message: `all` sockets, all `others` than its sender, or its `own` sender alone.
    pub fan_out: FanOut,
    /// How often each message comes to a socket that hears it: a connection holds as many subscriptions.
    /// Absent where it is 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub subscriptions: u64,
    /// Push sockets; they are the sockets 0 to `push_sockets` - 1.
    pub push_sockets: u64,
    /// Receive sockets to each node.
    pub receivers_per_node: u64,
    /// CPUs with a worker each.
    pub cores: Vec<u64>,
    /// Why these; null in files that were written before it was said.
    #[serde(default)]
    pub placement: Option<UntrustedText>,
    /// CPUs of the embedded cluster; empty without one.
    #[serde(default)]
    pub cluster_cpus: Vec<u64>,
    /// What the workers asked the kernel through.
    pub engine: Engine,
    /// How the workers waited for copies while the clock ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Length of each message's text.
    pub payload_bytes: u64,
    /// A trial ends after so long without a copy.
    pub drain_s: f64,
    /// Limit of connecting, upgrading and opening a socket.
    pub connect_timeout_s: f64,
    /// Limit of the readiness probe.
    pub ready_timeout_s: f64,
    /// Largest message that is taken from a node.
    pub max_message_bytes: u64,
    /// Most fragments of one message; absent in files that were written before it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fragments: Option<u64>,
    /// Longest headers of an answer to the upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_header_bytes: Option<u64>,
    /// What is waited for and shown of the body of a refused upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// What the largest trial takes in memory at most.
    pub memory_bytes: u64,
}

const fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_one(count: &u64) -> bool {
    *count == 1
}

/// A trial that was to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTrial {
    /// Its name, another for each trial of the file: `m1000`, `m20000-r10000`. All else that is of a trial
    /// names it.
    pub id: UntrustedText,
    /// Its messages, those of a warm-up included.
    pub messages: u64,
    /// When they leave.
    pub load: Load,
}

/// What a worker asks the kernel through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Completions: fewest system calls.
    IoUring,
    /// Readiness, and a system call for each read and send.
    Epoll,
}

/// How a worker waits for copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Polls while copies follow each other, sleeps until the next one otherwise.
    Latency,
    /// Polls without pause.
    Spin,
    /// Sleeps until the next copy.
    Sleep,
    /// Sleeps until many are there or a moment has passed.
    Throughput,
}

/// Who hears a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FanOut {
    /// Every socket.
    All,
    /// Every socket but its sender.
    Others,
    /// Its sender alone.
    Own,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its WebSocket URL.
    pub url: UntrustedText,
}

/// A trial that did not run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// Its name.
    pub id: UntrustedText,
    /// Its messages.
    pub messages: u64,
    /// Why.
    pub reason: UntrustedText,
}

/// The most wanted figures.
///
/// Counts and `trust` are over all trials, so that a check of them misses none. Times and rates are
/// those of one trial, which `trial` names: the largest that delivered every copy, else the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Every planned trial ran and delivered every copy, once and unaltered, to nobody else.
    pub complete: bool,
    /// The worst of all trials; void if none ran.
    pub trust: Trust,
    /// Copies expected, over all trials that ran.
    pub expected: u64,
    /// Copies delivered, over all trials that ran.
    pub delivered: u64,
    /// Copies missing, over all trials that ran.
    pub missing: u64,
    /// Duplicates, over all trials that ran.
    pub duplicate: u64,
    /// Copies on sockets that must not hear them, over all trials that ran.
    #[serde(default)]
    pub misdelivered: u64,
    /// Copies that came when their trial was over, of all kinds, over all trials that ran.
    #[serde(default)]
    pub late: u64,
    /// Copies out of order, over all trials that ran.
    pub out_of_order: u64,
    /// Foreign messages, over all trials that ran.
    pub foreign: u64,
    /// Altered copies, over all trials that ran.
    pub corrupt: u64,
    /// Sockets lost, over all trials that ran.
    pub lost_sockets: u64,
    /// The trial of the figures below; null if none ran.
    pub trial: Option<UntrustedText>,
    /// Its messages.
    pub messages: Option<u64>,
    /// Its send time.
    pub send_s: Option<f64>,
    /// Its receive time.
    pub receive_s: Option<f64>,
    /// Its messages over its send time.
    pub sent_per_s: Option<f64>,
    /// Its delivered copies over its receive time.
    pub copies_per_s: Option<f64>,
    /// Median of its headline class; null with too few samples, as all percentiles.
    pub p50_ms: Option<f64>,
    /// 99th percentile of its headline class.
    pub p99_ms: Option<f64>,
    /// 99.9th percentile of its headline class.
    pub p99_9_ms: Option<f64>,
    /// Largest of its headline class.
    pub max_ms: Option<f64>,
    /// Median of its completion: everyone has a message.
    pub completion_p50_ms: Option<f64>,
    /// 99th percentile of its completion.
    pub completion_p99_ms: Option<f64>,
    /// CPU time of all its workers, without polling, over all their copies; null without copies.
    pub cpu_ns_per_copy: Option<f64>,
    /// CPU time of the whole process, polling included, over all its copies; null without copies.
    #[serde(default)]
    pub process_cpu_ns_per_copy: Option<f64>,
}
