//! What connecting came to: how many sockets, how fast, and why some are not there.
//!
//! Belongs here: merging what the workers saw, and what the sockets that are left out mean for a trial.
//! Does not: connecting (`engine`), who may be left out (`plan::connect_options`).

use std::collections::BTreeMap;

use super::extensions::{Extensions, ExtensionsBy};
use super::latencies::Latencies;
use super::reached::{Reached, ReachedBy};
use super::sessions::{Sessions, SessionsBy};
use crate::population::audience::Audience;
use crate::population::sockets::{Population, Role, SocketId};
use crate::units::Nanos;

/// A socket that could not be made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which socket, to which node.
    pub seat: SocketId,
    /// `open`, `connect`, `handshake`, `upgrade`, `opening`, `session`.
    pub phase: &'static str,
    /// One clause.
    pub reason: String,
}

/// Sockets to one node that failed in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedSockets {
    /// Index of the node.
    pub node: usize,
    /// As [`Failure::phase`].
    pub phase: &'static str,
    /// One clause.
    pub reason: String,
    /// How many.
    pub sockets: u64,
}

/// One worker's share of the connecting.
#[derive(Clone, Debug, Default)]
pub struct ConnectRecord {
    /// From the start of a connect to its end, of those that succeeded.
    pub connect: Latencies,
    /// From the connection to its end, of those that succeeded; none without TLS.
    pub handshake: Latencies,
    /// What those came to.
    pub sessions: SessionsBy,
    /// How nodes compress, where that is offered.
    pub extensions: ExtensionsBy,
    /// From the request to the whole answer, of those that were accepted.
    pub upgrade: Latencies,
    /// When the last socket was ready or given up.
    pub settled_at: Nanos,
    /// Ports that somebody else held, and that were passed over.
    pub ports_passed_over: u64,
    /// Who took the sockets, where the plan asks for that.
    pub reached: ReachedBy,
    /// Sockets for which nodes set a cookie, by its name.
    pub cookies: BTreeMap<String, u64>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Connecting {
    /// Sockets planned.
    pub sockets: u64,
    /// Sockets that were there when the first trial began.
    pub connected: u64,
    /// From the start until the last socket was ready or given up.
    pub wall: Nanos,
    /// See [`ConnectRecord::connect`].
    pub connect: Latencies,
    /// See [`ConnectRecord::handshake`].
    pub handshake: Latencies,
    /// See [`ConnectRecord::sessions`].
    pub sessions: Vec<Sessions>,
    /// See [`ConnectRecord::extensions`].
    pub extensions: Vec<Extensions>,
    /// See [`ConnectRecord::upgrade`].
    pub upgrade: Latencies,
    /// See [`ConnectRecord::ports_passed_over`].
    pub ports_passed_over: u64,
    /// See [`ConnectRecord::reached`].
    pub reached: Vec<Reached>,
    /// See [`ConnectRecord::cookies`].
    pub cookies: BTreeMap<String, u64>,
    /// Push sockets among those that are not there.
    pub push_failed: u64,
    /// The sockets that are not there, by node, phase and reason.
    pub failures: Vec<FailedSockets>,
    /// The same by number.
    pub left_out: Vec<u32>,
}

impl Connecting {
    /// Merges what the workers saw; it began at `start`.
    pub fn merge(
        population: &Population,
        start: Nanos,
        shares: &[ConnectRecord],
        failures: &[Failure],
    ) -> Self {
        let sockets = population.sockets().into();
        let mut all = Self { sockets, connected: sockets, ..Self::default() };
        for share in shares {
            all.connect.add(&share.connect);
            all.handshake.add(&share.handshake);
            all.upgrade.add(&share.upgrade);
            all.wall = all.wall.max(share.settled_at.since(start));
            all.ports_passed_over += share.ports_passed_over;
            for (name, sockets) in &share.cookies {
                *all.cookies.entry(name.clone()).or_default() += sockets;
            }
        }
        all.extensions = ExtensionsBy::merged(shares.iter().map(|share| &share.extensions));
        all.sessions = SessionsBy::merged(shares.iter().map(|share| &share.sessions));
        all.reached = ReachedBy::merged(shares.iter().map(|share| &share.reached), population);
        all.lose(population, failures);
        all
    }

    /// Further sockets are not there.
    pub fn lose(&mut self, population: &Population, failures: &[Failure]) {
        let pushing =
            failures.iter().filter(|failure| population.role(failure.seat.socket) == Role::Push);
        self.push_failed += pushing.count() as u64;
        let mut counts: BTreeMap<(usize, &'static str, &str), u64> = BTreeMap::new();
        for known in &self.failures {
            *counts.entry((known.node, known.phase, &known.reason)).or_default() += known.sockets;
        }
        for Failure { seat, phase, reason } in failures {
            *counts.entry((seat.node as usize, phase, reason)).or_default() += 1;
        }
        let failed = |((node, phase, reason), sockets): ((usize, &'static str, &str), u64)| {
            FailedSockets { node, phase, reason: reason.to_owned(), sockets }
        };
        let all: Vec<_> = counts.into_iter().map(failed).collect();
        self.failures = all;
        self.left_out.extend(failures.iter().map(|failure| failure.seat.socket));
        self.connected -= failures.len() as u64;
    }

    /// `audience` without the sockets that are not there.
    pub fn there(&self, audience: &Audience) -> Audience {
        audience.without(self.left_out.iter().copied())
    }

    /// Sockets that are not there.
    pub fn failed(&self) -> u64 {
        self.sockets - self.connected
    }

    /// Sockets that were ready, a second; 0 when it took no time.
    pub fn rate_per_s(&self) -> f64 {
        if self.wall.0 == 0 { 0.0 } else { self.connected as f64 / self.wall.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture;

    fn failure(node: u32, phase: &'static str, reason: &str) -> Failure {
        Failure { seat: SocketId { socket: 2 + node, node }, phase, reason: reason.to_owned() }
    }

    #[test]
    fn failures_are_counted_by_node_phase_and_reason_and_every_socket_once() {
        let refused = || failure(1, "connect", "refused");
        let first = [refused(), refused(), failure(0, "connect", "refused")];
        let mut share = ConnectRecord { settled_at: Nanos(1_500), ..ConnectRecord::default() };
        share.connect.record(Nanos(10));
        let plan = fixture::plan(&[1, 2], |spec| {
            (spec.push_sockets, spec.receivers_per_node) = (3, Some(5));
        });
        let mut all =
            Connecting::merge(plan.population(), Nanos(500), &[share.clone(), share], &first);
        all.lose(plan.population(), &[refused(), failure(1, "session", "reset")]);
        let counted: Vec<_> = all.failures.iter().map(|f| (f.node, f.phase, f.sockets)).collect();
        assert_eq!(counted, [(0, "connect", 1), (1, "connect", 3), (1, "session", 1)]);
        assert_eq!((all.connected, all.failed(), all.push_failed), (8, 5, 1));
        assert_eq!(all.failures.iter().map(|f| f.sockets).sum::<u64>(), all.failed());
        assert_eq!((all.connect.len(), all.wall), (2, Nanos(1_000)));
    }
}
