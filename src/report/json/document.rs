//! The types of a result file. What is written here is its published schema, comments included.
//!
//! Belongs here: keys and their meaning; every unit is in its key, or in the key above. Does not:
//! how values come about (`build`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name and version of the format.
pub const SCHEMA: &str = "fanstorm.result/1";

/// Result of one invocation of fanstorm.
///
/// Within version 1 keys may be added; none is removed or changes its meaning. Optional figures are
/// null when they are not known, never zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "fanstorm.result/1")]
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
    /// Rows that ran, in order: one per number of messages.
    pub runs: Vec<Run>,
    /// Rows that did not run.
    pub skipped: Vec<Skipped>,
    /// A signal ended the invocation early.
    pub interrupted: bool,
    /// The most wanted figures without nesting, for continuous integration.
    pub summary: Summary,
}

/// Who measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Always `fanstorm`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Seed of everything random on its side.
    pub seed: u64,
    /// Wall-clock start, milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: u64,
}

/// The machine of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Kernel release.
    pub kernel: Option<String>,
    /// CPU model.
    pub cpu_model: Option<String>,
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
    pub clocksource: Option<String>,
    /// Frequency governor.
    pub governor: Option<String>,
    /// Kind of container, as a guess.
    pub container: Option<String>,
}

/// What was to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Shape of the load. `burst`: all messages as fast as the sockets take them.
    pub mode: Mode,
    /// The class that heads the report: `service` in burst, where no message has a due time.
    pub headline_latency: LatencyClass,
    /// Where the nodes come from.
    pub cluster: String,
    /// The nodes; other parts of the file name them by their index.
    pub nodes: Vec<Node>,
    /// Index of the node that takes every push.
    pub push_node: u64,
    /// What the cluster speaks inside frames.
    pub dialect: String,
    /// Who hears a message: `all` sockets, all `others` than its sender, or its `own` sender alone.
    pub fan_out: FanOut,
    /// Push sockets; they are the sockets 0 to `push_sockets` - 1.
    pub push_sockets: u64,
    /// Receive sockets to each node.
    pub receivers_per_node: u64,
    /// CPUs with a worker each.
    pub cores: Vec<u64>,
    /// The rows.
    pub messages: Vec<u64>,
    /// Length of each message's text.
    pub payload_bytes: u64,
    /// A row ends after so long without a copy.
    pub drain_s: f64,
    /// Limit of connecting, upgrading and opening a socket.
    pub connect_timeout_s: f64,
    /// Limit of the readiness probe.
    pub ready_timeout_s: f64,
    /// Largest message that is taken from a node.
    pub max_message_bytes: u64,
    /// What the largest row takes in memory at most.
    pub memory_bytes: u64,
}

/// Shape of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All messages as fast as the sockets take them.
    Burst,
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
    pub url: String,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Messages planned.
    pub messages: u64,
    /// Messages that the kernel took whole.
    pub sent: u64,
    /// Push sockets.
    pub push_sockets: u64,
    /// Receive sockets.
    pub receive_sockets: u64,
    /// Nodes.
    pub nodes: u64,
    /// How it ended.
    pub ending: Ending,
    /// Where every copy went.
    pub delivery: Delivery,
    /// Durations of the row.
    pub time: Time,
    /// Counts over durations.
    pub throughput: Throughput,
    /// Latency by class, in microseconds. Classes that do not exist in a mode are absent.
    pub latency_us: LatencyByClass,
    /// Latencies too large for their histogram, over all classes. If not 0, maxima and high
    /// percentiles are too low.
    pub saturated: u64,
    /// Copies and latency by receiving node.
    pub matrix: Vec<MatrixCell>,
    /// Streams with missing copies, most missing first; see `gaps_total`.
    pub gaps: Vec<Gap>,
    /// Number of streams with missing copies; `gaps` may hold fewer.
    pub gaps_total: u64,
    /// Sockets lost during the row.
    pub lost_sockets: Vec<LostSocket>,
    /// Frames received by opcode.
    pub opcodes: Opcodes,
    /// What measuring cost.
    pub generator: Generator,
    /// How far to trust the row.
    pub verdict: Verdict,
}

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All copies came.
    Complete,
    /// No copy came for the drain time.
    Drained,
    /// Sockets were lost, and the others have all that could still come.
    SocketsLost,
    /// A signal.
    Interrupted,
}

