//! Where a Pushgateway answers.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{Credentials, Group};
use crate::terminal::quoted;

/// The base URL of a Pushgateway, and the credentials that it was written with, which are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
    credentials: Option<Credentials>,
}

/// Why a text is no address. No message shows a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("is empty; write http://HOST:PORT")]
    Empty,
    /// A host and nothing else: 9091 and 80 are as likely to be meant.
    #[error("{} has no port; write HOST:9091, or http://HOST for port 80", quoted(.0))]
    NoPort(String),
    /// Another protocol than HTTP.
    #[error("{} is neither http nor https; write http://HOST:PORT", quoted(.0))]
    Scheme(String),
    /// Something that a base URL can't have.
    #[error("{} has {part}; write http://HOST:PORT, with a path where the gateway has a prefix", quoted(.shown))]
    Part {
        /// The address without user and password.
        shown: String,
        part: &'static str,
    },
    /// The address of what is pushed, not of the gateway.
    #[error("{} has the path of a push, which is added by itself; write it without /metrics and what follows", quoted(.0))]
    Push(String),
    /// No URL at all.
    #[error("{} is not an address ({cause}); write http://HOST:PORT", quoted(.shown))]
    NotUrl {
        /// The address without user and password.
        shown: String,
        /// What the URL's parser said.
        cause: String,
    },
}

impl Address {
    /// Reads `HOST:PORT`, `http://HOST[:PORT][/PREFIX]` or the same with `https`.
    ///
    /// # Errors
    /// For anything else, with what would be right.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let shown = without_credentials(text);
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let url = match scheme.to_ascii_lowercase().as_str() {
            "" => format!("http://{rest}"),
            "http" | "https" => text.to_owned(),
            _ => return Err(AddressError::Scheme(shown)),
        };
        let mut url = Url::parse(&url).map_err(|error| AddressError::NotUrl {
            shown: shown.clone(),
            cause: error.to_string(),
        })?;

        let part = if url.query().is_some() {
            "a query"
        } else if url.fragment().is_some() {
            "a fragment"
        } else if url.path().contains('@') {
            // More likely a password with a slash, whose rest would be taken for a path and shown.
            "an @ in its path (a / in a password is written %2F)"
        } else if scheme.is_empty() && url.port().is_none() && !names_port_80(text) {
            return Err(AddressError::NoPort(shown));
        } else if is_path_of_a_push(url.path()) {
            return Err(AddressError::Push(shown));
        } else {
            let credentials = take_credentials(&mut url);
            return Ok(Self { url, credentials });
        };
        Err(AddressError::Part { shown, part })
    }

    /// Whether the gateway is spoken to over TLS.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The user and password that the address was written with.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Where it is, as far as a connection goes.
    pub(super) fn host_and_port(&self) -> (&str, u16) {
        let port = self.url.port_or_known_default().unwrap_or_default();
        (self.url.host_str().unwrap_or_default(), port)
    }

    /// Where the gateway has a group, without user and password.
    pub fn of_group(&self, group: &Group) -> String {
        self.join(group.path().iter().map(String::as_str)).into()
    }

    /// The URL of a path below the address. Segments are percent-encoded where need be.
    pub(super) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.url.clone();
        // Only a URL without a host has no path segments, and `parse` makes none of those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// The address as it would be typed, without user and password.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.url;
        write!(
            formatter,
            "{}://{}",
            url.scheme(),
            url.host_str().unwrap_or_default()
        )?;
        if let Some(port) = url.port() {
            write!(formatter, ":{port}")?;
        }
        formatter.write_str(url.path().trim_end_matches('/'))
    }
}

/// As shown: a derived one would print the password.
impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

/// Moves user and password out of the URL, decoded.
fn take_credentials(url: &mut Url) -> Option<Credentials> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let password = url.password().map(decoded);
    // Only a URL without a host refuses, and `parse` makes none of those.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    (!user.is_empty() || password.is_some())
        .then(|| Credentials::new(user, password.unwrap_or_default()))
}

fn is_path_of_a_push(path: &str) -> bool {
    path.trim_end_matches('/').ends_with("/metrics") || path.contains("/metrics/job")
}

/// Whether a text without a scheme has the port that a URL leaves out.
fn names_port_80(text: &str) -> bool {
    let authority = text.split('/').next().unwrap_or_default();
    authority.ends_with(":80")
}

