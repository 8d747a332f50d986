//! The exposition of metric families, in Prometheus' text format 0.0.4: what a Pushgateway takes.

use std::fmt::Write;

use super::number::number;
use super::{Family, Labels, Series, Value};

/// All families (HELP where there is one, TYPE, samples), in their order.
pub fn exposition(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        write_family(&mut text, family);
    }
    text
}

// Writing into a String doesn't fail, hence the results that are dropped.
fn write_family(text: &mut String, family: &Family) {
    let name = family.name.as_str();
    if !family.help.is_empty() {
        let _ = writeln!(text, "# HELP {name} {}", escaped_help(&family.help));
    }
    let _ = writeln!(text, "# TYPE {name} {}", family.metric_type.word());
    for Series { labels, value } in &family.series {
        let mut sample = |suffix, extra, value| {
            write_sample(text, &format!("{name}{suffix}"), labels, extra, value);
        };
        match value {
            Value::Number(value) => sample("", None, *value),
            Value::Summary(summary) => {
                for (quantile, value) in &summary.quantiles {
                    sample("", Some(("quantile", *quantile)), *value);
                }
                sample("_sum", None, summary.sum);
                sample("_count", None, summary.count);
            }
            Value::Histogram(histogram) => {
                for (bound, count) in &histogram.buckets {
                    sample("_bucket", Some(("le", *bound)), *count);
                }
                sample("_bucket", Some(("le", f64::INFINITY)), histogram.count);
                sample("_sum", None, histogram.sum);
                sample("_count", None, histogram.count);
            }
        }
    }
}

fn write_sample(
    text: &mut String,
    name: &str,
    labels: &Labels,
    extra: Option<(&str, f64)>,
    value: f64,
) {
    let labels = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped_label(value)));
    let extra = extra.map(|(name, value)| format!("{name}=\"{}\"", number(value)));
    let labels: Vec<String> = labels.chain(extra).collect();
    let _ = if labels.is_empty() {
        writeln!(text, "{name} {}", number(value))
    } else {
        writeln!(text, "{name}{{{}}} {}", labels.join(","), number(value))
    };
}

fn escaped_help(help: &str) -> String {
    help.replace('\\', r"\\").replace('\n', r"\n")
}

fn escaped_label(value: &str) -> String {
    escaped_help(value).replace('"', "\\\"")
}
