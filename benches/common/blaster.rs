//! The far end of the receive bench: a child process that sends finished frames at a given shape.
//!
//! It runs apart on its own CPU, accepts WebSocket clients with tungstenite, waits for a line on
//! stdin, sends, and ends. What it sends are server frames with tags of the run, as a cluster's would
//! be, rendered before the start.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use fanstorm::dialect::Dialect;
use fanstorm::dialect::tag::Tag;
use fanstorm::dialect::text::TextShape;

/// Nonce of every bench run.
pub(crate) const RUN: u32 = 0x5eed_cafe;
/// Text of 150 bytes, as in the design's prototypes.
pub(crate) const PAYLOAD: usize = 150;

/// How frames are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// As results name it.
    pub(crate) name: &'static str,
    /// Connections.
    pub(crate) sockets: u32,
    /// Frames in one write to one socket.
    pub(crate) batch: u64,
    /// Frames for each socket.
    pub(crate) frames: u64,
    /// Copies per second over all sockets; 0 is as fast as it goes.
    pub(crate) rate: u64,
}

/// A blaster that waits for the start.
pub(crate) struct Blaster {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Where to connect.
    pub(crate) addr: SocketAddr,
}

impl Blaster {
    /// Starts a child of this very executable on `cpu`.
    pub(crate) fn start(shape: Shape, cpu: usize) -> Self {
        Self::start_as("--blaster", shape, cpu)
    }

    /// The same, by the argument that the child knows itself by.
    pub(crate) fn start_as(name: &str, shape: Shape, cpu: usize) -> Self {
        let numbers = [shape.sockets.into(), shape.batch, shape.frames, shape.rate, cpu as u64];
        let mut child = Command::new(std::env::current_exe().expect("our own path"))
            .arg(name)
            .args(numbers.map(|n| n.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child of the bench");
        let stdin = child.stdin.take();
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("the child's address");
        Self { child, stdin, addr: line.trim().parse().expect("an address") }
    }

    /// Lets it send.
    pub(crate) fn go(&mut self) {
        let stdin = self.stdin.as_mut().expect("piped");
        stdin.write_all(b"go\n").expect("the child listens");
    }
}

impl Drop for Blaster {
    fn drop(&mut self) {
        // The end of its stdin ends it, too; the kill only makes it quick.
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs as the child if the arguments say so.
pub(crate) fn child() -> bool {
    let Some(shape) = shape_of("--blaster") else { return false };
    blast(shape);
    true
}

/// What a child of this name is to send, on its CPU from here on.
pub(crate) fn shape_of(name: &str) -> Option<Shape> {
    let args: Vec<String> = std::env::args().collect();
    let place = args.iter().position(|arg| arg == name)?;
    let n: Vec<u64> = args[place + 1..].iter().map(|arg| arg.parse().expect("a number")).collect();
    super::common::pin(n[4] as usize);
    Some(Shape { name: "", sockets: n[0] as u32, batch: n[1], frames: n[2], rate: n[3] })
}

fn blast(shape: Shape) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("bound"));
    let mut sockets: Vec<TcpStream> = (0..shape.sockets).map(|_| accept(&listener)).collect();
    let writes = render(shape);
    send(shape, &mut sockets, |round, _| &writes[round]);
}

/// Waits for the start and sends, in so many rounds, what `bytes` has for a round and a socket.
pub(crate) fn send<'b>(
    shape: Shape,
    sockets: &mut [TcpStream],
    bytes: impl Fn(usize, usize) -> &'b [u8],
) {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("stdin");
    let start = Instant::now();
    let mut sent = 0;
    for round in 0..shape.frames.div_ceil(shape.batch) as usize {
        for (place, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(bytes(round, place)).expect("the client reads");
        }
        sent += shape.batch * u64::from(shape.sockets);
        // Paced by rounds: a spin, since this CPU is ours.
        while shape.rate > 0 && start.elapsed() < due(sent, shape.rate) {
            std::hint::spin_loop();
        }
    }
    // Until the client hangs up: an early end would be a loss.
    let _ = std::io::stdin().read_line(&mut line);
}

fn due(sent: u64, rate: u64) -> Duration {
    Duration::from_nanos(sent * 1_000_000_000 / rate)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("a client");
    stream.set_nodelay(true).expect("an option");
    let socket = tungstenite::accept(stream).expect("a WebSocket client");
    let stream = socket.get_ref().try_clone().expect("a descriptor");
    std::mem::forget(socket);
    stream
}

/// One buffer for each round of writes.
pub(crate) fn render(shape: Shape) -> Vec<Vec<u8>> {
    let (dialect, text) = (Dialect::raw(), TextShape::new(PAYLOAD).expect("long enough"));
    let frame = |sequence: u64| {
        let mut frame = vec![0x81, 126];
        frame.extend((PAYLOAD as u16).to_be_bytes());
        dialect.render(&text, Tag { run: RUN, sender: 0, sequence }, &mut frame);
        frame
    };
    let starts = (0..shape.frames).step_by(shape.batch as usize);
    starts
        .map(|start| (start..shape.frames.min(start + shape.batch)).flat_map(frame).collect())
        .collect()
}
