//! Connecting a node elsewhere than its URL says.
//!
//! Belongs here: which place of a URL is at which other one. Does not: what becomes of the URL (`nodes`).

use std::str::FromStr;

use url::Host;

/// `HOST:PORT:ADDRESS:PORT`: nodes at the first are connected to at the second, and named as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    from: (Host<String>, u16),
    to: (Host<String>, u16),
}

/// A text is no [`ConnectTo`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write HOST:PORT:ADDRESS:PORT, like chat.example:80:127.0.0.1:8080, an IPv6 address in brackets"
)]
pub struct ConnectToError;

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    fn from_str(text: &str) -> Result<Self, ConnectToError> {
        // Ports have no colons, hosts have them in brackets alone: the middle is behind the first port.
        let place = |host: &str, port: &str| {
            let host = Host::parse(host).map_err(|_| ConnectToError)?;
            let port = port.parse().ok().filter(|&port: &u16| port != 0).ok_or(ConnectToError)?;
            Ok((host, port))
        };
        let (rest, to_port) = text.rsplit_once(':').ok_or(ConnectToError)?;
        let host_end =
            if rest.starts_with('[') { rest.find(']').map_or(0, |end| end + 1) } else { 0 };
        let colon = rest[host_end..].find(':').ok_or(ConnectToError)? + host_end;
        let (host, rest) = (&rest[..colon], &rest[colon + 1..]);
        let (port, to) = rest.split_once(':').ok_or(ConnectToError)?;
        Ok(Self { from: place(host, port)?, to: place(to, to_port)? })
    }
}

impl ConnectTo {
    /// Where this host and port are, if it is about them.
    pub(super) fn of(&self, host: &Host<String>, port: u16) -> Option<&(Host<String>, u16)> {
        (self.from.0 == *host && self.from.1 == port).then_some(&self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_two_places_is_refused() {
        for text in
            ["", "a:80", "a:80:b", "a:80:b:c", "a:80:b:0", "a:x:b:1", "[::1:9:b:1", "::1:9:b:1"]
        {
            assert_eq!(text.parse::<ConnectTo>(), Err(ConnectToError), "{text}");
        }
    }
}
