//! What a child process runs, from its first line to its end.
//!
//! Belongs here: obeying the parent's order, the process's limits and CPU, ending with the parent.
//! Does not: what a discovery or a node does.
//!
//! A child ends by `exit`, never by returning: tokio-uring 0.5 frees the buffers of reads that are
//! still in flight when its runtime is dropped, and the kernel then writes into freed memory.

use std::io::{self, BufRead};
use std::net::TcpListener;
use std::process::{ExitCode, exit};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::handshake::{Bound, Listen, Order, Ready, Role, hear, say};
use super::process::started_no_more;
use super::stream::{self, Kernel, Listener, Queues};
use super::tls::Acceptor;
use super::{discovery, net, node};

/// Runs this process as a child of a [`Cluster`](super::Cluster): discovery or node, as the line on
/// its stdin says, until stdin ends.
///
/// The executable's hidden subcommand `cluster-child` must do nothing but this.
pub fn child_main() -> ExitCode {
    end_on_panic();
    match obey() {
        Ok(never) => match never {},
        // The parent ended before it had said everything.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// A runtime would catch the panic of one task and go on without it: a node that is half there.
fn end_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        exit(101);
    }));
}

fn obey() -> io::Result<std::convert::Infallible> {
    let listen: Listen = hear(&mut io::stdin().lock())?;
    let clients = net::listen(listen.port)?;
    let mesh = listen.mesh.then(|| net::listen(None)).transpose()?;
    let order = introduce(&clients, mesh.as_ref())?;
    if let Some(cpu) = order.cpu {
        pin(cpu)?;
    }
    raise_descriptor_limit();
    let tls = order.tls.as_ref().map(Acceptor::new).transpose()?;
    let queues = order.io_uring.then(|| Queues::of(order.connections));
    match (order.role, mesh) {
        (Role::Node(role), Some(mesh)) => {
            let node = node::Node::new(&role, order.seed)?;
            node.prepare(&clients)?;
            let clients = (clients, tls);
            run(queues, move |kernel| node.serve(kernel, clients, mesh, role.mesh_ports, ready))
        }
        (Role::Node(_), None) => Err(io::Error::other("a node without a mesh port")),
        (Role::Discovery(client_ports), _) => run(queues, move |kernel| async move {
            let clients = Listener::of_clients(kernel, clients, tls.as_ref())?;
            ready(kernel)?;
            discovery::serve((clients, tls), client_ports, order.seed).await;
            Ok(())
        }),
    }
}

fn introduce(clients: &TcpListener, mesh: Option<&TcpListener>) -> io::Result<Order> {
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    let bound = Bound { client_port: port(clients)?, mesh_port: mesh.map(port).transpose()? };
    say(&mut io::stdout().lock(), &bound)?;
    hear(&mut io::stdin().lock())
}

fn ready(kernel: Kernel) -> io::Result<()> {
    let io_uring = kernel == Kernel::Uring;
    say(&mut io::stdout().lock(), &Ready { pid: std::process::id(), io_uring })
}

/// Runs the child's work; comes back only with an error.
fn run<F: Future<Output = io::Result<()>> + 'static>(
    queues: Option<Queues>,
    work: impl FnOnce(Kernel) -> F,
) -> io::Result<std::convert::Infallible> {
    let thread = std::thread::Builder::new().name("parent".to_owned());
    thread.spawn(end_with_parent).map_err(no_thread)?;
    let outcome = stream::block_on(queues, work);
    let code = match outcome {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("{e}");
            1
        }
    };
    exit(code)
}

fn no_thread(source: io::Error) -> io::Error {
    io::Error::other(format!("{source}{}", started_no_more(&source)))
}

/// Ends this process when the parent has: the kernel closes the pipe however it ended.
///
/// `PR_SET_PDEATHSIG` is not used: it fires when the *thread* that started the child ends, and a
/// cluster may well outlive that.
fn end_with_parent() {
    let mut ignored = Vec::new();
    while io::stdin().lock().read_until(b'\n', &mut ignored).is_ok_and(|count| count > 0) {
        ignored.clear();
    }
    exit(0);
}

/// The list is asked first: core_affinity panics at a number beyond the kernel's set.
fn pin(cpu: usize) -> io::Result<()> {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    let core = allowed.into_iter().find(|core| core.id == cpu);
    if core.is_some_and(core_affinity::set_for_current) {
        return Ok(());
    }
    Err(io::Error::other(format!("cannot be pinned to CPU {cpu}: this process may not use it")))
}

/// One descriptor is one client; the hard limit is all that may be asked for without privilege.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused only where the kernel's own bound is below the hard limit: the soft one then stays.
    let _ = setrlimit(Resource::Nofile, limit);
}
