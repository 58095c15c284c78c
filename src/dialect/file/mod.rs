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
    Acknowledge, Frames, HeartbeatKeys, Keys, MatchKeys, MessageKeys, OneOrMore, ReplyKeys, SCHEMA,
    StepKeys, TextIn, UpgradeKeys, UpgradeOfKeys,
};
use super::keepalive::{Heartbeat, Reply};
use super::matching::{How, Matching};
use super::opening::{Capture, Opening, OpeningAnswer, OpeningStep};
use super::pattern::{Pattern, Values};
pub use super::pattern_reader::PLACES;
use super::pattern_reader::{Position, Reader};
use super::signature::is_secret;
use super::template::Template;
use super::upgrade::Upgrade;
use super::{Acknowledges, Correlation, Dialect, MessageKind};
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
    let signs = |name: &str| source.text.contains(&format!("{{hmac_sha256:{name}:"));
    let named = source.settings.iter().filter(|(name, value)| {
        !value.is_empty() && !value.contains("{env:") && (is_secret(name) || signs(name))
    });
    secrets.borrow_mut().extend(named.map(|(_, value)| value.clone()));
    let build = Build { text, parameters, environment: &environment, is_text, stream };
    let opening = build.opening(&keys.opening)?;
    let captured: Vec<String> = opening.captured().map(ToOwned::to_owned).collect();
    let reply = |keys| build.reply(keys, &captured);
    let heartbeat = |keys| build.heartbeat(keys, &captured);
    let mut dialect = Dialect {
        name: keys.name.get_ref().clone().into(),
        upgrade: build.upgrade(&keys.upgrade)?,
        opening,
        template: build.template(&keys.message, &captured)?,
        kind: if is_text { MessageKind::Text } else { MessageKind::Binary },
        correlation: build.correlation(&keys.message)?,
        any_kind: matches!(keys.frames, Frames::Any),
        copies: build.copies(&keys.message)?,
        secrets: Vec::new(),
        hears_own: keys.hears_own,
        subscriptions: subscriptions(&text, &keys.subscriptions)?,
        ping: keys.ping.as_ref().map(|ping| build.period(ping)).transpose()?,
        stream,
        acknowledges: acknowledges(&text, &keys)?,
        replies: keys.reply.iter().map(reply).collect::<Result<_, _>>()?,
        heartbeats: keys.heartbeat.iter().map(heartbeat).collect::<Result<_, _>>()?,
        goodbyes: build.goodbyes(keys.goodbye.as_ref())?,
    };
    dialect.gather_columns();
    Ok(Dialect { secrets: secrets.take(), ..dialect })
}

fn acknowledges(text: &Text<'_>, keys: &Keys) -> Result<Option<Acknowledges>, FileError> {
    let Some(acknowledge) = &keys.acknowledge else { return Ok(None) };
    if !keys.stream || !matches!(keys.frames, Frames::Binary) {
        let what =
            "packets are found in a stream of bytes: say stream = true and frames = \"binary\"";
        return Err(text.wrong(&acknowledge.span(), what));
    }
    match acknowledge.get_ref() {
        Acknowledge::Mqtt => Ok(Some(Acknowledges::Mqtt)),
    }
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

/// A key that may be left out.
type Maybe = Option<Spanned<String>>;

/// Where a pattern stands, and what was captured before it.
#[derive(Clone, Copy)]
struct At<'a> {
    position: Position,
    captured: &'a [String],
    /// It is sent in the dialect's frames.
    is_sent: bool,
}

