//! Where a node's messages come together: ids, fan-out, the mesh, faults that count messages.
//!
//! Belongs here: who gets what. Does not: reading sockets (`serve`), writing them (`outbox`).
//!
//! A *turn* is all that one read brought. Its copies are laid one behind the other in one buffer
//! that every client's outbox shares, so that a message costs one serialization, and a client one
//! write for each turn; only where faults meet copies is each client's copy looked at alone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::process::exit;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tungstenite::Message as Received;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::chat::{self, Request};
use super::client::{Client, Liveness, Means};
use super::frame;
use super::outbox::{Congestion, Finish, Outbox};
use crate::cluster::audience::Audience;
use crate::cluster::node::delivery::{Copy, Envelope, Message};
use crate::cluster::node::fault_injector::{FaultInjector, Party, stream};

/// The seed's first node has 1001.
const FIRST_NODE_ID: u64 = 1001;

/// Exit code of the fault `exit`.
const UNCLEAN_EXIT: i32 = 70;

/// A sleep of less would be longer than asked for; messages are let through until so much is owed.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// One in so many messages is followed by one of the node's own, which takes an id and reaches no
/// client: ids have gaps.
const OWN_MESSAGE_EVERY: u64 = 16;

/// The state of a node.
pub(super) struct Hub {
    node_id: u64,
    /// `None` in a relay.
    chat: Option<RefCell<chat::Reader>>,
    /// Of a relay.
    audience: Audience,
    pub(super) means: Means,
    meets_copies: bool,
    clients: RefCell<BTreeMap<u64, Rc<Client>>>,
    links: RefCell<Vec<Link>>,
    last_client: Cell<u64>,
    handled: Cell<u64>,
    /// When the next message may be handled, where there is a limit.
    free_at: Cell<Option<Instant>>,
    ids: RefCell<(u64, fastrand::Rng)>,
    turn: RefCell<Turn>,
    pub(super) client_congestion: Rc<Congestion>,
    pub(super) link_congestion: Rc<Congestion>,
}

/// The way to another node.
struct Link {
    peer: usize,
    outbox: Rc<Outbox>,
}

/// Frames that have been laid down since the read.
#[derive(Default)]
struct Turn {
    copies: Vec<u8>,
    news: Vec<u8>,
}

impl Hub {
    pub(super) fn new(
        node: usize,
        relay: Option<Audience>,
        seed: u64,
        mut meddling: FaultInjector,
    ) -> Rc<Self> {
        let node_id = FIRST_NODE_ID + node as u64;
        let envelope = match chat::copies_envelope(node_id) {
            _ if relay.is_some() => Envelope::default(),
            (head, tail) => Envelope { head: head.into(), tail: tail.as_bytes() },
        };
        if relay.is_some() {
            // Its messages have no array to put several in.
            meddling.batch = 1;
        }
        Rc::new(Self {
            node_id,
            chat: relay.is_none().then(RefCell::default),
            audience: relay.unwrap_or_default(),
            meets_copies: meddling.meets_copies(),
            means: Means { meddling: Rc::new(meddling), envelope: Rc::new(envelope) },
            clients: RefCell::default(),
            links: RefCell::default(),
            last_client: Cell::new(0),
            handled: Cell::new(0),
            free_at: Cell::new(None),
            ids: RefCell::new((0, stream(seed, node, "ids"))),
            turn: RefCell::default(),
            client_congestion: Rc::default(),
            link_congestion: Rc::default(),
        })
    }

    /// A client is in from here on, before the answer to its upgrade is on the way.
    pub(super) fn admit(&self, port: u16, outbox: Rc<Outbox>, answer: Bytes) -> Rc<Client> {
        let number = self.last_client.get() + 1;
        self.last_client.set(number);
        outbox.push(answer);
        let client = Client::new(number, port, outbox);
        self.clients.borrow_mut().insert(number, client.clone());
        client.end_when_due(&self.means);
        client
    }

    pub(super) fn dismiss(&self, client: &Client) {
        self.clients.borrow_mut().remove(&client.number);
    }

