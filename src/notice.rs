//! What was decided for the user, who should know of it.

use std::fmt;
use std::net::SocketAddr;

use crate::host::io_uring::Refusal;
use crate::units::Count;

/// Something that was decided for the user, who should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A discovery lists a node twice.
    SameNode {
        /// The second spelling.
        url: String,
        /// The first.
        first: String,
        /// Further entries that are such nodes.
        more: u64,
    },
    /// `--messages 2,500` is two runs.
    GroupedDigits {
        /// As written.
        written: String,
        /// How many trials it is.
        trials: usize,
    },
    /// Fewer rows of `--data` than sockets.
    RowsUsedAgain {
        /// The file.
        file: String,
        /// Its rows.
        rows: usize,
        /// All sockets.
        sockets: u64,
    },
    /// Two nodes are at one address.
    OneAddress {
        /// The second.
        url: String,
        /// The first.
        first: String,
        /// Where both are.
        addr: SocketAddr,
        /// Their Host headers differ.
        by_host: bool,
        /// Further ones of which the same holds.
        more: usize,
    },
    /// A name has addresses that nothing goes to.
    OneOfSeveral {
        /// The node.
        url: String,
        /// Where its sockets go.
        addr: SocketAddr,
        /// All that it has.
        of: usize,
    },
    /// `--cores` asks for more workers than the plan can feed.
    FewerCores {
        /// As asked.
        asked: usize,
        /// As taken.
        taken: usize,
        /// The dialect needs the text on every worker.
        correlates: bool,
    },
    /// The embedded cluster has no CPU of its own.
    SharedCpus,
    /// Nodes run on this host, and workers that poll would take CPUs from them.
    NodesHere {
        /// How many of them.
        here: usize,
        /// Of so many.
        nodes: usize,
    },
    /// io_uring is refused, and the workers go on without it.
    EpollInstead {
        /// By whom, and what to do.
        refusal: Refusal,
    },
}

impl Notice {
    /// What of a name is loaded, for the report: it has more addresses.
    pub fn partial(&self) -> Option<String> {
        let Self::OneOfSeveral { url, addr, of } = self else { return None };
        Some(format!("{url} at {addr}, 1 of its {of} addresses"))
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameNode { url, first, more: 0 } => {
                write!(f, "{url} is the same node as {first}: taken once")
            }
            Self::SameNode { url, first, more } => {
                let entries = if *more == 1 { "entry names" } else { "entries name" };
                write!(
                    f,
                    "{url} is the same node as {first}, and {} more {entries} a node that came before: \
                     each is taken once",
                    Count(*more)
                )
            }
            Self::RowsUsedAgain { file, rows, sockets } => {
                rows_used_again(f, file, *rows, *sockets)
            }
            Self::GroupedDigits { written, trials } => {
                let one: String = written.chars().filter(char::is_ascii_digit).collect();
                let each = written.replace(',', " --messages ");
                write!(
                    f,
                    "--messages {written} is {trials} trials; one of as many messages is --messages {one} \
                     (without this notice: --messages {each})"
                )
            }
            Self::OneAddress { url, first, addr, by_host, more } => {
                one_address(f, [first, url], addr, *by_host, *more)
            }
            Self::OneOfSeveral { url, addr, of } => write!(
                f,
                "all sockets to {url} go to {addr}, 1 of its {of} addresses: --addresses all \
                 loads them all"
            ),
            Self::FewerCores { asked, taken, correlates } => {
                let why = if *correlates {
                    "this dialect needs a socket to the push node on every core"
                } else {
                    "there are no more sockets"
                };
                write!(f, "--cores: {taken} of {asked} are used, {why}")
            }
            Self::SharedCpus => f.write_str(
                "the embedded cluster shares its CPUs with the workers: latencies include the \
                 wait for a CPU; leave some out of --cores",
            ),
            Self::NodesHere { here, nodes } => {
                let are = if *here == 1 { "node is" } else { "nodes are" };
                write!(
                    f,
                    "{here} of {nodes} {are} on this host and may use the workers' CPUs: workers \
                     sleep until copies come, to take no CPU from them by polling; --wait latency \
                     polls all the same, good where the nodes are kept off those CPUs (taskset)"
                )
            }
            Self::EpollInstead { refusal } => {
                write!(f, "epoll is used, at a higher cost for each copy: {refusal}")
            }
        }
    }
}

fn one_address(
    f: &mut fmt::Formatter<'_>,
    [first, url]: [&str; 2],
    addr: &SocketAddr,
    by_host: bool,
    more: usize,
) -> fmt::Result {
    let why = if by_host {
        "their Host headers differ"
    } else {
        "a balancer may have several behind it; name it once if it has not"
    };
    let more = match more {
        0 => String::new(),
        more => format!(" (so are {more} more)"),
    };
    write!(f, "{first} and {url} are both at {addr}{more}: taken for two nodes, {why}")
}

fn rows_used_again(
    f: &mut fmt::Formatter<'_>,
    file: &str,
    rows: usize,
    sockets: u64,
) -> fmt::Result {
    let (rows, sockets) = (Count(rows as u64), Count(sockets));
    write!(
        f,
        "--data {file} has {rows} rows for {sockets} sockets: they are used again from the first on"
    )
}

#[cfg(test)]
mod tests {
    use crate::notice::*;

    #[test]
    fn every_notice_is_one_line() {
        for notice in [
            Notice::FewerCores { asked: 8, taken: 4, correlates: true },
            Notice::FewerCores { asked: 8, taken: 6, correlates: false },
            Notice::SharedCpus,
            Notice::GroupedDigits { written: "2,500".into(), trials: 2 },
            Notice::SameNode { url: "ws://a/".into(), first: "ws://b/".into(), more: 99_998 },
            Notice::NodesHere { here: 1, nodes: 3 },
            Notice::NodesHere { here: 3, nodes: 3 },
            Notice::EpollInstead { refusal: Refusal::Seccomp },
        ] {
            assert_eq!(notice.to_string().lines().count(), 1, "{notice}");
        }
    }
}
