//! TLS of the reference cluster: s2n-tls, which shares no line with the client's.
//!
//! Belongs here: a certificate of our own, and TLS on an accepted connection. Does not: what is said inside.
//!
//! It is behind the feature `cluster-tls`, since building it takes 80 s of CPU time: without it
//! the cluster says so where it is asked for.

use serde::{Deserialize, Serialize};

/// A certificate that is its own authority, and its key, both in PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

#[cfg(feature = "cluster-tls")]
pub(super) use built_in::{Acceptor, Secured};
#[cfg(not(feature = "cluster-tls"))]
pub(super) use left_out::{Acceptor, Secured};

#[cfg(feature = "cluster-tls")]
mod built_in {
    use std::cell::RefCell;
    use std::future::poll_fn;
    use std::io;
    use std::net::Shutdown;
    use std::pin::Pin;
    use std::rc::Rc;

    use bytes::Bytes;
    use rcgen::{CertificateParams, DnType, KeyPair};
    use s2n_tls::config::{Builder, Config};
    use s2n_tls::security::DEFAULT_TLS13;
    use s2n_tls_tokio::{TlsAcceptor, TlsStream};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::net::TcpStream;

    use super::Identity;

    /// Whom the certificate is for: nodes listen on the loopback alone.
    const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

    impl Identity {
        /// A new one.
        pub(in crate::cluster) fn new() -> io::Result<Self> {
            let names: Vec<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
            params.distinguished_name.push(DnType::CommonName, "fanstorm reference cluster");
            let key = KeyPair::generate().map_err(io::Error::other)?;
            let certificate = params.self_signed(&key).map_err(io::Error::other)?.pem();
            Ok(Self { certificate, key: key.serialize_pem() })
        }
    }

    /// Shakes hands with clients.
    #[derive(Clone)]
    pub(in crate::cluster) struct Acceptor(TlsAcceptor<Config>);

    impl Acceptor {
        pub(in crate::cluster) fn new(identity: &Identity) -> io::Result<Self> {
            let mut config = Config::builder();
            configure(&mut config, identity).map_err(io::Error::other)?;
            let config = config.build().map_err(io::Error::other)?;
            Ok(Self(TlsAcceptor::new(config)))
        }

        /// `None` where the client does not go through with it.
        pub(in crate::cluster) async fn accept(&self, stream: TcpStream) -> Option<Secured> {
            let stream = self.0.accept(stream).await.ok()?;
            Some(Secured(Rc::new(RefCell::new(stream))))
        }
    }

    fn configure(config: &mut Builder, identity: &Identity) -> Result<(), s2n_tls::error::Error> {
        config.set_security_policy(&DEFAULT_TLS13)?;
        config.load_pem(identity.certificate.as_bytes(), identity.key.as_bytes())?;
        config.set_application_protocol_preference(["http/1.1"])?;
        Ok(())
    }

    /// A connection with TLS on it.
    pub(in crate::cluster) struct Secured(Rc<RefCell<TlsStream<TcpStream>>>);

    impl Secured {
        /// As [`Stream::read`](crate::cluster::stream::Stream::read).
        pub(in crate::cluster) async fn read(
            &self,
            mut buffer: Vec<u8>,
        ) -> (io::Result<usize>, Vec<u8>) {
            buffer.resize(buffer.capacity(), 0);
            let count = poll_fn(|context| {
                let mut room = ReadBuf::new(&mut buffer);
                let read = Pin::new(&mut *self.0.borrow_mut()).poll_read(context, &mut room);
                read.map_ok(|()| room.filled().len())
            });
            let count = count.await;
            buffer.truncate(*count.as_ref().unwrap_or(&0));
            (count, buffer)
        }

        /// As [`Stream::write`](crate::cluster::stream::Stream::write).
        pub(in crate::cluster) async fn write(&self, piece: Bytes) -> (io::Result<usize>, Bytes) {
            let written =
                poll_fn(|context| Pin::new(&mut *self.0.borrow_mut()).poll_write(context, &piece));
            (written.await, piece)
        }

        /// The end of our half is a `close_notify`; it leaves when it can.
        pub(in crate::cluster) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
            use rustix::net::Shutdown as Half;
            let half = match how {
                Shutdown::Write => {
                    let stream = Rc::clone(&self.0);
                    tokio::task::spawn_local(async move {
                        let end = poll_fn(|context| {
                            Pin::new(&mut *stream.borrow_mut()).poll_shutdown(context)
                        });
                        // The client may have been faster.
                        let _ = end.await;
                    });
                    return Ok(());
                }
                Shutdown::Read => Half::Read,
                Shutdown::Both => Half::Both,
            };
            Ok(rustix::net::shutdown(self.0.borrow().get_ref(), half)?)
        }
    }
}

#[cfg(not(feature = "cluster-tls"))]
mod left_out {
    use std::convert::Infallible;
    use std::io;
    use std::net::Shutdown;

    use bytes::Bytes;
    use tokio::net::TcpStream;

    use super::Identity;

    const NOT_BUILT: &str = "this fanstorm was built without the TLS of its cluster: \
                             cargo build --release --features cluster-tls";

    impl Identity {
        pub(in crate::cluster) fn new() -> io::Result<Self> {
            Err(io::Error::other(NOT_BUILT))
        }
    }

    #[derive(Clone)]
    pub(in crate::cluster) struct Acceptor(Infallible);

    impl Acceptor {
        pub(in crate::cluster) fn new(_: &Identity) -> io::Result<Self> {
            Err(io::Error::other(NOT_BUILT))
        }

        pub(in crate::cluster) async fn accept(&self, _: TcpStream) -> Option<Secured> {
            match self.0 {}
        }
    }

    pub(in crate::cluster) struct Secured(Infallible);

    impl Secured {
        pub(in crate::cluster) async fn read(&self, _: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
            match self.0 {}
        }

        pub(in crate::cluster) async fn write(&self, _: Bytes) -> (io::Result<usize>, Bytes) {
            match self.0 {}
        }

        pub(in crate::cluster) fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            match self.0 {}
        }
    }
}
