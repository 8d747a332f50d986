//! A Kubernetes quantity that is checked by the schema before it is stored.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::api::resource as k8s;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::schema::rule;

/// CEL over what Kubernetes accepts as a quantity, without a sign: nothing here may be negative.
const RULE: &str = "string(self).matches('^([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$')";
const WORDS: &str =
    "expected an amount that is not negative, like 10m or 0.5 of cpu, 64Mi or 1Gi of memory";

/// An amount of a resource, as Kubernetes writes it: `10m`, `128Mi`, `1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quantity(pub String);

impl From<&str> for Quantity {
    fn from(amount: &str) -> Self {
        Self(amount.to_owned())
    }
}

impl From<&Quantity> for k8s::Quantity {
    fn from(quantity: &Quantity) -> Self {
        Self(quantity.0.clone())
    }
}

/// YAML authors write `cpu: 1`, which is a number.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(serde_json::Number),
            Text(String),
        }
        Ok(match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => Self(number.to_string()),
            NumberOrText::Text(text) => Self(text),
        })
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            // Holds for text only.
            "maxLength": 32,
            "x-kubernetes-validations": rule(RULE, WORDS),
        })
    }
}
