//! What a refused push collides with. The gateway's answer names the metric; which group has it too, only its API tells.

use std::fmt;
use std::time::{Duration, Instant};

use super::group_contents::{HeldGroup, Labels};
use super::{Client, Group, PushError};
use crate::terminal::{listed, quoted};

/// Metrics that the gateway writes into each group. Twice the same of them, and it refuses every push.
const OF_THE_GATEWAY: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];
/// For asking what refused pushes collide with, all of them: what they were refused for is known without it.
const ASKED_WITHIN: Duration = Duration::from_secs(2);
/// How many groups are named.
const NAMED: usize = 3;

/// Why a push and what the gateway holds can't both be.
#[derive(Debug, PartialEq)]
pub(super) struct Collision {
    kind: Kind,
    /// The push's own group, ready to print.
    ours: String,
    /// Those that it collides with, ready to print; at least one.
    others: Vec<String>,
}

#[derive(Debug, PartialEq)]
enum Kind {
    /// Another group has the metric with the same labels.
    Series(String),
    /// Another group has the metric with another type, the second.
    Type(String, String),
    /// Another group has the second, which takes the name of the first.
    Names(String, String),
    /// The groups are one but for an empty label: nothing is taken any more.
    Stuck,
}

/// What the gateway says of it.
#[derive(Debug, PartialEq)]
enum Clash {
    Series(String, Labels),
    Type(String),
    Names(String, String),
}

impl Client {
    /// Completes the errors of pushes to these groups with what they collide with, where they do and the gateway soon
    /// tells. Asks it for that, so it is for errors that a person is told, once nothing is left to push.
    pub fn explain<'a>(&self, refused: impl IntoIterator<Item = (&'a mut PushError, &'a Group)>) {
        let until = Instant::now() + ASKED_WITHIN;
        for (error, group) in refused {
            if let PushError::Refused(_, answer) = error
                && let Some(clash) = Clash::read(&answer.body)
            {
                let left = until.saturating_duration_since(Instant::now());
                if let Ok(holders) = self.held_families(left, |name| clash.is_about(name)) {
                    answer.collision = clash.among(holders, group).map(Box::new);
                }
            }
        }
    }
}

impl Clash {
    /// From the gateway's answer, where it is about one.
    fn read(answer: &str) -> Option<Self> {
        if answer.contains("collides with previously collected") {
            let mut names = answer
                .split("named \"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap_or_default().to_owned());
            return Some(Self::Names(names.next()?, names.next()?));
        }
        let (_, rest) = answer.split_once("collected metric \"")?;
        let (name, rest) = rest.split_once("\" {")?;
        let name = name.to_owned();
        if rest.contains("was collected before with the same name and label values") {
            Some(Self::Series(name, labels(rest)?))
        } else if rest.contains("} is not a ") {
            Some(Self::Type(name))
        } else {
            None
        }
    }

    fn is_about(&self, family: &str) -> bool {
        match self {
            Self::Series(name, _) | Self::Type(name) => family == name,
            Self::Names(one, other) => family == one || family == other,
        }
    }

    /// The groups that it is with, among those that hold what it is about.
    fn among(self, mut holders: Vec<HeldGroup>, group: &Group) -> Option<Collision> {
        let ours: Labels = group.labels().iter().cloned().collect();
        // The gateway has them in no order.
        holders.sort_by_key(|held| words(&held.labels));
        let is_other = |held: &&HeldGroup| held.labels != ours;
        let words = |held: &HeldGroup| words(&held.labels);
        let has_series = |held: &&HeldGroup, labels: &Labels| {
            let metrics = held.families.values().flat_map(|family| &family.metrics);
            metrics.into_iter().any(|metric| metric.labels == *labels)
        };
        let (kind, others): (Kind, Vec<String>) = match self {
            Self::Series(name, labels) => {
                let same = holders.iter().filter(|held| has_series(held, &labels));
                if OF_THE_GATEWAY.contains(&name.as_str()) {
                    (Kind::Stuck, same.map(words).collect())
                } else {
                    (
                        Kind::Series(name),
                        same.filter(is_other).map(words).collect(),
                    )
                }
            }
            Self::Type(name) => {
                let others: Vec<_> = holders.iter().filter(is_other).collect();
                let held = others.first()?.families.get(&name)?.shown_type();
                let others = others.into_iter().map(words).collect();
                (Kind::Type(name, held), others)
            }
            // The first of the two may be what is held, and the second what is pushed.
            Self::Names(one, other) => {
                let others: Vec<_> = holders.iter().filter(is_other).collect();
                let (pushed, held) = match others.first()?.families.contains_key(&other) {
                    true => (one, other),
                    false => (other, one),
                };
                let holding = others
                    .into_iter()
                    .filter(|group| group.families.contains_key(&held));
                let holding = holding.map(words).collect();
                (Kind::Names(pushed, held), holding)
            }
        };
        (!others.is_empty()).then(|| Collision {
            kind,
            ours: group.to_string(),
            others,
        })
    }
}

/// The labels in the text form of a metric's protobuf, whose blanks are of no fixed number.
fn labels(mut text: &str) -> Option<Labels> {
    let mut labels = Labels::new();
    while let Some(rest) = text.trim_start().strip_prefix("label:{") {
        let (name, rest) = quoted_value(rest, "name:")?;
        let (value, rest) = quoted_value(rest, "value:")?;
        labels.insert(name, value);
        text = rest.trim_start().strip_prefix('}')?;
    }
    Some(labels)
}

fn quoted_value<'a>(text: &'a str, key: &str) -> Option<(String, &'a str)> {
    let text = text.trim_start().strip_prefix(key)?.trim_start();
    // It is a JSON string but for control characters, which a label has none of that anybody wants.
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

/// As [`Group`] has them, `job` first.
fn words(labels: &Labels) -> String {
    let job = labels.get_key_value("job");
    let others = labels.iter().filter(|(name, _)| *name != "job");
    let pairs = job.into_iter().chain(others);
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name} {}", quoted(value)))
        .collect();
    pairs.join(", ")
}

