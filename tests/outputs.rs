//! What a run leaves in its files: whole results, earlier results untouched, or why there is none.
//!
//! Belongs here: the real binary and the files that it was told to write. Does not: what stands in a
//! result (`report`), the flags (`cli`).

#[path = "common/engine.rs"]
mod engine;
#[path = "common/nobody.rs"]
mod nobody;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nobody::nobody;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A short run against a cluster of its own.
const SHORT: &str = "--nodes 1 --relay --messages 20 --quiet";

/// The program in `dir`, after `prelude` of a shell.
fn start(dir: &TempDir, prelude: &str, words: &str) -> Child {
    let program = env!("CARGO_BIN_EXE_fanstorm");
    let words = [&words.split_whitespace().collect::<Vec<_>>(), engine::flags(words)].concat();
    Command::new("sh")
        .args(["-c", &format!("{prelude} exec \"$0\" \"$@\""), program])
        .args(words)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn end(child: Child) -> Ran {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

fn run(dir: &TempDir, prelude: &str, words: &str) -> Ran {
    end(start(dir, prelude, words))
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn wait_until(so: impl Fn() -> bool) {
    let seen = (0..6_000).any(|_| {
        thread::sleep(Duration::from_millis(10));
        so()
    });
    assert!(seen, "it never came to be");
}

fn tell(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Issue 11, B1. A limit on the size of files is the full disk that a test may have.
#[test]
fn a_result_that_does_not_fit_leaves_the_earlier_one_whole_and_is_exit_3() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("result.json");
    let earlier = "x".repeat(2_000);
    fs::write(&path, &earlier).unwrap();
    let ran = run(&dir, "ulimit -f 1;", &format!("{SHORT} --json result.json"));
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("ulimit -f, RLIMIT_FSIZE"), "{}", ran.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), earlier);
    assert_eq!(names(&dir), ["result.json"]);
    let result: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["trials"][0]["messages"], 20, "the result is not lost");
}

#[test]
fn standard_output_that_takes_nothing_is_exit_3_for_a_result_and_for_a_report() {
    let dir = tempfile::tempdir().unwrap();
    for words in [format!("{SHORT} --json -"), "--nodes 1 --relay --messages 20".to_owned()] {
        let ran = run(&dir, "exec >/dev/full;", &words);
        assert_eq!(ran.code, Some(3), "{words}: {}", ran.err);
        assert!(ran.err.contains("no space left on the disk"), "{words}: {}", ran.err);
    }
}

#[test]
fn a_fault_log_that_takes_nothing_is_no_success_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let words =
        "--nodes 2 --messages 200 --fault 0:stall=1ms@100 --fault-log /dev/full --drain 1s --quiet";
    let ran = run(&dir, "", words);
    assert!(matches!(ran.code, Some(1 | 3)), "{:?} {}", ran.code, ran.err);
    assert!(ran.err.contains("--fault-log: node "), "{}", ran.err);
    assert!(ran.err.contains("No space left") && !ran.err.contains("os error"), "{}", ran.err);
}

#[test]
fn two_outputs_in_one_file_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for (words, names) in [
        ("--json same --hlog same", "--json and --hlog"),
        ("--json same --hlog ./same", "--json and --hlog"),
        ("--json same --fault drop=0.1 --fault-log same", "--json and --fault-log"),
        ("--hlog h.m20.service.hgrm --hgrm h", "--hlog and --hgrm"),
    ] {
        let ran = run(&dir, "", &format!("--nodes 1 --messages 20 --quiet {words}"));
        assert_eq!(ran.code, Some(2), "{words}: {}", ran.err);
        assert!(ran.err.contains(names), "{words}: {}", ran.err);
    }
    assert!(self::names(&dir).is_empty());
    let ran = run(&dir, "exec >log;", &format!("{SHORT} --json log"));
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("standard output and --json"), "{}", ran.err);
}

#[test]
fn a_failed_run_says_so_in_the_file_on_standard_output_and_in_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let (path, nobody) = (dir.path().join("result.json"), nobody());
    let words = format!("--node ws://{}/ --dialect raw --messages 5 --quiet", nobody.address);
    let earlier = run(&dir, "", &format!("{SHORT} --json result.json"));
    assert!(matches!(earlier.code, Some(0 | 5)), "{}", earlier.err);
    assert_eq!(run(&dir, "", &format!("{words} --json result.json")).code, Some(4));
    let printed = run(&dir, "", &format!("{words} --json -"));
    let printed: serde_json::Value = serde_json::from_str(&printed.out).unwrap();
    for document in [&json(&path), &printed] {
        assert_eq!(document["failed"]["phase"], "connect");
        assert_eq!(document["failed"]["exit_code"], 4);
        assert_eq!(document.get("summary"), None, "nothing that reads like a result");
        let schema = serde_json::to_value(fanstorm::report::json::schema()).unwrap();
        assert!(jsonschema::is_valid(&schema, document), "{document}");
    }
    let told = run(&dir, "", "report result.json");
    assert_eq!((told.code, told.out.lines().count()), (Some(0), 1), "{}", told.err);
    assert!(told.out.contains("the run failed, nothing was measured: phase connect: "));
    let ran = run(&dir, "", "report result.json --format hgrm");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("is of a run that failed"), "{}", ran.err);
}

