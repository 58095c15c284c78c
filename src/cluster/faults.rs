//! What a user may ask the cluster to do wrong, and how it is written.
//!
//! Belongs here: the grammar of a fault, its parsing and printing, and the table of all of them.
//! Does not: doing it (`node`), nor the account of what was done (`fault_log`).
//!
//! A fault is written `[NODE:]NAME[=VALUE][@K]`; `NODE:` (counted from 0) limits it to one node.
//! *P* is a probability (`0.001` or `0.1%`), *K* a count, *DUR* a duration with its unit. Copies
//! are counted on each connection, messages on each node: those its clients pushed and those it
//! heard of from other nodes. Probabilities are drawn from the seed, for each fault of each node
//! apart, in the order in which the node handles the copies. No message is exempt: a client that
//! probes before its run may lose the probe.
//!
//! | fault | what the node does |
//! |---|---|
//! | `drop=P` | withholds a copy from one client |
//! | `duplicate=P` | sends a copy twice |
//! | `reorder=P` | holds a copy back until 1 to 3 later ones of the same client have passed it |
//! | `delay=P:DUR` | sends a copy later; those behind it pass |
//! | `corrupt=P` | replaces one character of a copy's text; copies by id alone are left as they are |
//! | `limit=R` | handles at most R messages a second; others wait, and those who send them |
//! | `stall=DUR@K` | after K messages reads and writes nothing for DUR, once |
//! | `close=CODE@K` | sends Close CODE on each client connection after K copies |
//! | `reset@K` | drops each client connection without Close after K copies |
//! | `cut=A-B@K` | after K messages node A never again tells node B of a message |
//! | `refuse=STATUS` | answers every upgrade with that HTTP status |
//! | `bad-accept` | answers every upgrade with a wrong `Sec-WebSocket-Accept` |
//! | `mute` | accepts the connection and never answers the upgrade |
//! | `deaf` | takes pushes and tells the other nodes, but sends its own clients nothing |
//! | `split=N` | cuts each copy into frames of at most N bytes |
//! | `batch=N` | puts up to N copies into one payload array; a relay has no arrays and ignores it |
//! | `exit@K` | the process ends after K messages, without a Close, losing what it had not sent |
//! | `ping=DUR` | sends its Pings every DUR instead of every 5 s |
//! | `bad-frame=KIND@K` | after K copies sends an invalid frame and no more copies on each connection; KIND is `masked`, `rsv`, `opcode`, `utf8`, `oversize` or `fragment` |

use std::fmt;
use std::str::FromStr;

use crate::units::{Nanos, Rate};

/// One fault, of one node or of all.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    /// The node that it is limited to, counted from 0.
    pub node: Option<usize>,
    /// What is done.
    pub fault: Fault,
}

/// What a node does wrong; the module's table has the words.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Withhold copies.
    Drop(Probability),
    /// Send copies twice.
    Duplicate(Probability),
    /// Let later copies pass.
    Reorder(Probability),
    /// Send copies later.
    Delay {
        /// Of each copy.
        probability: Probability,
        /// How much later.
        by: Nanos,
    },
    /// Replace one character of a copy's text.
    Corrupt(Probability),
    /// Handle no more messages in a second.
    Limit {
        /// So many.
        rate: Rate,
    },
    /// Do nothing at all for a while, once.
    Stall {
        /// How long.
        lasting: Nanos,
        /// Messages handled before.
        after: u64,
    },
    /// Send a Close frame.
    Close {
        /// 1000 to 4999.
        code: u16,
        /// Copies on the connection before.
        after: u64,
    },
    /// Drop connections without a Close frame.
    Reset {
        /// Copies on the connection before.
        after: u64,
    },
    /// A mesh link is dead for good, in one direction.
    Cut {
        /// The node that no longer tells.
        from: usize,
        /// The node that no longer hears.
        to: usize,
        /// Messages handled by `from` before.
        after: u64,
    },
    /// Refuse the upgrade.
    Refuse {
        /// HTTP status, 300 to 599.
        status: u16,
    },
    /// Answer the upgrade with a wrong accept key.
    BadAccept,
    /// Never answer the upgrade.
    Mute,
    /// Never send anything after the upgrade.
    Deaf,
    /// Fragment copies.
    Split {
        /// Most payload bytes of a frame.
        bytes: usize,
    },
    /// Coalesce copies.
    Batch {
        /// Most copies of a frame.
        copies: usize,
    },
    /// End the process.
    Exit {
        /// Messages handled before.
        after: u64,
    },
    /// Another period of the server's Pings.
    Ping {
        /// From one to the next.
        every: Nanos,
    },
    /// Send an invalid frame.
    BadFrame {
        /// In what way it is invalid.
        kind: BadFrame,
        /// Copies on the connection before.
        after: u64,
    },
}

