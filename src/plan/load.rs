//! What is sent, how, and for how long it is waited for.
//!
//! Belongs here: everything of a plan that does not depend on which nodes there are. Does not:
//! targets, cores.

use crate::dialect::Dialect;
use crate::dialect::text::TextShape;
use crate::units::{Bytes, Count, Nanos};

use super::wait::WaitMode;
use crate::load::shape::Pacing;
use crate::load::trial::Trial;
use crate::plan::connect_options::ConnectOptions;
use crate::plan::upgrade_options::UpgradeOptions;
use crate::population::fan_out::FanOut;
use crate::wire::bounds::FRAGMENTS_MAX;

/// The tag's sender has 16 bits, of which the last value is reserved.
pub const MAX_PUSH_SOCKETS: u32 = 65_534;

/// Messages of a trial are indexed with 32 bits while the clock runs.
pub const MAX_MESSAGES: u64 = u32::MAX as u64;

/// A load as asked for. Nothing is known of it yet; [`Load::new`] makes it one that can be run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What the cluster speaks.
    pub dialect: Dialect,
    /// Who hears what a push socket sends.
    pub fan_out: FanOut,
    /// Number of push sockets.
    pub push_sockets: u32,
    /// Receive sockets to each node; none where nobody said.
    pub receivers_per_node: Option<u32>,
    /// What is measured, one after another. Trials of one name are told apart in the plan.
    pub trials: Vec<Trial>,
    /// How workers wait while the clock runs; for latency where nobody said.
    pub wait: Option<WaitMode>,
    /// See [`super::Plan::keep_intervals`].
    pub keep_intervals: bool,
    /// Length of each message's text.
    pub payload_bytes: u64,
    /// The run ends when no copy has come for so long.
    pub drain: Nanos,
    /// For each socket, until it is opened.
    pub connect_timeout: Nanos,
    /// For all sockets, until the probe has come.
    pub ready_timeout: Nanos,
    /// Largest message that is taken from a node.
    pub max_message_bytes: u64,
    /// The most fragments that one comes in.
    pub max_fragments: u32,
    /// Frames that need more are patched in place.
    pub frame_memory_bytes: u64,
    /// Messages that have begun and not ended take no more, over all workers.
    pub partial_memory_bytes: Option<u64>,
    /// Seed of the schedule and of an embedded cluster's faults.
    pub seed: u64,
    /// Upgrade and mask keys come from the seed as well, so that a run repeats its bytes. Otherwise
    /// they are the system's, anew for each run, whatever the seed is.
    pub replay: bool,
    /// How sockets are connected.
    pub dialing: ConnectOptions,
    /// What sockets ask for in their upgrades.
    pub upgrade: UpgradeOptions,
    /// See [`super::Generator::test_turn_delay`].
    pub test_turn_delay: Nanos,
}

