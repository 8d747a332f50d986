//! A Kubernetes API without nodes, with everything installed that the operator works with. It ends with this process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

use crate::audit::AuditLog;
use crate::eventually::{so, within};

/// Where the operator's own objects are, by its manifests.
pub const OPERATOR_NAMESPACE: &str = "simplepipe-system";
/// No Deployment gets pods: the tests say how a gateway is.
const CONTROLLERS: &str =
    "garbage-collector-controller,namespace-controller,serviceaccount-controller";
/// An operator that makes an object while its kind goes has the API server look again after a minute.
const SERVED_WITHIN: Duration = Duration::from_secs(150);
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

pub struct ControlPlane {
    folder: PathBuf,
    kubeconfig: PathBuf,
    programs: PathBuf,
}

impl ControlPlane {
    /// Starts one, with an audit log, the CRDs, and the rights that the operator's manifests give it.
    pub async fn start(name: &str) -> Self {
        let this = std::process::id();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{this}"));
        let script = Path::new(REPOSITORY).join("tests/cluster/control-plane");
        let kubeconfig = said(
            Command::new(script)
                .args(["up", "--audit", "--controllers", CONTROLLERS])
                .args(["--owner-pid", &this.to_string()])
                .arg(&folder),
        );
        let control_plane = Self {
            kubeconfig: kubeconfig.into(),
            programs: tools(&["kube"]).into(),
            folder,
        };
        control_plane.kubectl(&["create", "namespace", OPERATOR_NAMESPACE]);
        control_plane.install().await;
        control_plane.token("operator").await;
        control_plane
    }

    /// The API server takes connections and answers nothing, until the guard is dropped.
    ///
    /// # Panics
    /// When its process is not known.
    pub fn freeze(&self) -> Frozen {
        let file = std::fs::read_to_string(self.folder.join("run/kube-apiserver.pid")).unwrap();
        Frozen::process(file.split_whitespace().next().unwrap())
    }

    /// Applies the CRDs and the operator's manifests; what is as it should be stays as it is.
    pub async fn install(&self) {
        let crds = tools(&["--source", "prometheus-operator"]);
        let monitoring = [
            "servicemonitors",
            "podmonitors",
            "prometheuses",
            "prometheusagents",
        ]
        .map(|plural| {
            format!("{crds}/example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml")
        });
        let own =
            ["serviceaccount", "rbac", "lease"].map(|name| format!("config/base/{name}.yaml"));
        let mut apply = vec![
            "apply",
            "--server-side",
            "--force-conflicts",
            "--validate=false",
        ];
        apply.extend(["-f", "crds"]);
        apply.extend(own.iter().chain(&monitoring).flat_map(|file| ["-f", file]));
        self.kubectl(&apply);
        for path in [
            "/apis/simplepipe.dev/v1alpha1/metricsnamespaces",
            "/apis/monitoring.coreos.com/v1/servicemonitors",
            "/apis/monitoring.coreos.com/v1/podmonitors",
            "/apis/monitoring.coreos.com/v1/prometheuses",
            "/apis/monitoring.coreos.com/v1alpha1/prometheusagents",
        ] {
            self.until_served(path, true).await;
        }
    }

    /// What kubectl says, as the cluster's administrator, in the repository.
    ///
    /// # Panics
    /// When it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        said(
            Command::new(self.programs.join("kubectl"))
                .args(arguments)
                .env("KUBECONFIG", &self.kubeconfig)
                .current_dir(REPOSITORY),
        )
    }

    /// A client of the cluster's administrator. Each test needs its own: connections live in the test's runtime.
    pub async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Client::try_from(config.unwrap()).unwrap()
    }

    /// What was asked of the API server.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.folder.join("audit.log"))
    }

    /// Who the operator is, with no more than the rights of its manifests.
    pub fn operators_kubeconfig(&self) -> PathBuf {
        self.folder.join("operator.kubeconfig")
    }

    /// Where logs of programs go.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// A token of the operator's account, by which the audit log tells one operator from another.
    pub async fn token(&self, name: &str) -> Token {
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.client().await, OPERATOR_NAMESPACE);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(24 * 3600),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let token = accounts
            .create_token_request("simplepipe", &PostParams::default(), &request)
            .await
            .unwrap()
            .status
            .unwrap()
            .token;
        let claims = token.split('.').nth(1).unwrap();
        let claims: Value =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let mut kubeconfig = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        kubeconfig.auth_infos[0].auth_info.as_mut().unwrap().token = Some(token.into());
        let file = self.folder.join(format!("{name}.kubeconfig"));
        std::fs::write(&file, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
        Token {
            id: claims["jti"].as_str().unwrap().to_owned(),
            kubeconfig: file,
        }
    }

    /// Waits until the API server serves a path, or no longer does.
    pub async fn until_served(&self, path: &str, served: bool) {
        let client = self.client().await;
        within(
            SERVED_WITHIN,
            format!("that {path} is served becomes {served}"),
            async || {
                let request = http::Request::get(path).body(Vec::new()).unwrap();
                let answer = client.request_text(request).await.map(drop);
                so(answer.is_ok() == served, answer)
            },
        )
        .await;
    }
}

/// One operator's token.
pub struct Token {
    /// As the audit log has it.
    pub id: String,
    pub kubeconfig: PathBuf,
}

/// What `tests/cluster/tools` says.
pub fn tools(arguments: &[&str]) -> String {
    said(Command::new(Path::new(REPOSITORY).join("tests/cluster/tools")).args(arguments))
}

/// Runs a command to its end and returns its output, without the last line end.
fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// A process that stands still.
pub struct Frozen(String);

impl Frozen {
    /// Until it is dropped, the process with this id stands still.
    pub fn process(id: &str) -> Self {
        let frozen = Self(id.to_owned());
        frozen.signal("STOP");
        frozen
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.0])
            .status();
        assert!(status.unwrap().success(), "kill -{name} {}", self.0);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("CONT");
    }
}
