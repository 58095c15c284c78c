//! The types of one trial in a result file; see `document`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::document::deflate::Deflate;
use crate::report::document::reached::ReachedNode;
use crate::report::document::series::{Interval, Reordering};
use crate::report::sanitize::UntrustedText;

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialResult {
    /// Its name in `plan.trials`.
    pub id: UntrustedText,
    /// Messages planned.
    pub messages: u64,
    /// Messages that the kernel took whole.
    pub sent: u64,
    /// The same of each push socket, whose first messages they are; absent where all were sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent_by_push_socket: Vec<u64>,
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
    /// What came of it when it was over.
    #[serde(default)]
    pub late: Late,
    /// Durations of the trial.
    pub time: Time,
    /// Counts over durations.
    pub throughput: Throughput,
    /// Latency by class, in microseconds, without what was due in a warm-up. Classes that do not exist
    /// in a mode are absent.
    pub latency_us: LatencyByClass,
    /// What `latency_us` was taken from, by the same classes: nanoseconds in HdrHistogram's V2
    /// encoding, deflated, in base64 (`HISTFAAA...`). Histograms of several results can be added, and
    /// any percentile read from the sum. Absent in files that were written before there were any.
    #[serde(default, skip_serializing_if = "HistogramByClass::is_empty")]
    pub latency_histograms: HistogramByClass,
    /// What was due in the warm-up; absent without one. `delivery` counts it, all latencies outside
    /// of this are without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<WarmUp>,
    /// The trial second by second; absent where it was over within one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Interval>,
    /// How far out of order copies came; absent where every stream kept its order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reordering: Option<Reordering>,
    /// Latencies too large for their histogram, over all classes. If not 0, high percentiles are too
    /// low; maxima are not.
    pub saturated: u64,
    /// Copies and latency by receiving node.
    pub matrix: Vec<MatrixCell>,
    /// Streams with missing copies, most missing first; see `gaps_total`.
    pub gaps: Vec<Gap>,
    /// Number of streams with missing copies; `gaps` may hold fewer.
    pub gaps_total: u64,
    /// Sockets lost during the trial, or after it and before the next.
    pub lost_sockets: Vec<LostSocket>,
    /// Sockets that had been lost before and were connected again for this trial; absent where none was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reconnected_sockets: u64,
    /// Frames received by opcode.
    pub opcodes: Opcodes,
    /// Messages that were compressed; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deflate: Option<Deflate>,
    /// What measuring cost.
    pub generator: Generator,
    /// How far to trust the trial.
    pub verdict: Verdict,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a trial ended.
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
/// `seen = delivered + duplicate + misdelivered + foreign + corrupt`.
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
    /// Copies on sockets that must not hear their sender, as `plan.fan_out` has it.
    #[serde(default)]
    pub misdelivered: u64,
    /// Copies of the probe and of earlier trials that came in this one: each is in the account of its own
    /// trial and in none of the counts here.
    #[serde(default)]
    pub earlier: u64,
    /// Delivered copies that came after a later one of their stream (RFC 4737, section 3).
    pub out_of_order: u64,
    /// Messages of others than this run.
    pub foreign: u64,
    /// Copies that were altered.
    pub corrupt: u64,
    /// Everything that arrived of this trial, when it was over too, and everything that is nobody's.
    pub seen: u64,
}

/// Copies of a trial that came when it was over: within a later trial, or between two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Late {
    /// Of the missing copies those that came after all.
    pub copies: u64,
    /// Of the duplicates those that came when the trial was over.
    pub duplicates: u64,
    /// Of the misdelivered copies those that came when the trial was over.
    pub misdelivered: u64,
    /// How long after the end of the trial the last of them came; 0 of none.
    pub up_to_s: f64,
}

/// Durations of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Time {
    /// First submission to the completion of the last send; null where nothing was sent.
    pub send_s: Option<f64>,
    /// First submission to the last copy; null where nothing came.
    pub receive_s: Option<f64>,
}

/// Counts over durations. In mode `rate` the durations are longer by the mean interval between two
/// messages, as n messages of a schedule span n - 1 intervals; of one message alone all are null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Throughput {
    /// Messages over the send time; null where nothing was sent.
    pub sent_per_s: Option<f64>,
    /// Mode `rate`: messages that were due in a second, from the first to the last; `plan.trials[].load.rate_per_s` but
    /// for the chance of arrivals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_per_s: Option<f64>,
    /// Delivered copies over the receive time; null where nothing came.
    pub copies_per_s: Option<f64>,
}

/// What was due before measuring began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WarmUp {
    /// How long it was.
    pub duration_s: f64,
    /// Messages due in it.
    pub messages: u64,
    /// Copies of them that must come.
    pub expected: u64,
    /// Copies of them that came.
    pub copies: u64,
    /// Latency by class, in microseconds.
    pub latency_us: LatencyByClass,
    /// What it was taken from, as of the trial.
    #[serde(default, skip_serializing_if = "HistogramByClass::is_empty")]
    pub latency_histograms: HistogramByClass,
    /// How late the generator turned to each of its messages.
    pub schedule_lag_us: Latency,
    /// Its values above the top of a histogram: they are in none, and no part of the trial's `saturated`.
    #[serde(default)]
    pub saturated: u64,
}

