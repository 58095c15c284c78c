//! What of compression is offered in the upgrade, and what a server may answer.
//!
//! Belongs here: the parameters of RFC 7692, section 7.1, and their rules. Does not: the upgrade around them
//! (`wire::upgrade`).

use std::fmt;

const NAME: &str = "permessage-deflate";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// The window where nobody asks for a smaller one.
const BITS_MAX: u8 = 15;

/// What a socket offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateOffer {
    /// The server's window is to be no larger than this power of two.
    pub server_bits: Option<u8>,
    /// Ours is no larger than this one.
    pub client_bits: Option<u8>,
    /// The server is to forget each message.
    pub server_no_takeover: bool,
    /// We forget each message.
    pub client_no_takeover: bool,
    /// Messages are sent compressed where the server agrees.
    pub sends: bool,
}

/// What both ends have settled on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Agreed {
    /// Each message of the server is compressed by itself.
    pub server_no_takeover: bool,
    /// The same of ours.
    pub client_no_takeover: bool,
    /// The server's window, as a power of two.
    pub server_bits: u8,
    /// Ours.
    pub client_bits: u8,
}

impl fmt::Display for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        for (is_set, name) in [
            (self.server_no_takeover, SERVER_NO_TAKEOVER),
            (self.client_no_takeover, CLIENT_NO_TAKEOVER),
        ] {
            if is_set {
                write!(f, "; {name}")?;
            }
        }
        for (bits, name) in [(self.server_bits, SERVER_BITS), (self.client_bits, CLIENT_BITS)] {
            if bits < BITS_MAX {
                write!(f, "; {name}={bits}")?;
            }
        }
        Ok(())
    }
}

impl DeflateOffer {
    /// The value of `Sec-WebSocket-Extensions` in a request.
    pub fn value(&self) -> String {
        let mut value = NAME.to_owned();
        if self.server_no_takeover {
            value += &format!("; {SERVER_NO_TAKEOVER}");
        }
        // Who sends nothing compressed lets the server keep no window.
        if self.client_no_takeover || !self.sends {
            value += &format!("; {CLIENT_NO_TAKEOVER}");
        }
        if let Some(bits) = self.server_bits {
            value += &format!("; {SERVER_BITS}={bits}");
        }
        if let Some(bits) = self.client_bits {
            value += &format!("; {CLIENT_BITS}={bits}");
        } else if self.sends {
            value += &format!("; {CLIENT_BITS}");
        }
        value
    }

    /// What the values of `Sec-WebSocket-Extensions` in an answer agree to: `None` where there are none.
    ///
    /// # Errors
    /// What in them no offer of ours allows: a clause to be read after "answered with the extension".
    pub fn agreed<V: AsRef<str>>(
        &self,
        values: impl Iterator<Item = V>,
    ) -> Result<Option<Agreed>, String> {
        let mut agreed = None;
        for value in values {
            for extension in split(value.as_ref(), ',') {
                let mut parts = split(extension, ';').into_iter();
                if parts.next() != Some(NAME) {
                    return Err("which was not offered".to_owned());
                }
                if agreed.is_some() {
                    return Err("more than once".to_owned());
                }
                agreed = Some(self.with(parts)?);
            }
        }
        Ok(agreed)
    }

    fn with<'p>(&self, parameters: impl Iterator<Item = &'p str>) -> Result<Agreed, String> {
        let (mut seen, mut server_bits, mut client_bits) = (Vec::new(), None, None);
        let (mut server_no_takeover, mut client_no_takeover) = (false, self.client_no_takeover);
        for parameter in parameters {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (parameter, None),
            };
            if seen.contains(&name) {
                return Err(format!("with {name} twice"));
            }
            seen.push(name);
            match (name, value) {
                (SERVER_NO_TAKEOVER, None) => server_no_takeover = true,
                (CLIENT_NO_TAKEOVER, None) => client_no_takeover = true,
                (SERVER_NO_TAKEOVER | CLIENT_NO_TAKEOVER, Some(_)) => {
                    return Err(format!("with a value for {name}, which has none"));
                }
                (SERVER_BITS, value) => server_bits = Some(bits(name, value, self.server_bits)?),
                (CLIENT_BITS, _) if self.client_bits.is_none() && !self.sends => {
                    return Err(format!("with {name}, which was not offered"));
                }
                (CLIENT_BITS, value) => client_bits = Some(bits(name, value, self.client_bits)?),
                _ => return Err("with a parameter that RFC 7692 does not know".to_owned()),
            }
        }
        // A server that takes an offer takes all of it (RFC 7692, sections 7.1.1.1 and 7.1.2.1).
        if self.server_no_takeover && !server_no_takeover {
            return Err(format!("without {SERVER_NO_TAKEOVER}, which it was asked for"));
        }
        if self.server_bits.is_some() && server_bits.is_none() {
            return Err(format!("without {SERVER_BITS}, which it was asked for"));
        }
        Ok(Agreed {
            server_no_takeover,
            client_no_takeover: client_no_takeover || !self.sends,
            server_bits: server_bits.unwrap_or(BITS_MAX),
            client_bits: client_bits.or(self.client_bits).unwrap_or(BITS_MAX),
        })
    }
}

