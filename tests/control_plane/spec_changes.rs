//! A change of the spec reaches the children, and nothing of what was before stays behind.

use kube::api::DynamicObject;
use rstest::rstest;
use serde_json::{Value, json};

use crate::child_names::{
    CHILDREN, CLIENT_SETTINGS, ChildName, DASHBOARD, DEPLOYMENT, POD_MONITOR, SERVICE_MONITOR,
    everything,
};
use crate::damage::{Damage, essence};
use crate::stages::shared;
use crate::tenant::Tenant;

const POD: &str = "/spec/template/spec";

fn at(path: &str) -> impl Fn(&DynamicObject) -> Value {
    move |object| json!(object).pointer(path).cloned().unwrap_or_default()
}

#[tokio::test]
async fn each_field_of_the_spec_reaches_its_child() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "spec-fields", everything()).await;
    let container = format!("{POD}/containers/0");
    let cases = [
        (
            json!({"gateway": {"image": "registry.example/gateway:v2"}}),
            DEPLOYMENT,
            format!("{container}/image"),
            json!("registry.example/gateway:v2"),
        ),
        (
            json!({"gateway": {"logLevel": "debug"}}),
            DEPLOYMENT,
            format!("{container}/args/1"),
            json!("--log.level=debug"),
        ),
        (
            json!({"gateway": {"resources": {"limits": {"memory": "256Mi"}}}}),
            DEPLOYMENT,
            format!("{container}/resources/limits/memory"),
            json!("256Mi"),
        ),
        (
            json!({"gateway": {"resources": {"requests": {"cpu": 1}, "limits": {"cpu": 2}}}}),
            DEPLOYMENT,
            format!("{container}/resources/limits/cpu"),
            json!("2"),
        ),
        (
            json!({"gateway": {"tolerations": [{"key": "batch", "operator": "Exists"}]}}),
            DEPLOYMENT,
            format!("{POD}/tolerations/0/key"),
            json!("batch"),
        ),
        (
            json!({"gateway": {"priorityClassName": "low"}}),
            DEPLOYMENT,
            format!("{POD}/priorityClassName"),
            json!("low"),
        ),
        (
            json!({"scrape": {"interval": "1m"}}),
            SERVICE_MONITOR,
            "/spec/endpoints/0/interval".into(),
            json!("1m"),
        ),
        (
            json!({"scrape": {"timeout": "20s"}}),
            SERVICE_MONITOR,
            "/spec/endpoints/0/scrapeTimeout".into(),
            json!("20s"),
        ),
        (
            json!({"scrape": {"labels": {"release": "monitoring"}}}),
            SERVICE_MONITOR,
            "/metadata/labels/release".into(),
            json!("monitoring"),
        ),
        (
            json!({"scrape": {"limits": {"samples": 500}}}),
            SERVICE_MONITOR,
            "/spec/sampleLimit".into(),
            json!(500),
        ),
        (
            json!({"scrape": {"limits": {"bodySize": "1Mi"}}}),
            SERVICE_MONITOR,
            "/spec/bodySizeLimit".into(),
            json!("1MiB"),
        ),
        (
            json!({"seldon": {"interval": "15s"}}),
            POD_MONITOR,
            "/spec/podMetricsEndpoints/0/interval".into(),
            json!("15s"),
        ),
        (
            json!({"seldon": {"kind": "KServe"}}),
            POD_MONITOR,
            "/spec/selector/matchExpressions/0/key".into(),
            json!("serving.kserve.io/inferenceservice"),
        ),
        (
            json!({"seldon": {"selector": {"app": "mine"}}}),
            POD_MONITOR,
            "/spec/selector".into(),
            json!({"matchLabels": {"app": "mine"}}),
        ),
        (
            json!({"seldon": {"port": "aggr-metric"}}),
            POD_MONITOR,
            "/spec/podMetricsEndpoints/0/port".into(),
            json!("aggr-metric"),
        ),
        (
            json!({"seldon": {"path": "/stats"}}),
            POD_MONITOR,
            "/spec/podMetricsEndpoints/0/path".into(),
            json!("/stats"),
        ),
        (
            json!({"seldon": {"limits": {"targets": 7}}}),
            POD_MONITOR,
            "/spec/targetLimit".into(),
            json!(7),
        ),
        (
            json!({"seldon": {"limits": {"samples": 700}}}),
            POD_MONITOR,
            "/spec/sampleLimit".into(),
            json!(700),
        ),
        (
            json!({"scrape": {"limits": {"labels": 40}}}),
            POD_MONITOR,
            "/spec/labelLimit".into(),
            json!(40),
        ),
        (
            json!({"dashboard": {"folder": "Research"}}),
            DASHBOARD,
            "/metadata/annotations/grafana_folder".into(),
            json!("Research"),
        ),
    ];
    for (spec, child, path, expected) in cases {
        tenant.change_spec(spec).await;
        tenant.child_when(&child, &path, at(&path), expected).await;
    }
    let object = tenant.until_observed().await;
    assert_eq!(
        json!(object.status)["gateway"]["image"],
        "registry.example/gateway:v2"
    );
}

