//! The flags of `run`, and the plan that they ask for.
//!
//! Belongs here: flags, their help, and which of them exclude each other. Does not: acting on them
//! (`cli::run`).

use std::path::{Path, PathBuf};

use clap::Args;

use super::output::JsonTarget;
use super::view::Output;
use crate::cli::bounds_args::BoundsArgs;
use crate::cli::conflicts::FlagConflict;
use crate::cli::connect_args::DialArgs;
use crate::cli::deflate_args::DeflateArgs;
use crate::cli::dialect_args::{DialectArgs, DialectError};
use crate::cli::embedded::Embedded;
use crate::cli::load_args::{LoadArgs, OfSearch};
use crate::cli::metrics_args::MetricsArgs;
use crate::cli::node_source::NodeSource;
use crate::cli::tls_args::TlsArgs;
use crate::cli::upgrade_args::{UpgradeArgs, may_be_secret};
use crate::cli::values::{EngineArg, FanOutArg, WaitArg, small_count};
use crate::cluster::FaultSpec;
use crate::dialect::Dialect;
use crate::host::cpus::Cores;
use crate::load::trial::Trial;
use crate::notice::Notice;
use crate::plan::backend::BackendChoice;
use crate::plan::load::Spec;
use crate::population::discovery::DiscoveryUrl;
use crate::population::fan_out::FanOut;
use crate::population::nodes::{NodeUrl, PushNode, Scheme};
use crate::population::socket_text::SocketText;
use crate::units::{Bytes, Nanos};

/// The most nodes of an embedded cluster: each is a process.
const MAX_EMBEDDED: i64 = 256;

/// Size of the embedded cluster where nobody says: the seed's.
const EMBEDDED_NODES: u16 = 3;

/// What is drawn where nobody gives a seed: the same in each run.
const SEED: u64 = 42;

