//! What was measured, merged over all cores: plain data, final.
//!
//! Belongs here: the types that `report` renders. Does not: how they were recorded (`tally`).

use super::effort::Effort;
use super::late::Late;
use super::latencies::Latencies;
use super::reached::Reached;
use super::reordering::Reordering;
use crate::load::trial::TrialId;
#[cfg(test)]
use crate::load::{profile::Burst, trial::Trial};
use crate::units::Nanos;
use crate::wire::deflate::DeflateCounts;

/// Where missing and foreign may be the same: copies came by an id in place of the text, and every copy
/// that had the text was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untaught {
    /// Copies by ids that no text has taught; foreign in the account.
    pub copies: u64,
    /// Messages that were sent and of which no copy is known to have come anywhere: such ids may be theirs.
    pub messages: u64,
}

/// A latency class, as the design defines it. A class that has no meaning in a mode is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Sent to copy.
    Service,
    /// Intended to copy (open loop only).
    Response,
    /// Sent minus intended (open loop only).
    Wait,
    /// Sent (or intended) to the last of a message's copies.
    Completion,
    /// First copy of a message to its last.
    Spread,
}

impl Class {
    /// The key in result files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Response => "response",
            Self::Wait => "wait",
            Self::Completion => "completion",
            Self::Spread => "spread",
        }
    }
}

/// Where every copy went. `expected = delivered + missing` and
/// `seen = delivered + duplicate + misdelivered + foreign + corrupt`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// `m * (s + r)`.
    pub expected: u64,
    /// Expected copies that came, each counted once.
    pub delivered: u64,
    /// Expected copies that did not come.
    pub missing: u64,
    /// Further arrivals of a copy that had come.
    pub duplicate: u64,
    /// Copies on sockets that must not hear their sender (`--fan-out`).
    pub misdelivered: u64,
    /// Delivered copies that came after a later one of their stream (RFC 4737, section 3).
    pub out_of_order: u64,
    /// Application messages without a tag of this run.
    pub foreign: u64,
    /// Copies of the probe and of earlier trials: each is in the account of its own trial and in none of
    /// the counts here.
    pub earlier: u64,
    /// Copies whose tag or text was altered.
    pub corrupt: u64,
    /// Everything of this trial that arrived, when it was over too, and everything that is nobody's.
    pub seen: u64,
}

/// Missing sequence numbers of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamGap {
    /// Push socket, counted from 0 over the run.
    pub sender: u32,
    /// Our socket, counted from 0 over the run: push sockets first.
    pub socket: u32,
    /// Index of the socket's node.
    pub node: usize,
    /// Who took the socket behind that node's address, where a header named it.
    pub reached: Option<String>,
    /// How many are missing.
    pub missing: u64,
    /// Inclusive ranges of sequence numbers within the sender's stream (message `i` of the trial is
    /// number `i / push_sockets` of sender `i % push_sockets`), first ones only when `truncated`.
    pub ranges: Vec<(u64, u64)>,
    /// More ranges exist than `ranges` holds.
    pub truncated: bool,
}

/// Why a socket was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSocket {
    /// Our socket, counted from 0: push sockets first.
    pub socket: u32,
    /// Index of its node.
    pub node: usize,
    /// Who took it behind that node's address, where a header named it.
    pub reached: Option<String>,
    /// Time since the start of the trial.
    pub at: Nanos,
    /// How long nothing had come or left on it; none where it had not been open.
    pub idle: Option<Nanos>,
    /// Close code that the node sent, if it sent one.
    pub close_code: Option<u16>,
    /// Close code that we sent, if the node broke the protocol.
    pub our_close_code: Option<u16>,
    /// One clause: "closed by the node: 1001 going away", "reset by the node", ...
    pub reason: String,
}

/// Frames received by opcode, control frames included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opcodes {
    /// Text frames (first frame of a message).
    pub text: u64,
    /// Binary frames (first frame of a message).
    pub binary: u64,
    /// Continuation frames.
    pub continuation: u64,
    /// Pings; each was answered.
    pub ping: u64,
    /// Pongs.
    pub pong: u64,
    /// Closes.
    pub close: u64,
}

/// Copies from the push node as one receiving node delivered them.
#[derive(Clone, Debug)]
pub struct MatrixCell {
    /// Index of the push node.
    pub from: usize,
    /// Index of the receiving node.
    pub to: usize,
    /// Which of the sockets to it, where a header names who took them: a node has a cell for each name.
    pub reached: Option<Reached>,
    /// Copies expected over the node's sockets.
    pub expected: u64,
    /// Copies delivered over the node's sockets.
    pub delivered: u64,
    /// Their latency (service or response, as the mode leads with).
    pub latency_ns: Latencies,
}