// What was there when the child was made is owned in another way than what came later.
#[rstest]
#[case::from_the_start("start", true)]
#[case::later("later", false)]
#[tokio::test]
async fn a_field_that_is_no_longer_set_is_gone_from_the_child(
    #[case] when: &str,
    #[case] from_the_start: bool,
) {
    let set = json!({
        "gateway": {"nodeSelector": {"disk": "ssd", "zone": "a"}, "priorityClassName": "low"},
        "scrape": {"labels": {"release": "monitoring", "team": "ml"}},
    });
    let unset = json!({
        "gateway": {"nodeSelector": {"disk": null}, "priorityClassName": null},
        "scrape": {"labels": {"team": null}},
    });
    let client = shared().await.control_plane.client().await;
    let first = if from_the_start {
        set.clone()
    } else {
        json!({})
    };
    let tenant = Tenant::converged(client, &format!("spec-unset-{when}"), first).await;
    tenant.change_spec(set).await;
    let selector = format!("{POD}/nodeSelector");
    let two = json!({"disk": "ssd", "zone": "a"});
    tenant
        .child_when(&DEPLOYMENT, &selector, at(&selector), two)
        .await;

    tenant.change_spec(unset).await;
    tenant
        .child_when(&DEPLOYMENT, &selector, at(&selector), json!({"zone": "a"}))
        .await;
    tenant
        .child_when(
            &SERVICE_MONITOR,
            "label team",
            at("/metadata/labels/team"),
            Value::Null,
        )
        .await;
    let priority = at(&format!("{POD}/priorityClassName"))(&tenant.child(&DEPLOYMENT).await);
    assert_eq!(priority, Value::Null, "priorityClassName");
    let release = at("/metadata/labels/release")(&tenant.child(&SERVICE_MONITOR).await);
    assert_eq!(release, "monitoring", "a label that is still set");
}

#[tokio::test]
async fn a_field_that_is_no_longer_set_is_gone_also_after_somebody_applied_under_our_name() {
    let client = shared().await.control_plane.client().await;
    let spec = json!({"gateway": {"nodeSelector": {"disk": "ssd"}}});
    let tenant = Tenant::converged(client, "spec-unset-as-us", spec).await;
    let sound = essence(&tenant.child(&DEPLOYMENT).await);
    Damage::AppliedUnderOurName
        .inflict(&tenant, &DEPLOYMENT)
        .await;
    tenant.child_when(&DEPLOYMENT, "it", essence, sound).await;

    tenant
        .change_spec(json!({"gateway": {"nodeSelector": null}}))
        .await;
    let selector = format!("{POD}/nodeSelector");
    tenant
        .child_when(&DEPLOYMENT, &selector, at(&selector), Value::Null)
        .await;
}

#[tokio::test]
async fn a_dashboard_that_is_not_wanted_goes_and_comes_back() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "spec-dashboard", json!({})).await;
    tenant.gateway_comes_up().await;
    tenant
        .change_spec(json!({"dashboard": {"enabled": false}}))
        .await;
    tenant.until_gone(&DASHBOARD).await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    let conditions = tenant.until_observed().await.status.unwrap().conditions;
    assert!(
        conditions.iter().all(|c| c.type_ != "DashboardPublished"),
        "{conditions:#?}"
    );
    tenant
        .change_spec(json!({"dashboard": {"enabled": true}}))
        .await;
    tenant.until_there(&DASHBOARD).await;
    tenant
        .until_condition("metrics", "DashboardPublished", "True", "Published")
        .await;
}

