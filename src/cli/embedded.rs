//! The embedded cluster that a run starts for itself, as its flags ask for it.
//!
//! Belongs here: what to start, and what is told at its end. Does not: the flags (`args`), starting it (`run`).

use std::fmt;
use std::path::Path;

use super::output::warn;
use crate::cluster::{Cluster, ClusterConfig, FaultSpec, fault_log};
use crate::host::io_words::unnumbered;
use crate::plan::backend::Engine;

/// The embedded cluster, as asked for.
#[derive(Clone, Copy, Debug)]
pub struct Embedded<'a> {
    /// How many nodes.
    pub nodes: u16,
    /// They pass on bytes without reading them.
    pub relay: bool,
    /// What they do wrong.
    pub faults: &'a [FaultSpec],
    /// Where they write what they did.
    pub fault_log: Option<&'a Path>,
    /// Seed of the faults.
    pub seed: u64,
    /// They let clients in over TLS.
    pub tls: bool,
}

impl Embedded<'_> {
    /// What to start, on these CPUs, for so many sockets, on what the workers stand on.
    pub fn config(&self, cpus: &[usize], sockets: u64, engine: Engine) -> ClusterConfig {
        ClusterConfig {
            nodes: self.nodes.into(),
            relay: self.relay,
            faults: self.faults.to_vec(),
            seed: self.seed,
            cpus: cpus.to_vec(),
            fault_log: self.fault_log.map(ToOwned::to_owned),
            clients: Some(sockets),
            io_uring: engine == Engine::IoUring,
            tls: self.tls,
            ..ClusterConfig::default()
        }
    }
}

impl fmt::Display for Embedded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.relay { "embedded relay" } else { "embedded" })?;
        self.faults.iter().try_for_each(|fault| write!(f, ", fault {fault}"))
    }
}
/// Ends the embedded cluster, and tells of processes that had ended before. Returns whether the account of
/// its faults is whole.
pub(super) fn end(cluster: Option<Cluster>) -> bool {
    let Some(mut cluster) = cluster else { return true };
    let mut whole = true;
    while let Some(death) = cluster.child_died() {
        if death.contains(fault_log::UNWRITTEN) {
            whole = false;
            warn(&format!("--fault-log: {}", unnumbered(&death)));
        }
    }
    whole
}
