//! What fields of several parts of the schema have in common.

use schemars::Schema;
use schemars::transform::transform_subschemas;

/// Seconds, minutes and hours, as both Prometheus and CEL's `duration()` read them.
pub(super) const DURATION_PATTERN: &str = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$";
/// CEL over the time between two scrapes.
pub(super) const INTERVAL_RULE: &str =
    "duration(self) >= duration('5s') && duration(self) <= duration('1h')";
/// CEL over a map whose keys are names of labels.
pub(super) const LABEL_NAME_RULE: &str = "self.all(k, k.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$') && k.size() <= 317)";

/// Schema of a label's value.
pub(super) fn label_value() -> serde_json::Value {
    serde_json::json!({
        "type": "string",
        "maxLength": 63,
        "pattern": r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$",
    })
}

/// Bounds every list in the schema of Kubernetes' own, which has none: the operator keeps all objects in memory.
pub(super) fn short_lists(schema: &mut Schema) {
    if schema.get("type").is_some_and(|kind| kind == "array") {
        schema.insert("maxItems".to_owned(), 32.into());
    }
    transform_subschemas(&mut short_lists, schema);
}
