//! The command line: one file per command. Arguments become a plan here and nowhere else.
//!
//! Belongs here: clap, standard output, signals, exit codes. Does not: anything that a library user
//! would want (`plan`, `engine`, `report`).

use std::ffi::{OsStr, OsString};
use std::io::Write;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};

pub mod args;
pub mod audit;
pub mod bounds_args;
mod busy;
pub mod calibrate;
pub mod claims;
pub mod cluster;
pub mod compare;
mod compare_runs;
pub mod conflicts;
pub mod connect_args;
pub mod deflate_args;
pub mod dialect;
pub mod dialect_args;
pub mod discover;
mod embedded;
pub mod exit;
pub mod fix;
pub mod grant;
pub mod hgrm_files;
#[cfg(feature = "live")]
pub mod live;
pub mod load_args;
pub mod metrics;
pub mod metrics_args;
pub mod need;
pub mod node_source;
pub mod output;
pub mod outputs;
pub mod place;
pub mod report;
mod resolve;
pub mod run;
mod run_error;
pub mod search;
pub mod shell_files;
pub mod signals;
pub mod tls_args;
mod upgrade_args;
mod url_words;
mod values;
pub mod view;

use self::args::RunArgs;
use self::audit::AuditArgs;
use self::cluster::ClusterArgs;
use self::compare::CompareArgs;
use self::dialect::DialectCommand;
use self::exit::Exit;
use self::report::ReportArgs;
use self::search::SearchArgs;
use self::shell_files::{CompletionsArgs, ManArgs};
use self::url_words::{secret_urls, without_secrets};

/// Load generator for WebSocket fan-out clusters.
///
/// Pushes messages to one node of a cluster and waits until every copy has come back from every
/// node: each copy is accounted for, and its latency is reported beside the throughput. Without arguments it starts a
/// small cluster of its own and runs against that.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    subcommand_help_heading = "Commands",
    disable_help_subcommand = true,
    after_help = "Run --help for examples and exit codes.",
    after_long_help = after_long_help(),
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a load (what happens without a command).
    #[command(after_long_help = after_long_help())]
    Run(Box<RunArgs>),
    /// Searches for the largest rate that the cluster holds.
    ///
    /// Takes the flags of a run. Trials of many rates run over the same sockets, one after the other; after a bad one
    /// the next begins when the cluster is as fast again as it was at first.
    #[command(after_long_help = search::EXAMPLES)]
    Search(Box<SearchArgs>),
    /// Checks this host's limits against a run and prints the commands that fix them; changes nothing.
    ///
    /// Takes the flags of a run, so that its command line can be pasted; those that ask nothing of
    /// the host make no difference. No node is talked to; a discovery is asked how many there are.
    #[command(after_long_help = audit::EXAMPLES)]
    Audit(Box<AuditArgs>),
    /// Presents a saved result again: as text, as a page with pictures, as a distribution to plot, as JSON.
    Report(ReportArgs),
    /// Compares several results with several others, and says what differs and how sure that is.
    Compare(CompareArgs),
    /// Lists, shows, checks and tries dialects: what a cluster speaks inside frames.
    #[command(after_long_help = dialect::EXAMPLES)]
    Dialect(DialectCommand),
    /// Runs the embedded cluster alone, until Ctrl-C.
    Cluster(ClusterArgs),
    /// Prints what completes these flags in a shell.
    Completions(CompletionsArgs),
    /// Prints the manual page.
    Man(ManArgs),
    /// A process of the embedded cluster: started by it, never by hand.
    #[command(hide = true)]
    ClusterChild {
        /// Between it and its parent.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Says whether io_uring is granted: started where the answer may be the end of who asks.
    #[command(hide = true)]
    AskForIoUring,
}

const CLUSTER_CHILD: &str = "cluster-child";
const ASK_FOR_IO_URING: &str = "ask-for-io-uring";

impl Cli {
    /// What this process was asked to do. Help, version and usage errors end the process here.
    pub fn from_process() -> Command {
        let words = values_joined(std::env::args_os());
        Self::try_parse_from(&words).unwrap_or_else(|error| refuse(error, &words)).chosen()
    }

    /// All commands and flags.
    pub fn definition() -> clap::Command {
        Self::command()
    }

    /// The command; `run` where none is named.
    fn chosen(self) -> Command {
        self.command.unwrap_or_else(|| Command::Run(Box::new(self.run)))
    }
}