/// Why a load cannot be run. Each is one line that names the flags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// No push socket.
    #[error("--push-sockets 0: nobody would send; at least 1")]
    NoPushSockets,
    /// More senders than a tag can name.
    #[error(
        "--push-sockets {}: at most {}, the tag that marks a message has 16 bits for its sender",
        Count((*.0).into()), Count(MAX_PUSH_SOCKETS.into())
    )]
    TooManyPushSockets(u32),
    /// No trial.
    #[error("--messages: at least one number of messages, like 100,1000")]
    NoMessages,
    /// A trial of nothing.
    #[error("--messages 0: a trial must send at least 1 message")]
    ZeroMessages,
    /// A trial of more than can be indexed.
    #[error("--messages {}: at most {} in one trial", Count(*.0), Count(MAX_MESSAGES))]
    TooManyMessages(u64),
    /// The text cannot hold a tag.
    #[error("{reason}")]
    Payload {
        /// As asked.
        bytes: u64,
        /// What the dialect says to it; it names the flag.
        reason: String,
    },
    /// What we send would be refused when it comes back.
    #[error(
        "--payload-bytes {payload} makes messages of {message} bytes, more than \
         --max-message-bytes {max}: every copy would be refused"
    )]
    LargerThanMax {
        /// `--payload-bytes`.
        payload: u64,
        /// Bytes of a whole message.
        message: u64,
        /// `--max-message-bytes`.
        max: u64,
    },
    /// Not even one message could come in parts.
    #[error(
        "--partial-memory {} has no room for one message of --max-message-bytes {}: raise the one or lower \
         the other", Bytes(*.memory), Bytes(*.max)
    )]
    PartialTooSmall {
        /// `--partial-memory`.
        memory: u64,
        /// `--max-message-bytes`.
        max: u64,
    },
    /// `--fan-out own --receivers-per-node 1`.
    #[error(
        "--fan-out own and --receivers-per-node {0}: where a message comes back only to its \
         sender, receive sockets hear nothing; leave --receivers-per-node out"
    )]
    DeafReceivers(u32),
    /// `--fan-out others --push-sockets 1 --receivers-per-node 0`.
    #[error(
        "--fan-out others with --push-sockets 1 and --receivers-per-node 0: there is no other \
         socket that could hear a message"
    )]
    NobodyHears,
    /// A shape that sends nothing.
    #[error("{0}")]
    Shape(&'static str),
    /// Nothing is due in a warm-up.
    #[error("--warmup without --rate: only messages with a due time can be due in the warm-up")]
    WarmUpWithoutSchedule,
    /// Nothing is measured.
    #[error(
        "--warmup {warmup} takes all of the {} messages that --rate makes due: nothing would be \
         measured", Count(*messages)
    )]
    AllWarmUp {
        /// As asked.
        warmup: Nanos,
        /// Of the trial.
        messages: u64,
    },
    /// A window opens when a message comes back to its sender.
    #[error(
        "--in-flight and --fan-out others: a window opens when a message comes back to the socket \
         that sent it, which --fan-out others rules out"
    )]
    NoAnswers,
    /// A timeout of nothing.
    #[error("{0} must be longer than 0")]
    ZeroDuration(&'static str),
}

/// A load that can be run against any targets.
#[derive(Clone, Debug)]
pub struct Load {
    pub(super) spec: Spec,
    pub(super) receivers_per_node: u32,
}

impl Load {
    /// Checks a load.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn new(spec: Spec) -> Result<Self, LoadError> {
        let receivers_per_node = receivers(&spec)?;
        push_sockets(&spec)?;
        trials(&spec)?;
        payload(&spec)?;
        durations(&spec)?;
        Ok(Self { spec, receivers_per_node })
    }

    /// All sockets to so many nodes.
    pub fn sockets(&self, nodes: usize) -> u64 {
        u64::from(self.spec.push_sockets)
            .saturating_add((nodes as u64).saturating_mul(self.receivers_per_node.into()))
    }

    /// The cluster may pass on an id in place of a message's text.
    pub fn correlates(&self) -> bool {
        self.spec.dialect.correlates()
    }

    /// The most workers that these sockets can feed: each needs a socket of its own, and where the
    /// cluster replaces text by an id, one that hears the text (on the push node).
    pub fn most_workers(&self, nodes: usize) -> usize {
        let hearing = u64::from(self.spec.push_sockets) + u64::from(self.receivers_per_node);
        let most = if self.correlates() { hearing } else { self.sockets(nodes) };
        usize::try_from(most).unwrap_or(usize::MAX)
    }
}

fn receivers(spec: &Spec) -> Result<u32, LoadError> {
    match (spec.fan_out, spec.receivers_per_node) {
        (FanOut::Own, Some(asked @ 1..)) => Err(LoadError::DeafReceivers(asked)),
        (FanOut::Own, _) => Ok(0),
        (FanOut::Others, Some(0)) if spec.push_sockets == 1 => Err(LoadError::NobodyHears),
        (_, asked) => Ok(asked.unwrap_or(1)),
    }
}

fn push_sockets(spec: &Spec) -> Result<(), LoadError> {
    match spec.push_sockets {
        0 => Err(LoadError::NoPushSockets),
        1..=MAX_PUSH_SOCKETS => Ok(()),
        more => Err(LoadError::TooManyPushSockets(more)),
    }
}

fn trials(spec: &Spec) -> Result<(), LoadError> {
    if spec.trials.is_empty() {
        return Err(LoadError::NoMessages);
    }
    spec.trials.iter().try_for_each(|trial| {
        messages(trial)?;
        shape(trial, spec.fan_out)?;
        warmup(trial)
    })
}

