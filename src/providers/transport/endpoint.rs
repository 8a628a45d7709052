//! Which hosts a credential may be sent to: https only, and no address inside of this machine, of its cloud's metadata
//! service or of the cluster's own API, neither written down nor behind a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::planner::model::{CloudError, ErrorClass};

/// The rules for endpoints. Strict by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointRules {
    /// Plain http and addresses of this machine are allowed: for demos and tests.
    pub allow_insecure: bool,
}

/// Why an endpoint is refused. Never carries user information of the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("the endpoint is no URL: {0}")]
    NotUrl(String),
    /// It is not https.
    #[error("the endpoint {0} is not https")]
    NotHttps(String),
    /// It has a user name or a password.
    #[error("the endpoint of {0} carries a user name or a password: leave them out")]
    UserInfo(String),
    /// It has no host.
    #[error("the endpoint has no host")]
    NoHost,
    /// Its address is not reachable for us on purpose.
    #[error("the endpoint {host} is {what}, which is not allowed")]
    Address {
        /// The host as written, or the address that it resolves to.
        host: String,
        /// What kind of address it is.
        what: &'static str,
    },
}

/// The code of a [`CloudError`] for a refused endpoint.
pub const REFUSED: &str = "EndpointRefused";

impl EndpointError {
    /// As a refusal; `place` says where the endpoint stands.
    pub fn refusal(&self, place: &str) -> CloudError {
        CloudError {
            code: Some(REFUSED.to_owned()),
            ..CloudError::new(ErrorClass::InvalidSpec, format!("{place}: {self}"))
        }
    }
}

impl EndpointRules {
    /// Reads an endpoint and checks what can be seen without resolving its name.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn check(self, text: &str) -> Result<Url, EndpointError> {
        let url = Url::parse(text.trim()).map_err(|e| EndpointError::NotUrl(e.to_string()))?;
        let host = url
            .host_str()
            .filter(|h| !h.is_empty())
            .ok_or(EndpointError::NoHost)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo(host.to_owned()));
        }
        let known = url.scheme() == "https" || (self.allow_insecure && url.scheme() == "http");
        if !known {
            return Err(EndpointError::NotHttps(host.to_owned()));
        }
        self.check_host(host)?;
        Ok(url)
    }

    fn check_host(self, host: &str) -> Result<(), EndpointError> {
        if self.allow_insecure {
            return Ok(());
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let what = match bare.parse::<IpAddr>() {
            Ok(ip) => forbidden(ip, CLUSTER_API.as_deref()),
            Err(_) => forbidden_name(bare, CLUSTER_API.as_deref()),
        };
        match what {
            None => Ok(()),
            Some(what) => Err(EndpointError::Address {
                host: host.to_owned(),
                what,
            }),
        }
    }

    /// Checks an address that a name resolved to.
    ///
    /// # Errors
    /// Says what kind of address it is.
    pub fn check_ip(self, ip: IpAddr) -> Result<(), EndpointError> {
        match forbidden(ip, CLUSTER_API.as_deref()) {
            Some(what) if !self.allow_insecure => Err(EndpointError::Address {
                host: ip.to_string(),
                what,
            }),
            _ => Ok(()),
        }
    }
}

/// Where the cluster that this process runs in has its API, as its pods are told; an address, or rarely a name.
static CLUSTER_API: LazyLock<Option<String>> = LazyLock::new(|| {
    std::env::var("KUBERNETES_SERVICE_HOST")
        .ok()
        .map(|h| h.to_ascii_lowercase())
});

const OWN_API: &str = "the API of the cluster itself";

/// Names that mean this machine, a metadata service or a service of the cluster whatever they resolve to.
const NAMES: &[(&str, &str)] = &[
    ("localhost", "this machine"),
    ("metadata.google.internal", "a metadata service"),
    ("svc", "a service of the cluster"),
    ("cluster.local", "a service of the cluster"),
];

