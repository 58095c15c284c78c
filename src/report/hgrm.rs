//! One latency class as a percentile distribution: the text that HdrHistogram's plotter takes.
//!
//! Belongs here: the columns, ticks and footers that HdrHistogram's Java and C libraries write. Does
//! not: which class of which row (`cli`).
//!
//! Values are milliseconds, the unit that the plotter takes unless told otherwise, but to the
//! nanosecond: the libraries' three decimals would leave nothing of a latency of some microseconds.

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// Steps in each half of the remaining distance to 100 %: as many as HdrHistogram's own tools take.
const TICKS_PER_HALF_DISTANCE: u64 = 5;
/// Nanoseconds of the unit of the values.
const UNIT_NS: f64 = 1e6;

/// A line of the distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    value_ns: u64,
    percent: f64,
    samples: u64,
}

/// Writes the distribution of a histogram of nanoseconds. `what` says of what it is, in a footer that
/// plotters pass over; one line.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, ns: &Histogram<u64>, what: &str) -> io::Result<()> {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    steps(ns).try_for_each(|step| line(out, step))?;
    footers(out, ns)?;
    writeln!(out, "#[{what}, values in milliseconds]")
}

fn line(out: &mut dyn Write, step: Step) -> io::Result<()> {
    let Step { value_ns, percent, samples } = step;
    let (value, quantile) = (value_ns as f64 / UNIT_NS, percent / 100.0);
    write!(out, "{value:12.6} {quantile:.12} {samples:>10}")?;
    // 1/(1-1) is left out, as the Java library does; the C library writes inf.
    if percent < 100.0 { writeln!(out, " {:14.2}", 1.0 / (1.0 - quantile)) } else { writeln!(out) }
}

fn footers(out: &mut dyn Write, ns: &Histogram<u64>) -> io::Result<()> {
    let (mean, deviation) = (ns.mean() / UNIT_NS, ns.stdev() / UNIT_NS);
    writeln!(out, "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]")?;
    let (max, total) = (ns.max() as f64 / UNIT_NS, ns.len());
    writeln!(out, "#[Max     = {max:12.6}, Total count    = {total:12}]")?;
    let (buckets, sub_buckets) = (ns.buckets(), sub_buckets(ns));
    writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]")
}

/// Values that a bucket tells apart: the power of two that holds twice the digits.
fn sub_buckets(ns: &Histogram<u64>) -> u64 {
    (2 * 10_u64.pow(ns.sigfig().into())).next_power_of_two()
}

/// The distribution at fixed ticks in each half of the remaining distance to 100 %, in the arithmetic
/// of the Java library, so that its rows are ours: the crate's own iterator counts in quantiles
/// instead of percents and rounds to other rows here and there.
fn steps(ns: &Histogram<u64>) -> impl Iterator<Item = Step> {
    let (total, mut samples, mut level) = (ns.len(), 0, 0.0);
    let recorded = ns
        .iter_recorded()
        .map(|bucket| (ns.highest_equivalent(bucket.value_iterated_to()), bucket.count_at_value()));
    recorded.flat_map(move |(value_ns, count)| {
        samples += count;
        let reached = 100.0 * samples as f64 / total as f64;
        let mut steps = Vec::new();
        while reached >= level {
            steps.push(Step { value_ns, percent: level, samples });
            level = next_level(level);
            if samples == total {
                // What is left lies all in this bucket: one more step says so.
                steps.push(Step { value_ns, percent: 100.0, samples });
                break;
            }
        }
        steps
    })
}

