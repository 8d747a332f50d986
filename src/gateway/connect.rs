//! Connecting, such that a request that never left can be told from one without an answer, and that a client can be
//! held to the connection that it has.

use std::env;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector,
    TcpConnector, Transport,
};
use ureq::{Agent, Error, Proxy};

use super::Address;

/// Looking up the host or connecting failed: nothing was sent.
#[derive(Debug)]
pub(super) struct NotConnected(pub io::Error);

/// While set, a client opens no connection: its requests go over the one that it has, or fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Pin(Arc<AtomicBool>);

/// An agent that connects in this way.
pub(super) fn agent(config: Config, pin: Pin) -> Agent {
    let tcp = Tcp {
        inner: TcpConnector::default(),
        pin,
    };
    let connectors =
        ().chain(ConnectProxyConnector::default())
            .chain(tcp)
            .chain(RustlsConnector::default());
    Agent::with_parts(config, connectors, Lookup::default())
}

/// The proxy that the environment names for the scheme of the address. ureq would take one for any scheme, but knows
/// for which hosts there is none.
pub(super) fn proxy(address: &Address) -> Option<Proxy> {
    let any = Proxy::try_from_env()?;
    let uri: Uri = address.join([]).as_str().parse().ok()?;
    if any.is_no_proxy(&uri) {
        return None;
    }
    let names = if address.is_https() {
        ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    };
    names
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find_map(|proxy| Proxy::new(&proxy).ok())
}

impl Pin {
    pub(super) fn set(&self, pinned: bool) {
        self.0.store(pinned, Ordering::Relaxed);
    }
}

impl NotConnected {
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
            .map_err(NotConnected::mark)
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
            return Err(NotConnected::mark(Error::Io(lost)));
        }
        self.inner
            .connect(details, chained)
            .map_err(NotConnected::mark)
    }
}

impl fmt::Display for NotConnected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for NotConnected {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
