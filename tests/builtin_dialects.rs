//! The built-in dialects, against servers that say what the real ones were heard to say.
//!
//! Belongs here: captures of real clusters, byte by byte, and servers of the test's own that follow them. Does
//! not: the real clusters (`tests/interop.py`).

#[path = "common/engine.rs"]
mod engine;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use fanstorm::dialect::builtin;
use serde_json::Value;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message, WebSocket};

/// What passes, as it was captured.
enum Line {
    /// From the client.
    Client(&'static [u8]),
    /// From the server.
    Server(&'static [u8]),
}
use Line::{Client, Server};

/// How a server behaves.
struct Peer {
    name: &'static str,
    /// `--set`, where the capture has other names.
    set: &'static [&'static str],
    path: &'static str,
    subprotocol: Option<&'static str>,
    opening: &'static [Line],
    /// A pushed message of 128 bytes before and behind its text; `?` is any digit, `~` any hexadecimal one,
    /// `*` any byte.
    pushed: (&'static [u8], &'static [u8]),
    /// A delivered one.
    delivered: (&'static [u8], &'static [u8]),
    /// What else the pusher hears, before `text` and behind it, where it is repeated.
    answered: Option<(&'static [u8], &'static [u8])>,
    /// Frames are binary.
    binary: bool,
    /// Messages are cut and glued.
    stream: bool,
    /// The server asks this and must hear that.
    asks: Option<(&'static [u8], &'static [u8])>,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "dsatter",
        set: &[],
        path: "/",
        subprotocol: None,
        opening: &[],
        pushed: (
            br#"{"type":"newMessageFromClient","payload":{"text":""#,
            br#"","sender":"fanstorm","chatId":11}}"#,
        ),
        delivered: (
            br#"{"type":"newMessagesForClient","source":1003,"payload":[{"chatId":11,"text":""#,
            br#"","dateTime":"2026-11-24T09:01:05.007Z","sender":"fanstorm"}]}"#,
        ),
        answered: None,
        binary: false,
        stream: false,
        asks: None,
    },
    Peer {
        name: "raw",
        set: &[],
        path: "/",
        subprotocol: None,
        opening: &[],
        pushed: (b"", b""),
        delivered: (b"", b""),
        answered: None,
        binary: false,
        stream: false,
        asks: None,
    },
    Peer {
        name: "socketio",
        set: &[],
        path: "/socket.io/?EIO=4&transport=websocket",
        subprotocol: None,
        opening: &[
            Server(br#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":2000,"pingTimeout":1500,"maxPayload":1000000}"#),
            Client(b"40"),
            Server(br#"40{"sid":"wZX3oN0bSVIhsaknAAAI"}"#),
        ],
        pushed: (br#"42["message",""#, br#""]"#),
        delivered: (br#"42["message",""#, br#""]"#),
        answered: None,
        binary: false,
        stream: false,
        asks: Some((b"2", b"3")),
    },
    Peer {
        name: "stomp",
        set: &[],
        path: "/ws",
        subprotocol: Some("v12.stomp"),
        opening: &[
            Client(b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\nheart-beat:0,0\n\n\0"),
            Server(b"CONNECTED\nserver:RabbitMQ/3.10.8\nsession:session-1\nheart-beat:0,0\nversion:1.2\n\n\0\n"),
            Client(b"SUBSCRIBE\nid:0\ndestination:/topic/fanstorm\nreceipt:fanstorm\n\n\0"),
            Server(b"RECEIPT\nreceipt-id:fanstorm\n\n\0\n"),
        ],
        pushed: (b"SEND\ndestination:/topic/fanstorm\n\n", b"\0"),
        delivered: (
            b"MESSAGE\nsubscription:0\ndestination:/topic/fanstorm\nmessage-id:T_0@@session-1@@1\nredelivered:false\ncontent-length:128\n\n",
            b"\0\n",
        ),
        answered: None,
        binary: false,
        stream: false,
        asks: None,
    },
    Peer {
        name: "graphql-ws",
        set: &[],
        path: "/graphql",
        subprotocol: Some("graphql-transport-ws"),
        opening: &[
            Client(br#"{"type":"connection_init"}"#),
            Server(br#"{"type":"connection_ack"}"#),
            Client(br#"{"id":"1","type":"subscribe","payload":{"query":"subscription { heard }"}}"#),
        ],
        pushed: (
            br#"{"id":"m??????????","type":"subscribe","payload":{"query":"mutation($text: String) { say(text: $text) }","variables":{"text":""#,
            br#""}}}"#,
        ),
        delivered: (br#"{"id":"1","type":"next","payload":{"data":{"heard":""#, br#""}}}"#),
        answered: Some((br#"{"id":"m1000000000","type":"next","payload":{"data":{"say":""#, br#""}}}"#)),
        binary: false,
        stream: false,
        asks: Some((br#"{"type":"ping"}"#, br#"{"type":"pong"}"#)),
    },
    Peer {
        name: "nats",
        set: &[],
        path: "/",
        subprotocol: None,
        opening: &[
            Server(b"INFO {\"server_id\":\"NA\",\"max_payload\":1048576,\"client_ip\":\"127.0.0.1\"} \r\n"),
            Client(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB room.1 1\r\nPING\r\n"),
            Server(b"PONG\r\n"),
        ],
        pushed: (b"PUB room.1 128\r\n", b"\r\n"),
        delivered: (b"MSG room.1 1 128\r\n", b"\r\n"),
        answered: None,
        binary: true,
        stream: true,
        asks: Some((b"PING\r\n", b"PONG\r\n")),
    },
    Peer {
        name: "mqtt",
        set: &[],
        path: "/mqtt",
        subprotocol: Some("mqtt"),
        opening: &[
            Client(b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"),
            Server(b"\x20\x02\0\0"),
            Client(b"\x82\x0b\0\x01\0\x06room/1\0"),
            Server(b"\x90\x03\0\x01\0"),
        ],
        pushed: (b"\x30\x88\x01\0\x06room/1", b""),
        delivered: (b"\x30\x88\x01\0\x06room/1", b""),
        answered: None,
        binary: true,
        stream: true,
        asks: None,
    },
    Peer {
        name: "phoenix",
        set: &[],
        path: "/socket/websocket?vsn=2.0.0",
        subprotocol: None,
        opening: &[
            Client(br#"["1","1","room:1","phx_join",{}]"#),
            Server(br#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#),
        ],
        pushed: (br#"["1","2","room:1","new_msg",{"body":""#, br#""}]"#),
        delivered: (br#"[null,null,"room:1","new_msg",{"body":""#, br#""}]"#),
        answered: Some((br#"["1","2","room:1","phx_reply",{"status":"ok","response":{"body":""#, br#""}}]"#)),
        binary: false,
        stream: false,
        asks: None,
    },
    Peer {
        name: "actioncable",
        set: &[],
        path: "/cable",
        subprotocol: Some("actioncable-v1-json"),
        opening: &[
            Server(br#"{"type":"welcome"}"#),
            Client(br#"{"command":"subscribe","identifier":"{\"channel\":\"RoomChannel\"}"}"#),
            Server(br#"{"type":"ping","message":1790000000}"#),
            Server(br#"{"identifier":"{\"channel\":\"RoomChannel\"}","type":"confirm_subscription"}"#),
        ],
        pushed: (
            br#"{"command":"message","identifier":"{\"channel\":\"RoomChannel\"}","data":"{\"action\":\"speak\",\"message\":\""#,
            br#"\"}"}"#,
        ),
        delivered: (br#"{"identifier":"{\"channel\":\"RoomChannel\"}","message":{"message":""#, br#""}}"#),
        answered: None,
        binary: false,
        stream: false,
        asks: None,
    },
    Peer {
        name: "signalr",
        set: &[],
        path: "/",
        subprotocol: None,
        opening: &[
            Client(b"{\"protocol\":\"json\",\"version\":1}\x1e"),
            Server(b"{}\x1e"),
            Server(b"{\"type\":6}\x1e"),
        ],
        pushed: (b"{\"type\":1,\"target\":\"send\",\"arguments\":[\"", b"\"]}\x1e"),
        delivered: (b"{\"type\":1,\"target\":\"newMessage\",\"arguments\":[\"", b"\"]}\x1e"),
        answered: None,
        binary: false,
        stream: true,
        asks: None,
    },
    Peer {
        name: "wamp",
        set: &["topic=room.7"],
        path: "/ws",
        subprotocol: Some("wamp.2.json"),
        opening: &[
            Client(br#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#),
            Server(br#"[2,5129573409134591,{"roles":{"broker":{"features":{}}}}]"#),
            Client(br#"[32,1,{},"room.7"]"#),
            Server(br#"[33,1,8302394820384]"#),
        ],
        pushed: (br#"[16,2,{"exclude_me":false},"room.7",[""#, br#""]]"#),
        delivered: (br#"[36,8302394820384,5129573409,{},[""#, br#""]]"#),
        answered: None,
        binary: false,
        stream: false,
        asks: None,
    },
    Peer {
        name: "centrifugo",
        set: &[],
        path: "/connection/websocket",
        subprotocol: None,
        opening: &[
            Client(br#"{"id":1,"connect":{}}"#),
            Server(br#"{"id":1,"connect":{"client":"2d8c7de7","version":"6.0.0","ping":25,"pong":true}}"#),
            Client(br#"{"id":2,"subscribe":{"channel":"room"}}"#),
            Server(b"{\"id\":2,\"subscribe\":{}}\n{\"push\":{\"channel\":\"room\",\"join\":{}}}"),
        ],
        pushed: (br#"{"id":3,"publish":{"channel":"room","data":{"text":""#, br#""}}}"#),
        delivered: (
            b"{\"id\":3,\"publish\":{}}\n{\"push\":{\"channel\":\"room\",\"pub\":{\"data\":{\"text\":\"",
            br#""}}}}"#,
        ),
        answered: None,
        binary: false,
        stream: false,
        asks: Some((b"{}", b"{}")),
    },
    Peer {
        name: "jsonrpc",
        set: &[],
        path: "/",
        subprotocol: None,
        opening: &[
            Client(br#"{"jsonrpc":"2.0","id":1,"method":"rpc.on","params":["room"]}"#),
            Server(br#"{"jsonrpc":"2.0","result":{"room":"ok"},"id":1}"#),
        ],
        pushed: (
            br#"{"jsonrpc":"2.0","id":??????????,"method":"publish","params":[""#,
            br#""]}"#,
        ),
        delivered: (br#"{"notification":"room","params":[""#, br#""]}"#),
        answered: Some((br#"{"jsonrpc":"2.0","result":""#, br#"","id":1000000000}"#)),
        binary: false,
        stream: false,
        asks: None,
    },
    Peer {
        name: "mqtt5",
        set: &[],
        path: "/mqtt",
        subprotocol: Some("mqtt"),
        opening: &[
            Client(b"\x10\x3a\0\x04MQTT\x05\x02\0\0\0\0\x2dfanstorm-~~~~~~~~-~~~~-4~~~-~~~~-~~~~~~~~~~~~"),
            Server(b"\x20\x09\0\0\x06\x22\0\x0a\x21\0\x14"),
            Client(b"\x82\x0c\0\x01\0\0\x06room/1\0"),
            Server(b"\x90\x04\0\x01\0\0"),
        ],
        pushed: (b"\x30\x89\x01\0\x06room/1\0", b""),
        delivered: (b"\x30\x89\x01\0\x06room/1\0", b""),
        answered: None,
        binary: true,
        stream: true,
        asks: None,
    },
    Peer {
        name: "xmpp",
        set: &[],
        path: "/xmpp-websocket",
        subprotocol: Some("xmpp"),
        opening: &[
            Client(b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"),
            Server(b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' xml:lang='en' id='2d8c7de7' version='1.0'/>"),
            Server(b"<stream:features xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>"),
            Client(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'></auth>"),
            Server(b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
            Client(b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"),
            Server(b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' xml:lang='en' id='ce04dfb9' version='1.0'/>"),
            Server(b"<stream:features xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'><ver xmlns='urn:xmpp:features:rosterver'/><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><required/></bind></stream:features>"),
            Client(b"<iq xmlns='jabber:client' id='bind' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
            Server(b"<iq xmlns='jabber:client' id='bind' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>jvtv@localhost/rS1U</jid></bind></iq>"),
            Client(b"<presence xmlns='jabber:client' to='room@conference.localhost/fanstorm?'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"),
            Server(b"<presence from='room@conference.localhost/fanstorm0' xml:lang='en' xmlns='jabber:client' to='jvtv@localhost/rS1U'><x xmlns='http://jabber.org/protocol/muc#user'><status code='201'/><item jid='jvtv@localhost/rS1U' affiliation='owner' role='moderator'/><status code='110'/></x></presence>"),
            Server(b"<message from='room@conference.localhost' xmlns='jabber:client' type='groupchat' to='jvtv@localhost/rS1U'><subject/></message>"),
        ],
        pushed: (
            b"<message xmlns='jabber:client' to='room@conference.localhost' type='groupchat'><body>",
            b"</body></message>",
        ),
        delivered: (
            b"<message to='jvtv@localhost/rS1U' xmlns='jabber:client' from='room@conference.localhost/fanstorm0' xml:lang='en' id='oHiU' type='groupchat'><body>",
            b"</body><occupant-id id='NdlZ=' xmlns='urn:xmpp:occupant-id:0'/></message>",
        ),
        answered: Some((
            b"<message from='room@conference.localhost' xmlns='jabber:client' type='error' to='jvtv@localhost/rS1U'><body>",
            b"</body><error type='wait'/></message>",
        )),
        binary: false,
        stream: false,
        asks: None,
    },
    Peer {
        name: "pusher",
        set: &["secret=7ad3773142a6692b25b8", "app=278d425bdf160c739803", "channel=private-foobar"],
        path: "/app/278d425bdf160c739803?protocol=7&client=fanstorm&version=1",
        subprotocol: None,
        opening: &[
            Server(br#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1234.1234\",\"activity_timeout\":30}"}"#),
            // The signature is the one of the example in Pusher's documentation, of `1234.1234:private-foobar`.
            Client(br#"{"event":"pusher:subscribe","data":{"channel":"private-foobar","auth":"278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"}}"#),
            Server(br#"{"event":"pusher_internal:subscription_succeeded","channel":"private-foobar","data":"{}"}"#),
        ],
        pushed: (
            br#"{"event":"client-message","channel":"private-foobar","data":{"text":""#,
            br#""}}"#,
        ),
        delivered: (
            br#"{"event":"client-message","channel":"private-foobar","data":{"text":""#,
            br#""}}"#,
        ),
        answered: None,
        binary: false,
        stream: false,
        asks: Some((br#"{"event":"pusher:ping","data":{}}"#, br#"{"event":"pusher:pong","data":{}}"#)),
    },
    Peer {
        name: "mqtt-qos1",
        set: &[],
        path: "/mqtt",
        subprotocol: Some("mqtt"),
        opening: &[
            Client(b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"),
            Server(b"\x20\x02\0\0"),
            Client(b"\x82\x0b\0\x01\0\x06room/1\x01"),
            Server(b"\x90\x03\0\x01\x01"),
        ],
        pushed: (b"\x32\x8a\x01\0\x06room/1**", b""),
        // Delivered again, as far as the server knows, and with the acknowledgement of another message.
        delivered: (b"\x40\x02\0\x09\x3a\x8a\x01\0\x06room/1\0\x07", b""),
        answered: None,
        binary: true,
        stream: true,
        asks: None,
    },
    Peer {
        name: "mqtt5-qos1",
        set: &[],
        path: "/mqtt",
        subprotocol: Some("mqtt"),
        opening: &[
            Client(b"\x10\x3a\0\x04MQTT\x05\x02\0\0\0\0\x2dfanstorm-~~~~~~~~-~~~~-4~~~-~~~~-~~~~~~~~~~~~"),
            Server(b"\x20\x09\0\0\x06\x22\0\x0a\x21\0\x14"),
            Client(b"\x82\x0c\0\x01\0\0\x06room/1\x01"),
            Server(b"\x90\x04\0\x01\0\x01"),
        ],
        pushed: (b"\x32\x8b\x01\0\x06room/1**\0", b""),
        delivered: (b"\x40\x02\0\x09\x32\x8b\x01\0\x06room/1\0\x07\0", b""),
        answered: None,
        binary: true,
        stream: true,
        asks: None,
    },
];

/// What a client of MQTT says for a message that was delivered with QoS 1, and how many are owed.
const PUBACK: &[u8] = b"\x40\x02\0\x07";
static UNACKNOWLEDGED: AtomicI64 = AtomicI64::new(0);

type Socket = WebSocket<TcpStream>;

/// `want`, with anything in its wildcards.
fn fits(have: &[u8], want: &[u8]) -> bool {
    let is_wanted = |(have, want): (&u8, &u8)| match want {
        b'?' => have.is_ascii_digit(),
        b'*' => true,
        b'~' => matches!(have, b'0'..=b'9' | b'a'..=b'f'),
        want => have == want,
    };
    have.len() == want.len() && have.iter().zip(want).all(is_wanted)
}

impl Peer {
    /// Each message that it delivers is acknowledged.
    fn acknowledges(&self) -> bool {
        self.name.ends_with("-qos1")
    }

    /// Counts what these bytes acknowledge, if they are nothing else.
    fn is_acknowledged(&self, heard: &[u8]) -> bool {
        let (acknowledged, rest) = heard.as_chunks::<4>();
        let all = rest.is_empty() && acknowledged.iter().all(|bytes| bytes == PUBACK);
        if self.acknowledges() && all {
            UNACKNOWLEDGED.fetch_sub(acknowledged.len() as i64, Ordering::Relaxed);
        }
        self.acknowledges() && all
    }

    fn message(&self, bytes: Vec<u8>) -> Message {
        match self.binary {
            true => Message::binary(bytes),
            false => Message::text(String::from_utf8(bytes).unwrap()),
        }
    }

    /// The next message of the client, which is of the kind that this server takes.
    fn hear(&self, socket: &mut Socket) -> tungstenite::Result<Vec<u8>> {
        loop {
            match socket.read()? {
                Message::Text(text) if !self.binary => return Ok(text.as_bytes().to_vec()),
                Message::Binary(bytes) if self.binary => return Ok(bytes.to_vec()),
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
                other => panic!("{}: {other:?}", self.name),
            }
        }
    }

    fn upgraded(&self, stream: TcpStream) -> Socket {
        #[expect(clippy::result_large_err, reason = "tungstenite wants it so")]
        let check = |request: &Request, mut response: Response| {
            assert_eq!(request.uri().to_string(), self.path, "{}", self.name);
            let offered = request.headers().get("sec-websocket-protocol");
            assert_eq!(offered.map(|value| value.to_str().unwrap()), self.subprotocol);
            if let Some(chosen) = offered {
                response.headers_mut().insert("sec-websocket-protocol", chosen.clone());
            }
            Ok(response)
        };
        tungstenite::accept_hdr(stream, check).unwrap()
    }

    /// Text that is in a pushed message.
    fn text_of<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        let (before, after) = self.pushed;
        let shown = String::from_utf8_lossy(message);
        assert_eq!(message.len(), before.len() + 128 + after.len(), "{}: {shown}", self.name);
        assert!(fits(&message[..before.len()], before), "{}: {shown}", self.name);
        assert!(fits(&message[before.len() + 128..], after), "{}: {shown}", self.name);
        &message[before.len()..before.len() + 128]
    }

    fn serve(&self, stream: TcpStream) -> tungstenite::Result<()> {
        let mut socket = self.upgraded(stream);
        for line in self.opening {
            match line {
                Server(bytes) => socket.send(self.message(bytes.to_vec()))?,
                Client(bytes) => {
                    let heard = self.hear(&mut socket)?;
                    assert!(
                        fits(&heard, bytes),
                        "{}: {}",
                        self.name,
                        String::from_utf8_lossy(&heard)
                    );
                }
            }
        }
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut pending, mut asked) = (Vec::new(), 0);
        loop {
            let heard = self.hear(&mut socket)?;
            if self.is_acknowledged(&heard) {
                continue;
            }
            if self.asks.is_some_and(|(_, answer)| heard == answer) {
                asked -= 1;
                continue;
            }
            // Its heartbeats.
            if heard == b"{\"type\":6}\x1e"
                || heard.starts_with(b"[null,\"9\",\"phoenix\"")
                || heard == b"\n"
            {
                continue;
            }
            assert!(asked < 100, "{} asked and was not answered", self.name);
            let text = self.text_of(&heard);
            let mut out = Vec::new();
            if let (Some((before, after)), true) = (self.answered, rng.bool()) {
                out.push([before, text, after].concat());
            }
            if let (Some((ask, _)), true) = (self.asks, rng.u8(..) < 20) {
                out.push(ask.to_vec());
                asked += 1;
            }
            out.push([self.delivered.0, text, self.delivered.1].concat());
            UNACKNOWLEDGED.fetch_add(self.acknowledges().into(), Ordering::Relaxed);
            if !self.stream {
                for message in out {
                    socket.send(self.message(message))?;
                }
                continue;
            }
            // A stream knows no messages: they are cut anywhere and glued. All leaves before the next is read.
            pending.extend(out.concat());
            while !pending.is_empty() {
                let len = rng.usize(1..=pending.len());
                let frame = pending.drain(..len).collect();
                socket.send(self.message(frame))?;
            }
        }
    }
}

fn server(peer: &'static Peer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || peer.serve(stream));
        }
    });
    address
}

#[test]
fn every_built_in_dialect_says_what_its_server_was_heard_to_take_and_knows_its_copies() {
    let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
    let built_in: Vec<_> = builtin::ALL.iter().map(|file| file.name).collect();
    assert_eq!(names, built_in, "a capture of each");
    for peer in PEERS {
        let node = format!("ws://{}", server(peer));
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanstorm"));
        command.args(["--dialect", peer.name, "--node", &node, "--fan-out", "own"]);
        command.args(["--push-sockets", "3", "--payload-bytes", "128B", "--messages", "600,900"]);
        command.args(["--quiet", "--json", "-"]).args(engine::flags("--"));
        for set in peer.set {
            command.args(["--set", set]);
        }
        let output = command.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 5)), "{}: {err}", peer.name);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        for (trial, messages) in result["trials"].as_array().unwrap().iter().zip([600, 900]) {
            let delivery = &trial["delivery"];
            let counts = ["expected", "delivered", "missing", "duplicate", "corrupt"];
            let counts = counts.map(|key| delivery[key].as_u64().unwrap());
            assert_eq!(counts, [messages, messages, 0, 0, 0], "{}: {delivery}", peer.name);
        }
        // What the client said last may not have been read.
        let all_came = || UNACKNOWLEDGED.load(Ordering::Relaxed) == 0;
        let mut looks = 0..500;
        while !all_came() && looks.next().is_some() {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(all_came(), "{}: {UNACKNOWLEDGED:?} are not acknowledged", peer.name);
    }
}
