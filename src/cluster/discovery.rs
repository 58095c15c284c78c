//! The discovery: `GET /api/clients` lists the nodes, shuffled at every request, dead ones included.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde::Serialize;

use super::child::{READY, say, to_json};

/// A client that says nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest request line and header that are read.
const REQUEST_MAX: u64 = 16 << 10;

#[derive(Serialize)]
struct List {
    #[serde(rename = "activeNodes")]
    active_nodes: Vec<Entry>,
}

#[derive(Clone, Serialize)]
struct Entry {
    address: &'static str,
    clientport: u16,
}

/// Answers one request after the other, until the process ends.
pub(super) fn serve(listener: &TcpListener, ports: &[u16], seed: u64) -> io::Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    // What the seed's discovery saw of a node on the same host.
    let entry = |&clientport: &u16| Entry { address: "::ffff:127.0.0.1", clientport };
    let mut active_nodes: Vec<_> = ports.iter().map(entry).collect();
    say(READY)?;
    loop {
        let (stream, _) = listener.accept()?;
        rng.shuffle(&mut active_nodes);
        let list = List { active_nodes: active_nodes.clone() };
        // A client that hangs up early hurts nobody but itself.
        let _ = answer(stream, &to_json(&list)?);
    }
}

fn answer(stream: TcpStream, list: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(io::Read::take(&stream, REQUEST_MAX)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = request.split_whitespace();
    let path = words.nth(1).map(|path| path.split('?').next().unwrap_or(path));
    let (status, kind, body) = match (request.starts_with("GET "), path) {
        (true, Some("/api/clients")) => ("200 OK", "application/json; charset=utf-8", list),
        _ => ("404 Not Found", "text/plain", "not found\n"),
    };
    let length = body.len();
    write!(
        &stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}