/// Goes on after what was refused.
impl fmt::Display for Collision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, ours, others } = self;
        let groups = groups(others);
        let renamed = match kind {
            Kind::Series(metric) => {
                write!(
                    formatter,
                    "metric {0} has the same labels in {groups} as in this push, which is of group {ours}",
                    quoted(metric)
                )?;
                metric
            }
            Kind::Type(metric, _) => {
                write!(
                    formatter,
                    "metric {} has another type in {groups} than in this push, which is of group {ours}",
                    quoted(metric)
                )?;
                metric
            }
            Kind::Names(metric, held) => {
                write!(
                    formatter,
                    "metric {} of this push, which is of group {ours}, and metric {} in {groups} take the same name",
                    quoted(metric),
                    quoted(held)
                )?;
                metric
            }
            Kind::Stuck => {
                return write!(
                    formatter,
                    "{groups} are one but for an empty label, and it takes no push while it has both. Delete the one \
                     with the empty label (docs/conditions.md says how), then push again"
                );
            }
        };
        formatter.write_str(". The gateway refused this push only. ")?;
        // Somebody else's group is no remedy for a line that is forgotten.
        if let Kind::Type(metric, held) = kind {
            let line = quoted(&format!("# TYPE {metric} {held}"));
            write!(
                formatter,
                "Give it the type {held} too (in text by the line {line}; without such a line a metric is untyped), or \
                 rename it, or delete {groups} if that is yours, then push again"
            )
        } else {
            write!(
                formatter,
                "Rename metric {}, or delete {groups} if that is yours, then push again",
                quoted(renamed)
            )
        }
    }
}

fn groups(groups: &[String]) -> String {
    let word = if groups.len() == 1 { "group" } else { "groups" };
    format!("{word} {}", listed(groups, " and ", NAMED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_however_many_blanks_are_between() {
        let text = r#" label:{name:"instance"  value:""} label:{name:"x" value:"a \"b\" c\\"}  gauge:{value:1}} was"#;
        let expected = [("instance", ""), ("x", r#"a "b" c\"#)];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(labels(text), Some(expected.into()));
        // Cut off.
        assert_eq!(labels(r#" label:{name:"instance"  val"#), None);
    }

    #[test]
    fn other_refusals_are_about_no_other_group() {
        for answer in [
            "text format parsing error in line 1: invalid metric name",
            r#"collected metric "a" { label:{name:"b.c" value:"1"} gauge:{value:1}} has a label with an invalid name: b.c"#,
        ] {
            assert_eq!(Clash::read(answer), None);
        }
    }
}
