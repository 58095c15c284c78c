//! What a trial takes in memory, by purpose, before it is taken.
//!
//! Belongs here: the arithmetic. Does not: whether the host has so much (`host::limits`).
//!
//! Everything is laid out before the clock, for the worst that a cluster may do: every stream out
//! of order, every id before its text. Pages that are not touched are never backed, so a run
//! against a cluster that keeps order takes far less than this says.

use super::Plan;
use super::load::MAX_MESSAGES;
use crate::dialect::text::TextShape;
use crate::host::socket_cost::KERNEL_SOCKET;
use crate::load::trial::Trial;
use crate::units::Nanos;
use crate::wire::deflate::unpack::inflated_bytes_max;
use crate::wire::encode;

/// An HdrHistogram of nanoseconds up to one hour with three significant digits: 2048 buckets for
/// the first octaves and 1024 for each further one, eight bytes each.
const HISTOGRAM_BYTES: u64 = 8 * (2_048 + 31 * 1_024);

/// A histogram that is kept in its encoding: at most six bytes for each value in it, and three for
/// each bucket that there is.
const KEPT_VALUE_BYTES: u64 = 6;
const KEPT_HISTOGRAM_BYTES: u64 = 3 * HISTOGRAM_BYTES / 8;

/// Nodes that are told apart behind the addresses of a plan, beside one for each address: the histograms of
/// each are laid out before the clock.
pub const FURTHER_PLACES_MAX: usize = 32;

/// The most that one send carries, and so the window of frames that are patched in place.
const WINDOW_BYTES: u64 = 64 << 10;

/// When a message was sent, once; its first copy, its last and their number, on every core.
const SENT_BYTES: u64 = 8;
const TIMES_BYTES_PER_CORE: u64 = 24;

/// What is kept of a socket whose answers and heartbeats differ from those of others, with a few short values.
const KNOWN_BYTES: u64 = 256;
/// The two ends of a stream in the ledger.
const STREAM_BYTES: u64 = 8;

/// Where not every socket can hear every sender: the place of a socket's streams, and of a sender among
/// those of its group, with the group's list of them; and where each group begins in that list.
const SOCKET_PLACE_BYTES: u64 = 16;
const SENDER_PLACE_BYTES: u64 = 8 + 4;
const GROUP_BYTES: u64 = 4;

/// Places for other users' ids and for copies of theirs, a place in the table of ids, and a copy that waits for its id; as
/// `measure::correlate` lays them out (`tests/memory.rs` holds them together).
const STRANGERS: u64 = 1 << 16;
const ID_PLACE_BYTES: u64 = 24;
const WAITING_COPY_BYTES: u64 = 16;

/// Of ours, for each connection, while it is idle; a test in `engine::worker` holds it.
pub const CONNECTION_BYTES: u64 = 512;

/// For each connection to a `wss://` node: the state of its session, which `rustls` keeps on the heap. 6.9 KiB
/// were allocated for each (`tests/no_alloc.rs` holds it), and a record that is not whole lies in a buffer.
pub const TLS_BYTES: u64 = 9 << 10;

/// Of a worker, for records that are not whole and sends that are under way: 130 buffers of 68 KiB.
const TLS_BUFFERS_BYTES: u64 = 9 << 20;

/// For each connection whose node goes on with one window from message to message, to inflate. `zlib-rs` allocates 47 704
/// bytes for it.
pub const INFLATE_BYTES: u64 = 48 << 10;
/// For each connection that sends messages compressed in one window: 380 KB.
pub const DEFLATE_BYTES: u64 = 384 << 10;

/// Of a worker: buffers of sends, and a read that is inflated in parts.
const DEFLATE_SHARED_BYTES: u64 = 5 << 20;

/// Of a node of the embedded cluster, for each client that came in over TLS: s2n-tls has buffers for a record each
/// way.
const NODE_TLS_BYTES: u64 = 64 << 10;

/// For each connection of a dialect whose messages do not end with frames, beside the text that may be open; a
/// test in `engine::worker` holds it.
pub const STREAM_END_BYTES: u64 = 40;

/// For each connection whose messages are acknowledged: where its packets are.
const PACKET_READER_BYTES: u64 = 16;
/// On each worker for acknowledgements that wait.
const ACKNOWLEDGING_BYTES: u64 = 16 << 20;

