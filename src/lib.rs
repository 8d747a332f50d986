//! Simplepipe: push metrics for every Kubernetes namespace.
//!
//! The modules, and what each may use. Arrows point downwards only; nothing knows `main`.
//!
//! - [`operator`]: watches `MetricsNamespace` objects and makes their children so. Uses `api`, `exit_code` and `terminal`.
//! - [`push`]: the `push` subcommand. Uses `accumulate`, `destination`, `gateway_options`, `reserved` and `exit_code`, and
//!   what these use.
//! - [`run`]: the `run` subcommand. Uses `destination`, `gateway_options`, `reserved` and `exit_code`, and what these use.
//! - [`install`]: the `install` subcommand. Uses `terminal`.
//! - [`destination`]: which push group a file's metrics go to. Uses `metrics_file` and `gateway`.
//! - [`reserved`]: names and jobs that Prometheus drops. Uses `parcel` and `api`.
//! - [`parcel`]: the metrics of several files, checked together. Uses `metrics` and `gateway`.
//! - [`accumulate`]: adding metrics to those that a gateway holds. Uses `metrics` and `gateway`.
//! - [`gateway_options`]: the command line's and the environment's word on a gateway. Uses `gateway` and `duration`.
//! - [`gateway`]: a Pushgateway over HTTP. Uses `terminal`.
//! - [`metrics_file`]: the file that a workflow step writes, read and checked. Uses `metrics` and `terminal`.
//! - [`metrics`]: metrics as they are pushed, and their text. Uses `terminal`.
//! - [`duration`]: durations as people write them. Uses nobody.
//! - [`terminal`]: lines for a person, and text from outside made safe to print. Uses nobody.
//! - [`old_arguments`]: the arguments of the first Simplepipe. Uses nobody.
//! - [`exit_code`]: how every subcommand ends. Uses nobody.
//! - [`api`]: what users write and read. Uses nobody.

pub mod accumulate;
pub mod api;
pub mod destination;
pub mod duration;
pub mod exit_code;
pub mod gateway;
pub mod gateway_options;
pub mod install;
pub mod metrics;
pub mod metrics_file;
pub mod old_arguments;
pub mod operator;
pub mod parcel;
pub mod push;
pub mod reserved;
pub mod run;
pub mod terminal;
