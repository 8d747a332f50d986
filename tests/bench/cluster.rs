//! The control plane, and the tenants on it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, PartialObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Client, Config, ResourceExt};
use serde_json::json;
use simplepipe::api::MetricsNamespace;
use simplepipe::api::condition_types::Reason;
use tokio::time::{sleep, timeout};

use crate::audit::AuditLog;
use crate::process::Process;
use crate::{Options, Result};

/// Where the operator's own objects are, by its manifests.
pub const OPERATOR_NAMESPACE: &str = "simplepipe-system";
/// Name of each tenant's object.
const OBJECT: &str = "metrics";
/// What has not converged by then never will.
const LONGEST_CONVERGENCE: Duration = Duration::from_secs(1800);
const LONGEST_START: Duration = Duration::from_secs(300);
/// CPU time in a second below which the servers are at rest.
const REST: Duration = Duration::from_millis(100);

pub struct Cluster {
    options: Options,
    admin: Client,
    /// With the operator's rights.
    client: Client,
    kubeconfig: PathBuf,
    /// How many tenants there are now.
    tenants: AtomicUsize,
    audit: AuditLog,
}

/// A namespace with its MetricsNamespace.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub namespace: String,
    pub uid: String,
}

impl Cluster {
    pub async fn connect(options: &Options) -> Result<Self> {
        let folder = &options.control_plane;
        let mut kubeconfig = Kubeconfig::read_from(folder.join("admin.kubeconfig"))?;
        let admin = client(kubeconfig.clone()).await?;
        let user = &mut kubeconfig.auth_infos[0].auth_info;
        user.get_or_insert_default().token = Some(operators_token(admin.clone()).await?.into());
        let cluster = Self {
            options: options.clone(),
            admin,
            client: client(kubeconfig.clone()).await?,
            kubeconfig: folder.join("operator.kubeconfig"),
            tenants: AtomicUsize::new(0),
            audit: AuditLog::new(folder.join("audit.log")),
        };
        std::fs::write(&cluster.kubeconfig, serde_json::to_string(&kubeconfig)?)?;
        Ok(cluster)
    }

