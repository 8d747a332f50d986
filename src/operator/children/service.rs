//! `pushgateway:9091`: the same words in every namespace.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::condition_types::ConditionType;
use crate::api::names;
use crate::operator::plan::Plan;

use super::labels::{common_labels, gateway_selector};
use super::{Built, built, metadata};

pub fn child(plan: &Plan) -> Built {
    built(ConditionType::GatewayAvailable, &build(plan))
}

fn build(plan: &Plan) -> Service {
    Service {
        metadata: metadata(plan, names::GATEWAY, common_labels()),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(gateway_selector()),
            ports: Some(vec![ServicePort {
                name: Some(names::PORT_NAME.into()),
                port: names::PORT,
                protocol: Some("TCP".into()),
                target_port: Some(IntOrString::String(names::PORT_NAME.into())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
