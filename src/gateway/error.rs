//! Why a gateway did not do what it was asked.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use ureq::Timeout;
use ureq::http::StatusCode;

use super::collision::Collision;
use super::connect::NeverSent;
use super::tls_connection::AUTHORITYS_OWN;
use crate::terminal::one_line;

/// How much of an answer is shown, in characters.
const SHOWN: usize = 400;
/// Said of a host's name.
const NO_ADDRESS: &str = "its name has no address";

/// Why a request did not succeed. Each message goes on after the gateway's address.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No answer from DNS within the time for a connection.
    #[error("can't be reached: DNS did not answer for its name within {:.0} s", .0.as_secs_f64())]
    NotResolved(Duration),
    /// No connection within the time for one.
    #[error("can't be reached: no connection within {:.0} s", .0.as_secs_f64())]
    NotConnected(Duration),
    /// No answer within the time for one try.
    #[error("did not answer within {:.0} s (--timeout)", .0.as_secs_f64())]
    Timeout(Duration),
    /// No connection, hence nothing was sent.
    #[error("can't be reached: {0}")]
    Unreachable(String),
    /// No connection through a proxy, whose variable is named.
    #[error("can't be reached through the proxy from {0}: {1}")]
    Proxy(&'static str, String),
    /// A connection that broke off, or on which something else than HTTP came back. The request may have arrived all
    /// the same.
    #[error("gave no proper answer: {0}")]
    NoAnswer(String),
    /// TLS failed on either side, as with a certificate that is not trusted.
    #[error("can't be spoken to over TLS: {cause}{advice}", cause = .0, advice = tls_advice(.0))]
    Tls(String),
    /// The gateway is there, and can't do it at the moment.
    #[error("can't take {0} now: it answered {1}")]
    Unavailable(Request, Answer),
    /// The gateway does not want to.
    #[error("refused {}: {}", .0, refusal(.1))]
    Refused(Request, Answer),
    /// It answers, but not with its metrics.
    #[error("does not tell its metrics as a Pushgateway does: {0}")]
    NoMetrics(String),
    /// The gateway is elsewhere. Following unasked could bring the metrics, and a password, to someone else.
    #[error("is not the gateway: it answered {0}; name the gateway's own address")]
    Elsewhere(Answer),
}

/// How long one try may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// Looking up the host, and connecting.
    pub(super) connect: Duration,
    /// From looking up the host to the end of the answer.
    pub(super) whole: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Push,
    Deletion,
    Question,
}

/// The bounded part of an answer that a person should see.
#[derive(Debug)]
pub struct Answer {
    pub(super) status: StatusCode,
    /// As it came, cut to a bounded length.
    pub(super) body: String,
    /// Where it is about what another group holds, and the gateway told which.
    pub(super) collision: Option<Box<Collision>>,
}

impl PushError {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotResolved(_)
            | Self::NotConnected(_)
            | Self::Timeout(_)
            | Self::Unreachable(_)
            | Self::Proxy(..)
            | Self::NoAnswer(_)
            | Self::Unavailable(..) => true,
            Self::Tls(_) | Self::Refused(..) | Self::NoMetrics(_) | Self::Elsewhere(_) => false,
        }
    }

    /// Whether the gateway may have done what it was asked, or may still do it.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            // A proxy that gave up on the gateway answers 502 or 504.
            Self::Timeout(_) | Self::NoAnswer(_) | Self::Tls(_) | Self::Unavailable(..) => true,
            Self::NotResolved(_)
            | Self::NotConnected(_)
            | Self::Unreachable(_)
            | Self::Proxy(..)
            | Self::Refused(..)
            | Self::NoMetrics(_)
            | Self::Elsewhere(_) => false,
        }
    }
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: String) -> Self {
        Self {
            status,
            body,
            collision: None,
        }
    }

    /// Whether it is about this metric.
    pub(super) fn mentions(&self, metric: &str) -> bool {
        self.body.contains(metric)
    }
}

/// What the TLS library's words come from, where that is known.
fn tls_advice(cause: &str) -> &'static str {
    if cause.contains("InvalidContentType") {
        "; it may speak plain http"
    } else if cause.contains("UnknownIssuer") {
        "; name the certificate of who signed its own by --ca-file"
    } else if cause.contains(AUTHORITYS_OWN) {
        "; its certificate is an authority's own, so name that very certificate by --ca-file, or give the gateway one that \
         an authority signed"
    } else if cause.contains("not valid for") {
        "; use a host that the certificate has in its subjectAltName, or make one with this host there (openssl req -addext \
         subjectAltName=DNS:HOST)"
    } else if cause.contains("UnsupportedCertVersion") {
        "; its certificate is of version 1, which can't say for which host it is; make one of version 3 with subjectAltName"
    } else {
        ""
    }
}

fn refusal(answer: &Answer) -> String {
    match &answer.collision {
        Some(collision) => collision.to_string(),
        None => format!("it answered {answer}{}", refusal_advice(answer)),
    }
}

