//! Simplepipe: push metrics for every Kubernetes namespace.
//!
//! The modules, and what each may use. Arrows point downwards only; nothing knows `main`.
//!
//! - [`operator`]: watches `MetricsNamespace` objects and makes their children so. Uses `api`.
//! - [`push`]: the `push` subcommand. Uses `metrics_file` and `gateway`.
//! - [`gateway`]: a Pushgateway over HTTP. Uses nobody.
//! - [`metrics_file`]: the file that a workflow step writes: read, check, exposition. Uses nobody.
//! - [`api`]: what users write and read. Uses nobody.

pub mod api;
pub mod operator;
