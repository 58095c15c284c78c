//! In place of `tokio-uring` where that does not build (musl): io_uring is refused, as by a kernel without it.
//!
//! Belongs here: as much of its shape as `stream` asks for. Nothing of it can exist but the refusal.

use std::convert::Infallible;
use std::future::Future;
use std::io;

use rustix::io::Errno;

pub(super) struct Runtime(Infallible);
pub(super) struct Builder;
pub(super) struct UringBuilder;

pub(super) const fn builder() -> Builder {
    Builder
}

pub(super) const fn uring_builder() -> UringBuilder {
    UringBuilder
}

impl UringBuilder {
    pub(super) const fn setup_cqsize(&mut self, _: u32) {}
}

impl Builder {
    pub(super) const fn entries(&mut self, _: u32) -> &mut Self {
        self
    }

    pub(super) const fn uring_builder(&mut self, _: &UringBuilder) {}
}

impl Runtime {
    pub(super) fn new(_: &Builder) -> io::Result<Self> {
        Err(Errno::NOSYS.into())
    }

    pub(super) fn block_on<F: Future>(&self, _: F) -> F::Output {
        match self.0 {}
    }
}

pub(super) mod net {
    use std::convert::Infallible;
    use std::io;
    use std::net::{Shutdown, SocketAddr};

    use bytes::Bytes;

    pub(in crate::cluster) struct TcpListener(Infallible);
    pub(in crate::cluster) struct TcpStream(Infallible);
    pub(in crate::cluster) struct Write(Infallible);

    impl TcpListener {
        pub(in crate::cluster) fn from_std(_: std::net::TcpListener) -> Self {
            unreachable!("no runtime was made")
        }

        pub(in crate::cluster) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
            match self.0 {}
        }
    }

    impl TcpStream {
        pub(in crate::cluster) async fn connect(_: SocketAddr) -> io::Result<Self> {
            unreachable!("no runtime was made")
        }

        pub(in crate::cluster) fn set_nodelay(&self, _: bool) -> io::Result<()> {
            match self.0 {}
        }

        pub(in crate::cluster) async fn read(&self, _: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
            match self.0 {}
        }

        pub(in crate::cluster) fn write(&self, _: Bytes) -> Write {
            match self.0 {}
        }

        pub(in crate::cluster) fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            match self.0 {}
        }
    }

    impl Write {
        pub(in crate::cluster) async fn submit(self) -> (io::Result<usize>, Bytes) {
            match self.0 {}
        }
    }
}