/// What one worker's core did.
#[derive(Clone, Debug, Default)]
pub struct CoreUse {
    /// CPU number.
    pub cpu: usize,
    /// Sockets of this worker.
    pub sockets: u64,
    /// Copies seen by this worker.
    pub copies: u64,
    /// Thread CPU time between start and end of the trial.
    pub cpu_time: Nanos,
    /// Part of it that was spent polling for a deadline, with nothing to do.
    pub spun: Nanos,
    /// Wall time between start and end of the trial.
    pub wall: Nanos,
    /// Completions that the kernel had to keep aside because the queue was full.
    pub cq_overflow: u64,
    /// Times a receive ended because all buffers were taken.
    pub enobufs: u64,
    /// Times a partial send had to be continued.
    pub short_sends: u64,
    /// Completions for sockets that were gone.
    pub stale: u64,
    /// Calls into the kernel to submit and wait.
    pub enters: u64,
    /// Receive completions.
    pub reads: u64,
    /// Longest time between two waits: our own work on one batch.
    pub longest_turn: Nanos,
}

impl CoreUse {
    /// CPU time that was work: polling for a deadline would give way to work at once.
    pub fn work(&self) -> Nanos {
        self.cpu_time.since(self.spun)
    }

    /// Working time over wall time, 0 to 1.
    pub fn busy(&self) -> f64 {
        if self.wall.0 == 0 { 0.0 } else { self.work().0 as f64 / self.wall.0 as f64 }
    }

    /// Working nanoseconds for each copy; 0 without copies.
    pub fn cpu_ns_per_copy(&self) -> f64 {
        if self.copies == 0 { 0.0 } else { self.work().0 as f64 / self.copies as f64 }
    }
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All copies came.
    Complete,
    /// No progress for the drain time.
    Drained,
    /// Sockets were lost, and the others have everything that could still come.
    SocketsLost,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// A stretch of a trial, a second long but where the warm-up or the trial ended, or where the collector
/// was late. Copies count when they came, those that waited for their id when it was learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// Since the start of the trial.
    pub start: Nanos,
    /// How long.
    pub length: Nanos,
    /// What it counts was due in the warm-up. Late copies of the warm-up have an interval of their own
    /// beside the measured one.
    pub warmup: bool,
    /// Messages that the kernel took.
    pub sent: u64,
    /// Copies that came.
    pub copies: u64,
    /// Copies that came to sockets that must not hear them.
    pub misdelivered: u64,
    /// Copies of messages due by its end (without a schedule: sent by then) that had not come.
    pub missing_so_far: u64,
    /// Median of the headline class.
    pub p50: Option<Nanos>,
    /// Its 99th percentile.
    pub p99: Option<Nanos>,
    /// Its maximum.
    pub max: Option<Nanos>,
    /// Its copies by [band](super::bands) of latency, those that hold any.
    pub bands: Vec<(u8, u64)>,
    /// What all workers spent in it.
    pub effort: Effort,
    /// The share of its time that the busiest of them worked, 0 to 1; none where none looked up in it.
    pub busiest: Option<f64>,
    /// Histograms of all classes, where the plan keeps them.
    pub tracks: Vec<Track>,
}

impl Interval {
    /// So many of something as a rate; 0 in no time.
    pub fn per_s(&self, count: u64) -> f64 {
        per_second(count, self.length)
    }
}

/// One class in one interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// What it times.
    pub class: Class,
    /// Its place in the matrix, where it is one node's.
    pub to: Option<usize>,
    /// Nanoseconds, in the V2 encoding of `HdrHistogram`.
    pub v2: Box<[u8]>,
}

/// What was due before measuring began: sent and accounted for as all else, its times kept apart.
#[derive(Clone, Debug)]
pub struct WarmUp {
    /// How long.
    pub duration: Nanos,
    /// Messages due in it.
    pub messages: u64,
    /// Their copies that must come.
    pub expected: u64,
    /// Those that came.
    pub delivered: u64,
    /// Histograms of nanoseconds, headline class first.
    pub latency_ns: Vec<(Class, Latencies)>,
    /// Schedule lag.
    pub lag_ns: Latencies,
}

