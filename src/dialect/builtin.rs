//! The dialects that come with the program, as files of the same format as anybody's.
//!
//! Belongs here: their list, and reading them. Does not: what they say (`builtin/*.toml`).

use super::Dialect;
use super::file::{self, Source};

/// A file that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// `--dialect NAME`.
    pub name: &'static str,
    /// For whom it is, in a line.
    pub about: &'static str,
    /// The file.
    pub text: &'static str,
}

/// All of them, the default first.
pub const ALL: &[Builtin] = &[
    Builtin {
        name: "dsatter",
        about: "chat messages in JSON, copies recognised by text or by id",
        text: include_str!("builtin/dsatter.toml"),
    },
    Builtin {
        name: "raw",
        about: "the message is the text itself, for any echo or broadcast server",
        text: include_str!("builtin/raw.toml"),
    },
    Builtin {
        name: "socketio",
        about: "Socket.IO 4: an event with the text, passed on to everybody",
        text: include_str!("builtin/socketio.toml"),
    },
    Builtin {
        name: "stomp",
        about: "STOMP 1.2, as RabbitMQ and ActiveMQ speak it: SEND to a topic, MESSAGE from it",
        text: include_str!("builtin/stomp.toml"),
    },
    Builtin {
        name: "graphql-ws",
        about: "GraphQL subscriptions over graphql-transport-ws",
        text: include_str!("builtin/graphql-ws.toml"),
    },
    Builtin {
        name: "nats",
        about: "NATS, alone or clustered",
        text: include_str!("builtin/nats.toml"),
    },
    Builtin { name: "mqtt", about: "MQTT 3.1.1, QoS 0", text: include_str!("builtin/mqtt.toml") },
    Builtin {
        name: "phoenix",
        about: "Phoenix channels",
        text: include_str!("builtin/phoenix.toml"),
    },
    Builtin {
        name: "actioncable",
        about: "Action Cable of Ruby on Rails",
        text: include_str!("builtin/actioncable.toml"),
    },
    Builtin {
        name: "signalr",
        about: "SignalR hubs, JSON",
        text: include_str!("builtin/signalr.toml"),
    },
    Builtin { name: "wamp", about: "WAMP 2, JSON", text: include_str!("builtin/wamp.toml") },
    Builtin {
        name: "centrifugo",
        about: "Centrifugo, JSON: a channel that its subscribers may publish to",
        text: include_str!("builtin/centrifugo.toml"),
    },
    Builtin {
        name: "jsonrpc",
        about: "JSON-RPC 2.0 with a method to subscribe and one to publish",
        text: include_str!("builtin/jsonrpc.toml"),
    },
    Builtin { name: "mqtt5", about: "MQTT 5, QoS 0", text: include_str!("builtin/mqtt5.toml") },
    Builtin {
        name: "xmpp",
        about: "XMPP over WebSocket: a room of many",
        text: include_str!("builtin/xmpp.toml"),
    },
    Builtin {
        name: "pusher",
        about: "Pusher's protocol: client events on a private channel",
        text: include_str!("builtin/pusher.toml"),
    },
    Builtin {
        name: "mqtt-qos1",
        about: "MQTT 3.1.1, QoS 1: messages are acknowledged",
        text: include_str!("builtin/mqtt-qos1.toml"),
    },
    Builtin {
        name: "mqtt5-qos1",
        about: "MQTT 5, QoS 1: messages are acknowledged",
        text: include_str!("builtin/mqtt5-qos1.toml"),
    },
];

impl Dialect {
    /// The chat cluster `kordaniel/dsatter`: JSON in text frames, and on every node but the pushed
    /// one a copy is its `messageId` alone.
    pub fn dsatter() -> Self {
        Self::built_in("dsatter")
    }

    /// The text alone, as echo and broadcast servers pass it on: many of them as the bytes that they
    /// heard, and so as a binary message. The tag proves that it is ours.
    pub fn raw() -> Self {
        Self::built_in("raw")
    }

    /// # Panics
    /// There is no built-in file of that name: a test reads them all.
    fn built_in(name: &str) -> Self {
        let file = ALL.iter().find(|file| file.name == name).expect("a file of that name");
        let source = Source { file: name, text: file.text, settings: &[], environment: &|_| None };
        file::read(&source).expect("built-in files are right")
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::dsatter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Correlation, MessageKind, Tag, TextShape, Upgrade};

    const TAG: Tag = Tag { run: 0xdead_beef, sender: 1, sequence: 9 };

    fn rendered(dialect: &Dialect, shape: &TextShape) -> Vec<u8> {
        let mut message = Vec::new();
        dialect.render(shape, TAG, &mut message);
        message
    }

    #[test]
    fn every_built_in_file_is_a_dialect_of_that_name() {
        for file in ALL {
            assert_eq!(Dialect::built_in(file.name).name, file.name);
        }
        assert_eq!(Dialect::default().name, ALL[0].name);
    }

    /// Byte by byte what was pushed before dialects were files.
    #[test]
    fn messages_of_the_built_in_dialects_are_what_they_always_were() {
        let shape = TextShape::new(43).unwrap();
        let text = "fanstorm message fsdeadbeef0001000000000924";
        assert_eq!(rendered(&Dialect::raw(), &shape), text.as_bytes());
        let head = r#"{"type":"newMessageFromClient","payload":{"text":""#;
        let whole = format!(r#"{head}{text}","sender":"fanstorm","chatId":11}}}}"#);
        assert_eq!(rendered(&Dialect::dsatter(), &shape), whole.as_bytes());
        let (dsatter, raw) = (Dialect::dsatter(), Dialect::raw());
        assert_eq!((dsatter.kind, dsatter.any_kind), (MessageKind::Text, false));
        assert_eq!((raw.kind, raw.any_kind, raw.correlation), (MessageKind::Text, true, None));
        let keys = Correlation { id_key: "messageId".into(), text_key: "text".into() };
        assert_eq!(dsatter.correlation, Some(keys));
        let none = Upgrade::default();
        assert_eq!((&dsatter.upgrade, &raw.upgrade), (&none, &none));
    }

    #[test]
    fn dsatter_is_pushed_as_its_clients_push() {
        let message = rendered(&Dialect::dsatter(), &TextShape::new(150).unwrap());
        let text = String::from_utf8(rendered(&Dialect::raw(), &TextShape::new(150).unwrap()));
        let expected = serde_json::json!({
            "type": "newMessageFromClient",
            "payload": {"text": text.unwrap(), "sender": "fanstorm", "chatId": 11},
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&message).unwrap(), expected);
    }
}
