//! End to end, on the node cluster with the demo on it: `make demo` first. `make test` does both.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/dashboard_expressions.rs"]
mod dashboard_expressions;

mod cluster;
mod dashboards;
mod gateway;
mod isolation;
mod model_servers;
mod readme;
mod scraping;