/// Prints help, version or a usage error, and ends the process. clap repeats values, and a URL may hold a secret.
fn refuse(error: clap::Error, words: &[OsString]) -> ! {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let error = without_internals(error);
    let said = error.render().to_string();
    let safe = without_secrets(&in_words(&said), &secret_urls(&words));
    if safe == said {
        error.exit();
    }
    // Without its colours: nothing of it was for a pipe.
    let _ = write!(std::io::stderr(), "{safe}");
    std::process::exit(error.exit_code());
}

/// Nobody is told to try a command that is ours alone.
fn without_internals(mut error: clap::Error) -> clap::Error {
    let ours = [CLUSTER_CHILD, ASK_FOR_IO_URING];
    if let Some(ContextValue::Strings(similar)) = error.remove(ContextKind::SuggestedSubcommand) {
        let similar: Vec<_> = similar.into_iter().filter(|name| !ours.contains(&&**name)).collect();
        if !similar.is_empty() {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(similar));
        }
    }
    error
}

/// The library's words for what is no number say nothing of what is wanted, and those for a range are Rust's.
fn in_words(said: &str) -> String {
    const WANTED: &str = "write a whole number, like 42";
    ["invalid digit found in string", "cannot parse integer from empty string"]
        .iter()
        .fold(said.to_owned(), |said, theirs| said.replace(theirs, WANTED))
        .replace("number too large to fit in target type", "the number is too large")
        .replace(" is not in ", " is not a number from ")
        .replace("..=", " to ")
}

/// The arguments with a negative number behind a flag joined to it: `--rate -1` becomes `--rate=-1`. No
/// flag begins with a digit, so it was meant as a value; by itself it would be called an unknown flag,
/// and not what is wrong with it.
fn values_joined(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut ours = true;
    for argument in arguments {
        // What follows belongs to others.
        ours &= argument != "--" && argument != CLUSTER_CHILD;
        let flag =
            joined.last_mut().filter(|flag| ours && is_bare_flag(flag) && is_negative(&argument));
        match flag {
            Some(flag) => {
                flag.push("=");
                flag.push(argument);
            }
            None => joined.push(argument),
        }
    }
    joined
}

fn is_bare_flag(argument: &OsStr) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.len() > 2 && bytes.starts_with(b"--") && !bytes.contains(&b'=')
}