const TARGET: &str = "Target";
const EMBEDDED: &str = "Embedded cluster (when neither --discovery nor --node is given)";
const LOAD: &str = "Load";
const GENERATOR: &str = "Generator";
const REPORT: &str = "Report";

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Ask this discovery for the nodes, as http://HOST:8080/api/clients
    #[arg(long, value_name = "URL", help_heading = TARGET)]
    discovery: Option<DiscoveryUrl>,

    /// A node, as ws://HOST:PORT/PATH or wss://…; repeat it for each node
    #[arg(long, value_name = "URL", help_heading = TARGET)]
    node: Vec<NodeUrl>,

    /// The node that takes every push: its URL, or its place in the list, counted from 0
    #[arg(long, value_name = "URL|INDEX", help_heading = TARGET)]
    push_node: Option<PushNode>,

    #[command(flatten)]
    dialect: DialectArgs,

    /// Who hears a message: all sockets, all others than the pushing one, or its own alone (echo)
    /// [default: what the dialect says, mostly all]
    #[arg(long, value_name = "WHO", help_heading = TARGET)]
    fan_out: Option<FanOutArg>,

    /// Nodes of the embedded cluster, 1 to 256 [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_EMBEDDED), help_heading = EMBEDDED)]
    nodes: Option<u16>,

    /// Its nodes pass on bytes without reading them: the cluster that costs least
    #[arg(long, help_heading = EMBEDDED)]
    relay: bool,

    /// Its nodes speak wss://, with a certificate made for the run, and its discovery https://
    // Without the feature it says how to build it, and is no offer.
    #[arg(long, hide = !cfg!(feature = "cluster-tls"), help_heading = EMBEDDED)]
    cluster_tls: bool,

    /// A fault of its nodes, as `fanstorm cluster --help` describes them; may be repeated
    #[arg(long, value_name = "[NODE:]FAULT", help_heading = EMBEDDED)]
    fault: Vec<FaultSpec>,

    /// Write down what each fault did
    #[arg(long, value_name = "FILE", help_heading = EMBEDDED)]
    fault_log: Option<PathBuf>,

    #[command(flatten)]
    load: LoadArgs,

    /// Length of each message's text, like 128 or 4KiB
    #[arg(long, value_name = "SIZE", default_value = "128", help_heading = LOAD)]
    payload_bytes: Bytes,

    /// Sockets that push, all to one node; they receive too
    #[arg(long, value_name = "S", default_value = "3", value_parser = small_count, help_heading = LOAD)]
    push_sockets: u32,

    /// Sockets to each node that only receive [default: 1, and 0 with --fan-out own]
    #[arg(long, value_name = "R", value_parser = small_count, help_heading = LOAD)]
    receivers_per_node: Option<u32>,

    /// End a trial when no copy has come for this long (up to twice this while messages come that may be
    /// copies)
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = LOAD)]
    drain: Nanos,

    /// Give up a socket that is not connected and upgraded by then (and the discovery's answer)
    #[arg(long, value_name = "TIME", default_value = "5s", help_heading = LOAD)]
    connect_timeout: Nanos,

    /// Give up when a probe message has not come to every socket by then
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = LOAD)]
    ready_timeout: Nanos,

    /// CPUs with a worker each: how many (2) or which (0,2 or 4-7; 3-3 for CPU 3 alone)
    /// [default: one for every 64 sockets, at most one on each physical core of those that the
    /// process may use, and on half of them beside an embedded cluster]
    #[arg(long, value_name = "NUMBER|LIST", help_heading = GENERATOR)]
    cores: Option<Cores>,

    /// What workers and the embedded cluster ask the kernel through: io_uring, or epoll where the host
    /// withholds it (auto)
    #[arg(long, value_name = "NAME", default_value = "auto", help_heading = GENERATOR)]
    engine: EngineArg,

    /// How workers wait for copies: for latency (poll until none has come for 5 ms, then sleep), spin
    /// (poll without pause), sleep (until the next one), for throughput (sleep until many are there;
    /// io_uring of Linux 6.12); auto waits for latency, and sleeps where CPUs are rationed or shared:
    /// with the embedded cluster, or with nodes whose address is this host's
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = GENERATOR)]
    wait: WaitArg,

    /// Lay all frames out before the clock up to so much memory; beyond it, patch them in place
    #[arg(long, value_name = "SIZE", default_value = "512MiB", help_heading = GENERATOR)]
    frame_memory: Bytes,

    #[command(flatten)]
    bounds: BoundsArgs,

    #[command(flatten)]
    upgrade: UpgradeArgs,

    #[command(flatten)]
    deflate: DeflateArgs,

    #[command(flatten)]
    dial: DialArgs,

    #[command(flatten)]
    tls: TlsArgs,

    /// Seed of all that is drawn: Poisson arrivals, faults of the embedded cluster. Upgrade and mask keys are
    /// the system's all the same, anew for each run, unless --replay asks for them [default: 42]
    #[arg(long, value_name = "NUMBER", help_heading = GENERATOR)]
    seed: Option<u64>,

    /// Take upgrade and mask keys from --seed, too, so that a run repeats its bytes. Whoever knows the seed can
    /// foretell them: not for networks with proxies of others (RFC 6455, section 10.3)
    #[arg(long, requires = "seed", help_heading = GENERATOR)]
    replay: bool,

    /// First run the same plan against a null cluster on loopback, and show the generator's own floor
    /// beside the result
    #[arg(long, help_heading = GENERATOR)]
    calibrate: bool,

    /// For tests of the verdict: every turn of a worker takes so much longer.
    #[arg(long, value_name = "TIME", hide = true)]
    test_turn_delay: Option<Nanos>,

    /// Write the result as JSON; - is standard output, the report then goes to standard error
    #[arg(long, value_name = "FILE|-", help_heading = REPORT)]
    json: Option<JsonTarget>,

    /// Write the report as a page with pictures, one file that needs no network; the result is in it, and
    /// `fanstorm report` reads it
    #[arg(long, value_name = "FILE", help_heading = REPORT)]
    html: Option<PathBuf>,

    /// Write each trial's latency as percentile distributions that the HdrHistogram plotter takes, in
    /// milliseconds: PREFIX.TRIAL.CLASS.hgrm (like x.m1000.service.hgrm), or TRIAL.CLASS.hgrm in a directory
    #[arg(long, value_name = "PREFIX", help_heading = REPORT)]
    hgrm: Option<PathBuf>,

    /// Write an interval log for HdrHistogram's tools: each second and class as a histogram
    #[arg(long, value_name = "FILE", help_heading = REPORT)]
    hlog: Option<PathBuf>,

    /// Show the run on a screen of its own while it lasts: rates, percentiles of the last second and of
    /// the trial, missing copies, nodes, our own CPUs
    #[cfg(feature = "live")]
    #[arg(long, conflicts_with = "quiet", help_heading = REPORT)]
    live: bool,

    #[command(flatten)]
    metrics: MetricsArgs,

    /// No progress and no report: errors, warnings, --json and the exit code say it all
    #[arg(long, short, help_heading = REPORT)]
    quiet: bool,
}

