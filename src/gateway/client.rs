//! The HTTP client: one request and its answer at a time, on the thread that calls it.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use ureq::config::AutoHeaderValue;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use ureq::http::{Method, Response, StatusCode};
use ureq::{Agent, AsSendBody, Body};

use super::connect::{self, Pin};
use super::error::{Answer, Request, Timeouts, no_host_advice};
use super::{Address, Credentials, Group, Proxy, PushError, TlsError, TlsFiles};

/// For one try, from looking up the host to the end of the answer, where nobody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// For looking up the host, and for connecting: less, for a host that swallows packets.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After how much of an answer's body no more of it is asked for, in bytes.
const MAX_BODY: u64 = 4096;
/// Of what is read and of what is written, kept in memory at a time, in bytes.
const BUFFER: usize = 16 * 1024;
/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Which gateway, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Settings {
    pub address: Address,
    /// In place of those in the address.
    pub credentials: Option<Credentials>,
    /// Where the address is https.
    pub tls: TlsFiles,
    pub proxy: Option<Proxy>,
    /// For one try, from looking up the host to the end of the answer.
    pub timeout: Duration,
}

/// Speaks to one Pushgateway. Threads may share it.
pub struct Client {
    agent: Agent,
    /// Where the address is https.
    tls: Option<Arc<ClientConfig>>,
    pin: Pin,
    address: Address,
    authorization: Option<HeaderValue>,
    timeouts: Timeouts,
    /// The variable that names it.
    proxy: Option<&'static str>,
}

impl Settings {
    /// With nothing but an address.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            credentials: None,
            tls: TlsFiles::default(),
            proxy: None,
            timeout: TIMEOUT,
        }
    }
}

