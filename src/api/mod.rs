//! What users write and read: the custom resource, its conditions, and the names they rely on.
//! Types only; no client.

pub mod condition_types;
pub mod crd;
pub mod metrics_namespace;
pub mod names;
pub mod prometheus_operator;
pub mod quantity;
pub mod reference;
mod schema;
pub mod seldon;
pub mod status;

pub use metrics_namespace::{MetricsNamespace, MetricsNamespaceSpec};
pub use status::MetricsNamespaceStatus;
