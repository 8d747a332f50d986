//! `/livez`, `/readyz`, `/status` and `/metrics` over HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::caches::Caches;
use super::health::{Health, Report};
use super::queue::Queue;
use super::telemetry::Metrics;

/// The content type of `prometheus-client`'s exposition.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is asked about.
#[derive(Clone)]
pub struct Shown {
    /// Whether the operator works.
    pub health: Arc<Health>,
    /// Its metrics.
    pub metrics: Arc<Metrics>,
    /// What waits.
    pub queue: Queue,
    /// What is known.
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
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, shown: Shown) -> io::Result<()> {
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
    axum::serve(listener, router).await
}

fn answer(report: Report) -> Response {
    let code = if report.healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, report.text).into_response()
}

async fn metrics(State(shown): State<Shown>) -> Response {
    let objects = shown.caches.objects.state();
    match shown.metrics.expose(
        shown.queue.depth(),
        &shown.health,
        objects.iter().map(|o| &**o),
    ) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