    /// Another node listens from here on.
    pub(super) fn link(&self, peer: usize, outbox: Rc<Outbox>, answer: Bytes) {
        outbox.push(answer);
        self.links.borrow_mut().push(Link { peer, outbox });
    }

    pub(super) fn unlink(&self, outbox: &Rc<Outbox>) {
        self.links.borrow_mut().retain(|link| !Rc::ptr_eq(&link.outbox, outbox));
    }

    /// A client sent a message.
    pub(super) fn take(&self, client: &Client, message: Received) {
        match (message, &self.chat) {
            (Received::Pong(_), _) => client.heard_pong(),
            (Received::Text(text), Some(chat)) => {
                // Read first: what follows may end the turn, and the reader must be free by then.
                let request = chat.borrow_mut().request(&text);
                match request {
                    Some(Request::Push(push)) => self.post(push),
                    Some(Request::Sync) => self.answer_sync(client),
                    None => {}
                }
            }
            (Received::Text(text), None) => self.relay(client, Data::Text, text.into()),
            (Received::Binary(bytes), None) => self.relay(client, Data::Binary, bytes),
            _ => {}
        }
    }

    /// Another node told of a message.
    pub(super) fn hear(&self, message: Received) {
        let message = match (message, &self.chat) {
            (Received::Text(text), Some(chat)) => {
                let told = chat.borrow_mut().told(&text);
                Message::Told(told.expect("nodes speak their own language"))
            }
            (Received::Text(text), None) => Message::Raw(Data::Text, text.into()),
            (Received::Binary(bytes), None) => Message::Raw(Data::Binary, bytes),
            _ => return,
        };
        let element = message.element();
        self.spread(message, element);
        self.message_handled();
    }

    fn post(&self, push: chat::Push) {
        let stamped = push.stamp(self.node_id, self.next_id(), unix_ms());
        let element = stamped.element();
        let news = stamped.broadcast(&element);
        let message = Message::Stamped(stamped);
        self.tell(&message, news.as_bytes());
        self.spread(message, element.into());
        self.message_handled();
    }

    fn relay(&self, sender: &Client, opcode: Data, bytes: Bytes) {
        let message = Message::Raw(opcode, bytes.clone());
        if self.audience != Audience::Own {
            self.tell(&message, &bytes);
        }
        match self.audience {
            Audience::All => self.spread(message, bytes),
            Audience::Others => self.offer(message, bytes, |number| number != sender.number),
            Audience::Own => self.offer(message, bytes, |number| number == sender.number),
        }
        self.message_handled();
    }

    /// To some clients of this node, by their numbers.
    fn offer(&self, message: Message, element: Bytes, is_meant: impl Fn(u64) -> bool) {
        let copy = Copy::new(message, element, &self.means.envelope);
        for (_, client) in self.clients.borrow().iter().filter(|(number, _)| is_meant(**number)) {
            client.offer(&copy, &self.means);
        }
    }

    /// To all clients of this node.
    fn spread(&self, message: Message, element: Bytes) {
        let envelope = &self.means.envelope;
        if !self.meets_copies {
            let frames = &mut self.turn.borrow_mut().copies;
            return envelope.append_frame(frames, message.opcode(), &element);
        }
        self.offer(message, element, |_| true);
    }

    /// To all other nodes, but for those behind a cut.
    fn tell(&self, message: &Message, news: &[u8]) {
        let meddling = &self.means.meddling;
        let lay = |frames: &mut Vec<u8>| {
            frame::append(frames, OpCode::Data(message.opcode()), true, &[news]);
        };
        if meddling.cuts.is_empty() {
            return lay(&mut self.turn.borrow_mut().news);
        }
        let mut frames = Vec::new();
        lay(&mut frames);
        let (news, handled) = (Bytes::from(frames), self.handled.get());
        for link in self.links.borrow().iter() {
            let is_cut = |(peer, after): &(usize, u64)| *peer == link.peer && handled >= *after;
            if meddling.cuts.iter().any(is_cut) {
                meddling.log("cut", Party::Peer(link.peer), Some(message), |event| {
                    event.count = Some(handled);
                });
            } else {
                link.outbox.push(news.clone());
            }
        }
    }

