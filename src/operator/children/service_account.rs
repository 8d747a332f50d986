//! The account that the gateway's pod runs as. It may do nothing, and its token is never mounted.

use k8s_openapi::api::core::v1::ServiceAccount;

use crate::api::condition_types::ConditionType;
use crate::api::names;
use crate::operator::plan::Plan;

use super::labels::common_labels;
use super::{Built, built, metadata};

pub fn child(plan: &Plan) -> Built {
    built(ConditionType::GatewayAvailable, &build(plan))
}

fn build(plan: &Plan) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(plan, names::GATEWAY, common_labels()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
