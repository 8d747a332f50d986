//! Whether an object is there, asked of the API server where neither a cache nor an error says it for sure.

use kube::api::{Api, ListParams};
use kube::core::PartialObjectMeta;
use kube::{Client, Error as KubeError, ResourceExt};

use super::watched::WatchedObject;

/// Whether an error is such as comes where the object that was meant is gone. It may also come for another reason: an
/// API server that starts says 404, one whose object is written by many says 409.
pub fn may_be_gone(error: &KubeError) -> bool {
    matches!(error, KubeError::Api(status) if status.is_not_found() || status.is_conflict())
}

/// Whether a MetricsNamespace of this name and UID is there.
///
/// # Errors
/// The API server's.
pub async fn is_there(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: &str,
) -> Result<bool, KubeError> {
    let api: Api<WatchedObject> = Api::namespaced(client.clone(), namespace);
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = api.list_metadata(&named).await?;
    let is_it = |found: &PartialObjectMeta<_>| found.uid().as_deref() == Some(uid);
    Ok(found.iter().any(is_it))
}
