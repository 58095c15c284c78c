//! Names of nodes, looked up side by side and within `--connect-timeout`.
//!
//! Belongs here: asking the name service, and which of a name's addresses takes connections. Does not:
//! what becomes of an address (`population::nodes`), the name of a discovery (its client bounds that itself).
//!
//! `getaddrinfo` cannot be cancelled and waits 5 s and more for a server that is silent, so threads ask,
//! and one that is not back in time is left behind. Without names no thread is started.
//!
//! Of a name with several addresses one is loaded: the first that takes a connection, which is closed
//! again at once. Sockets that each tried the next address on their own would scatter over nodes
//! whenever one of them refuses a few, and the report could not say who was loaded.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::host::clock::{Clock, Monotonic};
use crate::population::nodes::NodeUrl;
use crate::units::Nanos;

/// Threads that ask at the same time: name services limit what one client may ask at once.
const ASKING_MAX: usize = 32;

type Name = (String, u16);

/// What a thread says of a name: what it has, and whether that is its last word.
type Word = (Name, io::Result<Vec<SocketAddr>>, bool);

/// The addresses of names.
pub(super) struct Names {
    found: HashMap<Name, io::Result<Vec<SocketAddr>>>,
    timeout: Nanos,
}

impl Names {
    /// Looks up the names among the hosts of these URLs. `tries` says that connections may be made, to
    /// see which address of several is alive.
    pub(super) fn of<'u>(
        urls: impl Iterator<Item = &'u NodeUrl>,
        timeout: Nanos,
        tries: bool,
    ) -> Self {
        let names = urls.filter_map(|url| url.name().map(|(name, port)| (name.to_owned(), port)));
        let names: BTreeSet<Name> = names.collect();
        Self::look_up(
            names,
            timeout,
            move |(name, port)| Ok((name.as_str(), *port).to_socket_addrs()?.collect()),
            tries,
        )
    }

    fn look_up(
        names: BTreeSet<Name>,
        timeout: Nanos,
        ask: impl Fn(&Name) -> io::Result<Vec<SocketAddr>> + Clone + Send + 'static,
        tries: bool,
    ) -> Self {
        let (mut missing, threads) = (names.len(), names.len().min(ASKING_MAX));
        let queue = Arc::new(Mutex::new(names.into_iter()));
        let (words, heard) = mpsc::channel();
        let work = move |words: &Sender<Word>| loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(name) = next else { return };
            let found = ask(&name).map(distinct);
            say(words, name, found, tries.then_some(timeout));
        };
        let start = |_| {
            let (work, words) = (work.clone(), words.clone());
            thread::Builder::new().name("names".to_owned()).spawn(move || work(&words)).is_ok()
        };
        // Where no thread may be started, this one asks, for as long as that takes.
        if missing > 0 && (0..threads).filter(|i| start(*i)).count() == 0 {
            work(&words);
        }
        drop((work, words));
        let mut found = HashMap::new();
        let deadline = Monotonic.now().plus(timeout);
        while missing > 0 {
            let left = Duration::from(deadline.since(Monotonic.now()));
            let Ok((name, addresses, is_last)) = heard.recv_timeout(left) else { break };
            found.insert(name, addresses);
            missing -= usize::from(is_last);
        }
        Self { found, timeout }
    }

    /// The addresses of a name, the one to be taken first.
    pub(super) fn addresses(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self.found.get(&(name.to_owned(), port)) {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err(error)) => Err(io::Error::other(error.to_string())),
            None => Err(io::Error::other(format!(
                "no answer of the name service within {} (--connect-timeout)",
                self.timeout
            ))),
        }
    }
}

/// Says what was found at once: to see who is alive may take longer than there is time.
fn say(words: &Sender<Word>, name: Name, found: io::Result<Vec<SocketAddr>>, tries: Option<Nanos>) {
    let several = found.as_ref().ok().filter(|addresses| addresses.len() > 1).cloned();
    let (Some(mut addresses), Some(timeout)) = (several, tries) else {
        let _ = words.send((name, found, true));
        return;
    };
    let _ = words.send((name.clone(), found, false));
    // All of them within half of the time: the name service has had its part.
    let patience = Duration::from(timeout) / (2 * addresses.len() as u32);
    let takes = |addr: &SocketAddr| TcpStream::connect_timeout(addr, patience).is_ok();
    if let Some(alive) = addresses.iter().position(takes) {
        addresses[..=alive].rotate_right(1);
    }
    let _ = words.send((name, Ok(addresses), true));
}

/// Each once, in the order of the name service.
fn distinct(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let canonical = |addr: &SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
    addresses.iter().map(canonical).filter(|addr| seen.insert(*addr)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn names(names: &[&str]) -> BTreeSet<Name> {
        names.iter().map(|name| ((*name).to_owned(), 1)).collect()
    }

    #[test]
    fn a_name_service_that_is_silent_about_one_name_holds_up_no_other() {
        let asked = names(&["a", "silent", "b", "c"]);
        let ask = |(name, port): &Name| {
            if name == "silent" {
                thread::sleep(Duration::from_secs(600));
            }
            Ok(vec![SocketAddr::from(([10, 0, 0, name.as_bytes()[0]], *port))])
        };
        let found = Names::look_up(asked, Nanos::from_millis(2_000), ask, false);
        for name in ["a", "b", "c"] {
            assert_eq!(found.addresses(name, 1).unwrap().len(), 1, "{name}");
        }
        let error = found.addresses("silent", 1).unwrap_err().to_string();
        assert!(error.contains("--connect-timeout"), "{error}");
    }

    #[test]
    fn the_first_address_that_takes_a_connection_is_the_one_to_be_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let dead = move |host| SocketAddr::from(([127, 0, 0, host], alive.port()));
        let ask = move |_: &Name| Ok(vec![dead(77), dead(78), alive, dead(79)]);
        let found = Names::look_up(names(&["a"]), Nanos::from_secs(5), ask, true);
        let order = found.addresses("a", 1).unwrap();
        assert_eq!(order, [alive, dead(77), dead(78), dead(79)]);
        let found = Names::look_up(names(&["a"]), Nanos::from_secs(5), ask, false);
        assert_eq!(found.addresses("a", 1).unwrap()[0], dead(77), "nobody is talked to");
    }

    #[test]
    fn addresses_are_told_once_and_errors_as_they_are() {
        let v4 = SocketAddr::from(([10, 0, 0, 7], 1));
        let mapped: SocketAddr = "[::ffff:10.0.0.7]:1".parse().unwrap();
        assert_eq!(distinct(vec![mapped, v4, mapped]), [v4]);
        let ask = |_: &Name| Err(io::Error::other("no such name"));
        let found = Names::look_up(names(&["a"]), Nanos::from_secs(5), ask, true);
        assert_eq!(found.addresses("a", 1).unwrap_err().to_string(), "no such name");
    }
}
