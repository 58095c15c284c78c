//! The interval log of `HdrHistogram` (`.hlog`): every interval and class as a histogram, lossless,
//! for `HistogramLogProcessor` and whatever else reads the format.
//!
//! Belongs here: header, tags and trials, as the Java original writes them. Does not: which intervals
//! there are (`measure::series`).
//!
//! Values are nanoseconds, and the third column is in milliseconds, as everywhere in that format.
//! Timestamps are seconds since `BaseTime`. Tags: `e2e-rt.<from>-<to>` response and
//! `e2e-st.<from>-<to>` service time of copies by node (`e2e-st` of all nodes, where response leads), with a
//! third part `.<name>` where a header names the nodes behind an address,
//! `send-wt` wait, `done-rt` completion (`done-st` where it starts at the send), `spread`; in front of
//! those of the warm-up stands `warmup.`. Before all trials stand `connect`, with TLS `handshake`, and
//! `upgrade`, of the sockets that came to be, over the whole time that connecting took.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use super::VERSION;
use crate::experiment::Outcome;
use crate::host::clock::civil;
use crate::measure::connecting::Connecting;
use crate::measure::outcome::{Class, Interval, Track, TrialOutcome};
use crate::plan::Plan;

/// The Java original counts in nanoseconds and shows milliseconds.
const NS_PER_MS: f64 = 1e6;

/// Java's reader skips exactly this line.
const LEGEND: &str =
    r#""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#;

/// Writes the log of all trials, one after another, of a run that began at `started_unix_ms`.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn Write,
    plan: &Plan,
    started_unix_ms: u64,
    outcome: &Outcome,
) -> io::Result<()> {
    let mut out = out;
    header(out, started_unix_ms)?;
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(&mut out, &mut serializer)?;
    if let Some(connecting) = &outcome.connecting {
        dialled(&mut log, connecting)?;
    }
    for run in &outcome.trials {
        let after_ms = run.started_unix_ms.saturating_sub(started_unix_ms);
        for interval in &run.intervals {
            rows(&mut log, plan, run, interval, Duration::from_millis(after_ms))?;
        }
    }
    drop(log);
    out.flush()
}

/// The crate writes neither the version nor the legend, and no date.
fn header(out: &mut dyn Write, started_unix_ms: u64) -> io::Result<()> {
    let seconds = started_unix_ms as f64 / 1e3;
    writeln!(out, "#[Logged with fanstorm {VERSION}; values in ns, Interval_Max in ms]")?;
    writeln!(out, "#[Histogram log format version 1.3]")?;
    writeln!(out, "#[BaseTime: {seconds:.3} (seconds since epoch)]")?;
    let date = date(started_unix_ms / 1_000);
    writeln!(out, "#[StartTime: {seconds:.3} (seconds since epoch), {date}]")?;
    writeln!(out, "{LEGEND}")
}

type Log<'a, 'b, 'c> = IntervalLogWriter<'a, 'b, &'c mut dyn Write, V2DeflateSerializer>;

/// Nobody keeps the time of each connect: all are one interval, from the beginning.
fn dialled(log: &mut Log<'_, '_, '_>, connecting: &Connecting) -> io::Result<()> {
    let handshake = (!connecting.sessions.is_empty()).then_some(&connecting.handshake);
    let classes = [
        ("connect", Some(&connecting.connect)),
        ("handshake", handshake),
        ("upgrade", Some(&connecting.upgrade)),
    ];
    for (name, latencies) in classes {
        let Some(latencies) = latencies else { continue };
        let length = Duration::from(connecting.wall);
        let written =
            log.write_histogram(&latencies.histogram(), Duration::ZERO, length, Tag::new(name));
        written.map_err(io_error)?;
    }
    Ok(())
}

fn io_error<E: std::error::Error + Send + Sync + 'static>(
    error: IntervalLogWriterError<E>,
) -> io::Error {
    match error {
        IntervalLogWriterError::IoError(error) => error,
        IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
    }
}

