//! fanstorm: parse, plan, run, report, exit code.

use std::process::ExitCode;

use clap::Parser;

#[derive(clap::Parser)]
enum Command {
    /// Run the reference cluster
    Cluster(fanstorm::cli::cluster::ClusterArgs),
    #[command(hide = true)]
    ClusterChild,
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Cluster(args) => fanstorm::cli::cluster::run(&args),
        Command::ClusterChild => Ok(fanstorm::cluster::child_main()),
    }
}