/// Leaves out whatever stands before the last `@`, for a text that may not be a URL at all.
fn without_credentials(text: &str) -> String {
    let is_name = |scheme: &str| scheme.chars().all(|each| each.is_ascii_alphanumeric());
    match text.rsplit_once('@') {
        None => text.to_owned(),
        Some((before, after)) => match before.split_once("://") {
            // A user and a password that has slashes look like a scheme too, but for the colon between them.
            Some((scheme, _)) if is_name(scheme) => format!("{scheme}://{after}"),
            _ => after.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("pushgateway:9091", "http://pushgateway:9091")]
    #[case("pushgateway.alice.svc:9091/", "http://pushgateway.alice.svc:9091")]
    #[case("http://pushgateway:9091", "http://pushgateway:9091")]
    #[case("HTTP://pushgateway", "http://pushgateway")]
    #[case("pushgateway:80", "http://pushgateway")]
    #[case("pushgateway:80/push/", "http://pushgateway/push")]
    #[case(" http://pushgateway:9091/\n", "http://pushgateway:9091")]
    #[case(
        "https://push.example.com/gateway/",
        "https://push.example.com/gateway"
    )]
    #[case("[::1]:9091", "http://[::1]:9091")]
    #[case("127.0.0.1:9091/a b", "http://127.0.0.1:9091/a%20b")]
    #[case("https://user:secret@push.example.com", "https://push.example.com")]
    #[case("user:secret@pushgateway:9091", "http://pushgateway:9091")]
    fn addresses_are_shown_as_typed_without_password(#[case] text: &str, #[case] shown: &str) {
        let address = Address::parse(text).unwrap();
        assert_eq!(address.to_string(), shown);
        assert_eq!(format!("{address:?}"), format!("Address({shown})"));
    }

    #[rstest]
    #[case("", "is empty; write http://HOST:PORT")]
    #[case("  ", "is empty; write http://HOST:PORT")]
    #[case(
        "pushgateway",
        r#""pushgateway" has no port; write HOST:9091, or http://HOST for port 80"#
    )]
    #[case(
        "ftp://pushgateway:9091",
        r#""ftp://pushgateway:9091" is neither http nor https; write http://HOST:PORT"#
    )]
    #[case(
        "ftp://user:secret@host",
        r#""ftp://host" is neither http nor https; write http://HOST:PORT"#
    )]
    #[case(
        "user:se://cret@host:9091",
        r#""host:9091" is neither http nor https; write http://HOST:PORT"#
    )]
    #[case(
        "http://host:x",
        r#""http://host:x" is not an address (invalid port number); write http://HOST:PORT"#
    )]
    #[case(
        "http://user:se@cret@host:x",
        r#""http://host:x" is not an address (invalid port number); write http://HOST:PORT"#
    )]
    #[case(
        "http://",
        r#""http://" is not an address (empty host); write http://HOST:PORT"#
    )]
    #[case(
        "http://host:9091?job=a",
        r#""http://host:9091?job=a" has a query; write http://HOST:PORT, with a path where the gateway has a prefix"#
    )]
    #[case(
        "http://host:9091/push/metrics/",
        r#""http://host:9091/push/metrics/" has the path of a push, which is added by itself; write it without /metrics and what follows"#
    )]
    #[case(
        "host:9091/metrics/job/train",
        r#""host:9091/metrics/job/train" has the path of a push, which is added by itself; write it without /metrics and what follows"#
    )]
    #[case(
        "http://host:9091/#a",
        r##""http://host:9091/#a" has a fragment; write http://HOST:PORT, with a path where the gateway has a prefix"##
    )]
    #[case(
        "http://user:1/secret@host:9091",
        r#""http://host:9091" has an @ in its path (a / in a password is written %2F); write http://HOST:PORT, with a path where the gateway has a prefix"#
    )]
    fn other_texts_are_refused_with_what_would_be_right(#[case] text: &str, #[case] message: &str) {
        assert_eq!(Address::parse(text).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case("http://host:9091", None)]
    #[case("http://user@host:9091", Some(("user", "")))]
    #[case("user:s3c%2Fret%20@host:9091", Some(("user", "s3c/ret ")))]
    #[case("http://:s3cret@host:9091", Some(("", "s3cret")))]
    fn credentials_are_decoded(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        let expected =
            expected.map(|(user, password)| Credentials::new(user.into(), password.into()));
        assert_eq!(
            Address::parse(text).unwrap().credentials(),
            expected.as_ref()
        );
    }

    #[rstest]
    #[case("http://host:9091", "http://host:9091/metrics/job/a%20b")]
    #[case("http://user:s3cret@host:9091", "http://host:9091/metrics/job/a%20b")]
    #[case(
        "http://host:9091/prefix/",
        "http://host:9091/prefix/metrics/job/a%20b"
    )]
    fn paths_are_joined_below_the_prefix(#[case] address: &str, #[case] url: &str) {
        assert_eq!(
            Address::parse(address)
                .unwrap()
                .join(["metrics", "job", "a b"])
                .as_str(),
            url
        );
    }
}
