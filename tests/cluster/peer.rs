//! The peer: a blocking tungstenite client, and a cluster to point it at.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fanstorm::cluster::{Cluster, ClusterConfig, FaultEvent, fault_log};
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// Longer than anything takes on a busy machine: whoever waits so long waits for what will not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const EXECUTABLE: &str = env!("CARGO_BIN_EXE_fanstorm");

/// A cluster, and the account of its faults.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

/// A cluster of some nodes with some faults.
pub(crate) fn start(nodes: usize, faults: &[&str]) -> Bench {
    start_with(nodes, faults, |_| {})
}

pub(crate) fn start_with(
    nodes: usize,
    faults: &[&str],
    adapt: impl FnOnce(&mut ClusterConfig),
) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("faults.jsonl");
    let mut config = ClusterConfig {
        nodes,
        faults: faults.iter().map(|spec| spec.parse().expect("a fault")).collect(),
        fault_log: Some(log.clone()),
        executable: Some(EXECUTABLE.into()),
        // Many clusters of these tests run at once, and share what a user may lock.
        clients: Some(64),
        ..ClusterConfig::default()
    };
    adapt(&mut config);
    let cluster = Cluster::start(&config).unwrap_or_else(|e| panic!("{e}"));
    Bench { cluster, log, _folder: folder }
}

impl Bench {
    /// A client of a node.
    pub(crate) fn client(&self, node: usize) -> Client {
        self.try_client(node).unwrap_or_else(|e| panic!("node {node}: {e}"))
    }

    /// A client of a node from a port that another client of this kind may have, too; 0 for any.
    pub(crate) fn client_from(&self, node: usize, port: u16) -> Client {
        let stream = connect_from(&self.cluster.node_urls()[node], port);
        self.upgrade(node, stream).unwrap_or_else(|e| panic!("node {node} from {port}: {e}"))
    }

    pub(crate) fn try_client(&self, node: usize) -> Result<Client, tungstenite::Error> {
        self.upgrade(node, self.connect(node))
    }

    fn upgrade(&self, node: usize, stream: TcpStream) -> Result<Client, tungstenite::Error> {
        let url = &self.cluster.node_urls()[node];
        match tungstenite::client(url, stream) {
            Ok((socket, _)) => Ok(Client { socket, node }),
            Err(tungstenite::HandshakeError::Failure(e)) => Err(e),
            Err(tungstenite::HandshakeError::Interrupted(_)) => {
                Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
            }
        }
    }

    /// A bare connection to a node.
    pub(crate) fn connect(&self, node: usize) -> TcpStream {
        connect(&self.cluster.node_urls()[node])
    }

    pub(crate) fn log(&self) -> Vec<FaultEvent> {
        fault_log::read(&self.log).unwrap_or_else(|e| panic!("{e}"))
    }
}

/// A bare connection to where a URL points.
pub(crate) fn connect(url: &str) -> TcpStream {
    patient(TcpStream::connect(authority(url)).expect("someone listens"))
}

/// The same from a port of ours.
fn connect_from(url: &str, port: u16) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    // Without it a port is given once, whatever the far ends are.
    sockopt::set_socket_reuseaddr(&socket, true).expect("an option of every socket");
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("a port");
    let node: SocketAddrV4 = authority(url).parse().expect("an address");
    rustix::net::connect(&socket, &node).expect("someone listens");
    patient(socket.into())
}

fn authority(url: &str) -> &str {
    url.split('/').nth(2).expect("scheme://authority/")
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// An HTTP answer: its head, its body.
pub(crate) fn http(url: &str, path: &str) -> (String, String) {
    let mut stream = connect(url);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

/// A client connection.
pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
    /// Which node it is to.
    node: usize,
}

/// One element of a copy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Copy {
    pub(crate) id: String,
    /// Absent where the node did not take the push itself.
    pub(crate) text: Option<String>,
}

impl Client {
    /// What the log says of this connection. By node as well as by port: the kernel may give one port
    /// to connections to two places.
    pub(crate) fn events(&self, bench: &Bench) -> Vec<FaultEvent> {
        let port = self.port();
        let is_ours = |event: &FaultEvent| event.node == self.node && event.port == Some(port);
        bench.log().into_iter().filter(is_ours).collect()
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.get_ref().local_addr().expect("connected").port()
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).expect("sent");
    }

    /// Pushes texts, all in as few writes as they fit into.
    pub(crate) fn push(&mut self, texts: &[String]) {
        for text in texts {
            let payload = json!({ "text": text, "sender": "peer", "chatId": 11 });
            let message = json!({ "type": "newMessageFromClient", "payload": payload });
            self.socket.write(Message::text(message.to_string())).expect("written");
        }
        self.socket.flush().expect("flushed");
    }

    /// The next text, and what comes around it left out.
    pub(crate) fn text(&mut self) -> String {
        loop {
            match self.socket.read().expect("a message") {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) => {}
                other => panic!("{other:?} instead of a text"),
            }
        }
    }

    /// The elements of the next frame of copies.
    pub(crate) fn frame(&mut self) -> Vec<Copy> {
        copies_of(&self.text())
    }

    /// So many copies.
    pub(crate) fn copies(&mut self, count: usize) -> Vec<Copy> {
        let mut copies = Vec::new();
        while copies.len() < count {
            copies.extend(self.frame());
        }
        assert_eq!(copies.len(), count, "a frame held more than was left to come");
        copies
    }

    /// All copies up to the answer to a question asked now: what this node owes this client.
    pub(crate) fn copies_until_answered(&mut self) -> Vec<Copy> {
        self.send(r#"{"type":"clientSyncRequest","source":1,"payload":[]}"#);
        let mut copies = Vec::new();
        loop {
            let text = self.text();
            if text.starts_with(r#"{"type":"clientSyncReply""#) {
                return copies;
            }
            copies.extend(copies_of(&text));
        }
    }

    /// What ends the connection, after the texts that still come.
    pub(crate) fn end(&mut self) -> (Vec<Copy>, tungstenite::Result<Message>) {
        let mut copies = Vec::new();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => copies.extend(copies_of(&text)),
                Ok(Message::Ping(_)) => {}
                other => return (copies, other),
            }
        }
    }

    /// Whether nothing has come that was not read.
    pub(crate) fn is_quiet(&self) -> bool {
        let stream = self.socket.get_ref();
        stream.set_nonblocking(true).expect("a socket");
        let seen = stream.peek(&mut [0]);
        stream.set_nonblocking(false).expect("a socket");
        matches!(seen, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
    }
}

fn copies_of(text: &str) -> Vec<Copy> {
    let document: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(document["type"], "newMessagesForClient", "{text}");
    let elements = document["payload"].as_array().expect("an array");
    elements.iter().map(copy_of).collect()
}

fn copy_of(element: &Value) -> Copy {
    Copy {
        id: element["messageId"].as_str().expect("an id").to_owned(),
        text: element["text"].as_str().map(str::to_owned),
    }
}

/// `count` texts, each another one.
pub(crate) fn texts(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("Test message {i} from client")).collect()
}

pub(crate) fn texts_of(copies: &[Copy]) -> Vec<String> {
    copies.iter().map(|copy| copy.text.clone().expect("a copy with its text")).collect()
}

/// Waits for what must come.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: it did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}
