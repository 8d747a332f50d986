//! The metrics file: what a step writes for `simplepipe push`. Read, and checked as a whole. Knows no network. `docs/metrics-file.md` describes the formats.
//!
//! A file is taken whole or not at all: [`MetricsFile`] only exists for one without a problem.

mod collection;
mod document;
mod json;
mod metric;
mod parse;
mod problem;
mod sample_line;
mod schema;
mod source;
mod text;

pub use parse::{MetricsFile, Rejection};
pub use problem::{LISTED, Place, Problem, Problems};
pub use schema::schema_json;
pub use source::{MAX_BYTES, ReadError, Source};
