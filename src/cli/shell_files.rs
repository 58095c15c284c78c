//! `fanstorm completions SHELL` and `fanstorm man`: what a shell and a manual want to know of the flags.
//!
//! Belongs here: where they are written. Does not: the flags, from which both are made, so that they cannot
//! differ.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::{Shell, generate};
use clap_mangen::{Man, generate_to};

use super::exit::Exit;
use super::output::Pipe;
use crate::host::io_words::unwritten;

const NAME: &str = "fanstorm";

/// Flags of `completions`.
#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = "\
Examples:
  fanstorm completions bash >~/.local/share/bash-completion/completions/fanstorm
  fanstorm completions zsh >~/.zfunc/_fanstorm
  fanstorm completions fish >~/.config/fish/completions/fanstorm.fish")]
pub struct CompletionsArgs {
    /// Whose
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Flags of `man`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fanstorm man | man -l -
      read it
  fanstorm man --dir ~/.local/share/man/man1
      install it, with a page for each command")]
pub struct ManArgs {
    /// Write a page for each command into this directory, in place of that of fanstorm to standard output
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints a completion script.
pub fn completions(args: CompletionsArgs, command: &Command) -> Exit {
    let mut script = Vec::new();
    generate(args.shell, &mut shown(command), NAME, &mut script);
    told(print(&script))
}

/// Without commands that are for this program alone: completions would offer them.
fn shown(command: &Command) -> Command {
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new(NAME).args(command.get_arguments()).subcommands(commands)
}

/// Prints the manual, or writes its pages.
pub fn man(args: &ManArgs, command: Command) -> Exit {
    match &args.dir {
        Some(dir) => told(pages(dir, command)),
        None => told(page(command).and_then(|page| print(&page))),
    }
}

fn told(written: io::Result<()>) -> Exit {
    let Err(error) = written else { return Exit::Complete };
    let _ = writeln!(io::stderr(), "error: {}", unwritten(&error));
    Exit::Host
}

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = Pipe::new(io::stdout().lock());
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map(|()| page)
}

fn pages(dir: &Path, command: Command) -> io::Result<()> {
    fs::create_dir_all(dir).and_then(|()| generate_to(command, dir)).map_err(|error| {
        io::Error::other(format!("--dir {}: {}", dir.display(), unwritten(&error)))
    })
}