/// Where every copy went: `expected = delivered + missing`, and
/// `seen = delivered + duplicate + foreign + corrupt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// Copies that must come.
    pub expected: u64,
    /// Expected copies that came, each counted once.
    pub delivered: u64,
    /// Expected copies that did not come.
    pub missing: u64,
    /// Further arrivals of a delivered copy.
    pub duplicate: u64,
    /// Delivered copies that came after a later one of their stream (RFC 4737, section 3).
    pub out_of_order: u64,
    /// Messages of others than this run.
    pub foreign: u64,
    /// Copies that were altered.
    pub corrupt: u64,
    /// Everything that arrived.
    pub seen: u64,
}

/// Durations of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Time {
    /// First submission to the completion of the last send.
    pub send_s: f64,
    /// First submission to the last copy.
    pub receive_s: f64,
}

/// Counts over durations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Throughput {
    /// Messages over the send time.
    pub sent_per_s: f64,
    /// Delivered copies over the receive time.
    pub copies_per_s: f64,
}

/// A latency class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LatencyClass {
    /// Send to copy.
    Service,
    /// Due time to copy.
    Response,
    /// Due time to send.
    Wait,
    /// Send or due time to the last of a message's copies.
    Completion,
    /// First copy of a message to its last.
    Spread,
}

/// Latency by class. In a burst no message has a due time: `response` and `wait` are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyByClass {
    /// From the send to each copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Latency>,
    /// From the due time to each copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Latency>,
    /// From the due time to the send: lateness of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Latency>,
    /// From the send, or the due time where there is one, to the last of a message's copies; of
    /// messages of which every copy came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<Latency>,
    /// From the first copy of a message to its last; of messages of which every copy came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Latency>,
}

/// A latency distribution, from a histogram with three significant digits. A percentile with fewer
/// than ten samples beyond it is null; `min`, `mean` and `max` are null without samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Samples.
    pub count: u64,
    /// Smallest.
    pub min: Option<f64>,
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Median; null below 20 samples.
    pub p50: Option<f64>,
    /// 90th percentile; null below 100 samples.
    pub p90: Option<f64>,
    /// 99th percentile; null below 1000 samples.
    pub p99: Option<f64>,
    /// 99.9th percentile; null below 10 000 samples.
    pub p99_9: Option<f64>,
    /// 99.99th percentile; null below 100 000 samples.
    pub p99_99: Option<f64>,
    /// Largest.
    pub max: Option<f64>,
}

/// Copies from the push node as one receiving node delivered them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixCell {
    /// Index of the push node.
    pub from: u64,
    /// Index of the receiving node.
    pub to: u64,
    /// Copies expected over the node's sockets.
    pub expected: u64,
    /// Copies delivered over them.
    pub copies: u64,
    /// Copies missing on them.
    pub missing: u64,
    /// Median of the headline class; null below 20 samples.
    pub p50_us: Option<f64>,
    /// 99th percentile of the headline class; null below 1000 samples.
    pub p99_us: Option<f64>,
    /// Largest of the headline class; null without samples.
    pub max_us: Option<f64>,
}

/// What is missing of one push socket's messages on one of our sockets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The push socket.
    pub sender: u64,
    /// The socket on which copies are missing: push sockets first.
    pub socket: u64,
    /// Index of its node.
    pub node: u64,
    /// Copies missing.
    pub missing: u64,
    /// Inclusive ranges of numbers within the push socket's own messages: message `i` of the row is
    /// number `i / push_sockets` of push socket `i % push_sockets`.
    pub ranges: Vec<[u64; 2]>,
    /// There are more ranges than `ranges` holds.
    pub truncated: bool,
}

