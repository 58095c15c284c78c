//! The merge is right: what four workers recorded apart is what one records alone, and what a naive
//! twin counts in a sorted list.
//!
//! A run here is a list of arrivals, drawn from a seed that a failure prints. It is fed to the
//! recorders of one worker, and of four in the split that the fleet makes.

#[path = "common/plan.rs"]
mod common;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use fanstorm::dialect::Dialect;
use fanstorm::engine::spread::spread;
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::{Burst, FixedRate, Profile};
use fanstorm::load::schedule::Timetable;
use fanstorm::load::trial::Trial;
use fanstorm::measure::interval::Rest;
use fanstorm::measure::late::LateLog;
use fanstorm::measure::latencies::Latencies;
use fanstorm::measure::outcome::{
    Class, CoreUse, Delivery, Ending, Opcodes, TrialOutcome, Untaught,
};
use fanstorm::measure::percentile::Percentile;
use fanstorm::measure::recorder::Recorder;
use fanstorm::measure::sent::SentTimes;
use fanstorm::measure::tally::{Tally, TrialMerge};
use fanstorm::plan::Plan;
use fanstorm::plan::load::Spec;
use fanstorm::population::sockets::SocketId;
use fanstorm::population::turns::Turns;
use fanstorm::units::Nanos;
use proptest::prelude::*;

const NODES: [&str; 3] = ["ws://127.0.0.1:1/", "ws://127.0.0.1:2/", "ws://127.0.0.1:3/"];
const START: Nanos = Nanos(1_000_000_000);

/// What a run is like; everything else follows from its seed.
#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    push_sockets: u32,
    receivers_per_node: u32,
    messages: u64,
    open_loop: bool,
    /// Nodes that are not pushed to pass on an id in place of the text.
    by_id: bool,
    loss: f64,
    duplicates: f64,
    /// How far copies overtake each other.
    jitter_ns: u64,
}

/// One copy on the way to one of our sockets.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Nanos,
    seat: SocketId,
    sender: u16,
    sequence: u32,
}

impl Arrival {
    /// Whether it carries the message's text and not its id alone.
    fn has_text(&self, case: &Case, plan: &Plan) -> bool {
        !case.by_id || self.seat.node as usize == plan.push_node()
    }
}

impl Case {
    fn plan(&self, workers: usize) -> Plan {
        let arrivals = InterArrival::Poisson { seed: self.seed };
        let profile: Profile = match self.open_loop {
            true => FixedRate { rate: "20k".parse().unwrap(), arrivals }.into(),
            false => Burst.into(),
        };
        let mut plan = common::plan(
            &NODES,
            Spec {
                dialect: if self.by_id { Dialect::dsatter() } else { Dialect::raw() },
                push_sockets: self.push_sockets,
                receivers_per_node: Some(self.receivers_per_node),
                trials: vec![Trial::new(profile, self.messages, Nanos::ZERO)],
                ..Spec::default()
            },
        );
        plan.generator.cores = (0..workers).collect();
        plan
    }

    fn timetable(&self, plan: &Plan) -> Option<Timetable> {
        let mut timetable = Timetable::new(plan.trials[0].schedule()?, self.push_sockets);
        timetable.begin(START);
        Some(timetable)
    }

    /// When each message is sent: a little after it is due, or one after the other.
    fn sent(&self, plan: &Plan) -> Arc<SentTimes> {
        let (sent, mut rng) = (self.unsent(), fastrand::Rng::with_seed(self.seed));
        let timetable = self.timetable(plan);
        for message in 0..self.messages {
            let (sender, sequence) = self.place(message);
            let due = timetable.as_ref().map(|timetable| timetable.intended(message));
            let due = due.unwrap_or_else(|| START.plus(Nanos(message * 700)));
            let late = Nanos(rng.u64(0..50_000));
            sent.stamp(sender, sequence, sequence + 1, due.plus(late));
        }
        Arc::new(sent)
    }

    fn unsent(&self) -> SentTimes {
        SentTimes::new(&Turns::new(self.push_sockets).share(self.messages))
    }

    fn place(&self, message: u64) -> (usize, u32) {
        let senders = u64::from(self.push_sockets);
        ((message % senders) as usize, (message / senders) as u32)
    }

    /// Every copy that the cluster makes of this run, in the order of time.
    fn arrivals(&self, plan: &Plan, sent: &SentTimes) -> Vec<Arrival> {
        let mut rng = fastrand::Rng::with_seed(!self.seed);
        let mut arrivals = Vec::new();
        for seat in spread(plan.population(), plan.generator.workers()).into_iter().flatten() {
            for index in 0..sent.len() as u32 {
                let (sender, sequence) = sent.message(index);
                let copies = match rng.f64() {
                    p if p < self.loss => 0,
                    p if p < self.loss + self.duplicates => 2,
                    _ => 1,
                };
                for _ in 0..copies {
                    // A skewed delay: most are short, few are long.
                    let delay = 30_000 + rng.u64(0..=self.jitter_ns) / rng.u64(1..=100);
                    let at = sent.sent(index).unwrap().plus(Nanos(delay));
                    arrivals.push(Arrival { at, seat, sender: sender as u16, sequence });
                }
            }
        }
        // No two at once on one socket: the order of such would be a matter of sorting.
        arrivals.sort_by_key(|a| (a.at, a.seat.socket, a.sender, a.sequence));
        arrivals
    }