/// For each connection and each thing that is said again and again.
const HEARTBEAT_BYTES: u64 = 17;

/// Of a node of the embedded cluster, for each client: 3.8 to 4.3 KB were resident, from 100 000 sockets
/// to a million (`docs/performance.md`).
const NODE_BYTES: u64 = 4_096;

/// The program itself, and each process of the embedded cluster, before the first connection. Runs in
/// control groups of a few MiB more and less ended with 4.6 and 1.4 MiB more than all else here says.
const PROGRAM_BYTES: u64 = 6 << 20;
const PROCESS_BYTES: u64 = 2 << 20;

/// Receive buffers and queues of the only ring of a worker, and of each of several, which share the
/// buffers: 2.6 MiB were resident.
const RING_BYTES: u64 = 8 << 20;
const RING_OF_SEVERAL_BYTES: u64 = 3 << 20;

/// Bytes that a trial takes at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryNeed {
    /// Finished frames.
    pub frames_bytes: u64,
    /// Which copies of each stream have come.
    pub ledger_bytes: u64,
    /// When each message was sent, and when its copies came.
    pub times_bytes: u64,
    /// When each message is due; 0 where that is computed.
    pub schedule_bytes: u64,
    /// Ids of the cluster's own, and copies that wait for theirs; 0 where copies carry their text.
    pub ids_bytes: u64,
    /// Latency histograms.
    pub histograms_bytes: u64,
    /// Messages that have begun and not ended.
    pub partial_bytes: u64,
}