/// How likely, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probability(f64);

impl Probability {
    /// As a fraction of 1.
    pub fn as_f64(self) -> f64 {
        self.0
    }
}

/// Ways in which a frame can break RFC 6455.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// A masked frame from a server (section 5.1).
    Masked,
    /// A reserved bit without an extension (section 5.2).
    Rsv,
    /// A reserved opcode (section 5.2).
    Opcode,
    /// A text message that is not UTF-8 (section 8.1).
    Utf8,
    /// A header that announces 1 TiB; nothing of it follows.
    Oversize,
    /// A continuation of nothing (section 5.4).
    Fragment,
}

const BAD_FRAMES: [(&str, BadFrame); 6] = [
    ("masked", BadFrame::Masked),
    ("rsv", BadFrame::Rsv),
    ("opcode", BadFrame::Opcode),
    ("utf8", BadFrame::Utf8),
    ("oversize", BadFrame::Oversize),
    ("fragment", BadFrame::Fragment),
];

/// Every fault as it is written, and in a few words what it does: the text of `--help` and errors.
pub const FAULTS: [(&str, &str); 19] = [
    ("drop=P", "withhold a copy from a client"),
    ("duplicate=P", "send a copy twice"),
    ("reorder=P", "let 1 to 3 later copies pass"),
    ("delay=P:DUR", "send a copy later"),
    ("corrupt=P", "replace one character of a copy's text"),
    ("limit=R", "handle at most R messages a second; others wait"),
    ("stall=DUR@K", "read and write nothing for a while, once"),
    ("close=CODE@K", "close each client connection"),
    ("reset@K", "drop each client connection without Close"),
    ("cut=A-B@K", "node A never again tells node B"),
    ("refuse=STATUS", "refuse upgrades with an HTTP status"),
    ("bad-accept", "answer upgrades with a wrong key"),
    ("mute", "never answer upgrades"),
    ("deaf", "take pushes, send clients nothing"),
    ("split=N", "cut copies into frames of at most N bytes"),
    ("batch=N", "put up to N copies into one frame"),
    ("exit@K", "end the process uncleanly"),
    ("ping=DUR", "another period of the Pings than 5 s"),
    ("bad-frame=KIND@K", "send an invalid frame (masked, rsv, opcode, utf8, oversize, fragment)"),
];

/// Why a text is not a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("fault `{spec}`: `{name}` is none; there are {}", every_form())]
    Unknown {
        /// As written.
        spec: String,
        /// The name in it.
        name: String,
    },
    /// The name is right, what follows is not.
    #[error("fault `{spec}`: `{token}` {wrong}; it is written {form}")]
    Malformed {
        /// As written.
        spec: String,
        /// The part that does not fit.
        token: String,
        /// What is wrong with it.
        wrong: String,
        /// The fault's form.
        form: &'static str,
    },
}

fn every_form() -> String {
    FAULTS.map(|(form, _)| form).join(", ")
}