    /// The run as so many workers record it.
    fn recorded(&self, workers: usize) -> TrialOutcome {
        let plan = self.plan(workers);
        let sent = self.sent(&plan);
        // Drawn for one worker, whatever the number: the same arrivals.
        let arrivals = self.arrivals(&self.plan(1), &sent);
        let tally = |seats: Vec<SocketId>| self.tally(&plan, seats, &sent, &arrivals);
        let tallies: Vec<_> =
            spread(plan.population(), plan.generator.workers()).into_iter().map(tally).collect();
        assert_eq!(tallies.len(), workers, "{self:?}");
        let ending = Ending::Complete;
        TrialMerge { plan: &plan, trial: &plan.trials[0], sent: &sent, ending }.merge(tallies)
    }

    fn tally(
        &self,
        plan: &Plan,
        seats: Vec<SocketId>,
        sent: &Arc<SentTimes>,
        arrivals: &[Arrival],
    ) -> Tally {
        let counts = Turns::new(self.push_sockets).share(self.messages);
        let local = |socket: u32| seats.iter().position(|seat| seat.socket == socket);
        let mut recorder = Recorder::new(
            seats.clone(),
            plan.nodes.len(),
            &counts,
            &plan.audience,
            plan.dialect.correlates(),
            Arc::clone(sent),
        );
        if let Some(timetable) = self.timetable(plan) {
            recorder.follow(timetable, false);
        }
        for arrival in arrivals {
            let Some(local) = local(arrival.seat.socket) else { continue };
            let Arrival { at, sender, sequence, .. } = *arrival;
            let key = self
                .by_id
                .then(|| (u128::from(sender) << 64 | u128::from(sequence) | 1 << 100).into());
            match key {
                Some(key) if !arrival.has_text(self, plan) => {
                    recorder.id_only(local as u32, key, at);
                }
                key => recorder.copy(local as u32, sender, sequence.into(), key, at),
            }
        }
        Tally {
            late: LateLog::default(),
            recorder,
            core: CoreUse::default(),
            lost: Vec::new(),
            opcodes: Opcodes::default(),
            deflate: fanstorm::wire::deflate::DeflateCounts::default(),
            sent: 0,
            sent_each: Vec::new(),
            lag: None,
            warmup_lag: None,
            rest: Rest { began: START, ..Rest::default() },
            stamps: None,
            clock_was_set: false,
            first_send: Some(START),
            last_send: START,
        }
    }
}

/// The same run counted with sets and lists.
#[derive(Debug, Default)]
struct Naive {
    delivery: Delivery,
    untaught: Untaught,
    classes: BTreeMap<Class, Vec<u64>>,
    by_node: BTreeMap<usize, Vec<u64>>,
}

impl Naive {
    fn of(case: &Case) -> Self {
        let plan = case.plan(1);
        let sent = case.sent(&plan);
        let timetable = case.timetable(&plan);
        let headline = if timetable.is_some() { Class::Response } else { Class::Service };
        let since = |index: u32| {
            let (sender, sequence) = sent.message(index);
            let sent = sent.sent(index).unwrap();
            timetable.as_ref().map_or(sent, |t| t.intended_of(sender, sequence))
        };
        let mut naive = Self::default();
        let (mut seen, mut latest) = (HashSet::new(), BTreeMap::new());
        let mut times: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        let arrivals = case.arrivals(&plan, &sent);
        let with_text = arrivals.iter().filter(|arrival| arrival.has_text(case, &plan));
        let named: HashSet<_> =
            with_text.map(|arrival| (arrival.sender, arrival.sequence)).collect();
        for arrival in arrivals {
            let Arrival { at, seat, sender, sequence } = arrival;
            naive.delivery.seen += 1;
            if !named.contains(&(sender, sequence)) {
                // Its text was lost on every path: of ids alone nobody can say whose they are.
                naive.delivery.foreign += 1;
                naive.untaught.copies += 1;
                continue;
            }
            if !seen.insert((seat.socket, sender, sequence)) {
                naive.delivery.duplicate += 1;
                continue;
            }
            naive.delivery.delivered += 1;
            let latest = latest.entry((seat.socket, sender)).or_insert(sequence);
            naive.delivery.out_of_order += u64::from(sequence < *latest);
            *latest = sequence.max(*latest);
            let index = sent.index(sender.into(), sequence.into()).unwrap();
            let latency = at.since(since(index)).0;
            naive.note(headline, latency);
            naive.by_node.entry(seat.node as usize).or_default().push(latency);
            if timetable.is_some() {
                naive.note(Class::Service, at.since(sent.sent(index).unwrap()).0);
            }
            times.entry(index).or_default().push(at.0);
        }
        if naive.untaught.copies > 0 {
            naive.untaught.messages = (sent.len() - times.len()) as u64;
        }
        for index in 0..sent.len() as u32 {
            if timetable.is_some() {
                naive.note(Class::Wait, sent.sent(index).unwrap().since(since(index)).0);
            }
            let times = times.remove(&index).unwrap_or_default();
            if times.len() as u64 == plan.sockets() {
                let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
                naive.note(Class::Completion, Nanos(*last).since(since(index)).0);
                naive.note(Class::Spread, last - first);
            }
        }
        naive.delivery.expected = case.messages * plan.sockets();
        naive.delivery.missing = naive.delivery.expected - naive.delivery.delivered;
        naive
    }

