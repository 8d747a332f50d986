//! A tenant's namespace: what a person does there, and what they see.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use simplepipe::api::MetricsNamespace;

use crate::child_names::{ChildName, children_of};
use crate::eventually::{eventually, so};

pub struct Tenant {
    pub client: Client,
    pub namespace: String,
}

impl Tenant {
    /// A namespace and nothing in it.
    pub async fn empty(client: Client, namespace: &str) -> Self {
        Self::labelled(client, namespace, json!({})).await
    }

    /// A namespace with these labels, and nothing in it.
    pub async fn labelled(client: Client, namespace: &str, labels: Value) -> Self {
        let tenant = Self {
            client,
            namespace: namespace.to_owned(),
        };
        let object = json!({"metadata": {"name": namespace, "labels": labels}});
        let object = serde_json::from_value(object).unwrap();
        tenant
            .namespaces()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        tenant
    }

    /// A namespace with a MetricsNamespace `metrics`, whose children are there.
    pub async fn converged(client: Client, namespace: &str, spec: Value) -> Self {
        let tenant = Self::empty(client, namespace).await;
        tenant.create("metrics", spec).await;
        tenant.until_converged().await;
        tenant
    }

    pub fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    pub fn objects(&self) -> Api<MetricsNamespace> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn api(&self, child: &ChildName) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &child.api_resource())
    }

    /// Creates a MetricsNamespace.
    pub async fn create(&self, name: &str, spec: Value) -> MetricsNamespace {
        self.try_create(name, spec).await.unwrap()
    }

    /// Creates a MetricsNamespace, if the API server takes it.
    ///
    /// # Errors
    /// The API server's words.
    pub async fn try_create(
        &self,
        name: &str,
        spec: Value,
    ) -> Result<MetricsNamespace, kube::Error> {
        // As text from a person: the Rust types can't even say most of what is wrong.
        let object = json!({
            "apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec,
        });
        let url = format!(
            "/apis/simplepipe.dev/v1alpha1/namespaces/{}/metricsnamespaces",
            self.namespace
        );
        let request = http::Request::post(format!("{url}?fieldManager=kubectl-create"))
            .header("Content-Type", "application/json")
            .body(serde_json::to_vec(&object).unwrap());
        self.client.request(request.unwrap()).await
    }

    /// Changes the spec of `metrics`, as `kubectl patch --type=merge` does.
    pub async fn change_spec(&self, spec: Value) -> MetricsNamespace {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.objects()
            .patch("metrics", &by("kubectl-patch"), &patch)
            .await
            .unwrap()
    }

    pub async fn delete(&self, name: &str) {
        self.objects()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Deletes a child, and waits until it is there again.
    pub async fn gets_back(&self, child: &ChildName) {
        let children = self.api(child);
        children
            .delete(child.name, &DeleteParams::default())
            .await
            .unwrap();
        self.until_there(child).await;
    }

    /// A child as it is now.
    pub async fn child(&self, child: &ChildName) -> DynamicObject {
        let found = self.api(child).get(child.name).await;
        found.unwrap_or_else(|e| panic!("{} in {}: {e}", child.in_words(), self.namespace))
    }

    /// Waits for a child that is as it should be, and returns it.
    pub async fn child_when<T: std::fmt::Debug + PartialEq>(
        &self,
        child: &ChildName,
        what: &str,
        of: impl Fn(&DynamicObject) -> T,
        expected: T,
    ) -> DynamicObject {
        eventually(
            format!("{}: {what} becomes {expected:?}", child.in_words()),
            async || {
                let object = self
                    .api(child)
                    .get(child.name)
                    .await
                    .map_err(|e| e.to_string())?;
                so(of(&object) == expected, of(&object))?;
                Ok(object)
            },
        )
        .await
    }

    /// Waits until all children are there and the object says so.
    pub async fn until_converged(&self) {
        let spec = json!(self.objects().get("metrics").await.unwrap().spec);
        for child in children_of(&spec) {
            self.until_there(child).await;
        }
        self.until_observed().await;
    }

    /// Waits until the object's status speaks of its newest spec.
    pub async fn until_observed(&self) -> MetricsNamespace {
        eventually(
            format!("the status of {} is of its newest spec", self.namespace),
            async || {
                let object = self
                    .objects()
                    .get("metrics")
                    .await
                    .map_err(|e| e.to_string())?;
                let observed = object.status.as_ref().and_then(|s| s.observed_generation);
                so(observed == object.metadata.generation, &object.status)?;
                Ok(object)
            },
        )
        .await
    }

    pub async fn until_there(&self, child: &ChildName) -> DynamicObject {
        eventually(
            format!("{} is in {}", child.in_words(), self.namespace),
            async || {
                let found = self
                    .api(child)
                    .get_opt(child.name)
                    .await
                    .map_err(|e| e.to_string())?;
                match found {
                    Some(found) => Ok(found),
                    None => Err(format!("not there; statuses: {:#?}", self.statuses().await)),
                }
            },
        )
        .await
    }

    pub async fn until_gone(&self, child: &ChildName) {
        eventually(
            format!("{} is gone from {}", child.in_words(), self.namespace),
            async || {
                let found = self
                    .api(child)
                    .get_metadata_opt(child.name)
                    .await
                    .map_err(|e| e.to_string())?;
                so(found.is_none(), found)
            },
        )
        .await;
    }

    /// Waits until a condition of an object has this status and reason; returns its message.
    pub async fn until_condition(
        &self,
        object: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> String {
        eventually(
            format!(
                "{type_} of {object} in {} is {status}, {reason}",
                self.namespace
            ),
            async || {
                let conditions = self.conditions(object).await?;
                let found = conditions
                    .iter()
                    .find(|c| c.type_ == type_ && c.status == status && c.reason == reason);
                found
                    .map(|c| c.message.clone())
                    .ok_or_else(|| format!("{conditions:#?}"))
            },
        )
        .await
    }

    /// Waits until a condition of `metrics` has this in its message.
    pub async fn until_condition_says(&self, type_: &str, words: &str) {
        eventually(
            format!("{type_} in {} says {words}", self.namespace),
            async || {
                let conditions = self.conditions("metrics").await?;
                so(
                    conditions
                        .iter()
                        .any(|c| c.type_ == type_ && c.message.contains(words)),
                    conditions,
                )
            },
        )
        .await;
    }

    async fn conditions(&self, object: &str) -> Result<Vec<Condition>, String> {
        let object = self
            .objects()
            .get(object)
            .await
            .map_err(|e| e.to_string())?;
        Ok(object.status.unwrap_or_default().conditions)
    }

    async fn statuses(&self) -> Vec<Value> {
        let objects = self.objects().list(&ListParams::default()).await;
        objects
            .map(|list| list.iter().map(|o| json!(o.status)).collect())
            .unwrap_or_default()
    }

    /// Changes a namespace's labels.
    pub async fn label_namespace(&self, labels: Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        self.namespaces()
            .patch(&self.namespace, &by("kubectl-label"), &patch)
            .await
            .unwrap();
    }
}

/// Waits until what happens bears another second than the creation of this object.
pub async fn until_in_another_second(metadata: &ObjectMeta) {
    let created = metadata.creation_timestamp.as_ref().unwrap().0.as_second();
    eventually("the second of the creation is over", async || {
        let now = jiff::Timestamp::now().as_second();
        so(now > created + 1, now)
    })
    .await;
}

/// Parameters of a write by this field manager.
pub fn by(manager: &str) -> PatchParams {
    PatchParams {
        field_manager: Some(manager.into()),
        ..PatchParams::default()
    }
}

/// Version of an object, which any write changes.
pub fn version(object: &DynamicObject) -> String {
    object.resource_version().unwrap()
}
