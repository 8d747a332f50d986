//! What a Pushgateway holds, group by group, as its API tells it. The exposition would not do: a series there does not
//! say which of its labels are the group's.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use ureq::http::header::DATE;
use ureq::{Body, http};

use super::{Client, Group, PushError};
use crate::terminal::one_line;

/// Most of an answer that is read, in bytes; a gateway has rarely more than a few megabytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Most groups of it that are kept; a gateway that is one has some dozen of those that are asked for.
const MAX_GROUPS: usize = 10_000;

/// Of it, read at a time.
const BUFFER: usize = 16 * 1024;

/// How much of an error in it is shown, in characters: it may quote the gateway.
const ERROR_SHOWN: usize = 400;
/// How much of a type is shown, in characters.
const SHOWN_TYPE: usize = 20;

/// Labels by their names.
pub type Labels = BTreeMap<String, String>;

/// Those of a gateway's groups that were asked for, at one moment.
#[derive(Debug, Default)]
pub struct Held {
    /// In no order.
    pub groups: Vec<HeldGroup>,
    /// When, by the `Date` of the answer: the gateway's own clock, to the second; none where it does not say.
    pub at: Option<Timestamp>,
}

/// A group that the gateway holds.
#[derive(Debug)]
pub struct HeldGroup {
    /// The group's own labels, `job` among them.
    pub labels: Labels,
    /// Its metric families by their names, those among them that the gateway writes itself.
    pub families: BTreeMap<String, HeldFamily>,
}

/// A metric family in a group.
#[derive(Debug, Deserialize)]
pub struct HeldFamily {
    /// When it was pushed, by the gateway's clock.
    pub time_stamp: Timestamp,
    /// `GAUGE`, `COUNTER`, `SUMMARY`, `HISTOGRAM` or `UNTYPED`.
    #[serde(rename = "type")]
    pub metric_type: String,
    /// Empty where there is none.
    #[serde(default)]
    pub help: String,
    pub metrics: Vec<HeldMetric>,
}

impl HeldFamily {
    /// Its type as it is written in text, cut short: it is the gateway's word.
    pub fn shown_type(&self) -> String {
        one_line(&self.metric_type.to_lowercase(), SHOWN_TYPE)
    }
}

/// A series, with those of the fields that its type has. Numbers are text that reads as one.
#[derive(Debug, Deserialize)]
pub struct HeldMetric {
    /// All its labels, the group's and an `instance`, which may be empty, among them.
    #[serde(default)]
    pub labels: Labels,
    /// Of a gauge, a counter or an untyped one.
    pub value: Option<String>,
    /// Of a summary or histogram.
    pub sum: Option<String>,
    /// Of a summary or histogram.
    pub count: Option<String>,
    /// Of a histogram, by upper bound; a native histogram's have another form.
    pub buckets: Option<serde_json::Value>,
    pub quantiles: Option<Labels>,
}

impl Client {
    /// What the gateway holds for the group, in one try; none where it has no such group.
    ///
    /// # Errors
    /// When the gateway can't be reached, or answers with something else.
    pub fn held(&self, group: &Group) -> Result<Option<HeldGroup>, PushError> {
        let wanted: Labels = group.labels().iter().cloned().collect();
        let held = self.held_where(|labels| *labels == wanted)?;
        Ok(held.groups.into_iter().next())
    }

    /// What the gateway holds for the groups that are wanted, in one try.
    ///
    /// # Errors
    /// As [`Client::held`].
    pub fn held_where(&self, wanted: impl Fn(&Labels) -> bool) -> Result<Held, PushError> {
        self.look(self.timeout(), wanted, |_| true)
    }

    /// The groups that hold a family of a wanted name, with these families alone, in one try that takes no longer than
    /// this.
    ///
    /// # Errors
    /// As [`Client::held`].
    pub(super) fn held_families(
        &self,
        within: Duration,
        families: impl Fn(&str) -> bool,
    ) -> Result<Vec<HeldGroup>, PushError> {
        let within = within.min(self.timeout());
        Ok(self.look(within, |_| true, families)?.groups)
    }

    fn look(
        &self,
        within: Duration,
        wanted: impl Fn(&Labels) -> bool,
        families: impl Fn(&str) -> bool,
    ) -> Result<Held, PushError> {
        let response = self.get(within, ["api", "v1", "metrics"])?;
        let at = date(&response);
        let body = response.into_body().into_with_config();
        let reader = BufReader::with_capacity(BUFFER, body.limit(MAX_BYTES).reader());
        let mut groups = Vec::new();
        let wanted = Wanted {
            groups: &wanted,
            families: &families,
        };
        let answer = Answer {
            wanted,
            groups: &mut groups,
        };
        let mut json = serde_json::Deserializer::from_reader(reader);
        answer.deserialize(&mut json).map_err(unreadable)?;
        // Read to its end, the connection can be used again.
        json.end().map_err(unreadable)?;
        Ok(Held { groups, at })
    }
}

fn date(response: &http::Response<Body>) -> Option<Timestamp> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn unreadable(error: serde_json::Error) -> PushError {
    if !error.is_io() {
        return PushError::NoMetrics(one_line(&error.to_string(), ERROR_SHOWN));
    }
    let error = io::Error::from(error);
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    if let Some(ureq::Error::BodyExceedsLimit(_)) = cause {
        return PushError::NoMetrics(format!(
            "they are more than {} MiB; delete the groups that nobody needs",
            MAX_BYTES >> 20
        ));
    }
    PushError::NoAnswer(one_line(
        &format!("its metrics broke off: {error}"),
        ERROR_SHOWN,
    ))
}