    fn note(&mut self, class: Class, latency: u64) {
        self.classes.entry(class).or_default().push(latency);
    }
}

/// Every figure of a report against the value at its rank in the sorted list.
fn assert_figures(what: &str, latencies: &Latencies, mut raw: Vec<u64>) {
    raw.sort_unstable();
    assert_eq!(latencies.len(), raw.len() as u64, "{what}");
    assert_eq!(latencies.min().map(|ns| ns.0), raw.first().copied(), "{what}: the least, exactly");
    assert_eq!(latencies.max().map(|ns| ns.0), raw.last().copied(), "{what}: the most, exactly");
    let quantiles = [(0.5, Percentile::P50), (0.9, Percentile::P90), (0.99, Percentile::P99)];
    for (quantile, percentile) in quantiles {
        let Some(value) = percentile.of(latencies) else { continue };
        let naive = raw[((raw.len() as f64 * quantile).ceil() as usize).max(1) - 1];
        let label = percentile.label();
        assert!(value.0 >= naive, "{what} {label}: {value} below {naive} ns");
        assert!(value.0 - naive <= naive / 1_000 + 1, "{what} {label}: {value}, not {naive} ns");
        assert!(Some(value) <= latencies.max(), "{what} {label}: {value} is above the largest");
    }
}

fn assert_same(what: &str, one: &Latencies, four: &Latencies) {
    assert!(one.histogram() == four.histogram(), "{what}: buckets differ");
    assert_eq!((one.min(), one.max()), (four.min(), four.max()), "{what}");
    assert_eq!(one.saturated(), four.saturated(), "{what}");
}

fn check(case: Case) {
    let (one, four, naive) = (case.recorded(1), case.recorded(4), Naive::of(&case));
    let mut delivery = [one.delivery, four.delivery, naive.delivery];
    if case.by_id {
        // A copy that waited for its id is put in order when it is attributed, not when it came.
        delivery.iter_mut().for_each(|delivery| delivery.out_of_order = 0);
    }
    assert_eq!(delivery[0], delivery[2], "one worker, {case:?}");
    assert_eq!(delivery[1], delivery[2], "four workers, {case:?}");
    assert_eq!((one.untaught, four.untaught), (naive.untaught, naive.untaught), "{case:?}");
    assert_eq!((one.gaps, one.gaps_total), (four.gaps, four.gaps_total), "{case:?}");
    assert_eq!(one.receive_time, four.receive_time, "{case:?}");
    let mut classes = naive.classes;
    for ((class, one), (of, four)) in one.latency_ns.iter().zip(&four.latency_ns) {
        assert_eq!(class, of, "{case:?}");
        let what = format!("{class:?}, {case:?}");
        assert_same(&what, one, four);
        assert_figures(&what, one, classes.remove(class).unwrap_or_default());
    }
    assert!(classes.is_empty(), "no class is left out: {classes:?}, {case:?}");
    let mut by_node = naive.by_node;
    for (one, four) in one.matrix.iter().zip(&four.matrix) {
        let what = format!("node {}, {case:?}", one.to);
        assert_eq!((one.to, one.expected, one.delivered), (four.to, four.expected, four.delivered));
        assert_same(&what, &one.latency_ns, &four.latency_ns);
        assert_figures(&what, &one.latency_ns, by_node.remove(&one.to).unwrap_or_default());
    }
    assert!(by_node.is_empty(), "no node is left out: {case:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn four_workers_record_what_one_does_and_both_what_a_sorted_list_holds(
        seed: u64,
        push_sockets in 4_u32..8,
        receivers_per_node in 0_u32..4,
        messages in 1_u64..300,
        (open_loop, by_id) in any::<(bool, bool)>(),
        (loss, duplicates) in (prop_oneof![0.0..0.2_f64, Just(0.7)], 0.0..0.2_f64),
        jitter_ns in prop_oneof![Just(0_u64), Just(100_000), Just(3_000_000_000)],
    ) {
        check(Case {
            seed,
            push_sockets,
            receivers_per_node,
            messages,
            open_loop,
            by_id,
            loss,
            duplicates,
            jitter_ns,
        });
    }
}

#[test]
fn a_run_with_enough_copies_for_every_percentile_holds_too() {
    for (open_loop, by_id) in [(false, false), (true, true)] {
        check(Case {
            seed: 7,
            push_sockets: 5,
            receivers_per_node: 9,
            messages: 4_000,
            open_loop,
            by_id,
            loss: 0.001,
            duplicates: 0.001,
            jitter_ns: 50_000_000,
        });
    }
}
