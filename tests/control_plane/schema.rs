//! What the API server takes as a MetricsNamespace, and how it shows one.

use kube::api::DeleteParams;
use serde_json::{Value, json};
use simplepipe::api::MetricsNamespaceSpec;

use crate::eventually::{eventually, so};
use crate::spec_cases::{Expected, spec_cases};
use crate::stages::shared;
use crate::tenant::Tenant;

/// What the API server says of a pattern, and of a rule that can't be worked out.
const NO_HELP: [&str; 4] = [
    "should match",
    "rule evaluation error",
    "conversion error",
    "failed rule",
];

#[tokio::test]
async fn the_api_server_takes_what_is_right_and_says_what_is_wrong() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::empty(client, "schema-cases").await;
    let mut wrong = Vec::new();
    for (what, spec, expected) in spec_cases() {
        let answer = tenant.try_create("metrics", spec).await;
        let is_as_expected = match (&answer, expected) {
            (Ok(_), Expected::Taken) => true,
            (Err(error), Expected::ByRule(words) | Expected::BySchema(words)) => {
                let said = error.to_string();
                said.contains(words) && !NO_HELP.iter().any(|n| said.contains(n))
            }
            _ => false,
        };
        if !is_as_expected {
            wrong.push(format!("{what}: {answer:?}"));
        }
        if answer.is_ok() {
            tenant
                .objects()
                .delete("metrics", &DeleteParams::default())
                .await
                .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rules_say_offline_what_the_api_server_says() {
    let mut wrong = Vec::new();
    for (what, spec, expected) in spec_cases() {
        let words = match expected {
            Expected::Taken => None,
            Expected::ByRule(words) => Some(words),
            // Not a matter of rules.
            Expected::BySchema(_) => continue,
        };
        // With its defaults, as rules get it.
        let spec: MetricsNamespaceSpec = serde_json::from_value(spec).unwrap();
        let answer = MetricsNamespaceSpec::validate_cel(&json!(spec), None);
        let said = answer.err().map(|errors| format!("{errors:?}"));
        let is_as_expected = match (&said, words) {
            (None, None) => true,
            (Some(said), Some(words)) => said.contains(words),
            _ => false,
        };
        if !is_as_expected {
            wrong.push(format!("{what}: {said:?}, expected {words:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn kubectl_shows_what_a_person_looks_for() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client.clone(), "schema-columns", json!({})).await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    let url = "/apis/simplepipe.dev/v1alpha1/namespaces/schema-columns/metricsnamespaces";
    let table: Value = eventually("the table has a row", async || {
        let request = http::Request::get(url)
            .header("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")
            .body(Vec::new());
        let table: Value = client
            .request(request.unwrap())
            .await
            .map_err(|e| e.to_string())?;
        so(
            table["rows"].as_array().is_some_and(|rows| rows.len() == 1),
            &table,
        )?;
        Ok(table)
    })
    .await;
    let columns = table["columnDefinitions"].as_array().unwrap();
    let shown = |priority: i64| {
        let columns = columns
            .iter()
            .enumerate()
            .filter(move |(_, c)| c["priority"] == priority);
        columns
            .map(|(i, c)| {
                format!(
                    "{}: {}",
                    c["name"].as_str().unwrap(),
                    table["rows"][0]["cells"][i]
                )
            })
            .collect::<Vec<_>>()
    };
    let always = shown(0);
    assert_eq!(
        always[..4],
        [
            "Name: \"metrics\"",
            "Ready: \"True\"",
            "URL: \"http://pushgateway.schema-columns.svc:9091\"",
            "Scraped by: \"simplepipe-system/k8s\"",
        ]
    );
    assert!(always[4].starts_with("Age: "), "{always:?}");
    let wide = shown(1);
    for part in [
        "Reason: \"AllWorking\"",
        "Interval: \"30s\"",
        "Image: \"quay.io/prometheus/pushgateway",
        "Paused: false",
        "Message: \"http://pushgateway:9091 takes pushes",
    ] {
        assert!(
            wide.iter().any(|column| column.starts_with(part)),
            "{part} is not in {wide:?}"
        );
    }
}
