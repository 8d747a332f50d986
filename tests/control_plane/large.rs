//! Objects of a megabyte under the label of the children, which anybody may make in a namespace of theirs.

use kube::api::{DynamicObject, Patch};
use serde_json::{Map, Value, json};

use crate::child_names::{CLIENT_SETTINGS, SERVICE};
use crate::eventually::{eventually, so};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::{Tenant, by};

const OBJECTS: usize = 10;
/// What the chart gives the operator.
const LIMIT: f64 = 128.0 * 1024.0 * 1024.0;

#[tokio::test]
async fn many_objects_of_a_megabyte_do_not_take_the_operator_to_its_memory_limit() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let greedy = Tenant::empty(client.clone(), "large").await;
    let configmaps = greedy.api(&CLIENT_SETTINGS);
    for number in 0..OBJECTS {
        let object = configmap(number);
        configmaps
            .create(&Default::default(), &object)
            .await
            .unwrap();
    }
    let operator = Operator::start_alone(&control_plane).await;
    let other = Tenant::converged(client, "large-other", json!({})).await;
    // By the watch too.
    let labels = json!({"metadata": {"labels": {"touched": "yes"}}});
    let patch = Patch::Merge(&labels);
    configmaps
        .patch("large-0", &by("kubectl"), &patch)
        .await
        .unwrap();
    for child in [&CLIENT_SETTINGS, &SERVICE] {
        other.gets_back(child).await;
    }
    eventually("the operator holds little", async || {
        let resident = operator.metric("process_resident_memory_bytes").await?;
        so(resident < LIMIT, resident)
    })
    .await;
    // Tests that come after it share the API server.
    for number in 0..OBJECTS {
        let name = format!("large-{number}");
        configmaps.delete(&name, &Default::default()).await.unwrap();
    }
}

fn configmap(number: usize) -> DynamicObject {
    let keys = (0..80_000).map(|key| (format!("f:{number}.{key}"), json!({})));
    let entry = |manager: &str, fields: Map<String, Value>| {
        json!({
            "manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": fields},
        })
    };
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": format!("large-{number}"),
            "labels": {"app.kubernetes.io/managed-by": "simplepipe"},
            "managedFields": [entry("simplepipe", keys.collect())],
        },
    });
    serde_json::from_value(object).unwrap()
}