/// A fault's text taken apart, and the form that its errors quote.
struct Parts<'a> {
    spec: &'a str,
    form: &'static str,
    node: Option<&'a str>,
    name: &'a str,
    value: Option<&'a str>,
    after: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(spec: &'a str) -> Result<Self, FaultError> {
        let (head, after) = split_last(spec, '@');
        let (head, value) = match head.split_once('=') {
            Some((head, value)) => (head, Some(value)),
            None => (head, None),
        };
        let (node, name) = match head.split_once(':') {
            Some((node, name)) => (Some(node), name),
            None => (None, head),
        };
        let form = form_of(name)
            .ok_or_else(|| FaultError::Unknown { spec: spec.to_owned(), name: name.to_owned() })?;
        let parts = Self { spec, form, node, name, value, after };
        parts.fits_its_form()?;
        Ok(parts)
    }

    /// A value or a count that the form has not, or lacks.
    fn fits_its_form(&self) -> Result<(), FaultError> {
        let lacks = |what: &str| self.wrong(self.name, what);
        match (self.value, self.form.contains('=')) {
            (None, true) => return Err(lacks("needs a value")),
            (Some(value), false) => return Err(self.wrong(value, "is a value where none is taken")),
            _ => {}
        }
        match (self.after, self.form.contains('@')) {
            (None, true) => Err(lacks("needs @K, after how many it happens")),
            (Some(after), false) => Err(self.wrong(after, "is a count where none is taken")),
            _ => Ok(()),
        }
    }

    fn wrong(&self, token: &str, wrong: impl fmt::Display) -> FaultError {
        FaultError::Malformed {
            spec: self.spec.to_owned(),
            token: token.to_owned(),
            wrong: wrong.to_string(),
            form: self.form,
        }
    }

    fn value(&self) -> &'a str {
        self.value.unwrap_or_default()
    }

    fn after(&self) -> Result<u64, FaultError> {
        self.number(self.after.unwrap_or_default(), 0, u64::MAX)
    }

    fn number<T>(&self, token: &str, least: T, most: T) -> Result<T, FaultError>
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        token.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| {
            self.wrong(token, format_args!("is not a number from {least} to {most}"))
        })
    }

    fn probability(&self, token: &str) -> Result<Probability, FaultError> {
        let (figure, scale) = match token.strip_suffix('%') {
            Some(figure) => (figure, 100.0),
            None => (token, 1.0),
        };
        figure
            .parse::<f64>()
            .map(|figure| figure / scale)
            .ok()
            .filter(|p| (0.0..=1.0).contains(p))
            .map(Probability)
            .ok_or_else(|| self.wrong(token, "is not a probability such as 0.001 or 0.1%"))
    }

    fn duration(&self, token: &str) -> Result<Nanos, FaultError> {
        token.parse().map_err(|e| self.wrong(token, e)).and_then(|duration| match duration {
            Nanos::ZERO => Err(self.wrong(token, "is no time at all")),
            some => Ok(some),
        })
    }

    fn rate(&self, token: &str) -> Result<Rate, FaultError> {
        let rate: Rate = token.parse().map_err(|e| self.wrong(token, e))?;
        let some = (rate.micro_per_s > 0).then_some(rate);
        some.ok_or_else(|| self.wrong(token, "would handle nothing"))
    }

    /// `left`, the separator, `right`: both there.
    fn pair(&self, separator: char) -> Result<(&'a str, &'a str), FaultError> {
        let missing = || self.wrong(self.value(), format_args!("lacks its `{separator}`"));
        self.value().split_once(separator).ok_or_else(missing)
    }

    fn node(&self) -> Result<Option<usize>, FaultError> {
        self.node.map(|node| self.number(node, 0, usize::MAX)).transpose()
    }
}

fn split_last(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.rsplit_once(separator) {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    }
}

fn form_of(name: &str) -> Option<&'static str> {
    let named = |form: &str| form.split(['=', '@']).next() == Some(name);
    FAULTS.iter().map(|(form, _)| *form).find(|form| named(form))
}

impl FromStr for FaultSpec {
    type Err = FaultError;

    fn from_str(spec: &str) -> Result<Self, FaultError> {
        let parts = Parts::of(spec.trim())?;
        let node = parts.node()?;
        let fault = fault_of(&parts)?;
        match (&fault, parts.node) {
            (Fault::Cut { .. }, Some(node)) => {
                Err(parts.wrong(node, "is a node too many: A and B are named by the value"))
            }
            _ => Ok(Self { node, fault }),
        }
    }
}

fn fault_of(parts: &Parts<'_>) -> Result<Fault, FaultError> {
    let value = parts.value();
    Ok(match parts.name {
        "drop" => Fault::Drop(parts.probability(value)?),
        "duplicate" => Fault::Duplicate(parts.probability(value)?),
        "reorder" => Fault::Reorder(parts.probability(value)?),
        "delay" => {
            let (probability, by) = parts.pair(':')?;
            Fault::Delay { probability: parts.probability(probability)?, by: parts.duration(by)? }
        }
        "corrupt" => Fault::Corrupt(parts.probability(value)?),
        "limit" => Fault::Limit { rate: parts.rate(value)? },
        "stall" => Fault::Stall { lasting: parts.duration(value)?, after: parts.after()? },
        "close" => Fault::Close { code: parts.number(value, 1000, 4999)?, after: parts.after()? },
        "reset" => Fault::Reset { after: parts.after()? },
        "cut" => cut_of(parts)?,
        "refuse" => Fault::Refuse { status: parts.number(value, 300, 599)? },
        "bad-accept" => Fault::BadAccept,
        "mute" => Fault::Mute,
        "deaf" => Fault::Deaf,
        "split" => Fault::Split { bytes: parts.number(value, 1, usize::MAX)? },
        "batch" => Fault::Batch { copies: parts.number(value, 1, usize::MAX)? },
        "exit" => Fault::Exit { after: parts.after()? },
        "ping" => Fault::Ping { every: parts.duration(value)? },
        _ => Fault::BadFrame { kind: bad_frame_of(parts)?, after: parts.after()? },
    })
}