#[test]
fn flags_that_make_no_sense_are_a_failed_run_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("result.json");
    fs::write(&path, "yesterday").unwrap();
    let ran = run(&dir, "", "--rate 5 --in-flight 3 --json result.json");
    assert_eq!(ran.code, Some(2));
    assert_eq!(json(&path)["failed"]["phase"], "arguments");
}

#[test]
fn a_failed_run_leaves_alone_what_another_run_has_written_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("result.json");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = silent.local_addr().unwrap();
    let words = format!("--node ws://{node}/ --connect-timeout 3s --json result.json --quiet");
    let fails = start(&dir, "", &words);
    let _connection = silent.accept().unwrap();
    let other = run(&dir, "", &format!("{SHORT} --json result.json"));
    assert!(matches!(other.code, Some(0 | 5)), "{}", other.err);
    let ran = end(fails);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("another run has written"), "{}", ran.err);
    assert_eq!(json(&path)["trials"][0]["messages"], 20);
}

#[test]
fn a_lost_terminal_ends_the_run_with_its_result_unless_the_run_is_to_outlive_it() {
    let dir = tempfile::tempdir().unwrap();
    let words = "--nodes 1 --relay --rate 100 --duration 30s --wait sleep --json";
    let log = |name: &str| fs::metadata(dir.path().join(name)).is_ok_and(|log| log.len() > 0);
    let faults = "--fault 0:stall=1ms@20 --fault-log";
    let child = start(&dir, "", &format!("{words} hup.json {faults} hup.log"));
    wait_until(|| log("hup.log"));
    tell(&child, Signal::HUP);
    assert_eq!(end(child).code, Some(130));
    let result = json(&dir.path().join("hup.json"));
    assert_eq!(result["interrupted"], true);
    assert_eq!(result["trials"].as_array().unwrap().len(), 1);

    let child = start(&dir, "trap '' HUP;", &format!("{words} nohup.json {faults} nohup.log"));
    wait_until(|| log("nohup.log"));
    tell(&child, Signal::HUP);
    thread::sleep(Duration::from_millis(300));
    assert!(fs::exists(format!("/proc/{}/exe", child.id())).unwrap(), "it goes on");
    tell(&child, Signal::TERM);
    assert_eq!(end(child).code, Some(130));
}

#[test]
fn a_signal_that_is_no_ctrl_c_ends_the_run_also_while_it_calibrates() {
    let dir = tempfile::tempdir().unwrap();
    let words = "--nodes 1 --relay --rate 100 --duration 1h --wait sleep --calibrate --quiet";
    let child = start(&dir, "", &format!("{words} --json result.json"));
    // Two clusters: a discovery and a node each.
    let children = || {
        let list = format!("/proc/{0}/task/{0}/children", child.id());
        fs::read_to_string(list).map_or(0, |list| list.split_whitespace().count())
    };
    wait_until(|| children() == 4);
    thread::sleep(Duration::from_millis(500));
    tell(&child, Signal::TERM);
    let ran = end(child);
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    let document = json(&dir.path().join("result.json"));
    assert_eq!(document["failed"]["phase"], "calibrate");
}

#[test]
fn a_limit_on_memory_that_is_too_low_is_named_and_no_abort() {
    let dir = tempfile::tempdir().unwrap();
    for (limit, messages) in [("ulimit -v 30000;", "10"), ("ulimit -v 200000;", "1M")] {
        let ran = run(&dir, limit, &format!("--nodes 1 --quiet --messages {messages} --json -"));
        assert_eq!(ran.code, Some(3), "{limit} {}", ran.err);
        assert!(ran.err.contains("ulimit -v, RLIMIT_AS"), "{limit} {}", ran.err);
        assert!(ran.out.contains("\"failed\":{\"phase\":\"host\""), "{limit} {}", ran.out);
    }
}

#[test]
fn a_pipe_is_written_if_somebody_reads_it_and_an_error_if_nobody_does() {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("mkfifo").args(["pipe", "unread"]).current_dir(&dir).status().unwrap();
    assert!(made.success());
    let child = start(&dir, "", &format!("{SHORT} --json pipe"));
    let read = json(&dir.path().join("pipe"));
    assert_eq!(read["trials"][0]["messages"], 20);
    assert!(matches!(end(child).code, Some(0 | 5)));
    let ran = run(&dir, "", &format!("{SHORT} --json unread"));
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--json unread: nobody reads this pipe"), "{}", ran.err);
}
