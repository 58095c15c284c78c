//! The keys of a dialect file, as TOML has them.
//!
//! Belongs here: every key with what it means, for the reader, the reference and editors alike. Does not:
//! what their values must be beyond their types (`dialect::file`).

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::dialect::matching::How;

/// The version of the format.
pub(super) const SCHEMA: &str = "fanstorm.dialect/1";

/// What a cluster speaks inside WebSocket frames.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "fanstorm.dialect/1")]
pub(super) struct Keys {
    /// The version of this format: `fanstorm.dialect/1`.
    #[schemars(with = "String", extend("const" = SCHEMA))]
    pub(super) schema: Spanned<String>,
    /// What the report calls the dialect.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// The frames in which messages travel.
    #[serde(default)]
    pub(super) frames: Frames,
    /// Whether messages do not end with frames: copies are then found in a connection's bytes, in frames of
    /// both kinds, one or many in a frame, cut anywhere. What is matched is matched anywhere in these bytes.
    #[serde(default)]
    pub(super) stream: bool,
    /// How messages are acknowledged that come, each by itself; with `stream` and binary frames.
    #[schemars(with = "Option<Acknowledge>")]
    pub(super) acknowledge: Option<Spanned<Acknowledge>>,
    /// How often a WebSocket Ping is sent on every open socket, like `20s`: the default of `--ping`.
    #[schemars(with = "Option<String>")]
    pub(super) ping: Option<Spanned<String>>,
    /// Whether a socket hears what it has pushed itself: the default of `--fan-out`.
    #[serde(default = "yes")]
    pub(super) hears_own: bool,
    /// How many subscriptions to the same messages a connection holds: so many copies of each message come to a
    /// socket and are expected there, and one more is a duplicate.
    #[serde(default = "one")]
    #[schemars(with = "std::num::NonZeroU16")]
    pub(super) subscriptions: Spanned<i64>,
    /// What `--set NAME=VALUE` may set, with the values it has otherwise. `{NAME}` is its place anywhere
    /// in the file. In a value `{env:NAME}` is a place, too, and no other.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) parameters: BTreeMap<Spanned<String>, String>,
    /// What is asked of the HTTP upgrade. Flags that say the same win.
    #[serde(default)]
    pub(super) upgrade: UpgradeKeys,
    /// What passes before a socket is ready, step by step.
    #[serde(default)]
    #[schemars(with = "Vec<StepKeys>")]
    pub(super) opening: Vec<Spanned<StepKeys>>,
    /// One pushed message, and how its copies are known.
    pub(super) message: MessageKeys,
    /// What is answered whenever a node asks it, from the upgrade on.
    #[serde(default)]
    pub(super) reply: Vec<ReplyKeys>,
    /// What is said on each open socket again and again.
    #[serde(default)]
    pub(super) heartbeat: Vec<HeartbeatKeys>,
    /// What a node says before it ends a connection: the loss of the socket is then told in these words.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMore>")]
    pub(super) goodbye: Option<Spanned<OneOrMore>>,
}

/// The frames in which messages travel.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Frames {
    /// Text is sent, and copies are text.
    #[default]
    Text,
    /// Bytes are sent, and copies are bytes.
    Binary,
    /// Text is sent, and copies are either.
    Any,
}

/// How messages are acknowledged that come.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Acknowledge {
    /// Each PUBLISH of QoS 1 by a PUBACK, in MQTT 3.1.1 as in 5.
    Mqtt,
}

/// What is asked of the HTTP upgrade.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpgradeKeys {
    /// Path, for nodes whose URL has none.
    #[schemars(with = "Option<String>")]
    pub(super) path: Option<Spanned<String>>,
    /// Query, without its question mark; it is joined to that of the URL.
    #[schemars(with = "Option<String>")]
    pub(super) query: Option<Spanned<String>>,
    /// Subprotocols that are offered, the preferred one first.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) subprotocols: Option<Vec<Spanned<String>>>,
    /// Whether a node must choose one of them.
    #[serde(default)]
    pub(super) require_subprotocol: bool,
    /// Further headers.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) headers: BTreeMap<String, Spanned<String>>,
    /// The `Origin` header.
    #[schemars(with = "Option<String>")]
    pub(super) origin: Option<Spanned<String>>,
    /// What push sockets ask for instead: each key goes before the same one here, headers one by one.
    pub(super) push: Option<UpgradeOfKeys>,
    /// What receive sockets ask for instead.
    pub(super) receive: Option<UpgradeOfKeys>,
}

/// What push sockets, or receive sockets, ask for instead.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpgradeOfKeys {
    /// Path, for nodes whose URL has none.
    #[schemars(with = "Option<String>")]
    pub(super) path: Option<Spanned<String>>,
    /// Query, without its question mark; it is joined to that of the URL.
    #[schemars(with = "Option<String>")]
    pub(super) query: Option<Spanned<String>>,
    /// Subprotocols that are offered, the preferred one first.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) subprotocols: Option<Vec<Spanned<String>>>,
    /// Further headers, and others for those of the same name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) headers: BTreeMap<String, Spanned<String>>,
    /// The `Origin` header.
    #[schemars(with = "Option<String>")]
    pub(super) origin: Option<Spanned<String>>,
}

