//! What a given cluster says inside frames, and the tag that marks a message.
//!
//! Belongs here: openings, message templates, tags, and what a received message means. Does not:
//! framing (`wire`), attribution of a copy to a stream (`measure`).
//!
//! A dialect is data, read from a file (`file`): what a later protocol needs is a new file, not new code.

mod base64_text;
pub mod builtin;
pub mod correlation;
pub mod file;
mod json_objects;
pub mod keepalive;
mod layout;
pub mod matching;
pub mod mqtt;
#[cfg(any(test, fuzzing))]
pub mod naive;
pub mod opening;
pub mod pattern;
mod pattern_reader;
mod payload_search;
pub mod recognized;
pub mod scan;
pub mod signature;
pub mod stencil;
mod stream;
pub mod tag;
pub mod template;
pub mod text;
pub mod upgrade;

use std::borrow::Cow;
use std::num::NonZeroU16;

pub use correlation::CorrelationId;
pub use keepalive::{Heartbeat, Reply, Saying};
pub use matching::Matching;
pub use opening::Opening;
use opening::OpeningStep;
use pattern::Pattern;
pub use recognized::Recognized;
pub use scan::Scanner;
pub use stencil::Reading;
pub use tag::{TAG_LEN, Tag};
pub use template::{Places, Speaker, Template};
pub use text::TextShape;
pub use upgrade::Upgrade;

use crate::units::Nanos;

/// A cluster's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What a person calls it: `--dialect NAME`.
    pub name: Cow<'static, str>,
    /// What it wants of the HTTP upgrade.
    pub upgrade: Upgrade,
    /// What passes before the socket is ready.
    pub opening: Opening,
    /// One pushed message.
    pub template: Template,
    /// Whether messages travel as text or as binary.
    pub kind: MessageKind,
    /// By what a copy without text is attributed; `None` where every copy carries its text.
    pub correlation: Option<Correlation>,
    /// Copies may come back as the other kind of message.
    pub any_kind: bool,
    /// Only these messages may be copies; all, where there are none.
    pub copies: Option<Matching>,
    /// A socket hears what it has pushed.
    pub hears_own: bool,
    /// So many copies of each message come to a socket: a connection holds as many subscriptions.
    pub subscriptions: NonZeroU16,
    /// Messages do not end with frames: copies are in the connection's bytes.
    pub stream: bool,
    /// Messages are acknowledged one by one, in a stream of bytes.
    pub acknowledges: Option<Acknowledges>,
    /// What is answered, at any time from the upgrade on.
    pub replies: Vec<Reply>,
    /// What is said on an open socket without being asked.
    pub heartbeats: Vec<Heartbeat>,
    /// What a node says before it ends a connection.
    pub goodbyes: Vec<Matching>,
    /// A WebSocket Ping is sent on every open socket so often, where nobody says otherwise.
    pub ping: Option<Nanos>,
    /// What its file took from the environment: it is shown to nobody.
    pub secrets: Vec<String>,
}

/// How messages are acknowledged that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledges {
    /// Each PUBLISH of QoS 1 by its PUBACK.
    Mqtt,
}

/// The type of data frame that messages travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

/// How to read a cluster's own ids: JSON objects that hold `id_key` directly are copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlation {
    /// The key whose value (a string or a number) names a message.
    pub id_key: Cow<'static, str>,
    /// The key whose value is the text. An object that has it without a tag of ours is somebody
    /// else's message; one that lacks it is a copy known by its id alone.
    pub text_key: Cow<'static, str>,
}

impl Dialect {
    /// The same messages as binary; copies may come back as text.
    pub fn in_binary(self) -> Self {
        Self { kind: MessageKind::Binary, any_kind: true, ..self }
    }

    /// Copies may carry an id alone.
    pub const fn correlates(&self) -> bool {
        self.correlation.is_some()
    }

    /// Whether copies may be in a message of this kind; any other is not ours.
    pub fn hears(&self, kind: MessageKind) -> bool {
        self.any_kind || kind == self.kind
    }

    /// Appends the message that carries `tag`, of a socket of which nothing is known.
    pub fn render(&self, shape: &TextShape, tag: Tag, out: &mut Vec<u8>) {
        self.template.render(shape, tag, &Speaker::default(), out);
    }

    /// Notes of which columns of `--data` there are places in all that is sent or awaited, and which captures
    /// messages repeat.
    fn gather_columns(&mut self) {
        let mut columns: Vec<String> =
            self.opening.steps.iter().flat_map(OpeningStep::columns).collect();
        let replies = self.replies.iter().map(|reply| &reply.send);
        let sayings = replies.chain(self.heartbeats.iter().map(|beat| &beat.send));
        let varying = sayings.filter_map(|saying| match saying {
            Saying::Varying(pattern) => Some(pattern),
            Saying::Same(_) => None,
        });
        columns.extend(varying.chain([self.template.pattern()]).flat_map(Pattern::columns));
        columns.sort();
        columns.dedup();
        self.opening.columns = columns;
        let repeated = self.template.pattern().names();
        for answer in self.opening.steps.iter_mut().filter_map(|step| step.answer.as_mut()) {
            for capture in &mut answer.captures {
                capture.in_messages = repeated.contains(&capture.name);
            }
        }
    }

    /// What of a socket's opening, and of its row of `--data`, is needed when the socket is open: to answer, in
    /// heartbeats, in messages.
    pub fn keeps_values(&self) -> bool {
        let mut said = self.replies.iter().map(|reply| &reply.send);
        let mut beats = self.heartbeats.iter().map(|beat| &beat.send);
        let varies = |saying: &Saying| matches!(saying, Saying::Varying(_));
        said.any(varies) || beats.any(varies) || self.template.pattern().repeats_captures()
    }

    /// Bytes of a message around a text of `shape`, of any sender at most.
    pub fn message_len(&self, shape: &TextShape) -> usize {
        self.template.message_len(shape)
    }
}
