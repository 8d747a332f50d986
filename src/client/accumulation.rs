//! Adding what is pushed to what a group holds already: counters, histograms, and summaries without quantiles. What
//! can't be added replaces what was there, as any push does.

use std::collections::HashMap;
use std::str::FromStr;

use crate::gateway::{Group, HeldFamily, HeldGroup, HeldMetric};
use crate::metrics::number::number as shown;
use crate::metrics::{
    COUNT_LIMIT, Family, Histogram, LabelName, Labels, MetricType, Series, Summary, Value,
};
use crate::terminal::quoted;

/// Why something can't be added. Each message names the metric.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum CantAdd {
    /// The group has it as something else.
    #[error(
        "holds {} in this group as a {held}, not as a {pushed}; give it another name, or push it once with --method post, \
         which replaces what is there",
        quoted(.metric)
    )]
    Type {
        metric: String,
        held: String,
        pushed: &'static str,
    },
    /// The group has it from a push that forgot its type.
    #[error(
        "holds {} in this group without a type, not as a {pushed}; push it once with --method post, which replaces what is \
         there, or give it another name",
        quoted(.metric)
    )]
    HeldUntyped {
        metric: String,
        pushed: &'static str,
    },
    /// This push forgot its type.
    #[error(
        "holds {} in this group as a {held}, and in this push it has no type; give it one (in text by the line {}), or another \
         name",
        quoted(.metric),
        quoted(&format!("# TYPE {metric} {held}"))
    )]
    PushedUntyped { metric: String, held: String },
    /// The buckets have other bounds.
    #[error(
        "holds histogram {} in this group with buckets up to {held}, not {pushed}; push the same buckets, or another name",
        quoted(.metric)
    )]
    Buckets {
        metric: String,
        held: String,
        pushed: String,
    },
    /// Quantiles of two sets of observations say nothing about both together.
    #[error("holds summary {} in this group with quantiles, which can't be added up; give it another name", quoted(.0))]
    Quantiles(String),
    /// Buckets of another kind.
    #[error("holds {} in this group as a native histogram, which classic buckets can't be added to", quoted(.0))]
    Native(String),
    /// Something that no push of ours leaves there.
    #[error("holds {} in this group in a form that can't be added to: {problem}", quoted(.metric))]
    Form { metric: String, problem: String },
    /// Counting on would skip numbers.
    #[error("holds {} in this group with more observations than can be counted exactly", quoted(.0))]
    TooMany(String),
    /// The counter is so large that the number disappears in it.
    #[error(
        "holds counter {} in this group at {}, and adding {} leaves it there: numbers from 2^53 on are not exact; \
         count in a larger unit under another name, or delete the group to begin at 0",
        quoted(.metric),
        shown(*.held),
        shown(*.pushed)
    )]
    Lost {
        metric: String,
        held: f64,
        pushed: f64,
    },
}

/// What is to be pushed so that the group holds both.
#[derive(Debug, PartialEq)]
pub struct Sum {
    /// All that was to be added, with what the group holds of it.
    pub families: Vec<Family>,
    /// What was added otherwise than somebody may think, as lines for a person; one for a metric.
    pub notes: Vec<String>,
}

/// `families`, each with what the group holds of it added.
///
/// # Errors
/// When what the group holds can't be added to.
pub fn sum(families: &[Family], held: Option<&HeldGroup>, group: &Group) -> Result<Sum, CantAdd> {
    let mut notes = Vec::new();
    let sum = |family: &Family| {
        let held = held.and_then(|held| held.families.get(family.name.as_str()));
        let Some(held) = held else {
            return Ok(family.clone());
        };
        check_type(family, held)?;
        if !adds_up(family) {
            return Ok(family.clone());
        }
        let (sum, note) = add(family, held, group)?;
        notes.extend(note);
        Ok(sum)
    };
    let families = families.iter().map(sum).collect::<Result<_, _>>()?;
    Ok(Sum { families, notes })
}