impl RunArgs {
    /// The load that is asked for.
    ///
    /// # Errors
    /// When flags exclude each other.
    pub fn spec(&self) -> Result<Spec, FlagConflict> {
        self.spec_of(self.load.trials(self.seed())?)
    }

    /// The same with trials of another choice.
    ///
    /// # Errors
    /// When flags exclude each other.
    pub fn spec_of(&self, trials: Vec<Trial>) -> Result<Spec, FlagConflict> {
        let mut dialect = self.dialect()?;
        let by_dialect = if dialect.hears_own { FanOut::All } else { FanOut::Others };
        let mut upgrade = self.upgrade.options(&dialect.upgrade, self.push_sockets)?;
        upgrade.offer_deflate(self.deflate.offer());
        upgrade.bound_answers(self.bounds.answer());
        upgrade.secrets.extend(dialect.secrets.iter().map(|secret| SocketText::hidden(secret)));
        let of_urls = self.node.iter().flat_map(NodeUrl::query);
        let of_urls = of_urls.filter(|(name, value)| may_be_secret(name, value));
        upgrade.secrets.extend(of_urls.map(|(_, value)| SocketText::hidden(value)));
        for column in &dialect.opening.columns {
            upgrade.secrets.push(self.upgrade.column(column, &upgrade)?);
        }
        dialect.template.fit(|column| upgrade.data.longest(upgrade.data.column(column)?));
        Ok(Spec {
            fan_out: self.fan_out.map_or(by_dialect, Into::into),
            dialect,
            push_sockets: self.push_sockets,
            receivers_per_node: self.receivers_per_node,
            trials,
            wait: self.wait.into(),
            keep_intervals: self.hlog.is_some(),
            payload_bytes: self.payload_bytes.0,
            drain: self.drain,
            connect_timeout: self.connect_timeout,
            ready_timeout: self.ready_timeout,
            max_message_bytes: self.bounds.message_bytes(),
            max_fragments: self.bounds.fragments(),
            frame_memory_bytes: self.frame_memory.0,
            partial_memory_bytes: self.bounds.partial_memory(),
            seed: self.seed(),
            replay: self.replay,
            dialing: self.dial.dialing(),
            upgrade,
            test_turn_delay: self.test_turn_delay.unwrap_or_default(),
        })
    }

    /// What the flags say of a search; the objectives and the goal are others'.
    ///
    /// # Errors
    /// When one of them is of no search.
    pub fn of_search(&self) -> Result<OfSearch, FlagConflict> {
        self.load.of_search(self.seed())
    }

    /// The same flags with another dialect.
    #[must_use]
    pub fn with_dialect(&self, name: &str) -> Self {
        Self { dialect: self.dialect.named(name), ..self.clone() }
    }

    /// As asked for, in the kind of message that was asked for.
    fn dialect(&self) -> Result<Dialect, DialectError> {
        let dialect = self.dialect.read()?;
        Ok(if self.upgrade.binary() { dialect.in_binary() } else { dialect })
    }

    /// Every address of a name is a node.
    pub fn spreads(&self) -> bool {
        self.dial.spreads()
    }

    /// How nodes are spoken to over TLS.
    pub const fn tls(&self) -> &TlsArgs {
        &self.tls
    }

    /// What is taken of a discovery's answer.
    pub const fn discovery_bytes(&self) -> Bytes {
        self.bounds.discovery()
    }

    /// What is asked of nodes in the upgrade.
    pub const fn upgrade(&self) -> &UpgradeArgs {
        &self.upgrade
    }

    /// Where `--messages` may have meant one number: several, as they were taken.
    pub fn like_one_number(&self) -> Option<Notice> {
        self.load.like_one_number()
    }