fn is_negative(argument: &OsStr) -> bool {
    let number = argument.as_encoded_bytes().strip_prefix(b"-");
    let number = number.map(|number| number.strip_prefix(b".").unwrap_or(number));
    number.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

fn after_long_help() -> String {
    format!(
        "\
Examples:
  fanstorm
      the whole table against an embedded cluster of 3 nodes
  fanstorm --discovery http://10.0.0.5:8080/api/clients --messages 1000,10k
      against the nodes that a discovery lists
  fanstorm --node ws://10.0.0.7:9001/ --node ws://10.0.0.8:9001/ --json result.json
      against two nodes; pushes go to the first
  fanstorm report result.json
      the same report again, from the file
  fanstorm --node ws://[::1]:8080/echo --dialect raw --fan-out own --push-sockets 64
      against an echo server

Exit codes:
{}",
        Exit::HELP
    )
}

#[cfg(test)]
mod tests {

    use super::*;

    fn command(words: &[&str]) -> Command {
        Cli::try_parse_from([&["fanstorm"], words].concat()).unwrap().chosen()
    }

    #[test]
    fn the_definitions_are_what_clap_expects() {
        Cli::command().debug_assert();
    }

    /// Flags that take whatever there is, or are read after clap.
    const TEXTS: [&str; 23] = [
        "opening",
        "dialect",
        "json",
        "hgrm",
        "html",
        "hlog",
        "fault-log",
        "header",
        "header-file",
        "subprotocol",
        "origin",
        "host",
        "bearer-env",
        "bearer-file",
        "basic-env",
        "basic-file",
        "cookie",
        "query",
        "data",
        "node-header",
        "cacert",
        "cert",
        "key",
    ];

    #[test]
    fn a_negative_value_is_called_wrong_by_every_flag_and_never_an_unknown_flag() {
        use clap::error::ErrorKind;
        let flags = Cli::command();
        let flags = flags.get_arguments().filter(|arg| arg.get_action().takes_values());
        let names: Vec<_> = flags.filter_map(clap::Arg::get_long).map(str::to_owned).collect();
        assert!(names.len() > 30, "{names:?}");
        for name in names {
            for value in ["-1", "-1s", "-0.5", "-.5%", "-4KiB"] {
                let words = ["fanstorm".into(), format!("--{name}").into(), value.into()];
                // A file may have any name, a header any value.
                let Err(error) = Cli::try_parse_from(values_joined(words.into_iter())) else {
                    assert!(TEXTS.contains(&name.as_str()), "{name}");
                    continue;
                };
                let wrong = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
                assert!(wrong.contains(&error.kind()), "--{name} {value}: {error}");
                let text = error.to_string();
                assert!(
                    text.contains(&format!("'{value}'")) && text.contains(&format!("--{name} ")),
                    "{text}"
                );
            }
        }
    }

    /// Whatever takes a value is given what no flag takes.
    #[test]
    fn no_error_speaks_of_types_and_strings() {
        for command in [&[][..], &["cluster"], &["compare"], &["report", "x"], &["audit"]] {
            let definition = command.iter().take(1).fold(Cli::command(), |all, name| {
                all.find_subcommand(name).expect("there is such a command").clone()
            });
            let flags = definition.get_arguments().filter(|arg| arg.get_action().takes_values());
            for flag in flags.filter_map(clap::Arg::get_long) {
                for value in ["", "@x", "1.5", "99999999999999999999999"] {
                    let flag = format!("--{flag}={value}");
                    let words = ["fanstorm"].iter().chain(command).copied().chain([&*flag]);
                    let Err(error) = Cli::try_parse_from(words) else { continue };
                    let said = in_words(&error.render().to_string());
                    for theirs in ["digit", "in string", "target type", "parse integer"] {
                        assert!(!said.contains(theirs), "{said}");
                    }
                }
            }
        }
        let said = |words: &[&str]| {
            let error = Cli::try_parse_from([&["fanstorm"], words].concat()).unwrap_err();
            in_words(&error.render().to_string())
        };
        let seed = "invalid value 'x' for '--seed <NUMBER>': write a whole number, like 42";
        assert!(said(&["--seed", "x"]).contains(seed), "{}", said(&["--seed", "x"]));
    }

    #[test]
    fn a_command_that_is_ours_alone_is_not_suggested() {
        for word in ["foo", "cluster-chil", "ask-for-io-urin"] {
            let error = Cli::try_parse_from(["fanstorm", word]).unwrap_err();
            let said = without_internals(error).render().to_string();
            assert!(said.contains(word), "{said}");
            assert!(
                !said.contains("ask-for-io-uring") && !said.contains("cluster-child"),
                "{said}"
            );
        }
        let error = Cli::try_parse_from(["fanstorm", "clustr"]).unwrap_err();
        assert!(without_internals(error).render().to_string().contains("'cluster'"));
        let hidden: Vec<_> = Cli::command()
            .get_subcommands()
            .filter(|c| c.is_hide_set())
            .map(|c| c.get_name().to_owned())
            .collect();
        assert_eq!(hidden, [CLUSTER_CHILD, ASK_FOR_IO_URING]);
    }

    #[test]
    fn a_negative_count_is_told_what_a_count_is() {
        for flag in ["--messages", "--push-sockets"] {
            let words = ["fanstorm", flag, "-1"].map(OsString::from);
            let error = Cli::try_parse_from(values_joined(words.into_iter())).unwrap_err();
            assert!(error.to_string().contains("not a count"), "{error}");
        }
    }

    #[test]
    fn only_a_number_behind_a_flag_is_joined_to_it() {
        let joined = |words: &str| {
            let words = values_joined(words.split_whitespace().map(Into::into));
            words.join(OsStr::new(" ")).into_string().unwrap()
        };
        for (words, expected) in [
            ("f --rate -1 -q", "f --rate=-1 -q"),
            ("f --json - -q --rate=-1", "f --json - -q --rate=-1"),
            ("f -1 --quiet -q", "f -1 --quiet -q"),
            ("f --a -1 -2", "f --a=-1 -2"),
            ("f cluster-child --a -1", "f cluster-child --a -1"),
            ("f -- --a -1", "f -- --a -1"),
        ] {
            assert_eq!(joined(words), expected);
        }
    }

    #[test]
    fn run_is_the_command_where_none_is_named() {
        for words in [&["--messages", "10"][..], &["run", "--messages", "10"]] {
            match command(words) {
                Command::Run(args) => {
                    assert_eq!(args.spec().unwrap().trials[0].messages, 10, "{words:?}");
                }
                other => panic!("{words:?} became {other:?}"),
            }
        }
    }

    #[test]
    fn a_flag_of_run_before_another_command_is_refused() {
        Cli::try_parse_from(["fanstorm", "--messages", "10", "cluster"]).unwrap_err();
    }

    #[test]
    fn the_child_of_a_cluster_takes_whatever_its_parent_says() {
        match command(&["cluster-child", "--anything", "at", "-all"]) {
            Command::ClusterChild { arguments } => assert_eq!(arguments.len(), 3),
            other => panic!("became {other:?}"),
        }
    }
}
