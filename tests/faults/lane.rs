//! A control plane on which one seed runs after the other, and what undisturbed tenants look like there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::Client;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::child_names::{CHILDREN, everything};
use crate::control_plane::ControlPlane;
use crate::operator::Operator;
use crate::picture::{OBJECT, Picture, Pictures, differences, objects, pictures};
use crate::prometheus::create_prometheus;
use crate::rollout;
use crate::schedule::{End, specs};
use crate::tenant::Tenant;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

pub struct Lane {
    pub control_plane: ControlPlane,
    pub client: Client,
    undisturbed: BTreeMap<End, Picture>,
    rollout: JoinHandle<()>,
}

impl Lane {
    pub async fn start(name: &str) -> Self {
        let control_plane = ControlPlane::start(name).await;
        let client = control_plane.client().await;
        create_prometheus(&client, "k8s", json!({})).await;
        let rollout = rollout::start(client.clone());
        let operator = Operator::start_alone(&control_plane).await;
        let undisturbed = undisturbed(&client).await;
        until_garbage_is_collected(&client).await;
        operator.kill();
        Self {
            control_plane,
            client,
            undisturbed,
            rollout,
        }
    }

    /// What a tenant that is so in the end looks like.
    pub fn undisturbed(&self, end: End) -> &Picture {
        &self.undisturbed[&end]
    }

    /// In what these namespaces differ from those of undisturbed tenants.
    pub async fn differences(&self, tenants: &[(String, End)]) -> Vec<String> {
        // Most looks come too early, and statuses show it for less.
        let (objects, _) = objects(&self.client).await.unwrap();
        let differences = self.compare(tenants, &objects, |name| name.starts_with(OBJECT));
        if !differences.is_empty() {
            return differences;
        }
        let pictures = pictures(&self.client).await.unwrap();
        self.compare(tenants, &pictures, |_| true)
    }

    /// All differences, also where some show at the first look.
    pub async fn all_differences(&self, tenants: &[(String, End)]) -> Vec<String> {
        let pictures = pictures(&self.client).await.unwrap();
        self.compare(tenants, &pictures, |_| true)
    }

    fn compare(
        &self,
        tenants: &[(String, End)],
        pictures: &Pictures,
        of: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let nothing = Picture::new();
        tenants
            .iter()
            .flat_map(|(namespace, end)| {
                let found = pictures.get(namespace).unwrap_or(&nothing);
                let mut expected = self.undisturbed(*end).clone();
                expected.retain(|name, _| of(name));
                let lines = differences(&expected, found);
                lines
                    .into_iter()
                    .map(move |line| format!("{namespace}: {line}"))
            })
            .collect()
    }

    /// Waits until they do not differ, and says how long it took.
    ///
    /// # Errors
    /// In what they differ to the end.
    pub async fn until_right(
        &self,
        tenants: &[(String, End)],
        patience: Duration,
    ) -> Result<Duration, Vec<String>> {
        let began = Instant::now();
        loop {
            let differences = self.differences(tenants).await;
            if differences.is_empty() {
                return Ok(began.elapsed());
            }
            if began.elapsed() > patience {
                let differences = self.all_differences(tenants).await;
                return match differences.is_empty() {
                    true => Ok(began.elapsed()),
                    false => Err(differences),
                };
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.rollout.abort();
    }
}

/// Makes one of each, and looks at it when all of it works.
async fn undisturbed(client: &Client) -> BTreeMap<End, Picture> {
    let mut tenants = Vec::new();
    for (number, spec) in specs().into_iter().enumerate() {
        let tenant = Tenant::empty(client.clone(), &format!("undisturbed-{number}")).await;
        tenant.create("metrics", spec).await;
        tenants.push((End::Spec(number), tenant));
    }
    let enrolled = json!({"simplepipe.dev/enroll": "true"});
    let tenant = Tenant::labelled(client.clone(), "undisturbed-by-label", enrolled).await;
    tenants.push((End::Enrolled, tenant));
    for (_, tenant) in &tenants {
        tenant
            .until_condition("metrics", "Ready", "True", "AllWorking")
            .await;
    }
    let mut pictures = pictures(client).await.unwrap();
    let mut undisturbed = BTreeMap::from([(End::Nothing, Picture::new())]);
    for (end, tenant) in tenants {
        undisturbed.insert(end, pictures.remove(&tenant.namespace).unwrap());
    }
    undisturbed
}

/// The garbage collector takes its time to notice new kinds.
async fn until_garbage_is_collected(client: &Client) {
    let tenant = Tenant::converged(client.clone(), "garbage", everything()).await;
    tenant.delete("metrics").await;
    for child in &CHILDREN {
        tenant.until_gone(child).await;
    }
}