fn refusal_advice(answer: &Answer) -> &'static str {
    if answer.status == StatusCode::UNAUTHORIZED {
        "; give --username and --password-file"
    } else if answer.status == StatusCode::NOT_FOUND {
        "; no Pushgateway answers there: see to the host, the port and the path of its address"
    } else if answer.mentions("was collected before") {
        "; another group has this metric with the same labels. The gateway refused this push only. Rename the metric, or \
         delete that group if it is yours, then push again"
    } else if answer.mentions("collides with previously collected") {
        "; the first of the two takes the name of the other. The gateway refused this push only. Rename one, then push again"
    } else if answer.body.contains("is not a ") {
        "; it holds a metric of this name with another type, so give it that type (in text by a line # TYPE; without one it is untyped) or another name"
    } else {
        ""
    }
}

impl PushError {
    /// Of the client's library, where it was to take no longer than this.
    pub(super) fn of(error: ureq::Error, timeouts: &Timeouts) -> Self {
        match error {
            ureq::Error::Timeout(Timeout::Resolve) => Self::NotResolved(timeouts.connect),
            ureq::Error::Timeout(Timeout::Connect) => Self::NotConnected(timeouts.connect),
            ureq::Error::Timeout(_) => Self::Timeout(timeouts.whole),
            ureq::Error::Rustls(cause) => Self::Tls(innermost(&cause)),
            ureq::Error::Tls(cause) => Self::Tls(cause.to_owned()),
            ureq::Error::Io(cause) => io_error(&cause),
            ureq::Error::Other(cause) if cause.is::<NeverSent>() => {
                Self::Unreachable(innermost(cause.as_ref()))
            }
            ureq::Error::HostNotFound => Self::Unreachable(NO_ADDRESS.to_owned()),
            error @ (ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_)) => {
                Self::Unreachable(one_line(&error.to_string(), SHOWN))
            }
            error => Self::NoAnswer(one_line(&error.to_string(), SHOWN)),
        }
    }
}

/// Whether either side of a TLS connection refused the other.
fn is_of_tls(error: &io::Error) -> bool {
    causes(error).any(|cause| cause.is::<rustls::Error>())
}

fn io_error(error: &io::Error) -> PushError {
    if is_of_tls(error) {
        PushError::Tls(innermost(error))
    } else {
        PushError::NoAnswer(innermost(error))
    }
}

/// What to do where a host has no address. In a namespace's pod, `pushgateway` has one where the namespace has a gateway;
/// a name server that fails says something else.
pub(super) fn no_host_advice(host: &str, cause: &str) -> &'static str {
    let is_of_no_host =
        cause == NO_ADDRESS || (cause.contains("lookup address") && !cause.contains("Temporary"));
    if is_of_no_host && !host.contains(['.', ':']) {
        "; is there a MetricsNamespace in this namespace? See kubectl get mns"
    } else {
        ""
    }
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

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Push => "the push",
            Self::Deletion => "the deletion",
            Self::Question => "the question for its metrics",
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.status)?;
        match one_line(&self.body, SHOWN).as_str() {
            "" => Ok(()),
            text => write!(formatter, ": {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What is tried again, and what has to be settled before anything else is written.
    #[rstest]
    #[case(PushError::NotResolved(Duration::ZERO), true, false)]
    #[case(PushError::NotConnected(Duration::ZERO), true, false)]
    #[case(PushError::Unreachable(String::new()), true, false)]
    #[case(PushError::Proxy("http_proxy", String::new()), true, false)]
    #[case(PushError::Timeout(Duration::ZERO), true, true)]
    #[case(PushError::NoAnswer(String::new()), true, true)]
    #[case(PushError::Tls(String::new()), false, true)]
    #[case(PushError::NoMetrics(String::new()), false, false)]
    fn an_error_says_whether_another_try_helps_and_what_may_have_arrived(
        #[case] error: PushError,
        #[case] transient: bool,
        #[case] may_have_arrived: bool,
    ) {
        let found = (error.is_transient(), error.may_have_arrived());
        assert_eq!(found, (transient, may_have_arrived), "{error}");
    }

    #[rstest]
    #[case::no_gateway(
        "pushgateway",
        "failed to lookup address information: Name or service not known",
        true
    )]
    #[case::said_by_the_library("pushgateway", NO_ADDRESS, true)]
    #[case::another_host("push.example.com", NO_ADDRESS, false)]
    #[case::no_name_server(
        "pushgateway",
        "failed to lookup address information: Temporary failure in name resolution",
        false
    )]
    #[case::nobody_listens("pushgateway", "Connection refused", false)]
    fn a_name_of_the_cluster_without_an_address_is_told_with_what_may_be_missing(
        #[case] host: &str,
        #[case] cause: &str,
        #[case] is_advised: bool,
    ) {
        assert_eq!(
            no_host_advice(host, cause).contains("kubectl get mns"),
            is_advised
        );
    }

    #[test]
    fn a_name_that_dns_is_silent_about_is_not_taken_for_a_host_that_is() {
        let timeouts = Timeouts {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(10),
        };
        let words = |timeout| PushError::of(ureq::Error::Timeout(timeout), &timeouts).to_string();
        assert!(words(Timeout::Resolve).contains("DNS did not answer"));
        assert!(words(Timeout::Connect).contains("no connection within 5 s"));
    }
}
