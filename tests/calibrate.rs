//! `--calibrate`: the floor stands beside the result, against whatever cluster the result is of, and
//! whatever becomes of it the result is there.

#[path = "common/engine.rs"]
mod engine;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use fanstorm::cluster::{Audience, Cluster, ClusterConfig};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_fanstorm");

fn fanstorm(words: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.args(words.split_whitespace()).args(engine::flags(words)).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The result, and the report that the run printed. A busy machine may well void a trial; that all
/// copies came is what counts here.
fn measured(words: &str) -> (Value, String) {
    let output = fanstorm(&format!("--calibrate --json - {words}")).output().unwrap();
    let Output { status, stdout, stderr } = output;
    let report = String::from_utf8(stderr).unwrap();
    assert!(matches!(status.code(), Some(0 | 5)), "{words}: {status}: {report}");
    (serde_json::from_slice(&stdout).unwrap(), report)
}

fn caveats(result: &Value) -> Vec<&str> {
    let caveats = result["trials"][0]["verdict"]["caveats"].as_array().unwrap();
    caveats.iter().map(|caveat| caveat["code"].as_str().unwrap()).collect()
}

#[test]
fn the_floor_of_an_embedded_cluster_is_told_for_each_trial() {
    let (result, report) = measured("--nodes 2 --messages 20,400");
    let floor = &result["calibration"];
    assert_eq!(floor["failure"], Value::Null);
    assert!(floor["cluster"].as_str().unwrap().starts_with("2 relays on CPU "), "{floor}");
    for (row, messages) in [20, 400].into_iter().enumerate() {
        assert_eq!(floor["trials"][row]["messages"], messages);
        let delivery = |of: &Value| of["trials"][row]["delivery"]["delivered"].clone();
        assert_eq!(delivery(floor), delivery(&result), "the same copies");
    }
    assert!(
        report.contains("\nOur own floor, m = 400 (the same plan against 2 relays on CPU"),
        "{report}"
    );
    assert!(report.contains("\n  floor "), "{report}");
}

fn others(audience: Audience) -> (Cluster, String) {
    let executable = Some(BINARY.into());
    let config = ClusterConfig {
        nodes: 2,
        relay: true,
        audience,
        executable,
        clients: Some(64),
        ..ClusterConfig::default()
    };
    let cluster = Cluster::start(&config).unwrap();
    let nodes: Vec<_> = cluster.node_urls().iter().map(|url| format!("--node {url}")).collect();
    (cluster, nodes.join(" "))
}

#[test]
fn the_null_cluster_sends_to_whom_the_target_does() {
    for (audience, words, copies_each) in [
        (Audience::Others, "--fan-out others --receivers-per-node 1", 4),
        (Audience::Own, "--fan-out own", 1),
    ] {
        let (_cluster, nodes) = others(audience);
        let (result, report) = measured(&format!("{nodes} --dialect raw --messages 300 {words}"));
        assert_eq!(result["calibration"]["failure"], Value::Null, "{report}");
        for of in [&result["trials"][0], &result["calibration"]["trials"][0]] {
            let delivery = &of["delivery"];
            assert_eq!(delivery["delivered"], 300 * copies_each, "{words}: {delivery}");
            assert_eq!(delivery["seen"], delivery["delivered"], "nobody else hears it: {delivery}");
        }
    }
}

#[test]
fn the_floor_of_a_cluster_that_others_run_is_that_of_as_many_nodes() {
    let (_cluster, nodes) = others(Audience::All);
    let words = "--push-node 1 --dialect raw --rate 2k --messages 400 --receivers-per-node 2";
    let (result, _) = measured(&format!("{nodes} {words}"));
    let floor = &result["calibration"]["trials"][0];
    assert_eq!(floor["delivery"]["missing"], 0);
    assert_eq!(floor["delivery"]["expected"], result["trials"][0]["delivery"]["expected"]);
    assert!(floor["generator"]["schedule_lag_us"]["p50"].is_f64(), "{floor}");
}

#[test]
fn a_generator_that_is_slow_by_itself_is_caught_by_its_floor() {
    let words = "--relay --rate 1k --messages 500 --test-turn-delay 2ms";
    // A host that stops for a while makes the target the slower one of the two.
    let near = |(result, _): &(Value, String)| caveats(result).contains(&"near-own-floor");
    let (_, report) = (0..3).map(|_| measured(words)).find(near).expect("one of three is near it");
    assert!(
        report.contains("near-own-floor (m = 500): the same plan against a null cluster"),
        "{report}"
    );
}

/// Reads up to the headings of the rows: the clock of the calibration is about to start.
fn begun(child: &mut Child) -> impl Read + use<> {
    let mut report = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("messages ") {
        line.clear();
        assert!(report.read_line(&mut line).unwrap() > 0, "it ended before its trials");
    }
    report
}

#[test]
fn an_interruption_ends_the_calibration_and_not_the_measurement() {
    let mut child =
        fanstorm("--calibrate --relay --rate 100 --duration 3s --json -").spawn().unwrap();
    let mut report = begun(&mut child);
    thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    report.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 5)), "{rest}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["interrupted"], false);
    assert_eq!(result["trials"][0]["sent"], 300);
    assert_eq!(result["summary"]["missing"], 0);
    let failure = result["calibration"]["failure"].as_str().unwrap();
    assert!(failure.contains("interrupted"), "{failure}");
    assert!(
        rest.contains("warning: --calibrate: interrupted") || rest.contains("nothing was measured"),
        "{rest}"
    );
}
