//! A node: clients, mesh, fan-out.
//!
//! Belongs here: what a node does with a message, faults included. Does not: bytes of a connection
//! (`link`), JSON (`message`).
//!
//! One thread, one tokio-uring runtime. A frame that goes to everybody is made once. The process ends
//! by `exit`, never by dropping the runtime: tokio-uring 0.5 frees the buffers of reads in flight.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio_uring::net::{TcpListener, TcpStream};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::{CloseFrame, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message, error::CapacityError};

use super::child::{READY, Role, say};
use super::fault::{FaultSpec, Faults, Kind};
use super::fault_log::{FaultEvent, FaultLog};
use super::link::{Budget, Outlet, Pipe, READ_BYTES, shake};
use super::message::{self, Request as Said, Stamped};

/// The seed's node closes with 1009 above this.
const MESSAGE_MAX: usize = 100 << 20;
/// The seed's keepalive.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A copy that is held back and that no other overtakes leaves after this.
const HELD_MAX: Duration = Duration::from_millis(20);
/// Path of the mesh; clients may use any other.
const MESH_PATH: &str = "/cluster-mesh";

/// One of a node's clients.
struct Client {
    outlet: Rc<Outlet>,
    /// Copies sent so far.
    copies: u64,
    awaits_pong: bool,
    /// A copy that is held back.
    held: Option<Vec<u8>>,
    /// Array elements that wait for company.
    batch: Vec<String>,
}

/// A copy on its way to all clients.
struct Copy<'a> {
    opcode: OpCode,
    /// The whole message.
    payload: Vec<u8>,
    /// The array element in it, if it is JSON.
    element: Option<&'a str>,
    message_id: Option<&'a str>,
    /// The text in it, if there is one.
    text: Option<&'a str>,
}

struct Node {
    index: usize,
    id: u32,
    relay: bool,
    next_id: u64,
    handled: u64,
    next_client: u64,
    clients: BTreeMap<u64, Client>,
    links: Vec<Option<Rc<Outlet>>>,
    faults: Faults,
    touch_copies: bool,
    log: FaultLog,
    rng: fastrand::Rng,
    budget: Rc<Budget>,
    stalled_until: Option<Instant>,
    /// Copies that the next settling hands out.
    later_queue: Vec<Delayed>,
}

type Shared = Rc<RefCell<Node>>;

/// Plays node `index` until the process ends.
pub(super) fn serve(
    listener: StdListener,
    index: usize,
    ports: &[u16],
    role: &Role,
) -> io::Result<()> {
    let specs: Vec<FaultSpec> = role
        .faults
        .iter()
        .map(|text| text.parse().map_err(io::Error::other))
        .collect::<io::Result<_>>()?;
    let faults = Faults::of(&specs, index);
    if faults.find(|kind| matches!(kind, Kind::Reset { .. }).then_some(())).is_some() {
        // Accepted sockets inherit it: their close is a reset when nothing was shut down for writing.
        rustix::net::sockopt::set_socket_linger(&listener, Some(Duration::ZERO))?;
    }
    let node = Node {
        index,
        id: 1001 + index as u32,
        relay: role.relay,
        next_id: 1,
        handled: 0,
        next_client: 0,
        clients: BTreeMap::new(),
        links: ports.iter().map(|_| None).collect(),
        touch_copies: faults.touch_copies(),
        faults,
        log: FaultLog::open(role.fault_log.as_deref())?,
        rng: fastrand::Rng::with_seed(role.seed.wrapping_add(index as u64)),
        budget: Rc::default(),
        stalled_until: None,
        later_queue: Vec::new(),
    };
    let shared = Rc::new(RefCell::new(node));
    tokio_uring::start(async move {
        let accepting =
            tokio_uring::spawn(accept(TcpListener::from_std(listener), Rc::clone(&shared)));
        for (peer, &port) in ports.iter().enumerate().filter(|(peer, _)| *peer != index) {
            let outlet = dial(&shared, port).await?;
            shared.borrow_mut().links[peer] = Some(outlet);
        }
        tokio_uring::spawn(keep_alive(Rc::clone(&shared)));
        say(READY)?;
        accepting.await.map_err(io::Error::other)?
    })
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
        // Mesh links carry the very frames that clients get.
        .accept_unmasked_frames(true)
}

