//! Which address a request counts for.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: that of the connection, unless a trusted proxy made it. Then it is the last address in
/// `X-Forwarded-For` that is no trusted proxy; what stands before it, anybody may have written.
pub(super) fn address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address| is_among(address, trusted);
    let mut client = peer.ip().to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = parse(hop.trim()) else {
            break;
        };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// Whether a connection comes from a trusted proxy.
pub(super) fn is_proxy(peer: SocketAddr, trusted: &[IpNet]) -> bool {
    is_among(peer.ip().to_canonical(), trusted)
}

fn is_among(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address as proxies write it: bare, in brackets, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let address = bare.map_or(text, |(address, _)| address);
    let parsed = address.parse::<IpAddr>().ok();
    let parsed = parsed.or_else(|| Some(address.parse::<SocketAddr>().ok()?.ip()));
    parsed.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn counted(peer: &str, lines: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"]
            .map(|n| n.parse().unwrap())
            .into();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn the_header_counts_from_trusted_proxies_only() {
        for (peer, lines, expected) in [
            ("192.0.2.1:9", vec![], "192.0.2.1"),
            ("192.0.2.1:9", vec!["198.51.100.7"], "192.0.2.1"),
            ("10.1.1.1:9", vec![], "10.1.1.1"),
            ("10.1.1.1:9", vec!["198.51.100.7"], "198.51.100.7"),
            (
                "[::ffff:10.1.1.1]:9",
                vec!["198.51.100.7:4711"],
                "198.51.100.7",
            ),
            ("[fd00::1]:9", vec!["[2001:db8::7]:4711"], "2001:db8::7"),
        ] {
            assert_eq!(counted(peer, &lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_a_client_wrote_itself_does_not_count() {
        for (lines, expected) in [
            (vec!["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (vec!["203.0.113.9, 198.51.100.7, 10.2.2.2"], "198.51.100.7"),
            (
                vec!["203.0.113.9", "198.51.100.7, 10.2.2.2"],
                "198.51.100.7",
            ),
            (vec!["198.51.100.7, nonsense"], "10.1.1.1"),
            (vec!["198.51.100.7, nonsense, 10.2.2.2"], "10.2.2.2"),
            (vec!["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ] {
            assert_eq!(counted("10.1.1.1:9", &lines), expected, "{lines:?}");
        }
    }
}