fn rows(
    log: &mut Log<'_, '_, '_>,
    plan: &Plan,
    run: &TrialOutcome,
    interval: &Interval,
    after: Duration,
) -> io::Result<()> {
    for track in &interval.tracks {
        let name = tag(track, interval.warmup, plan.push_node(), run);
        let ns: Histogram<u64> =
            Deserializer::new().deserialize(&mut &*track.v2).map_err(io::Error::other)?;
        let start = after + Duration::from(interval.start);
        let tag = Tag::new(&name);
        log.write_histogram(&ns, start, interval.length.into(), tag).map_err(io_error)?;
    }
    Ok(())
}

fn tag(track: &Track, warmup: bool, from: usize, run: &TrialOutcome) -> String {
    let class = match (track.class, run.lag_ns.is_some()) {
        (Class::Response, _) => "e2e-rt",
        (Class::Service, _) => "e2e-st",
        (Class::Wait, _) => "send-wt",
        (Class::Completion, true) => "done-rt",
        (Class::Completion, false) => "done-st",
        (Class::Spread, _) => "spread",
    };
    let phase = if warmup { "warmup." } else { "" };
    let Some(at) = track.to else { return format!("{phase}{class}") };
    match run.matrix.get(at).map(|cell| (cell.to, &cell.reached)) {
        Some((to, Some(reached))) => {
            let name = reached.name.as_deref().unwrap_or("unnamed");
            let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
            format!("{phase}{class}.{from}-{to}.{name}")
        }
        _ => format!("{phase}{class}.{from}-{at}"),
    }
}

