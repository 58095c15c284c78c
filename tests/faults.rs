//! The client's account against what a faulty cluster says that it did: real processes, real ring.
//!
//! The oracle is the cluster's fault log, written by code that shares nothing with the client. Every
//! run is small and ends by itself; nothing here looks at the clock.

#[path = "common/engine.rs"]
mod engine;
#[path = "common/io_uring.rs"]
mod io_uring;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// Messages of each trial, and sockets: 3 push sockets and one receive socket to each of 3 nodes.
const MESSAGES: u64 = 600;
const SOCKETS: u64 = 6;

/// One run against an embedded cluster.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    result: Value,
    log: Vec<Value>,
}

fn command(faults: &[&str], flags: &[&str], dir: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(["--messages", "600", "--payload-bytes", "80"]);
    command.arg("--json").arg(dir.path().join("result.json"));
    if !faults.is_empty() {
        command.arg("--fault-log").arg(dir.path().join("faults.jsonl"));
    }
    for fault in faults {
        command.args(["--fault", fault]);
    }
    command
        .args(flags)
        .args(engine::flags(&format!("--faults {}", flags.join(" "))))
        .stdin(Stdio::null());
    command
}

/// All that this host grants.
fn engines() -> Vec<&'static str> {
    let io_uring = io_uring::is_granted("accounts over io_uring").then_some("io_uring");
    io_uring.into_iter().chain(["epoll"]).collect()
}

fn run(faults: &[&str], flags: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let output = command(faults, flags, &dir).args(["--drain", "1500ms"]).output().unwrap();
    Run::of(output, &dir)
}