    /// Behind the copies of what came before it.
    fn answer_sync(&self, client: &Client) {
        self.end_turn();
        let mut bytes = Vec::new();
        let reply = chat::sync_reply(self.node_id);
        frame::append(&mut bytes, OpCode::Data(Data::Text), true, &[reply.as_bytes()]);
        self.reply(client, bytes);
    }

    /// To one client, outside of its copies.
    pub(super) fn reply(&self, client: &Client, bytes: Vec<u8>) {
        if !self.means.meddling.is_deaf {
            client.outbox.push(bytes.into());
        }
    }

    fn message_handled(&self) {
        let handled = self.handled.get() + 1;
        self.handled.set(handled);
        let meddling = &self.means.meddling;
        let count = |event: &mut crate::cluster::FaultEvent| event.count = Some(handled);
        if let Some((lasting, after)) = meddling.stall
            && after == handled
        {
            self.end_turn();
            meddling.log("stall", Party::Node, None, count);
            // The node's only thread: neither reads, writes, Pings nor upgrades meanwhile.
            std::thread::sleep(lasting);
            // Pongs that came meanwhile lie unread, and a round of Pings may be due before they are.
            self.clients.borrow().values().for_each(|client| client.heard_pong());
        }
        if meddling.exit_after == Some(handled) {
            meddling.log("exit", Party::Node, None, count);
            exit(UNCLEAN_EXIT);
        }
        if let Some(apart) = meddling.message_apart {
            // Nothing is saved up: after a pause messages are as far apart as ever.
            let now = Instant::now();
            self.free_at.set(Some(self.free_at.get().map_or(now, |at| at.max(now)) + apart));
        }
    }

    /// Until the next message may be handled, where there is a limit. What was handled is written meanwhile.
    pub(super) async fn rest(&self) {
        let owed = self.free_at.get().map(|at| at.saturating_duration_since(Instant::now()));
        if let Some(wait) = owed.filter(|wait| *wait >= WAIT_MIN) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Hands what was laid down to all outboxes.
    pub(super) fn end_turn(&self) {
        let Turn { copies, news } = self.turn.take();
        if !copies.is_empty() {
            let copies = Bytes::from(copies);
            for client in self.clients.borrow().values() {
                client.outbox.push(copies.clone());
            }
        }
        if !news.is_empty() {
            let news = Bytes::from(news);
            for link in self.links.borrow().iter() {
                link.outbox.push(news.clone());
            }
        }
        if self.means.meddling.batch > 1 {
            for client in self.clients.borrow().values() {
                client.flush(&self.means);
            }
        }
    }

    /// Clients that are in.
    pub(super) fn client_count(&self) -> usize {
        self.clients.borrow().len()
    }

    /// One round of Pings.
    pub(super) fn ping(&self) {
        let is_unread = self.client_congestion.is_on() || self.link_congestion.is_on();
        for client in self.clients.borrow().values() {
            let is_leaving = client.outbox.is_finishing();
            if !is_leaving && client.ping(is_unread) == Liveness::Alive {
                self.reply_ping(client);
            }
        }
    }

    fn reply_ping(&self, client: &Client) {
        if !self.means.meddling.is_deaf {
            client.outbox.push(frame::PING);
        }
    }

    /// The peer broke the protocol: it is told, and what it still sends is thrown away.
    pub(super) fn refuse(&self, client: &Client, code: u16) {
        if !self.means.meddling.is_deaf {
            client.outbox.push(frame::close(code));
        }
        client.outbox.finish(Finish::EndHalf);
    }

    fn next_id(&self) -> u64 {
        let (last, random) = &mut *self.ids.borrow_mut();
        *last += 1;
        let id = *last;
        *last += u64::from(random.u64(..OWN_MESSAGE_EVERY) == 0);
        id
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
