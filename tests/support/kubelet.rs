//! The kubelet's and the Deployment controller's part: to say how a gateway is.

use kube::api::Patch;
use serde_json::{Value, json};

use crate::child_names::DEPLOYMENT;
use crate::tenant::{Tenant, by};

/// Status of a Deployment of this generation whose pod is ready.
pub fn rolled_out(generation: Option<i64>) -> Value {
    json!({
        "observedGeneration": generation,
        "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
        "conditions": [{
            "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable",
            "message": "Deployment has minimum availability.", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    })
}

impl Tenant {
    /// The gateway answers.
    pub async fn gateway_comes_up(&self) {
        let generation = self.child(&DEPLOYMENT).await.metadata.generation;
        self.report(rolled_out(generation)).await;
    }

    /// The gateway no longer answers, and the Deployment says why.
    pub async fn gateway_goes_down(&self, why: &str) {
        let generation = self.child(&DEPLOYMENT).await.metadata.generation;
        self.report(json!({
            "observedGeneration": generation,
            "replicas": 1, "updatedReplicas": 1, "readyReplicas": null, "availableReplicas": null, "unavailableReplicas": 1,
            "conditions": [
                {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "none",
                 "lastTransitionTime": "2026-01-02T00:00:00Z"},
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": why,
                 "lastTransitionTime": "2026-01-02T00:00:00Z"},
            ],
        }))
        .await;
    }

    /// The gateway no longer answers, and nobody says why.
    #[allow(dead_code)] // Each test target uses its part.
    pub async fn gateway_goes_down_silently(&self) {
        let generation = self.child(&DEPLOYMENT).await.metadata.generation;
        self.report(json!({
            "observedGeneration": generation,
            "replicas": null, "updatedReplicas": null, "readyReplicas": null, "availableReplicas": null,
            "conditions": [
                {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "none",
                 "lastTransitionTime": "2026-01-02T00:00:00Z"},
            ],
        }))
        .await;
    }

    async fn report(&self, status: Value) {
        let deployments = self.api(&DEPLOYMENT);
        let patch = Patch::Merge(json!({"status": status}));
        deployments
            .patch_status(DEPLOYMENT.name, &by("kube-controller-manager"), &patch)
            .await
            .unwrap();
    }
}
