//! `--delayed-ack` as the kernel sees it: on the sockets of a run, while it runs.
//!
//! Belongs here: that the option is in force where it was asked for and nowhere else. Does not: what it
//! saves (`docs/performance.md`).

#![expect(unsafe_code, reason = "descriptors of this process are known by number alone")]

#[path = "common/plan.rs"]
mod common;
#[path = "common/io_uring.rs"]
mod io_uring;

use std::fs::DirEntry;
use std::os::fd::{BorrowedFd, RawFd};

use std::sync::Arc;

use fanstorm::cluster::{Cluster, ClusterConfig};
use fanstorm::engine::{Fleet, Phase, Progress, Stop, Watch};
use fanstorm::load::inter_arrival::InterArrival;
use fanstorm::load::profile::FixedRate;
use fanstorm::load::trial::Trial;
use fanstorm::plan::backend::Engine;
use fanstorm::plan::load::Spec;
use fanstorm::units::{Nanos, Rate};
use rustix::net::{SocketAddrAny, getpeername, sockopt};

/// With the push socket a multiple of the reads after which a socket is asked again.
const RECEIVERS: u32 = 47;

/// Looks at our sockets to a node again and again, from when enough copies have come.
///
/// Not once: a host that lets a process wait for longer than an acknowledgement may be put off makes all
/// sockets acknowledge at once, until they have read often enough to be asked again.
struct Look {
    node: std::net::SocketAddr,
    copies: u64,
    /// Sockets that acknowledge late, and all, when most did.
    late: Option<(usize, usize)>,
}

impl Watch for Look {
    fn progress(&mut self, progress: &Progress) {
        let running = matches!(progress.phase, Phase::Running { .. });
        if running && progress.done >= self.copies {
            let sockets = ours(self.node);
            let late = sockets.iter().filter(|fd| !sockopt::tcp_quickack(fd).unwrap()).count();
            self.late = self.late.max(Some((late, sockets.len())));
        }
    }
}

/// The sockets of this process that are connected to `node`.
///
/// Not by `pidfd_getfd`, which would need no unsafe code: container runtimes refuse it.
fn ours(node: std::net::SocketAddr) -> Vec<BorrowedFd<'static>> {
    let node = SocketAddrAny::from(node);
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let is_socket = |entry: &DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
    };
    let numbers = entries.filter(is_socket).filter_map(|e| e.file_name().to_str()?.parse().ok());
    let fds = numbers.map(|number: RawFd| {
        // SAFETY: a run's sockets stay open while it runs, and its watch asks; other sockets of this
        // process are only asked for their peer.
        unsafe { BorrowedFd::borrow_raw(number) }
    });
    fds.filter(|fd| getpeername(fd).ok().flatten().is_some_and(|peer| peer == node)).collect()
}

fn late_of(engine: Engine, delayed_ack: bool) -> (usize, usize) {
    let executable = Some(env!("CARGO_BIN_EXE_fanstorm").into());
    let config = ClusterConfig {
        nodes: 1,
        relay: true,
        executable,
        clients: Some(64),
        ..ClusterConfig::default()
    };
    let cluster = Cluster::start(&config).unwrap();
    // Copies follow each other faster than an acknowledgement may be put off.
    let profile = FixedRate { rate: Rate::per_second(200.0), arrivals: InterArrival::Constant };
    let mut spec = Spec {
        push_sockets: 1,
        receivers_per_node: Some(RECEIVERS),
        trials: Trial::each(&[200], profile, Nanos::ZERO),
        ..Spec::default()
    };
    spec.dialing.delayed_ack = delayed_ack;
    let mut plan = common::plan(cluster.node_urls(), spec);
    plan.generator.engine = engine;
    let mut look = Look { node: plan.nodes[0].addr, copies: 40 * plan.sockets(), late: None };
    let trial = plan.trials[0].clone();
    let mut fleet = Fleet::connect(Arc::new(plan), &Stop::default(), &mut look).unwrap();
    let measured = fleet.trial(&trial, true, &mut look).unwrap();
    assert_eq!(measured.outcome.delivery.missing, 0);
    look.late.expect("a look at the sockets")
}

#[test]
fn sockets_acknowledge_late_where_that_was_asked_for_and_nowhere_else() {
    assert!(Nanos::from_millis(1_000 / 200) < Nanos::from_millis(40), "the rate is high enough");
    let mut engines = vec![Engine::Epoll];
    if io_uring::is_granted("late acknowledgements on io_uring") {
        engines.push(Engine::IoUring);
    }
    for engine in engines {
        let all = RECEIVERS as usize + 1;
        // A busy host lets an acknowledgement run into its 40 ms on a few even then.
        let (late, sockets) = late_of(engine, true);
        assert!(
            sockets == all && late >= all * 3 / 4,
            "{late} of {sockets} of {all} on {engine:?}"
        );
        // The push socket sends between copies, and then the kernel itself puts them off.
        let (late, sockets) = late_of(engine, false);
        assert!(sockets == all && late <= all / 4, "{late} of {sockets} of {all} on {engine:?}");
    }
}