/// One step: something is sent, then an answer is awaited. Either may be left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepKeys {
    /// What is sent, in one frame.
    #[schemars(with = "Option<String>")]
    pub(super) send: Option<Spanned<String>>,
    /// The message that is awaited; others are passed over.
    #[schemars(with = "Option<MatchKeys>")]
    pub(super) expect: Option<Spanned<MatchKeys>>,
    /// A message that ends the socket instead, with the node's own words in the report.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMore>")]
    pub(super) refuse: Option<Spanned<OneOrMore>>,
    /// Pieces of the answer that `{capture:NAME}` repeats in later steps, each as `NAME = { after = "…",
    /// until = "…" }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, CaptureKeys>")]
    pub(super) capture: BTreeMap<Spanned<String>, CaptureKeys>,
}

/// A piece of an answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaptureKeys {
    /// It begins behind the first of these.
    pub(super) after: String,
    /// It ends before the next of these.
    #[schemars(with = "String")]
    pub(super) until: Spanned<String>,
}

/// One pushed message, and how its copies are known.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageKeys {
    /// What is pushed, in one frame, with one `{text}` in it.
    #[schemars(with = "String")]
    pub(super) template: Spanned<String>,
    /// How the text is written, in messages as in copies.
    #[serde(default = "plain")]
    #[schemars(with = "TextIn")]
    pub(super) text: Spanned<TextIn>,
    /// The messages that may be copies; what does not match is none, even if it repeats the text (an
    /// acknowledgement). Without it every message may be one.
    #[schemars(with = "Option<MatchKeys>")]
    pub(super) copy: Option<Spanned<MatchKeys>>,
    /// For clusters whose nodes pass on an id in place of the text: the JSON key of the id. With
    /// `text_key`.
    #[schemars(with = "Option<String>")]
    pub(super) id_key: Option<Spanned<String>>,
    /// The JSON key of the text, in objects that hold `id_key`.
    #[schemars(with = "Option<String>")]
    pub(super) text_key: Option<Spanned<String>>,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TextIn {
    /// As it is; its letters, digits and spaces need no escaping in JSON, XML or anything else.
    Plain,
    /// In base64 (RFC 4648), the text alone.
    Base64,
}

/// What is answered whenever a node asks it, from the upgrade on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplyKeys {
    /// The messages that ask.
    #[schemars(with = "MatchKeys")]
    pub(super) when: Spanned<MatchKeys>,
    /// The answer, in one frame.
    #[schemars(with = "String")]
    pub(super) send: Spanned<String>,
}

/// What is said on each open socket again and again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HeartbeatKeys {
    /// How often, like `25s`, counted from when the socket was ready.
    #[schemars(with = "String")]
    pub(super) every: Spanned<String>,
    /// The message, in one frame.
    #[schemars(with = "String")]
    pub(super) send: Spanned<String>,
}

/// Which messages are meant: a string that they contain, or a table with one of `exactly`,
/// `starting_with` and `containing`.
#[derive(Clone, Debug)]
pub(super) struct MatchKeys {
    pub(super) how: How,
    pub(super) written: String,
}

/// One match, or an array of them of which one is enough.
#[derive(Clone, Debug)]
pub(super) struct OneOrMore(pub(super) Vec<MatchKeys>);

fn one() -> Spanned<i64> {
    Spanned::new(0..0, 1)
}

fn plain() -> Spanned<TextIn> {
    Spanned::new(0..0, TextIn::Plain)
}

const fn yes() -> bool {
    true
}

const WAYS: [(&str, How); 3] = [
    ("exactly", How::Exactly),
    ("starting_with", How::StartingWith),
    ("containing", How::Containing),
];

impl<'de> Deserialize<'de> for MatchKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneVisitor)
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ManyVisitor)
    }
}

struct OneVisitor;

impl<'de> Visitor<'de> for OneVisitor {
    type Value = MatchKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or a table with one of `exactly`, `starting_with` and `containing`")
    }

    fn visit_str<E: Error>(self, written: &str) -> Result<MatchKeys, E> {
        Ok(MatchKeys { how: How::Containing, written: written.to_owned() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MatchKeys, A::Error> {
        let mut only = None;
        while let Some(key) = map.next_key::<String>()? {
            let Some((_, how)) = WAYS.iter().find(|(name, _)| *name == key) else {
                map.next_value::<IgnoredAny>()?;
                return Err(Error::unknown_field(
                    &key,
                    &["exactly", "starting_with", "containing"],
                ));
            };
            if only.is_some() {
                return Err(Error::custom("two ways of matching: give one of them"));
            }
            only = Some(MatchKeys { how: *how, written: map.next_value()? });
        }
        only.ok_or_else(|| Error::invalid_length(0, &self))
    }
}

struct ManyVisitor;

impl<'de> Visitor<'de> for ManyVisitor {
    type Value = OneOrMore;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        OneVisitor.expecting(f)?;
        f.write_str(", or an array of these")
    }

    fn visit_str<E: Error>(self, written: &str) -> Result<OneOrMore, E> {
        OneVisitor.visit_str(written).map(|one| OneOrMore(vec![one]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore, A::Error> {
        OneVisitor.visit_map(map).map(|one| OneOrMore(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMore, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            all.push(one);
        }
        Ok(OneOrMore(all))
    }
}

impl JsonSchema for MatchKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Match".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let ways = WAYS.map(|(name, _)| (name, json_schema!({ "type": "string" })));
        let properties = BTreeMap::from(ways);
        json_schema!({
            "description": "A string that the message contains, or a table with one way of matching.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": properties,
                    "additionalProperties": false,
                    "minProperties": 1,
                    "maxProperties": 1
                }
            ]
        })
    }
}

impl JsonSchema for OneOrMore {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matches".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<MatchKeys>();
        json_schema!({
            "description": "One match, or an array of them of which one is enough.",
            "anyOf": [one, { "type": "array", "items": one }]
        })
    }
}