fn forbidden_name(host: &str, own_api: Option<&str>) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if own_api == Some(host.as_str()) {
        return Some(OWN_API);
    }
    NAMES
        .iter()
        .find(|(name, _)| host == *name || host.ends_with(&format!(".{name}")))
        .map(|(_, what)| *what)
}

/// What kind of address it is, if it is one that no credential is sent to.
fn forbidden(ip: IpAddr, own_api: Option<&str>) -> Option<&'static str> {
    let api = own_api.and_then(|api| api.parse::<IpAddr>().ok());
    let own = |ip: IpAddr| (api == Some(ip)).then_some(OWN_API);
    match ip {
        IpAddr::V4(v4) => forbidden_v4(v4).or_else(|| own(ip)),
        IpAddr::V6(v6) => {
            let embedded = embedded_v4(v6).into_iter();
            embedded
                .filter_map(|v4| forbidden_v4(v4).or_else(|| own(IpAddr::V4(v4))))
                .next()
                .or_else(|| forbidden_v6(v6))
                .or_else(|| own(ip))
        }
    }
}

/// Metadata services outside of the link-local addresses: of Alibaba Cloud, Azure and Oracle. A NetworkPolicy's default
/// leaves out the same.
pub const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// Of Amazon (metadata, and the credentials of pods) and Google.
pub const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn forbidden_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let first = ip.octets()[0];
    match () {
        () if first == 0 => Some("an unspecified address"),
        () if ip.is_loopback() => Some("a loopback address"),
        () if ip.is_link_local() => Some("a link-local address"),
        () if METADATA_V4.contains(&ip) => Some("a metadata address"),
        () if ip.is_multicast() || first >= 240 => Some("no address of one host"),
        () => None,
    }
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<&'static str> {
    match () {
        () if ip.is_unspecified() => Some("an unspecified address"),
        () if ip.is_loopback() => Some("a loopback address"),
        () if ip.is_unicast_link_local() => Some("a link-local address"),
        () if METADATA_V6.contains(&ip) => Some("a metadata address"),
        () if ip.is_multicast() => Some("no address of one host"),
        () => None,
    }
}

/// What IPv4 addresses may be inside of an IPv6 one: mapped (`::ffff:a.b.c.d`), translated (`::ffff:0:a.b.c.d`),
/// compatible (`::a.b.c.d`), NAT64 (`64:ff9b::/96`, and a network's own prefix of any length in `64:ff9b:1::/48`) or
/// 6to4 (`2002::/16`).
fn embedded_v4(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let o = ip.octets();
    let of = |at: [usize; 4]| Ipv4Addr::from(at.map(|i| o[i]));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => vec![],
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            vec![of([12, 13, 14, 15])]
        }
        // Where it stands depends on the length of the prefix; what begins with 0 is the rest of another length.
        [0x64, 0xff9b, 1, ..] => [[12, 13, 14, 15], [9, 10, 11, 12], [7, 9, 10, 11], [6, 7, 9, 10]]
            .map(of)
            .into_iter()
            .filter(|v4| v4.octets()[0] != 0)
            .collect(),
        [0x2002, ..] => vec![of([2, 3, 4, 5])],
        _ => vec![],
    }
}

/// Resolves names with the system's resolver and refuses an answer with a forbidden address in it: a name
/// that points to this machine or to a metadata service gets no credential.
#[derive(Clone, Copy, Debug)]
pub struct FilteringResolver(EndpointRules);

