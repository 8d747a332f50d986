//! Prometheus Operator types.
