//! A ValidatingAdmissionPolicy of a test.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

/// Creates it, and the binding by which it denies. The API server takes a moment to heed it.
pub async fn create(client: &Client, name: &str, spec: Value) {
    let parameters = PostParams::default();
    let policy = json!({"metadata": {"name": name}, "spec": spec});
    Api::<ValidatingAdmissionPolicy>::all(client.clone())
        .create(&parameters, &serde_json::from_value(policy).unwrap())
        .await
        .unwrap();
    let binding = json!({
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    Api::<ValidatingAdmissionPolicyBinding>::all(client.clone())
        .create(&parameters, &serde_json::from_value(binding).unwrap())
        .await
        .unwrap();
}

/// Takes it away.
pub async fn delete(client: &Client, name: &str) {
    let parameters = DeleteParams::default();
    Api::<ValidatingAdmissionPolicyBinding>::all(client.clone())
        .delete(name, &parameters)
        .await
        .unwrap();
    Api::<ValidatingAdmissionPolicy>::all(client.clone())
        .delete(name, &parameters)
        .await
        .unwrap();
}
