//! The program as a user meets it: what it says, and with which exit code, when things go wrong.
//!
//! Belongs here: the binary, its streams and its exit codes. Does not: the accounts of whole runs
//! against the reference cluster.

#[path = "common/engine.rs"]
mod engine;
#[path = "common/io_uring.rs"]
mod io_uring;
#[path = "common/nobody.rs"]
mod nobody;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nobody::nobody;
use rustix::process::{Pid, Signal, kill_process};

/// No case here takes more than a few seconds; beyond this the program hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn fanstorm(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(words.split_whitespace()).args(engine::flags(words));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a run came to.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(words: &str) -> Ran {
    finish(fanstorm(words).spawn().unwrap())
}

/// Waits for the end; a program that does not end is killed and fails the test.
fn finish(child: Child) -> Ran {
    let pid = Pid::from_child(&child);
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = outcome.recv_timeout(PATIENCE) else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("no end after {PATIENCE:?}");
    };
    let Output { status, stdout, stderr } = output.unwrap();
    Ran {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

impl Ran {
    /// One error, on one line of standard error, with all of these in it.
    fn fails(&self, code: i32, names: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let errors: Vec<_> = self.err.lines().filter(|l| l.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{self:?}");
        for name in names {
            assert!(errors[0].contains(name), "no `{name}` in {self:?}");
        }
    }
}

/// Serves every connection with `serve` until the test ends.
fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers every request with these bytes, and ends the connection.
fn answering(answer: String) -> SocketAddr {
    server(move |mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer.as_bytes());
    })
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Takes connections, and never says a word on them.
fn silent(connected: mpsc::Sender<()>) -> SocketAddr {
    server(move |mut stream| {
        let _ = connected.send(());
        let mut request = [0; 4096];
        while matches!(stream.read(&mut request), Ok(1..)) {}
    })
}

/// A server that sends every message back, as somebody else's WebSocket library does it.
fn echo() -> SocketAddr {
    server(|stream| {
        let Ok(mut socket) = tungstenite::accept(stream) else {
            return;
        };
        while let Ok(message) = socket.read() {
            let application = message.is_text() || message.is_binary();
            if application && socket.send(message).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_run_that_no_memory_holds_is_refused_with_what_would_fit() {
    // 4 294 967 295 messages with ids of the cluster's own: some 900 GB.
    let most = "--node ws://127.0.0.1:1/ --rate 50k --messages 4294967295";
    let names = ["too little memory", "times 128", "--messages ", "would fit, or --duration "];
    run(most).fails(3, &names);
}

#[test]
fn help_shows_the_flags_by_purpose_with_examples_and_exit_codes() {
    for words in ["--help", "run --help"] {
        let help = run(words);
        assert_eq!(help.code, Some(0));
        for part in
            ["Target:", "Embedded cluster", "Load:", "Report:", "Examples:", "Exit codes:", "130"]
        {
            assert!(help.out.contains(part), "no `{part}` in {words}");
        }
        assert!(!help.out.contains("cluster-child"), "that one is not for people");
    }
    assert!(run("--version").out.contains(env!("CARGO_PKG_VERSION")));
}

/// Each command and those below it, as words.
fn commands(of: &clap::Command, before: &str) -> Vec<String> {
    let mut all = vec![before.to_owned()];
    for command in of.get_subcommands().filter(|command| !command.is_hide_set()) {
        all.extend(commands(command, format!("{before} {}", command.get_name()).trim()));
    }
    all
}

#[test]
fn no_line_of_any_help_is_wider_than_100_columns() {
    let commands = commands(&fanstorm::cli::Cli::definition(), "");
    assert!(commands.iter().any(|words| words == "dialect try"), "{commands:?}");
    for words in commands {
        for flag in ["-h", "--help"] {
            let help = run(&format!("{words} {flag}"));
            let wide = help.out.lines().find(|line| line.chars().count() > 100);
            assert!(help.out.contains("Usage:") && wide.is_none(), "{words} {flag}: {help:?}");
        }
    }
}

#[test]
fn a_misspelt_flag_is_a_usage_error_with_a_suggestion() {
    let ran = run("--mesages 10");
    ran.fails(2, &["--mesages"]);
    assert!(ran.err.contains("--messages"), "{ran:?}");
    assert_eq!(ran.out, "");
}

#[test]
fn a_wrong_value_is_a_usage_error_that_names_the_flag_and_what_it_takes() {
    for (words, names) in [
        ("--push-sockets abc", ["--push-sockets", "150, 10k or 1M"]),
        ("--push-sockets 0", ["--push-sockets", "at least 1"]),
        ("--push-sockets 65535", ["--push-sockets", "65 534"]),
        ("--messages 10,,20", ["--messages", "150, 10k or 1M"]),
        ("--messages 0", ["--messages", "at least 1"]),
        ("--payload-bytes 1", ["--payload-bytes", "1"]),
        ("--drain 10", ["--drain", "needs a unit"]),
        ("--drain 0s", ["--drain", "longer than 0"]),
        ("--cores none", ["--cores", "how many"]),
        ("--cores 8191-8191 --node ws://127.0.0.1:1/", ["--cores", "8191"]),
        ("--node 127.0.0.1:9001", ["--node", "write ws://127.0.0.1:9001"]),
        ("--node wss://127.0.0.1:9001/ --cacert /no/ca.pem", ["--cacert", "/no/ca.pem"]),
        ("--dialect mqtt", ["--dialect", "mqtt"]),
        ("--nodes 0", ["--nodes", "0 is not a number from 1 to 256"]),
    ] {
        run(words).fails(2, &names);
    }
}

#[test]
fn flags_that_exclude_each_other_are_named_together_before_anything_is_opened() {
    let (connected, connections) = mpsc::channel();
    let node = silent(connected);
    for (words, names) in [
        (format!("--node ws://{node} --discovery http://{node}/"), ["--node", "--discovery"]),
        (format!("--node ws://{node} --nodes 3"), ["--node", "--nodes"]),
        (format!("--discovery http://{node} --relay"), ["--discovery", "--relay"]),
        (format!("--node ws://{node} --fault-log f"), ["--fault-log", "--fault"]),
        ("--dialect raw".to_owned(), ["--dialect raw", "--relay"]),
        ("--push-node 3 --nodes 2".to_owned(), ["--push-node 3", "--nodes 2"]),
        (
            format!("--node ws://{node} --fan-out own --receivers-per-node 1"),
            ["--fan-out own", "--receivers-per-node 1"],
        ),
        (
            format!("--node ws://{node} --payload-bytes 2MiB --max-message-bytes 1MiB"),
            ["--payload-bytes", "--max-message-bytes"],
        ),
    ] {
        let ran = run(&words);
        ran.fails(2, &names);
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        assert_eq!(ran.out, "");
    }
    assert_eq!(connections.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn a_node_that_refuses_is_named_with_the_phase() {
    let nobody = nobody();
    let node = nobody.address;
    let ran = run(&format!("--node ws://{node}/ --messages 10 --quiet"));
    ran.fails(4, &[&format!("ws://{node}/"), "connect"]);
    assert_eq!(ran.out, "", "no report of zeros");
}

#[test]
fn a_node_that_answers_404_to_the_upgrade_is_named_with_its_status_line() {
    let node = answering(http("404 Not Found", "no such thing"));
    let ran = run(&format!("--node ws://{node}/chat --messages 10 --quiet"));
    ran.fails(4, &[&format!("ws://{node}/chat"), "404 Not Found"]);
    assert_eq!(ran.out, "");
}

#[test]
fn a_node_that_never_answers_is_given_up_at_the_timeout() {
    let node = silent(mpsc::channel().0);
    let words = format!("--node ws://{node}/ --messages 10 --connect-timeout 300ms --quiet");
    run(&words).fails(4, &[&format!("ws://{node}/")]);
}

#[test]
fn a_host_name_that_does_not_exist_is_unreachable() {
    run("--node ws://nowhere.invalid:1/ --quiet").fails(4, &["ws://nowhere.invalid:1/", "resolve"]);
}

#[test]
fn a_push_node_that_is_not_in_the_list_is_a_usage_error_with_the_list() {
    let ran = run("--node ws://127.0.0.1:1/ --push-node ws://127.0.0.1:2/");
    ran.fails(2, &["--push-node ws://127.0.0.1:2/", "ws://127.0.0.1:1/"]);
    run("--node ws://127.0.0.1:1/ --push-node 1").fails(2, &["--push-node 1", "from 0"]);
}

#[test]
fn a_discovery_that_names_no_nodes_is_named_with_the_phase_and_the_answer() {
    for (answer, names) in [
        (http("404 Not Found", "{}"), ["answer", "404 Not Found"]),
        (http("503 Service Unavailable", ""), ["answer", "503 Service Unavailable"]),
        (http("200 OK", "<html>hello</html>"), ["list", "not JSON (it begins with `<html>hello"]),
        (http("200 OK", r#"{"nodes":[]}"#), ["list", "activeNodes"]),
        (http("200 OK", r#"{"activeNodes":[]}"#), ["list", "empty"]),
        (
            http("200 OK", r#"{"activeNodes":[{"address":"::1","clientport":0}]}"#),
            ["list", "clientport"],
        ),
        ("not even HTTP\r\n\r\n".to_owned(), ["answer", "parse"]),
        (String::new(), ["answer", "closed before its end"]),
    ] {
        let url = format!("http://{}/api/clients", answering(answer));
        let ran = run(&format!("--discovery {url} --quiet"));
        ran.fails(4, &[&url, names[0], names[1]]);
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
}

#[test]
fn a_discovery_that_is_not_there_or_never_answers_is_given_up() {
    let nobody = nobody();
    let url = format!("http://{}/api/clients", nobody.address);
    run(&format!("--discovery {url}")).fails(4, &[&url, "connect", "is it running?"]);
    let url = format!("http://{}/api/clients", silent(mpsc::channel().0));
    let words = format!("--discovery {url} --connect-timeout 300ms");
    run(&words).fails(4, &[&url, "none within 300 ms (--connect-timeout)"]);
}

#[test]
fn the_nodes_that_a_discovery_lists_are_the_ones_that_are_tried() {
    let nobody = nobody();
    let node = nobody.address;
    let mapped = format!("ws://[::ffff:127.0.0.1]:{}/", node.port());
    let entry = format!(r#"{{"address":"::ffff:127.0.0.1","clientport":{}}}"#, node.port());
    let list = format!(r#"{{"activeNodes":[{entry},{entry}]}}"#);
    let ran = run(&format!("--discovery http://{} --quiet", answering(http("200 OK", &list))));
    ran.fails(4, &[&mapped, "connect"]);
    let notice = format!("warning: {mapped} is the same node as {mapped}: taken once");
    assert!(ran.err.contains(&notice), "{ran:?}");
}

#[test]
fn a_result_that_cannot_be_written_is_refused_before_the_run() {
    let (connected, connections) = mpsc::channel();
    let node = silent(connected);
    let ran = run(&format!("--node ws://{node}/ --json /nonexistent/result.json"));
    ran.fails(2, &["--json /nonexistent/result.json", "there is no such folder: make it"]);
    assert_eq!(connections.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn a_file_that_is_not_there_is_told_in_words_with_its_flag() {
    const FOLDER: &str = "there is no such folder: make it";
    const FILE: &str = "there is no such file";
    for (words, flag, says) in [
        ("--html /no/such", "--html", FOLDER),
        ("--hgrm /no/such", "--hgrm", FOLDER),
        ("--fault drop=0.1 --fault-log /no/such", "--fault-log", FOLDER),
        ("audit --fix-file /no/such.conf", "--fix-file", FOLDER),
        ("cluster --tls=/no/such", "--tls", FOLDER),
        ("cluster --fault drop=0.1 --fault-log /no/such", "--fault-log", FOLDER),
        ("--node wss://127.0.0.1:1/ --cacert /no/such", "--cacert", FILE),
        ("--node wss://127.0.0.1:1/ --cert /no/such --key /no/such", "--cert", FILE),
        ("--node ws://127.0.0.1:1/ --data /no/such", "--data", FILE),
        ("--node ws://127.0.0.1:1/ --header-file /no/such", "--header-file", FILE),
        ("--node ws://127.0.0.1:1/ --bearer-file /no/such", "--bearer-file", FILE),
        ("--dialect /no/such", "dialect", "neither a file"),
        ("report /no/such", "/no/such", FILE),
    ] {
        let ran = run(words);
        ran.fails(2, &[flag, "/no/such", says]);
        assert!(!ran.err.contains("os error"), "{ran:?}");
    }
}

#[test]
fn a_cluster_with_a_fault_of_no_node_is_a_usage_error() {
    run("cluster --fault 3:drop=0.1").fails(2, &["--fault 3:drop=0.1: there is no node 3"]);
}

#[test]
fn an_interval_log_that_cannot_be_written_is_refused_before_the_run() {
    let (connected, connections) = mpsc::channel();
    let node = silent(connected);
    let ran = run(&format!("--node ws://{node}/ --hlog /nonexistent/run.hlog"));
    ran.fails(2, &["--hlog /nonexistent/run.hlog", "there is no such folder: make it"]);
    assert_eq!(connections.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn a_run_that_fails_leaves_what_went_wrong_in_place_of_a_result() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("result.json");
    let nobody = nobody();
    let node = nobody.address;
    let ran = run(&format!("--node ws://{node}/ --quiet --json {}", path.display()));
    assert_eq!(ran.code, Some(4));
    let failed = &read_result(&path)["failed"];
    assert_eq!((&failed["phase"], &failed["exit_code"]), (&"connect".into(), &4.into()));
    assert!(failed["cause"].as_str().unwrap().contains(&node.to_string()), "{failed}");
}

#[test]
fn too_few_descriptors_are_refused_with_the_arithmetic_and_the_command() {
    // On io_uring sockets would go to the tables of more rings.
    let limited =
        r#"ulimit -n 50 && exec "$0" --engine epoll --node ws://127.0.0.1:1/ --push-sockets 200"#;
    let mut command = Command::new("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_fanstorm")]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(command.spawn().unwrap());
    let names = ["needs 265 (201 sockets + 64 of our own)", "is 50", "ulimit -n 265"];
    ran.fails(3, &names);
}

#[test]
fn more_sockets_to_a_node_than_ports_are_refused_with_the_sysctl() {
    // From one address: without it, loopback has as many as are needed.
    let ran = run("--node ws://127.0.0.1:1/ --receivers-per-node 65530 --source-ip 127.0.0.2");
    ran.fails(3, &["65 533 sockets go to ws://127.0.0.1:1/", "net.ipv4.ip_local_port_range"]);
}

#[test]
fn the_first_interruption_ends_the_run_with_130() {
    let (connected, connections) = mpsc::channel();
    let node = silent(connected);
    let words = format!("--node ws://{node}/ --connect-timeout 1h --quiet");
    let child = fanstorm(&words).spawn().unwrap();
    connections.recv_timeout(PATIENCE).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    finish(child).fails(130, &["interrupted"]);
}

#[test]
fn an_interruption_before_there_is_anything_to_report_ends_the_program_at_once() {
    let (connected, connections) = mpsc::channel();
    let discovery = silent(connected);
    let words = format!("--discovery http://{discovery} --connect-timeout 1h");
    let child = fanstorm(&words).spawn().unwrap();
    connections.recv_timeout(PATIENCE).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(finish(child).code, Some(130));
}

#[test]
fn an_echo_server_gets_every_copy_back_on_either_engine() {
    let node = echo();
    for engine in ["io_uring", "epoll"] {
        if engine == "io_uring" && !io_uring::is_granted("an echo server over io_uring") {
            continue;
        }
        let words = format!(
            "--node ws://{node}/ --dialect raw --fan-out own --push-sockets 2 --messages 10,200 \
             --engine {engine} --json -"
        );
        comes_back(&run(&words));
    }
}

fn comes_back(ran: &Ran) {
    assert!(
        matches!(ran.code, Some(0 | 5)),
        "complete, whatever the verdict on the timing: {ran:?}"
    );
    let result: serde_json::Value = serde_json::from_str(&ran.out).expect("only JSON on stdout");
    let delivered: Vec<_> = result["trials"].as_array().unwrap().iter().map(delivered).collect();
    assert_eq!(delivered, [(10, 10), (200, 200)]);
    assert!(ran.err.contains("200"), "the report goes to standard error: {ran:?}");
}

fn delivered(run: &serde_json::Value) -> (u64, u64) {
    let count = |key: &str| run["delivery"][key].as_u64().unwrap();
    (count("delivered"), count("expected"))
}

#[test]
fn nodes_on_this_host_are_not_polled_beside_unless_the_user_says_so() {
    // Issue 11, A10: against nodes on loopback `--wait auto` polled, and slowed them to half.
    let node = echo();
    for (wait, waits, told) in [("", "sleep", 1), ("--wait latency", "latency", 0)] {
        let ran = run(&format!(
            "--node ws://{node}/ --dialect raw --fan-out own --push-sockets 2 --messages 20 \
             --quiet --json - {wait}"
        ));
        let result: serde_json::Value = serde_json::from_str(&ran.out).expect("a result");
        assert_eq!(result["plan"]["wait"], waits, "{wait}: {ran:?}");
        let notices = ran.err.lines().filter(|line| line.contains("1 of 1 node is on this host"));
        assert_eq!(notices.count(), told, "{wait}: {ran:?}");
        assert_eq!(result["plan"]["cluster_cpus"], serde_json::json!([]), "it is not ours");
        // Whoever polls, latencies may include the wait for each other; on one CPU that is said once.
        let caveats = result["trials"][0]["verdict"]["caveats"].as_array().unwrap();
        let shared = caveats.iter().any(|caveat| {
            ["shared-cores", "single-cpu"].contains(&caveat["code"].as_str().unwrap())
        });
        assert!(shared, "{wait}: {ran:?}");
    }
}

#[test]
fn quiet_says_nothing_when_nothing_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("result.json");
    let ran = run(&format!(
        "--node ws://{}/ --dialect raw --fan-out own --push-sockets 1 --messages 50 --wait sleep \
         --quiet --json {}",
        echo(),
        path.display()
    ));
    assert!(matches!(ran.code, Some(0 | 5)), "{ran:?}");
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert_eq!(delivered(&read_result(&path)["trials"][0]), (50, 50));
}

fn read_result(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_result_that_does_not_fit_on_the_disk_goes_to_standard_output() {
    let words =
        "--dialect raw --fan-out own --push-sockets 1 --messages 5 --quiet --json /dev/full";
    let ran = run(&format!("--node ws://{}/ {words}", echo()));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("warning: --json /dev/full: "), "{ran:?}");
    let result: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(delivered(&result["trials"][0]), (5, 5));
}

const ECHO: &str = "--dialect raw --fan-out own --push-sockets 1 --messages 5 --quiet --json -";

#[test]
fn an_interval_log_that_does_not_fit_on_the_disk_costs_no_result() {
    let ran = run(&format!("--node ws://{}/ {ECHO} --hlog /dev/full", echo()));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("warning: --hlog /dev/full: "), "{ran:?}");
    let result: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(delivered(&result["trials"][0]), (5, 5));
}

#[test]
fn a_trial_that_is_over_at_once_is_one_interval_of_the_log_and_none_of_the_result() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.hlog");
    let ran = run(&format!("--node ws://{}/ {ECHO} --hlog {}", echo(), path.display()));
    assert!(matches!(ran.code, Some(0 | 5)), "{ran:?}");
    let log = std::fs::read_to_string(path).unwrap();
    let tags: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("Tag=")).collect();
    let tags: Vec<_> = tags.iter().map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(tags, ["connect", "upgrade", "e2e-st.0-0", "done-st"], "{log}");
    let result: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["trials"][0].get("intervals"), None);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let words = "--dialect raw --fan-out own --push-sockets 1 --messages 5";
    let mut child = fanstorm(&format!("--node ws://{}/ {words}", echo())).spawn().unwrap();
    drop(child.stdout.take());
    let ran = finish(child);
    assert!(matches!(ran.code, Some(0 | 5)), "{ran:?}");
    assert!(!ran.err.contains("panicked"), "{ran:?}");
}

#[test]
fn without_a_target_the_embedded_cluster_is_the_target() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("result.json");
    let words = format!("--nodes 2 --messages 30 --quiet --json {}", path.display());
    let ran = run(&words);
    assert!(matches!(ran.code, Some(0 | 5)), "{ran:?}");
    assert_eq!(delivered(&read_result(&path)["trials"][0]), (150, 150), "30 * (3 + 2)");
}

#[test]
fn faults_that_the_embedded_cluster_cannot_have_are_usage_errors() {
    run("--fault dorp=1%").fails(2, &["--fault", "dorp", "drop=P"]);
    run("--nodes 2 --fault 9:drop=1%").fails(2, &["9:drop", "no node 9"]);
    run("--fault drop=1% --fault-log /nonexistent/log").fails(2, &["--fault-log /nonexistent/log"]);
}

#[test]
fn a_node_that_never_passes_the_probe_on_is_named() {
    let ran = run("--nodes 2 --messages 10 --fault 1:deaf --ready-timeout 1500ms --quiet");
    ran.fails(4, &["the probe did not reach 1 of its 1 sockets within 1.5 s"]);
}

#[test]
fn an_interrupted_run_reports_what_was_measured_and_leaves_no_process_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (log, result) = (dir.path().join("faults"), dir.path().join("result.json"));
    let words = format!(
        "--nodes 1 --messages 1000,2000 --fault stall=1h@500 --fault-log {} --drain 1h --json {}",
        log.display(),
        result.display()
    );
    let child = fanstorm(&words).spawn().unwrap();
    wait_until(|| std::fs::metadata(&log).is_ok_and(|log| log.len() > 0));
    let cluster = children(child.id());
    assert_eq!(cluster.len(), 2, "a discovery and a node");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();

    let ran = finish(child);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.out.contains("interrupted"), "{ran:?}");
    let runs = read_result(&result)["trials"].clone();
    assert_eq!(runs.as_array().unwrap().len(), 1, "the second trial never began");
    let (delivered, expected) = delivered(&runs[0]);
    assert!(0 < delivered && delivered < expected, "{delivered} of {expected}");
    wait_until(|| !cluster.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()));
}

fn children(pid: u32) -> Vec<String> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace().map(str::to_owned).collect()
}

/// Looks again and again until it is so; a test that waits for ever fails.
fn wait_until(so: impl Fn() -> bool) {
    let looks = PATIENCE.as_millis() / 10;
    let seen = (0..looks).any(|_| {
        thread::sleep(Duration::from_millis(10));
        so()
    });
    assert!(seen, "it never came to be");
}
