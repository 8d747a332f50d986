//! What others do to a child, in every way that the API has.

use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::child_names::{
    CLIENT_SETTINGS, ChildName, DASHBOARD, DEPLOYMENT, POD_MONITOR, SERVICE, SERVICE_ACCOUNT,
    SERVICE_MONITOR,
};
use crate::tenant::{Tenant, by, until_in_another_second};

/// A way to damage a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    Deleted,
    /// By `kubectl edit`.
    Edited,
    /// By `kubectl apply --server-side --force-conflicts`.
    AppliedByForce,
    /// By `kubectl replace`.
    Replaced,
    /// By somebody who calls themselves `simplepipe`.
    EditedUnderOurName,
    /// By somebody who calls themselves `simplepipe`, with next to nothing in the manifest.
    AppliedUnderOurName,
    WithoutOurLabel,
    WithoutOwner,
    WithoutDigest,
    Emptied,
}

impl Damage {
    pub const ALL: [Self; 10] = [
        Self::Deleted,
        Self::Edited,
        Self::AppliedByForce,
        Self::Replaced,
        Self::EditedUnderOurName,
        Self::AppliedUnderOurName,
        Self::WithoutOurLabel,
        Self::WithoutOwner,
        Self::WithoutDigest,
        Self::Emptied,
    ];

    /// Does it.
    ///
    /// # Panics
    /// When it makes no difference.
    pub async fn inflict(self, tenant: &Tenant, child: &ChildName) {
        let before = tenant.child(child).await;
        let after = self.try_inflict(tenant, child, &before).await;
        let after = after.unwrap_or_else(|e| panic!("{self:?} of {}: {e}", child.in_words()));
        if let Some(after) = after {
            assert_ne!(
                essence(&before),
                essence(&after),
                "{self:?} of {}",
                child.in_words()
            );
        }
    }

    /// Does it to a child that was so a moment ago, and may be gone. What is there afterwards.
    ///
    /// # Errors
    /// The API server's.
    pub async fn try_inflict(
        self,
        tenant: &Tenant,
        child: &ChildName,
        before: &DynamicObject,
    ) -> kube::Result<Option<DynamicObject>> {
        let (api, name) = (tenant.api(child), child.name);
        let merge =
            async |manager, patch| api.patch(name, &by(manager), &Patch::Merge(patch)).await;
        let edit = edit(child, &tenant.namespace);
        let after = match self {
            Self::Deleted => {
                api.delete(name, &DeleteParams::default()).await?;
                return Ok(None);
            }
            Self::Edited => merge("kubectl-edit", edit).await,
            Self::AppliedByForce => {
                let parameters = PatchParams::apply("kubectl").force();
                api.patch(
                    name,
                    &parameters,
                    &Patch::Apply(manifest(child, before, edit)),
                )
                .await
            }
            Self::Replaced => {
                let mut object = serde_json::to_value(before).unwrap();
                json_merge(&mut object, edit);
                let parameters = PostParams {
                    field_manager: Some("kubectl-replace".into()),
                    ..PostParams::default()
                };
                api.replace(name, &parameters, &serde_json::from_value(object).unwrap())
                    .await
            }
            Self::EditedUnderOurName => {
                // Writers are noted with whole seconds: of two writes by one name in one second, one shows.
                until_in_another_second(&before.metadata).await;
                merge("simplepipe", edit).await
            }
            Self::AppliedUnderOurName => {
                let parameters = PatchParams::apply("simplepipe").force();
                api.patch(
                    name,
                    &parameters,
                    &Patch::Apply(manifest(child, before, edit)),
                )
                .await
            }
            Self::WithoutOurLabel => {
                let labels = json!({"app.kubernetes.io/managed-by": null});
                merge("kubectl-label", json!({"metadata": {"labels": labels}})).await
            }
            Self::WithoutOwner => {
                merge(
                    "kubectl-patch",
                    json!({"metadata": {"ownerReferences": null}}),
                )
                .await
            }
            Self::WithoutDigest => {
                let annotations = json!({"simplepipe.dev/applied-digest": null});
                merge(
                    "kubectl-annotate",
                    json!({"metadata": {"annotations": annotations}}),
                )
                .await
            }
            Self::Emptied => merge("kubectl-patch", emptied(child)).await,
        };
        after.map(Some)
    }
}

/// Of an object, all but what any write changes, what is reported on it, and what the API server assigns.
pub fn essence(object: &DynamicObject) -> Value {
    let mut data = object.data.clone();
    if let Some(data) = data.as_object_mut() {
        data.remove("status");
        data.remove("secrets");
    }
    if let Some(spec) = data.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    json!({
        "labels": object.labels(),
        "annotations": object.annotations(),
        "owners": object.owner_references(),
        "data": data,
    })
}

/// Of this object only: applied to nothing, it would make one.
fn manifest(child: &ChildName, before: &DynamicObject, mut content: Value) -> Value {
    let resource = child.api_resource();
    content["apiVersion"] = json!(resource.api_version);
    content["kind"] = json!(resource.kind);
    content["metadata"]["name"] = json!(child.name);
    content["metadata"]["uid"] = json!(before.metadata.uid);
    content
}

/// An edit of what the operator wrote.
fn edit(child: &ChildName, namespace: &str) -> Value {
    match *child {
        SERVICE_ACCOUNT => json!({"automountServiceAccountToken": true}),
        DEPLOYMENT => json!({"spec": {
            "replicas": 0,
            "template": {"spec": {"terminationGracePeriodSeconds": 99}},
        }}),
        SERVICE => json!({"spec": {"selector": {"app.kubernetes.io/name": "other"}}}),
        SERVICE_MONITOR => json!({"spec": {
            "sampleLimit": 1,
            "endpoints": [{"port": "http", "honorLabels": false}],
        }}),
        POD_MONITOR => json!({"spec": {
            "sampleLimit": 1,
            "podMetricsEndpoints": [{"port": "metrics", "honorLabels": true}],
        }}),
        CLIENT_SETTINGS => json!({"data": {"PUSHGATEWAY_URL": "http://elsewhere"}}),
        DASHBOARD => json!({
            "metadata": {"labels": {"grafana_dashboard": "0"}},
            "data": {format!("simplepipe-{namespace}.json"): "{}"},
        }),
        _ => unreachable!("{child:?}"),
    }
}

/// A patch that takes away what the child is for.
fn emptied(child: &ChildName) -> Value {
    match *child {
        SERVICE_ACCOUNT => json!({"automountServiceAccountToken": null}),
        DEPLOYMENT => json!({"spec": {"template": {"spec": {
            "securityContext": null,
            "containers": [{"name": "pushgateway", "image": "other"}],
        }}}}),
        SERVICE => json!({"spec": {"selector": null}}),
        SERVICE_MONITOR => json!({"spec": {"endpoints": [], "sampleLimit": null}}),
        POD_MONITOR => json!({"spec": {"podMetricsEndpoints": [], "sampleLimit": null}}),
        CLIENT_SETTINGS | DASHBOARD => json!({"data": null}),
        _ => unreachable!("{child:?}"),
    }
}

/// RFC 7396.
fn json_merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    for (name, value) in patch {
        json_merge(&mut target[&name], value);
    }
}