/// Whether it is added to what is there; else it replaces that.
pub fn adds_up(family: &Family) -> bool {
    match family.metric_type {
        MetricType::Counter | MetricType::Histogram => true,
        MetricType::Summary => !family.series.iter().any(has_quantiles),
        MetricType::Gauge | MetricType::Untyped => false,
    }
}

fn has_quantiles(series: &Series) -> bool {
    matches!(&series.value, Value::Summary(summary) if !summary.quantiles.is_empty())
}

/// A gauge in place of a counter would lose its sum.
fn check_type(family: &Family, held: &HeldFamily) -> Result<(), CantAdd> {
    let pushed = family.metric_type.word();
    if held.metric_type.eq_ignore_ascii_case(pushed) {
        return Ok(());
    }
    let metric = family.name.as_str().to_owned();
    let held = held.shown_type();
    Err(if held == MetricType::Untyped.word() {
        CantAdd::HeldUntyped { metric, pushed }
    } else if family.metric_type == MetricType::Untyped {
        CantAdd::PushedUntyped { metric, held }
    } else {
        CantAdd::Type {
            metric,
            held,
            pushed,
        }
    })
}

/// A push replaces a family whole, so the series that only the gateway has are among the result.
fn add(
    family: &Family,
    held: &HeldFamily,
    group: &Group,
) -> Result<(Family, Option<String>), CantAdd> {
    let mut note = None;
    let metric = family.name.as_str();
    let mut sum = family.clone();
    if sum.help.is_empty() {
        sum.help.clone_from(&held.help);
    }
    let places: HashMap<Labels, usize> = family
        .series
        .iter()
        .enumerate()
        .map(|(place, series)| (sorted(series.labels.clone()), place))
        .collect();
    for held in &held.metrics {
        let labels = own_labels(metric, held, group)?;
        let value = held_value(metric, family.metric_type, held)?;
        match places.get(&labels) {
            Some(&place) => {
                let series = &mut sum.series[place];
                let sum = plus(metric, &series.value, &value)?;
                note = note.or_else(|| rounding_note(metric, &series.value, &value));
                series.value = sum;
            }
            None => sum.series.push(Series { labels, value }),
        }
    }
    Ok((sum, note))
}

/// Where the sum is so large that whole numbers are skipped, and one of those is meant.
fn rounding_note(metric: &str, pushed: &Value, held: &Value) -> Option<String> {
    let (what, pushed, held) = match (pushed, held) {
        (Value::Number(pushed), Value::Number(held)) => ("counter", *pushed, *held),
        (Value::Summary(pushed), Value::Summary(held)) => {
            ("the sum of summary", pushed.sum, held.sum)
        }
        (Value::Histogram(pushed), Value::Histogram(held)) => {
            ("the sum of histogram", pushed.sum, held.sum)
        }
        _ => return None,
    };
    let added = (pushed + held) - held;
    (is_inexact(pushed + held) && added != pushed).then(|| {
        format!(
            "note: {what} {} is at {} now, and numbers from 2^53 on are not exact: {} was added as {}; count in a \
             larger unit under another name",
            quoted(metric),
            shown(pushed + held),
            shown(pushed),
            shown(added)
        )
    })
}

/// Whether a number is followed by one that is more than 1 larger.
fn is_inexact(number: f64) -> bool {
    number.is_finite() && number.abs() >= COUNT_LIMIT
}

/// Without those that the gateway adds: the group's, and an empty `instance`.
fn own_labels(metric: &str, held: &HeldMetric, group: &Group) -> Result<Labels, CantAdd> {
    let of_group = |name: &str| group.labels().iter().any(|(label, _)| label == name);
    let own = held
        .labels
        .iter()
        .filter(|(name, value)| !value.is_empty() && !of_group(name));
    let labels = own.map(|(name, value)| Ok((LabelName::new(name)?, value.clone())));
    labels
        .collect::<Result<_, crate::metrics::LabelNameError>>()
        .map(sorted)
        .map_err(|error| form(metric, error.to_string()))
}

fn sorted(mut labels: Labels) -> Labels {
    labels.sort();
    labels
}

