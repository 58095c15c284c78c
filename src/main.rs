//! fanstorm: parse, plan, run, report, exit code. [`fanstorm::cli::run`] shows how.

use std::process::ExitCode;

use fanstorm::cli::{
    Cli, Command, audit, cluster, compare, dialect, grant, report, run, search, shell_files,
    signals,
};

fn main() -> ExitCode {
    signals::survive_large_files();
    match Cli::from_process() {
        Command::Run(args) => run::run(&args).into(),
        Command::Search(args) => search::run(&args).into(),
        Command::Audit(args) => audit::run(&args).into(),
        Command::Report(args) => report::run(&args).into(),
        Command::Compare(args) => compare::run(&args).into(),
        Command::Dialect(command) => dialect::run(&command).into(),
        Command::Cluster(args) => cluster::run(&args),
        Command::Completions(args) => shell_files::completions(args, &Cli::definition()).into(),
        Command::Man(args) => shell_files::man(&args, Cli::definition()).into(),
        Command::ClusterChild { .. } => fanstorm::cluster::child_main(),
        Command::AskForIoUring => grant::answer_parent(),
    }
}
