//! Metrics as they are pushed: families with their series, names that have been checked, and Prometheus' text of them.
//! Knows no file and no network.

mod exposition;
mod family;
mod name;
pub(crate) mod number;

pub use exposition::exposition;
pub(crate) use family::names;
pub use family::{COUNT_LIMIT, Family, Histogram, Labels, MetricType, Series, Summary, Value};
pub use name::{LabelName, LabelNameError, MetricName, NameError};