/// Opens the link to a peer: what is queued there goes to the peer's clients.
async fn dial(shared: &Shared, port: u16) -> io::Result<Rc<Outlet>> {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    stream.set_nodelay(true)?;
    let pipe = Pipe::default();
    let url = format!("ws://127.0.0.1:{port}{MESH_PATH}");
    let state = tungstenite::client::client_with_config(url, pipe.clone(), Some(config()));
    let _link = shake(&stream, &pipe, state, |bytes| bytes).await?;
    let outlet = Outlet::new(Rc::clone(&shared.borrow().budget));
    let pause = pause(shared);
    tokio_uring::spawn(Rc::clone(&outlet).drain(Rc::new(stream), pause));
    Ok(outlet)
}

async fn accept(listener: TcpListener, shared: Shared) -> io::Result<()> {
    let mut muted = Vec::new();
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // A client that gave up in the queue (ECONNABORTED), or no descriptor left for now: the
            // others must not suffer.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
        };
        if shared.borrow().faults.has(Kind::Mute) {
            muted.push(stream);
            continue;
        }
        let shared = Rc::clone(&shared);
        tokio_uring::spawn(async move {
            // What goes wrong on one connection ends that connection.
            let _ = session(stream, shared).await;
        });
    }
}

/// One incoming connection, from the handshake to its end.
async fn session(stream: TcpStream, shared: Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let pipe = Pipe::default();
    let mesh = Rc::new(std::cell::Cell::new(false));
    let (refuse, bad_accept) = {
        let faults = &shared.borrow().faults;
        let refuse = faults.find(|kind| match kind {
            Kind::Refuse(status) => Some(status),
            _ => None,
        });
        (refuse, faults.has(Kind::BadAccept))
    };
    let is_mesh = Rc::clone(&mesh);
    let judge = move |request: &Request, response: Response| {
        is_mesh.set(request.uri().path() == MESH_PATH);
        match refuse {
            Some(status) if !is_mesh.get() => {
                let mut refusal = http::Response::new(Some("refused by --fault\n".to_owned()));
                *refusal.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
                Err(refusal)
            }
            _ => Ok(response),
        }
    };
    let state = tungstenite::accept_hdr_with_config(pipe.clone(), judge, Some(config()));
    let doctor = |bytes| if bad_accept && !mesh.get() { break_accept(bytes) } else { bytes };
    let socket = match shake(&stream, &pipe, state, doctor).await {
        Ok(socket) => socket,
        Err(error) => {
            let rest = pipe.take_outbound();
            if !rest.is_empty() {
                stream.write_all(rest).await.0?;
            }
            return Err(error);
        }
    };
    let stream = Rc::new(stream);
    if mesh.get() {
        let hear = |node: &mut Node, message| node.hear_peer(message);
        return listen(&shared, &stream, pipe, socket, None, hear).await;
    }
    let (number, outlet) = shared.borrow_mut().admit();
    tokio_uring::spawn(Rc::clone(&outlet).drain(Rc::clone(&stream), pause(&shared)));
    let hear = |node: &mut Node, message| node.hear_client(number, message);
    let ended = listen(&shared, &stream, pipe, socket, Some(&outlet), hear).await;
    shared.borrow_mut().clients.remove(&number);
    outlet.finish();
    ended
}

