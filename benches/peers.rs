//! fanstorm beside other load generators on their own ground: an echo server, 64 connections, text of
//! 150 bytes, one and sixteen messages in flight on each.
//!
//! Nothing is built or fetched here. Each peer runs where the environment says where it is:
//! `FANSTORM_PEER_GCANNON` (<https://github.com/MDA2AV/gcannon>), `FANSTORM_PEER_LOAD_TEST` (of
//! uWebSockets' benchmarks, built without TLS; one in flight only), `FANSTORM_PEER_K6`. The server is
//! `FANSTORM_PEER_SERVER`, a program that takes a port as its argument and echoes; without it, our own
//! relay. Server and client have a CPU each; rounds are interleaved.
//!
//! The figure is CPU time per message: of the whole process for peers and `fanstorm_process`, start and
//! report included; of the trial for `fanstorm`, as its report says it. Ours sleeps for copies here
//! (`--wait sleep`), since what polling burns is no cost of a message. A second table has the wall time
//! per message. Ours must have every copy; peers are believed as to what they have got.
//!
//! `cargo bench --bench peers` (add `-- echo16` for one shape)

#[expect(dead_code, reason = "rounds of subjects that give one figure each")]
mod common;

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Row, Size};
use fanstorm::cluster::{Audience, Cluster, ClusterConfig};
use serde_json::Value;

const CONNECTIONS: &str = "64";
const PAYLOAD: usize = 150;
/// How `proc(5)` counts CPU time, on every architecture that fanstorm runs on.
const TICKS_PER_S: f64 = 100.0;

#[derive(Clone, Copy, Debug)]
struct Shape {
    name: &'static str,
    in_flight: u32,
    /// Of fanstorm, which counts messages where peers count seconds.
    messages: u64,
    seconds: u64,
}

/// What a client had done, and what it took.
struct Run {
    messages: f64,
    /// For these messages.
    wall_s: f64,
    process_cpu_s: f64,
    /// Of the part that is measured, where the client tells.
    row_cpu_s: Option<f64>,
}

fn main() {
    let size = Size::from_env();
    let seconds = if size.scale < 1.0 { 1 } else { 4 };
    let shapes = [
        Shape { name: "echo1", in_flight: 1, messages: size.of(400_000), seconds },
        Shape { name: "echo16", in_flight: 16, messages: size.of(4_000_000), seconds },
    ];
    let names = shapes.map(|shape| shape.name);
    for shape in shapes {
        if common::wants(shape.name, &names) {
            compare(shape, size);
        }
    }
}

/// Runs a program against the server on a port.
type Runs = fn(&str, Shape, u16) -> Run;

