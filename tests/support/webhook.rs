//! An admission webhook that takes connections, and never answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use serde_json::{Value, json};

use crate::eventually::{eventually, so};
use crate::tenant::Tenant;

/// Each has an answer waited for so long.
const SECONDS: u32 = 10;

pub struct HangingWebhook {
    client: Client,
    name: String,
    calls: Arc<Calls>,
}

#[derive(Default)]
struct Calls {
    now: AtomicUsize,
    most: AtomicUsize,
    /// `None` after the end: then each call fails at once.
    open: Mutex<Option<Vec<TcpStream>>>,
}

/// A test that fails leaves no webhook behind that holds up the tests after it.
impl Drop for HangingWebhook {
    fn drop(&mut self) {
        for stream in self.calls.open.lock().unwrap().take().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl HangingWebhook {
    /// Registers one for writes of these resources (`deployments`) in namespaces that have its label.
    pub async fn register(client: Client, name: &str, resources: &[&str]) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let webhook = Self {
            client,
            name: name.to_owned(),
            calls: Arc::default(),
        };
        *webhook.calls.open.lock().unwrap() = Some(Vec::new());
        let (config, calls) = (Arc::new(config), webhook.calls.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                // After the end it is closed at once.
                if let Some(open) = calls.open.lock().unwrap().as_mut() {
                    open.push(stream.try_clone().unwrap());
                    let (config, calls) = (config.clone(), calls.clone());
                    std::thread::spawn(move || take(stream, config, &calls));
                }
            }
        });
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": webhook.full_name()},
            "webhooks": [{
                "name": webhook.full_name(),
                "clientConfig": {"url": format!("https://127.0.0.1:{port}/"), "caBundle": base64(cert.pem().as_bytes())},
                "namespaceSelector": {"matchLabels": webhook.labels()},
                "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": resources}],
                "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": SECONDS,
                "admissionReviewVersions": ["v1"],
            }],
        });
        let object = serde_json::from_value(object).unwrap();
        webhook
            .configurations()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        webhook.until_called(resources[0]).await;
        webhook
    }

    /// As the API server names it.
    pub fn full_name(&self) -> String {
        format!("{}.webhook.test", self.name)
    }

    /// Of the namespaces whose writes it gets.
    pub fn labels(&self) -> Value {
        json!({"webhook": self.name})
    }

    /// A namespace whose writes it gets.
    pub async fn tenant(&self, namespace: &str) -> Tenant {
        Tenant::labelled(self.client.clone(), namespace, self.labels()).await
    }

    /// Calls that waited at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        self.calls.most.load(Ordering::Relaxed)
    }

    /// Takes it away.
    pub async fn remove(self) {
        self.configurations()
            .delete(&self.full_name(), &DeleteParams::default())
            .await
            .unwrap();
    }

    /// The API server takes a moment to call a new one.
    async fn until_called(&self, plural: &str) {
        let probe = self.tenant(&format!("{}-probe", self.name)).await;
        let kind = match plural {
            "deployments" => ("apps", "v1", "Deployment"),
            "configmaps" => ("", "v1", "ConfigMap"),
            "metricsnamespaces" => ("simplepipe.dev", "v1alpha1", "MetricsNamespace"),
            other => panic!("no probe for {other}"),
        };
        let kind = GroupVersionKind::gvk(kind.0, kind.1, kind.2);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &probe.namespace, &resource);
        let object = DynamicObject::new("probe", &resource).data(match plural {
            "deployments" => json!({"spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}},
            }}),
            _ => json!({"spec": {}}),
        });
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        eventually("the API server calls the webhook", async || {
            let _ = tokio::time::timeout(
                std::time::Duration::from_secs(1),
                api.create(&dry_run, &object),
            )
            .await;
            so(self.most_at_once() > 0, "no call")
        })
        .await;
    }

    fn configurations(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(
            "admissionregistration.k8s.io",
            "v1",
            "ValidatingWebhookConfiguration",
        );
        let resource = ApiResource::from_gvk_with_plural(&kind, "validatingwebhookconfigurations");
        Api::all_with(self.client.clone(), &resource)
    }
}

/// Reads until the other end has had enough.
fn take(mut stream: TcpStream, config: Arc<ServerConfig>, calls: &Calls) {
    let mut tls = ServerConnection::new(config).unwrap();
    let mut tls = rustls::Stream::new(&mut tls, &mut stream);
    if tls.flush().is_err() {
        return;
    }
    let mut buffer = [0; 4096];
    let mut called = false;
    while let Ok(1..) = tls.read(&mut buffer) {
        if !called {
            called = true;
            let now = calls.now.fetch_add(1, Ordering::Relaxed) + 1;
            calls.most.fetch_max(now, Ordering::Relaxed);
        }
    }
    if called {
        calls.now.fetch_sub(1, Ordering::Relaxed);
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
