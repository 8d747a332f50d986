//! The only writer of status. It is computed, purely, from what was applied and seen.

mod conditions;
#[cfg(test)]
mod tests;

use http::header::{ACCEPT, CONTENT_TYPE};
use kube::{Client, Error as KubeError, Resource, ResourceExt};
use serde_json::json;

use crate::api::{MetricsNamespace, MetricsNamespaceStatus, names};

use super::cluster::objects::{Objects, Telling};
use super::cluster::presence::{is_there, may_be_gone};
use super::cluster::watched_objects::{METADATA_ONLY, Watched};

pub use conditions::{Seen, compute};

/// Writes a status, unless it is there already. True if it was written over one that another wrote.
///
/// # Errors
/// The API server's, except that the object is gone, which is no error here.
pub async fn write(
    client: &Client,
    objects: &Objects,
    object: &MetricsNamespace,
    status: &MetricsNamespaceStatus,
) -> Result<bool, KubeError> {
    let Telling::Needed { over_another } = objects.tell(object, status) else {
        return Ok(false);
    };
    match patch(client, object, status).await {
        Ok(answer) => {
            objects.told(&MetricsNamespace {
                metadata: answer.metadata,
                status: Some(status.clone()),
                ..MetricsNamespace::default()
            });
            Ok(over_another)
        }
        Err(error) if may_be_gone(&error) || is_test_failed(&error) => {
            let namespace = object.namespace().unwrap_or_default();
            let uid = object.uid().unwrap_or_default();
            match is_there(client, &namespace, &object.name_any(), &uid).await {
                Ok(false) => Ok(false),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// The status as a whole, so that nothing of another's stays in it.
async fn patch(
    client: &Client,
    object: &MetricsNamespace,
    status: &MetricsNamespaceStatus,
) -> Result<Watched, KubeError> {
    let body = json!([
        // An object that was made anew meanwhile does not get the old one's status.
        {"op": "test", "path": "/metadata/uid", "value": object.uid()},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let url = MetricsNamespace::url_path(&(), object.namespace().as_deref());
    let name = object.name_any();
    let request = http::Request::patch(format!(
        "{url}/{name}/status?fieldManager={}",
        names::MANAGER
    ))
    .header(CONTENT_TYPE, "application/json-patch+json")
    .header(ACCEPT, METADATA_ONLY)
    .body(serde_json::to_vec(&body).map_err(KubeError::SerdeError)?)
    .map_err(KubeError::HttpError)?;
    client.request(request).await
}

/// The answer to a JSON patch whose test fails, beside others.
fn is_test_failed(error: &KubeError) -> bool {
    matches!(error, KubeError::Api(status) if status.code == 422)
}
