//! The yardstick: a client that does no more than the work has to cost. For each tenant it POSTs the six children, with
//! the bodies that the operator sends, and patches the status once; a restart it answers with the operator's own
//! lists. It decides nothing, watches nothing and keeps nothing, and does not change with the operator.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use kube::config::Kubeconfig;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cluster::{Cluster, Tenant};
use crate::operator::Operator;
use crate::recorder::{Recorded, Recorder};
use crate::{Result, SETTLING};

/// As long as the names of other tenants' namespaces, so that bodies are equally long.
const NAMESPACE: &str = "tenant-model";
const CHILDREN: usize = 6;

/// One tenant, and what the operator sent for it.
pub struct Sample {
    tenant: Tenant,
    children: Vec<Recorded>,
    /// A merge patch, which costs the API server least.
    status: Recorded,
    /// The first page of each list that the operator began with.
    lists: Vec<Recorded>,
}

/// Lets the operator work on one tenant.
pub async fn record(cluster: &Cluster) -> Result<Sample> {
    let (recorder, address) = Recorder::start(cluster.client().clone()).await?;
    let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
    let to = kubeconfig.clusters[0].cluster.get_or_insert_default();
    to.server = Some(address);
    let file = cluster.folder().join("recorder.kubeconfig");
    std::fs::write(&file, serde_json::to_string(&kubeconfig)?)?;

    cluster.create_namespace(NAMESPACE.to_owned()).await?;
    let tenant = cluster.create_object(NAMESPACE.to_owned()).await?;
    let converged = cluster.watch();
    let operator = Operator::start(cluster, &file, &[])?;
    converged.all(std::slice::from_ref(&tenant)).await?;
    sleep(SETTLING).await;
    operator.stop().await?;
    let sample = Sample::of(tenant, recorder.recorded())?;
    for path in sample.created() {
        cluster.delete(&path?).await?;
    }
    cluster.delete_object(NAMESPACE).await?;
    Ok(sample)
}

impl Sample {
    fn of(tenant: Tenant, recorded: Vec<Recorded>) -> Result<Self> {
        let within = format!("/namespaces/{NAMESPACE}/");
        let children: Vec<_> = recorded
            .iter()
            .filter(|r| r.method == Method::POST && r.path.contains(&within))
            .filter(|r| !r.path.contains("/events"))
            .cloned()
            .collect();
        if children.len() != CHILDREN {
            return Err(format!("the operator made {} children", children.len()).into());
        }
        let mut status = recorded
            .iter()
            .rfind(|r| r.path.contains("/metricsnamespaces/") && r.path.contains("/status"))
            .cloned()
            .ok_or("the operator wrote no status")?;
        let body: Value = serde_json::from_str(&status.body)?;
        // Whatever kind of patch it was.
        let value = match body.as_array() {
            Some(operations) => operations
                .iter()
                .find(|o| o["path"] == "/status")
                .map(|o| o["value"].clone()),
            None => body.get("status").cloned(),
        };
        status.body = json!({"status": value.ok_or("no status in its patch")?}).to_string();
        status.path = status.path.split('?').next().unwrap_or_default().to_owned();
        status.headers = vec![(
            CONTENT_TYPE,
            HeaderValue::from_static("application/merge-patch+json"),
        )];
        let mut paths = BTreeSet::new();
        let lists = recorded.into_iter().filter(|r| {
            r.method == Method::GET
                && r.path.contains("limit=")
                && !r.path.contains("continue=")
                && !r.path.contains("/namespaces/")
                && paths.insert(r.path.clone())
        });
        let lists = lists.collect();
        Ok(Self {
            tenant,
            children,
            status,
            lists,
        })
    }

    /// Does it for each of these tenants, of which each is done in order.
    pub async fn replay(&self, cluster: &Cluster, tenants: &[Tenant]) -> Result<()> {
        cluster
            .each(tenants, |tenant| self.replay_one(cluster, tenant))
            .await
            .map(drop)
    }

    async fn replay_one(&self, cluster: &Cluster, tenant: &Tenant) -> Result<()> {
        for recorded in self.children.iter().chain([&self.status]) {
            let path = recorded.path.replace(NAMESPACE, &tenant.namespace);
            let body = recorded
                .body
                .replace(NAMESPACE, &tenant.namespace)
                .replace(&self.tenant.uid, &tenant.uid);
            answered(cluster, recorded, &path, body).await?;
        }
        Ok(())
    }

    /// Reads all that the operator reads when it starts, page by page, the kinds side by side.
    pub async fn list(&self, cluster: &Cluster) -> Result<()> {
        try_join_all(self.lists.iter().map(|list| read_pages(cluster, list)))
            .await
            .map(drop)
    }

    /// That each tenant has all children: a status alone does not prove it.
    pub async fn check(&self, cluster: &Cluster) -> Result<()> {
        let mut expected = BTreeMap::new();
        for posted in &self.children {
            let all = posted.path.replace(&format!("/namespaces/{NAMESPACE}"), "");
            let kind = all.split('?').next().unwrap_or_default().to_owned();
            *expected.entry(kind).or_insert(0) += cluster.namespaces().count();
        }
        for (kind, expected) in expected {
            let label = "labelSelector=app.kubernetes.io/managed-by%3Dsimplepipe";
            let found = cluster.count(&format!("{kind}?{label}")).await?;
            if found != expected {
                return Err(format!("{kind} has {found} objects, not {expected}").into());
            }
        }
        Ok(())
    }

    /// Paths of what was made.
    fn created(&self) -> impl Iterator<Item = Result<String>> {
        self.children.iter().map(|r| {
            let object: Value = serde_json::from_str(&r.body)?;
            let name = object["metadata"]["name"]
                .as_str()
                .ok_or("an object without a name")?;
            Ok(format!(
                "{}/{name}",
                r.path.split('?').next().unwrap_or_default()
            ))
        })
    }
}

async fn read_pages(cluster: &Cluster, first: &Recorded) -> Result<()> {
    #[derive(Deserialize)]
    struct Page {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        r#continue: Option<String>,
    }
    let mut path = first.path.clone();
    loop {
        let body = answered(cluster, first, &path, String::new()).await?;
        let page: Page = serde_json::from_slice(&body)?;
        let Some(token) = page.metadata.r#continue.filter(|token| !token.is_empty()) else {
            return Ok(());
        };
        path = first
            .path
            .split('&')
            .filter(|part| !part.starts_with("resourceVersion"))
            .chain([&*format!("continue={token}")])
            .collect::<Vec<_>>()
            .join("&");
    }
}

/// The body of a good answer.
async fn answered(
    cluster: &Cluster,
    recorded: &Recorded,
    path: &str,
    body: String,
) -> Result<Vec<u8>> {
    let answer = cluster.client().send(recorded.request(path, body)?).await?;
    let status = answer.status();
    let body = answer.into_body().collect_bytes().await?;
    if !status.is_success() {
        let body = String::from_utf8_lossy(&body);
        return Err(format!("{} {path}: {status}: {body}", recorded.method).into());
    }
    Ok(body.to_vec())
}
