//! The only writer of status. It is computed, purely, from what was applied and seen.

mod compute;
#[cfg(test)]
mod tests;

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Error as KubeError, Resource, ResourceExt};
use serde_json::json;

use crate::api::{MetricsNamespace, MetricsNamespaceStatus, names};

pub use compute::{Seen, compute};

/// Writes a status, unless it is there already.
///
/// # Errors
/// The API server's, except that the object is gone, which is no error here.
pub async fn write(
    client: &Client,
    object: &MetricsNamespace,
    status: &MetricsNamespaceStatus,
) -> Result<(), KubeError> {
    if object.status.as_ref() == Some(status) {
        return Ok(());
    }
    let api: Api<MetricsNamespace> =
        Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let body = json!({
        "apiVersion": MetricsNamespace::api_version(&()),
        "kind": MetricsNamespace::kind(&()),
        // With its UID, so that an object that was made anew meanwhile does not get the old one's status.
        "metadata": {"name": object.name_any(), "uid": object.uid()},
        "status": status,
    });
    let parameters = PatchParams::apply(names::MANAGER).force();
    match api
        .patch_status(&object.name_any(), &parameters, &Patch::Apply(body))
        .await
    {
        Ok(_) => Ok(()),
        Err(KubeError::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}
