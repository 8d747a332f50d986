//! One object, and everything that it makes.

use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::audit::Request;
use crate::child_names::{CHILDREN, CLIENT_SETTINGS, DASHBOARD, POD_MONITOR, everything};
use crate::damage::Damage;
use crate::eventually::{eventually, so};
use crate::stages::shared;
use crate::tenant::Tenant;

#[tokio::test]
async fn one_object_makes_all_children_and_owns_them() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "children-all", everything()).await;
    let owner = tenant.objects().get("metrics").await.unwrap();
    for name in &CHILDREN {
        let child = tenant.child(name).await;
        let [reference] = child.owner_references() else {
            panic!("{name:?} has owners {:?}", child.owner_references());
        };
        assert_eq!(
            (&reference.name, &reference.uid),
            (&"metrics".into(), owner.metadata.uid.as_ref().unwrap())
        );
        assert_eq!(reference.kind, "MetricsNamespace", "owner of {name:?}");
        assert_eq!(reference.controller, Some(true), "owner of {name:?}");
        let app = if *name == POD_MONITOR {
            "seldon"
        } else {
            "pushgateway"
        };
        for (label, value) in [
            ("app.kubernetes.io/name", app),
            ("app.kubernetes.io/managed-by", "simplepipe"),
            ("app.kubernetes.io/part-of", "simplepipe"),
        ] {
            assert_eq!(
                child.labels().get(label).map(String::as_str),
                Some(value),
                "{label} of {name:?}"
            );
        }
        let managers: Vec<_> = child
            .managed_fields()
            .iter()
            .filter_map(|e| e.manager.as_deref())
            .collect();
        assert_eq!(managers, ["simplepipe"], "who wrote {name:?}");
    }
    assert_eq!(
        tenant.child(&DASHBOARD).await.labels()["grafana_dashboard"],
        "1"
    );
}

#[tokio::test]
async fn an_object_without_spec_gets_all_defaults() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::empty(client, "children-no-spec").await;
    tenant.create("metrics", json!(null)).await;
    tenant.until_converged().await;
    let spec = json!(tenant.objects().get("metrics").await.unwrap().spec);
    assert_eq!(spec["paused"], false);
    assert_eq!(spec["scrape"]["interval"], "30s");
    assert_eq!(spec["scrape"]["limits"]["samples"], 50_000);
    assert_eq!(spec["gateway"]["resources"]["limits"]["memory"], "128Mi");
    assert_eq!(spec["gateway"]["logLevel"], "info");
    assert_eq!(
        spec["dashboard"],
        json!({"enabled": true, "folder": "Tenants"})
    );
    assert_eq!(
        spec["seldon"],
        json!({"enabled": false, "kind": "CoreV1", "limits": {"targets": 50, "samples": 5000}})
    );
    tenant.until_gone(&POD_MONITOR).await;
}

#[tokio::test]
async fn it_is_ready_only_while_the_gateway_answers() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "children-ready", json!({})).await;
    tenant
        .until_condition("metrics", "Ready", "False", "GatewayStarting")
        .await;

    tenant.gateway_comes_up().await;
    let message = tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    assert!(message.contains("http://pushgateway:9091"), "{message}");
    assert!(
        message.contains("scraped by simplepipe-system/k8s"),
        "{message}"
    );
    tenant
        .until_condition("metrics", "GatewayAvailable", "True", "GatewayAnswers")
        .await;
    tenant
        .until_condition("metrics", "ScrapeConfigured", "True", "Selected")
        .await;
    tenant
        .until_condition("metrics", "ClientSettingsPublished", "True", "Published")
        .await;
    tenant
        .until_condition("metrics", "DashboardPublished", "True", "Published")
        .await;
    let object = tenant.objects().get("metrics").await.unwrap();
    let status = json!(object.status);
    assert_eq!(status["url"], "http://pushgateway.children-ready.svc:9091");
    assert_eq!(
        status["scrape"]["selectedBy"],
        json!(["simplepipe-system/k8s"])
    );
    assert_eq!(status["gateway"]["readySince"], "2026-01-01T00:00:00Z");
    assert_eq!(
        status["gateway"]["image"],
        "quay.io/prometheus/pushgateway:v1.11.3"
    );
    for condition in object.status.unwrap().conditions {
        assert_eq!(
            condition.observed_generation, object.metadata.generation,
            "{}",
            condition.type_
        );
    }

    tenant.gateway_goes_down("no node has room").await;
    let message = tenant
        .until_condition("metrics", "Ready", "False", "GatewayNotReady")
        .await;
    assert!(message.contains("no node has room"), "{message}");
}

/// What a status says is not said again as an event.
#[tokio::test]
async fn a_new_tenant_costs_seven_writes_and_one_more_until_ready() {
    let shared = shared().await;
    let client = shared.control_plane.client().await;
    let tenant = Tenant::empty(client, "children-writes").await;
    let audit = shared.control_plane.audit().starting_now();
    tenant.create("metrics", json!({})).await;
    tenant.until_converged().await;
    let writes = || {
        let writes = audit.operators_writes_in(&tenant.namespace);
        writes.iter().map(Request::in_words).collect::<Vec<_>>()
    };
    let status = "patch metricsnamespaces/metrics/status in children-writes";
    let until_children_stand = [
        "create serviceaccounts/pushgateway in children-writes",
        "create deployments/pushgateway in children-writes",
        "create services/pushgateway in children-writes",
        "create servicemonitors/pushgateway in children-writes",
        "create configmaps/simplepipe in children-writes",
        "create configmaps/pushgateway-dashboard in children-writes",
        status,
    ];
    assert_eq!(writes(), until_children_stand);
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    assert_eq!(writes()[until_children_stand.len()..], [status]);
}

#[tokio::test]
async fn what_changes_and_what_fails_is_told_as_events() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "children-events", json!({})).await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    Damage::Deleted.inflict(&tenant, &CLIENT_SETTINGS).await;
    tenant
        .until_told("Normal", "Applied", "created ConfigMap simplepipe")
        .await;
    tenant
        .change_spec(json!({"gateway": {"logLevel": "debug"}}))
        .await;
    let gone = "updated Deployment pushgateway; that replaces the gateway's pod: what was pushed is gone once the new one is ready";
    tenant.until_told("Warning", "Applied", gone).await;
    tenant.gateway_goes_down("no node has room").await;
    tenant
        .until_told("Warning", "GatewayNotReady", "no node has room")
        .await;
    tenant.gateway_comes_up().await;
    tenant
        .until_told("Normal", "Ready", "takes pushes; set to be scraped by")
        .await;
}

impl Tenant {
    /// Waits for an event of the MetricsNamespace that has this in its note.
    pub async fn until_told(&self, type_: &str, reason: &str, note: &str) {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        eventually(
            format!("an event {type_} {reason} says {note}"),
            async || {
                let events = events
                    .list(&ListParams::default())
                    .await
                    .map_err(|e| e.to_string())?
                    .items;
                let told = events.iter().any(|e| {
                    e.type_.as_deref() == Some(type_)
                        && e.reason.as_deref() == Some(reason)
                        && e.note.as_ref().is_some_and(|n| n.contains(note))
                        && e.regarding
                            .as_ref()
                            .is_some_and(|r| r.kind.as_deref() == Some("MetricsNamespace"))
                });
                so(
                    told,
                    events
                        .iter()
                        .map(|e| (&e.reason, &e.note))
                        .collect::<Vec<_>>(),
                )
            },
        )
        .await;
    }
}
