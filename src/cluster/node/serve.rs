//! The tasks of a node: accepting, reading, Pings.
//!
//! Belongs here: what runs when, and how a connection begins and ends. Does not: what a message
//! does (`hub`).

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::client::Client;
use super::hub::Hub;
use super::outbox::{Finish, Outbox};
use super::upgrade;
use crate::cluster::fault_log::FaultLog;
use crate::cluster::faults::FaultSpec;
use crate::cluster::handshake::NodeOrder;
use crate::cluster::net;
use crate::cluster::node::decode::{Flow, MessageDecoder};
use crate::cluster::node::fault_injector::{FaultInjector, Party, Upgrade};
use crate::cluster::stream::{Kernel, Listener, Stream, spawn};
use crate::cluster::tls::Acceptor;

/// What a read of an idle connection holds ready.
const READ_BYTES_IDLE: usize = 512;

/// What a read of a busy connection holds ready.
const READ_BYTES_BUSY: usize = 64 << 10;

/// Clients that are pinged every round; twice as many every other one.
const CLIENTS_A_ROUND: usize = 8_192;

fn faults_of(order: &NodeOrder) -> io::Result<Vec<FaultSpec>> {
    let parse = |spec: &String| spec.parse().map_err(io::Error::other);
    order.faults.iter().map(parse).collect()
}

/// A node that is about to serve.
pub(in crate::cluster) struct Node {
    index: usize,
    hub: Rc<Hub>,
}

impl Node {
    pub(in crate::cluster) fn new(order: &NodeOrder, seed: u64) -> io::Result<Self> {
        let log = open_log(order.fault_log.as_deref())?;
        let meddling = FaultInjector::new(order.index, &faults_of(order)?, seed, log);
        let hub = Hub::new(order.index, order.relay, seed, meddling);
        Ok(Self { index: order.index, hub })
    }

