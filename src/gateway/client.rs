//! The HTTP client.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, StatusCode, redirect};

use super::{Address, Group};
use crate::terminal::one_line;

/// For one try, from looking up the host to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For looking up the host and connecting: less, for a host that swallows packets.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After how much of an answer's body no more of it is asked for, in bytes.
const MAX_BODY: usize = 4096;
/// How much of an answer is shown, in characters.
const SHOWN: usize = 400;
/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Speaks to one Pushgateway.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("TLS can't be set up: {0}")]
pub struct ClientError(String);

/// Why a push did not arrive. Each message goes on after the gateway's address.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No answer within the time for one try.
    #[error("did not answer in time")]
    Timeout,
    /// No connection.
    #[error("can't be reached: {0}")]
    Unreachable(String),
    /// A connection that broke off, or on which something else than HTTP came back. The push may have arrived all the
    /// same; pushing it again does no harm.
    #[error("gave no proper answer: {0}")]
    NoAnswer(String),
    /// TLS failed on either side, as with a certificate that is not trusted.
    #[error("can't be spoken to over TLS: {0}")]
    Tls(String),
    /// The gateway is there, and can't take the push at the moment.
    #[error("can't take the push now: it answered {0}")]
    Unavailable(Answer),
    /// The gateway does not want the push.
    #[error("refused the push: it answered {0}")]
    Refused(Answer),
    /// The gateway is elsewhere. Following unasked could bring the metrics, and a password, to someone else.
    #[error("is not the gateway: it answered {0}; name the gateway's own address")]
    Elsewhere(Answer),
}

/// The bounded part of an answer that a person should see.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    text: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.status)?;
        if self.text.is_empty() {
            Ok(())
        } else {
            write!(formatter, ": {}", self.text)
        }
    }
}

impl PushError {
    /// Whether the same push may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout | Self::Unreachable(_) | Self::NoAnswer(_) | Self::Unavailable(_) => true,
            Self::Tls(_) | Self::Refused(_) | Self::Elsewhere(_) => false,
        }
    }
}

impl Client {
    /// A client for the gateway at this address; connects to nothing yet.
    ///
    /// # Errors
    /// When TLS is needed and can't be set up, as on a machine without CA certificates.
    pub fn new(address: Address) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("simplepipe/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none());
        let builder = if address.is_https() {
            // It fails where there is a provider already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            builder
        } else {
            builder.tls_backend_preconfigured(
                unused_tls().map_err(|error| ClientError(innermost(&error)))?,
            )
        };
        let http = builder
            .build()
            .map_err(|error| ClientError(innermost(&error)))?;
        Ok(Self { http, address })
    }

    /// The gateway that it speaks to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Makes the exposition the whole content of the group, in place of what was there (PUT), in one try.
    ///
    /// # Errors
    /// When the gateway can't be reached or does not take it; see [`PushError::is_transient`].
    pub async fn replace(&self, group: &Group, exposition: String) -> Result<(), PushError> {
        let url = self.address.join(group.path().iter().map(String::as_str));
        let request = self
            .http
            .request(Method::PUT, url)
            .header(CONTENT_TYPE, TEXT_FORMAT)
            .body(exposition);
        let response = request.send().await.map_err(transport_error)?;
        let status = response.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(refusal(status, response).await)
        }
    }
}

/// reqwest sets up TLS in any case, and reads all CA certificates of the machine for it: that takes longer than a push,
/// and fails where there are none, as in our own image. Over plain HTTP this stands in, and trusts nobody.
fn unused_tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

async fn refusal(status: StatusCode, response: Response) -> PushError {
    if status.is_redirection() {
        return PushError::Elsewhere(Answer {
            status,
            text: location(&response),
        });
    }
    let answer = Answer {
        status,
        text: one_line(&body_start(response).await, SHOWN),
    };
    let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || later.contains(&status) {
        PushError::Unavailable(answer)
    } else {
        PushError::Refused(answer)
    }
}

fn transport_error(error: reqwest::Error) -> PushError {
    // The URL may hold a password.
    let error = error.without_url();
    if error.is_timeout() {
        PushError::Timeout
    } else if is_tls(&error) {
        PushError::Tls(innermost(&error))
    } else if error.is_connect() {
        PushError::Unreachable(innermost(&error))
    } else {
        PushError::NoAnswer(innermost(&error))
    }
}

fn is_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.is::<rustls::Error>())
}

/// The error and all below it. An I/O error leaves the one that it carries out of its sources, hence the special case.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>() {
            Some(error) => error
                .get_ref()
                .map(|carried| carried as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The cause at the bottom, such as "Connection refused": those above say only in which part of the client it was.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let text = causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    one_line(&text, SHOWN)
}

fn location(response: &Response) -> String {
    let location = response
        .headers()
        .get(LOCATION)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    location
        .map(|location| one_line(&format!("see {location}"), SHOWN))
        .unwrap_or_default()
}

/// The first parts of the body, until they are [`MAX_BODY`] long: it explains a status that is known already, so a body
/// that breaks off is no further error.
async fn body_start(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < MAX_BODY {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}