/// What is kept of the answer.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// By the group's own labels.
    groups: &'a dyn Fn(&Labels) -> bool,
    /// By the family's name.
    families: &'a dyn Fn(&str) -> bool,
}

/// Reads the answer, and keeps no more than one group that is not wanted in memory.
struct Answer<'a> {
    wanted: Wanted<'a>,
    groups: &'a mut Vec<HeldGroup>,
}

impl<'de> DeserializeSeed<'de> for Answer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Answer<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("the answer of a Pushgateway's API")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { wanted, groups } = self;
        let mut seen = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "data" {
                seen = true;
                map.next_value_seed(Groups { wanted, groups })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if seen {
            Ok(())
        } else {
            Err(de::Error::missing_field("data"))
        }
    }
}

struct Groups<'a> {
    wanted: Wanted<'a>,
    groups: &'a mut Vec<HeldGroup>,
}

impl<'de> DeserializeSeed<'de> for Groups<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Groups<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an array of groups")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(fields) = seq.next_element::<BTreeMap<String, Box<RawValue>>>()? {
            if let Some(group) = group(fields, self.wanted)? {
                self.groups.push(group);
            }
            if self.groups.len() > MAX_GROUPS {
                return Err(de::Error::custom(
                    "it has more groups of what is asked for than can be",
                ));
            }
        }
        Ok(())
    }
}

/// A metric named `labels` stands where the group's labels should. What the gateway itself has in the group has them too,
/// but for an empty `instance`, which it adds where there is none. Where that could be a group that is wanted, guessing
/// wrong would lose what it holds.
fn group<E: de::Error>(
    fields: BTreeMap<String, Box<RawValue>>,
    Wanted {
        groups: wanted,
        families: is_wanted,
    }: Wanted,
) -> Result<Option<HeldGroup>, E> {
    let read = |name| fields.get(name).map(|json| json.get());
    let own = read("labels").and_then(|labels| serde_json::from_str::<Labels>(labels).ok());
    let Some(labels) = own else {
        let pushed: Option<HeldFamily> =
            read("push_time_seconds").and_then(|family| serde_json::from_str(family).ok());
        let labels = pushed.and_then(|family| Some(family.metrics.into_iter().next()?.labels));
        let may_be_wanted = labels.is_none_or(|mut labels| {
            let as_it_is = wanted(&labels);
            labels.retain(|name, value| name != "instance" || !value.is_empty());
            as_it_is || wanted(&labels)
        });
        if may_be_wanted {
            return Err(E::custom(
                "the group has a metric named \"labels\", which hides its own labels; push that one under another name",
            ));
        }
        return Ok(None);
    };
    if !wanted(&labels) {
        return Ok(None);
    }
    let families = fields
        .into_iter()
        .filter(|(name, value)| {
            let says_whether = name == "last_push_successful" && !value.get().starts_with('{');
            name != "labels" && !says_whether && is_wanted(name)
        })
        .map(|(name, family)| Ok((name, serde_json::from_str(family.get())?)))
        .collect::<Result<BTreeMap<_, _>, serde_json::Error>>()
        .map_err(E::custom)?;
    // The gateway has families of its own in each group, so in this one are only others than the wanted ones.
    if families.is_empty() {
        return Ok(None);
    }
    Ok(Some(HeldGroup { labels, families }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<HeldGroup>, String> {
        let mut groups = Vec::new();
        let answer = Answer {
            wanted: Wanted {
                groups: &|labels| labels["job"] == "train",
                families: &|_| true,
            },
            groups: &mut groups,
        };
        answer
            .deserialize(&mut serde_json::Deserializer::from_str(json))
            .map_err(|error| error.to_string())?;
        Ok(groups)
    }

    #[test]
    fn only_wanted_groups_are_kept() {
        let groups = read(
            r#"{"status": "success", "data": [
                {"labels": {"job": "other"}, "rows": 7},
                {"labels": {"job": "train"}, "last_push_successful": true,
                 "rows_total": {"time_stamp": "2026-11-25T00:09:57.219209992Z", "type": "COUNTER", "help": "Rows",
                                "metrics": [{"labels": {"job": "train", "instance": ""}, "value": "1e+06"}]}}
            ]}"#,
        )
        .unwrap();
        let [group] = &groups[..] else {
            panic!("{groups:?}");
        };
        let rows = &group.families["rows_total"];
        assert_eq!(rows.metric_type, "COUNTER");
        assert_eq!(rows.metrics[0].value.as_deref(), Some("1e+06"));
    }

    #[test]
    fn an_answer_without_groups_is_none() {
        assert!(read("{}").unwrap_err().starts_with("missing field `data`"));
        assert!(read(r#"{"data": null}"#).is_err());
        assert!(read(r#"{"data": []}"#).unwrap().is_empty());
    }

    #[test]
    fn a_group_that_hides_its_labels_is_passed_over_only_where_it_is_another() {
        let of_job = |job: &str| {
            let family = |metrics: &str| {
                format!(
                    r#"{{"time_stamp": "2026-11-25T00:09:57Z", "type": "GAUGE", "metrics": [{metrics}]}}"#
                )
            };
            let pushed =
                format!(r#"{{"labels": {{"job": "{job}", "instance": ""}}, "value": "1"}}"#);
            read(&format!(
                r#"{{"data": [{{"labels": {}, "push_time_seconds": {}}}]}}"#,
                family(""),
                family(&pushed)
            ))
        };
        assert!(of_job("other").unwrap().is_empty());
        let error = of_job("train").unwrap_err();
        assert!(
            error.starts_with("the group has a metric named \"labels\""),
            "{error}"
        );
    }
}