/// A time as Java's `Date` prints it, in UTC: `Wed Sep 09 15:24:39 UTC 2015`.
fn date(unix_s: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = civil(days);
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    format!(
        "{} {} {day:02} {hours:02}:{minutes:02}:{seconds:02} UTC {year}",
        DAYS[(days % 7) as usize],
        MONTHS[month],
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use proptest::prelude::*;

    use super::super::document::histogram::decode;
    use super::super::fixture;
    use super::*;
    use crate::measure::latencies::{Latencies, histogram};
    use crate::measure::outcome::MatrixCell;
    use crate::measure::reached::Reached;
    use crate::measure::series::track;
    use crate::units::Nanos;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // `date -u -d @N`.
        for (unix_s, text) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (951_782_399, "Mon Feb 28 23:59:59 UTC 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 UTC 2000"),
            (1_441_812_279, "Wed Sep 09 15:24:39 UTC 2015"),
            (4_107_542_400, "Mon Mar 01 00:00:00 UTC 2100"),
        ] {
            assert_eq!(date(unix_s), text);
        }
    }

    fn interval(start_ms: u64, warmup: bool, tracks: Vec<Track>) -> Interval {
        Interval {
            start: Nanos::from_millis(start_ms),
            length: Nanos::from_secs(1),
            warmup,
            tracks,
            ..Interval::default()
        }
    }

    fn written(intervals: Vec<Interval>) -> String {
        let mut run = fixture::whole(10);
        run.started_unix_ms = 1_441_812_279_474 + 2_000;
        run.intervals = intervals;
        let outcome = Outcome { trials: vec![fixture::trusted(run)], ..Outcome::default() };
        let mut out = Vec::new();
        write(&mut out, &fixture::plan(&[10]), 1_441_812_279_474, &outcome).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn ns(values: &[u64]) -> Histogram<u64> {
        let mut ns = histogram();
        values.iter().for_each(|&value| ns.record(value).unwrap());
        ns
    }

    #[test]
    fn the_header_is_javas_and_the_maximum_is_in_milliseconds() {
        let log = written(vec![interval(
            500,
            false,
            vec![track(Class::Service, Some(2), &ns(&[1_000_000, 2_000_000]))],
        )]);
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines[1], "#[Histogram log format version 1.3]");
        assert_eq!(lines[2], "#[BaseTime: 1441812279.474 (seconds since epoch)]");
        let start =
            "#[StartTime: 1441812279.474 (seconds since epoch), Wed Sep 09 15:24:39 UTC 2015]";
        assert_eq!(lines[3], start);
        assert_eq!(lines[4], LEGEND);
        let row = lines.last().unwrap();
        assert!(row.starts_with("Tag=e2e-st.0-2,2.500,1.000,2.001,HISTFAAA"), "{row}");
    }

    #[test]
    fn every_class_has_its_tag_and_the_warm_up_its_own() {
        let classes = [
            (Class::Response, Some(1), "e2e-rt.0-1"),
            (Class::Service, None, "e2e-st"),
            (Class::Wait, None, "send-wt"),
            (Class::Completion, None, "done-rt"),
            (Class::Spread, None, "spread"),
        ];
        let open_loop = TrialOutcome { lag_ns: Some(Latencies::new()), ..TrialOutcome::nothing() };
        for (class, to, name) in classes {
            let track = track(class, to, &ns(&[1]));
            assert_eq!(tag(&track, false, 0, &open_loop), name);
            assert_eq!(tag(&track, true, 0, &open_loop), format!("warmup.{name}"));
        }
        let free = TrialOutcome::nothing();
        assert_eq!(tag(&track(Class::Completion, None, &ns(&[1])), false, 0, &free), "done-st");
        let name = |name: Option<&str>| {
            let reached =
                Reached { node: 0, name: name.map(Into::into), sockets: 1, push_sockets: 0 };
            MatrixCell { reached: Some(reached), ..fixture::cell(0, 1, 1) }
        };
        let matrix = vec![name(None), name(Some("eu, b\n2")), name(Some("b-3"))];
        let behind = TrialOutcome { matrix, ..TrialOutcome::nothing() };
        let tags =
            (0..3).map(|at| tag(&track(Class::Service, Some(at), &ns(&[1])), false, 0, &behind));
        assert_eq!(
            tags.collect::<Vec<_>>(),
            ["e2e-st.0-0.unnamed", "e2e-st.0-0.eu__b_2", "e2e-st.0-0.b-3"]
        );
    }

    #[test]
    fn connecting_stands_before_the_trials_over_all_the_time_that_it_took() {
        let latencies = |values: &[u64]| values.iter().map(|&value| Nanos(value)).collect();
        let connecting = Connecting {
            wall: Nanos::from_millis(250),
            connect: latencies(&[70_000, 90_000]),
            upgrade: latencies(&[300_000]),
            ..Connecting::default()
        };
        let outcome = Outcome { connecting: Some(connecting), ..Outcome::default() };
        let mut out = Vec::new();
        write(&mut out, &fixture::plan(&[10]), 0, &outcome).unwrap();
        let log = String::from_utf8(out).unwrap();
        let last: Vec<_> = log.lines().rev().take(2).collect();
        assert!(last[1].starts_with("Tag=connect,0.000,0.250,0.090,HISTFAAA"), "{log}");
        assert!(last[0].starts_with("Tag=upgrade,0.000,0.250,0.300,HISTFAAA"), "{log}");
        let read = read(&log);
        assert_eq!((read["connect"].1.len(), read["upgrade"].1.len()), (2, 1));
    }

    /// The crate's own reader, which knows nothing of how the log was written.
    fn read(log: &str) -> BTreeMap<String, (Vec<Duration>, Histogram<u64>)> {
        let mut tags = BTreeMap::new();
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            let LogEntry::Interval(row) = entry.unwrap() else { continue };
            let tag = row.tag().unwrap().to_string();
            let (starts, sum) = tags.entry(tag).or_insert_with(|| (Vec::new(), histogram()));
            starts.push(row.start_timestamp());
            sum.add(decode(row.encoded_histogram()).unwrap()).unwrap();
        }
        tags
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_what_was_recorded(
            seconds in prop::collection::vec(prop::collection::vec(1_u64..3_600_000_000_000, 1..50), 1..6),
        ) {
            let all = ns(&seconds.concat());
            let row = |(second, values): (usize, &Vec<u64>)| {
                let tracks = vec![track(Class::Service, Some(0), &ns(values))];
                interval(second as u64 * 1_000, second == 0, tracks)
            };
            let log = written(seconds.iter().enumerate().map(row).collect());
            let read = read(&log);
            let mut sum = histogram();
            for (tag, (starts, ns)) in &read {
                prop_assert_eq!(starts.len(), if tag == "warmup.e2e-st.0-0" { 1 } else { seconds.len() - 1 });
                sum.add(ns).unwrap();
            }
            prop_assert!(sum == all);
        }
    }
}
