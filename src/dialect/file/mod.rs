//! Dialect files: from TOML to a dialect, or to what is wrong with it and where.
//!
//! Belongs here: what the values of a file must be, and joining them. Does not: the keys and their
//! descriptions (`file::keys`), what may stand between braces (`dialect::pattern`), opening files (`cli`).

mod error;
pub mod flags;
mod keys;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::ops::Range;

use toml::Spanned;

pub use self::error::FileError;
use self::error::Text;
use self::keys::{
    Frames, HeartbeatKeys, Keys, MatchKeys, MessageKeys, ReplyKeys, SCHEMA, StepKeys, UpgradeKeys,
};
use super::keepalive::{Heartbeat, Reply};
use super::matching::{How, Matching};
use super::opening::{Capture, Opening, OpeningAnswer, OpeningStep};
pub use super::pattern::PLACES;
use super::pattern::{Pattern, Position, Reader, Values};
use super::template::Template;
use super::upgrade::Upgrade;
use super::{Correlation, Dialect, MessageKind};
use crate::units::{Nanos, ScanError};

/// A file, and what it is read with.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// As errors name it.
    pub file: &'a str,
    /// What is in it.
    pub text: &'a str,
    /// Of `--set`: names and values, of which the last counts.
    pub settings: &'a [(String, String)],
    /// Variables of the environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// Reads a dialect.
///
/// # Errors
/// The first thing that is wrong: see [`FileError`].
pub fn read(source: &Source<'_>) -> Result<Dialect, FileError> {
    let text = Text { file: source.file, text: source.text };
    let keys: Keys = toml::from_str(source.text).map_err(|error| text.refused(&error))?;
    let schema = &keys.schema;
    if schema.get_ref() != SCHEMA {
        let what = format!("this version reads \"{SCHEMA}\"");
        return Err(text.wrong(&schema.span(), &what));
    }
    if keys.name.get_ref().trim().is_empty() {
        return Err(text.wrong(&keys.name.span(), "the report needs a name"));
    }
    let is_text = !matches!(keys.frames, Frames::Binary);
    let stream = keys.stream;
    let secrets = RefCell::new(Vec::new());
    let environment = |name: &str| {
        let value = (source.environment)(name)?;
        secrets.borrow_mut().push(value.clone());
        Some(value)
    };
    let parameters = parameters(&text, source.settings, &keys.parameters, &environment)?;
    let build = Build { text, parameters, environment: &environment, is_text, stream };
    let dialect = Dialect {
        name: keys.name.get_ref().clone().into(),
        upgrade: build.upgrade(&keys.upgrade)?,
        opening: build.opening(&keys.opening)?,
        template: build.template(&keys.message)?,
        kind: if is_text { MessageKind::Text } else { MessageKind::Binary },
        correlation: build.correlation(&keys.message)?,
        any_kind: matches!(keys.frames, Frames::Any),
        copies: match &keys.message.copy {
            Some(copy) if stream => {
                return Err(text.wrong(
                    &copy.span(),
                    "with stream = true there are no messages to choose from",
                ));
            }
            Some(copy) => Some(build.matching(&copy.span(), copy.get_ref(), FIXED)?),
            None => None,
        },
        secrets: Vec::new(),
        hears_own: keys.hears_own,
        subscriptions: subscriptions(&text, &keys.subscriptions)?,
        ping: match &keys.ping {
            Some(ping) => Some(build.period(ping)?),
            None => None,
        },
        stream,
        replies: keys.reply.iter().map(|keys| build.reply(keys)).collect::<Result<_, _>>()?,
        heartbeats: keys
            .heartbeat
            .iter()
            .map(|keys| build.heartbeat(keys))
            .collect::<Result<_, _>>()?,
    };
    Ok(Dialect { secrets: secrets.take(), ..dialect })
}

fn subscriptions(text: &Text<'_>, written: &Spanned<i64>) -> Result<NonZeroU16, FileError> {
    let found = u16::try_from(*written.get_ref()).ok().and_then(NonZeroU16::new);
    let what = "a connection holds from 1 to 65535 of them";
    found.ok_or_else(|| text.wrong(&written.span(), what))
}

/// Names and values: the file's, and over them those that were set.
fn parameters(
    text: &Text<'_>,
    settings: &[(String, String)],
    own: &BTreeMap<Spanned<String>, String>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, FileError> {
    for name in own.keys() {
        is_word(text, name)?;
        let (name, span) = (name.get_ref(), name.span());
        let place = format!("{{{name}}}");
        if PLACES.iter().any(|(own, _)| *own == place) {
            return Err(text.wrong(&span, &format!("{place} has a meaning of its own: rename it")));
        }
    }
    let mut all: BTreeMap<String, String> =
        own.iter().map(|(name, value)| (name.get_ref().clone(), value.clone())).collect();
    let known = match all.keys().map(String::as_str).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "it has none".to_owned(),
        names => format!("it has {names}"),
    };
    for (name, value) in settings {
        let Some(old) = all.get_mut(name) else {
            return Err(FileError::NoParameter {
                name: name.clone(),
                value: value.clone(),
                dialect: text.file.to_owned(),
                known,
            });
        };
        old.clone_from(value);
    }
    for (name, value) in &mut all {
        *value = with_variables(value, environment).map_err(|variable| {
            let written = own.keys().find(|own| own.get_ref() == name);
            match (written, settings.iter().any(|(set, _)| set == name)) {
                (Some(own), false) => {
                    let what = format!("the environment has no variable `{variable}`: export it");
                    text.wrong(&own.span(), &what)
                }
                _ => FileError::NoVariable { name: name.clone(), variable },
            }
        })?;
    }
    Ok(all)
}