fn held_value(metric: &str, metric_type: MetricType, held: &HeldMetric) -> Result<Value, CantAdd> {
    Ok(match metric_type {
        MetricType::Gauge | MetricType::Counter | MetricType::Untyped => {
            Value::Number(number(metric, held.value.as_deref())?)
        }
        MetricType::Summary => {
            if held.quantiles.as_ref().is_some_and(|each| !each.is_empty()) {
                return Err(CantAdd::Quantiles(metric.to_owned()));
            }
            Value::Summary(Summary {
                quantiles: Vec::new(),
                sum: number(metric, held.sum.as_deref())?,
                count: number(metric, held.count.as_deref())?,
            })
        }
        MetricType::Histogram => Value::Histogram(Histogram {
            buckets: buckets(metric, held)?,
            sum: number(metric, held.sum.as_deref())?,
            count: number(metric, held.count.as_deref())?,
        }),
    })
}

/// Those below that of all observations, which is the count.
fn buckets(metric: &str, held: &HeldMetric) -> Result<Vec<(f64, f64)>, CantAdd> {
    let Some(serde_json::Value::Object(held)) = &held.buckets else {
        return Err(CantAdd::Native(metric.to_owned()));
    };
    let mut buckets = Vec::new();
    for (bound, count) in held {
        let bound = number(metric, Some(bound))?;
        let count = number(metric, count.as_str())?;
        if bound < f64::INFINITY {
            buckets.push((bound, count));
        }
    }
    buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Ok(buckets)
}

fn plus(metric: &str, pushed: &Value, held: &Value) -> Result<Value, CantAdd> {
    Ok(match (pushed, held) {
        (Value::Number(one), Value::Number(other)) => {
            let sum = one + other;
            if is_inexact(sum) && sum == *other && *one != 0.0 {
                return Err(CantAdd::Lost {
                    metric: metric.to_owned(),
                    held: *other,
                    pushed: *one,
                });
            }
            Value::Number(sum)
        }
        (Value::Summary(one), Value::Summary(other)) => Value::Summary(Summary {
            quantiles: Vec::new(),
            sum: one.sum + other.sum,
            count: count(metric, one.count + other.count)?,
        }),
        (Value::Histogram(one), Value::Histogram(other)) => {
            Value::Histogram(plus_histogram(metric, one, other)?)
        }
        _ => return Err(form(metric, "its types are mixed".to_owned())),
    })
}

fn plus_histogram(
    metric: &str,
    pushed: &Histogram,
    held: &Histogram,
) -> Result<Histogram, CantAdd> {
    let bounds = |histogram: &Histogram| -> Vec<f64> {
        histogram.buckets.iter().map(|(bound, _)| *bound).collect()
    };
    if bounds(pushed) != bounds(held) {
        return Err(CantAdd::Buckets {
            metric: metric.to_owned(),
            held: listed(&bounds(held)),
            pushed: listed(&bounds(pushed)),
        });
    }
    let pairs = pushed.buckets.iter().zip(&held.buckets);
    Ok(Histogram {
        buckets: pairs.map(|(one, other)| (one.0, one.1 + other.1)).collect(),
        sum: pushed.sum + held.sum,
        count: count(metric, pushed.count + held.count)?,
    })
}

fn listed(bounds: &[f64]) -> String {
    match bounds {
        [] => "+Inf only".to_owned(),
        bounds => bounds
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// No bucket has more than the count.
fn count(metric: &str, count: f64) -> Result<f64, CantAdd> {
    if count >= COUNT_LIMIT {
        Err(CantAdd::TooMany(metric.to_owned()))
    } else {
        Ok(count)
    }
}

fn number(metric: &str, text: Option<&str>) -> Result<f64, CantAdd> {
    let text = text.unwrap_or_default();
    f64::from_str(text).map_err(|_| form(metric, format!("{} is no number", quoted(text))))
}

fn form(metric: &str, problem: String) -> CantAdd {
    CantAdd::Form {
        metric: metric.to_owned(),
        problem,
    }
}
