//! `Retry-After`, brought where an error's reader finds it.
//!
//! The API server sends it as a header, the client library drops headers of errors. Kubernetes' own place for it in an
//! answer's body is `details.retryAfterSeconds`, so it is put there.

use std::time::Duration;

use http::Response;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use kube::Error as KubeError;
use kube::client::DynBody;
use kube::core::Status;
use kube::core::response::StatusDetails;
use tower::BoxError;

/// More than that is not waited for: whoever says it may be back sooner.
const LONGEST: Duration = Duration::from_secs(5);
/// Bytes of an error's body that are read.
const LONGEST_BODY: usize = 1024 * 1024;

/// How long the API server asks to wait, as far as that is done.
pub fn of(error: &KubeError) -> Duration {
    let KubeError::Api(status) = error else {
        return Duration::ZERO;
    };
    let seconds = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
    Duration::from_secs(seconds.into()).min(LONGEST)
}

/// The answer, an error with the header in its body.
pub async fn kept(answer: Response<Box<DynBody>>) -> Result<Response<Box<DynBody>>, BoxError> {
    let status = answer.status();
    let seconds = answer.headers().get(RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let Some(seconds) = seconds.filter(|_| status.is_client_error() || status.is_server_error())
    else {
        return Ok(answer);
    };
    let (mut head, mut body) = answer.into_parts();
    let mut words = Vec::new();
    while words.len() < LONGEST_BODY
        && let Some(frame) = body.frame().await
    {
        match frame {
            Ok(frame) => words.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Err(error) => return Err(error),
        }
    }
    let told = Full::from(with_seconds(&words, status.as_u16(), seconds)?);
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(
        head,
        Box::new(told.map_err(|never| match never {})),
    ))
}

fn with_seconds(body: &[u8], code: u16, seconds: u32) -> Result<Vec<u8>, serde_json::Error> {
    let mut status: Status = serde_json::from_slice(body).unwrap_or_else(|_| {
        // A load balancer's own words, say.
        let words = String::from_utf8_lossy(body);
        Status::failure(words.trim(), "").with_code(code)
    });
    let details = status.details.get_or_insert_with(no_details);
    details.retry_after_seconds = details.retry_after_seconds.max(seconds);
    serde_json::to_vec(&status)
}

fn no_details() -> StatusDetails {
    StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(body: &[u8], seconds: u32) -> KubeError {
        let told = with_seconds(body, 429, seconds).unwrap();
        KubeError::Api(serde_json::from_slice(&told).unwrap())
    }

    #[rstest]
    #[case::plain_words(b"Too many requests, please try again later.\n")]
    #[case::a_status(br#"{"kind": "Status", "code": 429, "message": "Too many requests, please try again later."}"#)]
    #[case::a_status_with_details(br#"{"kind": "Status", "code": 429, "message": "Too many requests, please try again later.", "details": {"kind": "pods"}}"#)]
    fn it_is_kept_whatever_the_body_is_and_waited_for_up_to_five_seconds(#[case] body: &[u8]) {
        let error = read(body, 1);
        assert_eq!(of(&error), Duration::from_secs(1));
        let KubeError::Api(status) = error else {
            panic!("no status")
        };
        assert_eq!(
            (status.code, status.message.as_str()),
            (429, "Too many requests, please try again later.")
        );
        assert_eq!(of(&read(body, 3600)), LONGEST);
    }

    #[test]
    fn an_error_without_it_asks_for_no_wait() {
        let status = Status::failure("no", "Forbidden").with_code(403);
        assert_eq!(of(&KubeError::Api(status.boxed())), Duration::ZERO);
    }
}
