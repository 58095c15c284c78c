//! The cluster's processes: that they come up, that they are gone, and what is said when not.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fanstorm::cluster::{Cluster, ClusterConfig};
use fanstorm::units::Nanos;
use rustix::process::{Pid, Signal, kill_process};
use tungstenite::Message;

use crate::peer::{EXECUTABLE, connect, eventually, http, start, start_with};

fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

fn command(arguments: &[&str]) -> Child {
    Command::new(EXECUTABLE)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the executable starts")
}

/// `fanstorm cluster` with its first lines: discovery, then one for each node.
fn foreground(arguments: &[&str], nodes: usize) -> (Child, Vec<String>) {
    let mut child = command(&[&["cluster"], arguments].concat());
    let mut lines = BufReader::new(child.stdout.as_mut().expect("piped")).lines();
    let urls = (0..=nodes)
        .map(|_| lines.next().expect("a line").expect("text"))
        .map(|line| line.split_whitespace().last().expect("a URL").to_owned())
        .collect();
    (child, urls)
}

/// The processes whose parent is `pid`, by field 4 of `stat`, proc(5).
fn children_of(pid: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: &u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    pids.filter(|child| parent(child) == Some(pid)).collect()
}

/// Those of its children that are nodes: they listen for clients and for each other, the discovery
/// for clients alone. All are started at the same time, so their numbers do not tell.
fn nodes_of(pid: u32) -> Vec<u32> {
    let is_socket = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
    };
    let sockets = |child: &u32| {
        let entries = std::fs::read_dir(format!("/proc/{child}/fd")).expect("it runs").flatten();
        entries.filter(is_socket).count()
    };
    children_of(pid).into_iter().filter(|child| sockets(child) > 1).collect()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

fn rest(stream: Option<impl Read>) -> String {
    let mut text = String::new();
    stream.expect("piped").read_to_string(&mut text).expect("text");
    text
}

#[test]
fn dropping_the_cluster_leaves_no_process_behind() {
    let bench = start(3, &[]);
    let pids = bench.cluster.pids();
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| !is_gone(*pid)));
    drop(bench);
    assert!(pids.iter().all(|pid| is_gone(*pid)));
}

#[test]
fn the_children_end_when_their_parent_is_killed_also_in_the_middle_of_a_stall() {
    let (mut parent, urls) = foreground(&["--nodes", "2", "--fault", "stall=1h@1"], 2);
    let children = children_of(parent.id());
    assert_eq!(children.len(), 3);
    let (mut client, _) = tungstenite::client(&urls[1], connect(&urls[1])).expect("an upgrade");
    let push = r#"{"type":"newMessageFromClient","payload":{"text":"stall"}}"#;
    client.send(Message::text(push)).expect("sent");
    signal(&parent, Signal::KILL);
    parent.wait().expect("it has ended");
    for child in children {
        eventually("the child's end", || is_gone(child).then_some(()));
    }
}

#[test]
fn ctrl_c_and_sigterm_end_the_cluster_with_exit_code_0() {
    for ending in [Signal::INT, Signal::TERM] {
        let (mut parent, urls) = foreground(&[], 3);
        assert!(http(&urls[0], "/api/clients").0.starts_with("HTTP/1.1 200"));
        let children = children_of(parent.id());
        signal(&parent, ending);
        assert_eq!(parent.wait().expect("it ends").code(), Some(0));
        assert!(!children.is_empty() && children.into_iter().all(is_gone));
    }
}

#[test]
fn a_dead_node_is_named_and_only_without_any_the_command_fails() {
    let (mut parent, _) = foreground(&["--nodes", "2"], 2);
    let [first, second] = nodes_of(parent.id())[..] else {
        panic!("two nodes and a discovery");
    };
    let kill = |pid: u32| {
        let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
        kill_process(pid, Signal::KILL).expect("it runs");
    };
    kill(first);
    let mut stderr = BufReader::new(parent.stderr.take().expect("piped"));
    let mut line = String::new();
    // Where io_uring is refused a note of that comes first.
    while !line.contains(" ended") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("a line") > 0, "nobody is named");
    }
    // Which of the two it was depends on the ports that they got.
    let (dead, left) = if line.contains("node 0") { (0, 1) } else { (1, 0) };
    assert!(line.contains(&format!("node {dead} ended")), "{line}");
    assert_eq!(parent.try_wait().expect("a child"), None);
    kill(second);
    assert_eq!(parent.wait().expect("it ends").code(), Some(1));
    let said = rest(Some(stderr));
    assert!(
        said.contains(&format!("node {left} ended")) && said.contains("no node is left"),
        "{said}"
    );
}

