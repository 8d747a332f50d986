//! The gateway: one upstream Pushgateway, in a pod that Pod Security's level `restricted` admits.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, PodSecurityContext, PodSpec,
    PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::condition_types::ConditionType;
use crate::api::metrics_namespace::ResourceList;
use crate::api::names;
use crate::operator::plan::Plan;
use crate::operator::platform::UserIds;

use super::labels::{common_labels, gateway_selector};
use super::{Built, built, metadata};

/// `nobody`, as which upstream's image runs.
const NOBODY: i64 = 65534;

pub fn child(plan: &Plan) -> Built {
    built(ConditionType::GatewayAvailable, &build(plan))
}

fn build(plan: &Plan) -> Deployment {
    Deployment {
        metadata: metadata(plan, names::GATEWAY, common_labels()),
        spec: Some(DeploymentSpec {
            // Two gateways would each hold a part of what is pushed.
            replicas: Some(1),
            revision_history_limit: Some(2),
            progress_deadline_seconds: Some(120),
            selector: LabelSelector {
                match_labels: Some(gateway_selector()),
                ..LabelSelector::default()
            },
            // The new gateway is ready before the old one leaves the Service, which it does at once: no push
            // finds nobody, and none goes to a gateway that is about to forget it for longer than that moment.
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(common_labels()),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(plan)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn pod(plan: &Plan) -> PodSpec {
    let gateway = &plan.gateway;
    let user = (plan.user_ids == UserIds::Fixed).then_some(NOBODY);
    PodSpec {
        service_account_name: Some(names::GATEWAY.into()),
        automount_service_account_token: Some(false),
        // Variables for every Service of the namespace are of no use to the gateway.
        enable_service_links: Some(false),
        // The gateway ends at once on SIGTERM; this only bounds one that hangs.
        termination_grace_period_seconds: Some(10),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: user,
            run_as_group: user,
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".into(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(plan)],
        node_selector: (!gateway.node_selector.is_empty()).then(|| gateway.node_selector.clone()),
        tolerations: (!gateway.tolerations.is_empty()).then(|| gateway.tolerations.clone()),
        affinity: gateway.affinity.clone(),
        priority_class_name: gateway.priority_class_name.clone(),
        ..PodSpec::default()
    }
}

fn container(plan: &Plan) -> Container {
    Container {
        name: names::GATEWAY.into(),
        image: Some(plan.image.clone()),
        image_pull_policy: Some(plan.image_pull_policy.clone()),
        args: Some(vec![
            format!("--web.listen-address=:{}", names::PORT),
            format!("--log.level={}", plan.gateway.log_level.as_str()),
        ]),
        ports: Some(vec![ContainerPort {
            name: Some(names::PORT_NAME.into()),
            container_port: names::PORT,
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        resources: Some(ResourceRequirements {
            requests: amounts(&plan.gateway.resources.requests),
            limits: amounts(&plan.gateway.resources.limits),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".into()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        // Looks often only until the gateway answers for the first time.
        startup_probe: Some(probe("/-/ready", 1, 60)),
        readiness_probe: Some(probe("/-/ready", 5, 2)),
        liveness_probe: Some(probe("/-/healthy", 10, 3)),
        ..Container::default()
    }
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String(names::PORT_NAME.into()),
            scheme: Some("HTTP".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

fn amounts(list: &ResourceList) -> Option<BTreeMap<String, Quantity>> {
    let amounts: BTreeMap<_, _> = [
        ("cpu", &list.cpu),
        ("memory", &list.memory),
        ("ephemeral-storage", &list.ephemeral_storage),
    ]
    .into_iter()
    .filter_map(|(name, amount)| Some((name.to_owned(), Quantity::from(amount.as_ref()?))))
    .collect();
    (!amounts.is_empty()).then_some(amounts)
}
