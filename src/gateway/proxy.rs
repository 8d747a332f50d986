//! The proxy between a client and its gateway, as the environment names it.

use std::net::IpAddr;

use ureq::ProxyProtocol;

use super::Address;

const FOR_HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const FOR_HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const FOR_NOBODY: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// Ends of names that only a cluster's own name servers know. A cluster's domain may be another one.
const OF_CLUSTERS: [&str; 2] = [".svc", ".cluster.local"];
/// In a pod it names the cluster's domain: `search alice.svc.DOMAIN svc.DOMAIN DOMAIN`.
const RESOLVER: &str = "/etc/resolv.conf";

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
        let resolver = || std::fs::read_to_string(RESOLVER).unwrap_or_default();
        Self::of_resolver(address, variable, resolver)
    }

    fn of_resolver(
        address: &Address,
        variable: impl Fn(&'static str) -> Option<String>,
        resolver: impl Fn() -> String,
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
        if is_of_cluster(host, resolver)
            || exceptions.is_some_and(|(_, list)| is_listed(&list, host, port))
        {
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

/// Whether the name means something only here: a proxy elsewhere could not find it, or would find another. Addresses are
/// no names.
fn is_of_cluster(host: &str, resolver: impl Fn() -> String) -> bool {
    if host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return false;
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    !host.contains('.')
        || OF_CLUSTERS.iter().any(|end| host.ends_with(end))
        || (host.contains(".svc.") && services_domains(&resolver()).any(|end| host.ends_with(&end)))
}

/// `.svc.DOMAIN` of each such domain that names are looked for in.
fn services_domains(resolver: &str) -> impl Iterator<Item = String> {
    let search = resolver
        .lines()
        .filter_map(|line| line.trim().strip_prefix("search"));
    let domains = search.flat_map(str::split_whitespace);
    domains
        .map(|domain| domain.trim_end_matches('.').to_ascii_lowercase())
        .filter(|domain| domain.starts_with("svc.") && domain.len() > "svc.".len())
        .map(|domain| format!(".{domain}"))
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
        let resolver =
            || "nameserver 10.0.0.10\nsearch alice.svc.k8s.corp svc.k8s.corp. k8s.corp\n".into();
        let proxy = Proxy::of_resolver(&address, variable, resolver);
        Ok(proxy
            .map_err(|error| error.to_string())?
            .map(|proxy| proxy.origin))
    }

    const PROXY: &str = "http://user:secret@proxy:3128";

    #[rstest]
    #[case("http://gateway.example:1", &["http_proxy", "all_proxy"], Some("http_proxy"))]
    #[case("http://gateway.example:1", &["https_proxy"], None)]
    #[case("https://gateway.example:1", &["http_proxy", "HTTPS_PROXY"], Some("HTTPS_PROXY"))]
    #[case("https://gateway.example:1", &["ALL_PROXY"], Some("ALL_PROXY"))]
    #[case("http://gateway.example:1", &[], None)]
    fn each_scheme_has_a_proxy_of_its_own(
        #[case] gateway: &str,
        #[case] variables: &[&str],
        #[case] expected: Option<&str>,
    ) {
        let variables: Vec<_> = variables.iter().map(|name| (*name, PROXY)).collect();
        assert_eq!(of(gateway, &variables).unwrap(), expected);
    }

    #[rstest]
    #[case("push.alice.example:9091", ".example, .corp", true)]
    #[case("push.alice.example:9091", "example", true)]
    #[case("push.alice.example:9091", "*.alice.example", true)]
    #[case("push.alice.example:9091", "alice.example:9091", true)]
    #[case("push.alice.example:9091", "alice.example:9090", false)]
    #[case("push.alice.example:9091", "ce.example", false)]
    #[case("Push.example:9091", "localhost push.example", true)]
    #[case("push.example:9091", "", false)]
    #[case("push.example:9091", "*", true)]
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

    #[rstest]
    #[case::of_the_config_map("pushgateway:9091", true)]
    #[case::short("pushgateway.alice.svc:9091", true)]
    #[case::whole("PushGateway.alice.svc.cluster.local.:9091", true)]
    #[case::of_another_domain("pushgateway.alice.svc.k8s.corp:9091", true)]
    #[case::of_a_domain_that_is_not_this_clusters("pushgateway.alice.svc.example:9091", false)]
    #[case::not_below_svc("pushgateway.alice.k8s.corp:9091", false)]
    #[case::of_a_like_name("pushgateway.alicesvc:9091", false)]
    #[case::outside("push.example:9091", false)]
    #[case::an_address("10.1.2.3:9091", false)]
    #[case::an_address_without_a_dot("[fd00::1]:9091", false)]
    fn no_proxy_is_asked_for_a_name_of_the_cluster(
        #[case] gateway: &str,
        #[case] is_of_cluster: bool,
    ) {
        let proxy = of(gateway, &[("all_proxy", PROXY)]).unwrap();
        assert_eq!(proxy.is_none(), is_of_cluster, "{proxy:?}");
    }

    #[test]
    fn a_proxy_that_can_not_be_used_is_no_matter_within_the_cluster() {
        let variables = [("all_proxy", "socks5h://proxy")];
        assert_eq!(of("pushgateway:9091", &variables), Ok(None));
    }

    #[test]
    fn what_can_not_be_used_is_told_without_its_password() {
        assert_eq!(
            of(
                "gateway.example:1",
                &[("all_proxy", "socks5h://user:secret@proxy")]
            )
            .unwrap_err(),
            "the proxy from all_proxy speaks SOCKS, which is not known here; name one that speaks http, or put the \
             gateway's host into no_proxy"
        );
        assert_eq!(
            of(
                "gateway.example:1",
                &[("HTTP_PROXY", "ftp://user:secret@proxy")]
            )
            .unwrap_err(),
            "the proxy from HTTP_PROXY is not an address; write http://HOST:PORT"
        );
    }
}
