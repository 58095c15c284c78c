//! The faults that are this node's, with their dice and their log.
//!
//! Belongs here: picking from the cluster's faults, rolling, and filling in the log's lines. Does
//! not: what a fault does to a connection (`client`, `serve`) or to the node (`hub`).

use std::cell::RefCell;
use std::time::Duration;

use crate::cluster::fault_log::{FaultEvent, FaultLog};
use crate::cluster::faults::{BadFrame, Fault, FaultSpec, Probability};

use crate::cluster::node::delivery::{Copy, Envelope, Message};

/// The seed's Ping period.
const PING_PERIOD: Duration = Duration::from_secs(5);

/// The faults of one node. Of two of the same kind the last one counts, but for cuts.
pub(super) struct FaultInjector {
    node: usize,
    log: FaultLog,
    pub(super) dice: Dice,
    /// What ends a connection, and after how many copies.
    pub(super) ends: Vec<(u64, End)>,
    /// Peers that are no longer told, and after how many messages.
    pub(super) cuts: Vec<(usize, u64)>,
    /// The least time from one message to the next.
    pub(super) message_apart: Option<Duration>,
    pub(super) stall: Option<(Duration, u64)>,
    pub(super) exit_after: Option<u64>,
    pub(super) upgrade: Option<Upgrade>,
    pub(super) is_deaf: bool,
    pub(super) split_bytes: Option<usize>,
    pub(super) batch: usize,
    pub(super) ping_period: Duration,
}

/// The faults that are drawn for each copy.
#[derive(Default)]
pub(super) struct Dice {
    pub(super) drop: Option<Die>,
    pub(super) duplicate: Option<Die>,
    pub(super) reorder: Option<Die>,
    pub(super) corrupt: Option<Die>,
    pub(super) delay: Option<(Die, Duration)>,
}

/// What becomes of a connection after some copies.
#[derive(Clone, Copy)]
pub(super) enum End {
    Close(u16),
    Reset,
    BadFrame(BadFrame),
}

/// What becomes of an upgrade.
#[derive(Clone, Copy)]
pub(super) enum Upgrade {
    Refuse(u16),
    BadAccept,
    Mute,
}

/// A fault that strikes by chance, from its own stream of numbers: what one fault draws does not
/// depend on which others there are.
pub(super) struct Die {
    probability: f64,
    random: RefCell<fastrand::Rng>,
}

impl Die {
    /// Whether it strikes now.
    pub(super) fn strikes(&self) -> bool {
        self.random.borrow_mut().f64() < self.probability
    }

    /// Another number of the same stream, below `end`.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.random.borrow_mut().u64(..end)
    }
}

impl FaultInjector {
    pub(super) fn new(node: usize, faults: &[FaultSpec], seed: u64, log: FaultLog) -> Self {
        let mut meddling = Self {
            node,
            log,
            dice: Dice::default(),
            ends: Vec::new(),
            cuts: Vec::new(),
            message_apart: None,
            stall: None,
            exit_after: None,
            upgrade: None,
            is_deaf: false,
            split_bytes: None,
            batch: 1,
            ping_period: PING_PERIOD,
        };
        for spec in faults.iter().filter(|spec| spec.node.is_none_or(|only| only == node)) {
            meddling.take(&spec.fault, seed);
        }
        meddling
    }

