//! The way of clients outside of the cluster: an Ingress or an `HTTPRoute` for the public URL.

use std::net::Ipv4Addr;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use kube::ResourceExt;
use package_broker_crds::{GatewayExposure, IngressExposure, PackageBroker};

use super::{SERVICE, public_url};
use crate::{
    children::{child_of, labels},
    foreign::{Backend, HTTPRoute, HttpRouteSpec, Match, Parent, PathMatch, Rule},
};

/// Where clients come to.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// None for an address of a machine: Ingresses and `HTTPRoutes` only know names.
    host: Option<String>,
    /// Without a slash at its end, but for that of the root.
    path: String,
}

/// The Ingress.
pub(super) fn ingress(broker: &PackageBroker, wanted: &IngressExposure) -> Ingress {
    let name = broker.name_any();
    let address = address(&public_url(broker));
    let given = wanted.host.as_ref().map(|host| host.as_str().to_owned());
    let host = given.or(address.host);
    let mut metadata = child_of(broker, &name, labels(&name));
    metadata.annotations = (!wanted.annotations.is_empty()).then(|| wanted.annotations.clone());
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name,
            port: Some(ServiceBackendPort {
                name: Some("http".to_owned()),
                ..ServiceBackendPort::default()
            }),
        }),
        ..IngressBackend::default()
    };
    let path = HTTPIngressPath {
        backend,
        path: Some(address.path),
        path_type: "Prefix".to_owned(),
    };
    let class = wanted.class_name.as_ref();
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: class.map(|class| class.as_str().to_owned()),
            tls: wanted.tls_secret_name.as_ref().map(|secret| {
                vec![IngressTLS {
                    hosts: host.clone().map(|host| vec![host]),
                    secret_name: Some(secret.as_str().to_owned()),
                }]
            }),
            rules: Some(vec![IngressRule {
                host,
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    }
}

/// The `HTTPRoute`.
pub(super) fn route(broker: &PackageBroker, wanted: &GatewayExposure) -> HTTPRoute {
    let name = broker.name_any();
    let address = address(&public_url(broker));
    let given = wanted.hostnames.iter();
    let mut hostnames: Vec<String> = given.map(|host| host.as_str().to_owned()).collect();
    if hostnames.is_empty() {
        hostnames.extend(address.host);
    }
    let parents = wanted.parent_refs.iter().map(|parent| Parent {
        name: parent.name.as_str().to_owned(),
        namespace: parent.namespace.as_ref().map(ToString::to_string),
        section_name: parent.section_name.as_ref().map(ToString::to_string),
    });
    HTTPRoute {
        metadata: child_of(broker, &name, labels(&name)),
        spec: HttpRouteSpec {
            parent_refs: parents.collect(),
            hostnames,
            rules: vec![Rule {
                matches: vec![Match {
                    path: PathMatch {
                        type_: "PathPrefix".to_owned(),
                        value: address.path,
                    },
                }],
                backend_refs: vec![Backend {
                    name,
                    port: SERVICE,
                }],
            }],
        },
    }
}

/// Takes a public URL apart, of which the schema has judged the form.
fn address(url: &str) -> Address {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.split(':').next().unwrap_or_default();
    let is_name = !authority.starts_with('[') && host.parse::<Ipv4Addr>().is_err();
    let path = path.trim_end_matches('/');
    Address {
        host: is_name.then(|| host.to_ascii_lowercase()),
        path: if path.is_empty() { "/" } else { path }.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_name_and_a_path() {
        for (url, host, path) in [
            (
                "https://Packages.example.com",
                Some("packages.example.com"),
                "/",
            ),
            ("https://h:8443/", Some("h"), "/"),
            ("http://h/composer/a/", Some("h"), "/composer/a"),
            ("http://192.0.2.1:80/a", None, "/a"),
            ("http://[2001:db8::1]:80/a", None, "/a"),
            ("http://1.example/a%20b", Some("1.example"), "/a%20b"),
        ] {
            let (host, path) = (host.map(str::to_owned), path.to_owned());
            assert_eq!(address(url), Address { host, path }, "{url}");
        }
    }
}
