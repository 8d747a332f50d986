//! Pure: from a plan to each child object, one file per child. A new child costs a file here, a line in [`CHILDREN`]
//! and a snapshot; where it is of a new kind, a variant of [`Kind`] too.

mod client_settings;
mod dashboard;
mod deployment;
mod labels;
mod monitor;
mod pod_monitor;
mod service;
mod service_account;
mod service_monitor;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::api::condition_types::ConditionType;
use crate::api::names;

use super::kind::{Kind, Typed};
use super::plan::Plan;

/// A child object as it should be, ready to be written.
#[derive(Clone, Debug)]
pub struct Child {
    pub kind: Kind,
    pub name: String,
    /// The condition that is false while this child can't be written.
    pub serves: ConditionType,
    /// Digest of the object, as in its annotation `simplepipe.dev/applied-digest`.
    pub digest: String,
    pub object: Value,
}

/// A child that can't be made from a plan: a builder's mistake, and never an empty object instead.
#[derive(Debug, Error)]
#[error("{} {name} can't be built, which is a fault of this operator: {cause}", kind.as_str())]
pub struct Unbuildable {
    pub kind: Kind,
    pub name: String,
    /// The condition that it stands for.
    pub serves: ConditionType,
    cause: serde_json::Error,
}

/// A child, where the plan wants it.
pub type Built = Result<Option<Child>, Unbuildable>;

/// Builders of all children, in the order in which they are written. The gateway's pod is what takes longest to come up,
/// so its Deployment comes as early as it can.
const CHILDREN: [fn(&Plan) -> Built; 7] = [
    service_account::child,
    deployment::child,
    service::child,
    service_monitor::child,
    client_settings::child,
    pod_monitor::child,
    dashboard::child,
];

/// Every child that the plan wants.
///
/// # Errors
/// Where one of them can't be built.
pub fn build(plan: &Plan) -> Result<Vec<Child>, Unbuildable> {
    let children = CHILDREN.iter().map(|child| child(plan));
    children.filter_map(Result::transpose).collect()
}

/// The gateway's Deployment, which is also among all of them.
///
/// # Errors
/// Where it can't be built.
pub fn gateway(plan: &Plan) -> Built {
    deployment::child(plan)
}

/// Whether a child may have this name.
pub fn is_childs_name(name: &str) -> bool {
    [
        names::GATEWAY,
        names::CLIENT_CONFIG,
        names::DASHBOARD,
        names::MODEL_SERVERS,
    ]
    .contains(&name)
}

