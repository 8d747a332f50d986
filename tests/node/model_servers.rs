//! A model behind the real Seldon microservice, labelled as Seldon Core 1 labels its pods.

use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};

use super::cluster::{Tenant, ask, client, eventually, root, scraped};
use super::dashboard_expressions::dashboard_expressions;

const NAMESPACE: &str = "e2e-seldon";

/// The image of the model, in the cluster.
fn model_image() -> String {
    let output = Command::new(root().join("tests/node/seldon/image"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// As Seldon's operator writes it for a SeldonDeployment `churn` with one model, as far as scraping goes.
fn deployment(image: &str) -> Deployment {
    let labels = json!({
        "app.kubernetes.io/managed-by": "seldon-core",
        "seldon-deployment-id": "churn",
        "seldon-app": "churn-default",
    });
    let variables = [
        ("SELDON_DEPLOYMENT_ID", "churn"),
        ("PREDICTOR_ID", "default"),
        ("PREDICTOR_LABELS", "{\"version\":\"v1\"}"),
        ("PREDICTIVE_UNIT_ID", "classifier"),
        ("PREDICTIVE_UNIT_IMAGE", image),
        ("PREDICTIVE_UNIT_HTTP_SERVICE_PORT", "9000"),
        ("PREDICTIVE_UNIT_GRPC_SERVICE_PORT", "9500"),
        ("PREDICTIVE_UNIT_METRICS_SERVICE_PORT", "6000"),
        ("PREDICTIVE_UNIT_METRICS_ENDPOINT", "/prometheus"),
    ]
    .map(|(name, value)| json!({"name": name, "value": value}));
    let container = json!({
        "name": "classifier",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": variables,
        "ports": [{"name": "http", "containerPort": 9000}, {"name": "metrics", "containerPort": 6000}],
        "readinessProbe": {"httpGet": {"path": "/health/ping", "port": "http"}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    });
    serde_json::from_value(json!({
        "metadata": {"name": "churn-default-0-classifier"},
        "spec": {
            "selector": {"matchLabels": {"seldon-app": "churn-default"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": false,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        },
    }))
    .unwrap()
}

/// The name of the model's pod, once it answers.
async fn model_pod(client: &Client) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let selector = ListParams::default().labels("seldon-deployment-id=churn");
    eventually("the model's pod is ready", async || {
        let pods = pods.list(&selector).await.map_err(|e| e.to_string())?;
        let [pod] = &pods.items[..] else {
            return Err(format!("{} pods", pods.items.len()));
        };
        let status = pod.status.clone().unwrap_or_default();
        let is_ready =
            |c: &k8s_openapi::api::core::v1::PodCondition| c.type_ == "Ready" && c.status == "True";
        if status.conditions.iter().flatten().any(is_ready) {
            Ok(pod.metadata.name.clone().unwrap())
        } else {
            Err(format!("{status:#?}"))
        }
    })
    .await
}

/// Asks the model for a prediction.
async fn predict(client: &Client, pod: &str, row: [f64; 2]) -> Result<Value, String> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9000/proxy/api/v1.0/predictions");
    let body = json!({"data": {"ndarray": [row]}});
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&body).unwrap())
        .unwrap();
    let answer: Value = client.request(request).await.map_err(|e| e.to_string())?;
    Ok(answer["data"]["ndarray"][0][0].clone())
}

/// What the panels of the row ask, as they stand in the tenant's own dashboard.
async fn expressions_of_the_row(client: &Client) -> Vec<(String, String)> {
    let dashboards: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let data = dashboards
        .get("pushgateway-dashboard")
        .await
        .unwrap()
        .data
        .unwrap();
    let mut dashboard: Value =
        serde_json::from_str(&data[&format!("simplepipe-{NAMESPACE}.json")]).unwrap();
    let panels = dashboard["panels"].as_array_mut().unwrap();
    let row = panels.iter().position(|p| p["title"] == "Model servers");
    panels.drain(..row.expect("a row for model servers"));
    dashboard["templating"] = Value::Null;
    dashboard_expressions(&dashboard)
}

#[tokio::test]
async fn a_models_metrics_are_its_tenants_and_fill_the_dashboards_row() {
    let image = model_image();
    let tenant = Tenant::new(client().await, NAMESPACE).await;
    let client = &tenant.client;
    tenant
        .wants(json!({"seldon": {"enabled": true, "interval": "5s"}}))
        .await;
    tenant
        .until("ServingScrapeConfigured", "True", "scraped every 5s by")
        .await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    deployments
        .create(&PostParams::default(), &deployment(&image))
        .await
        .unwrap();
    let pod = model_pod(client).await;
    assert_eq!(predict(client, &pod, [1.0, 2.0]).await.unwrap(), 3.0);

    // The marker says of itself that it is another's.
    let series = scraped(client, "serving_marker").await;
    let [(labels, _)] = &series[..] else {
        panic!("{series:?}");
    };
    for (name, value) in [
        ("namespace", NAMESPACE),
        ("job", "seldon"),
        ("pod", &pod),
        ("container", "classifier"),
        ("deployment_name", "churn"),
        ("model_name", "classifier"),
    ] {
        assert_eq!(labels[name], value, "{name} of {labels}");
    }
    let names = labels.as_object().unwrap().keys();
    let forged: Vec<_> = names
        .filter(|name| name.starts_with("exported_") || *name == "cluster")
        .collect();
    assert_eq!(forged, [""; 0]);
    // By the same scrape.
    let others = format!(
        "kube_forged or up{{namespace={NAMESPACE:?},deployment_name=\"churn\"}} or {{namespace=\"bob\",pod={pod:?}}}"
    );
    assert_eq!(ask(client, &others).await.unwrap(), []);
    let up = scraped(
        client,
        &format!("up{{namespace={NAMESPACE:?},job=\"seldon\"}} == 1"),
    )
    .await;
    assert_eq!(up.len(), 1, "{up:?}");

    let expressions = expressions_of_the_row(client).await;
    assert!(expressions.len() > 5, "{expressions:#?}");
    for (title, expression) in expressions {
        let what = format!("panel {title:?} shows what the model does: {expression}");
        eventually(&what, async || {
            for row in [[1.0, 2.0], [-1.0, 2.0]] {
                predict(client, &pod, row).await?;
            }
            let series = ask(client, &expression).await?;
            if series.len() == 1 && series[0].1 > 0.0 {
                Ok(())
            } else {
                Err(format!("{series:?}"))
            }
        })
        .await;
    }
    tenant.gone().await;
}