/// A parameter's value, in which `{env:NAME}` alone is a place: the way for secrets of built-in dialects. Else
/// which variable there is not.
fn with_variables(
    value: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), value);
    while let Some((before, after)) = rest.split_once("{env:") {
        let Some((name, behind)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&environment(name).ok_or_else(|| name.to_owned())?);
        rest = behind;
    }
    Ok(out + rest)
}

fn is_word(text: &Text<'_>, name: &Spanned<String>) -> Result<(), FileError> {
    let word = name.get_ref();
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match is_word {
        true => Ok(()),
        false => Err(text.wrong(&name.span(), "a name is letters, digits and `_`, a letter first")),
    }
}

/// What the parts of a file are built with.
struct Build<'a> {
    text: Text<'a>,
    parameters: BTreeMap<String, String>,
    environment: &'a dyn Fn(&str) -> Option<String>,
    is_text: bool,
    stream: bool,
}

/// Where a pattern stands, and what was captured before it.
#[derive(Clone, Copy)]
struct At<'a> {
    position: Position,
    captured: &'a [String],
    /// It is sent in the dialect's frames.
    is_sent: bool,
}

const FIXED: At<'_> = At { position: Position::Fixed, captured: &[], is_sent: false };

const UPGRADE: At<'_> = At { position: Position::Upgrade, captured: &[], is_sent: true };

