//! What an earlier version left in a cluster is taken over by today's: no gateway restarts, and no series is lost.

use std::path::{Path, PathBuf};

use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use rstest::rstest;
use serde_json::{Value, json};
use simplepipe::api::MetricsNamespace;

use crate::child_names::{
    ChildName, DEPLOYMENT, POD_MONITOR, SERVICE, SERVICE_MONITOR, children_of,
};
use crate::damage::essence;
use crate::operator::Operator;
use crate::prometheus::create_prometheus;
use crate::stages::exclusive;
use crate::tenant::{Tenant, by};

/// Namespaces of the recorded tenants.
const NAMESPACES: [&str; 2] = ["as-made", "mended"];
/// What a series' name hangs on: who is scraped, how, and what is made of it. So these stay as they are, to the
/// letter; a version that changes one on purpose says here what of it, and why nobody loses a series by it.
const MAKE_SERIES: [ChildName; 3] = [SERVICE, SERVICE_MONITOR, POD_MONITOR];

/// By these, what is dropped grew: names that alerts on the cluster go by, of which a tenant's were never right. Nobody
/// else loses a series by it.
const CHANGED_ON_PURPOSE: [(&str, &str); 2] = [
    (
        "|simplepipe_.*\"",
        "|simplepipe_.*|reloader_.*|grpc_server_.*|rest_client_.*|kubernetes_build_info\"",
    ),
    ("|etcd|", "|.*etcd.*|"),
];

/// `tests/upgrade/record` made the folders of versions.
#[rstest]
#[case("f5c543c")]
#[tokio::test]
async fn tenants_of_an_earlier_version_go_on(#[case] version: &str) {
    // As it was: its chart, and what its operator left.
    let control_plane = exclusive().await;
    let apply = ["apply", "--server-side", "--force-conflicts"];
    let chart = recorded(version, "chart.yaml");
    control_plane.kubectl(&[&apply[..], &["-f", chart.to_str().unwrap()]].concat());
    let client = control_plane.client().await;
    create_prometheus(&client, "k8s", json!({})).await;
    let text = std::fs::read_to_string(recorded(version, "tenants.json")).unwrap();
    let mut tenants = Vec::new();
    for namespace in NAMESPACES {
        tenants.push(Recorded::replay(Tenant::empty(client.clone(), namespace).await, &text).await);
    }

    // Today's chart and operator.
    control_plane.install().await;
    control_plane.kubectl(&[&apply[..], &["-k", "config/base"]].concat());
    let operator = Operator::start_alone(&control_plane).await;
    operator.until_all_are_looked_at(tenants.len()).await;
    for recorded in &tenants {
        let fresh = format!("{}-today", recorded.tenant.namespace);
        let spec = json!(recorded.object.spec);
        let fresh = Tenant::converged(client.clone(), &fresh, spec).await;
        fresh.gateway_comes_up().await;
        fresh
            .until_condition("metrics", "Ready", "True", "AllWorking")
            .await;
        recorded.is_as(&fresh).await;
        recorded.went_on().await;
    }
}

fn recorded(version: &str, file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    folder.join(version).join(file)
}

/// A tenant as it was when today's operator came.
struct Recorded {
    tenant: Tenant,
    object: MetricsNamespace,
    children: Vec<(&'static ChildName, DynamicObject)>,
}

impl Recorded {
    /// Brings back what is in a record. Only what the API server gives each object anew is other than recorded.
    async fn replay(tenant: Tenant, record: &str) -> Self {
        let of = |record: &str, resource: &ApiResource, name: &str| {
            let record: Value = serde_json::from_str(record).unwrap();
            let mut items = record["items"].as_array().unwrap().iter();
            let is_it = |i: &&Value| {
                i["kind"] == resource.kind
                    && i["metadata"]["name"] == name
                    && i["metadata"]["namespace"] == tenant.namespace
            };
            items.find(is_it).unwrap().clone()
        };
        let resource = ApiResource::erase::<MetricsNamespace>(&());
        let object = of(record, &resource, "metrics");
        let made = bring_back(&tenant, &resource, &object).await;
        let old_uid = object["metadata"]["uid"].as_str().unwrap();
        let record = record.replace(old_uid, &made.uid().unwrap());
        let mut children = Vec::new();
        for name in children_of(&object["spec"]) {
            let child = of(&record, &name.api_resource(), name.name);
            let made = bring_back(&tenant, &name.api_resource(), &child).await;
            children.push((name, made));
        }
        let object = tenant.objects().get("metrics").await.unwrap();
        Self {
            tenant,
            object,
            children,
        }
    }

