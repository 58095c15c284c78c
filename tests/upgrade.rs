//! What sockets ask for in their upgrades, and what is told of the answers: the program against servers of the
//! test's own.
//!
//! Belongs here: whole runs with the flags of the upgrade, and that no secret is in anything they write. Does
//! not: what a flag may hold (`cli::upgrade_args`).

#[path = "common/engine.rs"]
mod engine;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Message, WebSocket};

/// Answers every request with what `answer` makes of its head; a 101 is followed by an echo server. The heads.
struct Server {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (kept, answer) = (Arc::clone(&heads), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                thread::spawn(move || serve(stream, &*answer, &kept));
            }
        });
        Self { address, heads }
    }

    /// The values of a header over all requests, and those of none.
    fn asked(&self, name: &str) -> BTreeSet<Option<String>> {
        self.heads.lock().unwrap().iter().map(|head| field(head, name)).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &dyn Fn(&str) -> String,
    heads: &Mutex<Vec<String>>,
) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    heads.lock().unwrap().push(head.clone());
    let answer = answer(&head);
    stream.write_all(answer.as_bytes()).ok()?;
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    if head.starts_with("GET /say") {
        socket.send(Message::text(head.clone())).ok()?;
        let reason = field(&head, "Cookie")?.into();
        socket.close(Some(CloseFrame { code: CloseCode::Policy, reason })).ok()?;
    }
    // Whoever has no cookie yet is cut off soon.
    let is_cut = head.starts_with("GET /sticky") && field(&head, "Cookie").is_none();
    let left = if is_cut { 5 } else { u32::MAX };
    let is_slow = answer.contains("X-Slow: true");
    for number in 0.. {
        if !answer.contains("HTTP/1.1 101") || number == left {
            break;
        }
        let message = socket.read().ok()?;
        let is_lost = is_slow && number % 5 == 4;
        if (message.is_text() || message.is_binary()) && !is_lost {
            // What is sent in a burst is answered as late as it is.
            thread::sleep(Duration::from_millis(if is_slow { 20 } else { 0 }));
            socket.send(message).ok()?;
        }
    }
    None
}

fn field(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut of_name = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    let value = of_name.next().map(|(_, value)| value.trim().to_owned());
    assert!(of_name.next().is_none(), "{name} twice: {head}");
    value
}

/// A 101 with further header lines.
fn accepted(head: &str, lines: &str) -> String {
    let accept = derive_accept_key(field(head, "Sec-WebSocket-Key").unwrap().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    )
}

fn fanstorm(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
    command.args(words).args(engine::flags(&words.join(" ")));
    command.args(["--dialect", "raw", "--fan-out", "own", "--messages", "20"]);
    command
}

