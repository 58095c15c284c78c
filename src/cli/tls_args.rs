//! The flags that say how `wss://` nodes, and an `https://` discovery, are spoken to.
//!
//! Belongs here: their help, and which of them exclude each other. Does not: reading certificates (`tls`).

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rustls::pki_types::ServerName;

use super::conflicts::FlagConflict;
use crate::population::discovery::DiscoveryUrl;
use crate::population::nodes::{Node, Scheme};
use crate::tls::{MinVersion, TlsClient, TlsError, TlsOptions};

const TLS: &str = "TLS (for wss:// nodes and an https:// discovery)";

/// Flags of `run` about TLS.
#[derive(Args, Clone, Debug)]
pub struct TlsArgs {
    /// Trust the certificates of this file (PEM), or of the files of this directory, in place of this host's
    #[arg(long, value_name = "FILE|DIR", help_heading = TLS)]
    cacert: Option<PathBuf>,

    /// Take any certificate: whoever answers is believed. The report says so
    #[arg(long, help_heading = TLS)]
    insecure: bool,

    /// Show this certificate (PEM, with its chain) to nodes that ask for one
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    cert: Option<PathBuf>,

    /// The private key of --cert (PEM, without a password)
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    key: Option<PathBuf>,

    /// The oldest version of TLS that is spoken
    #[arg(long, value_name = "VERSION", default_value = "1.2", help_heading = TLS)]
    tls_min: MinArg,

    /// Resume sessions where nodes offer it, as clients that come back do [default: a full handshake for
    /// each socket, as clients that come for the first time do]
    #[arg(long, help_heading = TLS)]
    tls_resume: bool,

    /// The name to ask for (SNI), which the certificate must be for, where it is not the host of the URL
    #[arg(long, value_name = "NAME", value_parser = server_name, help_heading = TLS)]
    sni: Option<ServerName<'static>>,

    /// What the nodes that a discovery lists speak [default: wss with an https:// discovery, else ws]
    #[arg(long, value_name = "SCHEME", help_heading = TLS)]
    node_scheme: Option<SchemeArg>,

    /// Of the embedded cluster.
    #[arg(skip)]
    embedded: Option<String>,
}

/// `--tls-min`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MinArg {
    /// 1.2 and 1.3
    #[value(name = "1.2")]
    Tls12,
    /// 1.3 alone
    #[value(name = "1.3")]
    Tls13,
}

/// `--node-scheme`, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemeArg {
    /// No TLS
    Ws,
    /// TLS
    Wss,
}

fn server_name(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned()).map_err(|_| "not the name of a host".to_owned())
}

impl TlsArgs {
    /// Looks whether they go together.
    ///
    /// # Errors
    /// When flags exclude each other.
    pub fn check(&self) -> Result<(), FlagConflict> {
        if self.insecure && self.cacert.is_some() {
            return Err(FlagConflict::TrustsAnybody);
        }
        match (&self.cert, &self.key) {
            (Some(_), None) => Err(FlagConflict::HalfAnIdentity("--cert", "--key")),
            (None, Some(_)) => Err(FlagConflict::HalfAnIdentity("--key", "--cert")),
            _ => Ok(()),
        }
    }

    /// The same with an embedded cluster, which shows this certificate.
    #[must_use]
    pub fn beside(&self, certificate: Option<&str>) -> Self {
        Self { embedded: certificate.map(str::to_owned), ..self.clone() }
    }

    /// What they ask for.
    pub fn options(&self) -> TlsOptions {
        TlsOptions {
            cacert: self.cacert.clone(),
            embedded: self.embedded.clone(),
            insecure: self.insecure,
            identity: self.cert.clone().zip(self.key.clone()),
            min_version: match self.tls_min {
                MinArg::Tls12 => MinVersion::Tls12,
                MinArg::Tls13 => MinVersion::Tls13,
            },
            resume: self.tls_resume,
            server_name: self.sni.clone(),
        }
    }

    /// What the nodes of this discovery speak.
    pub fn scheme_of_nodes(&self, discovery: &DiscoveryUrl) -> Scheme {
        match self.node_scheme {
            Some(SchemeArg::Ws) => Scheme::Ws,
            Some(SchemeArg::Wss) => Scheme::Wss,
            None if discovery.is_tls() => Scheme::Wss,
            None => Scheme::Ws,
        }
    }

    /// The scheme that was asked for by a flag.
    pub const fn names_scheme(&self) -> bool {
        self.node_scheme.is_some()
    }

    /// The first flag that means nothing without TLS.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            ("--cacert", self.cacert.is_some()),
            ("--insecure", self.insecure),
            ("--cert", self.cert.is_some()),
            ("--key", self.key.is_some()),
            ("--tls-min", self.tls_min != MinArg::Tls12),
            ("--tls-resume", self.tls_resume),
            ("--sni", self.sni.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    /// Whom to trust, where one of these nodes is spoken to over TLS.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn client(&self, nodes: &[Node]) -> Result<Option<TlsClient>, TlsError> {
        let is_tls = nodes.iter().any(|node| node.server_name.is_some());
        is_tls.then(|| TlsClient::load(&self.options())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        tls: TlsArgs,
    }

    fn parse(words: &str) -> TlsArgs {
        let words = std::iter::once("fanstorm").chain(words.split_whitespace());
        Alone::try_parse_from(words).map(|alone| alone.tls).unwrap()
    }

    #[test]
    fn no_flags_ask_for_the_default_and_name_none() {
        assert_eq!(parse("").options(), TlsOptions::default());
        assert_eq!(parse("").first(), None);
    }

    #[test]
    fn every_flag_arrives_in_its_place() {
        let asked = parse(
            "--cacert ca.pem --cert me.pem --key me.key --tls-min 1.3 --tls-resume --sni a.example",
        );
        let expected = TlsOptions {
            cacert: Some("ca.pem".into()),
            embedded: None,
            insecure: false,
            identity: Some(("me.pem".into(), "me.key".into())),
            min_version: MinVersion::Tls13,
            resume: true,
            server_name: Some(ServerName::try_from("a.example").unwrap()),
        };
        assert_eq!((asked.options(), asked.first()), (expected, Some("--cacert")));
        assert!(parse("--insecure").options().insecure);
    }

    #[test]
    fn flags_that_exclude_each_other_are_refused_by_name() {
        for (words, flag) in
            [("--insecure --cacert a", "--insecure"), ("--cert a", "--key"), ("--key a", "--cert")]
        {
            let error = parse(words).check().unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
    }

    #[test]
    fn the_nodes_of_a_discovery_are_as_it_is_itself_unless_somebody_says_otherwise() {
        for (words, url, scheme) in [
            ("", "http://d.example", Scheme::Ws),
            ("", "https://d.example", Scheme::Wss),
            ("--node-scheme wss", "http://d.example", Scheme::Wss),
            ("--node-scheme ws", "https://d.example", Scheme::Ws),
        ] {
            assert_eq!(parse(words).scheme_of_nodes(&url.parse().unwrap()), scheme);
        }
    }
}
