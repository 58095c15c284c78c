//! The flags that say how sockets are connected.
//!
//! Belongs here: their help and parsing. Does not: what they do (`plan::connect_options`).

use clap::{Args, ValueEnum};

use crate::plan::connect_options::{ConnectOptions, Descriptors, MinConnected};
use crate::plan::source_ip::SourceIpRange;
use crate::units::{Nanos, Rate};

const CONNECTING: &str = "Connecting";

/// Flags of `run` about connecting.
#[derive(Args, Clone, Debug)]
pub struct DialArgs {
    /// Connect from these addresses in turn, like 10.0.0.7 or 10.0.0.0/24; may be repeated
    /// [default: the kernel's choice; more of 127.0.0.0/8 where one is too few and all is loopback]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = CONNECTING)]
    source_ip: Vec<SourceIpRange>,

    /// Begin at most this many connects a second, over all workers, like 5k [default: no limit]
    #[arg(long, value_name = "R", value_parser = rate, help_heading = CONNECTING)]
    connect_rate: Option<Rate>,

    /// Start when at least this many sockets are connected, like 199k or 99.5%; all push sockets must be.
    /// No copies are expected on the others [default: 100%, else exit code 4]
    #[arg(long, value_name = "N|P%", help_heading = CONNECTING)]
    min_connected: Option<MinConnected>,

    /// Of a name with several addresses load the first that takes a connection, or all, each as a node of its
    /// own
    #[arg(long, value_name = "WHICH", default_value = "first", help_heading = CONNECTING)]
    addresses: AddressesArg,

    /// Where descriptors live: in the process's table (process), or in those of the rings (direct),
    /// whose limit counts for each ring; auto takes direct ones where the process's are too few
    #[arg(long, value_name = "WHERE", default_value = "auto", help_heading = CONNECTING)]
    descriptors: DescriptorsArg,

    /// Let the kernel delay TCP acknowledgements: a receive socket takes a quarter less of our
    /// CPU, but the nodes see other acknowledgements than from most clients
    #[arg(long, help_heading = CONNECTING)]
    delayed_ack: bool,

    /// Send a WebSocket Ping on every socket at this interval, like 30s, for nodes and proxies that close silent
    /// ones [default: none; a dialect may have heartbeats of its own]
    #[arg(long, value_name = "TIME", value_parser = period, help_heading = CONNECTING)]
    ping: Option<Nanos>,

    /// Run no trial after one that lost a socket [default: connect lost sockets again before the next]
    #[arg(long, help_heading = CONNECTING)]
    stop_on_loss: bool,
}

/// `--addresses`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AddressesArg {
    /// The first that takes a connection
    First,
    /// Each as a node of its own
    All,
}

/// `--descriptors`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DescriptorsArg {
    /// In the process's table, or in the rings' where that is too small
    Auto,
    /// In the process's table
    Process,
    /// In the tables of the rings
    Direct,
}

fn period(text: &str) -> Result<Nanos, String> {
    match text.parse::<Nanos>() {
        Ok(Nanos::ZERO) => Err("longer than 0, like 30s".to_owned()),
        Ok(period) => Ok(period),
        Err(error) => Err(error.to_string()),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    match text.parse::<Rate>() {
        Ok(rate) if rate.micro_per_s == 0 => Err("nothing would ever connect".to_owned()),
        Ok(rate) => Ok(rate),
        Err(error) => Err(error.to_string()),
    }
}

impl DialArgs {
    /// Every address of a name is a node.
    pub fn spreads(&self) -> bool {
        self.addresses == AddressesArg::All
    }

    /// What they ask for.
    pub fn dialing(&self) -> ConnectOptions {
        ConnectOptions {
            sources: self.source_ip.clone(),
            rate: self.connect_rate,
            least: self.min_connected.unwrap_or_default(),
            descriptors: match self.descriptors {
                DescriptorsArg::Auto => Descriptors::Auto,
                DescriptorsArg::Process => Descriptors::Process,
                DescriptorsArg::Direct => Descriptors::Direct,
            },
            delayed_ack: self.delayed_ack,
            ping: self.ping,
            stop_on_loss: self.stop_on_loss,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::connect_args::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        dial: DialArgs,
    }

    fn dialing(words: &str) -> Result<ConnectOptions, clap::Error> {
        let words = std::iter::once("fanstorm").chain(words.split_whitespace());
        Alone::try_parse_from(words).map(|alone| alone.dial.dialing())
    }

    #[test]
    fn no_flags_ask_for_the_default() {
        assert_eq!(dialing("").unwrap(), ConnectOptions::default());
    }

    #[test]
    fn every_flag_arrives_in_its_place() {
        let asked = dialing(
            "--source-ip 10.0.0.7,10.1.0.0/16 --source-ip fd00::1 --connect-rate 5k \
             --min-connected 99.5% --descriptors direct --delayed-ack --ping 30s --stop-on-loss",
        );
        let expected = ConnectOptions {
            sources: ["10.0.0.7", "10.1.0.0/16", "fd00::1"].map(|t| t.parse().unwrap()).to_vec(),
            rate: Some(Rate { micro_per_s: 5_000_000_000 }),
            least: MinConnected::Millionths(995_000),
            descriptors: Descriptors::Direct,
            delayed_ack: true,
            ping: Some(Nanos::from_secs(30)),
            stop_on_loss: true,
        };
        assert_eq!(asked.unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_its_flag() {
        for (words, flag) in [
            ("--source-ip 10.0.0.0/40", "--source-ip"),
            ("--connect-rate 0", "--connect-rate"),
            ("--min-connected 101%", "--min-connected"),
            ("--descriptors none", "--descriptors"),
            ("--ping 0s", "--ping"),
            ("--ping 30", "--ping"),
        ] {
            let error = dialing(words).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
    }
}
