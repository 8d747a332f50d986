//! `/livez`, `/readyz`, `/status` and `/metrics` over HTTP.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::health::{Health, Report};
use super::metrics_format::Format;
use crate::operator::cluster::caches::Caches;
use crate::operator::locked::Locked;
use crate::operator::pacing::queue::Queue;
use crate::operator::telemetry::{self, Metrics};

/// Any pod of the cluster may connect where no NetworkPolicy forbids it, and must not fill the memory or keep others
/// out: so many at once, each with so much of a request, in so much time, for so long, whether it reads or not.
const CONNECTIONS: usize = 512;
/// Of these for one address: no pod can keep the kubelet out, whose probes decide whether the operator is restarted.
const OF_ONE_PEER: usize = 32;
const BUFFER: usize = 16 * 1024;
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
const CONNECTED_FOR: Duration = Duration::from_secs(20);
/// When there is no descriptor left, say.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct Shown {
    /// Whether the operator works.
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    pub queue: Queue,
    pub caches: Arc<Caches>,
}

/// Takes the address, so that one in use is an error at start.
///
/// # Errors
/// When the address can't be taken.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|e| io::Error::new(e.kind(), format!("can't listen on {address}: {e}")))
}

/// Answers until the process ends.
pub async fn serve(listener: TcpListener, shown: Shown) -> Infallible {
    let router = Router::new()
        .route(
            "/livez",
            get(|State(s): State<Shown>| async move { answer(s.health.live()) }),
        )
        .route(
            "/readyz",
            get(|State(s): State<Shown>| async move { answer(s.health.ready()) }),
        )
        // kubectl does not show the body of an answer that is not 200.
        .route(
            "/status",
            get(|State(s): State<Shown>| async move { s.health.ready().text }),
        )
        .route("/metrics", get(metrics))
        .with_state(shown);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(BUFFER);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let peers = Arc::new(Peers::default());
    loop {
        // Never closed, so that this can't fail.
        let place = places.clone().acquire_owned().await;
        let (stream, peer) = match listener.accept().await {
            Ok((stream, address)) => match peers.enter(address.ip()) {
                Some(peer) => (TokioIo::new(stream), peer),
                None => continue,
            },
            Err(error) => {
                tracing::warn!(%error, "a connection to the HTTP port could not be taken");
                sleep(AFTER_AN_ERROR).await;
                continue;
            }
        };
        let connection = http.serve_connection(stream, TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            // Who breaks off a request, or never ends, is no news.
            let _ = timeout(CONNECTED_FOR, connection).await;
            drop((place, peer));
        });
    }
}

/// How many connections each address has.
#[derive(Default)]
struct Peers(Locked<HashMap<IpAddr, usize>>);

struct Peer {
    peers: Arc<Peers>,
    address: IpAddr,
}

impl Peers {
    /// `None` where the address has as many as it may.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Peer> {
        // An IPv4 one looks otherwise on a socket for both.
        let address = address.to_canonical();
        let mut connections = self.0.lock();
        let own = connections.entry(address).or_default();
        if *own == OF_ONE_PEER {
            return None;
        }
        *own += 1;
        let peers = Arc::clone(self);
        Some(Peer { peers, address })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut connections = self.peers.0.lock();
        if let Some(own) = connections.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                connections.remove(&self.address);
            }
        }
    }
}

fn answer(report: Report) -> Response {
    let code = if report.healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, report.text).into_response()
}

async fn metrics(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter();
    let format = Format::accepted(accept.filter_map(|value| value.to_str().ok()));
    let tenants = shown.caches.objects.conditions(telemetry::is_known);
    match shown
        .metrics
        .expose(format, shown.queue.depth(), &shown.health, tenants)
    {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_a_part_of_the_places_and_gets_them_back() {
        let peers = Arc::new(Peers::default());
        let greedy: IpAddr = "10.0.0.1".parse().unwrap();
        let mut held: Vec<Peer> = std::iter::from_fn(|| peers.enter(greedy)).collect();
        assert_eq!(held.len(), OF_ONE_PEER);
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert!(peers.enter(mapped).is_none(), "it is the same address");
        assert!(peers.enter("10.0.0.2".parse().unwrap()).is_some());
        held.pop();
        assert!(peers.enter(greedy).is_some());
        held.clear();
        assert!(peers.0.lock().is_empty());
    }
}