/// Where a pattern is sent on an open socket, behind an opening that captures these.
const fn said(captured: &[String]) -> At<'_> {
    At { position: Position::Said, captured, is_sent: true }
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
        let bytes = self.same(written)?;
        String::from_utf8(bytes).map_err(|_| self.text.wrong(&written.span(), "not UTF-8"))
    }

    fn upgrade(&self, keys: &UpgradeKeys) -> Result<Upgrade, FileError> {
        let UpgradeKeys { path, query, subprotocols, headers, origin, push, receive, .. } = keys;
        let require_subprotocol = keys.require_subprotocol;
        let common = Upgrade { require_subprotocol, ..Upgrade::default() };
        let common = self.upgrade_over(common, (path, query, subprotocols), (headers, origin))?;
        let of = |keys: &Option<UpgradeOfKeys>| match keys {
            None => Ok(common.clone()),
            Some(UpgradeOfKeys { path, query, subprotocols, headers, origin }) => {
                self.upgrade_over(common.clone(), (path, query, subprotocols), (headers, origin))
            }
        };
        let (push, receive) = (of(push)?, of(receive)?);
        let receive = (receive != push).then(|| Box::new(receive));
        Ok(Upgrade { receive, ..push })
    }

    /// The same with what is given.
    fn upgrade_over(
        &self,
        mut upgrade: Upgrade,
        (path, query, subprotocols): (&Maybe, &Maybe, &Option<Vec<Spanned<String>>>),
        (headers, origin): (&BTreeMap<String, Spanned<String>>, &Maybe),
    ) -> Result<Upgrade, FileError> {
        let asked = |written: &Spanned<String>| {
            let pattern = self.spanned(written, UPGRADE)?;
            let bytes = pattern.bytes(&Values::default());
            String::from_utf8(bytes).map_err(|_| self.text.wrong(&written.span(), "not UTF-8"))
        };
        if let Some(path) = path {
            upgrade.path = asked(path)?;
        }
        if let Some(names) = subprotocols {
            let names = names.iter().map(|name| self.plain(name));
            upgrade.subprotocols = names.collect::<Result<_, _>>()?;
        }
        if let Some(query) = query {
            upgrade.query = asked(query)?;
        }
        if let Some(origin) = origin {
            upgrade.origin = asked(origin)?;
        }
        for (name, value) in headers {
            upgrade.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            upgrade.headers.push((name.clone(), asked(value)?));
        }
        Ok(upgrade)
    }

    fn opening(&self, steps: &[Spanned<StepKeys>]) -> Result<Opening, FileError> {
        let (mut done, mut captured) = (Vec::new(), Vec::new());
        for step in steps {
            let keys = step.get_ref();
            done.push(self.step((keys, step.span()), &captured)?);
            captured.extend(keys.capture.keys().map(|name| name.get_ref().clone()));
        }
        Ok(Opening { steps: done, columns: Vec::new() })
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
                in_messages: false,
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

    /// Which messages may be copies.
    fn copies(&self, keys: &MessageKeys) -> Result<Option<Matching>, FileError> {
        let Some(copy) = &keys.copy else { return Ok(None) };
        if self.stream {
            let what = "with stream = true there are no messages to choose from";
            return Err(self.text.wrong(&copy.span(), what));
        }
        self.matching(&copy.span(), copy.get_ref(), FIXED).map(Some)
    }

    fn goodbyes(&self, keys: Option<&Spanned<OneOrMore>>) -> Result<Vec<Matching>, FileError> {
        let Some(keys) = keys else { return Ok(Vec::new()) };
        let all = keys.get_ref().0.iter();
        all.map(|one| self.matching(&keys.span(), one, FIXED)).collect()
    }

    fn reply(&self, keys: &ReplyKeys, captured: &[String]) -> Result<Reply, FileError> {
        let when = self.matching(&keys.when.span(), keys.when.get_ref(), FIXED)?;
        Ok(Reply { when, send: self.spanned(&keys.send, said(captured))?.into() })
    }

    fn heartbeat(&self, keys: &HeartbeatKeys, captured: &[String]) -> Result<Heartbeat, FileError> {
        let send = self.spanned(&keys.send, said(captured))?.into();
        Ok(Heartbeat { every: self.period(&keys.every)?, send })
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

    /// What all sockets say alike.
    fn same(&self, written: &Spanned<String>) -> Result<Vec<u8>, FileError> {
        let pattern = self.spanned(written, At { is_sent: true, ..FIXED })?;
        Ok(pattern.bytes(&Values::default()))
    }

    fn template(&self, keys: &MessageKeys, captured: &[String]) -> Result<Template, FileError> {
        let written = &keys.template;
        let at = At { position: Position::Message, captured, is_sent: true };
        let mut template = Template::new(self.spanned(written, at)?).map_err(|found| {
            let what = format!("{found} places for {{text}}: a message needs exactly one");
            self.text.wrong(&written.span(), &what)
        })?;
        template.in_base64 = *keys.text.get_ref() == TextIn::Base64;
        let what = match (&keys.id_key, self.stream) {
            _ if !template.in_base64 => return Ok(template),
            (_, true) => "with stream = true a text is found as it is: leave this out",
            (Some(_), _) => "with id_key a text is found in JSON: leave one of them out",
            (None, false) => return Ok(template),
        };
        Err(self.text.wrong(&keys.text.span(), what))
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