/// A latency class.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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

/// Latency by class. Only in mode `rate` do messages have due times: in the others `response` and
/// `wait` are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyByClass {
    /// From the send to each copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Latency>,
    /// From the due time to each copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Latency>,
    /// From the due time to the send: lateness of our own, and waits for a socket that takes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Latency>,
    /// From the send, or the due time where there is one, to the last of a message's copies; of
    /// messages of which every copy came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<Latency>,
    /// From the first copy of a message to its last; of messages of which every copy came. A figure is
    /// null where it is 0, as all of a message's copies were found and stamped at once, or below
    /// `generator.stamp_resolution_us`. Absent where a message has one copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Latency>,
}

/// Histograms by class, as text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistogramByClass {
    /// From the send to each copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// From the due time to each copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// From the due time to the send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// To the last of a message's copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<String>,
    /// From the first copy of a message to its last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<String>,
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

/// Copies from the push node as one receiving node delivered them; its latencies are without the
/// warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixCell {
    /// Index of the push node.
    pub from: u64,
    /// Index of the receiving node. Where a header names the nodes behind its address (`--node-header`), there
    /// is a cell for each of those.
    pub to: u64,
    /// Who took the sockets of this cell, those that were there in this trial; absent without `--node-header`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<ReachedNode>,
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
    /// Who took it behind that node's address; absent without `--node-header`, and where the answer did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<UntrustedText>,
    /// Copies missing.
    pub missing: u64,
    /// Inclusive ranges of numbers within the push socket's own messages: message `i` of the trial is
    /// number `i / push_sockets` of push socket `i % push_sockets`.
    pub ranges: Vec<[u64; 2]>,
    /// There are more ranges than `ranges` holds.
    pub truncated: bool,
}

/// A socket lost during a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LostSocket {
    /// The socket: push sockets first.
    pub socket: u64,
    /// Index of its node.
    pub node: u64,
    /// Who had taken it behind that node's address; absent without `--node-header`, and where the answer did not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<UntrustedText>,
    /// Since the start of the trial.
    pub at_s: f64,
    /// How long nothing had come or left on it; null where it had not been open.
    #[serde(default)]
    pub idle_s: Option<f64>,
    /// Close code that the node sent.
    pub close_code: Option<u16>,
    /// Close code that we sent, where the node broke the protocol.
    pub our_close_code: Option<u16>,
    /// One clause.
    pub reason: UntrustedText,
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
    /// Mode `rate`: how late the generator turned to each message that was due. Unlike `wait` it does
    /// not grow when a cluster that reads nothing blocks its socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_lag_us: Option<Latency>,
    /// How late copies were stamped, by a sample of reads (one socket in 16, at most 8 of a worker):
    /// from the kernel's receive timestamp of the last byte of a read to our stamp. It is part of every
    /// latency. Absent where the kernel does not tell (`epoll`, before Linux 6.7), and
    /// where the wall clock, by which it stamps, was set during the trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp_lateness_us: Option<Latency>,
    /// Wait `throughput`: copies that come within this time gather and are stamped together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp_resolution_us: Option<f64>,
    /// CPU time of the whole process during the trial (its measured part): all threads, polling, and the
    /// quiet time after the last copy. Absent in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_cpu_s: Option<f64>,
    /// The same over copies; null without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_cpu_ns_per_copy: Option<f64>,
}

/// What a worker's core did during a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Core {
    /// Number of the CPU.
    pub cpu: u64,
    /// Sockets of the worker.
    pub sockets: u64,
    /// Copies seen by the worker.
    pub copies: u64,
    /// CPU time without `spun_s`, over wall time, 0 to 1.
    pub busy: f64,
    /// CPU time of the worker's thread.
    pub cpu_s: f64,
    /// Part of it that was spent polling for a due time, with nothing to do.
    pub spun_s: f64,
    /// Wall time of the trial.
    pub wall_s: f64,
    /// CPU time without `spun_s`, over copies; null without copies.
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

/// How far to trust a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The worst severity of the caveats, or ok.
    pub trust: Trust,
    /// Reasons, worst first.
    pub caveats: Vec<Caveat>,
}

/// Whether times describe the cluster or the generator.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The cluster.
    Ok,
    /// The cluster, with the caveats named.
    Degraded,
    /// The generator: do not use them.
    #[default]
    Void,
}

/// A reason not to trust a trial as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Caveat {
    /// Stable name.
    pub code: UntrustedText,
    /// How bad it is.
    pub severity: Trust,
    /// What happened, with its figures.
    pub text: UntrustedText,
    /// What to do about it.
    pub remedy: UntrustedText,
}