fn cut_of(parts: &Parts<'_>) -> Result<Fault, FaultError> {
    let (from, to) = parts.pair('-')?;
    let (from, to) = (parts.number(from, 0, usize::MAX)?, parts.number(to, 0, usize::MAX)?);
    if from == to {
        return Err(parts.wrong(parts.value(), "is a node and itself"));
    }
    Ok(Fault::Cut { from, to, after: parts.after()? })
}

fn bad_frame_of(parts: &Parts<'_>) -> Result<BadFrame, FaultError> {
    let kinds = BAD_FRAMES.map(|(name, _)| name).join(", ");
    BAD_FRAMES
        .iter()
        .find(|(name, _)| *name == parts.value())
        .map(|(_, kind)| *kind)
        .ok_or_else(|| parts.wrong(parts.value(), format_args!("is not one of {kinds}")))
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = self.node {
            write!(f, "{node}:")?;
        }
        self.fault.fmt(f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Drop(p) | Self::Duplicate(p) | Self::Reorder(p) | Self::Corrupt(p) => {
                write!(f, "{name}={}", p.0)
            }
            Self::Delay { probability, by } => {
                write!(f, "{name}={}:{}", probability.0, Exact(*by))
            }
            Self::Limit { rate } => write!(f, "{name}={}", rate.as_f64()),
            Self::Stall { lasting, after } => write!(f, "{name}={}@{after}", Exact(*lasting)),
            Self::Close { code, after } => write!(f, "{name}={code}@{after}"),
            Self::Reset { after } | Self::Exit { after } => write!(f, "{name}@{after}"),
            Self::Cut { from, to, after } => write!(f, "{name}={from}-{to}@{after}"),
            Self::Refuse { status } => write!(f, "{name}={status}"),
            Self::BadAccept | Self::Mute | Self::Deaf => f.write_str(name),
            Self::Split { bytes: most } | Self::Batch { copies: most } => {
                write!(f, "{name}={most}")
            }
            Self::Ping { every } => write!(f, "{name}={}", Exact(*every)),
            Self::BadFrame { kind, after } => write!(f, "{name}={}@{after}", kind.name()),
        }
    }
}

impl Fault {
    /// Its name: what stands before `=` and `@`, and in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drop(_) => "drop",
            Self::Duplicate(_) => "duplicate",
            Self::Reorder(_) => "reorder",
            Self::Delay { .. } => "delay",
            Self::Corrupt(_) => "corrupt",
            Self::Limit { .. } => "limit",
            Self::Stall { .. } => "stall",
            Self::Close { .. } => "close",
            Self::Reset { .. } => "reset",
            Self::Cut { .. } => "cut",
            Self::Refuse { .. } => "refuse",
            Self::BadAccept => "bad-accept",
            Self::Mute => "mute",
            Self::Deaf => "deaf",
            Self::Split { .. } => "split",
            Self::Batch { .. } => "batch",
            Self::Exit { .. } => "exit",
            Self::Ping { .. } => "ping",
            Self::BadFrame { .. } => "bad-frame",
        }
    }
}

impl BadFrame {
    /// As it is written.
    pub fn name(self) -> &'static str {
        let found = BAD_FRAMES.iter().find(|(_, kind)| *kind == self);
        found.expect("the table has every kind").0
    }
}

