//! `fanstorm audit` as a user meets it: what it prints, writes and returns, and whom it talks to.
//!
//! Belongs here: the binary. Does not: its rules (`tests/audit.rs`).

#[path = "common/engine.rs"]
mod engine;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

const BINARY: &str = env!("CARGO_BIN_EXE_fanstorm");

/// What a command came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn fanstorm(words: &str) -> Ran {
    let mut command = Command::new(BINARY);
    command.args(words.split_whitespace()).args(engine::flags(words)).stdin(Stdio::null());
    command.output().unwrap().into()
}

/// With a hard limit of so many descriptors, which only root could raise again.
fn with_descriptors(limit: u64, words: &str) -> Ran {
    let script = format!("ulimit -n {limit}; exec {BINARY} {words}");
    Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn a_plan_beyond_the_hard_limit_stops_the_audit_and_the_run_with_the_same_figures() {
    // io_uring could keep the sockets in tables of its own.
    let flags = "--node ws://127.0.0.1:9/ --receivers-per-node 200 --engine epoll";
    let audit = with_descriptors(100, &format!("audit {flags}"));
    assert_eq!(audit.code, Some(3), "{}", audit.out);
    let line = audit.out.lines().find(|line| line.contains("RLIMIT_NOFILE")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words, ["stop", "RLIMIT_NOFILE", "100", "267"], "is and wants");
    // As prlimit(1) takes it, and in a container as its runtime does.
    let remedy = audit.out.lines().find(|line| line.trim_start().starts_with("> ")).unwrap();
    assert!(remedy.contains("nofile=267"), "{}", audit.out);
    assert!(audit.out.ends_with("cannot run the plan as it is\n"), "{}", audit.out);

    let run = with_descriptors(100, flags);
    assert_eq!(run.code, Some(3), "{}", run.err);
    assert!(run.err.contains("needs 267 (203 sockets + 64 of our own)"), "{}", run.err);
}

#[test]
fn a_small_plan_finds_nothing_in_its_way_and_says_what_is_fine() {
    let ran = fanstorm("audit --node ws://127.0.0.1:9/");
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("1 push") || ran.out.contains("3 push"), "{}", ran.out);
    assert!(ran.out.contains("\n  fine      descriptors 3 of 3, ports "), "{}", ran.out);
    let last = ran.out.lines().last().unwrap();
    assert!(last.starts_with("audit: ok: ") || last.starts_with("audit: warn: "), "{last}");
}

#[test]
fn lines_fit_a_terminal_and_lines_to_paste_are_whole() {
    for words in [
        "audit",
        "audit --receivers-per-node 70k --rate 10/s",
        "audit --node ws://10.0.0.7:9001/ --receivers-per-node 400k --payload-bytes 64KiB --rate 3/s",
    ] {
        let ran = fanstorm(words);
        for line in ran.out.lines().filter(|line| !line.trim_start().starts_with("> ")) {
            assert!(line.chars().count() <= 100, "{line}");
        }
        let commands = ran.out.lines().filter(|line| line.contains("> sudo sysctl"));
        assert!(commands.clone().all(|line| line.contains('=')), "{}", ran.out);
    }
}

#[test]
fn an_audit_does_not_talk_to_nodes() {
    let node = TcpListener::bind("127.0.0.1:0").unwrap();
    node.set_nonblocking(true).unwrap();
    let ran = fanstorm(&format!("audit --node ws://{}/", node.local_addr().unwrap()));
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(node.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_discovery_is_asked_how_many_nodes_there_are() {
    let discovery = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/clients", discovery.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = discovery.accept().unwrap();
        let _ = stream.read(&mut [0; 4_096]);
        let node = |port| format!(r#"{{"address":"10.0.0.7","clientport":{port}}}"#);
        let body = format!(r#"{{"activeNodes":[{},{}]}}"#, node(9_001), node(9_002));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all((head + &body).as_bytes());
    });
    let ran = fanstorm(&format!("audit --discovery {url} --receivers-per-node 10"));
    assert!(ran.out.contains("this host for 23 sockets to 2 nodes"), "{}{}", ran.out, ran.err);
    let words = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("at most 13 to one node"), "{words}");
    assert!(words.contains("nodes on other hosts"), "{words}");

    let silent = fanstorm("audit --discovery http://127.0.0.1:9/ --connect-timeout 2s");
    assert_eq!(silent.code, Some(4), "{}", silent.err);
    assert_eq!(silent.out, "");
}

fn document(words: &str) -> serde_json::Value {
    let ran = fanstorm(words);
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}{}", ran.out, ran.err))
}

#[test]
fn the_document_is_as_its_published_schema_says() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/fanstorm.audit-1.json");
    let schema = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for words in ["audit --json - -q", "audit --rate 100/s --receivers-per-node 300k --json - -q"] {
        let document = document(words);
        let faults: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{words}");
        assert_eq!(document["schema"], "fanstorm.audit/1");
    }
}

#[test]
fn every_rule_is_in_the_document_once_as_found_fine_or_hidden() {
    let document = document("audit --json -");
    let lists = ["findings", "fine", "hidden"];
    let count: usize = lists.iter().map(|list| document[list].as_array().unwrap().len()).sum();
    assert_eq!(count, fanstorm::audit::rules::RULES.len());
    assert_eq!(document["need"]["sockets"], 6);
    assert_eq!(document["need"]["descriptors"], 70);
    assert_eq!(document["stops"], false);
}

#[test]
fn fix_files_are_written_for_the_plan_and_never_over_somebody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("90-fanstorm.conf");
    let flags = "--node ws://10.0.0.7:9001/ --receivers-per-node 60k";
    let words = format!("audit {flags} --fix-file {}", file.display());
    let first = with_descriptors(100, &words);
    assert_eq!(first.code, Some(3), "{}", first.err);
    assert!(first.out.contains("90-fanstorm.conf, and a limits file beside it"), "{}", first.out);
    let sysctl = fs::read_to_string(&file).unwrap();
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    if range.split_whitespace().eq(["32768", "60999"]) {
        assert!(sysctl.contains("\nnet.ipv4.ip_local_port_range = 1024 65535\n"), "{sysctl}");
    }
    let limits = fs::read_to_string(folder.path().join("90-fanstorm.limits.conf")).unwrap();
    assert!(limits.contains("\n*    hard nofile 60067\n"), "{limits}");

    assert_eq!(with_descriptors(100, &words).code, Some(3), "its own file is written again");
    fs::write(&file, "kernel.panic = 10\n").unwrap();
    let refused = with_descriptors(100, &words);
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
    assert!(refused.err.contains("was not written by fanstorm audit"), "{}", refused.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), "kernel.panic = 10\n");
}

#[test]
fn flags_that_make_no_run_make_no_audit() {
    for words in ["audit --rate 1k --in-flight 4", "audit --push-sockets 0"] {
        let ran = fanstorm(words);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{words}");
        assert!(ran.err.starts_with("error: --"), "{}", ran.err);
    }
}
