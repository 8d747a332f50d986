//! An admission webhook that takes connections and never answers.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::eventually::{eventually, so};

/// How long the API server waits for it: the default of Kubernetes.
const SECONDS: u32 = 10;

pub struct SilentWebhook {
    name: String,
    configurations: Api<ValidatingWebhookConfiguration>,
    calls: Arc<AtomicUsize>,
}

impl SilentWebhook {
    /// Asked about each creation of these resources, in namespaces with these labels. `name` has two dots at least.
    pub async fn start(client: Client, name: &str, resources: &[&str], labels: Value) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        // Until the test's process ends: nothing tells a blocking accept to.
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for connection in listener.incoming() {
                open.push(connection);
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let webhook = Self {
            name: name.to_owned(),
            configurations: Api::all(client),
            calls,
        };
        let configuration = json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": name,
                "clientConfig": {"url": format!("https://127.0.0.1:{port}/")},
                "rules": [{
                    "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": resources,
                }],
                "namespaceSelector": {"matchLabels": labels},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "timeoutSeconds": SECONDS,
                "admissionReviewVersions": ["v1"],
            }],
        });
        webhook
            .configurations
            .create(
                &PostParams::default(),
                &serde_json::from_value(configuration).unwrap(),
            )
            .await
            .unwrap();
        webhook
    }

    /// Waits until the API server waits for it.
    pub async fn until_called(&self) {
        eventually(format!("{} is called", self.name), async || {
            let calls = self.calls.load(Ordering::Relaxed);
            so(calls > 0, calls)
        })
        .await;
    }

    /// The API server no longer asks it.
    pub async fn remove(self) {
        self.configurations
            .delete(&self.name, &DeleteParams::default())
            .await
            .unwrap();
    }
}
