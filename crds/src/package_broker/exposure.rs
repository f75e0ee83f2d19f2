//! How clients outside of a cluster reach a registry.

use std::{borrow::Cow, collections::BTreeMap};

use kube::{KubeSchema, core::Rule};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::text::{Hostname, ObjectName, maps};

/// One way to lead the public URL to the pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expose {
    /// With an Ingress.
    Ingress(IngressExposure),
    /// With an HTTPRoute.
    Gateway(GatewayExposure),
}

/// The schema of [`Expose`]: two fields and a rule, which says what to do better than the `oneOf` of an enum.
#[derive(KubeSchema, Serialize)]
#[x_kube(validation = Rule::new("has(self.ingress) != has(self.gateway)")
    .message("is one of two ways; write either ingress or gateway"))]
#[serde(rename_all = "camelCase")]
struct ExposeFields {
    /// With an Ingress, whose controller is in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ingress: Option<IngressExposure>,

    /// With an HTTPRoute at Gateways. The Gateway API (version 1) must be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gateway: Option<GatewayExposure>,
}

impl JsonSchema for Expose {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Expose".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ExposeFields::json_schema(generator)
    }
}

/// An Ingress for the public URL.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressExposure {
    /// The IngressClass. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<ObjectName>,

    /// The host: that of `spec.externalUrl`, or a wildcard for it. Example: `*.example.com`.
    /// Default: that of `spec.externalUrl`, or every host if that is an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Hostname>,

    /// The Secret of type `kubernetes.io/tls` with the host's certificate, in the same namespace.
    /// Default: none; TLS ends elsewhere, or with the controller's own certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<ObjectName>,

    /// Annotations of the Ingress, for its controller. Up to 32. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "maps::annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// An HTTPRoute for the public URL.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayExposure {
    /// The Gateways that take the route. 1 to 32.
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.size() > 0")
        .message("a route without Gateways leads nowhere; name one"))]
    pub parent_refs: Vec<ParentRef>,

    /// Host names, up to 8: one of them that of `spec.externalUrl`, or a wildcard for it.
    /// Default: that of `spec.externalUrl`, or those of the Gateways if that is an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hostnames: Vec<Hostname>,
}

/// A Gateway, or one of its listeners.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of a Gateway. Example: `public`.
    pub name: ObjectName,

    /// Its namespace. Its listeners must allow routes from here. Default: the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<ObjectName>,

    /// One of its listeners. Default: all that fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<ObjectName>,
}

/// Where clients come from is what is exposed.
pub(super) fn needs_url_rule() -> Rule {
    Rule::new("!has(self.expose) || has(self.externalUrl)")
        .message("there is no URL to lead to the registry; set spec.externalUrl to the one that clients use")
        .field_path(".expose")
}

/// An Ingress and an HTTPRoute take fewer hosts and paths than a URL has.
pub(super) fn routable_url_rule() -> Rule {
    let strange = "^https?://([^/]*_|[^/]{260}|[^/]*[^/.:]*[.](:|/|$)|.{1000}|[^/]+/(.*/)?([.]{0,2}/|[.]{1,2}$|[^/]*%2[Ff]))";
    Rule::new(format!(
        "!has(self.expose) || !has(self.externalUrl) || !self.externalUrl.matches('{strange}')"
    ))
    .message(
        "no Ingress or HTTPRoute takes this URL; use a host name without _ and without a dot at its end, \
         and a short path without empty parts, ., .. and %2F, or remove expose",
    )
    .field_path(".externalUrl")
}

/// The host of the public URL as CEL, in lower case and after `//`. What comes out for an address is like no host name.
const HOST: &str = "self.externalUrl.lowerAscii().find('//[^/:]+')";

/// A host that is given has to be one that clients come to. The wildcard of an Ingress stands for one part.
pub(super) fn ingress_host_rule() -> Rule {
    let given = "self.expose.ingress.host";
    Rule::new(format!(
        "!has(self.expose) || !has(self.expose.ingress) || !has({given}) || !has(self.externalUrl) \
         || ({} && (!{given}.startsWith('*') || {given}.split('.').size() == {HOST}.split('.').size()))",
        fits(given)
    ))
    .message("clients come to the host of spec.externalUrl; write that one or a wildcard for it, or remove host")
    .field_path(".expose.ingress.host")
}

/// One of the hosts that are given has to be one that clients come to.
pub(super) fn gateway_hostnames_rule() -> Rule {
    let (given, fits) = ("self.expose.gateway.hostnames", fits("name"));
    Rule::new(format!(
        "!has(self.expose) || !has(self.expose.gateway) || !has({given}) || {given}.size() == 0 || !has(self.externalUrl) \
         || {given}.exists(name, {fits})"
    ))
    .message("clients come to the host of spec.externalUrl; add that one or a wildcard for it, or remove hostnames")
    .field_path(".expose.gateway.hostnames")
}

/// Whether a host name is that of the public URL, or a wildcard that ends like it.
fn fits(name: &str) -> String {
    format!(
        "('//' + {name} == {HOST} || ({name}.startsWith('*') && {HOST}.endsWith({name}.substring(1))))"
    )
}
