//! A cluster that gives each namespace user ids of its own, as OpenShift's `restricted-v2` does, and refuses others. A
//! policy plays it: it looks at Deployments too, since nothing makes pods of them here.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::admission_policy;
use crate::child_names::DEPLOYMENT;
use crate::eventually::{eventually, so};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::Tenant;

const POLICY: &str = "user-ids-by-namespace";
const REFUSAL: &str = "runAsUser: Invalid value: must be in the ranges: [1000680000, 1000689999]";

/// In namespaces with the label `user-ids: by-namespace`.
async fn give_user_ids_by_namespace(client: &Client) {
    let in_range = |field: &str| {
        format!(
            "variables.securityContexts.all(c, !has(c.{field}) || (c.{field} >= 1000680000 && c.{field} <= 1000689999))"
        )
    };
    let containers =
        |rule: &str| format!("variables.pod.containers.all(c, has(c.securityContext) && {rule})");
    let spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"user-ids": "by-namespace"}},
            "resourceRules": [
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]},
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]},
            ],
        },
        "variables": [
            {"name": "pod", "expression": "has(object.spec.template) ? object.spec.template.spec : object.spec"},
            {"name": "securityContexts", "expression":
                "[variables.pod].filter(p, has(p.securityContext)).map(p, p.securityContext)"},
        ],
        "validations": [
            {"expression": in_range("runAsUser"), "message": REFUSAL},
            {"expression": in_range("fsGroup"), "message": "fsGroup is not the namespace's"},
            {"expression": containers("!has(c.securityContext.runAsUser)"), "message": REFUSAL},
            {"expression": containers("c.securityContext.allowPrivilegeEscalation == false"),
             "message": "allowPrivilegeEscalation must be false"},
            {"expression": containers("'ALL' in c.securityContext.capabilities.drop"),
             "message": "all capabilities must be dropped"},
            {"expression": "variables.securityContexts.all(c, !has(c.seccompProfile) || c.seccompProfile.type == 'RuntimeDefault')",
             "message": "seccomp may only be runtime/default"},
        ],
    });
    admission_policy::create(client, POLICY, spec).await;
}

/// The pod that a tenant's Deployment asks for, asked for.
async fn admit_pod(tenant: &Tenant) -> Result<Pod, kube::Error> {
    let deployments: Api<Deployment> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let deployment = deployments.get(DEPLOYMENT.name).await?;
    let mut pod = serde_json::to_value(deployment.spec.unwrap().template).unwrap();
    pod["metadata"]["name"] = json!("admitted");
    let pods: Api<Pod> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    pods.create(&parameters, &serde_json::from_value(pod).unwrap())
        .await
}

#[tokio::test]
async fn where_the_cluster_gives_user_ids_a_setting_lets_gateways_be_admitted() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    give_user_ids_by_namespace(&client).await;
    let labels = json!({
        "user-ids": "by-namespace",
        // Kubernetes' own admission has its say as well.
        "pod-security.kubernetes.io/enforce": "restricted",
    });
    // The API server takes a new policy up a moment later.
    let probe = Tenant::labelled(client.clone(), "user-ids-probe", labels.clone()).await;
    eventually("the policy is in force", async || {
        let deployment = json!({
            "metadata": {"name": "probe"},
            "spec": {
                "selector": {"matchLabels": {"app": "probe"}},
                "template": {
                    "metadata": {"labels": {"app": "probe"}},
                    "spec": {"securityContext": {"runAsUser": 65534}, "containers": [{"name": "c", "image": "none"}]},
                },
            },
        });
        let parameters = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let answer = Api::<Deployment>::namespaced(client.clone(), &probe.namespace)
            .create(&parameters, &serde_json::from_value(deployment).unwrap())
            .await
            .map(drop);
        so(
            answer.as_ref().is_err_and(|e| e.to_string().contains(REFUSAL)),
            answer,
        )
    })
    .await;

    let tenant = Tenant::labelled(client.clone(), "user-ids", labels).await;
    let operator = Operator::start_alone(&control_plane).await;
    tenant.create("metrics", json!({})).await;
    let message = tenant
        .until_condition("metrics", "GatewayAvailable", "False", "Refused")
        .await;
    assert!(message.contains(REFUSAL), "{message}");
    operator.kill();

    let flags = ["--leader-election=false", "--gateway-user-ids", "cluster"];
    let operator = Operator::start(&control_plane, &flags);
    operator.until_ready().await;
    tenant.until_there(&DEPLOYMENT).await;
    let pod = admit_pod(&tenant).await.unwrap();
    let spec = pod.spec.unwrap();
    assert_eq!(spec.security_context.unwrap().run_as_user, None);
    admission_policy::delete(&client, POLICY).await;
}