    /// Before the first client: what accepted sockets inherit from the listener.
    pub(in crate::cluster) fn prepare(&self, clients: &TcpListener) -> io::Result<()> {
        if self.hub.means.meddling.resets() {
            // Closing with a linger time of zero sends RST, socket(7); tokio-uring's sockets have
            // no way to set it on one alone.
            rustix::net::sockopt::set_socket_linger(clients, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Serves for ever; calls `ready` when all other nodes have been dialled.
    pub(in crate::cluster) async fn serve(
        self,
        kernel: Kernel,
        (clients, tls): (TcpListener, Option<Acceptor>),
        mesh: TcpListener,
        mesh_ports: Vec<u16>,
        ready: fn(Kernel) -> io::Result<()>,
    ) -> io::Result<()> {
        let clients = Listener::of_clients(kernel, clients, tls.as_ref())?;
        let mesh = Listener::new(kernel, mesh)?;
        let hub = self.hub.clone();
        spawn(net::accept_each(clients, tls, move |stream, peer| {
            serve_client(hub.clone(), stream, peer)
        }));
        let hub = self.hub.clone();
        spawn(net::accept_each(mesh, None, move |stream, _| tell_peer(hub.clone(), stream)));
        for (peer, port) in mesh_ports.into_iter().enumerate() {
            if peer != self.index {
                let (stream, rest) = upgrade::dial(kernel, port, self.index).await?;
                spawn(hear_peer(self.hub.clone(), stream, rest));
            }
        }
        ready(kernel)?;
        self.ping().await;
        Ok(())
    }

    async fn ping(&self) {
        let mut rounds = tokio::time::interval(self.hub.means.meddling.ping_period);
        // After a stall the missed rounds are not made up for: nobody could answer in between.
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rounds.tick().await;
        let mut round = 0;
        loop {
            rounds.tick().await;
            round += 1;
            if round % rounds_apart(self.hub.client_count()) == 0 {
                self.hub.ping();
            }
        }
    }
}

/// A node with very many clients asks each of them less often, or it would do little else.
fn rounds_apart(clients: usize) -> u64 {
    1 + (clients / CLIENTS_A_ROUND) as u64
}

fn open_log(path: Option<&Path>) -> io::Result<FaultLog> {
    let shown = path.map_or_else(String::new, |path| path.display().to_string());
    FaultLog::append(path).map_err(|e| io::Error::other(format!("fault log {shown}: {e}")))
}

/// A client connection, from its first byte to its last.
async fn serve_client(hub: Rc<Hub>, stream: Stream, peer: SocketAddr) {
    let Some((answer, rest)) = answer_upgrade(&hub, &stream, peer.port()).await else {
        return;
    };
    let stream = Rc::new(stream);
    let outbox = Outbox::new(stream.clone(), hub.client_congestion.clone());
    let client = hub.admit(peer.port(), outbox, answer.into());
    let mut inlet = MessageDecoder::of_client();
    let mut flow = feed(&hub, &client, &mut inlet, &rest);
    drop(rest);
    let mut reading = Reading::default();
    while flow == Flow::Open {
        // What clients push is left in the kernel while someone cannot keep up.
        hub.client_congestion.ease().await;
        hub.link_congestion.ease().await;
        hub.rest().await;
        let Some(bytes) = reading.next(&stream).await else {
            break;
        };
        flow = feed(&hub, &client, &mut inlet, bytes);
    }
    hub.dismiss(&client);
    if flow != Flow::Open {
        while reading.next(&stream).await.is_some() {}
    }
}

fn feed(hub: &Rc<Hub>, client: &Rc<Client>, inlet: &mut MessageDecoder, bytes: &[u8]) -> Flow {
    let mut replies = Vec::new();
    let flow = inlet.feed(bytes, &mut replies, |message| hub.take(client, message));
    hub.end_turn();
    hub.reply(client, replies);
    match flow {
        Flow::Open => {}
        Flow::Closed => client.outbox.finish(Finish::EndHalf),
        Flow::Broken(code) => hub.refuse(client, code),
    }
    flow
}

/// The bytes of a 101, and what the client sent behind its request; `None` when that was all.
async fn answer_upgrade(hub: &Hub, stream: &Stream, port: u16) -> Option<(Vec<u8>, Vec<u8>)> {
    let meddling = &hub.means.meddling;
    let log = |fault| meddling.log(fault, Party::Stranger { port }, None, |_| {});
    let (request, rest) = upgrade::request(stream).await?;
    let answer = match meddling.upgrade {
        None => upgrade::accept(&request),
        Some(Upgrade::BadAccept) => {
            log("bad-accept");
            upgrade::accept_wrongly(&request)
        }
        Some(Upgrade::Refuse(status)) => {
            log("refuse");
            Err(upgrade::refusal(status))
        }
        Some(Upgrade::Mute) => {
            log("mute");
            discard(stream).await;
            return None;
        }
    };
    match answer {
        Ok(answer) => Some((answer, rest)),
        Err(refusal) => {
            refuse(stream, refusal).await;
            None
        }
    }
}

async fn refuse(stream: &Stream, refusal: Vec<u8>) {
    let written = stream.write_all(refusal).await;
    if written.is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
        // Closing with unread bytes would send RST and might take the answer back.
        discard(stream).await;
    }
}

async fn discard(stream: &Stream) {
    let mut reading = Reading::default();
    while reading.next(stream).await.is_some() {}
}

/// Another node wants our news.
async fn tell_peer(hub: Rc<Hub>, stream: Stream) {
    let Some((request, _)) = upgrade::request(&stream).await else {
        return;
    };
    let (Some(peer), Ok(answer)) = (upgrade::mesh_peer(&request), upgrade::accept(&request)) else {
        return;
    };
    let stream = Rc::new(stream);
    let outbox = Outbox::new(stream.clone(), hub.link_congestion.clone());
    hub.link(peer, outbox.clone(), answer.into());
    discard(&stream).await;
    hub.unlink(&outbox);
    outbox.cut();
}

/// Another node's news, until it ends.
///
/// It goes on while *links* are congested: two nodes that each wait for the other to read would wait
/// for ever. Clients depend on nobody, so waiting for them is safe.
async fn hear_peer(hub: Rc<Hub>, stream: Stream, rest: Vec<u8>) {
    let mut inlet = MessageDecoder::of_link();
    let mut no_replies = Vec::new();
    let mut flow = inlet.feed(&rest, &mut no_replies, |message| hub.hear(message));
    hub.end_turn();
    let mut reading = Reading::default();
    while flow == Flow::Open {
        hub.client_congestion.ease().await;
        hub.rest().await;
        let Some(bytes) = reading.next(&stream).await else {
            break;
        };
        flow = inlet.feed(bytes, &mut no_replies, |message| hub.hear(message));
        hub.end_turn();
    }
}

/// Reads with a buffer that grows while there is much to read, and shrinks when there is not.
struct Reading {
    buffer: Vec<u8>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { buffer: Vec::with_capacity(READ_BYTES_IDLE) }
    }
}

impl Reading {
    /// The next bytes; `None` at the end of the stream, however it ended.
    async fn next(&mut self, stream: &Stream) -> Option<&[u8]> {
        let mut buffer = self.sized();
        buffer.clear();
        let (count, buffer) = stream.read(buffer).await;
        self.buffer = buffer;
        match count {
            Ok(1..) => Some(&self.buffer),
            _ => None,
        }
    }

    /// The buffer for the next read, by how full the last one was.
    fn sized(&mut self) -> Vec<u8> {
        let buffer = std::mem::take(&mut self.buffer);
        let (filled, capacity) = (buffer.len(), buffer.capacity());
        if filled == capacity && capacity < READ_BYTES_BUSY {
            Vec::with_capacity((capacity * 4).min(READ_BYTES_BUSY))
        } else if filled < capacity / 8 && capacity > READ_BYTES_IDLE {
            Vec::with_capacity(READ_BYTES_IDLE)
        } else {
            buffer
        }
    }
}