impl FilteringResolver {
    /// A resolver under these rules.
    pub fn new(rules: EndpointRules) -> Arc<Self> {
        Arc::new(Self(rules))
    }
}

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = keep_allowed(rules, found)?;
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// All addresses, or the first refusal.
fn keep_allowed(rules: EndpointRules, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, EndpointError> {
    for address in &found {
        rules.check_ip(address.ip())?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: EndpointRules = EndpointRules {
        allow_insecure: false,
    };
    const LAX: EndpointRules = EndpointRules { allow_insecure: true };

    #[test]
    fn refuses_what_a_credential_must_not_reach() {
        for url in [
            "http://cloud.example/v3",
            "ftp://cloud.example",
            "https://user:secret@cloud.example",
            "https://user@cloud.example",
            "https://127.0.0.1/v3",
            "https://127.8.8.8",
            "https://0.0.0.0",
            "https://0.1.2.3",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest",
            "https://100.100.100.200",
            "https://[::1]:5000",
            "https://[::]",
            "https://[fe80::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[::ffff:169.254.169.254]",
            "https://[64:ff9b::a9fe:a9fe]",
            "https://[2002:7f00:1::]",
            "https://[fd00:ec2::254]",
            "https://[fd00:ec2::23]",
            "https://168.63.129.16",
            "https://[::ffff:0:169.254.169.254]",
            "https://[64:ff9b:1::a9fe:a9fe]",
            "https://[64:ff9b:1:7f00:0:100::]",
            "https://[64:ff9b:1:a9:fe:a9fe::]",
            "https://[64:ff9b:1:ab:a9:fea9:fe00::]",
            "https://kubernetes.default.svc",
            "https://kubernetes.default.svc.:6443/api",
            "https://kubernetes.default.svc.cluster.local",
            "https://keystone.openstack.SVC.Cluster.Local.",
            "https://localhost",
            "https://LOCALHOST.",
            "https://x.localhost/",
            "https://metadata.google.internal",
            "https://224.0.0.1",
            "https://255.255.255.255",
            "not a url",
        ] {
            assert!(STRICT.check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn allows_ordinary_hosts() {
        for url in [
            "https://keystone.example:5000/v3",
            "https://10.0.0.5/identity",
            "https://[2001:db8::1]/v3",
            "https://[fd12:3456::1]/v3",
            "https://notlocalhost.example",
            "https://svc.example",
            "https://mysvc/v3",
            // Two clouds behind a network's own NAT64.
            "https://[64:ff9b:1::5db8:d822]",
            "https://[64:ff9b:1:abcd::5db8:d822]",
        ] {
            assert!(STRICT.check(url).is_ok(), "{url}: {:?}", STRICT.check(url));
        }
    }

    #[test]
    fn the_api_of_the_cluster_itself_is_no_cloud() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (api, spellings) in [
            (
                "10.96.0.1",
                &["10.96.0.1", "::ffff:10.96.0.1", "64:ff9b::a60:1"][..],
            ),
            ("fd00:96::1", &["fd00:96::1"]),
        ] {
            for spelling in spellings {
                assert_eq!(forbidden(ip(spelling), Some(api)), Some(OWN_API), "{spelling}");
                assert_eq!(forbidden(ip(spelling), None), None, "{spelling}");
            }
            assert_eq!(forbidden(ip("10.96.0.2"), Some(api)), None);
        }
        let api = Some("api.cluster.example");
        assert_eq!(forbidden_name("API.cluster.example.", api), Some(OWN_API));
        assert_eq!(forbidden_name("cloud.example", api), None);
    }

    #[test]
    fn insecure_means_http_and_this_machine_but_never_user_information() {
        assert!(LAX.check("http://127.0.0.1:15000/v3").is_ok());
        assert!(LAX.check("http://localhost:1").is_ok());
        assert!(LAX.check("ftp://127.0.0.1").is_err());
        let error = LAX.check("http://me:hunter2@127.0.0.1").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn one_forbidden_address_spoils_an_answer() {
        let mixed = vec!["93.184.216.34:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
        assert!(keep_allowed(STRICT, mixed.clone()).is_err());
        assert_eq!(keep_allowed(LAX, mixed).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_name_is_checked_after_it_is_resolved() {
        use std::str::FromStr;
        let name = Name::from_str("localhost").unwrap();
        assert!(FilteringResolver::new(STRICT).resolve(name).await.is_err());
        let name = Name::from_str("localhost").unwrap();
        assert!(FilteringResolver::new(LAX).resolve(name).await.is_ok());
    }
}
