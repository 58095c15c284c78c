//! Benches whose runs give several figures each: the same rounds, one table and one JSON line for
//! each subject.
//!
//! Belongs here: rounds and printing. Does not: what a figure means. The first one is the bench's
//! own, under the keys that every bench has (`ns`, `min`, `max`, `runs`); the others follow under
//! their names, with the spread of each.

use std::fmt::Write as _;

use fanstorm::units::Nanos;

use super::common::Size;

/// The figures of one run, by the names that the bench gave.
pub(crate) type Figures<const N: usize> = [f64; N];

/// One subject's runs.
struct Row<const N: usize> {
    subject: &'static str,
    runs: Vec<Figures<N>>,
}

/// The middle, the least and the largest of one figure over all runs.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl<const N: usize> Row<N> {
    fn spread(&self, figure: usize) -> Spread {
        let mut sorted: Vec<f64> = self.runs.iter().map(|run| run[figure]).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        Spread { median: at(sorted.len() / 2), min: at(0), max: at(sorted.len() - 1) }
    }
}

/// Runs every subject once in each round, in turn, and prints what came out. Names of figures end
/// in their unit.
pub(crate) fn interleave<const N: usize>(
    (bench, shape): (&str, &str),
    size: Size,
    names: [&str; N],
    subjects: &[&'static str],
    mut run: impl FnMut(&'static str) -> Figures<N>,
) {
    let row = |subject: &&'static str| Row { subject, runs: Vec::new() };
    let mut rows: Vec<Row<N>> = subjects.iter().map(row).collect();
    for _ in 0..size.rounds {
        for row in &mut rows {
            row.runs.push(run(row.subject));
        }
    }
    let mut out = String::new();
    table((bench, shape), names, &rows, &mut out);
    rows.iter().for_each(|row| json((bench, shape), names, row, &mut out));
    print!("{out}");
}

fn table<const N: usize>(
    (bench, shape): (&str, &str),
    names: [&str; N],
    rows: &[Row<N>],
    out: &mut String,
) {
    for row in rows {
        let _ = write!(out, "{bench:8} {shape:8} {:18}", row.subject);
        for (figure, name) in names.into_iter().enumerate() {
            let Spread { median, min, max } = row.spread(figure);
            let [median, min, max] = [median, min, max].map(|value| shown(name, value));
            let _ = write!(out, "  {name} {median} [{min} .. {max}]");
        }
        let _ = writeln!(out);
    }
}

/// For people: times with a unit that suits their size.
fn shown(name: &str, value: f64) -> String {
    match value {
        _ if name.ends_with("_ns") => Nanos(value as u64).to_string(),
        0.0..10.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

fn json<const N: usize>(
    (bench, shape): (&str, &str),
    names: [&str; N],
    row: &Row<N>,
    out: &mut String,
) {
    let _ = write!(
        out,
        "{{\"bench\":\"{bench}\",\"shape\":\"{shape}\",\"subject\":\"{}\",\"runs\":{}",
        row.subject,
        row.runs.len()
    );
    for (figure, name) in names.into_iter().enumerate() {
        let Spread { median, min, max } = row.spread(figure);
        if figure == 0 {
            let _ = write!(out, ",\"ns\":{median:.1},\"min\":{min:.1},\"max\":{max:.1}");
        } else {
            let _ = write!(
                out,
                ",\"{name}\":{median:.3},\"{name}_min\":{min:.3},\"{name}_max\":{max:.3}"
            );
        }
    }
    let _ = writeln!(out, "}}");
}
