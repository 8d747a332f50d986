//! What fields of several parts of the schema have in common.
//!
//! What a text has to be like is a rule and no pattern: of a pattern the API server tells no more than the regular
//! expression, and a rule has words.

use schemars::Schema;
use schemars::transform::transform_subschemas;
use serde_json::{Value, json};

/// CEL over the time between two scrapes: what both Prometheus and `duration()` read, within bounds.
pub(super) const INTERVAL_RULE: &str = "self.size() > 1 && self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$') \
     && duration(self) >= duration('5s') && duration(self) <= duration('1h')";
pub(super) const INTERVAL_WORDS: &str = "expected a duration from 5s to 1h, like 30s, 1m30s or 1h";
/// CEL over the time after which a scrape is given up.
pub(super) const TIMEOUT_RULE: &str = "self.size() > 1 && self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$') \
     && duration(self) >= duration('1s')";
pub(super) const TIMEOUT_WORDS: &str =
    "expected a duration from 1s to the interval, like 10s or 1m";
/// CEL over both. What is no duration is refused above, and not here too.
pub(super) const TIMEOUT_WITHIN_INTERVAL_RULE: &str = "!has(self.timeout) \
     || ![self.timeout, self.interval].all(d, d.size() > 1 && d.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$')) \
     || duration(self.timeout) <= duration(self.interval)";
/// CEL over a map whose keys are names of labels.
pub(super) const LABEL_NAME_RULE: &str = "self.all(k, k.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$') && k.size() <= 317)";
pub(super) const LABEL_NAME_WORDS: &str =
    "expected names of labels, like `release` or `example.com/team`";
/// CEL over a map whose values are those of labels.
pub(super) const LABEL_VALUE_RULE: &str =
    "self.all(k, self[k].matches('^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$'))";
pub(super) const LABEL_VALUE_WORDS: &str = "expected values of labels, like `monitoring` or `team-1`: letters and \
     digits, and between them also '-', '_' and '.'";

/// Schema of a label's value.
pub(super) fn label_value() -> Value {
    json!({"type": "string", "maxLength": 63})
}

/// A rule for types whose schema is not written by `KubeSchema`.
pub(super) fn rule(rule: &str, message: &str) -> Value {
    json!([{"rule": rule, "message": message}])
}

/// Bounds every list in the schema of Kubernetes' own, which has none: the operator keeps all objects in memory.
pub(super) fn short_lists(schema: &mut Schema) {
    if schema.get("type").is_some_and(|kind| kind == "array") {
        schema.insert("maxItems".to_owned(), 32.into());
    }
    transform_subschemas(&mut short_lists, schema);
}
