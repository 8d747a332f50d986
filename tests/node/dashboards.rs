//! Every expression of each dashboard has data in the demo's Prometheus.

use serde_json::Value;

use super::cluster::{client, eventually, root};
use super::dashboard_expressions::dashboard_expressions;

async fn all_have_data(file: &str, namespace: &str) {
    let client = client().await;
    let text = std::fs::read_to_string(root().join("dashboards").join(file)).unwrap();
    let dashboard: Value = serde_json::from_str(
        &text
            .replace("@NAMESPACE@", namespace)
            .replace("@UID@", "uid"),
    )
    .unwrap();
    let expressions = dashboard_expressions(&dashboard);
    assert!(
        expressions.len() > 10,
        "only {} expressions",
        expressions.len()
    );
    for (title, expression) in expressions {
        let what = format!("panel {title:?} of {file} for {namespace:?} has data: {expression}");
        eventually(&what, async || {
            match super::cluster::ask(&client, &expression).await {
                Ok(series) if !series.is_empty() => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_tenants_dashboard_shows_alice() {
    all_have_data("tenant.json", "alice").await;
}

#[tokio::test]
async fn the_tenants_dashboard_shows_bob() {
    all_have_data("tenant.json", "bob").await;
}

#[tokio::test]
async fn the_administrators_dashboard_shows_all() {
    all_have_data("admin.json", "").await;
}

#[tokio::test]
async fn the_details_show_all() {
    all_have_data("details.json", "").await;
}
