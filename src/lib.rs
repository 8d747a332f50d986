//! Simplepipe: push metrics for every Kubernetes namespace.
//!
//! The modules, and what each may use. Arrows point downwards only; nothing knows `main`.
//!
//! - [`operator`]: watches `MetricsNamespace` objects and makes their children so. Uses `api`, `duration`, `exit_code` and
//!   `terminal`.
//! - [`client`]: the subcommands `push` and `run`. Uses `metrics_file`, `gateway`, `api`, `duration` and `exit_code`.
//!   - [`client::push`]: the subcommand `push`.
//!   - [`client::run`]: the subcommand `run`.
//!   - [`client::push_group`]: which push group a file's metrics go to.
//!   - [`client::batch`]: the metrics of several files, checked together, for each push group.
//!   - [`client::accumulation`]: adds metrics to those that a gateway holds.
//!   - [`client::reserved`]: names and jobs that Prometheus drops.
//!   - [`client::connection_options`]: what the command line and the environment say of a gateway.
//!   - [`client::old_arguments`]: the arguments of the first Simplepipe.
//! - [`install`]: the subcommand `install`. Uses `terminal`.
//! - [`gateway`]: a Pushgateway over HTTP. Uses `terminal`.
//! - [`metrics_file`]: the file that a workflow step writes, read and checked. Uses `metrics` and `terminal`.
//! - [`metrics`]: metrics as they are pushed, and their text. Uses `terminal`.
//! - [`duration`]: durations as people write them. Uses nobody.
//! - [`terminal`]: lines for a person, and text from outside made safe to print. Uses nobody.
//! - [`exit_code`]: how every subcommand ends. Uses nobody.
//! - [`api`]: what users write and read. Uses nobody.

pub mod api;
pub mod client;
pub mod duration;
pub mod exit_code;
pub mod gateway;
pub mod install;
pub mod metrics;
pub mod metrics_file;
pub mod operator;
pub mod terminal;
