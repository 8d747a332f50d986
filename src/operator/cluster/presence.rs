//! Whether an object is there, asked of the API server where neither a cache nor an error says it for sure.

use kube::api::{Api, ListParams};
use kube::{Client, Error as KubeError, ResourceExt};

use super::watched_objects::WatchedObject;

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
    // Read as the watches do: its metadata may be anything.
    let found = api.list(&named).await?;
    let is_it = |found: &WatchedObject| found.uid().as_deref() == Some(uid);
    Ok(found.iter().any(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use kube::client::Body;
    use kube::core::Status;
    use rstest::rstest;
    use serde_json::{Value, json};
    use tower::service_fn;

    /// Of an API server that always answers this.
    fn client(code: u16, body: &Value) -> Client {
        let body = body.to_string();
        let answer = move |_: Request<Body>| {
            let body = Body::from(body.clone().into_bytes());
            async move { Response::builder().status(code).body(body) }
        };
        Client::new(service_fn(answer), "default")
    }

    #[rstest]
    #[case::nothing(&[], false)]
    #[case::it(&["uid-of-it"], true)]
    #[case::another_of_its_name(&["uid-of-another"], false)]
    #[tokio::test]
    async fn an_object_is_there_where_one_of_its_uid_is(
        #[case] uids: &[&str],
        #[case] there: bool,
    ) {
        let items: Vec<_> = uids
            .iter()
            .map(|uid| json!({"metadata": {"name": "metrics", "uid": uid}}))
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
        let client = client(200, &list);
        let found = is_there(&client, "alice", "metrics", "uid-of-it").await;
        assert_eq!(found.unwrap(), there);
    }

    #[tokio::test]
    async fn where_the_api_server_does_not_say_it_nobody_knows() {
        let client = client(503, &json!({}));
        let found = is_there(&client, "alice", "metrics", "uid-of-it").await;
        assert!(found.is_err(), "{found:?}");
    }

    #[rstest]
    #[case::not_found(404, "NotFound", true)]
    #[case::another_uid(409, "Conflict", true)]
    #[case::forbidden(403, "Forbidden", false)]
    #[case::unavailable(503, "ServiceUnavailable", false)]
    fn an_object_may_be_gone_after_such_an_error(
        #[case] code: u16,
        #[case] reason: &str,
        #[case] may_be: bool,
    ) {
        let status = Status::failure("words", reason).with_code(code).boxed();
        assert_eq!(may_be_gone(&KubeError::Api(status)), may_be);
    }
}