/// The tick after `percent`: their distance halves with each halving of the distance to 100 %.
fn next_level(percent: f64) -> f64 {
    let halvings = ((100.0 / (100.0 - percent)).ln() / 2_f64.ln()) as i32 + 1;
    percent + 100.0 / (TICKS_PER_HALF_DISTANCE as f64 * 2_f64.powi(halvings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latencies::histogram;
    use proptest::prelude::*;

    fn recorded(values: &[u64]) -> Histogram<u64> {
        let mut ns = histogram();
        values.iter().for_each(|&value| ns.record(value).unwrap());
        ns
    }

    fn written(ns: &Histogram<u64>) -> String {
        let mut out = Vec::new();
        write(&mut out, ns, "service").unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Durations to three decimals, as the Java library has it for three significant digits.
    fn to_three_decimals(text: &str) -> String {
        let short = |word: &str| match word.trim_end_matches([',', ']']).split_once('.') {
            Some((_, decimals)) if decimals.len() == 6 => {
                let number: f64 = word.trim_end_matches([',', ']']).parse().unwrap();
                format!(
                    "{number:.3}{}",
                    word.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit())
                )
            }
            _ => word.to_owned(),
        };
        let line = |line: &str| line.split_whitespace().map(short).collect::<Vec<_>>().join(" ");
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn it_is_what_the_java_library_writes_but_with_more_decimals() {
        let values: Vec<u64> = (1..=10).map(|i| i * 1_000_000).collect();
        let ours = written(&recorded(&values));
        assert_eq!(ours.lines().last(), Some("#[service, values in milliseconds]"));
        let java = format!("{JAVA}#[service, values in milliseconds]\n");
        assert_eq!(to_three_decimals(&ours), to_three_decimals(&java));
        let widths = |text: &str| text.lines().map(str::len).collect::<Vec<_>>();
        assert_eq!(widths(&ours), widths(&java), "the columns are as wide");
    }

    #[test]
    fn a_plotter_finds_a_point_in_every_row_but_the_last() {
        // As plotFiles.html of HdrHistogram reads it.
        let text = written(&recorded(&[1_000, 2_000, 3_000]));
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        let cells = rows.map(|line| line.split(' ').filter(|cell| !cell.is_empty()).collect());
        let cells: Vec<Vec<&str>> = cells.collect();
        let plotted = |cells: &&Vec<&str>| {
            cells.len() == 4 && cells.iter().all(|cell| cell.parse::<f64>().is_ok())
        };
        // Heading, blank line, and the row of 100 % are no points.
        assert_eq!(cells.iter().filter(plotted).count(), cells.len() - 3, "{text}");
        assert_eq!(cells.last().unwrap()[1..], ["1.000000000000", "3"]);
    }

    #[test]
    fn a_histogram_without_samples_has_no_rows() {
        let text = written(&histogram());
        assert!(text.contains("1/(1-Percentile)\n\n#[Mean"), "{text}");
    }

    proptest! {
        #[test]
        fn a_row_is_the_least_value_that_so_many_percent_do_not_exceed(
            values in proptest::collection::vec(1_u64..10_000_000, 1..400)
        ) {
            let ns = recorded(&values);
            let steps: Vec<Step> = steps(&ns).collect();
            for step in &steps {
                let at_most = |value: u64| values.iter().filter(|&&v| v <= value).count() as u64;
                prop_assert_eq!(step.samples, at_most(step.value_ns));
                prop_assert!(100.0 * step.samples as f64 >= step.percent * values.len() as f64 - 1e-6);
                let below = ns.lowest_equivalent(step.value_ns) - 1;
                prop_assert!((100.0 * at_most(below) as f64) < step.percent.max(1e-9) * values.len() as f64);
            }
            let last = steps.last().unwrap();
            prop_assert_eq!((last.percent, last.samples), (100.0, values.len() as u64));
            prop_assert!(steps.windows(2).all(|pair| pair[0].percent < pair[1].percent));
            prop_assert_eq!(steps.iter().filter(|step| step.percent < 50.0).count(), 5.min(steps.len() - 1));
        }
    }

    /// `Histogram(1, 3600000000000L, 3)` with 1 to 10 ms, `outputPercentileDistribution(out, 1e6)` of
    /// HdrHistogram 2.1.11.
    const JAVA: &str = "       Value     Percentile TotalCount 1/(1-Percentile)

       1.000 0.000000000000          1           1.00
       1.000 0.100000000000          1           1.11
       2.001 0.200000000000          2           1.25
       3.000 0.300000000000          3           1.43
       4.002 0.400000000000          4           1.67
       5.001 0.500000000000          5           2.00
       6.001 0.550000000000          6           2.22
       6.001 0.600000000000          6           2.50
       7.000 0.650000000000          7           2.86
       7.000 0.700000000000          7           3.33
       8.004 0.750000000000          8           4.00
       8.004 0.775000000000          8           4.44
       8.004 0.800000000000          8           5.00
       9.003 0.825000000000          9           5.71
       9.003 0.850000000000          9           6.67
       9.003 0.875000000000          9           8.00
       9.003 0.887500000000          9           8.89
       9.003 0.900000000000          9          10.00
      10.002 0.912500000000         10          11.43
      10.002 1.000000000000         10
#[Mean    =        5.500, StdDeviation   =        2.872]
#[Max     =       10.002, Total count    =           10]
#[Buckets =           32, SubBuckets     =         2048]
";
}