const fn messages(trial: &Trial) -> Result<(), LoadError> {
    match trial.messages {
        0 => Err(LoadError::ZeroMessages),
        1..=MAX_MESSAGES => Ok(()),
        more => Err(LoadError::TooManyMessages(more)),
    }
}

fn shape(trial: &Trial, fan_out: FanOut) -> Result<(), LoadError> {
    if let Some(why) = trial.profile.shape().refusal() {
        return Err(LoadError::Shape(why));
    }
    let waits_for_answers = trial.profile.pacing() == Pacing::Answers;
    if waits_for_answers && fan_out == FanOut::Others { Err(LoadError::NoAnswers) } else { Ok(()) }
}

fn warmup(trial: &Trial) -> Result<(), LoadError> {
    let (warmup, messages) = (trial.warmup, trial.messages);
    match trial.profile.due_within(warmup) {
        _ if warmup == Nanos::ZERO => Ok(()),
        None => Err(LoadError::WarmUpWithoutSchedule),
        Some(due) if due >= messages => Err(LoadError::AllWarmUp { warmup, messages }),
        Some(_) => Ok(()),
    }
}

fn payload(spec: &Spec) -> Result<(), LoadError> {
    let (payload, max) = (spec.payload_bytes, spec.max_message_bytes);
    if let Some(memory) = spec.partial_memory_bytes.filter(|memory| *memory < max) {
        return Err(LoadError::PartialTooSmall { memory, max });
    }
    let too_large = |message| Err(LoadError::LargerThanMax { payload, message, max });
    // Before a text of that length is laid out.
    if payload > max {
        return too_large(payload);
    }
    let text = usize::try_from(payload).map_err(|e| format!("--payload-bytes {payload}: {e}"));
    let text = text.and_then(|bytes| TextShape::new(bytes).map_err(|e| e.to_string()));
    let text = text.map_err(|reason| LoadError::Payload { bytes: payload, reason })?;
    let message = spec.dialect.message_len(&text) as u64;
    if message > max { too_large(message) } else { Ok(()) }
}

fn durations(spec: &Spec) -> Result<(), LoadError> {
    let named = [
        ("--drain", spec.drain),
        ("--connect-timeout", spec.connect_timeout),
        ("--ready-timeout", spec.ready_timeout),
    ];
    match named.iter().find(|(_, duration)| *duration == Nanos::ZERO) {
        Some((flag, _)) => Err(LoadError::ZeroDuration(flag)),
        None => Ok(()),
    }
}