    /// A client that is the operator, for the API server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn folder(&self) -> &Path {
        &self.options.control_plane
    }

    pub fn operator(&self) -> &Path {
        &self.options.operator
    }

    pub fn in_flight(&self) -> usize {
        self.options.in_flight
    }

    pub fn rest(&self) -> Duration {
        Duration::from_secs(self.options.rest)
    }

    /// As they run now.
    pub fn servers(&self) -> Result<Servers> {
        Servers::of(self.folder())
    }

    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Names of all tenants' namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = String> {
        (0..self.tenants.load(Ordering::Relaxed)).map(namespace)
    }

    /// Makes namespaces for further tenants, up to so many.
    pub async fn grow_to(&self, tenants: usize) -> Result<()> {
        let there = self.tenants.swap(tenants, Ordering::Relaxed);
        self.each((there..tenants).map(namespace), |name| {
            self.create_namespace(name)
        })
        .await
        .map(drop)
    }

    /// Sets aside what is there now, for [`Self::reset`].
    pub async fn keep(&self) -> Result<()> {
        self.control_plane("keep").await
    }

    /// Has all servers start anew over what was set aside. Deleting the objects one by one would take longer, and leave
    /// who is measured next with what that leaves in etcd and in the servers' memory.
    pub async fn reset(&self) -> Result<()> {
        self.control_plane("reset").await
    }

    async fn control_plane(&self, command: &str) -> Result<()> {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/control-plane");
        let (program, folder) = (program.to_owned(), self.folder().to_owned());
        let command = command.to_owned();
        let run = move || Command::new(program).arg(command).arg(folder).output();
        let output = tokio::task::spawn_blocking(run).await??;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the control plane can't be started anew: {words}").into());
        }
        let watched = async {
            while !self.audit.garbage_collector_watches()? {
                sleep(Duration::from_millis(100)).await;
            }
            Result::Ok(())
        };
        let at_rest = async {
            watched.await?;
            let mut before = self.servers()?.cpu()?;
            loop {
                sleep(Duration::from_secs(1)).await;
                let now = self.servers()?.cpu()?;
                if now.saturating_sub(before) < REST {
                    return Ok(());
                }
                before = now;
            }
        };
        timeout(LONGEST_START, at_rest)
            .await
            .map_err(|_| "the servers have not come to rest in time")?
    }

    pub async fn create_namespace(&self, name: String) -> Result<()> {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        Api::all(self.admin.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        Ok(())
    }

    pub async fn create_objects(&self) -> Result<Vec<Tenant>> {
        self.each(self.namespaces(), |namespace| self.create_object(namespace))
            .await
    }

    pub async fn create_object(&self, namespace: String) -> Result<Tenant> {
        let object = MetricsNamespace::new(OBJECT, Default::default());
        let api: Api<MetricsNamespace> = Api::namespaced(self.admin.clone(), &namespace);
        let object = api.create(&PostParams::default(), &object).await?;
        Ok(Tenant {
            namespace,
            uid: object.uid().unwrap_or_default(),
        })
    }

    pub async fn delete_object(&self, namespace: &str) -> Result<()> {
        let api: Api<MetricsNamespace> = Api::namespaced(self.admin.clone(), namespace);
        api.delete(OBJECT, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Deletes what may be there.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let request = http::Request::delete(path).body(Vec::new())?;
        match self.admin.request_text(request).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    /// Changes an object as somebody else, by a merge patch.
    pub async fn patch(&self, path: &str, patch: &serde_json::Value) -> Result<()> {
        let request = http::Request::patch(format!("{path}?fieldManager=somebody-else"))
            .header("Content-Type", "application/merge-patch+json")
            .body(serde_json::to_vec(patch)?)?;
        self.admin.request_text(request).await?;
        Ok(())
    }

    /// Namespaces in which a tenant's dashboard appears, its last child.
    pub fn watch_dashboards(&self) -> impl Stream<Item = watcher::Result<String>> + Send + use<> {
        let api: Api<PartialObjectMeta<ConfigMap>> = Api::all(self.admin.clone());
        let config = watcher::Config::default().fields("metadata.name=pushgateway-dashboard");
        watcher(api, config).try_filter_map(async |event| {
            Ok(match event {
                watcher::Event::Apply(child) => child.namespace(),
                _ => None,
            })
        })
    }

    /// Waits until the garbage collector has removed a namespace's children.
    pub async fn until_empty(&self, namespace: &str) -> Result<()> {
        let path = format!(
            "/api/v1/namespaces/{namespace}/configmaps?labelSelector=app.kubernetes.io/managed-by%3Dsimplepipe"
        );
        while self.count(&path).await? > 0 {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// How many objects a list has.
    pub async fn count(&self, path: &str) -> Result<usize> {
        let request = http::Request::get(path)
            .header(
                "Accept",
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            )
            .body(Vec::new())?;
        let list: serde_json::Value = self.admin.request(request).await?;
        Ok(list["items"].as_array().map_or(0, Vec::len))
    }

    /// Creates an object.
    pub async fn create(&self, path: &str, object: &serde_json::Value) -> Result<()> {
        let request = http::Request::post(path)
            .header("Content-Type", "application/json")
            .body(serde_json::to_vec(object)?)?;
        self.admin.request_text(request).await?;
        Ok(())
    }

    /// Does the work for each, so many side by side as are to be in flight.
    pub async fn each<I, T, F: Future<Output = Result<T>>>(
        &self,
        items: impl IntoIterator<Item = I>,
        work: impl Fn(I) -> F,
    ) -> Result<Vec<T>> {
        stream::iter(items)
            .map(work)
            .buffer_unordered(self.in_flight())
            .try_collect()
            .await
    }

    /// Watches for statuses that are of their objects' newest generation.
    pub fn watch(&self) -> Converged {
        let api: Api<MetricsNamespace> = Api::all(self.admin.clone());
        let stream = watcher(api, watcher::Config::default()).try_filter_map(async |event| {
            Ok(match event {
                watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                    uid_if_converged(&object)
                }
                _ => None,
            })
        });
        Converged(Box::pin(stream))
    }
}

fn namespace(number: usize) -> String {
    format!("tenant-{number:05}")
}

/// What serves the Kubernetes API: etcd, kube-apiserver and kube-controller-manager.
pub struct Servers(Vec<Process>);

impl Servers {
    fn of(folder: &Path) -> Result<Self> {
        let process = |name| {
            let file = folder.join(format!("run/{name}.pid"));
            let text = std::fs::read_to_string(file)?;
            let pid = text.split_whitespace().next().unwrap_or_default();
            Ok(Process::new(pid.parse()?))
        };
        ["etcd", "kube-apiserver", "kube-controller-manager"]
            .map(process)
            .into_iter()
            .collect::<Result<_>>()
            .map(Self)
    }

    /// CPU time of all of them since their start.
    pub fn cpu(&self) -> Result<Duration> {
        self.0.iter().map(Process::cpu).sum()
    }
}

/// UIDs of objects whose status is of their newest generation, and waits for no child.
pub struct Converged(Pin<Box<dyn Stream<Item = watcher::Result<String>> + Send>>);

impl Converged {
    /// Waits until all of these are.
    pub async fn all(mut self, tenants: &[Tenant]) -> Result<()> {
        let mut missing: HashSet<_> = tenants.iter().map(|t| t.uid.clone()).collect();
        let seen = async {
            while !missing.is_empty() {
                let uid = self.0.next().await.ok_or("the watch ended")??;
                missing.remove(&uid);
            }
            Ok(())
        };
        tokio::time::timeout(LONGEST_CONVERGENCE, seen)
            .await
            .map_err(|_| "not all objects have a status in time")?
    }
}

fn uid_if_converged(object: &MetricsNamespace) -> Option<String> {
    let status = object.status.as_ref()?;
    let is_new = status.observed_generation == object.metadata.generation;
    let waits = |condition: &Condition| condition.reason == Reason::ApiUnavailable.as_str();
    (is_new && !status.conditions.iter().any(waits)).then(|| object.uid())?
}

pub async fn client(kubeconfig: Kubeconfig) -> Result<Client> {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn operators_token(admin: Client) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(admin, OPERATOR_NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(24 * 3600),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request("simplepipe", &PostParams::default(), &request)
        .await?;
    Ok(made.status.ok_or("no token was made")?.token)
}
