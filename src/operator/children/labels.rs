//! The labels of children.

use std::collections::BTreeMap;

use crate::api::names;

/// Labels of every child that is about the gateway.
pub fn common_labels() -> BTreeMap<String, String> {
    let mut labels = gateway_selector();
    labels.extend(
        [
            ("app.kubernetes.io/component", "gateway"),
            (names::PART_OF_LABEL, names::MANAGER),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    labels
}

/// Labels by which the gateway's pods and Service are selected. A Deployment's selector can't be changed, so
/// nothing that differs between two MetricsNamespaces of one namespace may be among them.
pub fn gateway_selector() -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", names::GATEWAY),
        ("app.kubernetes.io/instance", names::GATEWAY),
        (names::MANAGED_BY_LABEL, names::MANAGER),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}
