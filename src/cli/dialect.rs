//! `fanstorm dialect`: the built-in dialects, and help for whoever writes another.
//!
//! Belongs here: what these commands print. Does not: what is in a file (`dialect::file`).

use std::cell::RefCell;
use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::dialect_args::{DialectError, Settings, text_of};
use super::exit::Exit;
use super::output::warn;
use crate::dialect::{Dialect, MessageKind, TextShape, builtin};
use crate::report::sanitize::plain_lines;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  fanstorm dialect show raw > mine.toml
      a file to begin with
  fanstorm dialect check mine.toml
      whether it can be read, and what it says
  fanstorm --dialect mine.toml --set room=lobby --node ws://10.0.0.7:9001/
      a run with it";

/// What to do.
#[derive(Args, Debug)]
pub struct DialectCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Names the built-in dialects.
    List,
    /// Prints the file of a built-in dialect, to be read or to begin with.
    Show {
        /// Its name.
        name: String,
    },
    /// Reads a dialect's file and says what it asks for, or what is wrong with it and where.
    Check {
        /// The file, or the name of a built-in dialect.
        file: String,
        #[command(flatten)]
        settings: Settings,
    },
}

/// Does it. A wrong file is exit code 2, as a wrong flag is.
pub fn run(command: &DialectCommand) -> Exit {
    let said = match &command.action {
        Action::List => Ok(list()),
        Action::Show { name } => text_of(name),
        Action::Check { file, settings } => check(file, settings),
    };
    match said {
        // Whoever closes the pipe has read enough.
        Ok(text) => {
            let _ = io::stdout().write_all(text.as_bytes());
            Exit::Complete
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", plain_lines(&error.to_string()));
            Exit::Usage
        }
    }
}

fn list() -> String {
    let width = builtin::ALL.iter().map(|file| file.name.len()).max().unwrap_or_default();
    let line = |file: &builtin::Builtin| format!("{:width$}  {}\n", file.name, file.about);
    builtin::ALL.iter().map(line).collect()
}

fn check(file: &str, settings: &Settings) -> Result<String, DialectError> {
    let text = text_of(file)?;
    let missing = RefCell::new(Vec::new());
    // What is missing here may be there where the run is.
    let environment = |name: &str| {
        std::env::var(name).ok().or_else(|| {
            missing.borrow_mut().push(name.to_owned());
            Some(String::new())
        })
    };
    let dialect = settings.read(file, &text, &environment)?;
    for name in missing.take() {
        warn(&format!("{file}: the environment has no variable `{name}`: a run will need it"));
    }
    Ok(summary(&dialect))
}

/// What a dialect asks for, in a few lines.
fn summary(dialect: &Dialect) -> String {
    let shape = TextShape::new(150).expect("it holds a tag");
    let kind = match (dialect.kind, dialect.any_kind) {
        (MessageKind::Text, false) => "text frames",
        (MessageKind::Text, true) => "text frames, copies in any",
        (MessageKind::Binary, _) => "binary frames",
    };
    let copies = match (&dialect.correlation, &dialect.copies) {
        (Some(keys), _) => format!("known by their text or by `{}`", keys.id_key),
        (None, Some(copies)) => format!("messages with `{}` alone", copies.pattern),
        (None, None) => "known by their text".to_owned(),
    };
    let hears = if dialect.hears_own { "all" } else { "others" };
    format!(
        "dialect  {}\nframes   {kind}\nopening  {} steps\nmessage  {} bytes around a text of {}\ncopies   \
         {copies}; --fan-out {hears} where none is given\n",
        dialect.name,
        dialect.opening.steps.len(),
        dialect.message_len(&shape) - shape.len(),
        shape.len(),
    )
}
