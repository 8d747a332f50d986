//! The operator as a process, on a real Kubernetes API server.
//!
//! There are no nodes: a test says itself how a gateway's pod is. Two control planes serve all tests. On the shared
//! one, one operator runs all the time, and each test has namespaces of its own. The other is for tests that stop
//! operators or take away what all tenants need; those have it one after another.

#![allow(clippy::unwrap_used)] // The lint knows tests by their attribute; the rest here serves nothing but tests.

#[path = "../support/admission_policy.rs"]
mod admission_policy;
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
#[path = "../support/own_fields.rs"]
mod own_fields;
#[path = "../support/prometheus.rs"]
mod prometheus;
#[path = "../support/taking.rs"]
mod taking;
#[path = "../support/tenant.rs"]
mod tenant;
#[path = "../support/webhook.rs"]
mod webhook;

mod alerts;
mod children;
mod contests;
mod cost;
mod crashes;
mod drift;
mod enrolment;
mod gateway_image;
mod handover;
mod http_port;
mod large;
mod lifetime;
mod log;
mod monitor_kind;
mod name_taken;
mod one_writer;
mod outages;
mod pods;
mod quiet;
mod restored;
mod rights;
mod schema;
mod selection;
mod slow;
mod spec_cases;
mod spec_changes;
mod stages;
mod statuses;
mod taken;
mod unreadable;
mod upgrade;
mod user_ids;
