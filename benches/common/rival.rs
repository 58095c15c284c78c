//! tokio-tungstenite as a whole client on a current-thread runtime: the rival of the worker, with the same account.

use std::rc::Rc;

use fanstorm::host::clock::{Clock, Monotonic, thread_cpu_time};
use fanstorm::units::Nanos;
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::account::{Account, check};
use super::blaster::{Blaster, Shape};

/// CPU time of receiving all copies over what `wrap` makes of a stream, with a task for each socket.
pub(crate) fn receive<S, F>(
    mut blaster: Blaster,
    shape: Shape,
    wrap: impl Fn(TcpStream) -> F,
) -> Nanos
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Future<Output = S>,
{
    let account = Account::new(shape);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let local = tokio::task::LocalSet::new();
    let cpu = local.block_on(&runtime, async {
        let mut sockets = Vec::new();
        for _ in 0..shape.sockets {
            let stream = TcpStream::connect(blaster.addr).await.expect("connected");
            let upgraded = tokio_tungstenite::client_async("ws://bench/", wrap(stream).await).await;
            sockets.push(upgraded.expect("upgraded").0);
        }
        let before = thread_cpu_time();
        blaster.go();
        let done = Rc::new(tokio::sync::Notify::new());
        for (slot, mut socket) in sockets.into_iter().enumerate() {
            let (account, done) = (Rc::clone(&account), Rc::clone(&done));
            tokio::task::spawn_local(async move {
                while let Some(Ok(message)) = socket.next().await {
                    let mut account = account.borrow_mut();
                    account.hear(slot as u32, &message.into_data(), Monotonic.now());
                    if account.complete(shape) {
                        done.notify_one();
                    }
                }
            });
        }
        done.notified().await;
        thread_cpu_time().since(before)
    });
    drop(local);
    check(&account.borrow().recorder, shape);
    cpu
}
