//! The metrics file: what a workflow step writes for `simplepipe push`. Read, checked as a whole, and written as an
//! exposition that Prometheus understands. Knows no network.
//!
//! The format is the first Simplepipe's, a JSON array:
//!
//! ```json
//! [{"name": "run_time_seconds", "description": "Run time", "value": "6", "metric_type": "gauge"}]
//! ```
//!
//! | field | | |
//! |---|---|---|
//! | `name` | required | letters, digits, `_` and `:`, not starting with a digit; not one of the gateway's own names |
//! | `description` | optional | text; Prometheus' HELP |
//! | `value` | required | a JSON number, or a string that holds one (`NaN`, `+Inf` and `-Inf` too, as Prometheus has them) |
//! | `metric_type` | required | `gauge`, `summary`, `histogram` or `info` |
//!
//! There is one value for each metric, so what a type becomes is what one value can honestly say:
//!
//! | `metric_type` | becomes |
//! |---|---|
//! | `gauge` | `NAME VALUE` |
//! | `summary` | a summary of one observation: `NAME_sum VALUE`, `NAME_count 1` |
//! | `histogram` | a histogram of one observation in one bucket: `NAME_bucket{le="+Inf"} 1`, `NAME_sum VALUE`, `NAME_count 1` |
//! | `info` | a gauge that is 1, with the value as written as its label: `NAME_info{value="VALUE"} 1` |
//!
//! A summary or histogram starts anew with each push, so `rate()` over it says nothing; `NAME_sum` is the last value.
//! A file is taken whole or not at all: [`MetricsFile`] only exists for one without a problem.

mod exposition;
mod json;
mod metric;
mod parse;
mod problem;
mod source;

pub use exposition::exposition;
pub use metric::{Metric, MetricName, NameError, Sample};
pub use parse::{MetricsFile, Rejection};
pub use problem::{LISTED, Problem, Problems};
pub use source::{MAX_BYTES, ReadError, Source};
