//! The proxy between a client and its gateway, as the environment names it.

use std::net::IpAddr;

use ureq::ProxyProtocol;

use super::Address;

const FOR_HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const FOR_HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const FOR_NOBODY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// A proxy, asked by CONNECT.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The variable that names it.
    pub(super) origin: &'static str,
    pub(super) inner: ureq::Proxy,
}

/// Why it can't be used. Its address may hold a password, and is not shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy from {origin} {problem}")]
pub struct ProxyError {
    origin: &'static str,
    problem: &'static str,
}

impl Proxy {
    /// The one for a gateway's scheme, unless there is none for its host.
    ///
    /// # Errors
    /// When what the variable holds is no proxy, or one that is spoken to in another way.
    pub fn of(
        address: &Address,
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Option<Self>, ProxyError> {
        let set = |name| Some((name, variable(name).filter(|text| !text.trim().is_empty())?));
        let names = if address.is_https() {
            FOR_HTTPS
        } else {
            FOR_HTTP
        };
        let Some((origin, proxy)) = names.into_iter().find_map(set) else {
            return Ok(None);
        };
        let (host, port) = address.host_and_port();
        let exceptions = FOR_NOBODY.into_iter().find_map(set);
        if exceptions.is_some_and(|(_, list)| is_listed(&list, host, port)) {
            return Ok(None);
        }
        let wrong = |problem| ProxyError { origin, problem };
        let inner = ureq::Proxy::new(proxy.trim())
            .map_err(|_| wrong("is not an address; write http://HOST:PORT"))?;
        match inner.protocol() {
            ProxyProtocol::Http | ProxyProtocol::Https => Ok(Some(Self { origin, inner })),
            _ => Err(wrong(
                "speaks SOCKS, which is not known here; name one that speaks http, or put the gateway's host into no_proxy",
            )),
        }
    }
}

/// As curl and Go read such a list: names with all below them, addresses, networks, `*`; each may have a port.
fn is_listed(list: &str, host: &str, port: u16) -> bool {
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let mut entries = list
        .split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty());
    entries.any(|entry| {
        if entry == "*" {
            return true;
        }
        match (address, entry.split_once('/')) {
            (Some(address), Some((network, bits))) => is_within(address, network, bits),
            (Some(address), None) => without_port(entry, port)
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|other: IpAddr| other == address),
            (None, _) => {
                let name = without_port(entry, port);
                let name = name.strip_prefix('*').unwrap_or(name);
                let name = name.strip_prefix('.').unwrap_or(name).to_ascii_lowercase();
                let host = host.to_ascii_lowercase();
                let above = host.strip_suffix(&name);
                !name.is_empty() && above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        }
    })
}

fn without_port(entry: &str, port: u16) -> &str {
    match entry.rsplit_once(':') {
        Some((name, number)) if number.parse() == Ok(port) => name,
        _ => entry,
    }
}

fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) if bits <= 32 => {
            let difference = u64::from(one.to_bits() ^ other.to_bits());
            difference >> (32 - bits) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) if bits <= 128 => {
            let difference = one.to_bits() ^ other.to_bits();
            difference.checked_shr(128 - bits).unwrap_or_default() == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn of(gateway: &str, variables: &[(&str, &str)]) -> Result<Option<&'static str>, String> {
        let address = Address::parse(gateway).unwrap();
        let variable = |wanted: &str| {
            let mut found = variables.iter().filter(|(name, _)| *name == wanted);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        let proxy = Proxy::of(&address, variable).map_err(|error| error.to_string())?;
        Ok(proxy.map(|proxy| proxy.origin))
    }

    const PROXY: &str = "http://user:secret@proxy:3128";

    #[rstest]
    #[case("http://gateway:1", &["http_proxy", "all_proxy"], Some("http_proxy"))]
    #[case("http://gateway:1", &["https_proxy"], None)]
    #[case("https://gateway:1", &["http_proxy", "HTTPS_PROXY"], Some("HTTPS_PROXY"))]
    #[case("https://gateway:1", &["ALL_PROXY"], Some("ALL_PROXY"))]
    #[case("http://gateway:1", &[], None)]
    fn each_scheme_has_a_proxy_of_its_own(
        #[case] gateway: &str,
        #[case] variables: &[&str],
        #[case] expected: Option<&str>,
    ) {
        let variables: Vec<_> = variables.iter().map(|name| (*name, PROXY)).collect();
        assert_eq!(of(gateway, &variables).unwrap(), expected);
    }

    #[rstest]
    #[case("pushgateway.alice.svc:9091", ".svc, .cluster.local", true)]
    #[case("pushgateway.alice.svc:9091", "svc", true)]
    #[case("pushgateway.alice.svc:9091", "*.alice.svc", true)]
    #[case("pushgateway.alice.svc:9091", "alice.svc:9091", true)]
    #[case("pushgateway.alice.svc:9091", "alice.svc:9090", false)]
    #[case("pushgateway.alice.svc:9091", "ce.svc", false)]
    #[case("Pushgateway:9091", "localhost pushgateway", true)]
    #[case("pushgateway:9091", "", false)]
    #[case("pushgateway:9091", "*", true)]
    #[case("10.1.2.3:9091", "10.0.0.0/8", true)]
    #[case("11.1.2.3:9091", "10.0.0.0/8", false)]
    #[case("11.1.2.3:9091", "0.0.0.0/0", true)]
    #[case("11.1.2.3:9091", "11.1.2.3/33", false)]
    #[case("10.1.2.3:9091", "10.1.2.3", true)]
    #[case("10.1.2.3:9091", "2.3", false)]
    #[case("[fd00::1]:9091", "fd00::/8", true)]
    #[case("[fd00::1]:9091", "[fd00::1]:9091", true)]
    #[case("[fd00::1]:9091", "::/0", true)]
    #[case("[fd00::1]:9091", "fe00::/8", false)]
    fn hosts_without_a_proxy_are_listed(
        #[case] gateway: &str,
        #[case] list: &str,
        #[case] is_listed: bool,
    ) {
        let proxy = of(gateway, &[("http_proxy", PROXY), ("no_proxy", list)]).unwrap();
        assert_eq!(proxy.is_none(), is_listed, "{proxy:?}");
    }

    #[test]
    fn what_can_not_be_used_is_told_without_its_password() {
        assert_eq!(
            of("gateway:1", &[("all_proxy", "socks5h://user:secret@proxy")]).unwrap_err(),
            "the proxy from all_proxy speaks SOCKS, which is not known here; name one that speaks http, or put the \
             gateway's host into no_proxy"
        );
        assert_eq!(
            of("gateway:1", &[("HTTP_PROXY", "ftp://user:secret@proxy")]).unwrap_err(),
            "the proxy from HTTP_PROXY is not an address; write http://HOST:PORT"
        );
    }
}
