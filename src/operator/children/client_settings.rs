//! ConfigMap `simplepipe`: what a pod takes by `envFrom` to know where to push.

use k8s_openapi::api::core::v1::ConfigMap;

use crate::api::names;
use crate::operator::plan::Plan;

use super::{common_labels, metadata};

pub fn build(plan: &Plan) -> ConfigMap {
    let host = format!("{}:{}", names::GATEWAY, names::PORT);
    ConfigMap {
        metadata: metadata(plan, names::CLIENT_CONFIG, common_labels()),
        data: Some(
            [
                ("PUSHGATEWAY_URL".to_owned(), format!("http://{host}")),
                // What the first Simplepipe's steps read.
                ("PUSH_GATEWAY_HOSTNAME".to_owned(), host),
            ]
            .into(),
        ),
        ..ConfigMap::default()
    }
}
