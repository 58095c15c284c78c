//! Cookies that nodes, or what stands before them, have set in their answers to upgrades.
//!
//! Belongs here: keeping them for the socket that they were set for, as a browser would, so that it comes to the
//! same node when it is connected again. Does not: cookies that flags give (`plan::upgrade_options`).

use std::collections::{BTreeMap, HashMap};

use crate::engine::ring::Slot;
use crate::wire::header::{is_token, is_value};

/// Of one socket; a sticky balancer sets one.
const COOKIES_MAX: usize = 8;
/// Name and value (RFC 6265, section 6.1, wants as much of a browser).
const COOKIE_BYTES_MAX: usize = 4096;
/// Names that are counted.
const NAMES_MAX: usize = 100;

/// Cookies by socket. Without any it owns no memory.
#[derive(Debug, Default)]
pub(in crate::engine) struct Cookies {
    by_slot: HashMap<Slot, Vec<(String, String)>>,
}

impl Cookies {
    /// What `Set-Cookie` says to a socket; the name, if a cookie was set.
    pub(in crate::engine) fn keep<'v>(&mut self, slot: Slot, value: &'v str) -> Option<&'v str> {
        let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
        let (name, value) =
            pair.split_once('=').map(|(name, value)| (name.trim(), value.trim()))?;
        if !is_token(name) || !is_value(value) || name.len() + value.len() > COOKIE_BYTES_MAX {
            return None;
        }
        let kept = self.by_slot.entry(slot).or_default();
        kept.retain(|(other, _)| other != name);
        if is_over(attributes) || kept.len() >= COOKIES_MAX {
            return None;
        }
        kept.push((name.to_owned(), value.to_owned()));
        Some(name)
    }

    /// What a socket shows when it is connected again.
    pub(in crate::engine) fn of(&self, slot: Slot) -> &[(String, String)] {
        self.by_slot.get(&slot).map_or(&[], Vec::as_slice)
    }
}

/// A cookie with such attributes is one that is deleted.
fn is_over(attributes: &str) -> bool {
    let mut pairs = attributes.split(';').filter_map(|pair| pair.split_once('='));
    let age = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("Max-Age"));
    age.and_then(|(_, age)| age.trim().parse::<i64>().ok()).is_some_and(|age| age <= 0)
}

/// Adds one socket to a cookie's; names without bound are not counted.
pub(in crate::engine) fn count(sockets: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = sockets.get_mut(name) {
        *count += 1;
    } else if sockets.len() < NAMES_MAX {
        sockets.insert(name.to_owned(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_shows_the_cookies_that_were_set_for_it_and_no_others() {
        let mut cookies = Cookies::default();
        assert_eq!(
            cookies.keep(3, "AWSALB=a=1; Path=/; Expires=Thu, 01 Dec 2099 00:00:00 GMT"),
            Some("AWSALB")
        );
        assert_eq!(cookies.keep(3, " srv = n1 ;HttpOnly; Max-Age=60"), Some("srv"));
        assert_eq!(cookies.keep(3, "srv=n2"), Some("srv"));
        for none in ["", "srv", "=x", "a b=c", "x=\u{1b}", "gone=1; max-age=0", &"a".repeat(5_000)]
        {
            assert_eq!(cookies.keep(3, none), None, "{none}");
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(cookies.of(3), [pair("AWSALB", "a=1"), pair("srv", "n2")]);
        assert_eq!(cookies.of(4), []);
        cookies.keep(3, "AWSALB=; Max-Age=-1");
        assert_eq!(cookies.of(3), [pair("srv", "n2")]);
    }

    #[test]
    fn cookies_without_end_take_bounded_memory() {
        let (mut cookies, mut sockets) = (Cookies::default(), BTreeMap::new());
        for number in 0..1_000 {
            cookies.keep(0, &format!("c{number}=x"));
            count(&mut sockets, &format!("c{number}"));
        }
        assert_eq!((cookies.of(0).len(), sockets.len()), (COOKIES_MAX, NAMES_MAX));
    }
}
