//! Tables of the guide in `tuning/`, made from the rules, so that guide and audit are one thing.
//!
//! Belongs here: Markdown. Does not: the pages' prose, which is written by hand around these.

use crate::audit::rules::{Group, RULES, Rule};
use crate::host::socket_cost;
use crate::units::{Bytes, Count};

/// A block that a page may ask for: `<!-- fanstorm: NAME -->` up to `<!-- end -->`.
pub fn block(name: &str) -> Option<String> {
    if name == "million" {
        return Some(million());
    }
    if name == "costs" {
        return Some(costs());
    }
    let group = Group::ALL.into_iter().find(|group| group.name() == name)?;
    Some(table(group))
}

/// Every name that [`block`] knows.
pub fn names() -> Vec<&'static str> {
    let groups = Group::ALL.map(Group::name);
    groups.into_iter().chain(["million", "costs"]).collect()
}

fn table(group: Group) -> String {
    let mut text = String::from("| knob | wants | why | at worst |\n|---|---|---|---|\n");
    for rule in RULES.iter().filter(|rule| rule.group == group) {
        text += &row(rule);
    }
    text
}

fn row(rule: &Rule) -> String {
    let worst = match (rule.worst.word(), rule.figures) {
        ("warn", true) => "warn, degrades the verdict",
        (word, _) => word,
    };
    format!("| `{}` | {} | {} | {worst} |\n", rule.knob, rule.wants, rule.why)
}

/// One way to bring a million connections about.
struct Million {
    hosts: u64,
    nodes: u64,
}

const MILLION: u64 = 1_000_000;
/// One message that nobody reads at once, and one more.
const UNREAD: u64 = 2;

fn million() -> String {
    let ways = [
        Million { hosts: 1, nodes: 1 },
        Million { hosts: 1, nodes: 10 },
        Million { hosts: 10, nodes: 1 },
        Million { hosts: 10, nodes: 10 },
    ];
    type UntrustedText = (&'static str, fn(&Million) -> String);
    let lines: [UntrustedText; 10] = [
        ("sockets of one host", |way| Count(way.sockets()).to_string()),
        ("of these to one node", |way| Count(way.to_node()).to_string()),
        ("source addresses, default range", |way| way.sources(socket_cost::PORTS_DEFAULT)),
        ("source addresses, 1024 to 65535", |way| way.sources(socket_cost::PORTS_WIDE)),
        ("the same at half of the range", |way| way.sources(socket_cost::PORTS_WIDE / 2)),
        ("descriptors", |way| Count(way.sockets() + 64).to_string()),
        ("fs.nr_open of 1 048 576 is enough", |way| {
            if way.sockets() + 64 <= 1 << 20 { "yes" } else { "no" }.to_owned()
        }),
        ("kernel memory of the sockets", |way| {
            socket_cost::kernel_sockets(way.sockets()).to_string()
        }),
        ("two small messages unread by all", |way| {
            Bytes(way.sockets() * UNREAD * socket_cost::queued(128).0).to_string()
        }),
        ("connection tracking, if it is on", |way| {
            let each = socket_cost::CONNTRACK_ENTRY.0 + socket_cost::CONNTRACK_BUCKET.0;
            Bytes(way.sockets() * each).to_string()
        }),
    ];
    let heads: Vec<_> = ways.iter().map(Million::name).collect();
    let mut text = format!("| | {} |\n|---|{}\n", heads.join(" | "), "---:|".repeat(ways.len()));
    for (name, of) in lines {
        let cells: Vec<_> = ways.iter().map(of).collect();
        text += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    text
}

impl Million {
    fn name(&self) -> String {
        let plural = |n| if n == 1 { "" } else { "s" };
        format!(
            "{} host{}, {} node{}",
            self.hosts,
            plural(self.hosts),
            self.nodes,
            plural(self.nodes)
        )
    }

    const fn sockets(&self) -> u64 {
        MILLION / self.hosts
    }

    const fn to_node(&self) -> u64 {
        self.sockets() / self.nodes
    }

    fn sources(&self, ports: u64) -> String {
        Count(self.to_node().div_ceil(ports)).to_string()
    }
}

fn costs() -> String {
    let rows = [
        (
            "an idle TCP socket in the kernel",
            socket_cost::KERNEL_SOCKET.0,
            "/proc/slabinfo, Linux 6.18",
        ),
        (
            "a small packet in a queue",
            socket_cost::QUEUED_PACKET_MIN.0,
            "`skb->truesize`, at least",
        ),
        ("a tracked connection", socket_cost::CONNTRACK_ENTRY.0, "/proc/slabinfo"),
        ("its place in the hash table", socket_cost::CONNTRACK_BUCKET.0, "a pointer"),
        ("headers of a packet on Ethernet", socket_cost::WIRE_OVERHEAD.0, "38 + IPv4 20 + TCP 32"),
    ];
    let mut text = String::from("| what | bytes | from |\n|---|---:|---|\n");
    for (what, bytes, from) in rows {
        text += &format!("| {what} | {} | {from} |\n", Count(bytes));
    }
    text
}