impl Build<'_> {
    fn pattern(
        &self,
        span: &Range<usize>,
        written: &str,
        at: At<'_>,
    ) -> Result<Pattern, FileError> {
        let reader = Reader {
            parameters: &self.parameters,
            environment: self.environment,
            position: at.position,
            captured: at.captured,
            is_text: self.is_text && at.is_sent,
        };
        reader.read(written).map_err(|bad| {
            let nth = written[..bad.at].matches(&bad.token).count();
            self.text.wrong_token(span, (&bad.token, nth), &bad.what)
        })
    }

    fn spanned(&self, written: &Spanned<String>, at: At<'_>) -> Result<Pattern, FileError> {
        self.pattern(&written.span(), written.get_ref(), at)
    }

    /// A string without places that differ from socket to socket.
    fn plain(&self, written: &Spanned<String>) -> Result<String, FileError> {
        let bytes = self.said(written)?;
        String::from_utf8(bytes).map_err(|_| self.text.wrong(&written.span(), "not UTF-8"))
    }

    fn upgrade(&self, keys: &UpgradeKeys) -> Result<Upgrade, FileError> {
        let plain = |written: &Option<Spanned<String>>| {
            written.as_ref().map_or_else(|| Ok(String::new()), |written| self.plain(written))
        };
        let subprotocols: Vec<_> =
            keys.subprotocols.iter().map(|name| self.plain(name)).collect::<Result<_, _>>()?;
        let asked = |written: &Spanned<String>| {
            let pattern = self.spanned(written, UPGRADE)?;
            let bytes = pattern.bytes(&Values::default());
            String::from_utf8(bytes).map_err(|_| self.text.wrong(&written.span(), "not UTF-8"))
        };
        let maybe = |written: &Option<Spanned<String>>| {
            written.as_ref().map_or_else(|| Ok(String::new()), asked)
        };
        let header = |(name, value): (&String, &Spanned<String>)| {
            asked(value).map(|value| (name.clone(), value))
        };
        Ok(Upgrade {
            path: plain(&keys.path)?,
            query: maybe(&keys.query)?,
            subprotocols,
            require_subprotocol: keys.require_subprotocol,
            headers: keys.headers.iter().map(header).collect::<Result<_, _>>()?,
            origin: maybe(&keys.origin)?,
        })
    }

    fn opening(&self, steps: &[Spanned<StepKeys>]) -> Result<Opening, FileError> {
        let (mut done, mut captured) = (Vec::new(), Vec::new());
        for step in steps {
            let keys = step.get_ref();
            done.push(self.step((keys, step.span()), &captured)?);
            captured.extend(keys.capture.keys().map(|name| name.get_ref().clone()));
        }
        let mut columns: Vec<String> = done.iter().flat_map(OpeningStep::columns).collect();
        columns.sort();
        columns.dedup();
        Ok(Opening { steps: done, columns })
    }

    fn step(
        &self,
        (keys, span): (&StepKeys, Range<usize>),
        captured: &[String],
    ) -> Result<OpeningStep, FileError> {
        let at = At { position: Position::Opening, captured, is_sent: false };
        let send = match &keys.send {
            Some(send) => Some(self.spanned(send, At { is_sent: true, ..at })?),
            None => None,
        };
        let Some(expect) = &keys.expect else {
            let named = keys.refuse.as_ref().map(|refuse| (refuse.span(), "refuse"));
            let capture = keys.capture.keys().next().map(|name| (name.span(), "capture"));
            if let Some((span, key)) = named.or(capture) {
                let what =
                    format!("`{key}` is about an answer: say with `expect` which is awaited");
                return Err(self.text.wrong(&span, &what));
            }
            if send.is_none() {
                return Err(self.text.wrong(&span, "a step sends something, or expects it"));
            }
            return Ok(OpeningStep { send, answer: None });
        };
        let refuse = match &keys.refuse {
            Some(refuse) => refuse
                .get_ref()
                .0
                .iter()
                .map(|one| self.matching(&refuse.span(), one, at))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let mut captures = Vec::new();
        for (name, keys) in &keys.capture {
            if self.stream {
                return Err(self
                    .text
                    .wrong(&name.span(), "with stream = true nothing can be captured"));
            }
            is_word(&self.text, name)?;
            let until = keys.until.get_ref();
            if until.is_empty() {
                return Err(self.text.wrong(&keys.until.span(), "nothing would be captured"));
            }
            captures.push(Capture {
                name: name.get_ref().clone(),
                after: keys.after.clone(),
                until: until.clone(),
            });
        }
        let expect = self.matching(&expect.span(), expect.get_ref(), at)?;
        Ok(OpeningStep { send, answer: Some(OpeningAnswer { expect, refuse, captures }) })
    }

    fn matching(
        &self,
        span: &Range<usize>,
        keys: &MatchKeys,
        at: At<'_>,
    ) -> Result<Matching, FileError> {
        let pattern = self.pattern(span, &keys.written, at)?;
        if pattern.is_empty() && keys.how != How::Exactly {
            return Err(self.text.wrong(span, "every message would match: say what it holds"));
        }
        if self.stream && keys.how != How::Containing {
            let what = "with stream = true no message begins or ends: give a string that comes in the stream";
            return Err(self.text.wrong(span, what));
        }
        Ok(Matching { how: keys.how, pattern })
    }

    fn reply(&self, keys: &ReplyKeys) -> Result<Reply, FileError> {
        let when = self.matching(&keys.when.span(), keys.when.get_ref(), FIXED)?;
        Ok(Reply { when, send: self.said(&keys.send)? })
    }

    fn heartbeat(&self, keys: &HeartbeatKeys) -> Result<Heartbeat, FileError> {
        Ok(Heartbeat { every: self.period(&keys.every)?, send: self.said(&keys.send)? })
    }

    fn period(&self, written: &Spanned<String>) -> Result<Nanos, FileError> {
        let (every, span) = (written.get_ref(), written.span());
        let every: Nanos =
            every.parse().map_err(|error: ScanError| self.text.wrong(&span, &error.to_string()))?;
        if every == Nanos::ZERO {
            return Err(self.text.wrong(&span, "longer than 0, like 25s"));
        }
        Ok(every)
    }

    /// A message that all sockets send alike.
    fn said(&self, written: &Spanned<String>) -> Result<Vec<u8>, FileError> {
        let pattern = self.spanned(written, At { is_sent: true, ..FIXED })?;
        Ok(pattern.bytes(&Values::default()))
    }

    fn template(&self, keys: &MessageKeys) -> Result<Template, FileError> {
        let written = &keys.template;
        let at = At { position: Position::Message, captured: &[], is_sent: true };
        Template::new(self.spanned(written, at)?).map_err(|found| {
            let what = format!("{found} places for {{text}}: a message needs exactly one");
            self.text.wrong(&written.span(), &what)
        })
    }

    fn correlation(&self, keys: &MessageKeys) -> Result<Option<Correlation>, FileError> {
        if let Some(key) = keys.id_key.as_ref().filter(|_| self.stream) {
            return Err(self
                .text
                .wrong(&key.span(), "with stream = true copies are known by their text"));
        }
        let (present, absent) = match (&keys.id_key, &keys.text_key) {
            (None, None) => return Ok(None),
            (Some(id_key), Some(text_key)) => {
                let key = |key: &Spanned<String>| key.get_ref().clone().into();
                return Ok(Some(Correlation { id_key: key(id_key), text_key: key(text_key) }));
            }
            (Some(id_key), None) => (id_key, "text_key"),
            (None, Some(text_key)) => (text_key, "id_key"),
        };
        let what = format!("ids need both keys: `{absent}` is missing");
        Err(self.text.wrong(&present.span(), &what))
    }
}

/// The JSON Schema of the format, for editors and for the reference.
pub fn json_schema() -> schemars::Schema {
    schemars::schema_for!(Keys)
}

#[cfg(test)]
mod tests;
