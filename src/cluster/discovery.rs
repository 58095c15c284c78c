//! The discovery: who the nodes are, over HTTP.
//!
//! Belongs here: `GET /api/clients`. Does not: knowing which nodes live. Like the seed's, it goes on
//! listing a node that has died.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use super::net;
use super::stream::{Listener, Stream};
use super::tls::Acceptor;

/// The path that is answered; every other is 404.
pub(super) const PATH: &str = "/api/clients";

/// Answers for ever.
pub(super) async fn serve(
    (listener, tls): (Listener, Option<Acceptor>),
    client_ports: Vec<u16>,
    seed: u64,
) {
    let order = RefCell::new((client_ports, fastrand::Rng::with_seed(seed)));
    let order = Rc::new(order);
    net::accept_each(listener, tls, move |stream, _| answer(stream, order.clone())).await;
}

type Shuffled = Rc<RefCell<(Vec<u16>, fastrand::Rng)>>;

async fn answer(stream: Stream, order: Shuffled) {
    let response = match net::read_head(&stream, parse).await {
        Some((true, _)) => {
            let (ports, random) = &mut *order.borrow_mut();
            random.shuffle(ports);
            response("200 OK", "application/json", &body(ports))
        }
        Some((false, _)) => response("404 Not Found", "text/plain", "only /api/clients is here\n"),
        None => return,
    };
    let _ = stream.write_all(response.into_bytes()).await;
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

/// Whether the request asks for the list.
fn parse(head: &[u8]) -> Result<Option<(usize, bool)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(head)? else {
        return Ok(None);
    };
    let path = request.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    Ok(Some((length, request.method == Some("GET") && path == PATH)))
}

/// The addresses as the seed's discovery sees them: IPv4 mapped into IPv6.
fn body(ports: &[u16]) -> String {
    let mut body = String::from("{\"activeNodes\":[");
    for (index, port) in ports.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(body, "{comma}{{\"address\":\"::ffff:127.0.0.1\",\"clientport\":{port}}}");
    }
    body.push_str("]}");
    body
}

fn response(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}
