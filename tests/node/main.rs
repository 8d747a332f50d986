//! End to end, on the node cluster with the demo and Argo Workflows on it: `make demo` and `tests/node/argo/up` first.
//! `make test` does all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/dashboard_expressions.rs"]
mod dashboard_expressions;

mod argo;
mod cluster;
mod dashboards;
mod gateway;
mod isolation;
mod model_servers;
mod readme;
mod scraping;
