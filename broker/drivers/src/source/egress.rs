//! The guard between a URL somebody wrote and a connection of ours (design rule 6).
//!
//! Manifests, redirects and other servers' metadata all name URLs. None of them may make the broker talk to itself,
//! to its node or to a cloud's metadata service, so every URL and every address is judged here, and connections are
//! made only to the very addresses that were judged.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use package_broker_core::ports::source::SourceError;
use url::{Host, Url};

/// The longest a name may take to resolve.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Which URLs and addresses the broker may fetch from: `PackageBroker spec.egress`.
///
/// Company networks (RFC 1918, unique local IPv6) are always allowed; the special ranges only where
/// `allowed_networks` holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Special networks that are allowed all the same, for instance `127.0.0.0/8`.
    pub allowed_networks: Vec<IpNet>,
    /// Whether `http:` URLs are allowed.
    pub allow_http: bool,
    /// Whether `file:` URLs and local folders are allowed.
    pub allow_file: bool,
}

impl EgressPolicy {
    /// Judges a URL by its scheme, its userinfo and, where the host is an address, by that address. Names are judged
    /// when they are resolved, see [`EgressPolicy::resolve`].
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] with the rule and the field that would allow it.
    pub fn check_url(&self, url: &Url) -> Result<(), SourceError> {
        self.check_scheme(url.scheme())
            .map_err(|reason| forbidden(url, reason))?;
        if url.password().is_some() {
            return Err(forbidden(
                url,
                "it holds a password; put it into the Secret of credentialsSecretRef",
            ));
        }
        match url.host() {
            None if url.scheme() == "file" => Ok(()),
            Some(_) if url.scheme() == "file" => Err(forbidden(
                url,
                "a file URL names no host, write file:///path",
            )),
            None | Some(Host::Domain("")) => Err(forbidden(url, "it names no host")),
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(ip)) => self
                .judge(ip.into())
                .map_err(|reason| forbidden(url, reason)),
            Some(Host::Ipv6(ip)) => self
                .judge(ip.into())
                .map_err(|reason| forbidden(url, reason)),
        }
    }

    fn check_scheme(&self, scheme: &str) -> Result<(), &'static str> {
        match scheme {
            "https" | "ssh" => Ok(()),
            "http" if self.allow_http => Ok(()),
            "http" => {
                Err("plain http is off; use https, or set PackageBroker spec.egress.allowHttp")
            }
            "file" if self.allow_file => Ok(()),
            "file" => {
                Err("local files are off; PackageBroker spec.egress.allowFileUrls turns them on")
            }
            _ => Err("only https, http, ssh and file URLs are fetched"),
        }
    }

    /// Judges one address.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] for loopback, link-local, metadata, unspecified, multicast and reserved addresses,
    /// also where IPv6 wraps an IPv4 one, unless [`EgressPolicy::allowed_networks`] holds the address.
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), SourceError> {
        self.judge(ip).map_err(|reason| SourceError::Forbidden {
            url: ip.to_string(),
            reason,
        })
    }

    fn judge(&self, ip: IpAddr) -> Result<(), String> {
        let Some((ip, class)) = special(ip) else {
            return Ok(());
        };
        if self
            .allowed_networks
            .iter()
            .any(|network| network.contains(&ip))
        {
            return Ok(());
        }
        Err(format!(
            "{ip} is {class}; PackageBroker spec.egress.allowedNetworks can allow its network"
        ))
    }

    /// Resolves a host to addresses to connect to. Every answer has to pass: a name with one forbidden address is
    /// refused as a whole. Takes at most ten seconds.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] if an address is refused, [`SourceError::Unavailable`] if there is none.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, SourceError> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((bare, port)));
        let addresses: Vec<SocketAddr> = match lookup.await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => return Err(unresolved(host, &error.to_string())),
            Err(_) => return Err(unresolved(host, "no answer within 10 seconds")),
        };
        if addresses.is_empty() {
            return Err(unresolved(host, "it has no address"));
        }
        for address in &addresses {
            self.judge(address.ip())
                .map_err(|reason| SourceError::Forbidden {
                    url: host.to_owned(),
                    reason,
                })?;
        }
        Ok(addresses)
    }
}

/// A URL for people: without userinfo, query and fragment, where secrets may be.
pub fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Both only fail for URLs that can have no userinfo.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}

/// A text that should have been a URL, for people: not too long, and without what [`shown`] leaves out, as far as that
/// can be told. What stands before the last `@` may be a credential, wherever that is.
pub fn abridged(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = text.split_at(text.find("//").map_or(0, |at| at + 2));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    scheme.chars().chain(rest.chars()).take(200).collect()
}

fn forbidden(url: &Url, reason: impl Into<String>) -> SourceError {
    SourceError::Forbidden {
        url: shown(url),
        reason: reason.into(),
    }
}

fn unresolved(host: &str, problem: &str) -> SourceError {
    SourceError::Unavailable {
        what: host.to_owned(),
        problem: format!("the name could not be resolved: {problem}"),
        retry_after: None,
    }
}

/// The special address that an address is or leads to, and what is special about it; `None` for addresses of the
/// internet and of companies.
fn special(ip: IpAddr) -> Option<(IpAddr, &'static str)> {
    let v4 = |ip| special_v4(ip).map(|class| (IpAddr::V4(ip), class));
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => match special_v6(ip) {
            Some(class) => Some((ip.into(), class)),
            None => embedded_v4(ip).and_then(v4),
        },
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => {
            Some("a cloud's metadata address")
        }
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("a loopback address"),
        [169, 254, ..] => Some("a link-local address"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some("a documentation address"),
        [224..=239, ..] => Some("a multicast address"),
        [255, 255, 255, 255] => Some("the broadcast address"),
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [240..=255, ..] => {
            Some("a reserved address")
        }
        _ => None,
    }
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if ip == Ipv6Addr::UNSPECIFIED {
        return Some("an unspecified address");
    }
    if ip == Ipv6Addr::LOCALHOST {
        return Some("a loopback address");
    }
    match ip.segments() {
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            Some("a cloud's metadata address")
        }
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a site-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("a documentation address"),
        // Local NAT64, Teredo, benchmarking, discard: nothing a registry could have.
        [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] | [0x2001, 2, 0, ..] | [0x100, 0, 0, 0, ..] => {
            Some("a reserved address")
        }
        _ => None,
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped, compatible, NAT64 (RFC 6052), 6to4 or ISATAP.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0x2002, a, b, ..] => Some(low(a, b)),
        [0, 0, 0, 0, 0, 0 | 0xffff, c, d]
        | [0, 0, 0, 0, 0xffff, 0, c, d]
        | [0x64, 0xff9b, 0, 0, 0, 0, c, d]
        | [_, _, _, _, 0 | 0x200, 0x5efe, c, d] => Some(low(c, d)),
        _ => None,
    }
}
