//! `fanstorm dialect`: the built-in dialects, and help for whoever writes another.
//!
//! Belongs here: what these commands print. Does not: what is in a file (`dialect::file`).

use std::cell::RefCell;
use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::args::RunArgs;
use super::conflicts::FlagConflict;
use super::dialect_args::{DialectError, Settings, text_of};
use super::exit::Exit;
use super::node_source::NodeSource;
use super::output::warn;
use super::run::{self, Ask};
use super::run_error::RunError;
use crate::dialect::{Dialect, MessageKind, TextShape, builtin};
use crate::engine::EngineError;
use crate::engine::rehearsal::{Ended, Line, rehearse};
use crate::load::trial::Trial;
use crate::plan::Plan;
use crate::plan::backend::Engine;
use crate::plan::draft::{Cpus, Draft};
use crate::plan::load::Load;
use crate::population::fan_out::FanOut;
use crate::report::sanitize::plain_lines;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  fanstorm dialect show raw > mine.toml
      a file to begin with
  fanstorm dialect check mine.toml
      whether it can be read, and what it says
  fanstorm dialect try mine.toml --node ws://10.0.0.7:9001/
      one socket and one message: what passes, and what it is to the dialect
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
    /// Goes through a dialect with one socket to the first --node, and prints what passes both ways
    /// and what it is to the dialect: the steps of the opening, a message, and what comes of it.
    ///
    /// Takes the flags of a run, so that its command line can be pasted.
    Try {
        /// The file, or the name of a built-in dialect.
        file: String,
        #[command(flatten)]
        run: Box<RunArgs>,
    },
}

/// Does it. A wrong file is exit code 2, as a wrong flag is.
pub fn run(command: &DialectCommand) -> Exit {
    let said = match &command.action {
        Action::List => Ok(list()),
        Action::Show { name } => text_of(name),
        Action::Check { file, settings } => check(file, settings),
        Action::Try { file, run } => {
            return attempt(&run.with_dialect(file)).unwrap_or_else(|error| run::fail(&error));
        }
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

/// Goes through a dialect, and prints what passes.
fn attempt(args: &RunArgs) -> Result<Exit, RunError> {
    let NodeSource::Nodes(nodes) = args.source()? else {
        return Err(FlagConflict::NothingToTry.into());
    };
    let mut spec = args.spec()?;
    spec.push_sockets = 1;
    // Where nobody hears itself another socket must listen.
    let hears_own = spec.dialect.hears_own;
    spec.receivers_per_node = Some(u32::from(!hears_own));
    spec.fan_out = if hears_own { FanOut::Own } else { FanOut::Others };
    // Where receive sockets ask for something else one of them must ask.
    if let Some(receivers) = &mut spec.upgrade.receivers {
        receivers.first = 1;
        spec.receivers_per_node = Some(1);
        spec.fan_out = if hears_own { FanOut::All } else { FanOut::Others };
    }
    spec.trials = Trial::bursts(&[1]);
    let mut notices = Vec::new();
    let targets = run::targets(args, &nodes[..1], Ask::AndTry, &mut notices)?;
    let tls = args.tls().client(&targets.nodes)?;
    let draft = Draft::new(Load::new(spec)?, targets, vec![0], Engine::Epoll)?.trusting(tls);
    let plan = run::settled(draft, Cpus::Shared)?;
    let (lines, ended) = rehearse(&plan, fastrand::u32(..)).map_err(|source| {
        EngineError::Host { doing: "dialect try: a socket".to_owned(), source }
    })?;
    let sockets = plan.sockets();
    let mut out = io::stdout().lock();
    for Line { socket, from_us, said, note } in lines {
        let arrow = if from_us { "->" } else { "<-" };
        let which = if sockets > 1 { format!("socket {socket} ") } else { String::new() };
        let _ = writeln!(out, "{which}{arrow} {said}\n     {note}");
    }
    Ok(told(&mut out, &plan, hears_own, ended))
}

/// Says how it ended.
fn told(out: &mut impl Write, plan: &Plan, hears_own: bool, ended: Ended) -> Exit {
    match ended {
        Ended::Refused(reason) => {
            let _ = writeln!(io::stderr(), "error: {}", plain_lines(&reason));
            Exit::Unreachable
        }
        Ended::Heard { missing: 0, most: 0, .. } => {
            let _ = writeln!(
                out,
                "The message did not come back before the connection ended: what the node said is above"
            );
            Exit::Incomplete
        }
        Ended::Heard { missing: 0, fewest, most, .. } => {
            let subscriptions = u64::from(plan.audience.subscriptions());
            if (fewest, most) == (subscriptions, subscriptions) {
                let _ = writeln!(out, "The message came back: a run can count its copies.");
                return Exit::Complete;
            }
            let came = if most == subscriptions { fewest } else { most };
            let _ = writeln!(
                out,
                "The message came back {came} times on a socket, and the dialect says subscriptions = \
                 {subscriptions}: a run would report the difference as {}",
                match came < subscriptions {
                    true => "missing copies",
                    false =>
                        "duplicates. Say with `copy` which messages are copies, or with `subscriptions` how many come",
                }
            );
            Exit::Incomplete
        }
        Ended::Heard { .. } => {
            let waited = plan.timeouts.ready;
            let hint = match hears_own {
                true => {
                    "does a pushing socket hear itself (hears_own), and does `copy` match what came?"
                }
                false => "does `copy` match what came?",
            };
            let _ = writeln!(
                out,
                "The message did not come back within {waited} (--ready-timeout): {hint}"
            );
            Exit::Incomplete
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
        (None, Some(copies)) => format!("only messages with `{}`", copies.pattern),
        (None, None) if dialect.template.is_in_base64() => {
            "known by their text in base64".to_owned()
        }
        (None, None) => "known by their text".to_owned(),
    };
    let hears = if dialect.hears_own { "all" } else { "others" };
    let Dialect { replies, heartbeats, goodbyes, .. } = dialect;
    let kept =
        [(replies.len(), "answer"), (heartbeats.len(), "heartbeat"), (goodbyes.len(), "goodbye")];
    let kept = kept.iter().filter(|(count, _)| *count > 0);
    let kept: Vec<_> = kept.map(|(count, what)| counted(*count, what)).collect();
    let kept = match kept.is_empty() {
        true => String::new(),
        false => format!("open     {}\n", kept.join(", ")),
    };
    let often = match dialect.subscriptions.get() {
        1 => String::new(),
        times => format!("; each message {times} times on a socket (subscriptions)"),
    };
    format!(
        "dialect  {}\nframes   {kind}\nopening  {}\nmessage  {} bytes around a text of {}\ncopies   \
         {copies}; --fan-out {hears} where none is given{often}\n{kept}",
        dialect.name,
        counted(dialect.opening.steps.len(), "step"),
        dialect.message_len(&shape) - shape.len(),
        shape.len(),
    )
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
