//! What was pushed by the demo's jobs, as Prometheus has it.

use super::cluster::{ask, client, scraped};

#[tokio::test]
async fn each_tenants_series_carry_its_namespace_and_the_job_as_pushed() {
    let client = client().await;
    for tenant in ["alice", "bob"] {
        let series = scraped(
            &client,
            &format!("run_time{{namespace={tenant:?},job=\"train\"}}"),
        )
        .await;
        assert_eq!(series.len(), 1, "{series:?}");
        let (labels, value) = &series[0];
        assert!(*value > 0.0, "a run time that took no time: {value}");
        let mut names: Vec<_> = labels.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["__name__", "job", "namespace"]);
    }
    let renamed = ask(
        &client,
        "count({exported_job!=\"\"}) or count({exported_namespace!=\"\"})",
    )
    .await;
    assert_eq!(renamed.unwrap(), [], "a label as pushed was renamed");
}

#[tokio::test]
async fn both_tenants_are_up_under_their_own_namespace() {
    let client = client().await;
    for tenant in ["alice", "bob"] {
        let up = scraped(
            &client,
            &format!("up{{namespace={tenant:?},job=\"pushgateway\"}}"),
        )
        .await;
        assert_eq!(up.len(), 1, "{up:?}");
    }
}

#[tokio::test]
async fn the_operators_own_metrics_are_scraped() {
    let client = client().await;
    scraped(
        &client,
        "simplepipe_reconciles_total{namespace=\"simplepipe-system\",result=\"success\"} > 0",
    )
    .await;
    let leading = scraped(&client, "sum(simplepipe_leading)").await;
    assert_eq!(leading[0].1, 1.0, "{leading:?}");
}
