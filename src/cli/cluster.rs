//! `fanstorm cluster`: the reference cluster alone, in the foreground.
//!
//! Belongs here: its flags and its end. Does not: the cluster (`crate::cluster`).

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cluster::{Cluster, ClusterConfig, FaultSpec};
use crate::engine::Stop;

/// Flags of `fanstorm cluster`.
#[derive(Args, Clone, Debug)]
pub struct ClusterArgs {
    /// Number of nodes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=256))]
    nodes: u16,
    /// Forward bytes without reading them: the null cluster
    #[arg(long)]
    relay: bool,
    /// What shall go wrong: [NODE:]FAULT, e.g. drop=0.1%, 1:stall=400ms@1000; may be repeated
    #[arg(long = "fault", value_name = "SPEC")]
    faults: Vec<FaultSpec>,
    /// Write what each fault did to this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    fault_log: Option<PathBuf>,
    /// Port of the discovery on 127.0.0.1; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// CPUs of the processes, in turn: 0,2
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cores: Vec<usize>,
    /// Seed of ids and faults
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
}

/// How often the children are looked after.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the cluster until Ctrl-C or SIGTERM, or until all its nodes are gone.
///
/// # Errors
/// It cannot be started; signals cannot be handled.
pub fn run(args: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let stop = Stop::default();
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.flag())?;
    }
    let mut cluster = Cluster::start(&ClusterConfig {
        nodes: args.nodes.into(),
        relay: args.relay,
        faults: args.faults.clone(),
        seed: args.seed,
        cpus: args.cores.clone(),
        fault_log: args.fault_log.clone(),
        port: Some(args.port),
        executable: None,
    })?;
    announce(&cluster)?;
    while !stop.requested() {
        if let Some(what) = cluster.child_died() {
            writeln!(io::stderr(), "{what} has ended by itself")?;
        }
        if !cluster.alive() {
            writeln!(io::stderr(), "no node is left")?;
            return Ok(ExitCode::FAILURE);
        }
        std::thread::sleep(LOOK);
    }
    Ok(ExitCode::SUCCESS)
}

fn announce(cluster: &Cluster) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "discovery  {}", cluster.discovery_url())?;
    for (index, url) in cluster.node_urls().iter().enumerate() {
        writeln!(out, "node {index:<5} {url}")?;
    }
    writeln!(out, "Ctrl-C ends it")?;
    out.flush()
}