/// A window of an answer: 8 to 15 without zeros before it, and no more than was asked (RFC 7692, sections 7.1.2.1 and
/// 7.1.2.2).
fn bits(name: &str, value: Option<&str>, asked: Option<u8>) -> Result<u8, String> {
    let Some(value) = value else { return Err(format!("with {name} without a value")) };
    let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let known = (8..=BITS_MAX).find(|bits| bits.to_string() == value);
    let Some(bits) = known else {
        return Err(format!("with {name} that is no number from 8 to 15"));
    };
    match asked {
        Some(asked) if bits > asked => Err(format!("with {name}={bits}, more than {asked}")),
        _ => Ok(bits),
    }
}

/// The parts of a list, but for separators within quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut begin, mut is_quoted) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            other if other == separator && !is_quoted => {
                parts.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[begin..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDS: DeflateOffer = DeflateOffer {
        server_bits: Some(12),
        client_bits: None,
        server_no_takeover: true,
        client_no_takeover: false,
        sends: true,
    };

    fn agreed(offer: DeflateOffer, answer: &str) -> Result<Option<Agreed>, String> {
        offer.agreed([answer].into_iter())
    }

    #[test]
    fn an_offer_has_what_was_asked_for_and_no_more() {
        assert_eq!(
            DeflateOffer::default().value(),
            "permessage-deflate; client_no_context_takeover"
        );
        assert_eq!(
            SENDS.value(),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; \
             client_max_window_bits"
        );
        let narrow = DeflateOffer { client_bits: Some(9), client_no_takeover: true, ..SENDS };
        assert!(narrow.value().ends_with("client_max_window_bits=9"));
        assert!(narrow.value().contains("client_no_context_takeover"));
    }

    #[test]
    fn what_a_server_agrees_to_holds_for_both_ends() {
        let plain = agreed(DeflateOffer::default(), "permessage-deflate").unwrap().unwrap();
        assert_eq!(plain.to_string(), "permessage-deflate; client_no_context_takeover");
        let said = "permessage-deflate; server_no_context_takeover; server_max_window_bits=\"10\" ;\
                    client_max_window_bits=9";
        let both = agreed(SENDS, said).unwrap().unwrap();
        assert_eq!((both.server_bits, both.client_bits), (10, 9));
        assert_eq!((both.server_no_takeover, both.client_no_takeover), (true, false));
        // It may narrow what nobody asked for.
        let narrowed = agreed(
            DeflateOffer::default(),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8",
        );
        assert_eq!(narrowed.unwrap().map(|agreed| agreed.server_bits), Some(8));
        assert_eq!(DeflateOffer::default().agreed([""; 0].iter()), Ok(None));
    }

    #[test]
    fn whatever_no_offer_allows_is_refused_with_its_reason() {
        let ok = "permessage-deflate; server_no_context_takeover; server_max_window_bits=12";
        assert!(agreed(SENDS, ok).is_ok());
        for (answer, reason) in [
            ("x-webkit-deflate-frame".to_owned(), "not offered"),
            (String::new(), "not offered"),
            (format!("{ok}, permessage-deflate"), "more than once"),
            (format!("{ok}; server_no_context_takeover"), "twice"),
            (format!("{ok}; client_max_window_bits=9; client_max_window_bits=9"), "twice"),
            (format!("{ok}; client_max_window_bits"), "without a value"),
            (format!("{ok}; client_max_window_bits=7"), "from 8 to 15"),
            (format!("{ok}; client_max_window_bits=16"), "from 8 to 15"),
            (format!("{ok}; client_max_window_bits=09"), "from 8 to 15"),
            (format!("{ok}; client_max_window_bits=+9"), "from 8 to 15"),
            (format!("{ok}; client_no_context_takeover=1"), "which has none"),
            (format!("{ok}; mux"), "does not know"),
            (ok.replace("12", "13"), "more than 12"),
            (ok.replace("; server_max_window_bits=12", ""), "which it was asked for"),
            (ok.replace("server_no_context_takeover; ", ""), "which it was asked for"),
        ] {
            let error = agreed(SENDS, &answer).unwrap_err();
            assert!(error.contains(reason), "{answer}: {error}");
        }
        let unasked = "permessage-deflate; client_max_window_bits=10";
        let error = agreed(DeflateOffer::default(), unasked).unwrap_err();
        assert!(error.contains("which was not offered"), "{error}");
    }
}
