//! Names and jobs of which a gateway takes all and Prometheus nothing: those that Prometheus writes itself, and those that
//! the platform keeps for the cluster, as ConfigMap `simplepipe` says.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;

use regex_lite::Regex;

use crate::api::names::{RESERVED_JOBS, RESERVED_METRICS};
use crate::client::batch::{Batch, TTL};
use crate::metrics::{Family, MetricType};
use crate::terminal::quoted;

/// What is reserved, and whether that is refused.
#[derive(Debug)]
pub struct Reserved {
    metrics: Option<Regex>,
    jobs: Option<Regex>,
    /// Variables that are there and not understood.
    unread: Vec<&'static str>,
    strict: bool,
}

impl Reserved {
    /// As the environment says. `strict`: what is reserved is not even sent.
    pub fn of_environment(strict: bool) -> Self {
        Self::new(strict, |name| env::var_os(name))
    }

    fn new(strict: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut unread = Vec::new();
        let mut pattern = |name: &'static str| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            // Whole names, as Prometheus reads it.
            let pattern = value
                .to_str()
                .and_then(|text| Regex::new(&format!("^(?:{})$", text.trim())).ok());
            if pattern.is_none() {
                unread.push(name);
            }
            pattern
        };
        Self {
            metrics: pattern(RESERVED_METRICS),
            jobs: pattern(RESERVED_JOBS),
            unread,
            strict,
        }
    }

    /// Whether what is reserved is not to be sent.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// What Prometheus drops of these, each named once, in however many groups it is.
    pub fn of_batches(&self, batches: &[Batch]) -> Vec<String> {
        let mut seen = HashSet::new();
        let jobs = batches.iter().filter_map(|each| self.job(each.group.job()));
        let families = batches.iter().flat_map(|batch| &batch.families);
        jobs.chain(families.filter_map(|family| self.metric(family)))
            .filter(|remark| seen.insert(remark.clone()))
            .collect()
    }

    /// What Prometheus does to what is pushed under a job, where it is reserved.
    pub fn job(&self, job: &str) -> Option<String> {
        self.jobs.as_ref()?.is_match(job).then(|| {
            format!(
                "job {} is reserved by the platform; Prometheus drops all that is pushed under it. Rename it.",
                quoted(job)
            )
        })
    }

    /// What Prometheus does to a metric, where its name is reserved.
    pub fn metric(&self, family: &Family) -> Option<String> {
        let name = family.name.as_str();
        if name.contains(':') {
            return Some(format!(
                "metric {} will be dropped between gateway and Prometheus: names with a colon are for its recording rules; \
                 take the colon out",
                quoted(name)
            ));
        }
        if family.name.is_prometheus_own() {
            return Some(format!(
                "metric {} will be dropped between gateway and Prometheus, which writes metrics of this name itself; give \
                 it another name",
                quoted(name)
            ));
        }
        let reserved = self.metrics.as_ref()?;
        // Nobody's measurement.
        let is_sample =
            |sample: &String| family.metric_type != MetricType::Histogram || sample != name;
        let mut samples = family.names().into_iter().filter(is_sample);
        (name != TTL && samples.any(|sample| reserved.is_match(&sample))).then(|| {
            format!(
                "metric {} is reserved by the platform; Prometheus drops it. Rename it.",
                quoted(name)
            )
        })
    }

    /// What is set and not understood, so that nobody knows what it reserves.
    pub fn unread(&self) -> Vec<String> {
        let line = |name: &&str| {
            format!(
                "{name} is not a regular expression, so what it reserves is not known; ask the platform's team"
            )
        };
        self.unread.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::metrics_file::MetricsFile;

    fn reserved(metrics: &str, jobs: &str) -> Reserved {
        Reserved::new(false, |name| {
            Some(
                if name == RESERVED_METRICS {
                    metrics
                } else {
                    jobs
                }
                .into(),
            )
        })
    }

    #[rstest]
    #[case::begins("# TYPE node_x gauge\nnode_x 1\n", "kube_.*|node_.*", true)]
    #[case::whole_names_only("# TYPE my_node_x gauge\nmy_node_x 1\n", "kube_.*|node_.*", false)]
    #[case::of_one_of_several("# TYPE nodes gauge\nnodes 1\n", "kube|node", false)]
    #[case::a_sample("# TYPE a summary\na_sum 1\na_count 1\n", "a_count", true)]
    #[case::not_a_sample(
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "a",
        false
    )]
    #[case::nothing("# TYPE node_x gauge\nnode_x 1\n", "", false)]
    #[case::prometheus_own("# TYPE up gauge\nup 1\n", "", true)]
    fn a_metric_of_which_prometheus_drops_samples_is_reserved(
        #[case] text: &str,
        #[case] pattern: &str,
        #[case] is_reserved: bool,
    ) {
        let file = MetricsFile::parse(text.as_bytes()).unwrap();
        let remark = reserved(pattern, "").metric(&file.families()[0]);
        assert_eq!(remark.is_some(), is_reserved, "{remark:?}");
    }

    #[test]
    fn a_pattern_that_is_none_reserves_nothing_and_is_told() {
        let reserved = reserved("node_(", "kube-.*");
        assert_eq!(
            reserved.unread(),
            [
                "PUSHGATEWAY_RESERVED_METRICS is not a regular expression, so what it reserves is not known; ask the \
                 platform's team"
            ]
        );
        assert!(reserved.job("kube-x").is_some());
        assert!(reserved.job("my-kube-x").is_none());
    }

    /// A pattern that would take a backtracking engine longer than the sun has.
    #[test]
    fn no_pattern_takes_long() {
        let name = "a".repeat(5000);
        let reserved = reserved("", "(a*)*(a*)*b");
        assert!(reserved.job(&name).is_none());
    }
}
