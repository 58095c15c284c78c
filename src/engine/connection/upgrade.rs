//! The opening handshake of RFC 6455, on one connection.
//!
//! Belongs here: what of it must be remembered between two reads. Does not: its bytes (`wire::upgrade`),
//! how long it may take (`worker::connect`).

use crate::engine::key_rng::KeyRng;
use crate::plan::upgrade_options::{UpgradeOptions, UpgradeRequest};
use crate::units::Nanos;
use crate::wire::answer::{fields, last_answer};
use crate::wire::deflate::Agreed;
use crate::wire::excerpt::excerpt;
use crate::wire::upgrade::{EXTENSIONS, Expected};
use crate::wire::{refusal, upgrade};

/// A request that is not answered yet.
#[derive(Debug)]
pub(in crate::engine) struct Upgrade {
    /// The `Sec-WebSocket-Accept` that a right answer carries.
    accept: String,
    /// The response so far.
    response: Vec<u8>,
    /// When the request was made.
    pub(in crate::engine) since: Nanos,
}

/// What a read made of the response.
#[derive(Debug)]
pub(in crate::engine) enum Answer {
    /// Not whole yet.
    Partial,
    /// It opens the WebSocket; what follows it belongs to frames.
    Accepted {
        /// Where in [`Upgrade::rest`] that begins.
        consumed: usize,
    },
    /// It does not, for this reason.
    Refused(String),
}

impl Upgrade {
    /// Asks as `request` says: what to remember, and the bytes.
    pub(in crate::engine) fn ask(
        request: &UpgradeRequest,
        rng: &mut KeyRng,
        now: Nanos,
    ) -> (Self, Vec<u8>) {
        let mut nonce = [0; 16];
        rng.fill(&mut nonce);
        let key = upgrade::key(nonce);
        let headers: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let bytes = upgrade::request(&request.host, &request.target, &key, &headers);
        (Self { accept: upgrade::accept(&key), response: Vec::new(), since: now }, bytes)
    }

    /// More of the response has come.
    pub(in crate::engine) fn take(&mut self, bytes: &[u8], options: &UpgradeOptions) -> Answer {
        self.response.extend_from_slice(bytes);
        match upgrade::parse_response(&self.response, self.expected(options)) {
            Ok(None) => Answer::Partial,
            Ok(Some(consumed)) => Answer::Accepted { consumed },
            Err(error) if refusal::is_unfinished(&error, &self.response, options.bounds) => {
                Answer::Partial
            }
            Err(error) => Answer::Refused(refusal::words(&error, &self.response, options.bounds)),
        }
    }

    /// What came behind the first `consumed` bytes.
    pub(in crate::engine) fn rest(&self, consumed: usize) -> &[u8] {
        &self.response[consumed..]
    }

    /// Why the node does not take the socket, as far as its answer came; `None` before any of it.
    pub(in crate::engine) fn refused(&self, options: &UpgradeOptions) -> Option<String> {
        match upgrade::parse_response(&self.response, self.expected(options)) {
            Err(error) => Some(refusal::words(&error, &self.response, options.bounds)),
            Ok(_) if self.response.is_empty() => None,
            Ok(_) => {
                Some(format!("its answer to the upgrade had no end: {}", excerpt(&self.response)))
            }
        }
    }

    /// The values of a field of an answer that is `consumed` bytes long.
    pub(in crate::engine) fn answered<'a>(
        &'a self,
        consumed: usize,
        name: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let answer = last_answer(&self.response[..consumed]);
        answer.into_iter().flat_map(move |(head, _)| fields(head, name))
    }

    /// The compression that an answer which is `consumed` bytes long agrees to.
    pub(in crate::engine) fn agreed(
        &self,
        consumed: usize,
        options: &UpgradeOptions,
    ) -> Option<Agreed> {
        let values = self.answered(consumed, EXTENSIONS);
        options.deflate.as_ref()?.agreed(values).expect("a right answer was checked")
    }

    fn expected<'a>(&'a self, options: &'a UpgradeOptions) -> Expected<'a> {
        let UpgradeOptions { subprotocols, requires_subprotocol, deflate, bounds, .. } = options;
        let (requires_subprotocol, deflate) = (*requires_subprotocol, deflate.as_ref());
        let (accept, bounds) = (self.accept.as_str(), *bounds);
        Expected { accept, subprotocols, requires_subprotocol, deflate, bounds }
    }
}
