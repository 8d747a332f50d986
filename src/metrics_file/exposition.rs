//! The exposition of a metrics file, in Prometheus' text format 0.0.4: what a Pushgateway takes.

use std::fmt::Write;

use super::{Metric, MetricsFile, Sample};

/// All metrics of the file, each a family of its own (HELP where there is one, TYPE, samples), in the file's order.
pub fn exposition(file: &MetricsFile) -> String {
    let mut text = String::new();
    for metric in file.metrics() {
        write_family(&mut text, metric);
    }
    text
}

// Writing into a String doesn't fail, hence the results that are dropped.
fn write_family(
    text: &mut String,
    Metric {
        name,
        description,
        sample,
    }: &Metric,
) {
    let family = family_name(name.as_str(), sample);
    if !description.is_empty() {
        let _ = writeln!(text, "# HELP {family} {}", escaped_help(description));
    }
    let _ = match sample {
        Sample::Gauge(value) => {
            writeln!(text, "# TYPE {family} gauge\n{family} {}", number(*value))
        }
        Sample::Summary(value) => {
            writeln!(
                text,
                "# TYPE {family} summary\n{family}_sum {}\n{family}_count 1",
                number(*value)
            )
        }
        // One bucket: where the others would have to be only the author of the metric knows.
        Sample::Histogram(value) => writeln!(
            text,
            "# TYPE {family} histogram\n{family}_bucket{{le=\"+Inf\"}} 1\n{family}_sum {}\n{family}_count 1",
            number(*value)
        ),
        // The text format has no type `info`; a gauge that is 1 is its form there. The value is a number as it was
        // written, which has nothing to escape.
        Sample::Info(value) => writeln!(
            text,
            "# TYPE {family} gauge\n{family}{{value=\"{value}\"}} 1"
        ),
    };
}

/// The name that stands in the TYPE line.
fn family_name(name: &str, sample: &Sample) -> String {
    match sample {
        Sample::Info(_) if !name.ends_with("_info") => format!("{name}_info"),
        _ => name.to_owned(),
    }
}

/// Every name that the metric takes for itself: no other metric may take one of them.
pub(super) fn names_taken(name: &str, sample: &Sample) -> Vec<String> {
    let family = family_name(name, sample);
    let suffixes: &[&str] = match sample {
        Sample::Gauge(_) | Sample::Info(_) => &[],
        Sample::Summary(_) => &["_sum", "_count"],
        Sample::Histogram(_) => &["_bucket", "_sum", "_count"],
    };
    suffixes
        .iter()
        .map(|suffix| format!("{family}{suffix}"))
        .chain([family.clone()])
        .collect()
}

fn escaped_help(description: &str) -> String {
    description.replace('\\', r"\\").replace('\n', r"\n")
}