/// A duration in the largest unit that loses nothing: what is printed is read back as the same.
struct Exact(Nanos);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.0;
        let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
        let (size, unit) =
            units.into_iter().find(|(size, _)| ns.is_multiple_of(*size)).expect("1 divides all");
        write!(f, "{}{unit}", ns / size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(spec: &str) -> String {
        spec.parse::<FaultSpec>().expect_err(spec).to_string()
    }

    #[test]
    fn every_form_of_the_table_is_understood_when_its_letters_are_filled_in() {
        for (form, _) in FAULTS {
            let filled = form
                .replace("=P", "=0.1%")
                .replace("DUR", "250ms")
                .replace("CODE", "4001")
                .replace("STATUS", "503")
                .replace("KIND", "rsv")
                .replace("A-B", "0-2")
                .replace("=N", "=7")
                .replace("=R", "=10k")
                .replace("@K", "@100");
            let spec: FaultSpec = filled.parse().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(Some(spec.fault.name()), form.split(['=', '@']).next());
        }
    }

    #[test]
    fn a_percentage_is_a_hundredth() {
        let spec: FaultSpec = "drop=0.1%".parse().expect("a fault");
        assert_eq!(spec, "drop=0.001".parse().expect("a fault"));
        assert_eq!(spec.to_string(), "drop=0.001");
    }

    #[test]
    fn an_unknown_fault_is_named_and_the_known_ones_are_listed() {
        let error = error("1:dorp=0.1");
        assert!(error.contains("`dorp`"), "{error}");
        assert!(FAULTS.iter().all(|(form, _)| error.contains(form)), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_named_with_the_form_that_does() {
        let wrong = [
            ("drop", "drop", "drop=P"),
            ("drop=1.5", "1.5", "drop=P"),
            ("drop=NaN", "NaN", "drop=P"),
            ("mute=1", "1", "mute"),
            ("mute@1", "1", "mute"),
            ("reset", "reset", "reset@K"),
            ("reset@many", "many", "reset@K"),
            ("close=999@1", "999", "close=CODE@K"),
            ("delay=0.5", "0.5", "delay=P:DUR"),
            ("delay=0.5:10", "10", "delay=P:DUR"),
            ("limit=0", "0", "limit=R"),
            ("limit=fast", "fast", "limit=R"),
            ("stall=0s@1", "0s", "stall=DUR@K"),
            ("cut=1-1@0", "1-1", "cut=A-B@K"),
            ("0:cut=1-2@0", "0", "cut=A-B@K"),
            ("split=0", "0", "split=N"),
            ("bad-frame=odd@1", "odd", "bad-frame=KIND@K"),
            ("x:mute", "x", "mute"),
        ];
        for (spec, token, form) in wrong {
            let error = error(spec);
            assert!(error.contains(&format!("`{token}`")), "{error}");
            assert!(error.ends_with(form), "{error}");
        }
    }

    fn faults() -> impl Strategy<Value = Fault> {
        let p = || (0.0..=1.0f64).prop_map(Probability);
        let time = || (1..=u64::MAX).prop_map(Nanos);
        let kinds = prop::sample::select(BAD_FRAMES.map(|(_, kind)| kind).to_vec());
        prop_oneof![
            p().prop_map(Fault::Drop),
            p().prop_map(Fault::Corrupt),
            (p(), time()).prop_map(|(probability, by)| Fault::Delay { probability, by }),
            (1..1_u64 << 50).prop_map(|micro_per_s| Fault::Limit { rate: Rate { micro_per_s } }),
            (time(), any::<u64>()).prop_map(|(lasting, after)| Fault::Stall { lasting, after }),
            (1000..=4999u16, any::<u64>()).prop_map(|(code, after)| Fault::Close { code, after }),
            (0..9usize, 9..20usize, any::<u64>()).prop_map(|(from, to, after)| Fault::Cut {
                from,
                to,
                after
            }),
            (1..usize::MAX).prop_map(|bytes| Fault::Split { bytes }),
            time().prop_map(|every| Fault::Ping { every }),
            (kinds, any::<u64>()).prop_map(|(kind, after)| Fault::BadFrame { kind, after }),
            Just(Fault::Deaf),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back_as_the_same(fault in faults(), node in any::<Option<usize>>()) {
            let node = node.filter(|_| !matches!(fault, Fault::Cut { .. }));
            let spec = FaultSpec { node, fault };
            prop_assert_eq!(spec.to_string().parse::<FaultSpec>(), Ok(spec));
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in "[a-z0-9:=@%.-]{0,24}") {
            let _ = text.parse::<FaultSpec>();
        }
    }
}
