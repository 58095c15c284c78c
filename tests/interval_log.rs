//! The interval log beside the report of the same run: whatever latency the one tells, the other holds.
//!
//! Belongs here: that they agree about classes, nodes and counts, for every kind of trial. Does not: the
//! format itself (`report::hlog`, and the Java original in `formats.py`), seconds (`series`).

#[path = "common/engine.rs"]
mod engine;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

/// What each class of the report is called in the log, and whether it may be there for each node.
const TAGS: [(&str, &str); 7] = [
    ("response", "e2e-rt"),
    ("service", "e2e-st"),
    ("wait", "send-wt"),
    ("completion", "done-rt"),
    ("completion", "done-st"),
    ("spread", "spread"),
    ("warm-up", "warmup.e2e-rt"),
];

/// Values by what they are of.
type Counts = BTreeMap<String, u64>;

/// What a run printed, and the log that it wrote.
fn ran(words: &str) -> (String, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("run.hlog");
    let output = Command::new(env!("CARGO_BIN_EXE_fanstorm"))
        .args(words.split_whitespace())
        .args(engine::flags(words))
        .args(["--hlog".as_ref(), log.as_os_str()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    // A busy machine may well void a trial; that it came to a report is enough here.
    assert!(matches!(output.status.code(), Some(0 | 5)), "{words}: {printed}");
    (printed, std::fs::read(log).unwrap())
}

/// The columns of a section's lines, the headings left out.
fn table<'a>(printed: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let mut lines = printed.lines().skip_while(move |line| !line.trim_start().starts_with(heading));
    let from = lines.next().unwrap_or_else(|| panic!("{heading} in {printed}"));
    // A heading of a section stands above that of its columns.
    let skip = usize::from(!from.starts_with(' '));
    let rows = lines.skip(skip).take_while(|line| !line.is_empty());
    rows.map(|line| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect()).collect()
}

fn number(text: &str) -> u64 {
    text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// Samples of each class in the report's section of latencies.
fn told(printed: &str) -> Counts {
    // Notes about the figures stand below them.
    let rows = table(printed, "Latency, m =").into_iter().filter(|columns| columns.len() > 1);
    rows.map(|columns| (columns[0].to_owned(), number(columns[1]))).collect()
}

/// Copies of each node in the report.
fn told_by_node(printed: &str) -> Counts {
    let rows = table(printed, "receiving node").into_iter();
    // "node 0 ws://..."
    let node = |text: &str| text.split(' ').nth(1).unwrap().to_owned();
    rows.map(|columns| (node(columns[0]), number(columns[1]))).collect()
}

/// Values of each tag in the log.
fn logged(log: &[u8]) -> Counts {
    let mut counts = Counts::new();
    for entry in IntervalLogIterator::new(log) {
        let LogEntry::Interval(row) = entry.unwrap() else { continue };
        let bytes = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            row.encoded_histogram(),
        );
        let ns: Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.unwrap().as_slice()).unwrap();
        *counts.entry(row.tag().unwrap().to_string()).or_default() += ns.len();
    }
    counts
}

/// The same by class of the report; of a warm-up the report tells the leading class alone.
fn logged_by_class(tags: &Counts) -> Counts {
    let mut counts = Counts::new();
    for (tag, count) in tags {
        let name = tag.rsplit_once(".0-").map_or(tag.as_str(), |(name, _)| name);
        if let Some((class, _)) = TAGS.iter().find(|(_, known)| *known == name) {
            *counts.entry((*class).to_owned()).or_default() += count;
        } else {
            let known = name.starts_with("warmup.") || ["connect", "upgrade"].contains(&name);
            assert!(known, "{tag}: a class that the report does not tell");
        }
    }
    counts
}

/// Values of the class that leads, by node.
fn logged_by_node(tags: &Counts, leading: &str) -> Counts {
    let prefix = format!("{leading}.0-");
    let nodes = tags.iter().filter_map(|(tag, count)| Some((tag.strip_prefix(&prefix)?, *count)));
    nodes.map(|(node, count)| (node.to_owned(), count)).collect()
}

#[test]
fn the_log_holds_every_class_and_node_of_the_report_and_no_other_for_every_kind_of_trial() {
    let closed = ["service", "completion", "spread"];
    let open = ["response", "service", "wait", "completion", "spread"];
    let warm = ["response", "service", "wait", "completion", "spread", "warm-up"];
    for (words, classes, leading) in [
        ("--messages 300", &closed[..], "e2e-st"),
        ("--messages 300 --relay --dialect raw --in-flight 4", &closed, "e2e-st"),
        ("--messages 300 --in-flight 1", &closed, "e2e-st"),
        ("--messages 400 --rate 1k", &open, "e2e-rt"),
        ("--messages 400 --rate 1k --relay --dialect raw --arrivals poisson", &open, "e2e-rt"),
        ("--messages 400 --rate 1k --warmup 200ms", &warm, "e2e-rt"),
    ] {
        let (printed, log) = ran(&format!("{words} --nodes 2 --push-sockets 2"));
        let (told, tags) = (told(&printed), logged(&log));
        let mut named: Vec<_> = classes.iter().map(|class| (*class).to_owned()).collect();
        named.sort();
        assert_eq!(told.keys().cloned().collect::<Vec<_>>(), named, "{words}: {printed}");
        assert_eq!(logged_by_class(&tags), told, "{words}: {tags:?}");
        let mut by_node = logged_by_node(&tags, leading);
        for (node, count) in logged_by_node(&tags, &format!("warmup.{leading}")) {
            *by_node.entry(node).or_default() += count;
        }
        assert_eq!(by_node, told_by_node(&printed), "{words}: {tags:?}");
        let dialled = ["connect", "upgrade"].map(|tag| tags[tag]);
        assert_eq!(dialled, [4, 4], "{words}: {printed}");
    }
}