/// Reads messages until the connection ends.
async fn listen(
    shared: &Shared,
    stream: &TcpStream,
    pipe: Pipe,
    mut socket: WebSocket<Pipe>,
    outlet: Option<&Rc<Outlet>>,
    hear: impl Fn(&mut Node, Message),
) -> io::Result<()> {
    let budget = Rc::clone(&shared.borrow().budget);
    let pause = pause(shared);
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let open = hear_all(shared, &mut socket, &hear);
        if let Some(outlet) = outlet {
            outlet.push(&pipe.take_outbound());
        }
        if !open {
            return Ok(());
        }
        let delays = shared.borrow_mut().settle();
        delays.into_iter().for_each(|delayed| delayed.launch(shared));
        budget.room().await;
        pause().await;
        let (read, back) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        pipe.feed(&back);
        buffer = back;
        buffer.clear();
    }
}

/// Hears what is whole; false when the connection is over.
fn hear_all(
    shared: &Shared,
    socket: &mut WebSocket<Pipe>,
    hear: &impl Fn(&mut Node, Message),
) -> bool {
    loop {
        let code = match socket.read() {
            Ok(message) => {
                hear(&mut shared.borrow_mut(), message);
                continue;
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => 1009,
            Err(Error::Utf8(_)) => 1007,
            Err(Error::Protocol(_)) => 1002,
            Err(_) => return false,
        };
        // The connection is given up either way.
        let _ = socket.close(Some(CloseFrame { code: code.into(), reason: "".into() }));
        return false;
    }
}

/// Pings every client; one that left the last Ping unanswered is dropped.
async fn keep_alive(shared: Shared) {
    let period = shared.borrow().faults.find(|kind| match kind {
        Kind::Ping(period) => Some(period),
        _ => None,
    });
    let ping = frame(OpCode::Control(Control::Ping), b"", true);
    loop {
        tokio::time::sleep(period.unwrap_or(PING_EVERY)).await;
        for client in shared.borrow_mut().clients.values_mut() {
            if client.awaits_pong {
                client.outlet.finish();
            } else {
                client.awaits_pong = true;
                client.outlet.push(&ping);
            }
        }
    }
}

/// Waits while the node is stalled.
fn pause(shared: &Shared) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>> + use<> {
    let shared = Rc::clone(shared);
    move || {
        let until = shared.borrow().stalled_until;
        match until {
            None => Box::pin(std::future::ready(())),
            Some(until) => Box::pin(tokio::time::sleep_until(until.into())),
        }
    }
}

/// A copy that leaves later.
struct Delayed {
    client: u64,
    after: Duration,
    /// `None`: whatever is held back then.
    bytes: Option<Vec<u8>>,
}

impl Delayed {
    fn launch(self, shared: &Shared) {
        let shared = Rc::clone(shared);
        tokio_uring::spawn(async move {
            tokio::time::sleep(self.after).await;
            if let Some(client) = shared.borrow_mut().clients.get_mut(&self.client) {
                if let Some(bytes) = self.bytes.or_else(|| client.held.take()) {
                    client.outlet.push(&bytes);
                }
            }
        });
    }
}

impl Node {
    fn admit(&mut self) -> (u64, Rc<Outlet>) {
        let number = self.next_client;
        self.next_client += 1;
        let outlet = Outlet::new(Rc::clone(&self.budget));
        let client = Client {
            outlet: Rc::clone(&outlet),
            copies: 0,
            awaits_pong: false,
            held: None,
            batch: Vec::new(),
        };
        self.clients.insert(number, client);
        (number, outlet)
    }

    fn hear_client(&mut self, number: u64, message: Message) {
        match message {
            Message::Text(text) if self.relay => {
                self.relay_on(OpCode::Data(Data::Text), text.as_bytes())
            }
            Message::Binary(bytes) if self.relay => {
                self.relay_on(OpCode::Data(Data::Binary), &bytes)
            }
            Message::Text(text) => match message::read(&text) {
                Some(Said::Push(pushed)) => {
                    // The nodes' own test messages take ids from the same counter.
                    self.next_id += 1 + u64::from(self.rng.u8(..) < 4);
                    let stamped = pushed.stamp(self.id, self.next_id);
                    self.publish(&stamped);
                }
                Some(Said::Sync) => {
                    let reply = message::sync_reply(self.id);
                    if let Some(client) = self.clients.get(&number) {
                        client.outlet.push(&frame(
                            OpCode::Data(Data::Text),
                            reply.as_bytes(),
                            true,
                        ));
                    }
                }
                None => {}
            },
            Message::Pong(_) => {
                if let Some(client) = self.clients.get_mut(&number) {
                    client.awaits_pong = false;
                }
            }
            Message::Binary(_) | Message::Ping(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }

    fn hear_peer(&mut self, message: Message) {
        let (opcode, bytes) = match &message {
            Message::Text(text) => (OpCode::Data(Data::Text), text.as_bytes()),
            Message::Binary(bytes) => (OpCode::Data(Data::Binary), &bytes[..]),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        self.handle();
        if self.relay {
            let text = std::str::from_utf8(bytes).ok();
            let payload = bytes.to_vec();
            return self.fan_out(&Copy { opcode, payload, element: None, message_id: None, text });
        }
        let Ok(element) = std::str::from_utf8(bytes) else { return };
        let payload = message::envelope(self.id, &[element]).into_bytes();
        let message_id = element.split('"').nth(3);
        self.fan_out(&Copy { opcode, payload, element: Some(element), message_id, text: None });
    }

    fn publish(&mut self, stamped: &Stamped) {
        self.handle();
        let opcode = OpCode::Data(Data::Text);
        self.to_peers(opcode, stamped.id_only.as_bytes());
        self.fan_out(&Copy {
            opcode,
            payload: message::envelope(self.id, &[&stamped.full]).into_bytes(),
            element: Some(&stamped.full),
            message_id: Some(&stamped.message_id),
            text: Some(&stamped.text),
        });
    }

    fn relay_on(&mut self, opcode: OpCode, bytes: &[u8]) {
        self.handle();
        self.to_peers(opcode, bytes);
        let text = std::str::from_utf8(bytes).ok();
        let payload = bytes.to_vec();
        self.fan_out(&Copy { opcode, payload, element: None, message_id: None, text });
    }

    /// One more message: faults that count messages.
    fn handle(&mut self) {
        self.handled += 1;
        let handled = self.handled;
        let stall = self.faults.find(|kind| match kind {
            Kind::Stall { time, after } if after == handled => Some(time),
            _ => None,
        });
        if let Some(time) = stall {
            self.stalled_until = Some(Instant::now() + time);
            self.note("stall", None, None, None);
        }
        let exits = |kind| matches!(kind, Kind::Exit { after } if after == handled).then_some(());
        if self.faults.find(exits).is_some() {
            self.note("exit", None, None, None);
            std::process::exit(1);
        }
    }

    fn to_peers(&mut self, opcode: OpCode, bytes: &[u8]) {
        let frame = frame(opcode, bytes, true);
        for peer in 0..self.links.len() {
            let (index, handled) = (self.index, self.handled);
            let cut = self.faults.find(|kind| match kind {
                Kind::Cut { from, to, after } => {
                    (from == index && to == peer && handled > after).then_some(())
                }
                _ => None,
            });
            match &self.links[peer] {
                Some(_) if cut.is_some() => {
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    self.note("cut", None, None, Some(&text));
                }
                Some(link) => link.push(&frame),
                None => {}
            }
        }
    }

    fn fan_out(&mut self, copy: &Copy<'_>) {
        if !self.touch_copies {
            let frame = frame(copy.opcode, &copy.payload, true);
            self.clients.values().for_each(|client| client.outlet.push(&frame));
            return;
        }
        let numbers: Vec<u64> = self.clients.keys().copied().collect();
        for number in numbers {
            self.deliver(number, copy);
        }
    }

    /// One copy to one client, under this node's faults.
    fn deliver(&mut self, number: u64, copy: &Copy<'_>) {
        let noted = (Some(number), copy.message_id, copy.text);
        let chance = |kind: Kind, of: fn(Kind) -> Option<f64>| of(kind);
        let mut hit = |of: fn(Kind) -> Option<f64>| {
            let p = self.faults.find(|kind| chance(kind, of)).unwrap_or(0.0);
            p > 0.0 && self.rng.f64() < p
        };
        let drop = hit(|kind| if let Kind::Drop(p) = kind { Some(p) } else { None });
        let double = hit(|kind| if let Kind::Duplicate(p) = kind { Some(p) } else { None });
        let hold = hit(|kind| if let Kind::Reorder(p) = kind { Some(p) } else { None });
        let alter = hit(|kind| if let Kind::Corrupt(p) = kind { Some(p) } else { None });
        let late = hit(|kind| if let Kind::Delay(p, _) = kind { Some(p) } else { None });
        if self.faults.has(Kind::Deaf) {
            return self.note("deaf", noted.0, noted.1, noted.2);
        }
        if drop {
            return self.note("drop", noted.0, noted.1, noted.2);
        }
        let mut payload = copy.payload.clone();
        if alter && self.corrupt(&mut payload, copy.text) {
            self.note("corrupt", noted.0, noted.1, noted.2);
        }
        let bytes = self.frames(copy.opcode, &payload);
        let times = if double { 2 } else { 1 };
        if double {
            self.note("duplicate", noted.0, noted.1, noted.2);
        }
        for _ in 0..times {
            if let (Some(most), Some(element)) = (self.batch(), copy.element) {
                self.join(number, most, element);
            } else if late {
                self.note("delay", noted.0, noted.1, noted.2);
                self.later(number, &bytes);
            } else if hold && self.clients.get(&number).is_some_and(|c| c.held.is_none()) {
                self.note("reorder", noted.0, noted.1, noted.2);
                self.hold(number, &bytes);
            } else {
                self.send(number, &bytes);
            }
        }
        self.after_copy(number);
    }

    fn batch(&self) -> Option<usize> {
        self.faults.find(|kind| if let Kind::Batch(n) = kind { Some(n) } else { None })
    }

    fn send(&mut self, number: u64, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        client.outlet.push(bytes);
        if let Some(held) = client.held.take() {
            client.outlet.push(&held);
        }
    }

    fn hold(&mut self, number: u64, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(&number) {
            client.held = Some(bytes.to_vec());
        }
        self.later_queue.push(Delayed { client: number, after: HELD_MAX, bytes: None });
    }

    fn later(&mut self, number: u64, bytes: &[u8]) {
        let after =
            self.faults.find(|kind| if let Kind::Delay(_, t) = kind { Some(t) } else { None });
        let after = after.unwrap_or_default();
        let bytes = Some(bytes.to_vec());
        self.later_queue.push(Delayed { client: number, after, bytes });
    }

    /// Lets an array element wait for company.
    fn join(&mut self, number: u64, most: usize, element: &str) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        client.batch.push(element.to_owned());
        if client.batch.len() >= most {
            self.flush_batch(number);
        }
    }

    fn flush_batch(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let batch = std::mem::take(&mut client.batch);
        if batch.is_empty() {
            return;
        }
        let elements: Vec<&str> = batch.iter().map(String::as_str).collect();
        let payload = message::envelope(self.id, &elements);
        let bytes = self.frames(OpCode::Data(Data::Text), payload.as_bytes());
        self.send(number, &bytes);
    }

    /// After a read: batches leave, and what must leave later is handed out.
    fn settle(&mut self) -> Vec<Delayed> {
        if self.touch_copies && self.batch().is_some() {
            let numbers: Vec<u64> = self.clients.keys().copied().collect();
            numbers.into_iter().for_each(|number| self.flush_batch(number));
        }
        std::mem::take(&mut self.later_queue)
    }

    /// Faults that count a client's copies.
    fn after_copy(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        client.copies += 1;
        let copies = client.copies;
        let due = self.faults.find(|kind| match kind {
            Kind::Close { after, .. } | Kind::Reset { after } | Kind::BadFrame { after, .. } => {
                (after == copies).then_some(kind)
            }
            _ => None,
        });
        let Some(client) = self.clients.get(&number) else { return };
        let name = match due {
            Some(Kind::Close { code, .. }) => {
                let payload = code.to_be_bytes();
                client.outlet.push(&frame(OpCode::Control(Control::Close), &payload, true));
                client.outlet.finish();
                "close"
            }
            Some(Kind::Reset { .. }) => {
                client.outlet.reset();
                "reset"
            }
            Some(Kind::BadFrame { kind, .. }) => {
                client.outlet.push(kind.bytes());
                "bad-frame"
            }
            _ => return,
        };
        self.note(name, Some(number), None, None);
        if matches!(due, Some(Kind::Close { .. } | Kind::Reset { .. })) {
            self.clients.remove(&number);
        }
    }

    /// Replaces one character of the text within a message.
    fn corrupt(&mut self, payload: &mut [u8], text: Option<&str>) -> bool {
        let Some(text) = text.map(str::as_bytes) else { return false };
        let Some(start) = payload.windows(text.len()).position(|window| window == text) else {
            return false;
        };
        let plain: Vec<usize> =
            longest_plain(text).filter(|&i| text[i].is_ascii_alphanumeric()).collect();
        if plain.is_empty() {
            return false;
        }
        let at = start + plain[self.rng.usize(..plain.len())];
        let other = loop {
            let other = self.rng.lowercase() as u8;
            if other != payload[at] {
                break other;
            }
        };
        payload[at] = other;
        true
    }

    /// A message as frames: one, or fragments.
    fn frames(&self, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        let split = self.faults.find(|kind| if let Kind::Split(n) = kind { Some(n) } else { None });
        let Some(most) = split.filter(|&most| most < payload.len()) else {
            return frame(opcode, payload, true);
        };
        let last = payload.len().div_ceil(most) - 1;
        let fragment = |(i, part): (usize, &[u8])| {
            let opcode = if i == 0 { opcode } else { OpCode::Data(Data::Continue) };
            frame(opcode, part, i == last)
        };
        payload.chunks(most).enumerate().flat_map(fragment).collect()
    }

    fn note(&mut self, fault: &str, client: Option<u64>, id: Option<&str>, text: Option<&str>) {
        self.log.write(&FaultEvent {
            node: self.index,
            fault: fault.to_owned(),
            client,
            message_id: id.map(ToOwned::to_owned),
            text: text.map(ToOwned::to_owned),
        });
    }
}

/// The longest run of letters, digits and spaces: the text of a message, whatever is around it.
fn longest_plain(text: &[u8]) -> std::ops::Range<usize> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ';
    let (mut best, mut start) = (0..0, 0);
    for (i, &byte) in text.iter().enumerate() {
        if !plain(byte) {
            start = i + 1;
        } else if i + 1 - start > best.len() {
            best = start..i + 1;
        }
    }
    best
}

/// One server frame.
fn frame(opcode: OpCode, payload: &[u8], fin: bool) -> Vec<u8> {
    let frame = Frame::message(payload.to_vec(), opcode, fin);
    let mut bytes = Vec::with_capacity(frame.len());
    frame.format(&mut bytes).expect("a Vec takes everything");
    bytes
}

/// A response whose key does not answer ours.
fn break_accept(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.split("\r\n").map(|line| match line.split_once(": ") {
        Some((name, _)) if name.eq_ignore_ascii_case("sec-websocket-accept") => {
            format!("{name}: bm90IHlvdXIga2V5IGF0IGFsbCE=")
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\r\n").into_bytes()
}
