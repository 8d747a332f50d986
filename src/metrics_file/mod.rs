//! The metrics file: what a step writes for `simplepipe push`. Read, checked as a whole, and written as an exposition
//! that Prometheus understands. Knows no network. `docs/metrics-file.md` describes the formats.
//!
//! A file is taken whole or not at all: [`MetricsFile`] only exists for one without a problem.

mod collection;
mod document;
mod exposition;
mod family;
mod json;
mod metric;
mod name;
mod number;
mod parse;
mod problem;
mod sample_line;
mod schema;
mod source;
mod text;

pub use exposition::exposition;
pub use family::{COUNT_LIMIT, Family, Histogram, Labels, MetricType, Series, Summary, Value};
pub use name::{LabelName, LabelNameError, MetricName, NameError};
pub use parse::{MetricsFile, Rejection};
pub use problem::{LISTED, Place, Problem, Problems};
pub use schema::schema_json;
pub use source::{MAX_BYTES, ReadError, Source};