#[test]
fn a_child_whose_parent_ends_before_or_during_the_handshake_ends_too() {
    for said in ["", r#"{"port":null,"mesh":true}"#] {
        let mut child = command(&["cluster-child"]);
        let mut stdin = child.stdin.take().expect("piped");
        if !said.is_empty() {
            writeln!(stdin, "{said}").expect("written");
        }
        drop(stdin);
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert_eq!(rest(child.stderr.take()), "");
    }
}

fn error(adapt: impl FnOnce(&mut ClusterConfig)) -> String {
    let mut config = ClusterConfig {
        executable: Some(EXECUTABLE.into()),
        clients: Some(64),
        ..ClusterConfig::default()
    };
    adapt(&mut config);
    let error = Cluster::start(&config).map(|_| ()).expect_err("it cannot start");
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn what_keeps_the_cluster_from_starting_is_said_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let text = error(|config| config.port = Some(port));
    assert!(text.contains("discovery ended at its start"), "{text}");
    assert!(text.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{text}");

    let text = error(|config| config.cpus = vec![9999]);
    assert!(text.contains("node 0") && text.contains("CPU 9999"), "{text}");
    let text = error(|config| config.fault_log = Some("/nowhere/at/all".into()));
    assert!(text.contains("--fault-log /nowhere/at/all"), "{text}");
    let text = error(|config| config.executable = Some("/nowhere/at/all".into()));
    assert!(text.contains("cannot be started"), "{text}");
    let text = error(|config| config.nodes = 0);
    assert!(text.contains("--nodes"), "{text}");
    let text = error(|config| config.faults = vec!["3:mute".parse().expect("a fault")]);
    assert!(text.contains("--fault 3:mute:") && text.contains("no node 3"), "{text}");
    let text = error(|config| config.node_port = Some(65_534));
    assert!(text.contains("--node-port 65534"), "{text}");
}

/// The first of these children ends at once, as a node does whose link to another one is refused; the others end later.
#[test]
fn a_child_that_ends_since_another_does_leaves_time_to_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = folder.path().join("child");
    let script = "#!/bin/sh\nmkdir \"$0.first\" 2>&- && { echo refused >&2; exit 1; }\n\
                  sleep 0.2\necho the cause >&2\nexit 1\n";
    // Written by another process: what this one has open for writing, a fork of another test may have, too, and
    // such a file cannot be run (ETXTBSY).
    let write = ["-c", "printf %s \"$1\" > \"$0\" && chmod +x \"$0\""];
    let wrote = Command::new("sh").args(write).arg(&child).arg(script).status().expect("a shell");
    assert!(wrote.success());
    let text = error(|config| config.executable = Some(child.clone()));
    assert!(text.contains("ended at its start") && text.contains("the cause"), "{text}");
}

#[test]
fn a_wrong_fault_on_the_command_line_is_a_usage_error_that_lists_the_right_ones() {
    let mut child = command(&["cluster", "--fault", "dorp=1%"]);
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
    let said = rest(child.stderr.take());
    assert!(said.contains("`dorp`") && said.contains("drop=P"), "{said}");
}

#[test]
fn cpu_time_is_counted_in_nanoseconds_and_never_falls_even_when_a_node_is_killed() {
    let mut bench = start(2, &[]);
    let before = bench.cluster.cpu_time();
    assert!(before > Nanos::ZERO && !before.0.is_multiple_of(1_000_000));
    bench.cluster.kill_node(0);
    assert!(bench.cluster.cpu_time() >= before);
    assert_eq!(bench.cluster.child_died(), None, "a node that we killed did not die by itself");
}

#[test]
fn children_stay_on_the_cpus_that_they_were_given() {
    let allowed = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:"));
        line.expect("a list").split_whitespace().last().expect("a list").to_owned()
    };
    let own = allowed("self");
    let first: usize = own.split(['-', ',']).next().expect("one").parse().expect("a number");
    let bench = start_with(2, &[], |config| config.cpus = vec![first]);
    for pid in bench.cluster.pids() {
        assert_eq!(allowed(&pid.to_string()), first.to_string());
    }
}
