//! What passes between the upgrade and readiness: a login, a subscription, a greeting.
//!
//! Belongs here: the steps as data, and their texts. Does not: carrying them out (`engine::connection`).

use std::fmt;

/// The steps, in order. A socket is ready when the last one is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Without any, a socket is ready when the upgrade is.
    pub steps: Vec<OpeningStep>,
}

/// Something is sent, then an answer is awaited; either may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpeningStep {
    /// One message, of the kind in which the dialect's messages travel.
    pub send: Option<OpeningText>,
    /// What the next step waits for.
    pub answer: Option<OpeningAnswer>,
}

/// Which message answers a step. Messages that are neither answer nor refusal are passed over: a node
/// may greet, and tell of other users, at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningAnswer {
    /// It holds this.
    pub expect: OpeningText,
    /// A message that holds this is a refusal.
    pub fail: Option<OpeningText>,
}

/// Text with places for what differs from socket to socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningText(String);

impl OpeningText {
    /// `{socket}` is the number of the socket in the run, from 0. All other braces are literal, so JSON
    /// needs no escaping.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As this socket says or hears it.
    pub fn render(&self, socket: u32) -> Vec<u8> {
        self.0.replace("{socket}", &socket.to_string()).into_bytes()
    }
}

/// As it was written, which is the same for all sockets.
impl fmt::Display for OpeningText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_of_the_socket_differs_from_socket_to_socket() {
        let text = OpeningText::new(r#"{"id":"{socket}","of":{"n":{socket}}} {text}"#);
        assert_eq!(text.render(7), br#"{"id":"7","of":{"n":7}} {text}"#);
        assert_eq!(text.render(u32::MAX).len(), text.render(7).len() + 18);
        assert!(
            text.to_string().contains("{socket}"),
            "for errors: the same words for all sockets"
        );
    }
}
