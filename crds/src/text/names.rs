//! Texts that mean what they say: patterns, networks and the names of other objects.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{plain_text, quoting_rule, text_schema};

plain_text! {
    /// A pattern of Composer package names, in lower case: `acme/lib`, `acme/*`, `*/*-bundle`, or
    /// `*` for all. `*` stands for any characters but the slash; alone it stands for every name.
    PackagePattern
}

const PACKAGE_PATTERN: &str =
    "^([*]|[a-z0-9*]+(([_.]|-{1,2})?[a-z0-9*]+)*/[a-z0-9*]+(([_.]|-{1,2})?[a-z0-9*]+)*)$";

text_schema!(
    PackagePattern,
    256,
    [
        quoting_rule(
            &format!("self.matches('{PACKAGE_PATTERN}') || self.matches('[A-Z]')"),
            "a pattern of package names",
            "write vendor/name with * as wildcard, for instance acme/*",
        ),
        json!({
            "rule": "!self.matches('[A-Z]')",
            "message": "package names are lower case; write the pattern in lower case",
            "messageExpression":
                "'\"' + self + '\" has capitals and package names have none; write ' + self.lowerAscii()",
        }),
    ]
);

plain_text! {
    /// A pattern of full names of tags and branches of a git repository: `refs/tags/v*`, `refs/heads/main`.
    RefPattern
}

text_schema!(
    RefPattern,
    256,
    [quoting_rule(
        // What git takes as a name (git-check-ref-format), with stars.
        "self.matches('^refs/(heads|tags)/[^\\\\[[:cntrl:] ~^:?]+$') && !self.matches('[.][.]|@[{]|//|/[.]|[.]$|/$|[.]lock(/|$)')",
        "a pattern of tags or branches",
        "write full names with * as wildcard, for instance refs/tags/v* or refs/heads/main",
    )]
);

plain_text! {
    /// A network in CIDR notation, IPv4 or IPv6: `10.0.0.0/8`, `fd00::/8`, `127.0.0.1/32`.
    Cidr
}

text_schema!(
    Cidr,
    64,
    [quoting_rule(
        // The API server refuses leading zeros, which some readers take for octal.
        "isCIDR(self) && !self.matches('(^|[./])0[0-9]')",
        "a network in CIDR notation",
        "write address/bits, for instance 10.0.0.0/8 or 192.0.2.7/32",
    )]
);

plain_text! {
    /// The name of an object of these kinds: an RFC 1123 subdomain of at most 63 characters.
    ObjectName
}

text_schema!(
    ObjectName,
    63,
    [quoting_rule(
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
        "an object name",
        "use lower case letters, digits, - and ., starting and ending with a letter or digit",
    )]
);

plain_text! {
    /// A host name that an Ingress or a Gateway takes: lower case, no address, `*` only as its first part.
    Hostname
}

text_schema!(
    Hostname,
    253,
    [quoting_rule(
        "self.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') && !isIP(self)",
        "a host name",
        "use lower case letters, digits, - and ., for instance packages.example.com or *.example.com",
    )]
);

plain_text! {
    /// A key of a Secret: letters, digits, `-`, `_` and `.`.
    SecretKey
}

text_schema!(
    SecretKey,
    253,
    [quoting_rule(
        "self.matches('^[-._a-zA-Z0-9]+$')",
        "a key of a Secret",
        "use letters, digits, -, _ and . only",
    )]
);

plain_text! {
    /// The value of a label.
    LabelValue
}

text_schema!(
    LabelValue,
    63,
    [quoting_rule(
        "self.matches('^([a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?)?$')",
        "the value of a label",
        "use letters, digits, -, _ and ., or make it an annotation",
    )]
);

plain_text! {
    /// The value of an annotation: any text.
    AnnotationValue
}

text_schema!(AnnotationValue, 4096, Vec::<serde_json::Value>::new());

impl Default for SecretKey {
    /// The key of a Secret that holds a token and nothing else.
    fn default() -> Self {
        Self::from("token")
    }
}
