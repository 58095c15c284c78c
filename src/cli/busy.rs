//! The share of their time that workers work, second by second, for whoever looks on.
//!
//! Belongs here: the difference of two looks. Does not: who shows it (`live`, `metrics`).

use crate::engine::Snapshot;
use crate::host::clock::{Clock, Monotonic};
use crate::host::facts;
use crate::report::document::Document;
use crate::units::Nanos;

/// CPUs of the workers and of the embedded cluster, which whoever looks on keeps off.
pub(super) fn busy_cpus(begun: &Document) -> Vec<usize> {
    let busy = begun.plan.cores.iter().chain(&begun.plan.cluster_cpus);
    busy.map(|&cpu| cpu as usize).collect()
}

/// What the workers had spent when it was looked last.
#[derive(Debug, Default)]
pub(super) struct BusyShare(Option<Spent>);

#[derive(Debug)]
struct Spent {
    at: Nanos,
    cpu: Vec<Nanos>,
    spun: Vec<Nanos>,
}

impl BusyShare {
    /// Another trial: what was before is not of it.
    pub(super) fn begin(&mut self) {
        self.0 = None;
    }

    /// By worker, of 1, since the last look: none at the first one.
    pub(super) fn look(&mut self, now: &Snapshot<'_>) -> Vec<f64> {
        let spent = Spent {
            at: Monotonic.now(),
            cpu: facts::cpu_times_of_workers(),
            spun: now.spun.clone(),
        };
        let busy = self.0.as_ref().map_or_else(Vec::new, |last| spent.since(last));
        self.0 = Some(spent);
        busy
    }
}

impl Spent {
    /// The share of its time that each worker worked: CPU time but for polls that brought nothing.
    fn since(&self, last: &Self) -> Vec<f64> {
        let passed = self.at.since(last.at).as_secs_f64().max(1e-3);
        let cpu = self.cpu.iter().zip(&last.cpu).map(|(now, then)| now.since(*then));
        let spun = self.spun.iter().zip(&last.spun).map(|(now, then)| now.since(*then));
        let worked = cpu.zip(spun).map(|(cpu, spun)| cpu.since(spun).as_secs_f64());
        worked.map(|worked| (worked / passed).clamp(0.0, 1.0)).collect()
    }
}
