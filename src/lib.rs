//! Simplepipe: push metrics for every Kubernetes namespace.
//!
//! The modules, and what each may use. Arrows point downwards only; nothing knows `main`.
//!
//! - [`operator`]: watches `MetricsNamespace` objects and makes their children so. Uses `api`.
//! - [`push`]: the `push` subcommand. Uses `metrics_file`, `gateway` and `exit_code`.
//! - [`run`]: the `run` subcommand. Uses `metrics_file`, `gateway`, `terminal` and `exit_code`.
//! - [`gateway`]: a Pushgateway over HTTP. Uses `terminal`.
//! - [`metrics_file`]: the file that a workflow step writes: read, check, exposition. Uses `terminal`.
//! - [`terminal`]: text from outside, made safe to print. Uses nobody.
//! - [`exit_code`]: how every subcommand ends. Uses nobody.
//! - [`api`]: what users write and read. Uses nobody.

pub mod api;
pub mod exit_code;
pub mod gateway;
pub mod metrics_file;
pub mod operator;
pub mod push;
pub mod run;
pub mod terminal;
