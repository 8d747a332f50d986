//! The cluster that the demo runs on, and its Prometheus.

use std::fmt::Debug;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use simplepipe::api::MetricsNamespace;

/// Longer than anything takes that works: a scrape and its interval, a pod's start, a back-off.
const BOUND: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// What a script of tests/cluster prints.
fn printed(script: &str, argument: &str) -> String {
    let output = Command::new(root().join("tests/cluster").join(script))
        .arg(argument)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The cluster's kubeconfig.
pub fn kubeconfig() -> String {
    printed("cluster", "kubeconfig")
}

/// The folder of kubectl.
pub fn tools() -> String {
    printed("tools", "kube")
}

pub async fn client() -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig())
        .unwrap_or_else(|error| panic!("no cluster ({error}); run `make demo` first"));
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Asks again until the answer is `Ok`, or shows the last one.
pub async fn eventually<T, E: Debug>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if Instant::now() > deadline => {
                panic!(
                    "not within {}s: {what}; last seen: {last:#?}",
                    BOUND.as_secs()
                )
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The series that Prometheus has now, as metric and value.
pub async fn ask(client: &Client, query: &str) -> Result<Vec<(Value, f64)>, String> {
    let escaped: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
    let path = format!(
        "/api/v1/namespaces/monitoring/services/prometheus-operated:web/proxy/api/v1/query?query={escaped}"
    );
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let answer: Value = client
        .request(request)
        .await
        .map_err(|error| format!("{query}: {error}"))?;
    let series = answer["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Ok(series
        .into_iter()
        .map(|s| {
            (
                s["metric"].clone(),
                s["value"][1].as_str().unwrap().parse().unwrap(),
            )
        })
        .collect())
}

/// What Prometheus has, once it has any.
pub async fn scraped(client: &Client, query: &str) -> Vec<(Value, f64)> {
    eventually(query, async || {
        let series = ask(client, query).await?;
        if series.is_empty() {
            Err("nothing".to_owned())
        } else {
            Ok(series)
        }
    })
    .await
}

/// Pushes to a tenant's gateway, as a pod of the tenant could.
pub async fn push(client: &Client, namespace: &str, group: &str, exposition: &str) {
    let path =
        format!("/api/v1/namespaces/{namespace}/services/pushgateway:http/proxy/metrics/{group}");
    let request = http::Request::post(path)
        .header("content-type", "text/plain")
        .body(exposition.as_bytes().to_vec())
        .unwrap();
    client.request_text(request).await.unwrap();
}

/// A namespace of one test, which is gone after it.
pub struct Tenant {
    pub client: Client,
    pub namespace: String,
}

impl Tenant {
    pub async fn new(client: Client, namespace: &str) -> Self {
        let tenant = Self {
            client,
            namespace: namespace.to_owned(),
        };
        tenant.gone().await;
        tenant
            .label(json!({"pod-security.kubernetes.io/enforce": "restricted"}))
            .await;
        tenant
    }

    pub async fn label(&self, labels: Value) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}});
        api.patch(
            &self.namespace,
            &PatchParams::apply("test"),
            &Patch::Apply(body),
        )
        .await
        .unwrap();
    }

    /// Asks for a gateway, or changes what was asked for.
    pub async fn wants(&self, spec: Value) {
        let body = json!({
            "apiVersion": "simplepipe.dev/v1alpha1",
            "kind": "MetricsNamespace",
            "metadata": {"name": "metrics"},
            "spec": spec,
        });
        self.objects()
            .patch("metrics", &PatchParams::apply("test"), &Patch::Apply(body))
            .await
            .unwrap();
    }

    /// Waits until a condition is so, and gives its message.
    pub async fn until(&self, type_: &str, status: &str, message: &str) -> String {
        let what = format!("{type_} of {} is {status} with {message:?}", self.namespace);
        eventually(&what, async || {
            let object = self
                .objects()
                .get("metrics")
                .await
                .map_err(|e| e.to_string())?;
            let conditions = object.status.unwrap_or_default().conditions;
            conditions
                .iter()
                .find(|c| c.type_ == type_ && c.status == status && c.message.contains(message))
                .map(|c| c.message.clone())
                .ok_or_else(|| format!("{conditions:#?}"))
        })
        .await
    }

    pub fn objects(&self) -> Api<MetricsNamespace> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Takes the namespace away, and waits until it is.
    pub async fn gone(&self) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let _ = api.delete(&self.namespace, &DeleteParams::default()).await;
        eventually(
            &format!("namespace {} is gone", self.namespace),
            async || match api.get_opt(&self.namespace).await {
                Ok(None) => Ok(()),
                other => Err(other.map(|n| n.and_then(|n| n.status))),
            },
        )
        .await;
    }
}
