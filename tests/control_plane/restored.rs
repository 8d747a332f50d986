//! A namespace that is restored from a backup: its objects are back, with other UIDs and without managed fields.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use rstest::rstest;
use serde_json::{Value, json};

use crate::admission_policy;
use crate::child_names::{CHILDREN, SERVICE_MONITOR, everything};
use crate::eventually::{eventually, so};
use crate::own_fields::{held, own_fields};
use crate::stages::shared;
use crate::tenant::Tenant;

/// What a backup says of owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owners {
    /// Nothing.
    None,
    /// Those of the time, which are gone.
    Old,
}

const REFUSAL: &str = "nothing is deleted here";

#[rstest]
#[case::without_owners("restored-alone", Owners::None)]
#[case::with_owners_that_are_gone("restored-orphaned", Owners::Old)]
#[tokio::test]
async fn its_children_are_taken_over_again(#[case] namespace: &str, #[case] owners: Owners) {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, namespace, everything()).await;
    let mut backup = Vec::new();
    for child in &CHILDREN {
        let object = tenant.child(child).await;
        let fields = own_fields(&object);
        let wanted = content(&fields, &object);
        backup.push((child, object, fields, wanted));
    }
    tenant.delete("metrics").await;
    for child in &CHILDREN {
        tenant.until_gone(child).await;
    }

    // The garbage collector deletes what only owners have that are gone, and may be faster than the operator.
    refuse_deletions(&tenant).await;
    let parameters = PostParams {
        field_manager: Some("velero-server".into()),
        ..PostParams::default()
    };
    let mut restored = Vec::new();
    for (child, object, ..) in &backup {
        let mut object = stripped(object);
        if owners == Owners::None {
            object["metadata"]["ownerReferences"] = Value::Null;
        }
        object["metadata"]["labels"]["team"] = json!("ml");
        if *child == &SERVICE_MONITOR {
            // Of a time when the operator wrote this too.
            object["spec"]["jobLabel"] = json!("app");
        }
        let object = serde_json::from_value(object).unwrap();
        restored.push(
            tenant
                .api(child)
                .create(&parameters, &object)
                .await
                .unwrap(),
        );
    }
    let owner = tenant.create("metrics", everything()).await;
    tenant
        .until_condition("metrics", "ScrapeConfigured", "True", "Selected")
        .await;
    for ((child, _, fields, wanted), restored) in backup.into_iter().zip(restored) {
        let is = |now: &DynamicObject| {
            let owners: Vec<_> = now
                .owner_references()
                .iter()
                .map(|o| o.uid.clone())
                .collect();
            (owners, content(&fields, now))
        };
        let now = tenant
            .child_when(child, "it", is, (vec![owner.uid().unwrap()], wanted))
            .await;
        assert_eq!(
            now.data["spec"]["jobLabel"],
            Value::Null,
            "a field of an earlier time"
        );
        assert_eq!(
            now.uid(),
            restored.uid(),
            "{} was made anew",
            child.in_words()
        );
        assert_eq!(now.labels()["team"], "ml", "a label of another's");
    }
    tenant.until_converged().await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
}

async fn refuse_deletions(tenant: &Tenant) {
    let (client, name) = (&tenant.client, &tenant.namespace);
    let spec = json!({
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
            "resourceRules": [{
                "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["*"], "scope": "Namespaced",
            }],
        },
        "validations": [{"expression": "false", "message": REFUSAL}],
    });
    admission_policy::create(client, name, spec).await;
    let probes: Api<ConfigMap> = Api::namespaced(client.clone(), name);
    let probe = serde_json::from_value(json!({"metadata": {"name": "probe"}})).unwrap();
    probes.create(&PostParams::default(), &probe).await.unwrap();
    // The API server takes a new policy up a moment later.
    eventually("deletions are refused", async || {
        let parameters = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        let answer = probes.delete("probe", &parameters).await.map(drop);
        let refused = answer
            .as_ref()
            .is_err_and(|e| e.to_string().contains(REFUSAL));
        so(refused, answer)
    })
    .await;
}

/// What the operator wrote, but for the digest, in which the owner's UID is.
fn content(fields: &Value, object: &DynamicObject) -> Option<Value> {
    let mut content = held(fields, &json!(object))?;
    content["metadata"]["annotations"]["simplepipe.dev/applied-digest"] = Value::Null;
    Some(content)
}

/// As a backup brings it back.
fn stripped(object: &DynamicObject) -> Value {
    let mut object = json!(object);
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|name, _| {
        [
            "name",
            "namespace",
            "labels",
            "annotations",
            "ownerReferences",
        ]
        .contains(&name.as_str())
    });
    for assigned in ["clusterIP", "clusterIPs"] {
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.remove(assigned);
        }
    }
    object.as_object_mut().unwrap().remove("status");
    object
}