/// Metadata that every child has.
fn metadata(plan: &Plan, name: &str, labels: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(plan.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![plan.owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// The child that is this object. While it can't be written, the condition `serves` is false.
fn built<T: Typed>(serves: ConditionType, typed: &T) -> Built {
    let (kind, name) = (T::KIND, typed.name().unwrap_or_default().to_owned());
    let unbuildable = |cause| Unbuildable {
        kind,
        name: name.clone(),
        serves,
        cause,
    };
    let mut object = serde_json::to_value(typed).map_err(unbuildable)?;
    let resource = kind.api_resource();
    object["apiVersion"] = json!(resource.api_version);
    object["kind"] = json!(resource.kind);
    let text = serde_json::to_vec(&object).map_err(unbuildable)?;
    let digest = format!("{:x}", Sha256::digest(text))[..16].to_owned();
    object["metadata"]["annotations"][names::DIGEST_ANNOTATION] = json!(digest);
    Ok(Some(Child {
        kind,
        name,
        serves,
        digest,
        object,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::plan::fixtures;
    use serde::ser::Error as _;
    use serde::{Serialize, Serializer};

    #[test]
    fn each_child_as_it_is_written() {
        let of_carol = build(&fixtures::carol()).unwrap();
        let of_carol = of_carol
            .into_iter()
            .filter(|c| c.kind == Kind::PodMonitor || c.name == names::DASHBOARD);
        for child in build(&fixtures::alice())
            .unwrap()
            .into_iter()
            .chain(of_carol)
        {
            let namespace = child.object["metadata"]["namespace"].clone();
            let mut object = child.object;
            if child.name == names::DASHBOARD {
                // The dashboard itself has tests of its own.
                object["data"] = json!(
                    object["data"]
                        .as_object()
                        .unwrap()
                        .keys()
                        .collect::<Vec<_>>()
                );
            }
            let whose = if namespace == "alice" {
                ""
            } else {
                "-of-carol"
            };
            let name = format!("{}-{}{whose}", child.kind.as_str(), child.name);
            insta::assert_yaml_snapshot!(name, object);
        }
    }

    struct Impossible;

    impl Serialize for Impossible {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("no form in JSON"))
        }
    }

    impl Typed for Impossible {
        const KIND: Kind = Kind::ConfigMap;

        fn name(&self) -> Option<&str> {
            Some(names::DASHBOARD)
        }
    }

    #[test]
    fn what_cannot_be_built_is_an_error_that_names_it_and_no_empty_object() {
        let error = built(ConditionType::DashboardPublished, &Impossible).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("ConfigMap pushgateway-dashboard"),
            "{error}"
        );
    }

    #[test]
    fn each_child_has_the_name_by_which_it_is_known() {
        for child in build(&fixtures::carol()).unwrap() {
            assert_eq!(child.object["metadata"]["name"], child.name);
            assert!(is_childs_name(&child.name), "{}", child.name);
        }
    }

    #[test]
    fn a_digest_changes_with_what_is_written_and_with_nothing_else() {
        let plan = fixtures::alice();
        let digests = |plan: &Plan| {
            build(plan)
                .unwrap()
                .into_iter()
                .map(|c| c.digest)
                .collect::<Vec<_>>()
        };
        assert_eq!(digests(&plan), digests(&plan.clone()));
        let mut other = plan.clone();
        other.image = "other".into();
        let changed: Vec<_> = build(&plan)
            .unwrap()
            .iter()
            .zip(build(&other).unwrap())
            .filter(|(a, b)| a.digest != b.digest)
            .map(|(a, _)| a.kind)
            .collect();
        assert_eq!(changed, [Kind::Deployment]);
    }

    #[test]
    fn what_the_platform_reserves_restarts_no_gateway() {
        let plan = fixtures::alice();
        let mut other = plan.clone();
        other.scrape.reserved_metrics.push("own_.*".into());
        other.scrape.reserved_jobs.push("own".into());
        let (before, after) = (build(&plan).unwrap(), build(&other).unwrap());
        let changed = before.iter().zip(&after);
        let changed = changed.filter(|(one, other)| one.digest != other.digest);
        let changed: Vec<_> = changed.map(|(one, _)| one.kind).collect();
        assert_eq!(changed, [Kind::ServiceMonitor, Kind::ConfigMap]);
    }

    #[test]
    fn without_a_dashboard_everything_else_is_as_before() {
        let mut plan = fixtures::alice();
        let all = build(&plan).unwrap().len();
        plan.dashboard = None;
        let rest = build(&plan).unwrap();
        assert_eq!(rest.len(), all - 1);
        assert!(rest.iter().all(|c| c.name != names::DASHBOARD));
    }

    #[test]
    fn every_setting_reaches_its_child() {
        let object = fixtures::object(&fixtures::ALICE.replace(
            "spec: {}",
            "spec: {gateway: {resources: {requests: {cpu: 1m, memory: 20Mi, ephemeral-storage: 1Mi}, \
             limits: {cpu: 2m, memory: 30Mi, ephemeral-storage: 2Mi}}, \
             affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}}, \
             scrape: {limits: {samples: 101, labels: 12, labelNameLength: 103, labelValueLength: 204, bodySize: 5Ki}}}",
        ));
        let mut inputs = fixtures::inputs(object);
        inputs.platform = std::sync::Arc::new(crate::operator::platform::Platform {
            gateway_image: "i".into(),
            gateway_image_pull_policy: "Always".into(),
            reserved_metrics: vec!["node_.*".into(), "own_.*".into()],
            reserved_jobs: vec!["kube-.*".into(), "own".into()],
            ..Default::default()
        });
        let children = build(&crate::operator::plan::plan(&inputs).unwrap()).unwrap();
        let of = |kind: Kind, path: &str| {
            let child = children.iter().find(|c| c.kind == kind).unwrap();
            child.object.pointer(path).cloned().unwrap_or_default()
        };
        let container = "/spec/template/spec/containers/0";
        for (path, expected) in [
            ("resources/requests/cpu", "1m"),
            ("resources/requests/memory", "20Mi"),
            ("resources/requests/ephemeral-storage", "1Mi"),
            ("resources/limits/cpu", "2m"),
            ("resources/limits/memory", "30Mi"),
            ("resources/limits/ephemeral-storage", "2Mi"),
            ("imagePullPolicy", "Always"),
        ] {
            assert_eq!(
                of(Kind::Deployment, &format!("{container}/{path}")),
                expected,
                "{path}"
            );
        }
        let affinity = of(Kind::Deployment, "/spec/template/spec/affinity");
        assert!(affinity["nodeAffinity"].is_object(), "affinity");
        for (path, expected) in [
            ("sampleLimit", json!(101)),
            ("labelLimit", json!(12)),
            ("labelNameLengthLimit", json!(103)),
            ("labelValueLengthLimit", json!(204)),
            ("bodySizeLimit", json!("5KiB")),
            (
                "endpoints/0/metricRelabelings/0/regex",
                json!("up|ALERTS|ALERTS_FOR_STATE|scrape_.*|.*:.*|node_.*|own_.*"),
            ),
            (
                "endpoints/0/metricRelabelings/1/regex",
                json!("kube-.*|own"),
            ),
        ] {
            assert_eq!(
                of(Kind::ServiceMonitor, &format!("/spec/{path}")),
                expected,
                "{path}"
            );
        }
        // Names that hang on the namespace, of another than the fixtures'.
        let mut inputs = fixtures::inputs(fixtures::object(
            &fixtures::ALICE.replace("namespace: alice", "namespace: bob"),
        ));
        inputs.platform = std::sync::Arc::default();
        let bob = build(&crate::operator::plan::plan(&inputs).unwrap()).unwrap();
        assert!(
            bob.iter().all(|c| !c.object.to_string().contains("alice")),
            "another tenant's name is in a child"
        );
    }
}
