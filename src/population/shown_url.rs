//! URLs as they may be shown: without what may be a secret.
//!
//! Belongs here: taking it out, and control characters. Does not: where they are shown, and which words are URLs (`cli::url_words`).
//!
//! A token may stand before the host and in the query, and nobody can tell it by its name alone: neither user
//! information nor a value of a query is shown, as no value of `--query` is.

/// In place of a secret.
const HIDDEN: &str = "[hidden]";

/// A URL, its scheme left out perhaps, without user information and without the values of its query.
pub fn shown(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    let (before, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let (place, query) = before.split_once('?').map_or((before, None), |(p, q)| (p, Some(q)));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    };
    let query = query.map(|query| query.split('&').map(pair).collect::<Vec<_>>().join("&"));
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    format!("{scheme}{host}{path}{query}{fragment}")
}

/// With escapes in place of control characters.
pub(super) fn visible(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_hidden_and_all_else_stays() {
        for (url, expected) in [
            ("ws://10.0.0.1:80/chat", "ws://10.0.0.1:80/chat"),
            ("ws://h/?a=1&b&c=", "ws://h/?a=[hidden]&b&c="),
            ("wss://me:pass@h:9/p@q?x=y#f", "wss://[hidden]@h:9/p@q?x=[hidden]#f"),
            ("ws://a@b@h?t=k=v", "ws://[hidden]@h?t=[hidden]"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("me:pass@h/?t=1", "[hidden]@h/?t=[hidden]"),
        ] {
            assert_eq!(shown(url), expected);
            assert_eq!(shown(&shown(url)), shown(url), "once more changes nothing");
        }
    }
}
