//! What is said on open sockets without being asked: heartbeats of the dialect, and Pings.
//!
//! Belongs here: which socket's turn it is. Does not: sending (`connection::outbox`), what is said
//! (`dialect::keepalive`).
//!
//! All sockets have the same periods, so those of one period are due in the order in which they were
//! last heard of: a queue, and no wheel. A plan without heartbeats has no queue, and compares one time in
//! each turn.

use std::collections::VecDeque;

use crate::dialect::Saying;
use crate::engine::frames::opcode;
use crate::engine::ring::Slot;
use crate::plan::Plan;
use crate::units::Nanos;
use crate::wire::frame::Opcode;

/// Frames of a turn at most: as many as the outbox has memory for, and a fraction of a millisecond. The rest
/// is due in the next turn.
const TURN_MAX: usize = 128;

/// All that is said again and again.
#[derive(Debug)]
pub(super) struct Timers {
    rounds: Vec<Round>,
    /// By slot: it has a place in every queue.
    is_queued: Vec<bool>,
    /// Nothing is due before.
    next: Nanos,
}

/// One thing that is said, and whose turn it is when.
#[derive(Debug)]
struct Round {
    every: Nanos,
    opcode: Opcode,
    payload: Saying,
    queue: VecDeque<(Nanos, Slot)>,
}

impl Timers {
    /// For so many sockets; allocates all that it will ever need.
    pub(super) fn new(plan: &Plan, sockets: usize) -> Self {
        let round = |every, opcode, payload: &Saying| Round {
            every,
            opcode,
            payload: payload.clone(),
            queue: VecDeque::with_capacity(sockets),
        };
        let dialect = &plan.dialect;
        let heartbeats = dialect.heartbeats.iter();
        let heartbeats = heartbeats.map(|beat| round(beat.every, opcode(dialect.kind), &beat.send));
        let ping = plan.connect.ping.or(dialect.ping);
        let ping = ping.map(|every| round(every, Opcode::Ping, &Saying::from(&b""[..])));
        let rounds: Vec<_> = heartbeats.chain(ping).collect();
        let queued = if rounds.is_empty() { 0 } else { sockets };
        Self { rounds, is_queued: vec![false; queued], next: Nanos::MAX }
    }

    /// A socket is ready.
    pub(super) fn begin(&mut self, slot: Slot, now: Nanos) {
        // One that was connected again has its places still, if no turn of its own came meanwhile.
        if self.rounds.is_empty() || std::mem::replace(&mut self.is_queued[slot as usize], true) {
            return;
        }
        for round in &mut self.rounds {
            round.queue.push_back((now.plus(round.every), slot));
        }
        self.look();
    }

    /// Whether something may be due.
    #[inline]
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        now >= self.next
    }

    /// Says what is due, on sockets that may be gone.
    pub(super) fn run(&mut self, now: Nanos, mut say: impl FnMut(Slot, Opcode, &Saying)) {
        for round in &mut self.rounds {
            for _ in 0..TURN_MAX {
                let Some(&(_, slot)) = round.queue.front().filter(|(due, _)| *due <= now) else {
                    break;
                };
                round.queue.pop_front();
                say(slot, round.opcode, &round.payload);
                // From now on, so that the queue stays in order. A socket that is gone keeps its place: it may
                // be connected again.
                round.queue.push_back((now.plus(round.every), slot));
            }
        }
        self.look();
    }

    fn look(&mut self) {
        let fronts = self.rounds.iter().filter_map(|round| round.queue.front());
        self.next = fronts.map(|(due, _)| *due).min().unwrap_or(Nanos::MAX);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Heartbeat;
    use crate::plan::fixture;

    fn timers(every: &[u64], ping: Option<u64>, sockets: usize) -> Timers {
        let mut plan = fixture::plan(&[1], |_| {});
        let beat = |&every: &u64| Heartbeat {
            every: Nanos(every),
            send: every.to_string().as_bytes().into(),
        };
        plan.dialect.heartbeats = every.iter().map(beat).collect();
        plan.connect.ping = ping.map(Nanos);
        Timers::new(&plan, sockets)
    }

    #[test]
    fn a_plan_without_heartbeats_keeps_nothing_and_has_nothing_due() {
        let mut timers = timers(&[], None, 1_000_000);
        timers.begin(999_999, Nanos(5));
        assert!(!timers.is_due(Nanos(u64::MAX - 1)));
        assert_eq!(timers.is_queued.capacity(), 0);
    }

    proptest! {
        /// The twin knows of each socket when it last said each thing, and looks at all of them.
        #[test]
        fn every_socket_says_each_thing_as_soon_as_a_turn_finds_it_due_and_never_sooner(
            every in prop::collection::vec(1_u64..50, 0..3),
            ping in prop::option::of(1_u64..50),
            turns in prop::collection::vec((0_u64..20, prop::option::of(0_u32..40)), 1..80),
        ) {
            let mut timers = timers(&every, ping, 40);
            let periods: Vec<u64> = every.iter().copied().chain(ping).collect();
            let mut last = vec![None::<Vec<u64>>; 40];
            let mut now = 0;
            for (step, opened) in turns {
                now += step;
                if let Some(slot) = opened {
                    timers.begin(slot, Nanos(now));
                    last[slot as usize].get_or_insert_with(|| vec![now; periods.len()]);
                }
                let mut said = Vec::new();
                while timers.is_due(Nanos(now)) {
                    timers.run(Nanos(now), |slot, opcode, payload| {
                        let Saying::Same(payload) = payload else { panic!("{payload:?}") };
                        said.push((slot, opcode, payload.clone()));
                    });
                }
                let mut due = Vec::new();
                for (slot, last) in (0..).zip(&mut last) {
                    for (place, last) in last.iter_mut().flatten().enumerate() {
                        if now - *last >= periods[place] {
                            *last = now;
                            let beat = || (Opcode::Text, periods[place].to_string().into_bytes());
                            let is_ping = place == every.len();
                            let (opcode, payload) = if is_ping { (Opcode::Ping, Vec::new()) } else { beat() };
                            due.push((slot, opcode, payload));
                        }
                    }
                }
                let key = |(slot, opcode, payload): &(u32, Opcode, Vec<u8>)| (*slot, *opcode as u8, payload.clone());
                said.sort_by_key(key);
                due.sort_by_key(key);
                prop_assert_eq!(said, due);
            }
        }
    }
}