impl MemoryNeed {
    /// Everything.
    pub fn total(&self) -> u64 {
        self.parts().iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// By purpose, under a name for people.
    pub fn parts(&self) -> [(&'static str, u64); 7] {
        [
            ("frames", self.frames_bytes),
            ("ledger", self.ledger_bytes),
            ("times", self.times_bytes),
            ("schedule", self.schedule_bytes),
            ("ids", self.ids_bytes),
            ("histograms", self.histograms_bytes),
            ("partial messages", self.partial_bytes),
        ]
    }
}

impl Plan {
    /// Nodes whose latency is kept apart, at most.
    pub fn places_max(&self) -> usize {
        let further = if self.upgrade.node_header.is_some() { FURTHER_PLACES_MAX } else { 0 };
        self.nodes.len() + further
    }

    /// What a trial takes at most. Saturates instead of wrapping.
    pub fn memory(&self, trial: &Trial) -> MemoryNeed {
        let &Trial { ref profile, messages, warmup, .. } = trial;
        let law = profile.due_times();
        let (nodes, cores) = (self.places_max() as u64, self.generator.workers() as u64);
        // An open loop has one more in each set (service), another on each core (lag), and three
        // more classes; a warm-up has everything a second time.
        let open_loop = u64::from(law.is_some());
        let phases = if warmup > Nanos::ZERO { 2 } else { 1 };
        let (set, classes) = (nodes + open_loop, 3 + 3 * open_loop);
        // A core records into one set while another is on its way. Collecting takes one for the sum,
        // and two for intervals that are open; merging takes one for each class again.
        let (on_cores, collecting) = (cores.saturating_mul(2 * set + open_loop), 3 * set);
        let histograms = on_cores.saturating_add(collecting + classes).saturating_mul(phases);
        MemoryNeed {
            frames_bytes: self.frames_bytes(messages),
            ledger_bytes: self.ledger_bytes(messages),
            times_bytes: messages.saturating_mul(SENT_BYTES + TIMES_BYTES_PER_CORE * cores),
            // Once for all cores.
            schedule_bytes: law.map_or(0, |law| law.schedule_bytes(messages)),
            ids_bytes: if self.dialect.correlates() { self.ids_bytes(messages) } else { 0 },
            histograms_bytes: histograms
                .saturating_mul(HISTOGRAM_BYTES)
                .saturating_add(self.kept_bytes(trial, (set + classes) * phases)),
            partial_bytes: self.partial_bytes(),
        }
    }

    /// What a worker may lend to messages that have begun and not ended: its part of what was asked for,
    /// else two of the largest, one that came in fragments and the last of them.
    pub fn partial_memory_each(&self) -> usize {
        match self.messages.partial_memory_bytes {
            Some(bytes) => bytes / self.generator.workers().max(1),
            None => self.messages.max_bytes.saturating_mul(2),
        }
    }

    /// A cluster may begin a message on every socket and end none.
    fn partial_bytes(&self) -> u64 {
        let lent =
            (self.partial_memory_each() as u64).saturating_mul(self.generator.workers() as u64);
        let begun = (self.messages.max_bytes as u64).saturating_mul(2 * self.sockets());
        lent.min(begun)
    }

    /// What the connections take beside any trial, by purpose; `embedded` where the far ends are on this
    /// host, too.
    pub fn connection_memory(&self, embedded: bool) -> Vec<(&'static str, u64)> {
        let sockets = self.sockets();
        let ends = if embedded { 2 } else { 1 };
        let mut parts = vec![
            ("the program", PROGRAM_BYTES),
            ("connections", sockets.saturating_mul(CONNECTION_BYTES)),
            ("rings", self.rings_bytes()),
            ("their sockets in the kernel", sockets.saturating_mul(ends * KERNEL_SOCKET.0)),
        ];
        let tls = self.tls_sockets();
        if tls > 0 {
            let ends = if embedded { TLS_BYTES + NODE_TLS_BYTES } else { TLS_BYTES };
            parts.push(("their TLS sessions", tls.saturating_mul(ends)));
            let workers = self.generator.workers() as u64;
            parts.push(("TLS buffers", workers.saturating_mul(TLS_BUFFERS_BYTES)));
        }
        if let Some(offer) = &self.upgrade.deflate {
            // What a node agrees to is not known yet: as if it took all that it may.
            let inflate = if offer.server_no_takeover { 0 } else { INFLATE_BYTES };
            let packs = offer.sends && !offer.client_no_takeover;
            let deflate = if packs { DEFLATE_BYTES } else { 0 };
            let push = u64::from(self.audience.population().push_sockets());
            let windows = sockets.saturating_mul(inflate);
            parts.push(("their windows of compression", windows.saturating_add(push * deflate)));
            let shared = DEFLATE_SHARED_BYTES + inflated_bytes_max(self.messages.max_bytes) as u64;
            let workers = self.generator.workers() as u64;
            parts.push(("buffers of compression", workers.saturating_mul(shared)));
            // Gathered before they are inflated; what is counted with a trial is for those that come plain.
            parts.push(("compressed messages that are not whole", self.partial_bytes()));
        }
        if self.dialect.stream {
            let each = STREAM_END_BYTES + self.messages.payload_bytes as u64;
            parts.push(("open ends of streams", sockets.saturating_mul(each)));
        }
        if self.dialect.acknowledges.is_some() {
            let queued = (self.generator.workers() as u64).saturating_mul(ACKNOWLEDGING_BYTES);
            let each = sockets.saturating_mul(PACKET_READER_BYTES);
            parts.push(("acknowledgements", queued.saturating_add(each)));
        }
        if self.dialect.keeps_values() {
            parts.push(("what openings have captured", sockets.saturating_mul(KNOWN_BYTES)));
        }
        let pings = self.connect.ping.or(self.dialect.ping).is_some();
        let said = self.dialect.heartbeats.len() as u64 + u64::from(pings);
        if said > 0 {
            parts.push(("heartbeats", sockets.saturating_mul(said * HEARTBEAT_BYTES)));
        }
        if embedded {
            parts.push(("the embedded cluster's clients", sockets.saturating_mul(NODE_BYTES)));
            // The nodes, and the discovery.
            let processes = self.nodes.len() as u64 + 1;
            parts.push((
                "the embedded cluster's processes",
                processes.saturating_mul(PROCESS_BYTES),
            ));
        }
        parts
    }

    fn rings_bytes(&self) -> u64 {
        let each = if self.generator.rings.each > 1 { RING_OF_SEVERAL_BYTES } else { RING_BYTES };
        (self.generator.rings() as u64).saturating_mul(each)
    }

    /// The histograms of every second, where they are kept: `tracks` of them in each. How many seconds
    /// there will be is known of a schedule alone; of other trials each value is counted.
    fn kept_bytes(&self, trial: &Trial, tracks: u64) -> u64 {
        let messages = trial.messages;
        if !self.keep_intervals {
            return 0;
        }
        // A copy is in two histograms at most, a message in three.
        let values = self.audience.expected(messages).saturating_mul(2);
        let values = values.saturating_add(messages.saturating_mul(3));
        let by_value = values.saturating_mul(KEPT_VALUE_BYTES);
        let by_second = trial.profile.due_times().map_or(u64::MAX, |law| {
            // The drain has seconds, too.
            let seconds = law.seconds_for(messages) + self.timeouts.drain.as_secs_f64();
            (seconds.ceil() as u64).saturating_mul(tracks).saturating_mul(KEPT_HISTOGRAM_BYTES)
        });
        by_value.min(by_second)
    }

    /// What the largest trial takes at most: trials run one after another.
    pub fn largest_memory(&self) -> MemoryNeed {
        self.memory(self.largest_trial())
    }

    /// The trial that takes the most memory.
    pub fn largest_trial(&self) -> &Trial {
        let by_need = |trial: &&Trial| self.memory(trial).total();
        self.trials.iter().max_by_key(by_need).expect("a plan has a trial")
    }

    /// The most messages with which the largest trial takes no more than this many bytes; 0 if one alone
    /// takes more.
    pub fn messages_within(&self, bytes: u64) -> u64 {
        let largest = self.largest_trial();
        let of = |messages| self.memory(&Trial { messages, ..largest.clone() });
        let (mut fits, mut too_many) = (0, MAX_MESSAGES + 1);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            let is_within = of(middle).total() <= bytes;
            *(if is_within { &mut fits } else { &mut too_many }) = middle;
        }
        fits
    }

    fn frames_bytes(&self, messages: u64) -> u64 {
        let text =
            TextShape::new(self.messages.payload_bytes).expect("a plan's payload holds a tag");
        let all = messages.saturating_mul(self.frame_len(&text));
        if self.lays_all(messages, &text) {
            return all;
        }
        let window = WINDOW_BYTES.max(self.frame_len(&text));
        all.min(window * u64::from(self.population().push_sockets()))
    }

    /// Bytes of one frame: every message of a plan is as long as the others.
    fn frame_len(&self, text: &TextShape) -> u64 {
        encode::frame_len(self.dialect.message_len(text)) as u64
    }

    /// A bit for each copy, in whole words for each stream, and each stream's ends; where not all hear
    /// all, on each core a table of places, and the ends of a stream that stands for all that cannot be.
    fn ledger_bytes(&self, messages: u64) -> u64 {
        let senders = u64::from(self.population().push_sockets());
        let stream = messages.div_ceil(senders).div_ceil(64) * 8 + STREAM_BYTES;
        let streams = self.audience.streams().saturating_mul(stream);
        if self.audience.is_undivided() {
            return streams;
        }
        let groups = u64::from(self.audience.groups());
        let table = senders * SENDER_PLACE_BYTES + (groups + 1) * GROUP_BYTES + STREAM_BYTES;
        streams
            .saturating_add(self.sockets() * SOCKET_PLACE_BYTES)
            .saturating_add(table * self.generator.workers() as u64)
    }

    fn ids_bytes(&self, messages: u64) -> u64 {
        // At most half full, and with room for other users' ids.
        let places = messages.saturating_mul(2).saturating_add(STRANGERS);
        let places = places.checked_next_power_of_two().unwrap_or(u64::MAX);
        let tables =
            places.saturating_mul(ID_PLACE_BYTES).saturating_mul(self.generator.workers() as u64);
        let strangers = STRANGERS.saturating_mul(self.generator.workers() as u64);
        let waiting = self.audience.expected(messages).saturating_add(strangers);
        tables.saturating_add(waiting.saturating_mul(WAITING_COPY_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use super::super::fixture;
    use super::super::load::Spec;
    use super::super::tests::plan;
    use super::*;
    use crate::dialect::{Dialect, Heartbeat};
    use crate::load::inter_arrival::InterArrival;
    use crate::load::profile::FixedRate;
    use crate::plan::draft::Cpus;
    use crate::units::{Nanos, Rate};
    use crate::wire::deflate::DeflateOffer;

    /// The need of the plan's first trial with another number of messages.
    fn of(plan: &Plan, messages: u64) -> MemoryNeed {
        plan.memory(&Trial { messages, ..plan.trials[0].clone() })
    }

    #[test]
    fn a_histogram_takes_what_hdrhistogram_says() {
        let hour = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        assert_eq!(HISTOGRAM_BYTES, hour.distinct_values() as u64 * 8);
    }

    #[test]
    fn a_million_messages_to_three_nodes_are_bounded_and_named() {
        let need = of(&plan(|_| {}), 1_000_000);
        assert_eq!(need.ledger_bytes, 18 * (41_672 + 8), "18 streams of 333 334 bits");
        assert_eq!(need.times_bytes, 32_000_000);
        assert_eq!(need.ids_bytes, (1 << 21) * 24 + (6_000_000 + (1 << 16)) * 16);
        assert!(need.frames_bytes >= 128_000_000);
        assert_eq!(need.total(), need.parts().iter().map(|(_, bytes)| bytes).sum::<u64>());
        assert!(need.total() < 512 << 20, "{need:?}");
    }

    #[test]
    fn messages_that_never_end_are_counted_once_for_each_worker_or_socket_and_as_asked() {
        let partial = |spec: fn(&mut Spec), cores: usize| {
            let cores: Vec<_> = (0..cores).collect();
            let plan = fixture::plan_of(1, &cores, &[1, 2, 3], spec);
            assert!(
                plan.partial_memory_each() * cores.len() <= of(&plan, 10).partial_bytes as usize
            );
            of(&plan, 10).partial_bytes
        };
        assert_eq!(partial(|_| {}, 1), 32 << 20);
        assert_eq!(partial(|_| {}, 3), 96 << 20);
        assert_eq!(partial(|spec| spec.partial_memory_bytes = Some(40 << 20), 4), 40 << 20);
        let mut all = plan(|spec| spec.partial_memory_bytes = Some(1 << 30));
        all.messages.max_bytes = 1 << 20;
        assert_eq!(of(&all, 10).partial_bytes, 6 * (2 << 20), "no more than all sockets");
    }

    #[test]
    fn frames_beyond_their_memory_are_a_window_for_each_push_socket() {
        let plan = plan(|spec| spec.frame_memory_bytes = 1 << 20);
        assert_eq!(of(&plan, 1_000_000).frames_bytes, 3 * WINDOW_BYTES);
        assert!(of(&plan, 10).frames_bytes < 10 * 1_024, "a short trial is laid out whole");
    }

    #[test]
    fn a_dialect_whose_copies_carry_their_text_needs_no_ids() {
        assert_eq!(of(&plan(|spec| spec.dialect = Dialect::raw()), 8_000).ids_bytes, 0);
    }

    #[test]
    fn a_log_of_intervals_takes_memory_that_does_not_grow_with_the_copies_of_a_second() {
        let bytes = |per_s: u64, keep| {
            let rate = Rate::per_second(per_s as f64);
            let profile = FixedRate { rate, arrivals: InterArrival::Constant };
            let plan = plan(|spec| {
                spec.trials = vec![Trial::new(profile, 100 * per_s, Nanos::ZERO)];
                spec.keep_intervals = keep;
            });
            plan.largest_memory().histograms_bytes
        };
        let kept = |per_s| bytes(per_s, true) - bytes(per_s, false);
        assert_eq!(kept(10), 1_000 * (6 * 2 + 3) * KEPT_VALUE_BYTES);
        assert_eq!(kept(1_000_000), kept(10_000_000));
    }

    #[test]
    fn only_arrivals_that_are_drawn_need_a_table() {
        let schedule_bytes = |arrivals| {
            let profile = FixedRate { rate: Rate::per_second(1e3), arrivals };
            let trials = vec![Trial::new(profile, 1_000_000, Nanos::ZERO)];
            plan(|spec| spec.trials = trials).largest_memory().schedule_bytes
        };
        assert_eq!(schedule_bytes(InterArrival::Constant), 0);
        assert_eq!(schedule_bytes(InterArrival::Poisson { seed: 1 }), 8_000_000);
    }

    /// What a day at 10k/s takes with an echo on one core: 8 bytes for each sent time and 24 for each
    /// message's copies are nearly all of it.
    #[test]
    fn a_day_at_ten_thousand_a_second_takes_32_bytes_a_message() {
        let plan = plan(|spec| {
            let arrivals = InterArrival::Constant;
            (spec.dialect, spec.push_sockets) = (Dialect::raw(), 1);
            let profile = FixedRate { rate: Rate::per_second(1e4), arrivals };
            spec.trials = vec![Trial::new(profile, 1, Nanos::ZERO)];
            spec.receivers_per_node = Some(0);
        });
        let (day, hour) = (86_400 * 10_000, 3_600 * 10_000);
        let bytes_each = (of(&plan, day).total() - of(&plan, hour).total()) as f64;
        let bytes_each = bytes_each / (day - hour) as f64;
        assert!((32.0..32.2).contains(&bytes_each), "{bytes_each}: 32, and a bit in the ledger");
        assert!(of(&plan, day).total() > 27_000_000_000);
    }

    proptest! {
        #[test]
        fn what_fits_fits_and_one_more_does_not(bytes in 0_u64..1 << 40, correlates: bool) {
            let raw = |spec: &mut Spec| spec.dialect = Dialect::raw();
            let plan = if correlates { plan(|_| {}) } else { plan(raw) };
            let fits = plan.messages_within(bytes);
            prop_assert!(fits == 0 || of(&plan, fits).total() <= bytes);
            prop_assert!(fits == MAX_MESSAGES || of(&plan, fits + 1).total() > bytes);
        }
    }

    #[test]
    fn both_ends_of_a_connection_are_counted_where_both_are_here() {
        let plan = plan(|spec| spec.receivers_per_node = Some(66_667));
        let sum =
            |embedded| plan.connection_memory(embedded).iter().map(|(_, bytes)| bytes).sum::<u64>();
        assert_eq!(plan.sockets(), 200_004);
        let (ring, program, processes) = (8 << 20, 6 << 20, 4 * (2 << 20));
        assert_eq!(sum(false), 200_004 * (512 + 4_096) + ring + program);
        let both = 200_004 * (512 + 2 * 4_096 + 4_096);
        assert_eq!(sum(true), both + ring + program + processes, "three nodes and the discovery");
        let draft =
            fixture::draft(0, &[1, 2, 3], &[0], |spec| spec.receivers_per_node = Some(66_667));
        let few = draft.from_kernels_choice().plan(20_000, Cpus::Own).unwrap();
        let rings = few.connection_memory(false);
        assert_eq!(rings[2], ("rings", 11 * (3 << 20)), "each has its part of the buffers");
    }

    #[test]
    fn the_largest_trial_decides() {
        let plan = plan(|spec| spec.trials = Trial::bursts(&[10, 8_000, 100]));
        assert_eq!(plan.largest_memory(), of(&plan, 8_000));
    }

    #[test]
    fn only_dialects_that_keep_something_for_each_connection_need_memory_for_it() {
        let parts = |dialect: Dialect, ping| {
            let mut plan = plan(|spec| spec.dialect = dialect);
            plan.connect.ping = ping;
            let told = plan.connection_memory(false);
            let told = told
                .into_iter()
                .filter(|(name, _)| ["open ends of streams", "heartbeats"].contains(name));
            (told.collect::<Vec<_>>(), plan.sockets())
        };
        assert_eq!(parts(Dialect::raw(), None).0, []);
        let beat = Heartbeat { every: Nanos::from_secs(1), send: b""[..].into() };
        let dialect = Dialect { stream: true, heartbeats: vec![beat], ..Dialect::raw() };
        let (told, sockets) = parts(dialect, Some(Nanos::from_secs(1)));
        assert_eq!(
            told,
            [("open ends of streams", sockets * (40 + 128)), ("heartbeats", sockets * 34)]
        );
    }

    #[test]
    fn what_compressed_messages_may_become_is_counted_for_each_worker() {
        let parts = |max_bytes, cores: &[usize]| {
            let mut plan = fixture::plan_of(1, cores, &[1, 2, 3], |_| {});
            plan.messages.max_bytes = max_bytes;
            plan.upgrade.deflate = Some(DeflateOffer::default());
            let told = plan.connection_memory(false).into_iter();
            let told: BTreeMap<_, _> = told.collect();
            (told["buffers of compression"], told["compressed messages that are not whole"])
        };
        const MIB: u64 = 1 << 20;
        let (one, gathered) = parts(16 << 20, &[0]);
        assert_eq!(gathered, 32 * MIB, "as much as of messages that come plain");
        assert!((21 * MIB..22 * MIB).contains(&one), "{one}");
        assert_eq!(parts(16 << 20, &[0, 1]), (2 * one, 2 * gathered));
        assert!(parts(64 << 20, &[0]).0 > 69 * MIB);
    }
}