fn lines(path: PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every result of every run is what the published schema says.
fn assert_published(result: &Value) {
    let schema = include_str!("../docs/schema/fanstorm.result-2.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(result).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

impl Run {
    fn of(output: Output, dir: &tempfile::TempDir) -> Self {
        let text = std::fs::read_to_string(dir.path().join("result.json")).unwrap_or_default();
        let result = serde_json::from_str(&text).unwrap_or(Value::Null);
        if !result.is_null() {
            assert_published(&result);
        }
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            result,
            log: lines(dir.path().join("faults.jsonl")),
        }
    }

    fn row(&self) -> &Value {
        let row = &self.result["trials"][0];
        assert!(row.is_object(), "no row: {}{}", self.stdout, self.stderr);
        row
    }

    fn delivery(&self, what: &str) -> u64 {
        let delivery = &self.row()["delivery"];
        let number = |key: &str| delivery[key].as_u64().unwrap();
        assert_eq!(number("expected"), MESSAGES * SOCKETS);
        assert_eq!(number("expected"), number("delivered") + number("missing"));
        number(what)
    }

    fn missing_at(&self, node: usize) -> u64 {
        self.row()["matrix"][node]["missing"].as_u64().unwrap()
    }

    /// What the fault did to copies of the trial, and not to the probe before it: (node, sender,
    /// sequence) of each.
    fn deeds(&self, fault: &str) -> Vec<(usize, u64, u64)> {
        let deeds = self.log.iter().filter(|event| event["fault"] == fault);
        let tagged = deeds.filter_map(|event| {
            let (run, sender, sequence) = tag(event["text"].as_str()?)?;
            Some((event["node"].as_u64()? as usize, run, sender, sequence))
        });
        let tagged: Vec<_> = tagged.collect();
        // The trial's nonce is the probe's plus one.
        let row = tagged
            .iter()
            .map(|deed| deed.1)
            .reduce(|a, b| if b.wrapping_sub(a) == 1 { b } else { a });
        let of_row = tagged.into_iter().filter(|deed| Some(deed.1) == row);
        of_row.map(|(node, _, sender, sequence)| (node, sender, sequence)).collect()
    }
}

/// Run, sender and sequence of the tag in a text, read with nothing of the client's.
fn tag(text: &str) -> Option<(u32, u64, u64)> {
    let start = text.find("message fs")? + "message fs".len();
    let digits = text.get(start..start + 22)?;
    let hex = |range| u64::from_str_radix(&digits[range], 16).ok();
    Some((hex(0..8)? as u32, hex(8..12)?, hex(12..22)?))
}

#[test]
fn a_clean_cluster_gives_a_clean_account_on_either_engine() {
    for engine in engines() {
        let run = run(&[], &["--engine", engine]);
        assert_eq!(run.code, Some(0), "{engine}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.result["plan"]["engine"], engine);
        assert!(run.stdout.contains(&format!("), {engine}\n")), "{}", run.stdout);
        assert_eq!(run.delivery("delivered"), MESSAGES * SOCKETS, "{engine}");
        for nothing in ["missing", "duplicate", "foreign", "corrupt"] {
            assert_eq!(run.delivery(nothing), 0, "{engine}: {nothing}");
        }
    }
}

#[test]
fn every_dropped_copy_is_missing_and_named_by_stream_and_number_on_either_engine() {
    for engine in engines() {
        every_dropped_copy_is_named(&run(&["drop=2%"], &["--engine", engine]));
    }
}

fn every_dropped_copy_is_named(run: &Run) {
    let dropped = run.deeds("drop");
    assert!(dropped.len() > 20, "the fault did something: {}", dropped.len());
    assert_eq!(run.delivery("missing"), dropped.len() as u64);
    let mut named = Vec::new();
    for gap in run.row()["gaps"].as_array().unwrap() {
        let (node, sender) = (gap["node"].as_u64().unwrap(), gap["sender"].as_u64().unwrap());
        for range in gap["ranges"].as_array().unwrap() {
            for n in range[0].as_u64().unwrap()..=range[1].as_u64().unwrap() {
                named.push((node as usize, sender, n));
            }
        }
    }
    let mut dropped = dropped;
    dropped.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, dropped);
    assert_eq!(run.code, Some(1));
}

#[test]
fn every_copy_sent_twice_is_one_duplicate_and_hides_no_loss() {
    let run = run(&["duplicate=3%", "drop=1%"], &[]);
    let twice = run.deeds("duplicate").len() as u64;
    assert!(twice > 20, "the fault did something: {twice}");
    assert_eq!(run.delivery("duplicate"), twice);
    assert_eq!(run.delivery("missing"), run.deeds("drop").len() as u64);
    assert_eq!(run.code, Some(1));
}

#[test]
fn every_altered_copy_is_corrupt_and_missing() {
    let run = run(&["corrupt=2%"], &[]);
    let altered = run.log.iter().filter(|event| event["fault"] == "corrupt").count() as u64;
    assert!(altered > 10, "the fault did something: {altered}");
    let (corrupt, missing) = (run.delivery("corrupt"), run.delivery("missing"));
    // A probe copy may be altered, too.
    assert!(corrupt == altered || corrupt + 1 == altered, "{corrupt} of {altered}");
    assert_eq!(corrupt, missing);
    assert_eq!(run.code, Some(1));
}

#[test]
fn reordered_and_delayed_copies_are_all_delivered_and_some_are_out_of_order() {
    for fault in ["reorder=5%", "delay=2%:20ms"] {
        let run = run(&[fault], &["--push-sockets", "3"]);
        assert_eq!(run.delivery("missing") + run.delivery("duplicate"), 0, "{fault}");
        assert!(run.delivery("out_of_order") > 0, "{fault}");
        assert_eq!(run.code, Some(0), "{fault}: disorder is reported, not punished");
    }
}

#[test]
fn a_link_cut_for_good_is_the_silent_node_and_the_run_ends() {
    let run = run(&["cut=0-2@200"], &[]);
    // Node 0 tells its peers after counting a message: the probe and K messages pass.
    let unheard = run.log.iter().filter(|event| event["fault"] == "cut").count() as u64;
    assert!(unheard > 300, "the fault did something: {unheard}");
    assert_eq!(run.delivery("missing"), unheard);
    assert_eq!((run.missing_at(0), run.missing_at(1), run.missing_at(2)), (0, 0, unheard));
    assert_eq!(run.row()["ending"], "drained");
    let url = run.result["plan"]["nodes"][2]["url"].as_str().unwrap();
    assert!(run.stdout.contains(url), "{}", run.stdout);
    assert_eq!(run.code, Some(1));
}

#[test]
fn a_link_cut_before_the_start_is_found_by_the_probe_and_the_node_named() {
    let run = run(&["cut=0-2@0"], &["--ready-timeout", "1500ms"]);
    assert_eq!(run.code, Some(4), "{}", run.stdout);
    assert!(run.stderr.contains("the probe did not reach"), "{}", run.stderr);
    assert!(run.stderr.contains("ws://"), "{}", run.stderr);
}

#[test]
fn a_node_that_stalls_delays_copies_and_loses_none() {
    let run = run(&["0:stall=400ms@300"], &[]);
    assert_eq!(run.delivery("missing"), 0);
    let max_us = run.row()["latency_us"]["service"]["max"].as_f64().unwrap();
    // Arithmetic, not speed: what was in the node had to wait for the end of the stall.
    assert!(max_us > 300_000.0, "{max_us}");
    assert_eq!(run.code, Some(0));
}

#[test]
fn a_node_that_dies_is_a_lost_socket_and_the_others_are_complete() {
    let run = run(&["2:exit@200"], &[]);
    assert_eq!((run.missing_at(0), run.missing_at(1)), (0, 0));
    assert!(run.missing_at(2) > 0);
    let lost = run.row()["lost_sockets"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0]["node"], 2);
    assert_eq!(run.row()["ending"], "sockets_lost");
    assert_eq!(run.code, Some(1));
}

#[test]
fn a_close_of_the_node_is_reported_with_its_code() {
    let run = run(&["1:close=1001@100"], &[]);
    let lost = run.row()["lost_sockets"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!((&lost[0]["node"], &lost[0]["close_code"]), (&1.into(), &1001.into()));
    assert!(run.missing_at(1) > 0 && run.missing_at(0) == 0);
    assert_eq!(run.code, Some(1));
}

#[test]
fn a_reset_is_reported_as_one() {
    for engine in engines() {
        let run = run(&["1:reset@100"], &["--engine", engine]);
        let lost = run.row()["lost_sockets"].as_array().unwrap();
        assert_eq!(lost.len(), 1, "{engine}: {lost:?}");
        let reason = lost[0]["reason"].as_str().unwrap();
        assert!(reason.contains("reset") || reason.contains("without a Close"), "{reason}");
        assert_eq!(run.code, Some(1), "{engine}");
    }
}

#[test]
fn every_invalid_frame_closes_its_socket_with_the_code_of_the_rfc() {
    let cases = [
        ("masked", 1002),
        ("rsv", 1002),
        ("opcode", 1002),
        ("utf8", 1007),
        ("oversize", 1009),
        ("fragment", 1002),
    ];
    for (kind, code) in cases {
        let fault = format!("1:bad-frame={kind}@50");
        let run = run(&[&fault], &[]);
        let lost = run.row()["lost_sockets"].as_array().unwrap();
        assert_eq!(lost.len(), 1, "{kind}: {lost:?}");
        assert_eq!(lost[0]["our_close_code"], code, "{kind}: {lost:?}");
        assert_eq!((run.missing_at(0), run.missing_at(2)), (0, 0), "{kind}: the others go on");
        assert_eq!(run.code, Some(1), "{kind}");
    }
}

#[test]
fn an_upgrade_that_fails_names_the_node_the_phase_and_the_cause() {
    let cases = [
        ("1:refuse=404", "404"),
        ("1:refuse=503", "503"),
        ("1:bad-accept", "Sec-WebSocket-Accept"),
        ("1:mute", "no answer to the upgrade"),
    ];
    for (fault, cause) in cases {
        let run = run(&[fault], &["--connect-timeout", "1500ms"]);
        assert_eq!(run.code, Some(4), "{fault}: {}", run.stdout);
        let said = &run.stderr;
        assert!(said.contains(cause) && said.contains("upgrade"), "{fault}: {said}");
        assert!(said.contains("ws://"), "{fault}: {said}");
    }
}

#[test]
fn a_node_that_never_speaks_is_found_before_the_clock_starts() {
    let run = run(&["1:deaf"], &["--ready-timeout", "1500ms"]);
    assert_eq!(run.code, Some(4));
    assert!(run.stderr.contains("1 of its 1 socket"), "{}", run.stderr);
}

#[test]
fn frames_split_or_batched_and_pings_in_between_change_nothing() {
    for fault in ["split=20", "batch=7", "ping=100ms"] {
        let run = run(&[fault, "1:stall=200ms@300"], &[]);
        assert_eq!(run.code, Some(0), "{fault}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.delivery("delivered"), MESSAGES * SOCKETS, "{fault}");
        let row = run.row();
        match fault {
            "split=20" => assert!(row["opcodes"]["continuation"].as_u64() > Some(MESSAGES)),
            "ping=100ms" => assert!(row["opcodes"]["ping"].as_u64() > Some(0)),
            _ => assert!(row["opcodes"]["text"].as_u64() < Some(MESSAGES * SOCKETS)),
        }
    }
}

#[test]
fn the_relay_takes_any_dialect_and_faults_as_well() {
    for dialect in ["raw", "dsatter"] {
        let run = run(&["drop=2%"], &["--relay", "--dialect", dialect]);
        let dropped = run.deeds("drop").len() as u64;
        assert!(dropped > 20, "{dialect}: the fault did something");
        assert_eq!(run.delivery("missing"), dropped, "{dialect}");
    }
}

#[test]
fn an_interrupted_run_reports_what_it_measured() {
    let dir = tempfile::tempdir().unwrap();
    let stalled = ["0:stall=20s@300"];
    let mut command = command(&stalled, &["--drain", "20s"], &dir);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    await_line(&dir, "stall", &mut child);
    interrupt(&child);
    let run = Run::of(child.wait_with_output().unwrap(), &dir);
    assert_eq!(run.code, Some(130), "{}{}", run.stdout, run.stderr);
    assert_eq!(run.row()["ending"], "interrupted");
    assert!(run.delivery("delivered") > 0, "{}", run.stdout);
    assert_eq!(run.result["interrupted"], true);
}

/// Waits until the cluster has noted `fault`.
fn await_line(dir: &tempfile::TempDir, fault: &str, child: &mut Child) {
    for _ in 0..1000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        let path = dir.path().join("faults.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.contains(&format!("\"{fault}\"")) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("no {fault} within 10 s");
}

fn interrupt(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process};
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}
