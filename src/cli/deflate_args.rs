//! The flags that offer compression (permessage-deflate, RFC 7692).
//!
//! Belongs here: their help and what they ask for. Does not: what nodes may answer (`wire::deflate`).

use clap::{Args, ValueEnum};

use crate::wire::deflate::DeflateOffer;

const DEFLATE: &str = "Compression (permessage-deflate; off where --deflate is not given)";

/// Flags of `run` about compression.
#[derive(Args, Clone, Copy, Debug)]
pub struct DeflateArgs {
    /// Offer compression to nodes, and inflate what comes. Without it none is offered, since latencies then hold the
    /// work of the nodes' compressors; a message inflates to no more than --max-message-bytes
    #[arg(long, help_heading = DEFLATE)]
    deflate: bool,

    /// Send messages compressed where a node agrees; without it only nodes compress
    #[arg(long, requires = "deflate", help_heading = DEFLATE)]
    deflate_send: bool,

    /// Ask that nodes, or we, or both, compress each message by itself. Where a node goes on with what it said
    /// before, each socket takes 47 KiB, and 380 KiB where we do
    #[arg(long, value_name = "WHO", requires = "deflate", help_heading = DEFLATE)]
    deflate_no_takeover: Option<Who>,

    /// Ask that nodes use a window of no more than 2 to the power of this, 8 to 15 [default: 15]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(8..=15), requires = "deflate",
          help_heading = DEFLATE)]
    deflate_window_bits: Option<u8>,

    /// The same of what we send, 9 to 15 [default: 15, or what a node asks for]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(9..=15), requires = "deflate_send",
          help_heading = DEFLATE)]
    deflate_send_window_bits: Option<u8>,
}

/// Who forgets each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Who {
    /// Nodes
    Node,
    /// We
    Us,
    /// Nodes and we
    Both,
}

impl DeflateArgs {
    /// What is offered, if anything.
    pub fn offer(&self) -> Option<DeflateOffer> {
        let forgets =
            |who| self.deflate_no_takeover.is_some_and(|said| [who, Who::Both].contains(&said));
        self.deflate.then(|| DeflateOffer {
            server_bits: self.deflate_window_bits,
            client_bits: self.deflate_send_window_bits,
            server_no_takeover: forgets(Who::Node),
            client_no_takeover: forgets(Who::Us),
            sends: self.deflate_send,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        deflate: DeflateArgs,
    }

    fn offered(words: &str) -> Option<String> {
        let args =
            Alone::try_parse_from(std::iter::once("fanstorm").chain(words.split_whitespace()));
        args.ok()?.deflate.offer().map(|offer| offer.value())
    }

    #[test]
    fn flags_say_what_is_offered_and_without_them_nothing_is() {
        for (words, offer) in [
            ("", None),
            ("--deflate", Some("permessage-deflate; client_no_context_takeover")),
            ("--deflate --deflate-send", Some("permessage-deflate; client_max_window_bits")),
            (
                "--deflate --deflate-no-takeover both --deflate-window-bits 10",
                Some(
                    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                     server_max_window_bits=10",
                ),
            ),
            (
                "--deflate --deflate-send --deflate-no-takeover us --deflate-send-window-bits 9",
                Some("permessage-deflate; client_no_context_takeover; client_max_window_bits=9"),
            ),
            ("--deflate-send", None),
            ("--deflate --deflate-window-bits 16", None),
        ] {
            assert_eq!(offered(words).as_deref(), offer, "{words}");
        }
    }
}