#[tokio::test]
async fn model_servers_are_scraped_as_long_as_they_are_asked_for() {
    let shared = shared().await;
    let client = shared.control_plane.client().await;
    let tenant = Tenant::converged(client, "spec-seldon", json!({})).await;
    tenant.gateway_comes_up().await;
    let first = essence(&tenant.child(&DASHBOARD).await);
    let has_row = |dashboard: &DynamicObject| dashboard.data.to_string().contains("Model servers");
    for _ in 0..2 {
        tenant
            .change_spec(json!({"seldon": {"enabled": true}}))
            .await;
        tenant.until_there(&POD_MONITOR).await;
        tenant
            .until_condition("metrics", "ServingScrapeConfigured", "True", "Selected")
            .await;
        tenant
            .child_when(&DASHBOARD, "a row of model servers", has_row, true)
            .await;
        tenant
            .change_spec(json!({"seldon": {"enabled": false}}))
            .await;
        tenant.until_gone(&POD_MONITOR).await;
        tenant
            .child_when(&DASHBOARD, "a row of model servers", has_row, false)
            .await;
        let conditions = tenant.until_observed().await.status.unwrap().conditions;
        assert!(
            conditions
                .iter()
                .all(|c| c.type_ != "ServingScrapeConfigured"),
            "{conditions:#?}"
        );
    }
    assert_eq!(essence(&tenant.child(&DASHBOARD).await), first);
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
}

/// The schema of a toleration is Kubernetes' own, and has no words for it.
#[tokio::test]
async fn what_only_kubernetes_can_judge_is_told_by_the_condition() {
    let shared = shared().await;
    let client = shared.control_plane.client().await;
    let tenant = Tenant::converged(client, "spec-refused", json!({})).await;
    tenant.gateway_comes_up().await;
    let tolerations =
        |operator| json!({"gateway": {"tolerations": [{"key": "batch", "operator": operator}]}});
    tenant.change_spec(tolerations("Sometimes")).await;
    let message = tenant
        .until_condition("metrics", "Ready", "False", "Refused")
        .await;
    assert!(message.contains("tolerations[0].operator"), "{message}");
    tenant.change_spec(tolerations("Exists")).await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
}

#[tokio::test]
async fn while_paused_nothing_is_written_and_afterwards_everything_is_mended() {
    let shared = shared().await;
    let tenant = Tenant::converged(
        shared.control_plane.client().await,
        "spec-paused",
        everything(),
    )
    .await;
    tenant.change_spec(json!({"paused": true})).await;
    let message = tenant
        .until_condition("metrics", "Paused", "True", "PausedBySpec")
        .await;
    assert!(!message.contains("differ"), "{message}");

    let audit = shared.control_plane.audit().starting_now();
    let mut sound = Vec::new();
    for child in &CHILDREN {
        sound.push((child, essence(&tenant.child(child).await)));
        let damage = if *child == CLIENT_SETTINGS {
            Damage::Deleted
        } else {
            Damage::Emptied
        };
        damage.inflict(&tenant, child).await;
    }
    tenant
        .change_spec(json!({"gateway": {"logLevel": "warn"}}))
        .await;
    tenant.until_observed().await;
    let message = tenant
        .until_condition("metrics", "Paused", "True", "PausedBySpec")
        .await;
    assert!(
        message.contains("differ from what this object asks for"),
        "{message}"
    );
    let writes = audit.operators_writes_in(&tenant.namespace);
    let to_children: Vec<_> = writes
        .iter()
        .filter(|r| is_to_a_child(r.resource()))
        .map(|r| r.in_words())
        .collect();
    assert_eq!(to_children, [""; 0], "written while paused");

    tenant
        .change_spec(json!({"paused": false, "gateway": {"logLevel": "info"}}))
        .await;
    for (child, sound) in sound {
        tenant.child_when(child, "it", essence, sound).await;
    }
}

#[tokio::test]
async fn what_is_paused_from_the_start_has_no_children_and_says_so() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::empty(client, "spec-paused-first").await;
    let mut spec = everything();
    spec["paused"] = json!(true);
    tenant.create("metrics", spec).await;
    tenant
        .until_condition("metrics", "Paused", "True", "PausedBySpec")
        .await;
    let status = tenant.until_observed().await.status.unwrap();
    let claimed: Vec<_> = status
        .conditions
        .iter()
        .filter(|c| c.status == "True" && c.type_ != "Paused")
        .map(|c| &c.type_)
        .collect();
    assert_eq!(claimed, [""; 0], "conditions that claim something is there");
    for child in &CHILDREN {
        tenant.until_gone(child).await;
    }
    tenant.change_spec(json!({"paused": false})).await;
    tenant.until_converged().await;
}

fn is_to_a_child(resource: &str) -> bool {
    CHILDREN
        .iter()
        .any(|child: &ChildName| child.api_resource().plural == resource)
}
