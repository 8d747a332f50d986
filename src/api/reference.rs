//! The API reference for people, as Markdown, made from the definition.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrBool,
};

use super::crd::{KUBERNETES_OWN, crd};

const HEAD: &str = "\
<!-- Generated from src/api by `simplepipe crd --markdown`; do not edit. -->
# API reference

What `kubectl explain mns.spec` and similar commands show, on one page. Every field of `spec` may be left out. The API
server refuses a value that does not fit. It says what would be right, or which type the field has. Some values it can
judge only as part of a Deployment, such as `operator` in a toleration. If it refuses one of them,
[`Ready`](conditions.md) says so with the reason `Refused`.

```yaml
apiVersion: simplepipe.dev/v1alpha1
kind: MetricsNamespace
metadata:
  name: metrics
  namespace: alice
spec: {}
```
";

pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    let crd = crd();
    let schemas = crd.spec.versions.iter().filter_map(|v| v.schema.as_ref());
    for root in schemas.filter_map(|s| s.open_api_v3_schema.as_ref()) {
        for name in ["spec", "status"] {
            if let Some(schema) = root.properties.as_ref().and_then(|p| p.get(name)) {
                section(&mut text, name, schema);
            }
        }
    }
    text
}

fn section(text: &mut String, path: &str, schema: &JSONSchemaProps) {
    let properties = || schema.properties.iter().flatten();
    let _ = write!(
        text,
        "\n## `{path}`\n\n{}\n\n| field | type | |\n|---|---|---|\n",
        one_line(schema.description.as_deref().unwrap_or_default())
    );
    for (name, field) in properties() {
        let description = match has_section(path, name, field) {
            true => format!("[below](#{})", anchor(&format!("{path}.{name}"))),
            false => one_line(field.description.as_deref().unwrap_or_default()),
        };
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} |",
            type_of(name, field),
            description.replace('|', "\\|")
        );
    }
    let rules: Vec<_> = schema
        .x_kubernetes_validations
        .iter()
        .flatten()
        .filter_map(|rule| rule.message.as_deref())
        .collect();
    if !rules.is_empty() {
        text.push('\n');
    }
    for rule in rules {
        let _ = writeln!(text, "- {rule}");
    }
    for (name, field) in properties().filter(|(name, field)| has_section(path, name, field)) {
        section(text, &format!("{path}.{name}"), field);
    }
}

fn has_section(path: &str, name: &str, field: &JSONSchemaProps) -> bool {
    let is_ours = !KUBERNETES_OWN.contains(&name);
    // Of `resources` both are alike, and told in its own section.
    is_ours && field.properties.is_some() && path.matches('.').count() < 3
}

fn type_of(name: &str, field: &JSONSchemaProps) -> String {
    if KUBERNETES_OWN.contains(&name) {
        return match field.type_.as_deref() {
            Some("array") => "list, as in a Pod".into(),
            _ => "as in a Pod".into(),
        };
    }
    if let Some(values) = &field.enum_ {
        let values = values.iter().filter_map(|v| v.0.as_str());
        return values
            .map(|v| format!("`{v}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    match field.type_.as_deref() {
        None => "amount".into(),
        Some("array") => "list".into(),
        Some("object") if field.properties.is_none() => match &field.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(_)) => "map of texts".into(),
            _ => "object".into(),
        },
        Some("string") if field.format.as_deref() == Some("date-time") => "time".into(),
        Some("string") => "text".into(),
        Some("integer") => "number".into(),
        Some("boolean") => "`true`, `false`".into(),
        Some(other) => other.into(),
    }
}

/// As GitHub makes it of a heading.
fn anchor(path: &str) -> String {
    path.replace('.', "").to_lowercase()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