impl Default for Spec {
    /// The seed's test: what runs when nobody says anything.
    fn default() -> Self {
        Self {
            dialect: Dialect::dsatter(),
            fan_out: FanOut::All,
            push_sockets: 3,
            receivers_per_node: None,
            trials: Trial::bursts(&[10, 100, 1_000, 2_000, 4_000, 8_000]),
            wait: None,
            keep_intervals: false,
            payload_bytes: 128,
            drain: Nanos::from_secs(10),
            connect_timeout: Nanos::from_secs(5),
            ready_timeout: Nanos::from_secs(10),
            max_message_bytes: Bytes::from_mib(16).0,
            max_fragments: FRAGMENTS_MAX,
            frame_memory_bytes: Bytes::from_mib(512).0,
            partial_memory_bytes: None,
            seed: 42,
            replay: false,
            dialing: ConnectOptions::default(),
            upgrade: UpgradeOptions::default(),
            test_turn_delay: Nanos::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::inter_arrival::InterArrival;
    use crate::load::profile::{Burst, FixedRate, Profile, Window};
    use crate::units::Rate;

    fn refusal(change: impl FnOnce(&mut Spec)) -> String {
        let mut spec = Spec::default();
        change(&mut spec);
        Load::new(spec).unwrap_err().to_string()
    }

    fn alone(profile: impl Into<Profile>, messages: u64, warmup: Nanos) -> Vec<Trial> {
        vec![Trial::new(profile, messages, warmup)]
    }

    #[test]
    fn a_shape_that_sends_nothing_is_refused() {
        let never = FixedRate { rate: Rate { micro_per_s: 0 }, arrivals: InterArrival::Constant };
        let refused =
            |profile: Profile| refusal(|spec| spec.trials = alone(profile, 10, Nanos::ZERO));
        assert!(refused(never.into()).contains("--rate 0"));
        assert!(refused(Window { in_flight: 0 }.into()).contains("--in-flight 0"));
        let others = refusal(|spec| {
            spec.trials = alone(Window { in_flight: 1 }, 10, Nanos::ZERO);
            spec.fan_out = FanOut::Others;
        });
        assert!(others.contains("--in-flight and --fan-out others"), "{others}");
    }

    #[test]
    fn the_default_load_is_the_seeds() {
        let load = Load::new(Spec::default()).unwrap();
        assert_eq!(load.sockets(3), 6, "3 push sockets and one receive socket to each node");
    }

    #[test]
    fn every_load_that_cannot_be_run_names_its_flags_in_one_line() {
        type Change = fn(&mut Spec);
        let cases: &[(Change, &[&str])] = &[
            (|s| s.push_sockets = 0, &["--push-sockets 0"]),
            (|s| s.push_sockets = 65_535, &["--push-sockets 65 535", "at most 65 534"]),
            (|s| s.trials.clear(), &["--messages"]),
            (|s| s.trials = Trial::bursts(&[10, 0]), &["--messages 0"]),
            (
                |s| s.trials = Trial::bursts(&[1 << 32]),
                &["--messages 4 294 967 296", "4 294 967 295"],
            ),
            (|s| s.payload_bytes = 3, &["--payload-bytes 3"]),
            (|s| s.payload_bytes = 1 << 30, &["--payload-bytes 1073741824", "--max-message-bytes"]),
            (|s| s.max_message_bytes = 130, &["--payload-bytes 128", "--max-message-bytes 130"]),
            (
                |s| s.partial_memory_bytes = Some(1 << 20),
                &["--partial-memory 1", "--max-message-bytes 16"],
            ),
            (|s| s.drain = Nanos::ZERO, &["--drain"]),
            (|s| s.trials = alone(Burst, 10, Nanos(1)), &["--warmup", "--rate"]),
            (
                |s| {
                    let rate = Rate::per_second(1e3);
                    let profile = FixedRate { rate, arrivals: InterArrival::Constant };
                    s.trials = Trial::each(&[5_000, 2_000], profile, Nanos::from_secs(2));
                },
                &["--warmup 2.00 s", "2 000 messages"],
            ),
            (|s| s.connect_timeout = Nanos::ZERO, &["--connect-timeout"]),
            (|s| s.ready_timeout = Nanos::ZERO, &["--ready-timeout"]),
            (
                |s| (s.fan_out, s.receivers_per_node) = (FanOut::Own, Some(2)),
                &["--fan-out own", "--receivers-per-node 2"],
            ),
            (
                |s| {
                    (s.fan_out, s.receivers_per_node) = (FanOut::Others, Some(0));
                    s.push_sockets = 1;
                },
                &["--fan-out others", "--push-sockets 1", "--receivers-per-node 0"],
            ),
        ];
        for (change, names) in cases {
            let text = refusal(change);
            assert!(names.iter().all(|name| text.contains(name)), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }

    #[test]
    fn an_echo_server_needs_no_receive_sockets() {
        let spec = Spec { fan_out: FanOut::Own, ..Spec::default() };
        assert_eq!(Load::new(spec).unwrap().sockets(3), 3);
    }

    #[test]
    fn every_worker_of_a_correlating_dialect_gets_a_socket_that_hears_the_text() {
        let correlating = Load::new(Spec::default()).unwrap();
        assert_eq!(correlating.most_workers(100), 4);
        let raw = Load::new(Spec { dialect: Dialect::raw(), ..Spec::default() }).unwrap();
        assert_eq!(raw.most_workers(100), 103);
    }

    #[test]
    fn the_largest_load_does_not_overflow() {
        let spec = Spec {
            push_sockets: MAX_PUSH_SOCKETS,
            receivers_per_node: Some(u32::MAX),
            trials: Trial::bursts(&[MAX_MESSAGES]),
            ..Spec::default()
        };
        let load = Load::new(spec).unwrap();
        assert!(load.sockets(usize::MAX) > u64::from(u32::MAX));
    }
}
