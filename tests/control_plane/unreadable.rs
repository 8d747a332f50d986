//! An object that the operator can't read, as a newer or an older version of the CRD may have let in.

use http::request::Builder;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch};
use serde_json::{Value, json};

use crate::child_names::{CHILDREN, CLIENT_SETTINGS};
use crate::eventually::{eventually, so};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::{Tenant, by};

#[tokio::test]
async fn one_object_that_cannot_be_read_stops_no_other() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = crds.get("metricsnamespaces.simplepipe.dev").await.unwrap();
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut versions = json!(crd.spec.versions);
    versions[0]["schema"] = json!({"openAPIV3Schema": schema});
    crds.patch(
        "metricsnamespaces.simplepipe.dev",
        &by("kubectl"),
        &Patch::Merge(json!({"spec": {"versions": versions}})),
    )
    .await
    .unwrap();

    let unreadable = Tenant::empty(client.clone(), "unreadable").await;
    let url = "/apis/simplepipe.dev/v1alpha1/namespaces/unreadable/metricsnamespaces";
    let object = json!({
        "apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace",
        "metadata": {"name": "metrics"}, "spec": {"scrape": {"interval": 30}},
    });
    // The schema that lets it in takes a moment to be in force.
    eventually("the API server takes the object", async || {
        let request = http::Request::post(url).header("Content-Type", "application/json");
        let request = request.body(serde_json::to_vec(&object).unwrap()).unwrap();
        client
            .request::<Value>(request)
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    })
    .await;
    control_plane.install().await;

    let operator = Operator::start_alone(&control_plane).await;
    Tenant::converged(client.clone(), "readable", json!({})).await;
    eventually("the log names the object and what is wrong", async || {
        let lines = operator.log_lines("can't be read and is left alone");
        so(
            lines.iter().any(|l| {
                l.contains("\"unreadable\"")
                    && l.contains("spec.scrape.interval: invalid type: integer `30`")
            }),
            lines,
        )
    })
    .await;
    let field = "spec.scrape.interval: invalid type: integer `30`";
    unreadable.until_told("Warning", "InvalidSpec", field).await;
    let count = operator.metric("simplepipe_unreadable_objects").await;
    assert_eq!(count, Ok(1.0));
    for child in &CHILDREN {
        unreadable.until_gone(child).await;
    }

    // It is read as soon as it is right.
    let patch = Patch::Merge(json!({"spec": {"scrape": {"interval": "30s"}}}));
    unreadable
        .objects()
        .patch("metrics", &by("kubectl-edit"), &patch)
        .await
        .unwrap();
    unreadable.until_converged().await;
    let count = operator.metric("simplepipe_unreadable_objects").await;
    assert_eq!(count, Ok(0.0));
}

/// Who may edit an object may write anything into its managed fields.
#[tokio::test]
async fn managed_fields_that_no_parser_takes_stop_no_other_tenant() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let operator = Operator::start_alone(&control_plane).await;
    let victim = Tenant::converged(client.clone(), "poison-victim", json!({})).await;
    let poisoner = Tenant::converged(client.clone(), "poison", json!({})).await;
    let base = "/api/v1/namespaces/poison/configmaps";
    let depth = (0..150).fold(json!({}), |inner, _| json!({"f:a": inner}));
    let late = entry("9999-12-31T23:59:59Z", &json!({"f:data": {}}));
    let deep = entry("2026-01-01T00:00:00Z", &depth);
    let objects = "/apis/simplepipe.dev/v1alpha1/namespaces/poison/metricsnamespaces/metrics";
    for (path, entry) in [
        (objects, &late),
        (objects, &deep),
        (&format!("{base}/simplepipe"), &deep),
        (&format!("{base}/pushgateway-dashboard"), &late),
    ] {
        poison(&client, path, entry).await;
        // By the watch that has just read the event.
        victim.gets_back(&CLIENT_SETTINGS).await;
    }
    // The API server passes the bytes of managed fields on as they came with a PUT.
    let labelled = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "bytes", "labels": {"app.kubernetes.io/managed-by": "simplepipe"},
            "managedFields": [entry("2026-01-01T00:00:00Z", &json!({"f:data": {"f:BYTES": {}}}))],
        },
    });
    poisoner
        .api(&CLIENT_SETTINGS)
        .create(
            &Default::default(),
            &serde_json::from_value(labelled.clone()).unwrap(),
        )
        .await
        .unwrap();
    let mut body = labelled.to_string().into_bytes();
    let place = body.windows(5).position(|word| word == b"BYTES").unwrap();
    body[place..place + 2].copy_from_slice(b"\xff\xfe");
    let path = format!("{base}/bytes");
    send(&client, http::Request::put(&path), "application/json", body).await;
    let unreadable = client
        .request_text(http::Request::get(&path).body(Vec::new()).unwrap())
        .await;
    assert!(
        matches!(unreadable, Err(kube::Error::FromUtf8(_))),
        "{unreadable:?}"
    );
    victim.gets_back(&CLIENT_SETTINGS).await;
    operator.kill();

    let _restarted = Operator::start_alone(&control_plane).await;
    Tenant::converged(client, "poison-newcomer", json!({})).await;
    poisoner.until_observed().await;
}

fn entry(time: &str, fields: &Value) -> Value {
    json!({
        "manager": "x", "operation": "Update", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": fields, "time": time,
    })
}

async fn poison(client: &kube::Client, path: &str, entry: &Value) {
    let patch = json!({"metadata": {"managedFields": [entry]}});
    let patch = serde_json::to_vec(&patch).unwrap();
    send(
        client,
        http::Request::patch(path),
        "application/merge-patch+json",
        patch,
    )
    .await;
}

/// The answer is not read: it is as unreadable as the object.
async fn send(client: &kube::Client, request: Builder, content: &str, body: Vec<u8>) {
    let request = request
        .header("Content-Type", content)
        .body(body.into())
        .unwrap();
    assert_eq!(client.send(request).await.unwrap().status(), 200);
}
