//! What shall go wrong, as a flag says it and as a node asks.
//!
//! `[NODE:]FAULT`, where NODE is an index from 0 and limits the fault to that node:
//!
//! | fault | what happens |
//! |---|---|
//! | `drop=P` | a copy is not sent |
//! | `duplicate=P` | a copy is sent twice |
//! | `reorder=P` | a copy is held back until the next one of its client has left |
//! | `delay=P:TIME` | a copy leaves later; others overtake it |
//! | `corrupt=P` | one character of a copy's text is another (copies without text are left alone) |
//! | `stall=TIME@K` | after K messages the node neither reads nor writes, once |
//! | `close=CODE@K` | after K copies a client gets a Close frame |
//! | `reset@K` | after K copies a client's connection is reset |
//! | `cut=A-B@K` | after K messages node A's link to node B is dead, for good |
//! | `exit@K` | after K messages the process ends without a word |
//! | `refuse=STATUS` | upgrades are refused |
//! | `bad-accept` | upgrades are answered with a wrong key |
//! | `mute` | connections are accepted, and nothing is ever said |
//! | `deaf` | pushes are taken, and nothing is sent |
//! | `split=BYTES` | copies are fragmented |
//! | `batch=N` | up to N copies share a message (a relay leaves them alone) |
//! | `ping=TIME` | Pings come so often instead of every 5 s |
//! | `bad-frame=KIND@K` | after K copies an invalid frame: masked, rsv, opcode, utf8, oversize, fragment |
//!
//! P is a probability for each copy: `0.001` or `0.1%`. Probe messages are messages, too.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::units::Nanos;

/// One fault of a flag.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    text: String,
    pub(super) node: Option<usize>,
    pub(super) kind: Kind,
}

/// A fault that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--fault {text}: {problem}; faults are drop=P duplicate=P reorder=P delay=P:TIME corrupt=P \
         stall=TIME@K close=CODE@K reset@K cut=A-B@K exit@K refuse=STATUS bad-accept mute deaf \
         split=BYTES batch=N ping=TIME bad-frame=KIND@K, each with NODE: before it to limit it to one \
         node"
)]
pub struct FaultError {
    text: String,
    problem: String,
}

/// An invalid frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadFrame {
    Masked,
    Reserved,
    Opcode,
    Utf8,
    Oversize,
    Fragment,
}

impl BadFrame {
    /// Its bytes (RFC 6455, section 5.2).
    pub(super) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Masked => &[0x81, 0x81, 1, 2, 3, 4, 5],
            Self::Reserved => &[0xc1, 0],
            Self::Opcode => &[0x83, 0],
            Self::Utf8 => &[0x81, 2, 0xc3, 0x28],
            Self::Oversize => &[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0],
            Self::Fragment => &[0x80, 1, b'x'],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Drop(f64),
    Duplicate(f64),
    Reorder(f64),
    Delay(f64, Duration),
    Corrupt(f64),
    Stall { time: Duration, after: u64 },
    Close { code: u16, after: u64 },
    Reset { after: u64 },
    Cut { from: usize, to: usize, after: u64 },
    Exit { after: u64 },
    Refuse(u16),
    BadAccept,
    Mute,
    Deaf,
    Split(usize),
    Batch(usize),
    Ping(Duration),
    BadFrame { kind: BadFrame, after: u64 },
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for FaultSpec {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let failed = |problem: String| FaultError { text: text.into(), problem };
        let (node, fault) = match text.split_once(':') {
            Some((node, fault)) if node.bytes().all(|b| b.is_ascii_digit()) => {
                let node = node.parse().map_err(|_| failed("the node is no index".into()))?;
                (Some(node), fault)
            }
            _ => (None, text),
        };
        let kind = Kind::parse(fault).map_err(failed)?;
        Ok(Self { text: text.into(), node, kind })
    }
}

impl Kind {
    fn parse(fault: &str) -> Result<Self, String> {
        let (head, after) = match fault.split_once('@') {
            Some((head, after)) => (head, Some(after)),
            None => (fault, None),
        };
        let (name, value) = match head.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (head, None),
        };
        let mut words = Words { name, value, after };
        let kind = words.kind()?;
        words.used_up()?;
        Ok(kind)
    }
}

/// The parts of a specification that were not read yet.
struct Words<'a> {
    name: &'a str,
    value: Option<&'a str>,
    after: Option<&'a str>,
}

