//! What the operator's log says, and how often.

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::eventually::{eventually, so, within};
use crate::operator::{Operator, PROGRAM};
use crate::stages::exclusive;
use crate::tenant::Tenant;

/// Tries by which a failure has lasted.
const TRIES: f64 = 5.0;

/// A policy that refuses the Services of a namespace.
struct Refusal {
    client: Client,
    name: String,
}

impl Refusal {
    async fn of_services_in(client: Client, namespace: &str) -> Self {
        let refusal = Self {
            client,
            name: format!("no-services-in-{namespace}"),
        };
        let rule = json!({
            "apiGroups": [""], "apiVersions": ["v1"], "resources": ["services"], "operations": ["CREATE"],
        });
        let policy = json!({
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "Services cost money here"}],
        });
        let binding = json!({
            "policyName": refusal.name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        });
        refusal.apply("ValidatingAdmissionPolicy", policy).await;
        refusal
            .apply("ValidatingAdmissionPolicyBinding", binding)
            .await;
        refusal
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
        let plural = match kind.kind.as_str() {
            "ValidatingAdmissionPolicy" => "validatingadmissionpolicies",
            _ => "validatingadmissionpolicybindings",
        };
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        Api::all_with(self.client.clone(), &resource)
    }

    async fn apply(&self, kind: &str, spec: Value) {
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": self.name}, "spec": spec,
        });
        self.api(kind)
            .patch(
                &self.name,
                &PatchParams::apply("kubectl"),
                &Patch::Apply(&object),
            )
            .await
            .unwrap();
    }

    /// Policies work some time after they are there.
    async fn until_it_works(&self, namespace: &str) {
        let services: Api<k8s_openapi::api::core::v1::Service> =
            Api::namespaced(self.client.clone(), namespace);
        let service = serde_json::from_value(json!({
            "metadata": {"name": "try"}, "spec": {"ports": [{"port": 1}]},
        }))
        .unwrap();
        let parameters = kube::api::PostParams {
            dry_run: true,
            ..Default::default()
        };
        eventually("Services are refused", async || {
            let made = services.create(&parameters, &service).await;
            so(made.is_err(), made.is_ok())
        })
        .await;
    }

    async fn end(self) {
        for kind in [
            "ValidatingAdmissionPolicyBinding",
            "ValidatingAdmissionPolicy",
        ] {
            let api = self.api(kind);
            api.delete(&self.name, &DeleteParams::default())
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_refusal_that_lasts_is_told_once_and_its_end_once_and_debug_is_of_the_operator_alone() {
    const NAMESPACE: &str = "log-refused";
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let tenant = Tenant::empty(client.clone(), NAMESPACE).await;
    let refusal = Refusal::of_services_in(client, NAMESPACE).await;
    refusal.until_it_works(NAMESPACE).await;

    let operator = Operator::start(
        &control_plane,
        &["--leader-election=false", "--log-level", "debug"],
    );
    operator.until_ready().await;
    tenant.create("metrics", json!({})).await;
    let tries = "simplepipe_reconcile_errors_total{reason=\"refused\"}";
    eventually("the refusal has lasted", async || {
        let tries = operator.metric(tries).await?;
        so(tries >= TRIES, tries)
    })
    .await;
    let told = operator.log_lines("Services cost money here");
    assert_eq!(told.len(), 1, "{told:#?}");
    let told: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(told["level"], "WARN");
    assert_eq!(told["message"], "reconcile failed; it is tried again");
    assert_eq!(told["namespace"], NAMESPACE);

    refusal.end().await;
    eventually("the end is told", async || {
        let ends = operator.log_lines("reconcile works again, after ");
        so(ends.len() == 1, ends)
    })
    .await;
    let failures = operator.log_lines("\"WARN\"");
    assert_eq!(failures.len(), 1, "{failures:#?}");

    let of_others: Vec<_> = operator
        .log_lines("\"level\":\"DEBUG\"")
        .into_iter()
        .filter(|line| !line.contains("\"target\":\"simplepipe::"))
        .collect();
    assert_eq!(of_others, [""; 0]);
}

/// Longer than it gives running reconciles at its end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_log_that_can_be_written_nowhere_ends_no_operator() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let nobody = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {}}],
    });
    std::fs::write(&kubeconfig, nobody.to_string()).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut operator = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", PROGRAM, "operator"])
        .args(["--listen", &address.to_string()])
        .args(["--lease-namespace", "default"])
        .env("KUBECONFIG", kubeconfig)
        // Each write to it fails: there is no space.
        .stderr(File::options().write(true).open("/dev/full").unwrap())
        .spawn()
        .unwrap();
    eventually("it answers", async || {
        let ended = operator.try_wait().unwrap();
        assert_eq!(ended, None, "it has ended");
        TcpStream::connect(address).map_err(|e| e.to_string())
    })
    .await;
    let id = operator.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    let ended = within(ENDS_WITHIN, "it ends when it is told to", async || {
        operator.try_wait().unwrap().ok_or("it goes on".to_owned())
    })
    .await;
    assert_eq!(ended.code(), Some(0));
}