impl Client {
    /// A client for the gateway; connects to nothing yet. CA certificates are only read where the address is https: that
    /// takes longer than a push, and our own image has none.
    ///
    /// # Errors
    /// When TLS is needed and can't be set up.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let Settings {
            address,
            credentials,
            tls,
            proxy,
            timeout,
        } = settings;
        let timeouts = Timeouts {
            connect: CONNECT_TIMEOUT.min(timeout),
            whole: timeout,
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("simplepipe/", env!("CARGO_PKG_VERSION")))
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .proxy(proxy.as_ref().map(|proxy| proxy.inner.clone()))
            .timeout_global(Some(timeouts.whole))
            .timeout_resolve(Some(timeouts.connect))
            .timeout_connect(Some(timeouts.connect));
        let tls = address.is_https().then(|| tls.load()).transpose()?;
        let pin = Pin::default();
        Ok(Self {
            agent: connect::agent(config.build(), tls.clone(), pin.clone()),
            tls,
            pin,
            authorization: credentials
                .as_ref()
                .or(address.credentials())
                .and_then(authorization),
            address,
            timeouts,
            proxy: proxy.map(|proxy| proxy.origin),
        })
    }

    /// The gateway that it speaks to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Makes the exposition the whole content of the group, in place of what was there (PUT), in one try.
    ///
    /// # Errors
    /// When the gateway can't be reached or does not take it; see [`PushError::is_transient`].
    pub fn replace(&self, group: &Group, exposition: &str) -> Result<(), PushError> {
        self.push(Method::PUT, group, exposition).map(drop)
    }

    /// Puts the exposition's metrics into the group, in place of those with the same names (POST), in one try.
    ///
    /// # Errors
    /// As [`Client::replace`].
    pub fn merge(&self, group: &Group, exposition: &str) -> Result<(), PushError> {
        self.push(Method::POST, group, exposition).map(drop)
    }

    /// Removes the group, in one try. A gateway is content where there is none.
    ///
    /// # Errors
    /// As [`Client::replace`].
    pub fn delete(&self, group: &Group) -> Result<(), PushError> {
        let request = self
            .request(Method::DELETE, group.path().iter().map(String::as_str))
            .body(());
        self.send(Request::Deletion, request).map(read_to_end)
    }

    /// A client for the same gateway, with connections of its own.
    pub(super) fn apart(&self) -> Self {
        let pin = Pin::default();
        Self {
            agent: connect::agent(self.agent.config().clone(), self.tls.clone(), pin.clone()),
            tls: self.tls.clone(),
            pin,
            address: self.address.clone(),
            authorization: self.authorization.clone(),
            timeouts: self.timeouts,
            proxy: self.proxy,
        }
    }

    /// Until it is unpinned, requests go over the connection that there is or fail: who answers is who answered before.
    pub(super) fn pin(&self, pinned: bool) {
        self.pin.set(pinned);
    }

    pub(super) fn push(
        &self,
        method: Method,
        group: &Group,
        exposition: &str,
    ) -> Result<StatusCode, PushError> {
        let request = self
            .request(method, group.path().iter().map(String::as_str))
            .header(CONTENT_TYPE, TEXT_FORMAT)
            .body(exposition);
        let response = self.send(Request::Push, request)?;
        let status = response.status();
        read_to_end(response);
        Ok(status)
    }

    /// For one try, from looking up the host to the end of the answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeouts.whole
    }

    pub(super) fn get<'a>(
        &self,
        within: Duration,
        path: impl IntoIterator<Item = &'a str>,
    ) -> Result<Response<Body>, PushError> {
        let request = self.request(Method::GET, path).body(()).map(|request| {
            let configured = self.agent.configure_request(request);
            configured.timeout_global(Some(within)).build()
        });
        self.send(Request::Question, request)
    }

    fn request<'a>(
        &self,
        method: Method,
        path: impl IntoIterator<Item = &'a str>,
    ) -> ureq::http::request::Builder {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(self.address.join(path).as_str());
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    fn trouble(&self, error: ureq::Error) -> PushError {
        match (PushError::of(error, &self.timeouts), self.proxy) {
            (PushError::Unreachable(cause), Some(proxy)) => PushError::Proxy(proxy, cause),
            (PushError::Unreachable(cause), None) => {
                let (host, _) = self.address.host_and_port();
                let advice = no_host_advice(host, &cause);
                PushError::Unreachable(cause + advice)
            }
            (error, _) => error,
        }
    }

    fn send<B: AsSendBody>(
        &self,
        what: Request,
        request: ureq::http::Result<ureq::http::Request<B>>,
    ) -> Result<Response<Body>, PushError> {
        let response = request
            .map_err(ureq::Error::Http)
            .and_then(|request| self.agent.run(request))
            .map_err(|error| self.trouble(error))?;
        if !response.status().is_success() {
            Err(self.refusal(what, response))
        } else if is_web_page(&response) {
            let status = response.status();
            let body = "a web page".to_owned();
            Err(PushError::Elsewhere(Answer::new(status, body)))
        } else {
            Ok(response)
        }
    }

    fn refusal(&self, what: Request, response: Response<Body>) -> PushError {
        let status = response.status();
        if status.is_redirection() {
            let body = location(&response);
            return PushError::Elsewhere(Answer::new(status, body));
        }
        let body = self.without_credentials(body_start(response));
        let answer = Answer::new(status, body);
        let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        if status.is_server_error() || later.contains(&status) {
            PushError::Unavailable(what, answer)
        } else {
            PushError::Refused(what, answer)
        }
    }

    /// Some servers answer with the request that they did not like.
    fn without_credentials(&self, body: String) -> String {
        let authorization = self.authorization.as_ref();
        let pair = authorization.and_then(|value| value.to_str().ok()?.split_once(' '));
        match pair {
            Some((_, pair)) if !pair.is_empty() => body.replace(pair, "..."),
            _ => body,
        }
    }
}

/// As of a page to log in at, which says that all is well. A gateway has none for anything that it is asked here.
fn is_web_page(response: &Response<Body>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| {
        kind.as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"text/html")
    })
}

fn location(response: &Response<Body>) -> String {
    let location = response
        .headers()
        .get(LOCATION)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    location
        .map(|location| format!("see {location}"))
        .unwrap_or_default()
}

/// A gateway's answer is empty. What a proxy adds is read, since the connection can't be used again otherwise.
fn read_to_end(response: Response<Body>) {
    body_start(response);
}

/// The first part of the body: it explains a status that is known already, so a body that breaks off is no further
/// error.
fn body_start(response: Response<Body>) -> String {
    let mut body = Vec::new();
    let reader = response.into_body().into_reader();
    let _ = reader.take(MAX_BODY).read_to_end(&mut body);
    String::from_utf8_lossy(&body).into_owned()
}

/// Base64 is always a proper header.
fn authorization(credentials: &Credentials) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&credentials.authorization()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Client({})", self.address)
    }
}
