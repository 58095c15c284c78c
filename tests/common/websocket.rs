//! A server of a test's own: each connection is upgraded and then served as the test says.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use tungstenite::WebSocket;

/// A connection behind its upgrade.
pub(crate) type Socket = WebSocket<TcpStream>;

/// Serves every connection with `serve` until the test ends.
pub(crate) fn server(
    serve: impl Fn(Socket) -> tungstenite::Result<()> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, serve) = (listener.local_addr().unwrap(), Arc::new(serve));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(tungstenite::accept(stream).expect("an upgrade")));
        }
    });
    address
}
