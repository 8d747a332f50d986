//! A client that does nothing but send what the operator sent for one tenant, for each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use kube::config::Kubeconfig;
use serde_json::Value;
use tokio::time::sleep;

use crate::cluster::{Cluster, Tenant};
use crate::operator::Operator;
use crate::recorder::{Recorded, Recorder};
use crate::{Result, SETTLING};

/// As long as the names of other tenants' namespaces, so that bodies are equally long.
const NAMESPACE: &str = "tenant-model";

/// One tenant, and what the operator sent for it.
pub struct Sample {
    tenant: Tenant,
    requests: Vec<Recorded>,
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
    let operator = Operator::start(cluster, &file)?;
    converged.all(std::slice::from_ref(&tenant)).await?;
    sleep(SETTLING).await;
    operator.stop().await?;
    let sample = Sample {
        requests: recorder.in_namespace(NAMESPACE),
        tenant,
    };
    for path in sample.created() {
        cluster.delete(&path?).await?;
    }
    cluster.delete_object(NAMESPACE).await?;
    Ok(sample)
}

impl Sample {
    /// Sends the same for each of these tenants, of which each is done in order.
    pub async fn replay(&self, cluster: &Cluster, tenants: &[Tenant]) -> Result<()> {
        cluster
            .each(tenants, |tenant| self.replay_one(cluster, tenant))
            .await
            .map(drop)
    }

    async fn replay_one(&self, cluster: &Cluster, tenant: &Tenant) -> Result<()> {
        for recorded in &self.requests {
            let path = recorded.path.replace(NAMESPACE, &tenant.namespace);
            let body = recorded
                .body
                .replace(NAMESPACE, &tenant.namespace)
                .replace(&self.tenant.uid, &tenant.uid);
            let answer = cluster
                .client()
                .send(recorded.request(&path, body)?)
                .await?;
            let status = answer.status();
            let body = answer.into_body().collect_bytes().await?;
            if !status.is_success() {
                let body = String::from_utf8_lossy(&body);
                return Err(format!("{} {path}: {status}: {body}", recorded.method).into());
            }
        }
        Ok(())
    }

    /// That each tenant has all children: a status alone does not prove it.
    pub async fn check(&self, cluster: &Cluster) -> Result<()> {
        let mut expected = BTreeMap::new();
        for posted in self.posted().filter(|r| !r.path.contains("/events?")) {
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

    /// Removes all tenants' children and objects; namespaces stay.
    pub async fn remove_all(&self, cluster: &Cluster) -> Result<()> {
        let remove = async |namespace: String| {
            for path in self.created() {
                cluster
                    .delete(&path?.replace(NAMESPACE, &namespace))
                    .await?;
            }
            cluster.delete_object(&namespace).await
        };
        cluster.each(cluster.namespaces(), remove).await?;
        // The garbage collector has them all to forget.
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    fn posted(&self) -> impl Iterator<Item = &Recorded> {
        self.requests.iter().filter(|r| r.method == Method::POST)
    }

    /// Paths of what was made.
    fn created(&self) -> impl Iterator<Item = Result<String>> {
        self.posted().map(|r| {
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