/// A peer: its name, where it is, and how it is run.
type Peer = (&'static str, String, Runs);

fn peers(shape: Shape) -> Vec<Peer> {
    let all: [(&str, &str, Runs); 3] = [
        ("gcannon", "FANSTORM_PEER_GCANNON", gcannon),
        ("load_test", "FANSTORM_PEER_LOAD_TEST", load_test),
        ("k6", "FANSTORM_PEER_K6", k6),
    ];
    let mut peers = Vec::new();
    for (name, variable, run) in all {
        if shape.in_flight > 1 && name == "load_test" {
            continue;
        }
        match std::env::var(variable) {
            Ok(path) => peers.push((name, path, run)),
            Err(_) => println!("peers      {:12} {name}: not given ({variable})", shape.name),
        }
    }
    peers
}

fn compare(shape: Shape, size: Size) {
    let (client, peer) = common::cpus();
    let peers = peers(shape);
    let names = ["fanstorm", "fanstorm_process"].into_iter().chain(peers.iter().map(|peer| peer.0));
    let mut cpu: Vec<Row> = names.map(Row::new).collect();
    let mut wall: Vec<Row> = cpu
        .iter()
        .map(|row| row.subject)
        .filter(|name| *name != "fanstorm_process")
        .map(Row::new)
        .collect();
    for _ in 0..size.rounds {
        let ours = against_a_server(client, peer, |port| fanstorm(shape, port, client));
        let row = ours.row_cpu_s.expect("our report tells it");
        cpu[0].ns.push(row * 1e9 / ours.messages);
        cpu[1].ns.push(ours.process_cpu_s * 1e9 / ours.messages);
        wall[0].ns.push(ours.wall_s * 1e9 / ours.messages);
        for (index, (_, path, run)) in peers.iter().enumerate() {
            let theirs = against_a_server(client, peer, |port| run(path, shape, port));
            cpu[index + 2].ns.push(theirs.process_cpu_s * 1e9 / theirs.messages);
            wall[index + 1].ns.push(theirs.wall_s * 1e9 / theirs.messages);
        }
    }
    common::print("peers", shape.name, &cpu);
    common::print("peers", &format!("{}_wall", shape.name), &wall);
}

/// Runs a client on its CPU against a server of its own on another.
fn against_a_server(client: usize, peer: usize, run: impl FnOnce(u16) -> Run) -> Run {
    // A process stays on the CPU of the thread that starts it.
    common::pin(peer);
    let server = Server::start(peer);
    common::pin(client);
    run(server.port)
}

/// An echo server, which ends with this value.
struct Server {
    port: u16,
    given: Option<Child>,
    _ours: Option<Cluster>,
}

impl Server {
    fn start(cpu: usize) -> Self {
        let Some(path) = std::env::var_os("FANSTORM_PEER_SERVER") else {
            let cluster = Cluster::start(&ClusterConfig {
                nodes: 1,
                relay: true,
                audience: Audience::Own,
                cpus: vec![cpu],
                executable: Some(env!("CARGO_BIN_EXE_fanstorm").into()),
                ..ClusterConfig::default()
            });
            let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
            let url = cluster.node_urls()[0].trim_end_matches('/');
            let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
            return Self { port: port.expect("a port"), given: None, _ours: Some(cluster) };
        };
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let mut command = Command::new(&path);
        let child =
            command.arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("FANSTORM_PEER_SERVER: {error}"));
        let server = Self { port, given: Some(child), _ours: None };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "FANSTORM_PEER_SERVER does not listen on {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.given {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// CPU time of all children that were waited for: fields 16 and 17 of `/proc/self/stat`.
fn cpu_of_children_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("proc");
    let fields = stat.rsplit(')').next().expect("a name").split_whitespace();
    fields.skip(13).take(2).map(|ticks| ticks.parse::<f64>().expect("ticks")).sum::<f64>()
        / TICKS_PER_S
}

/// Runs a command to its end, or ends it after so long: what it wrote, and its CPU time.
fn output(command: &mut Command, at_most: Option<Duration>) -> (String, f64) {
    let name = command.get_program().to_owned();
    let before = cpu_of_children_s();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{}: {error}", name.display()));
    if let Some(at_most) = at_most {
        std::thread::sleep(at_most);
        let _ = child.kill();
    }
    let mut text = String::new();
    let stdout = child.stdout.as_mut().expect("stdout is piped");
    stdout.read_to_string(&mut text).expect("text");
    let status = child.wait().expect("a child");
    assert!(at_most.is_some() || status.success(), "{}: {status}\n{text}", name.display());
    (text, cpu_of_children_s() - before)
}

fn fanstorm(shape: Shape, port: u16, cpu: usize) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(["--node", &format!("ws://127.0.0.1:{port}/"), "--dialect", "raw"]);
    command.args(["--fan-out", "own", "--push-sockets", CONNECTIONS, "--wait", "sleep"]);
    command.args(["--in-flight", &shape.in_flight.to_string()]);
    command.args(["--messages", &shape.messages.to_string()]);
    command.args(["--payload-bytes", &PAYLOAD.to_string(), "--cores", &format!("{cpu}-{cpu}")]);
    let (text, process_cpu_s) = output(command.args(["--quiet", "--json", "-"]), None);
    let result: Value = serde_json::from_str(&text).expect("a result");
    let run = &result["trials"][0];
    let delivered = run["delivery"]["delivered"].as_u64();
    assert_eq!(delivered, Some(shape.messages), "every message came back once: {text}");
    let messages = shape.messages as f64;
    let ns = run["generator"]["cores"][0]["cpu_ns_per_copy"].as_f64().expect("copies came");
    let per_s = run["throughput"]["copies_per_s"].as_f64().expect("copies came");
    let row_cpu_s = Some(ns * messages / 1e9);
    Run { messages, wall_s: messages / per_s, process_cpu_s, row_cpu_s }
}