/// One trial: one number of messages.
#[derive(Clone, Debug)]
pub struct TrialOutcome {
    /// Which trial.
    pub id: TrialId,
    /// Messages planned.
    pub messages: u64,
    /// Messages that the kernel took whole.
    pub sent: u64,
    /// The same of each push socket, whose first ones they are; empty where all were sent.
    pub sent_each: Vec<u64>,
    /// Push sockets.
    pub push_sockets: u64,
    /// Receive sockets.
    pub receive_sockets: u64,
    /// Nodes.
    pub nodes: usize,
    /// The account.
    pub delivery: Delivery,
    /// What came of it when it was over.
    pub late: Late,
    /// First submission to last send completion; `None` where nothing was sent.
    pub send_time: Option<Nanos>,
    /// First submission to last copy; `None` where nothing came.
    pub receive_time: Option<Nanos>,
    /// Messages a second that the schedule made due (open loop only), from the first to the last.
    pub scheduled_per_s: Option<f64>,
    /// Wall-clock start, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Histograms of nanoseconds, headline class first; without the warm-up.
    pub latency_ns: Vec<(Class, Latencies)>,
    /// The warm-up, where there is one.
    pub warmup: Option<WarmUp>,
    /// The trial interval by interval, in order of time.
    pub intervals: Vec<Interval>,
    /// How far out of order copies came.
    pub reordering: Reordering,
    /// Schedule lag (open loop only): how late *we* were in turning to each message that was due.
    /// Unlike the wait it does not grow when a cluster that reads nothing blocks its socket.
    pub lag_ns: Option<Latencies>,
    /// How late copies were stamped: from their arrival in this host's network stack, by a sample of
    /// reads. It is in every latency. Absent where the kernel does not tell.
    pub stamps_ns: Option<Latencies>,
    /// The wall clock was set during the trial: the kernel stamps arrivals by it, so `stamps_ns` is not told.
    pub clock_was_set: bool,
    /// Copies that come closer together may have one stamp: a shorter spread is none.
    pub stamp_resolution: Nanos,
    /// CPU time of all threads of this process from the start of the trial (of its measured part) to its
    /// end: polling and the quiet time after the last copy are in it. `None` where it is not known.
    pub process_cpu: Option<Nanos>,
    /// Values above the top of a histogram, over all classes: they void its high percentiles.
    pub saturated: u64,
    /// Foreign copies that may be ours: there was no room for their ids.
    pub unattributable: u64,
    /// Foreign copies that may be ours: no text taught their ids.
    pub untaught: Untaught,
    /// Receiving nodes, in plan order.
    pub matrix: Vec<MatrixCell>,
    /// Streams with missing copies, largest first; capped, see `gaps_total`.
    pub gaps: Vec<StreamGap>,
    /// Number of streams with missing copies.
    pub gaps_total: u64,
    /// Sockets lost in this trial, or after it and before the next.
    pub lost: Vec<LostSocket>,
    /// Sockets that had been lost and were connected again before this trial.
    pub reconnected: u64,
    /// Frames by opcode.
    pub opcodes: Opcodes,
    /// Messages that were compressed.
    pub deflate: DeflateCounts,
    /// Cores, in plan order.
    pub cores: Vec<CoreUse>,
    /// How it ended.
    pub ending: Ending,
}

impl TrialOutcome {
    /// True when every copy came once and unaltered, and none to a socket that must not hear it.
    pub fn complete(&self) -> bool {
        let d = &self.delivery;
        let faults = d.missing + d.duplicate + d.misdelivered + d.corrupt;
        faults == 0
    }

    /// Takes copies that came when the trial was over into its account. A missing copy stays missing, and
    /// `late` says how many of those came after all; what came twice, or to the wrong socket, did so
    /// whenever it came.
    pub fn credit_late(&mut self, late: Late) {
        self.delivery.duplicate += late.duplicates;
        self.delivery.misdelivered += late.misdelivered;
        self.delivery.seen += late.duplicates + late.misdelivered;
        self.late = late;
    }

    /// Copies delivered per second of receive time (see `interval`); `None` when nothing came.
    pub fn copies_per_s(&self) -> Option<f64> {
        rate(self.delivery.delivered, self.receive_time?.plus(self.interval()?))
    }

    /// Messages sent per second of send time (see `interval`); `None` when nothing was sent.
    pub fn sent_per_s(&self) -> Option<f64> {
        rate(self.sent, self.send_time?.plus(self.interval()?))
    }

    /// What a time lacks to be that of all messages. Those of a schedule lie at its points, so that *n*
    /// of them span *n* - 1 intervals: two messages in a second are not 2/s. The interval that would
    /// follow the last is as long as the mean of the others, and unknown of one message alone. Without a
    /// schedule a message follows when another is done, and the time holds them all.
    fn interval(&self) -> Option<Nanos> {
        match (&self.lag_ns, self.sent) {
            (None, _) => Some(Nanos::ZERO),
            (Some(_), 0 | 1) => None,
            (Some(_), sent) => Some(Nanos(self.send_time?.0 / (sent - 1))),
        }
    }

