//! The HTTP before the frames.
//!
//! Belongs here: requests and responses of the upgrade, of clients and between nodes. Does not: when
//! a fault spoils them (`serve`).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tungstenite::handshake::client::{Response, generate_key};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::StatusCode;

use crate::cluster::net;
use crate::cluster::stream::{Kernel, Stream};

/// Where a node asks another one for its news; its own index follows.
const MESH_PATH: &str = "/mesh/";

/// Reads a request; gives it and the bytes behind it.
pub(super) async fn request(stream: &Stream) -> Option<(Request, Vec<u8>)> {
    net::read_head(stream, Request::try_parse).await
}

/// 101 for a proper upgrade; as an error, the response that refuses what is none.
///
/// Any path and query is taken, no extension and no subprotocol is ever negotiated.
pub(super) fn accept(request: &Request) -> Result<Vec<u8>, Vec<u8>> {
    let refused = |_| match request.headers().contains_key("Upgrade") {
        true => refusal(400),
        false => refusal(426),
    };
    let response = create_response(request).map_err(refused)?;
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).expect("a vector takes all");
    Ok(bytes)
}

/// 101 with the key that would be right for another request.
pub(super) fn accept_wrongly(request: &Request) -> Result<Vec<u8>, Vec<u8>> {
    let mut other = request.clone();
    let key = generate_key().parse().expect("base64 fits into a header");
    other.headers_mut().insert("Sec-WebSocket-Key", key);
    accept(&other)
}

/// A response that is no upgrade.
pub(super) fn refusal(status: u16) -> Vec<u8> {
    let code = StatusCode::from_u16(status).expect("three digits");
    let reason = code.canonical_reason().unwrap_or("Refused");
    format!("HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into()
}

/// The index of the node that a mesh request comes from.
pub(super) fn mesh_peer(request: &Request) -> Option<usize> {
    request.uri().path().strip_prefix(MESH_PATH)?.parse().ok()
}

/// Asks the node at `port` for its news; gives the connection and what came behind the answer.
pub(super) async fn dial(
    kernel: Kernel,
    port: u16,
    own_index: usize,
) -> io::Result<(Stream, Vec<u8>)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = Stream::connect(kernel, address).await?;
    let key = generate_key();
    let request = format!(
        "GET {MESH_PATH}{own_index} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    stream.write_all(request.into_bytes()).await?;
    let refused = || io::Error::other(format!("the node at {address} refused a mesh link"));
    let (response, rest) =
        net::read_head(&stream, Response::try_parse).await.ok_or_else(refused)?;
    let accepted = response.headers().get("Sec-WebSocket-Accept");
    let expected = derive_accept_key(key.as_bytes());
    if accepted.is_some_and(|accepted| accepted.as_bytes() == expected.as_bytes()) {
        Ok((stream, rest))
    } else {
        Err(refused())
    }
}
