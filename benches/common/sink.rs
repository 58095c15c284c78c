//! The far end of the send bench: a child process that reads all it can and counts the bytes.
//!
//! It runs apart on its own CPU and never sleeps, so that no sender pays for waking it. It accepts
//! WebSocket clients with tungstenite, and says at the end how many bytes came after the upgrades.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A sink that waits for its connections.
pub(crate) struct Sink {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where to connect.
    pub(crate) addr: SocketAddr,
}

impl Sink {
    /// Starts a child of this very executable on `cpu`, for so many connections.
    pub(crate) fn start(sockets: u32, cpu: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("our own path"))
            .args(["--sink", &sockets.to_string(), &cpu.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child of the bench");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let addr = line(&mut stdout).parse().expect("an address");
        Self { child, stdout, addr }
    }

    /// Bytes that came on all connections; they must be closed, or will be soon.
    pub(crate) fn bytes(mut self) -> u64 {
        line(&mut self.stdout).parse().expect("a number")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("the child's answer");
    line.trim().to_owned()
}

/// Runs as the child if the arguments say so.
pub(crate) fn child() -> bool {
    let args: Vec<String> = std::env::args().collect();
    let Some(place) = args.iter().position(|arg| arg == "--sink") else { return false };
    let n: Vec<usize> =
        args[place + 1..].iter().map(|arg| arg.parse().expect("a number")).collect();
    super::common::pin(n[1]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("bound"));
    let sockets = (0..n[0]).map(|_| accept(&listener)).collect();
    println!("{}", drain(sockets));
    true
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("a client");
    let socket = tungstenite::accept(stream).expect("a WebSocket client");
    let stream = socket.get_ref().try_clone().expect("a descriptor");
    stream.set_nonblocking(true).expect("an option");
    std::mem::forget(socket);
    stream
}

/// Reads until every connection has ended.
fn drain(mut sockets: Vec<TcpStream>) -> u64 {
    let mut memory = vec![0; 256 << 10];
    let mut bytes = 0;
    while !sockets.is_empty() {
        sockets.retain_mut(|socket| match socket.read(&mut memory) {
            Ok(0) => false,
            Ok(len) => {
                bytes += len as u64;
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }
    bytes
}
