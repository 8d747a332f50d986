//! The CustomResourceDefinition, made from the Rust types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::MetricsNamespace;

/// Fields whose own fields are Kubernetes', with Kubernetes' descriptions.
pub(super) const KUBERNETES_OWN: [&str; 2] = ["affinity", "tolerations"];

/// The definition as it is installed.
///
/// The derive always requires `spec`; an object without one means "all defaults", so it gets `{}` instead.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = MetricsNamespace::crd();
    for version in &mut crd.spec.versions {
        let Some(root) = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        root.required = None;
        if let Some(spec) = property(root, "spec") {
            spec.default = Some(JSON(json!({})));
        }
        describe_fields(root);
    }
    crd
}

fn property<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> Option<&'a mut JSONSchemaProps> {
    schema.properties.as_mut()?.get_mut(name)
}

/// Writes each field's bounds and default into its description, since `kubectl explain` shows nothing else of them; and
/// each paragraph as one line, since it breaks lines itself.
fn describe_fields(schema: &mut JSONSchemaProps) {
    for (name, field) in schema.properties.iter_mut().flatten() {
        if let Some(words) = field.description.take() {
            let facts = facts(field, &words);
            let paragraphs: Vec<_> = words
                .split("\n\n")
                .map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            field.description = Some([vec![paragraphs.join("\n")], facts].concat().join(" "));
        }
        if !KUBERNETES_OWN.contains(&name.as_str()) {
            describe_fields(field);
        }
    }
}

/// What the schema says of a field beside its own words, each as a sentence.
fn facts(field: &JSONSchemaProps, words: &str) -> Vec<String> {
    let mut facts = Vec::new();
    if let (Some(least), Some(most)) = (field.minimum, field.maximum) {
        facts.push(format!("From {least} to {most}."));
    }
    // Of a duration or a size its value is bounded, in the field's own words, and so is its length.
    let is_bounded = words.contains("From `");
    if let Some(most) = field.max_length.filter(|_| !is_bounded) {
        facts.push(format!("At most {most} characters."));
    }
    if let Some(most) = field.max_properties.or(field.max_items) {
        facts.push(format!("At most {most} entries."));
    }
    match field.default.as_ref().map(|default| &default.0) {
        Some(Value::String(default)) => facts.push(format!("Default: `{default}`.")),
        Some(default @ (Value::Bool(_) | Value::Number(_))) => {
            facts.push(format!("Default: {default}."));
        }
        _ => {}
    }
    facts
}

/// The definition as YAML, with a line that says where it came from.
///
/// # Errors
/// When the definition can't be written as YAML, which would be a bug.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    Ok(format!(
        "# Generated from src/api by `simplepipe crd`; do not edit.\n{}",
        serde_saphyr::to_string(&crd())?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path and schema of each field of ours under a schema.
    fn fields(path: &str, schema: &JSONSchemaProps) -> Vec<(String, JSONSchemaProps)> {
        let mut all = Vec::new();
        for (name, field) in schema.properties.iter().flatten() {
            let path = format!("{path}.{name}");
            all.push((path.clone(), field.clone()));
            if !KUBERNETES_OWN.contains(&name.as_str()) {
                all.extend(fields(&path, field));
            }
        }
        all
    }

    fn fields_of_the_spec() -> Vec<(String, JSONSchemaProps)> {
        let mut crd = crd();
        let schema = crd.spec.versions[0].schema.as_mut().unwrap();
        let root = schema.open_api_v3_schema.as_mut().unwrap();
        let fields = fields("spec", property(root, "spec").unwrap());
        assert!(fields.len() > 25, "{}", fields.len());
        fields
    }

    #[test]
    fn kubectl_explain_has_each_fields_default_and_bounds() {
        for (path, field) in fields_of_the_spec() {
            let words = field.description.unwrap_or_default();
            if field.type_.as_deref() == Some("object") && field.properties.is_some() {
                assert!(!words.is_empty(), "{path}");
                continue;
            }
            assert!(words.contains("Default: "), "{path}: {words}");
            let is_bounded = match field.type_.as_deref() {
                Some("boolean") => true,
                Some("string") if field.enum_.is_some() => true,
                Some("string") => words.contains("At most ") || words.contains("From `"),
                Some("integer") => words.contains(&format!("From {}", field.minimum.unwrap())),
                Some("array" | "object") => words.contains("At most "),
                // An amount of a resource, which has no bounds but zero.
                None => field.x_kubernetes_int_or_string == Some(true),
                Some(other) => panic!("{path} is of type {other}"),
            };
            assert!(is_bounded, "{path}: {words}");
        }
    }

    #[test]
    fn what_a_text_has_to_be_like_is_said_in_words_and_not_as_a_pattern() {
        for (path, field) in fields_of_the_spec() {
            assert_eq!(field.pattern, None, "{path}");
            for rule in field.x_kubernetes_validations.iter().flatten() {
                let words = rule.message.as_deref().unwrap_or_default();
                assert!(!words.is_empty(), "{path}: {}", rule.rule);
            }
        }
    }
}