impl Words<'_> {
    fn kind(&mut self) -> Result<Kind, String> {
        Ok(match self.name {
            "drop" => Kind::Drop(self.probability()?),
            "duplicate" => Kind::Duplicate(self.probability()?),
            "reorder" => Kind::Reorder(self.probability()?),
            "corrupt" => Kind::Corrupt(self.probability()?),
            "delay" => self.delay()?,
            "stall" => Kind::Stall { time: self.time()?, after: self.after()? },
            "close" => Kind::Close { code: self.number()?, after: self.after()? },
            "reset" => Kind::Reset { after: self.after()? },
            "cut" => self.cut()?,
            "exit" => Kind::Exit { after: self.after()? },
            "refuse" => Kind::Refuse(self.number()?),
            "bad-accept" => Kind::BadAccept,
            "mute" => Kind::Mute,
            "deaf" => Kind::Deaf,
            "split" => Kind::Split(self.positive()?),
            "batch" => Kind::Batch(self.positive()?),
            "ping" => Kind::Ping(self.time()?),
            "bad-frame" => Kind::BadFrame { kind: self.bad_frame()?, after: self.after()? },
            other => return Err(format!("there is no fault {other:?}")),
        })
    }

    fn value(&mut self) -> Result<&str, String> {
        self.value.take().ok_or_else(|| format!("{} needs a value: {}=…", self.name, self.name))
    }

    fn number<T: FromStr>(&mut self) -> Result<T, String> {
        let value = self.value()?;
        value.parse().map_err(|_| format!("{value:?} is not a number that fits here"))
    }

    fn positive(&mut self) -> Result<usize, String> {
        match self.number()? {
            0 => Err(format!("{} needs a value above 0", self.name)),
            number => Ok(number),
        }
    }

    fn after(&mut self) -> Result<u64, String> {
        let text = self.after.take();
        let text = text.ok_or_else(|| format!("{} needs a count: @K", self.name))?;
        text.parse().map_err(|_| format!("@{text} is not a count"))
    }

    fn probability(&mut self) -> Result<f64, String> {
        probability(self.value()?)
    }

    fn time(&mut self) -> Result<Duration, String> {
        time(self.value()?)
    }

    fn delay(&mut self) -> Result<Kind, String> {
        let value = self.value()?;
        let (chance, late) = value.split_once(':').ok_or("delay needs P:TIME, as in 0.01:50ms")?;
        Ok(Kind::Delay(probability(chance)?, time(late)?))
    }

    fn cut(&mut self) -> Result<Kind, String> {
        let value = self.value()?;
        let ends =
            value.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (from, to) = ends.ok_or_else(|| format!("cut needs two nodes: 0-2, not {value:?}"))?;
        Ok(Kind::Cut { from, to, after: self.after()? })
    }

    fn bad_frame(&mut self) -> Result<BadFrame, String> {
        Ok(match self.value()? {
            "masked" => BadFrame::Masked,
            "rsv" => BadFrame::Reserved,
            "opcode" => BadFrame::Opcode,
            "utf8" => BadFrame::Utf8,
            "oversize" => BadFrame::Oversize,
            "fragment" => BadFrame::Fragment,
            other => return Err(format!("there is no bad frame {other:?}")),
        })
    }

    fn used_up(&self) -> Result<(), String> {
        match (self.value, self.after) {
            (None, None) => Ok(()),
            (Some(value), _) => Err(format!("{} takes no value {value:?}", self.name)),
            (_, Some(after)) => Err(format!("{} takes no count @{after}", self.name)),
        }
    }
}

fn probability(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    let value = number.trim().parse::<f64>().ok().map(|value| value * scale);
    value
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| format!("{text:?} is no probability: write 0.001 or 0.1%"))
}

fn time(text: &str) -> Result<Duration, String> {
    let nanos = text.parse::<Nanos>().map_err(|error| error.to_string())?;
    Ok(Duration::from_nanos(nanos.0))
}

/// The faults of one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<Kind>);

impl Faults {
    /// Those that concern node `index`.
    pub(super) fn of(specs: &[FaultSpec], index: usize) -> Self {
        let here = |spec: &&FaultSpec| spec.node.is_none_or(|node| node == index);
        Self(specs.iter().filter(here).map(|spec| spec.kind).collect())
    }

    /// The value that `choose` finds first.
    pub(super) fn find<T>(&self, choose: impl Fn(Kind) -> Option<T>) -> Option<T> {
        self.0.iter().copied().find_map(choose)
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    /// Whether single copies are treated one by one.
    pub(super) fn touch_copies(&self) -> bool {
        self.0.iter().any(|kind| {
            !matches!(
                kind,
                Kind::Stall { .. }
                    | Kind::Cut { .. }
                    | Kind::Exit { .. }
                    | Kind::Refuse(_)
                    | Kind::BadAccept
                    | Kind::Mute
                    | Kind::Ping(_)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        let ms = Duration::from_millis;
        let cases = [
            ("drop=0.1%", None, Kind::Drop(0.001)),
            ("2:duplicate=0.5", Some(2), Kind::Duplicate(0.5)),
            ("reorder=1", None, Kind::Reorder(1.0)),
            ("1:delay=0.01:50ms", Some(1), Kind::Delay(0.01, ms(50))),
            ("corrupt=0", None, Kind::Corrupt(0.0)),
            ("stall=400ms@1000", None, Kind::Stall { time: ms(400), after: 1000 }),
            ("close=1001@5", None, Kind::Close { code: 1001, after: 5 }),
            ("reset@7", None, Kind::Reset { after: 7 }),
            ("cut=0-2@100", None, Kind::Cut { from: 0, to: 2, after: 100 }),
            ("exit@9", None, Kind::Exit { after: 9 }),
            ("refuse=404", None, Kind::Refuse(404)),
            ("bad-accept", None, Kind::BadAccept),
            ("mute", None, Kind::Mute),
            ("0:deaf", Some(0), Kind::Deaf),
            ("split=10", None, Kind::Split(10)),
            ("batch=8", None, Kind::Batch(8)),
            ("ping=100ms", None, Kind::Ping(ms(100))),
            ("bad-frame=rsv@3", None, Kind::BadFrame { kind: BadFrame::Reserved, after: 3 }),
        ];
        for (text, node, kind) in cases {
            let spec: FaultSpec = text.parse().unwrap();
            assert_eq!((spec.node, spec.kind), (node, kind), "{text}");
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn every_mistake_names_itself_and_the_list() {
        for (text, part) in [
            ("explode", "no fault \"explode\""),
            ("drop", "drop=…"),
            ("drop=2", "no probability"),
            ("drop=0.1@5", "no count"),
            ("mute=1", "no value"),
            ("stall=5ms", "@K"),
            ("stall=soon@5", "soon"),
            ("cut=0@5", "two nodes"),
            ("split=0", "above 0"),
            ("bad-frame=odd@1", "odd"),
            ("close=99999@1", "99999"),
        ] {
            let error = text.parse::<FaultSpec>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("faults are"), "{text}: {error}");
        }
    }
}