    /// CPU time of the whole process for each copy, in nanoseconds; `None` without copies.
    pub fn process_cpu_ns_per_copy(&self) -> Option<f64> {
        let copies: u64 = self.cores.iter().map(|core| core.copies).sum();
        self.process_cpu.filter(|_| copies > 0).map(|cpu| cpu.0 as f64 / copies as f64)
    }
}

/// So many in so much time; `None` in no time.
fn rate(count: u64, time: Nanos) -> Option<f64> {
    (time.0 > 0).then(|| per_second(count, time))
}

#[cfg(test)]
impl TrialOutcome {
    /// A trial of one push socket in which nothing happened, for tests to fill in what they are about.
    pub(crate) fn nothing() -> Self {
        Self {
            id: Trial::new(Burst, 0, Nanos::ZERO).id,
            messages: 0,
            sent: 0,
            sent_each: Vec::new(),
            push_sockets: 1,
            receive_sockets: 0,
            nodes: 1,
            delivery: Delivery::default(),
            late: Late::default(),
            send_time: None,
            receive_time: None,
            scheduled_per_s: None,
            latency_ns: Vec::new(),
            started_unix_ms: 0,
            warmup: None,
            intervals: Vec::new(),
            reordering: Reordering::default(),
            lag_ns: None,
            stamps_ns: None,
            clock_was_set: false,
            stamp_resolution: Nanos(1),
            process_cpu: None,
            saturated: 0,
            unattributable: 0,
            untaught: Untaught::default(),
            matrix: Vec::new(),
            gaps: Vec::new(),
            gaps_total: 0,
            lost: Vec::new(),
            reconnected: 0,
            opcodes: Opcodes::default(),
            deflate: DeflateCounts::default(),
            cores: Vec::new(),
            ending: Ending::Complete,
        }
    }
}

fn per_second(count: u64, time: Nanos) -> f64 {
    if time.0 == 0 { 0.0 } else { count as f64 / time.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::Rate;

    /// A schedule of `messages`, kept to the nanosecond, each with two copies after `latency`.
    fn kept(per_s: f64, messages: u64, latency: Nanos) -> TrialOutcome {
        let interval = 1e9 / per_s;
        let last = Nanos(((messages - 1) as f64 * interval).round() as u64);
        TrialOutcome {
            messages,
            sent: messages,
            delivery: Delivery { delivered: 2 * messages, ..Delivery::default() },
            send_time: Some(last),
            receive_time: Some(last.plus(latency)),
            lag_ns: Some(Latencies::new()),
            ..TrialOutcome::nothing()
        }
    }

    #[test]
    fn two_messages_in_a_second_are_one_a_second() {
        // Issue 11, A5: `--rate 1 --messages 2` told 1.996/s, `--rate 0.5` over 6 s told 0.75/s.
        let run = kept(1.0, 2, Nanos::from_millis(1));
        assert_eq!(run.sent_per_s(), Some(1.0));
        assert!((run.copies_per_s().unwrap() - 2.0).abs() < 0.002);
        assert_eq!(kept(0.5, 3, Nanos::ZERO).sent_per_s(), Some(0.5));
    }

    #[test]
    fn one_message_has_no_rate_and_what_did_not_happen_has_none() {
        let one = kept(1.0, 1, Nanos::from_millis(1));
        assert_eq!((one.sent_per_s(), one.copies_per_s()), (None, None));
        let nothing = TrialOutcome::nothing();
        assert_eq!((nothing.sent_per_s(), nothing.copies_per_s()), (None, None));
        let lost = TrialOutcome { receive_time: None, ..kept(1.0, 5, Nanos::ZERO) };
        assert_eq!((lost.sent_per_s(), lost.copies_per_s()), (Some(1.0), None));
    }

    #[test]
    fn a_burst_is_divided_by_its_own_time() {
        let burst = TrialOutcome { lag_ns: None, ..kept(10.0, 11, Nanos::from_secs(1)) };
        assert_eq!((burst.sent_per_s(), burst.copies_per_s()), (Some(11.0), Some(11.0)));
    }

    proptest! {
        #[test]
        fn a_schedule_that_is_kept_tells_its_own_rate(
            micro_per_s in 100_000_u64..1_000_000_000_000, messages in 2_u64..100_000
        ) {
            let rate = Rate { micro_per_s }.as_f64();
            let run = kept(rate, messages, Nanos::ZERO);
            let near = |told: f64, truth: f64| (told - truth).abs() <= truth * 1e-3;
            prop_assume!(run.send_time.unwrap() > Nanos::from_micros(10));
            prop_assert!(near(run.sent_per_s().unwrap(), rate));
            prop_assert!(near(run.copies_per_s().unwrap(), 2.0 * rate));
        }
    }
}