    fn take(&mut self, fault: &Fault, seed: u64) {
        let die = |probability: Probability| Die {
            probability: probability.as_f64(),
            random: RefCell::new(stream(seed, self.node, fault.name())),
        };
        match *fault {
            Fault::Drop(p) => self.dice.drop = Some(die(p)),
            Fault::Duplicate(p) => self.dice.duplicate = Some(die(p)),
            Fault::Reorder(p) => self.dice.reorder = Some(die(p)),
            Fault::Corrupt(p) => self.dice.corrupt = Some(die(p)),
            Fault::Delay { probability, by } => {
                self.dice.delay = Some((die(probability), by.into()));
            }
            Fault::Limit { rate } => {
                self.message_apart = Some(Duration::from_secs_f64(1.0 / rate.as_f64()));
            }
            Fault::Stall { lasting, after } => self.stall = Some((lasting.into(), after)),
            Fault::Close { code, after } => self.ends.push((after, End::Close(code))),
            Fault::Reset { after } => self.ends.push((after, End::Reset)),
            Fault::BadFrame { kind, after } => self.ends.push((after, End::BadFrame(kind))),
            Fault::Cut { from, to, after } if from == self.node => self.cuts.push((to, after)),
            Fault::Cut { .. } => {}
            Fault::Refuse { status } => self.upgrade = Some(Upgrade::Refuse(status)),
            Fault::BadAccept => self.upgrade = Some(Upgrade::BadAccept),
            Fault::Mute => self.upgrade = Some(Upgrade::Mute),
            Fault::Deaf => self.is_deaf = true,
            Fault::Split { bytes } => self.split_bytes = Some(bytes),
            Fault::Batch { copies } => self.batch = copies,
            Fault::Exit { after } => self.exit_after = Some(after),
            Fault::Ping { every } => self.ping_period = every.into(),
        }
    }

    /// Whether each copy has to be looked at for each client.
    pub(super) fn meets_copies(&self) -> bool {
        let dice = &self.dice;
        let by_chance = [&dice.drop, &dice.duplicate, &dice.reorder, &dice.corrupt];
        by_chance.iter().any(|die| die.is_some())
            || dice.delay.is_some()
            || !self.ends.is_empty()
            || self.is_deaf
            || self.split_bytes.is_some()
            || self.batch > 1
    }

    pub(super) fn resets(&self) -> bool {
        self.ends.iter().any(|(_, end)| matches!(end, End::Reset))
    }

    /// The copy as the client gets it when corruption strikes, with the line in the log.
    pub(super) fn corrupt(&self, copy: &Copy, to: Party, envelope: &Envelope) -> Option<Copy> {
        let die = self.dice.corrupt.as_ref().filter(|die| die.strikes())?;
        let corrupted = copy.corrupted(envelope, &mut die.random.borrow_mut())?;
        let became = corrupted.message.text().map(str::to_owned);
        self.log("corrupt", to, Some(&copy.message), |event| event.became = became);
        Some(corrupted)
    }

    /// Writes a line about what is going to be done.
    pub(super) fn log(
        &self,
        fault: &str,
        party: Party,
        message: Option<&Message>,
        more: impl FnOnce(&mut FaultEvent),
    ) {
        let (client, port, peer) = match party {
            Party::Client { number, port } => (Some(number), Some(port), None),
            Party::Stranger { port } => (None, Some(port), None),
            Party::Peer(peer) => (None, None, Some(peer)),
            Party::Node => (None, None, None),
        };
        let mut event = FaultEvent {
            node: self.node,
            fault: fault.to_owned(),
            client,
            port,
            peer,
            message_id: message.and_then(Message::id).map(str::to_owned),
            text: message.and_then(Message::text).map(str::to_owned),
            ..FaultEvent::default()
        };
        more(&mut event);
        self.log.write(&event);
    }
}

/// Whom a fault strikes.
#[derive(Clone, Copy)]
pub(super) enum Party {
    Client {
        number: u64,
        port: u16,
    },
    /// Who has not got through the upgrade.
    Stranger {
        port: u16,
    },
    Peer(usize),
    Node,
}

/// Numbers of their own for each node and purpose (FNV-1a of the three).
pub(super) fn stream(seed: u64, node: usize, purpose: &str) -> fastrand::Rng {
    let bytes = seed.to_le_bytes().into_iter().chain((node as u64).to_le_bytes());
    let hash = bytes.chain(purpose.bytes()).fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fastrand::Rng::with_seed(hash)
}
