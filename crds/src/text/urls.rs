//! What makes a URL one that can be connected to.
//!
//! The rules are regular expressions rather than the `isURL` of CEL: behind that name every
//! evaluator has a parser of its own, and they disagree (on ports beyond 65535, on blanks, on
//! `https://1.2.3`). What these rules admit means the same to all of them, and to the broker.

use kube::core::Rule;

/// A host name, international ones in their `xn--` form. The last part has a letter: parsers take
/// anything else for an IPv4 address.
const NAME: &str = "([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?[.])*([0-9]*[A-WYZa-wyz_]|[Xx])([A-Za-z0-9_-]*[A-Za-z0-9_])?[.]?";
/// An IPv4 address: four numbers up to 255 without leading zeros.
const IPV4: &str = "((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
/// The letters of an IPv6 address in brackets.
const IPV6: &str = "\\\\[[0-9A-Fa-f:.]+\\\\]";
/// A port from 1 to 65535.
const PORT: &str =
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
/// What may stand in a path (RFC 3986): no blanks, no control characters, encoded or not.
const PATH: &str = "/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%([2-689A-Fa-f][0-9A-Fa-f]|7[0-9A-Ea-e]))*";
/// The account of an ssh URL.
const USER: &str = "[A-Za-z0-9_.+][A-Za-z0-9_.+-]*";

/// Host and port of an http(s) or ssh URL. Says nothing about other texts, nor about the user.
pub(crate) fn host_rule(url: &str) -> Rule {
    let start = "^(https?|ssh)://";
    let rule = format!(
        "!{url}.matches('{start}[^/?#]') || ({url}.matches('{start}([^/?#]*@)?({NAME}|{IPV4}|{IPV6})(:{PORT})?([/?#]|$)') \
         && (!{url}.matches('{start}([^/?#]*@)?\\\\[') || isIP({url}.split('[')[1].split(']')[0])))"
    );
    Rule::new(rule).message(
        "the host or the port cannot be used; write a host name, an IPv4 address or an IPv6 address in brackets, \
         and if need be : and a port from 1 to 65535",
    )
}

/// The path of an http(s) or ssh URL. Says nothing about other texts.
pub(crate) fn path_rule(url: &str) -> Rule {
    let start = "^(https?|ssh)://[^/?#]+";
    Rule::new(format!(
        "!{url}.matches('{start}/') || {url}.matches(\"{start}{PATH}([?#]|$)\")"
    ))
    .message("the path has characters that a URL cannot have; percent-encode them, for instance a blank as %20")
}

/// A repository on a host for git: its page, or a form that git takes over ssh. Host and path have rules of their own.
pub(crate) fn hosted_rule(condition: &str, url: &str) -> Rule {
    let blank = "[:cntrl:][:space:]";
    let rule = format!(
        "{condition} || {url}.matches('^(https?://[^/?#]+/[^/?#]+/[^?#]*[^/?#]|ssh://({USER}(:[^/?#]*)?@)?[^/?#@]+/[^?#]+)$') \
         || (!{url}.contains('://') && {url}.matches('^{USER}@({NAME}|{IPV4}):[^{blank}:-][^{blank}]*$'))"
    );
    Rule::new(rule).message(
        "not a repository on such a host; write https://host/owner/name, or git@host:owner/name.git",
    )
}

/// One of the forms that git users write. Host and path of the first two have rules of their own.
pub(crate) fn git_rule(condition: &str, url: &str) -> Rule {
    let blank = "[:cntrl:][:space:]";
    let rule = format!(
        "{condition} || {url}.matches('^(https?://[^/?#]+/[^?#]+|ssh://({USER}(:[^/?#]*)?@)?[^/?#@]+/[^?#]+|file:///[^?#[:cntrl:]]+)$') \
         || (!{url}.contains('://') && {url}.matches('^{USER}@({NAME}|{IPV4}):[^{blank}:-][^{blank}]*$'))"
    );
    Rule::new(rule).message(
        "not a git URL; write https://host/path, ssh://git@host/path, git@host:path or file:///path",
    )
}