    /// Of all that is drawn.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(SEED)
    }

    /// Where the nodes come from.
    ///
    /// # Errors
    /// When flags exclude each other.
    pub fn source(&self) -> Result<NodeSource<'_>, FlagConflict> {
        if self.fault.is_empty() && self.fault_log.is_some() {
            return Err(FlagConflict::LogWithoutFault);
        }
        let source = self.consistent_source()?;
        let is_tls = match source {
            NodeSource::Discovery(url) => {
                url.is_tls() || self.tls.scheme_of_nodes(url) == Scheme::Wss
            }
            NodeSource::Nodes(nodes) => nodes.iter().any(|node| node.scheme() == Scheme::Wss),
            NodeSource::Embedded(embedded) => embedded.tls,
        };
        match self.tls.first() {
            Some(flag) if !is_tls => return Err(FlagConflict::NoTls(flag)),
            _ => {}
        }
        if self.tls.names_scheme() && self.discovery.is_none() {
            return Err(FlagConflict::SchemeWithoutDiscovery);
        }
        self.tls.check()?;
        Ok(source)
    }

    fn consistent_source(&self) -> Result<NodeSource<'_>, FlagConflict> {
        let (outside, source) = match (&self.discovery, self.node.as_slice()) {
            (Some(_), [_, ..]) => return Err(FlagConflict::TwoSources),
            (None, []) => return self.embedded().map(NodeSource::Embedded),
            (Some(url), []) => ("--discovery", NodeSource::Discovery(url)),
            (None, nodes) => ("--node", NodeSource::Nodes(nodes)),
        };
        match self.embedded_flag() {
            Some(embedded) => Err(FlagConflict::NotEmbedded { embedded, outside }),
            None => Ok(source),
        }
    }

    /// The first flag that only an embedded cluster understands.
    fn embedded_flag(&self) -> Option<&'static str> {
        let given = [
            ("--nodes", self.nodes.is_some()),
            ("--relay", self.relay),
            ("--cluster-tls", self.cluster_tls),
            ("--fault", !self.fault.is_empty()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    fn embedded(&self) -> Result<Embedded<'_>, FlagConflict> {
        let nodes = self.nodes.unwrap_or(EMBEDDED_NODES);
        let dialect = self.dialect.read()?;
        if !dialect.opening.steps.is_empty() {
            return Err(FlagConflict::EmbeddedOpening(dialect.name.into_owned()));
        }
        if dialect.subscriptions.get() > 1 {
            return Err(FlagConflict::EmbeddedSubscriptions(dialect.subscriptions));
        }
        if dialect.template != Dialect::dsatter().template && !self.relay {
            return Err(FlagConflict::DialectWithoutRelay(dialect.name.into_owned()));
        }
        match self.fan_out {
            Some(FanOutArg::All) => {}
            None if dialect.hears_own => {}
            Some(FanOutArg::Others) | None => return Err(FlagConflict::EmbeddedFanOut("others")),
            Some(FanOutArg::Own) => return Err(FlagConflict::EmbeddedFanOut("own")),
        }
        match &self.push_node {
            Some(PushNode::Url(url)) => return Err(FlagConflict::EmbeddedPushUrl(url.to_string())),
            Some(PushNode::Index(index)) if *index >= nodes.into() => {
                return Err(FlagConflict::EmbeddedPushIndex { index: *index, nodes });
            }
            _ => {}
        }
        Ok(Embedded {
            nodes,
            relay: self.relay,
            faults: &self.fault,
            fault_log: self.fault_log.as_deref(),
            seed: self.seed(),
            tls: self.cluster_tls,
        })
    }

    /// Where the nodes come from, as a clause.
    pub fn cluster(&self) -> String {
        match self.source() {
            Ok(NodeSource::Discovery(url)) => format!("discovery {url}"),
            Ok(NodeSource::Embedded(_)) => "embedded".into(),
            Ok(NodeSource::Nodes(_)) | Err(_) => "--node".into(),
        }
    }

    /// The node that takes the pushes.
    pub fn push_node(&self) -> PushNode {
        self.push_node.clone().unwrap_or_default()
    }

    /// CPUs for the workers.
    pub fn cores(&self) -> Cores {
        self.cores.clone().unwrap_or_default()
    }

    /// What the workers are to stand on.
    pub fn engine(&self) -> BackendChoice {
        self.engine.into()
    }

    /// Nobody said how workers are to wait.
    pub fn waits_by_itself(&self) -> bool {
        self.wait == WaitArg::Auto
    }

    /// How long a discovery may take.
    pub fn connect_timeout(&self) -> Nanos {
        self.connect_timeout
    }

    /// Whether the null cluster is to be run against first.
    pub const fn calibrate(&self) -> bool {
        self.calibrate
    }

    /// Where distributions go.
    pub fn hgrm(&self) -> Option<&Path> {
        self.hgrm.as_deref()
    }

    /// Where the result goes, besides the report.
    pub fn json(&self) -> Option<&JsonTarget> {
        self.json.as_ref()
    }

    /// Where the page goes.
    pub fn html(&self) -> Option<&Path> {
        self.html.as_deref()
    }

    /// Where the interval log goes.
    pub fn hlog(&self) -> Option<&Path> {
        self.hlog.as_deref()
    }

    /// Whether the run is shown on a screen of its own.
    #[cfg(feature = "live")]
    pub const fn live(&self) -> bool {
        self.live
    }

    /// Where the run can be scraped.
    pub const fn metrics(&self) -> &MetricsArgs {
        &self.metrics
    }

    /// Where the report goes.
    pub fn sheet(&self) -> Output {
        match (self.quiet, &self.json) {
            (true, _) => Output::Quiet,
            (false, Some(JsonTarget::Stdout)) => Output::Stderr,
            (false, _) => Output::Stdout,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::load::inter_arrival::InterArrival;
    use crate::load::profile::FixedRate;
    use crate::plan::backend::Engine;
    use crate::plan::connect_options::ConnectOptions;
    use crate::plan::upgrade_options::UpgradeOptions;
    use crate::plan::wait::WaitMode;
    use crate::units::Rate;
    use crate::wire::bounds::AnswerBounds;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        run: RunArgs,
    }

    fn parse(words: &str) -> Result<RunArgs, clap::Error> {
        let words = std::iter::once("fanstorm").chain(words.split_whitespace());
        Alone::try_parse_from(words).map(|alone| alone.run)
    }

    fn args(words: &str) -> RunArgs {
        parse(words).unwrap_or_else(|e| panic!("{words}: {e}"))
    }

    #[test]
    fn no_flags_ask_for_the_default_load() {
        let (asked, default) = (args("").spec().unwrap(), Spec::default());
        assert_eq!(format!("{asked:?}"), format!("{default:?}"));
    }

    #[test]
    fn every_flag_of_the_load_arrives_in_its_place() {
        let spec = args(
            "--dialect raw --fan-out others --push-sockets 1k --receivers-per-node 2 \
             --messages 10,1.5k,2M --payload-bytes 4KiB --drain 1m30s --connect-timeout 250ms \
             --ready-timeout 3s --max-message-bytes 1MiB --frame-memory 2GiB --partial-memory 8MiB --seed 7 --wait spin \
             --hlog run.hlog --max-fragments 9 --max-header-bytes 1KiB --max-body-bytes 0B --replay",
        )
        .spec()
        .unwrap();
        let expected = Spec {
            dialect: Dialect::raw(),
            fan_out: FanOut::Others,
            push_sockets: 1_000,
            receivers_per_node: Some(2),
            trials: Trial::bursts(&[10, 1_500, 2_000_000]),
            wait: Some(WaitMode::Spin),
            keep_intervals: true,
            payload_bytes: 4_096,
            drain: Nanos::from_secs(90),
            connect_timeout: Nanos::from_millis(250),
            ready_timeout: Nanos::from_secs(3),
            max_message_bytes: 1 << 20,
            max_fragments: 9,
            frame_memory_bytes: 2 << 30,
            partial_memory_bytes: Some(8 << 20),
            seed: 7,
            replay: true,
            dialing: ConnectOptions::default(),
            upgrade: UpgradeOptions {
                bounds: AnswerBounds { head_bytes: 1_024, body_bytes: 0 },
                ..UpgradeOptions::default()
            },
            test_turn_delay: Nanos::ZERO,
        };
        assert_eq!(format!("{spec:?}"), format!("{expected:?}"));
    }

    #[test]
    fn arrivals_are_drawn_from_the_seed() {
        let trials = |words: &str| args(words).spec().unwrap().trials;
        let drawn = |seed| {
            let arrivals = InterArrival::Poisson { seed };
            Trial::each(&[5], FixedRate { rate: Rate::per_second(1e3), arrivals }, Nanos::ZERO)
        };
        let words = "--rate 1k --messages 5 --arrivals poisson";
        assert_eq!(trials(words), drawn(42));
        assert_eq!(trials(&format!("{words} --seed 7")), drawn(7));
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_would_be_understood() {
        for (words, hint) in [
            ("--cores abc", "how many (2) or which (0,2 or 4-7"),
            ("--cores 0", "at least one core"),
            ("--drain 5", "needs a unit (ns, us, ms, s, m, h)"),
            ("--messages ten", "150, 10k or 1M"),
            ("--payload-bytes 4k", "4KiB"),
            ("--push-sockets 5G", "at most 4 294 967 295"),
            ("--nodes 0", "1..=256"),
            ("--node 127.0.0.1:8080", "write ws://127.0.0.1:8080"),
            ("--push-node second", "write ws://second"),
            ("--set room", "like room=lobby"),
            ("--fan-out everyone", "others"),
            ("--engine kqueue", "io_uring"),
            ("--mesages 10", "--messages"),
            ("--fault dorp=1%", "drop=P"),
            ("--rate 5/fortnight", "/s"),
            ("--arrivals bursty", "poisson"),
            ("--duration 5", "needs a unit"),
            ("--max-fragments 0", "1..=65536"),
            ("--max-header-bytes 100B", "no right answer would fit"),
            ("--max-body-bytes 1GiB", "at most 16"),
            ("--replay", "--seed"),
        ] {
            let error = parse(words).map(|_| ()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words}");
            assert!(error.to_string().contains(hint), "{words}: {error}");
        }
    }

    #[test]
    fn flags_that_exclude_each_other_are_both_named_in_one_line() {
        for (words, names) in [
            ("--discovery http://d/ --node ws://n/", &["--discovery", "--node"][..]),
            ("--discovery http://d/ --nodes 3", &["--nodes", "--discovery"]),
            ("--node ws://n/ --relay", &["--relay", "--node"]),
            ("--node ws://n/ --insecure", &["--insecure", "wss://"]),
            ("--discovery http://d/ --tls-min 1.3", &["--tls-min", "https://"]),
            ("--cacert ca.pem", &["--cacert", "TLS"]),
            ("--node wss://n/ --node-scheme wss", &["--node-scheme", "--node"]),
            ("--node wss://n/ --insecure --cacert a", &["--insecure", "--cacert"]),
            ("--node wss://n/ --key a", &["--key", "--cert"]),
            ("--node ws://n/ --fault drop=0.1", &["--fault", "--node"]),
            ("--fault-log f", &["--fault-log", "--fault"]),
            ("--dialect raw", &["--dialect raw", "embedded cluster", "--relay"]),
            ("--fan-out own", &["--fan-out own", "embedded cluster"]),
            ("--fan-out others", &["--fan-out others", "embedded cluster"]),
            ("--push-node ws://n:1/", &["--push-node ws://n:1/", "embedded cluster"]),
            ("--push-node 3", &["--push-node 3", "--nodes 3"]),
            ("--push-node 1 --nodes 1", &["--push-node 1", "--nodes 1"]),
        ] {
            let args = args(words);
            let text = args.source().unwrap_err().to_string();
            assert!(names.iter().all(|name| text.contains(name)), "{words}: {text}");
            assert_eq!(text.lines().count(), 1, "{words}: {text}");
        }
    }

    #[test]
    fn the_engine_is_the_one_named_and_the_hosts_best_where_none_is() {
        for (words, wish) in [
            ("", BackendChoice::Auto),
            ("--engine auto", BackendChoice::Auto),
            ("--engine io_uring", BackendChoice::Only(Engine::IoUring)),
            ("--engine epoll", BackendChoice::Only(Engine::Epoll)),
        ] {
            assert_eq!(args(words).engine(), wish, "{words}");
        }
    }

    #[test]
    fn the_report_leaves_standard_output_to_the_result() {
        for (words, sheet) in [
            ("", Output::Stdout),
            ("--json result.json", Output::Stdout),
            ("--json -", Output::Stderr),
            ("--json - --quiet", Output::Quiet),
        ] {
            assert_eq!(args(words).sheet(), sheet, "{words}");
        }
    }

    #[test]
    fn the_nodes_come_from_where_the_flags_say() {
        assert!(matches!(args("").source(), Ok(NodeSource::Embedded(Embedded { nodes: 3, .. }))));
        let words =
            "--nodes 5 --relay --dialect raw --fault 4:drop=0.1% --fault-log f --push-node 4";
        match args(words).source() {
            Ok(NodeSource::Embedded(e)) => {
                assert_eq!(e.to_string(), "embedded relay, fault 4:drop=0.001");
                let config = e.config(&[1, 2], 6, Engine::Epoll);
                assert_eq!((config.nodes, config.cpus, config.seed), (5, vec![1, 2], 42));
            }
            other => panic!("{other:?}"),
        }
        let two = args("--node ws://a/ --node ws://b/ --push-node ws://b/ --fan-out own");
        assert!(matches!(two.source(), Ok(NodeSource::Nodes([_, _]))));
        assert!(matches!(args("--discovery http://d/").source(), Ok(NodeSource::Discovery(_))));
    }
}
