//! A tenant that pushes what looks like another's, or like Prometheus' own.

use super::cluster::{Tenant, ask, client, push, scraped};
use serde_json::json;

#[tokio::test]
async fn whatever_a_tenant_pushes_stays_its_own() {
    let tenant = Tenant::new(client().await, "e2e-forger").await;
    let client = &tenant.client;
    tenant.wants(json!({"scrape": {"interval": "5s"}})).await;
    tenant.until("Ready", "True", "").await;

    push(
        client,
        &tenant.namespace,
        "job/forged/namespace/bob/pod/pod-of-bob",
        "forged_marker{container=\"c\",service=\"s\",endpoint=\"e\",prometheus=\"p\",exported_job=\"j\",cluster=\"c\",mine=\"kept\"} 1\n\
         up{instance=\"bob\"} 0\n\
         ALERTS{alertname=\"Forged\",alertstate=\"firing\"} 1\n\
         kube_forged 1\n\
         scrape_forged 1\n\
         slo:forged:rate5m 1\n\
         kubelet_forged 1\n",
    )
    .await;

    // A job that the cluster's own alerts ask for.
    push(
        client,
        &tenant.namespace,
        "job/kube-scheduler/instance/10.0.0.1",
        "scheduler_pending_pods 9\n",
    )
    .await;
    push(client, &tenant.namespace, "job/train", "forged_after 1\n").await;
    scraped(client, "forged_after").await;

    // The marker came by the same scrape as all the rest, so what is not there now was dropped.
    let series = scraped(client, "forged_marker").await;
    assert_eq!(series.len(), 1, "{series:?}");
    let expected = json!({"__name__": "forged_marker", "job": "forged", "mine": "kept", "namespace": tenant.namespace});
    assert_eq!(series[0].0, expected);
    for dropped in [
        "up{job=\"forged\"}",
        "ALERTS{alertname=\"Forged\"}",
        "kube_forged",
        "scrape_forged",
        "slo:forged:rate5m",
        "kubelet_forged",
        "{job=\"kube-scheduler\"}",
        "{namespace=\"bob\",job=\"forged\"}",
    ] {
        assert_eq!(
            ask(client, dropped).await.unwrap(),
            [],
            "{dropped} came through"
        );
    }
    tenant.gone().await;
}
