//! A Kubernetes quantity that is checked by the schema before it is stored.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::api::resource as k8s;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// What Kubernetes accepts as a quantity, without a sign: nothing here may be negative.
const PATTERN: &str = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

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
            // A pattern and a length hold for text, a minimum for numbers.
            "pattern": PATTERN,
            "maxLength": 32,
            "minimum": 0,
        })
    }
}