fn gcannon(path: &str, shape: Shape, port: u16) -> Run {
    let mut command = Command::new(path);
    command.args([&format!("http://127.0.0.1:{port}/"), "--ws", "--ws-msg", &"x".repeat(PAYLOAD)]);
    command.args(["-c", CONNECTIONS, "-t", "1", "-p", &shape.in_flight.to_string()]);
    command.args(["-d", &format!("{}s", shape.seconds), "--json"]);
    let (text, process_cpu_s) = output(&mut command, None);
    let result: Value = serde_json::from_str(&text).expect("JSON of gcannon 0.5.3");
    let messages = result["ws_frames"].as_f64().expect("frames");
    Run { messages, wall_s: shape.seconds as f64, process_cpu_s, row_cpu_s: None }
}

/// It never ends, and says every 4 seconds how many messages a second it had: its third word is ended
/// on. To a pipe it would say nothing before it ends, so `stdbuf` (of coreutils) runs it.
fn load_test(path: &str, _: Shape, port: u16) -> Run {
    let mut command = Command::new("stdbuf");
    command.args(["-oL", path, CONNECTIONS, "127.0.0.1", &port.to_string(), "0", "0"]);
    command.arg(PAYLOAD.to_string());
    let ran = Duration::from_millis(12_500);
    let (text, process_cpu_s) = output(&mut command, Some(ran));
    let rates = text.lines().filter_map(|line| line.strip_prefix("Msg/sec: ")?.parse::<f64>().ok());
    let rates: Vec<f64> = rates.collect();
    assert!(!rates.is_empty(), "no figure of load_test: {text}");
    let per_s = rates.iter().sum::<f64>() / rates.len() as f64;
    let wall_s = ran.as_secs_f64();
    Run { messages: per_s * wall_s, wall_s, process_cpu_s, row_cpu_s: None }
}

fn k6(path: &str, shape: Shape, port: u16) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let (script, summary) = (folder.path().join("echo.js"), folder.path().join("summary.json"));
    let (in_flight, seconds) = (shape.in_flight, shape.seconds);
    let text = format!(
        "import ws from 'k6/ws';\n\
         export const options = {{ vus: {CONNECTIONS}, iterations: {CONNECTIONS} }};\n\
         export default function () {{\n\
         ws.connect('ws://127.0.0.1:{port}/', {{}}, (socket) => {{\n\
         const text = 'x'.repeat({PAYLOAD});\n\
         socket.on('open', () => {{ for (let i = 0; i < {in_flight}; i++) socket.send(text); }});\n\
         socket.on('message', () => socket.send(text));\n\
         socket.setTimeout(() => socket.close(), {seconds}000);\n\
         }}); }}\n"
    );
    std::fs::write(&script, text).expect("a file");
    let mut command = Command::new(path);
    command.args(["run", "--quiet", "--no-usage-report", "--summary-export"]);
    let (_, process_cpu_s) = output(command.args([&*summary, &*script] as [&Path; 2]), None);
    let summary = std::fs::read_to_string(&summary).expect("k6 has written its summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON of k6");
    let messages = summary["metrics"]["ws_msgs_received"]["count"].as_f64().expect("messages");
    Run { messages, wall_s: seconds as f64, process_cpu_s, row_cpu_s: None }
}
