//! ConfigMap `simplepipe`: what a pod takes by `envFrom` to know where to push.

use k8s_openapi::api::core::v1::ConfigMap;

use crate::api::condition_types::ConditionType;
use crate::api::names;
use crate::operator::plan::Plan;

use super::labels::common_labels;
use super::{Built, built, metadata};

pub fn child(plan: &Plan) -> Built {
    built(ConditionType::ClientSettingsPublished, &build(plan))
}

fn build(plan: &Plan) -> ConfigMap {
    let host = format!("{}:{}", names::GATEWAY, names::PORT);
    let url = format!("http://{host}");
    // What the monitors drop, so that whoever pushes is told.
    let pattern = |patterns: &[String]| (!patterns.is_empty()).then(|| patterns.join("|"));
    let scrape = &plan.scrape;
    let data = [
        ("PUSHGATEWAY_URL", Some(url)),
        // What the first Simplepipe's steps read.
        ("PUSH_GATEWAY_HOSTNAME", Some(host)),
        (names::RESERVED_METRICS, pattern(&scrape.reserved_metrics)),
        (names::RESERVED_JOBS, pattern(&scrape.reserved_jobs)),
    ];
    let data = data
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    ConfigMap {
        metadata: metadata(plan, names::CLIENT_CONFIG, common_labels()),
        data: Some(data.collect()),
        ..ConfigMap::default()
    }
}
