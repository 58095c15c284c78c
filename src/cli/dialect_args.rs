//! The flags that choose a dialect, and reading its file.
//!
//! Belongs here: where a dialect comes from. Does not: what is in it (`dialect::file`), the commands about
//! dialects (`cli::dialect`).

use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;

use clap::Args;

use crate::dialect::file::{self, FileError, Source, flags};
use crate::dialect::{Dialect, builtin};
use crate::host::io_words::unread;
use crate::units::Bytes;

/// Whatever is larger was meant for something else.
const LARGEST_FILE: Bytes = Bytes::from_mib(1);

/// Flags of `run` and of the commands about dialects.
#[derive(Args, Clone, Debug)]
pub struct DialectArgs {
    /// What the cluster speaks: a built-in dialect (`fanstorm dialect list` names them) or a file
    /// that describes one
    #[arg(long, value_name = "NAME|FILE", default_value = builtin::ALL[0].name, help_heading = "Target")]
    dialect: String,

    #[command(flatten)]
    settings: Settings,

    /// Say this on each socket before it is ready, where no file is worth it, like
    /// '{"join":"lobby"}'; behind the dialect's own opening, may be repeated
    #[arg(long, value_name = "MESSAGE", help_heading = "Target")]
    opening: Vec<String>,

    /// Answer a message that is WHEN with SEND, like 2=3; may be repeated
    #[arg(long, value_name = "WHEN=SEND", help_heading = "Target")]
    reply: Vec<ReplyArg>,
}

/// `--reply`, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyArg(String, String);

impl FromStr for ReplyArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once('=') {
            Some((when, send)) if !when.is_empty() && !send.is_empty() => {
                Ok(Self(when.to_owned(), send.to_owned()))
            }
            _ => Err("write the message that asks and its answer, like 2=3"),
        }
    }
}

/// `--set`, as often as it is given.
#[derive(Args, Clone, Debug, Default)]
pub struct Settings {
    /// A parameter of the dialect, like room=lobby or passcode={env:PASS} for a secret; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", help_heading = "Target")]
    set: Vec<Setting>,
}

/// `--set`, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting(String, String);

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self(name.to_owned(), value.to_owned())),
            _ => Err("write a name and its value, like room=lobby"),
        }
    }
}

/// Why there is no such dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// Neither a name nor a file.
    #[error(
        "dialect {name}: neither a file nor a built-in dialect: those are {}", names().join(", ")
    )]
    Unknown {
        /// As it was given.
        name: String,
    },
    /// The file cannot be read.
    #[error("dialect {file}: {reason}")]
    Unreadable {
        /// Its name.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// A flag that adds to it is wrong.
    #[error("{0}")]
    Flag(String),
    /// Something in it is wrong.
    #[error(transparent)]
    Wrong(#[from] FileError),
}

impl DialectArgs {
    /// The same settings of another dialect.
    pub fn named(&self, name: &str) -> Self {
        Self { dialect: name.to_owned(), ..self.clone() }
    }

    /// The dialect that is asked for.
    ///
    /// # Errors
    /// There is none of that name, or its file is wrong.
    pub fn read(&self) -> Result<Dialect, DialectError> {
        let environment = |name: &str| std::env::var(name).ok();
        let mut dialect =
            self.settings.read(&self.dialect, &text_of(&self.dialect)?, &environment)?;
        let replies: Vec<_> =
            self.reply.iter().map(|ReplyArg(when, send)| (when.clone(), send.clone())).collect();
        flags::add(&mut dialect, &self.opening, &replies, &environment)
            .map_err(DialectError::Flag)?;
        Ok(dialect)
    }
}

impl Settings {
    /// The dialect in `text`, which errors call `name`.
    ///
    /// # Errors
    /// Something in it is wrong.
    pub fn read(
        &self,
        name: &str,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Dialect, DialectError> {
        let settings: Vec<_> =
            self.set.iter().map(|Setting(name, value)| (name.clone(), value.clone())).collect();
        let source = Source { file: name, text, settings: &settings, environment };
        Ok(file::read(&source)?)
    }
}

/// The names of the built-in dialects.
pub fn names() -> Vec<&'static str> {
    builtin::ALL.iter().map(|file| file.name).collect()
}

/// What is in the file of that name: a built-in one first.
///
/// # Errors
/// There is none.
pub fn text_of(name: &str) -> Result<String, DialectError> {
    if let Some(file) = builtin::ALL.iter().find(|file| file.name == name) {
        return Ok(file.text.to_owned());
    }
    let unreadable = |reason: String| DialectError::Unreadable { file: name.to_owned(), reason };
    let file = match File::open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DialectError::Unknown { name: name.to_owned() });
        }
        Err(error) => return Err(unreadable(unread(&error))),
    };
    let mut bytes = Vec::new();
    let read = file.take(LARGEST_FILE.0 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(unread(&error)))?;
    if bytes.len() as u64 > LARGEST_FILE.0 {
        return Err(unreadable(format!("larger than {LARGEST_FILE}: this is no dialect")));
    }
    String::from_utf8(bytes).map_err(|_| unreadable("not UTF-8: this is no dialect".to_owned()))
}
