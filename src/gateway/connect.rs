//! Connecting, such that a request that never left can be told from one without an answer, and that a client can be
//! held to the connection that it has.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::ClientConfig;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport,
};
use ureq::{Agent, Error};

use super::tls_connection::Tls;

/// Looking up the host or connecting failed: nothing was sent.
#[derive(Debug)]
pub(super) struct NeverSent(pub io::Error);

/// While set, a client opens no connection: its requests go over the one that it has, or fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Pin(Arc<AtomicBool>);

/// An agent that connects in this way.
pub(super) fn agent(config: Config, tls: Option<Arc<ClientConfig>>, pin: Pin) -> Agent {
    let tcp = Tcp {
        inner: TcpConnector::default(),
        pin,
    };
    let connectors = ().chain(ConnectProxyConnector::default()).chain(tcp).chain(Tls(tls));
    Agent::with_parts(config, connectors, Lookup::default())
}

impl Pin {
    pub(super) fn set(&self, pinned: bool) {
        self.0.store(pinned, Ordering::Relaxed);
    }
}

impl NeverSent {
    fn mark(error: Error) -> Error {
        match error {
            Error::Io(cause) => Error::Other(Box::new(Self(cause))),
            other => other,
        }
    }
}

#[derive(Debug, Default)]
struct Lookup(DefaultResolver);

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.0
            .resolve(uri, config, timeout)
            .map_err(NeverSent::mark)
    }
}

/// What may be behind it is a gateway that restarted, and then another try helps, or a proxy that does so each time.
const CLOSED: &str = "the connection was closed between two requests that need the same one; a proxy before the gateway \
                      must keep connections open";

#[derive(Debug)]
struct Tcp {
    inner: TcpConnector,
    pin: Pin,
}

impl<In: Transport> Connector<In> for Tcp {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if self.pin.0.load(Ordering::Relaxed) {
            let lost = io::Error::new(io::ErrorKind::ConnectionAborted, CLOSED);
            return Err(NeverSent::mark(Error::Io(lost)));
        }
        self.inner
            .connect(details, chained)
            .map_err(NeverSent::mark)
    }
}

impl fmt::Display for NeverSent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for NeverSent {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