/// A value as the format has it: the shortest text that reads back as the same number.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if value == 0.0 || (1e-5..1e17).contains(&value.abs()) {
        value.to_string()
    } else {
        // In full, 1e300 would be 301 digits.
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn exposition_of(json: &str) -> String {
        exposition(&MetricsFile::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn each_type_has_its_form() {
        insta::assert_snapshot!(exposition_of(
            r#"[
                {"name": "run_time_seconds", "description": "Run time", "value": "6", "metric_type": "gauge"},
                {"name": "rows", "description": "Rows read", "value": 12.5, "metric_type": "summary"},
                {"name": "latency_seconds", "description": "Latency", "value": -3e-7, "metric_type": "histogram"},
                {"name": "model_version", "description": "Version", "value": "3.10", "metric_type": "info"},
                {"name": "data_info", "description": "Data", "value": 20261124, "metric_type": "info"}
            ]"#
        ), @r#"
        # HELP run_time_seconds Run time
        # TYPE run_time_seconds gauge
        run_time_seconds 6
        # HELP rows Rows read
        # TYPE rows summary
        rows_sum 12.5
        rows_count 1
        # HELP latency_seconds Latency
        # TYPE latency_seconds histogram
        latency_seconds_bucket{le="+Inf"} 1
        latency_seconds_sum -3e-7
        latency_seconds_count 1
        # HELP model_version_info Version
        # TYPE model_version_info gauge
        model_version_info{value="3.10"} 1
        # HELP data_info Data
        # TYPE data_info gauge
        data_info{value="20261124"} 1
        "#);
    }

    #[test]
    fn a_description_stays_on_its_line() {
        insta::assert_snapshot!(exposition_of(
            r#"[
                {"name": "a", "description": "one\ntwo \\n \"three\"\nup 0", "value": 1, "metric_type": "gauge"},
                {"name": "b", "value": 2, "metric_type": "gauge"}
            ]"#
        ), @r#"
        # HELP a one\ntwo \\n "three"\nup 0
        # TYPE a gauge
        a 1
        # TYPE b gauge
        b 2
        "#);
    }

    #[rstest]
    #[case(6.0, "6")]
    #[case(-0.0, "-0")]
    #[case(0.1, "0.1")]
    #[case(1e16, "10000000000000000")]
    #[case(1e17, "1e17")]
    #[case(-1.5e300, "-1.5e300")]
    #[case(1.25e-5, "0.0000125")]
    #[case(5e-324, "5e-324")]
    #[case(f64::NAN, "NaN")]
    #[case(f64::INFINITY, "+Inf")]
    #[case(f64::NEG_INFINITY, "-Inf")]
    fn numbers_are_short_and_in_prometheus_words(#[case] value: f64, #[case] text: &str) {
        assert_eq!(number(value), text);
    }

    /// A family as a reader of the exposition sees it.
    #[derive(Debug, Default, PartialEq)]
    struct Family {
        help: String,
        metric_type: String,
        samples: Vec<(String, String)>,
    }

    /// A reader that knows the format's rules, not ours: a family begins with its first HELP or TYPE line, and its
    /// samples bear its name, with the suffixes that its type allows.
    fn families(exposition: &str) -> Vec<(String, Family)> {
        let mut families: Vec<(String, Family)> = Vec::new();
        for line in exposition.split_terminator('\n') {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                let help = help
                    .replace(r"\\", "\0")
                    .replace(r"\n", "\n")
                    .replace('\0', "\\");
                families.push((
                    name.to_owned(),
                    Family {
                        help,
                        ..Family::default()
                    },
                ));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, metric_type) = rest.split_once(' ').unwrap();
                if families.last().is_none_or(|(last, _)| last != name) {
                    families.push((name.to_owned(), Family::default()));
                }
                families.last_mut().unwrap().1.metric_type = metric_type.to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, family) = families.last_mut().unwrap();
                let suffix = series.strip_prefix(name.as_str()).unwrap();
                let allowed: &[&str] = match family.metric_type.as_str() {
                    "gauge" => &["", "{value="],
                    "summary" => &["_sum", "_count"],
                    "histogram" => &["_bucket{le=\"+Inf\"}", "_sum", "_count"],
                    other => panic!("{other} is no type of the format"),
                };
                assert!(
                    allowed.iter().any(|each| suffix.starts_with(each)),
                    "{line} in a {}",
                    family.metric_type
                );
                family.samples.push((suffix.to_owned(), value.to_owned()));
            }
        }
        families
    }

    fn expected(
        index: usize,
        metric_type: &str,
        value: f64,
        description: &str,
    ) -> (String, Family) {
        let sample = |suffix: &str, value: String| (suffix.to_owned(), value);
        let one = || "1".to_owned();
        let (suffix, metric_type, samples) = match metric_type {
            "summary" => (
                "",
                "summary",
                vec![sample("_sum", number(value)), sample("_count", one())],
            ),
            "histogram" => (
                "",
                "histogram",
                vec![
                    sample("_bucket{le=\"+Inf\"}", one()),
                    sample("_sum", number(value)),
                    sample("_count", one()),
                ],
            ),
            "info" => (
                "_info",
                "gauge",
                vec![sample(&format!("{{value=\"{}\"}}", number(value)), one())],
            ),
            _ => ("", "gauge", vec![sample("", number(value))]),
        };
        let family = Family {
            help: description.to_owned(),
            metric_type: metric_type.to_owned(),
            samples,
        };
        (format!("m{index}{suffix}"), family)
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_reads_back_the_same(metrics in prop::collection::vec(
            (
                prop::sample::select(vec!["gauge", "summary", "histogram", "info"]),
                prop::num::f64::ANY,
                "[^\\p{Cc}]{0,12}[\\\\n\n\"]{0,4}[^\\p{Cc}]{0,12}",
            ),
            1..8,
        )) {
            let json: Vec<_> = metrics.iter().enumerate().map(|(index, (metric_type, value, description))| {
                serde_json::json!({
                    "name": format!("m{index}"),
                    "description": description,
                    "value": number(*value),
                    "metric_type": metric_type,
                })
            }).collect();
            let exposition = exposition_of(&serde_json::to_string(&json).unwrap());
            let expected: Vec<_> = metrics.iter().enumerate().map(|(index, (metric_type, value, description))| {
                expected(index, metric_type, *value, description)
            }).collect();
            prop_assert_eq!(families(&exposition), expected);
        }

        #[test]
        fn a_number_reads_back_as_the_same_number(value in prop::num::f64::ANY) {
            let read: f64 = number(value).parse().unwrap();
            prop_assert!(read == value || read.is_nan() && value.is_nan());
        }
    }
}
