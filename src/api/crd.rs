//! The CustomResourceDefinition, made from the Rust types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::MetricsNamespace;

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
    }
    crd
}

fn property<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> Option<&'a mut JSONSchemaProps> {
    schema.properties.as_mut()?.get_mut(name)
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