    /// Its children are as those of a tenant that today's version made, and its object says the same.
    async fn is_as(&self, fresh: &Tenant) {
        for (name, before) in &self.children {
            let mut today = comparable(&fresh.child(name).await, &fresh.namespace);
            if **name == DEPLOYMENT {
                // A gateway that runs keeps it.
                today["data"]["spec"]["template"]["spec"]["containers"][0]["image"] =
                    before.data["spec"]["template"]["spec"]["containers"][0]["image"].clone();
            }
            let of = |now: &DynamicObject| comparable(now, &self.tenant.namespace);
            self.tenant
                .child_when(name, "it, as of today,", of, today)
                .await;
        }
        for condition in conditions(&fresh.objects().get("metrics").await.unwrap()) {
            let [type_, status, reason, _] =
                condition.each_ref().map(|word| word.as_str().unwrap());
            self.tenant
                .until_condition("metrics", type_, status, reason)
                .await;
        }
    }

    /// Nothing that holds or makes series has changed, and nothing has ceased to work on the way.
    async fn went_on(&self) {
        for (name, before) in &self.children {
            let now = self.tenant.child(name).await;
            let what = format!("{} in {}", name.in_words(), self.tenant.namespace);
            assert_eq!(now.uid(), before.uid(), "{what} was made anew");
            if **name == DEPLOYMENT {
                // Not the generation: another annotation gives it a new one too, and the digest is of the owner's UID.
                assert_eq!(
                    before.data["spec"], now.data["spec"],
                    "{what}: the gateway restarts, and all that was pushed is gone"
                );
            }
            if MAKE_SERIES.contains(name) {
                assert_eq!(
                    with_changes_on_purpose(&before.data["spec"]),
                    now.data["spec"],
                    "{what} makes other series, or loses some"
                );
            }
        }
        let now = self.tenant.objects().get("metrics").await.unwrap();
        let now = conditions(&now);
        for before in conditions(&self.object) {
            let [type_, status, _, since] = &before;
            if status != "True" {
                continue;
            }
            let goes_on = now
                .iter()
                .any(|[t, s, _, at]| [t, s, at] == [type_, status, since]);
            assert!(
                goes_on,
                "{type_} in {} has changed on the way: {before:?}, now {now:#?}",
                self.tenant.namespace
            );
        }
    }
}

fn with_changes_on_purpose(spec: &Value) -> Value {
    let text = CHANGED_ON_PURPOSE
        .iter()
        .fold(spec.to_string(), |text, (before, now)| {
            text.replace(before, now)
        });
    serde_json::from_str(&text).unwrap()
}

/// Type, status, reason, and since when it is so.
fn conditions(object: &MetricsNamespace) -> Vec<[Value; 4]> {
    let status = json!(object.status);
    let conditions = status["conditions"].as_array().unwrap().iter();
    conditions
        .map(|c| ["type", "status", "reason", "lastTransitionTime"].map(|field| c[field].clone()))
        .collect()
}

/// Makes an object as it is recorded, and writes who wrote what in it.
async fn bring_back(tenant: &Tenant, resource: &ApiResource, recorded: &Value) -> DynamicObject {
    const ASSIGNED: [&str; 4] = ["uid", "resourceVersion", "generation", "creationTimestamp"];
    let api: Api<DynamicObject> =
        Api::namespaced_with(tenant.client.clone(), &tenant.namespace, resource);
    let name = recorded["metadata"]["name"].as_str().unwrap();
    let given = |object: &Value| {
        let mut object = object.clone();
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.retain(|field, _| !ASSIGNED.contains(&field.as_str()));
        object
    };
    let object = serde_json::from_value(given(recorded)).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    if !recorded["status"].is_null() {
        let status = Patch::Merge(json!({"status": recorded["status"]}));
        api.patch_status(name, &by("recorded"), &status)
            .await
            .unwrap();
    }
    let writers = json!({"metadata": {"managedFields": recorded["metadata"]["managedFields"]}});
    let made = api
        .patch(name, &PatchParams::default(), &Patch::Merge(writers))
        .await
        .unwrap();
    assert_eq!(
        given(&json!(made)),
        given(recorded),
        "{} {name} is not as recorded",
        resource.kind
    );
    made
}

/// What two tenants have in common in a child.
fn comparable(object: &DynamicObject, namespace: &str) -> Value {
    let mut essence = essence(object);
    // These hang on the owner and on the namespace.
    essence["owners"] = Value::Null;
    essence["annotations"]["simplepipe.dev/applied-digest"] = Value::Null;
    let text = essence.to_string().replace(namespace, "NAMESPACE");
    serde_json::from_str(&text).unwrap()
}
