//! What faults between the operator and the API server do, and the proxy that has them.

#![allow(clippy::unwrap_used)] // The lint knows tests by their attribute; the rest here serves nothing but tests.
#![allow(dead_code)] // Of what the tests on a control plane share, a part is used here.

#[path = "../support/audit.rs"]
mod audit;
#[path = "../support/child_names.rs"]
mod child_names;
#[path = "../support/control_plane.rs"]
mod control_plane;
#[path = "../support/damage.rs"]
mod damage;
#[path = "../support/eventually.rs"]
mod eventually;
#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[path = "../support/kubelet.rs"]
mod kubelet;
#[path = "../support/operator.rs"]
mod operator;
#[path = "../support/prometheus.rs"]
mod prometheus;
#[path = "../support/tenant.rs"]
mod tenant;

mod kills;
mod lane;
mod outages;
mod picture;
mod proxy;
mod random;
mod rollout;
mod schedule;
mod seeds;
mod storm;
