//! What all benches share: interleaved rounds, medians with spread, one line for people and one of
//! JSON for scripts.
//!
//! A bench checks its own answer; it never judges a time. `FANSTORM_BENCH_SMOKE=1` runs it small, to
//! check the answers only; `FANSTORM_BENCH_ROUNDS=1` makes one round, to interleave two builds. Names of
//! shapes and of subjects as arguments narrow it down.

use std::fmt::Write as _;

/// Rounds of A B A B, and how large each is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// How often each subject runs.
    pub(crate) rounds: usize,
    /// Part of the full load, 0 to 1.
    pub(crate) scale: f64,
}

impl Size {
    /// From the environment: full, or small enough for CI.
    pub(crate) fn from_env() -> Self {
        if std::env::var_os("FANSTORM_BENCH_SMOKE").is_some() {
            Self { rounds: 1, scale: 0.02 }
        } else {
            let rounds = std::env::var("FANSTORM_BENCH_ROUNDS").ok();
            Self { rounds: rounds.and_then(|n| n.parse().ok()).unwrap_or(5), scale: 1.0 }
        }
    }

    /// A count at this size, at least 1.
    pub(crate) fn of(&self, full: u64) -> u64 {
        ((full as f64 * self.scale) as u64).max(1)
    }
}

/// The figures of one subject on one shape.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Who was measured.
    pub(crate) subject: &'static str,
    /// One figure for each round, in nanoseconds (per copy, per message, ...).
    pub(crate) ns: Vec<f64>,
}

impl Row {
    /// No figure yet.
    pub(crate) fn new(subject: &'static str) -> Self {
        Self { subject, ns: Vec::new() }
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.ns.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn min(&self) -> f64 {
        self.ns.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn max(&self) -> f64 {
        self.ns.iter().copied().fold(0.0, f64::max)
    }
}

/// What was named on the command line.
fn named() -> Vec<String> {
    std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect()
}

/// Whether a shape is to run: it was named, or no shape was.
pub(crate) fn wants(shape: &str, shapes: &[&str]) -> bool {
    let named = named();
    named.iter().any(|name| name == shape) || !named.iter().any(|name| shapes.contains(&&**name))
}

/// The subjects that were named; all, where none was.
fn wanted(subjects: &[&'static str]) -> Vec<&'static str> {
    let named = named();
    let mut wanted = subjects.to_vec();
    wanted.retain(|subject| named.iter().any(|name| name == subject));
    if wanted.is_empty() { subjects.to_vec() } else { wanted }
}

/// Runs every subject once in each round, in turn, and prints the result.
pub(crate) fn interleave(
    bench: &str,
    shape: &str,
    size: Size,
    subjects: &[&'static str],
    mut run: impl FnMut(&'static str) -> f64,
) -> Vec<Row> {
    let mut rows: Vec<Row> = wanted(subjects).into_iter().map(Row::new).collect();
    for _ in 0..size.rounds {
        for row in &mut rows {
            row.ns.push(run(row.subject));
        }
    }
    print(bench, shape, &rows);
    rows
}

/// Prints medians, spread, and ratios to the first subject; then one JSON line for each.
pub(crate) fn print(bench: &str, shape: &str, rows: &[Row]) {
    let Some(first) = rows.first().map(Row::median) else { return };
    let mut out = String::new();
    for row in rows {
        let ratio = first / row.median();
        let _ = writeln!(
            out,
            "{bench:10} {shape:12} {:20} {:>9.1} ns  [{:>9.1} .. {:>9.1}]  {} / this = {ratio:.3}",
            row.subject,
            row.median(),
            row.min(),
            row.max(),
            rows[0].subject,
        );
    }
    for row in rows {
        let _ = writeln!(
            out,
            "{{\"bench\":\"{bench}\",\"shape\":\"{shape}\",\"subject\":\"{}\",\"ns\":{:.1},\
             \"min\":{:.1},\"max\":{:.1},\"runs\":{}}}",
            row.subject,
            row.median(),
            row.min(),
            row.max(),
            row.ns.len()
        );
    }
    print!("{out}");
}

/// The CPU for the measured client and the one for its peer: apart wherever there are two.
pub(crate) fn cpus() -> (usize, usize) {
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    let peer = cpus.first().map_or(0, |cpu| cpu.id);
    (cpus.last().map_or(0, |cpu| cpu.id), peer)
}

/// Pins the calling thread; a bench on an unpinned thread would measure the scheduler.
pub(crate) fn pin(cpu: usize) {
    assert!(core_affinity::set_for_current(core_affinity::CoreId { id: cpu }), "CPU {cpu}");
}