/// A socket lost during a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LostSocket {
    /// The socket: push sockets first.
    pub socket: u64,
    /// Index of its node.
    pub node: u64,
    /// Since the start of the row.
    pub at_s: f64,
    /// Close code that the node sent.
    pub close_code: Option<u16>,
    /// Close code that we sent, where the node broke the protocol.
    pub our_close_code: Option<u16>,
    /// One clause.
    pub reason: String,
}

/// Frames received by opcode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Opcodes {
    /// First frames of text messages.
    pub text: u64,
    /// First frames of binary messages.
    pub binary: u64,
    /// Continuations.
    pub continuation: u64,
    /// Pings; each was answered.
    pub ping: u64,
    /// Pongs.
    pub pong: u64,
    /// Closes.
    pub close: u64,
}

/// What measuring cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Each core with a worker.
    pub cores: Vec<Core>,
}

/// What a worker's core did during a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Core {
    /// Number of the CPU.
    pub cpu: u64,
    /// Sockets of the worker.
    pub sockets: u64,
    /// Copies seen by the worker.
    pub copies: u64,
    /// CPU time over wall time, 0 to 1.
    pub busy: f64,
    /// CPU time of the worker's thread.
    pub cpu_s: f64,
    /// Wall time of the row.
    pub wall_s: f64,
    /// CPU time over copies; null without copies.
    pub cpu_ns_per_copy: Option<f64>,
    /// Completions that found the queue full.
    pub cq_overflow: u64,
    /// Receives that ended because all buffers were taken.
    pub enobufs: u64,
    /// Sends that had to be continued.
    pub short_sends: u64,
    /// Completions for sockets that were gone.
    pub stale: u64,
    /// Calls into the kernel to submit and wait.
    pub enters: u64,
    /// Receive completions.
    pub reads: u64,
    /// Longest time between two waits: the bound of how late a stamp may be.
    pub longest_turn_us: f64,
}

/// How far to trust a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The worst severity of the caveats, or ok.
    pub trust: Trust,
    /// Reasons, worst first.
    pub caveats: Vec<Caveat>,
}

/// Whether times describe the cluster or the generator.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The cluster.
    Ok,
    /// The cluster, with the caveats named.
    Degraded,
    /// The generator: do not use them.
    Void,
}

/// A reason not to trust a row as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Caveat {
    /// Stable name.
    pub code: String,
    /// How bad it is.
    pub severity: Trust,
    /// What happened, with its figures.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
}

/// A row that did not run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// Its messages.
    pub messages: u64,
    /// Why.
    pub reason: String,
}

/// The most wanted figures.
///
/// Counts and `trust` are over all rows, so that a check of them misses none. Times and rates are
/// those of one row, which `messages` names: the largest that delivered every copy, else the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Every planned row ran and delivered every copy, once and unaltered.
    pub complete: bool,
    /// The worst of all rows; void if none ran.
    pub trust: Trust,
    /// Copies expected, over all rows that ran.
    pub expected: u64,
    /// Copies delivered, over all rows that ran.
    pub delivered: u64,
    /// Copies missing, over all rows that ran.
    pub missing: u64,
    /// Duplicates, over all rows that ran.
    pub duplicate: u64,
    /// Copies out of order, over all rows that ran.
    pub out_of_order: u64,
    /// Foreign messages, over all rows that ran.
    pub foreign: u64,
    /// Altered copies, over all rows that ran.
    pub corrupt: u64,
    /// Sockets lost, over all rows that ran.
    pub lost_sockets: u64,
    /// The row of the figures below; null if none ran.
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
    /// CPU time of all its workers over all their copies; null without copies.
    pub cpu_ns_per_copy: Option<f64>,
}