fn run(words: &[&str]) -> Output {
    fanstorm(words).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Complete; a busy host may spoil the figures.
fn is_well(output: &Output) -> bool {
    matches!(output.status.code(), Some(0 | 5))
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_socket_asks_with_its_own_row_and_all_with_the_same_headers() {
    let server = Server::start(|head| accepted(head, "Sec-WebSocket-Protocol: v2\r\n"));
    let folder = tempfile::tempdir().unwrap();
    let data =
        written(folder.path(), "users.csv", "user,token\nanna,t-anna\nbert,t-bert\nclio,t-clio\n");
    let output = run(&[
        "--node",
        &format!("ws://{}/chat?x=1", server.address),
        "--data",
        &data,
        "--push-sockets",
        "4",
        "--header",
        "Authorization: Bearer {data:token}",
        "--query",
        "user={data:user}",
        "--origin",
        "https://app.test",
        "--host",
        "chat.test",
        "--subprotocol",
        "v1",
        "--subprotocol",
        "v2",
        "--cookie",
        "s={socket}",
    ]);
    assert!(is_well(&output), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("users.csv has 3 rows for 4 sockets: they are used again"), "{told}");
    let values = |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect();
    let bearers: BTreeSet<_> = values(&["Bearer t-anna", "Bearer t-bert", "Bearer t-clio"]);
    assert_eq!(server.asked("Authorization"), bearers);
    assert_eq!(server.asked("Cookie"), values(&["s=0", "s=1", "s=2", "s=3"]));
    for (name, value) in [
        ("Host", "chat.test"),
        ("Origin", "https://app.test"),
        ("Sec-WebSocket-Protocol", "v1, v2"),
    ] {
        assert_eq!(server.asked(name), values(&[value]), "{name}");
    }
    let heads = server.heads.lock().unwrap();
    assert!(heads.iter().any(|head| head.starts_with("GET /chat?x=1&user=clio HTTP/1.1\r\n")));
}

#[test]
fn a_node_that_chooses_no_subprotocol_or_another_one_is_refused() {
    for (line, told) in [
        ("", "upgrade: chose no subprotocol, and was offered v1 (--subprotocol)"),
        (
            "Sec-WebSocket-Protocol: v2\r\n",
            "upgrade: chose the subprotocol `v2`, which was not offered",
        ),
    ] {
        let server = Server::start(move |head| accepted(head, line));
        let output = run(&["--node", &format!("ws://{}/", server.address), "--subprotocol", "v1"]);
        assert_eq!(output.status.code(), Some(4));
        assert!(said(&output).contains(told), "{}", said(&output));
    }
}

#[test]
fn a_node_is_connected_to_elsewhere_and_asked_for_by_its_own_name() {
    let server = Server::start(|head| accepted(head, ""));
    let place = format!("chat.invalid:80:{}", server.address);
    let output =
        run(&["--node", "ws://chat.invalid/", "--connect-to", &place, "--push-sockets", "2"]);
    assert!(is_well(&output), "{}", said(&output));
    assert_eq!(server.asked("Host"), [Some("chat.invalid".to_owned())].into());
}

#[test]
fn messages_travel_as_binary_where_that_is_asked_for() {
    let server = Server::start(|head| accepted(head, ""));
    let output = run(&["--node", &format!("ws://{}/", server.address), "--binary", "--json", "-"]);
    assert!(is_well(&output), "{}", said(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let opcodes = &result["trials"][0]["opcodes"];
    assert_eq!((&opcodes["binary"], &opcodes["text"]), (&20.into(), &0.into()));
}

#[test]
fn the_nodes_behind_one_address_are_counted_by_the_name_in_their_answers() {
    let server = Server::start(|head| {
        let number: u32 = field(head, "X-Number").unwrap().parse().unwrap();
        let name = match number % 4 {
            3 => String::new(),
            rest => format!("x-served-by: n{}\r\n", rest % 2),
        };
        accepted(head, &name)
    });
    let node = format!("ws://{}/", server.address);
    let words = [
        ["--node", &node],
        ["--header", "X-Number: {socket}"],
        ["--push-sockets", "8"],
        ["--node-header", "X-Served-By"],
        ["--json", "-"],
    ];
    let output = run(words.as_flattened());
    assert!(is_well(&output), "{}", said(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |name: serde_json::Value, sockets: u64| serde_json::json!({"node": 0, "name": name, "sockets": sockets, "push_sockets": sockets});
    let expected = [of(serde_json::Value::Null, 2), of("n0".into(), 4), of("n1".into(), 2)];
    assert_eq!(result["connecting"]["reached"], serde_json::Value::from(expected.to_vec()));
    let told = said(&output);
    assert!(told.contains("were taken by n1, 2 of them push"), "{told}");
}

/// A run against one address, behind which `n1` answers late and not every time; `n0` answers all at once.
#[test]
fn only_the_node_behind_an_address_that_loses_and_delays_has_that_in_its_row() {
    let name = |head: &str| match field(head, "X-Number").unwrap().as_str() {
        "0" | "2" => "n0",
        _ => "n1",
    };
    let server = Server::start(move |head| {
        accepted(
            head,
            &format!("X-Served-By: {}\r\nX-Slow: {}\r\n", name(head), name(head) == "n1"),
        )
    });
    let folder = tempfile::tempdir().unwrap();
    let (node, hlog) = (format!("ws://{}/", server.address), folder.path().join("r.hlog"));
    let words = [
        ["--node", &node],
        ["--header", "X-Number: {socket}"],
        ["--push-sockets", "4"],
        ["--messages", "200"],
        ["--drain", "1s"],
        ["--node-header", "X-Served-By"],
        ["--hlog", hlog.to_str().unwrap()],
        ["--json", "-"],
    ];
    let output = run(words.as_flattened());
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = &result["trials"][0];
    assert_eq!(run["messages"], 200);
    let cell = |at: usize| &run["matrix"][at];
    assert_eq!(run["matrix"].as_array().unwrap().len(), 2, "{}", said(&output));
    for (at, name) in ["n0", "n1"].into_iter().enumerate() {
        let reached = serde_json::json!({"node": 0, "name": name, "sockets": 2, "push_sockets": 2});
        assert_eq!((&cell(at)["reached"], &cell(at)["to"]), (&reached, &0.into()));
        assert_eq!(cell(at)["expected"], 100);
    }
    // Every fifth of the 50 messages of each socket is not answered, the others after 20 ms.
    let missing = [cell(0), cell(1)].map(|cell| cell["missing"].as_u64().unwrap());
    assert_eq!(missing, [0, 20]);
    assert!(cell(1)["p50_us"].as_f64().unwrap() >= 20_000.0, "{}", cell(1));
    assert!(cell(0)["p50_us"].as_f64() < cell(1)["p50_us"].as_f64(), "{run}");
    let gaps = run["gaps"].as_array().unwrap();
    assert_eq!(gaps.iter().map(|gap| &gap["socket"]).collect::<Vec<_>>(), [1, 3]);
    assert!(gaps.iter().all(|gap| gap["reached"] == "n1" && gap["node"] == 0), "{gaps:?}");
    let told = said(&output);
    assert!(told.contains(&format!("node 0 {node} (n1)")), "{told}");
    assert!(told.contains("(node 0, n1) from push socket"), "{told}");
    let log = std::fs::read_to_string(hlog).unwrap();
    assert!(log.contains("Tag=e2e-st.0-0.n0,") && log.contains("Tag=e2e-st.0-0.n1,"), "{log}");
}

#[test]
fn a_socket_that_another_node_takes_when_it_is_connected_again_counts_there() {
    // Whoever has no cookie yet is cut off soon.
    let server = Server::start(|head| {
        let name = if field(head, "Cookie").is_some() { "n1" } else { "n0" };
        accepted(head, &format!("Set-Cookie: srv=1; Path=/\r\nX-Served-By: {name}\r\n"))
    });
    let node = format!("ws://{}/sticky", server.address);
    let header = ["--node-header", "X-Served-By", "--messages", "20", "--json", "-"];
    let output = run(&[&["--node", &node, "--push-sockets", "1"], &header[..]].concat());
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = |trial: usize| {
        let run = &result["trials"][trial];
        let cell = &run["matrix"][0];
        assert_eq!(run["matrix"].as_array().unwrap().len(), 1);
        (cell["reached"]["name"].clone(), cell["missing"].as_u64() == Some(0))
    };
    assert_eq!([told(0), told(1)], [("n0".into(), false), ("n1".into(), true)], "{result}");
    assert_eq!(result["trials"][0]["lost_sockets"][0]["reached"], "n0");
    assert!(said(&output).contains(&format!("node 0 {node} (n0): ")), "{}", said(&output));
}

#[test]
fn a_socket_that_is_connected_again_shows_the_cookie_that_was_set_for_it() {
    let server =
        Server::start(|head| accepted(head, "Set-Cookie: srv=n7-s3c; Path=/; HttpOnly\r\n"));
    let node = format!("ws://{}/sticky", server.address);
    let output = run(&["--node", &node, "--push-sockets", "1", "--messages", "20", "--json", "-"]);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let set = serde_json::json!([{"name": "srv", "sockets": 1}]);
    assert_eq!(result["connecting"]["cookies"], set, "{}", said(&output));
    let trials = result["trials"].as_array().unwrap();
    let missing: Vec<_> =
        trials.iter().map(|trial| trial["delivery"]["missing"].as_u64().unwrap()).collect();
    assert!(missing.len() == 2 && missing[0] > 0 && missing[1] == 0, "{missing:?}");
    let shown = server.asked("Cookie");
    assert_eq!(shown, [None, Some("srv=n7-s3c".to_owned())].into());
    let told = said(&output);
    assert!(told.contains("cookies were set: srv (1 socket)") && !told.contains("s3c"), "{told}");
}

/// What is asked of a server that says all of it again, and of one that does not.
const ANSWERS: [&str; 5] = ["quiet", "body", "fields", "challenge", "say"];

fn repeated(how: &str, head: &str) -> String {
    let asked = head.replace("\r\n", "|");
    let cookie = field(head, "Cookie").unwrap();
    match how {
        "body" => format!("HTTP/1.1 403 No {cookie}\r\n\r\n{}", &asked[asked.len() - 90..]),
        "fields" => {
            format!("HTTP/1.1 302 Found\r\nLocation: {asked}\r\nRetry-After: {cookie}\r\n\r\n")
        }
        "challenge" => {
            format!("HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer {cookie}\r\n\r\n{asked}")
        }
        _ => accepted(head, &format!("X-Echo: {asked}\r\nSet-Cookie: {cookie}\r\n")),
    }
}

/// A run that sends all kinds of secrets, and everything that it wrote.
fn written_by_a_run(
    how: &'static str,
    authorization: [&str; 2],
    folder: &Path,
) -> Vec<(String, Vec<u8>)> {
    let server = Server::start(move |head| repeated(how, head));
    let data = written(folder, "data.csv", "row\ns3c-row\n");
    let headers = written(folder, "headers", "X-File: s3c-file\n");
    let out = folder.join("out");
    std::fs::create_dir_all(&out).unwrap();
    let path = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let node = format!("ws://{}/{how}", server.address);
    let words = [
        ["--node", &node],
        ["--data", &data],
        ["--header-file", &headers],
        ["--header", "X-Token: s3c-header"],
        ["--cookie", "sid=s3c-cookie"],
        ["--query", "key=s3c-query"],
        ["--header", "X-Row: {data:row}"],
        ["--json", &path("r.json")],
        ["--hlog", &path("r.hlog")],
        ["--hgrm", &path("h")],
        authorization,
    ];
    let output = fanstorm(words.as_flattened())
        .env("FANSTORM_TEST_TOKEN", "s3c-env")
        .env("FANSTORM_TEST_BASIC", "anna:s3c-pass")
        .output()
        .unwrap();
    assert_eq!(how == "quiet", is_well(&output), "{how}: {}", said(&output));
    let head = server.heads.lock().unwrap()[0].clone();
    for secret in ["s3c-header", "s3c-cookie", "s3c-query", "s3c-file", "s3c-row"] {
        assert!(head.contains(secret), "{secret} was sent: {head}");
    }
    let mut outputs =
        vec![("stdout".to_owned(), output.stdout), ("stderr".to_owned(), output.stderr)];
    for entry in std::fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        outputs.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    assert!(outputs.len() > 2, "a result was written");
    outputs
}

#[test]
fn no_secret_is_in_any_output_of_a_run() {
    for how in ANSWERS {
        for authorization in
            [["--bearer-env", "FANSTORM_TEST_TOKEN"], ["--basic-env", "FANSTORM_TEST_BASIC"]]
        {
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in written_by_a_run(how, authorization, folder.path()) {
                let text = String::from_utf8_lossy(&bytes);
                // All of them begin so; the other is the beginning of anna's password in base64.
                for secret in ["s3c-", "YW5uYTpz"] {
                    assert!(!text.contains(secret), "{how}: {secret} is in {name}: {text}");
                }
            }
        }
    }
}
