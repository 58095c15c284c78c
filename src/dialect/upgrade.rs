//! What a cluster wants of the HTTP upgrade before it speaks its protocol.
//!
//! Belongs here: the wishes of a dialect, as data. Does not: the request's bytes (`wire::upgrade`), and the
//! flags that override these wishes (`cli`).

/// Everything empty asks for nothing beyond RFC 6455.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upgrade {
    /// Path for nodes whose URL has none of its own.
    pub path: String,
    /// Query that is joined to the one of the node's URL, without its question mark.
    pub query: String,
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: Vec<String>,
    /// A node that chooses none of `subprotocols` is refused.
    pub require_subprotocol: bool,
    /// Further headers, in order; their values may be secrets.
    pub headers: Vec<(String, String)>,
    /// The `Origin` header; none where it is empty.
    pub origin: String,
    /// What receive sockets ask for instead, where that differs. It has none of its own.
    pub receive: Option<Box<Self>>,
}
