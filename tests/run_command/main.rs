//! `simplepipe run` as users run it: the program itself, around real commands, with a real Pushgateway, on real
//! terminals and in real containers' namespaces.

// clippy.toml allows it in test functions; the helpers beside them are tests just as much.
#![allow(clippy::unwrap_used)]

mod endings;
mod faults;
// The tests of push use all of these two.
#[allow(dead_code)]
#[path = "../push/faulty_server.rs"]
mod faulty_server;
mod heartbeat;
mod install;
mod metrics;
#[allow(dead_code)]
#[path = "../push/pushgateway.rs"]
mod pushgateway;
mod root;
mod signals;
mod simplepipe;
mod streams;
mod terminal;
