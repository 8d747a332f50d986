//! Metric families and their series.

use super::{LabelName, MetricName};

/// All series of one metric name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name that stands in the TYPE line: with unit, `_total` and `_info` where they belong to it.
    pub name: MetricName,
    /// What the values mean, in the words of Prometheus' text format.
    pub metric_type: MetricType,
    /// HELP text; empty where there is none.
    pub help: String,
    /// At least one, no two with the same labels. The values are of the family's type.
    pub series: Vec<Series>,
}

/// The types of Prometheus' text format 0.0.4. It has none for an info, which is a gauge there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
    /// A sum and a count, with quantiles.
    Summary,
    /// A sum and a count, with buckets.
    Histogram,
    /// Nobody said.
    Untyped,
}

/// The value of one set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Without those of the push group.
    pub labels: Labels,
    /// By the type of its family.
    pub value: Value,
}

/// Labels in the order in which they were written, each name once, no value empty.
pub type Labels = Vec<(LabelName, String)>;

/// Numbers of observations are below this: from here on a float skips some, so that one more may be none.
pub const COUNT_LIMIT: f64 = 9_007_199_254_740_992.0;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a gauge, a counter or an untyped one.
    Number(f64),
    Summary(Summary),
    Histogram(Histogram),
}

/// Observations by their quantiles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// From 0 to 1, with their values, ascending.
    pub quantiles: Vec<(f64, f64)>,
    pub sum: f64,
    /// How many there were; whole.
    pub count: f64,
}

/// Observations by buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Finite upper bounds, ascending, with the number of observations up to them; whole. The bucket of all of them is
    /// the count.
    pub buckets: Vec<(f64, f64)>,
    pub sum: f64,
    /// How many there were; whole.
    pub count: f64,
}

impl Family {
    /// A gauge that this program measures itself. None where the name is no name.
    pub fn gauge(
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> Option<Self> {
        let series = series.into_iter().map(|(labels, number)| Series {
            labels,
            value: Value::Number(number),
        });
        Some(Self {
            name: MetricName::new(name).ok()?,
            metric_type: MetricType::Gauge,
            help: help.to_owned(),
            series: series.collect(),
        })
    }

    /// Every name that the family takes for itself: no other one may take one of them.
    pub fn names(&self) -> Vec<String> {
        names(self.name.as_str(), self.metric_type)
    }
}

impl MetricType {
    /// Its word in a TYPE line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
            Self::Untyped => "untyped",
        }
    }

    /// The endings of the names of its samples.
    pub(crate) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Gauge | Self::Counter | Self::Untyped => &[""],
            Self::Summary => &["", "_sum", "_count"],
            Self::Histogram => &["_bucket", "_sum", "_count"],
        }
    }
}

/// The names of a family's samples, and its own.
pub(crate) fn names(family: &str, metric_type: MetricType) -> Vec<String> {
    let mut names: Vec<String> = metric_type
        .suffixes()
        .iter()
        .map(|suffix| format!("{family}{suffix}"))
        .collect();
    if !names.iter().any(|name| name == family) {
        names.push(family.to_owned());
    }
    names
}
