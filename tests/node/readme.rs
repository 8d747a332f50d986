//! What the README tells a reader to type, taken from its text.

use std::process::Command;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::cluster::{Tenant, client, eventually, kubeconfig, push, root, scraped, tools};

/// In place of the README's own.
const NAMESPACE: &str = "e2e-readme";

/// The first block of this language after a heading.
fn block(heading: &str, language: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, rest) = section.split_once(&format!("```{language}")).unwrap();
    rest.split_once("```")
        .unwrap()
        .0
        .replace("carol", NAMESPACE)
}

fn bash(script: &str) {
    let path = format!("{}:{}", tools(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euxc", script])
        .env("KUBECONFIG", kubeconfig())
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}");
}

#[tokio::test]
async fn the_first_object_and_the_first_push_work_as_written() {
    let client = client().await;
    let tenant = Tenant {
        client: client.clone(),
        namespace: NAMESPACE.into(),
    };
    tenant.gone().await;
    bash(&block("The first object", "sh"));

    let seldon = block("Every way to push", "sh\nkubectl");
    bash(&format!("kubectl{seldon}"));
    bash(&format!(
        "for _ in $(seq 60); do kubectl -n {NAMESPACE} get podmonitor seldon && exit; sleep 0.5; done; exit 1"
    ));

    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let files: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let metrics = block("The first push", "json");
    files
        .create(
            &PostParams::default(),
            &from(json!({"metadata": {"name": "file"}, "data": {"metrics.json": metrics}})),
        )
        .await
        .unwrap();
    let mut containers: Value = serde_saphyr::from_str(&block("The first push", "yaml")).unwrap();
    containers[0]["volumeMounts"] = json!([{"name": "work", "mountPath": "/work"}]);
    let pod = json!({
        "metadata": {"name": "step"},
        "spec": {
            "restartPolicy": "Never",
            "containers": containers,
            "volumes": [{"name": "work", "configMap": {"name": "file"}}],
        },
    });
    pods.create(&PostParams::default(), &from(pod))
        .await
        .unwrap();
    eventually("the README's step has pushed", async || {
        let status = pods
            .get("step")
            .await
            .map_err(|e| e.to_string())?
            .status
            .unwrap_or_default();
        match status.phase.as_deref() {
            Some("Succeeded") => Ok(()),
            _ => Err(format!("{status:#?}")),
        }
    })
    .await;

    let curl = block("The first push", "sh");
    let sample = curl.split('\'').nth(1).unwrap().replace("\\n", "\n");
    let group = curl.trim().rsplit_once("/metrics/").unwrap().1;
    push(&client, NAMESPACE, &format!("{group}/by/curl"), &sample).await;

    let series = scraped(
        &client,
        &format!("sum by (job) (run_time{{namespace={NAMESPACE:?},job=\"train\"}}) == 12"),
    )
    .await;
    assert_eq!(series.len(), 1, "{series:?}");
    tenant.gone().await;
}

fn from<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}
