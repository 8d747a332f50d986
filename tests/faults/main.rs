//! What faults between the operator and the API server do, and the proxy that has them.

#![allow(clippy::unwrap_used)] // The lint knows tests by their attribute; the rest here serves nothing but tests.

#[path = "../support/eventually.rs"]
mod eventually;
#[path = "../support/fault_proxy.rs"]
mod fault_proxy;

mod proxy;
