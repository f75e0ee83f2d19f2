//! The URL of a server, taken apart. `url::Url` knows no list of hosts, hence this reader.

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::Host;

/// Hosts a URL may name.
const MAX_HOSTS: usize = 32;

/// Where a server is and who asks.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) kind: Kind,
    pub(super) tls: bool,
    /// At least one.
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) user: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    /// The hosts are Sentinels, and know where the master of this name is.
    Sentinel {
        master: String,
        user: Option<String>,
    },
    /// The hosts are nodes of one cluster.
    Cluster,
}

/// What is wrong with a URL. Parts of it are shown only where no password can be among them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// Another scheme, or none.
    #[error(
        "it starts with none of redis://, rediss:// (TLS), redis+sentinel://, rediss+sentinel://, redis+cluster:// and \
         rediss+cluster://"
    )]
    Scheme,
    /// The user or the password has a delimiter in it.
    #[error(
        "its user or password has one of / ? # @ : or % as it is: percent-encode it (for example %2F for /), or give \
         the password besides the URL"
    )]
    Unescaped,
    /// There is no host, or one of a list is empty.
    #[error("a host is missing: write scheme://HOST, or scheme://HOST,HOST")]
    NoHost,
    /// The host is no name and no IP address.
    #[error("\"{0}\" is not a host: use a name, an IPv4 address, or an IPv6 address in brackets")]
    Host(String),
    /// The port is no number from 1 to 65535.
    #[error("\"{0}\" is not a port: use a number from 1 to 65535")]
    Port(String),
    /// More than one host where one is meant.
    #[error(
        "it has more than one host: use redis+sentinel:// or redis+cluster:// if they belong together"
    )]
    SeveralHosts,
    /// A list that is too long.
    #[error("it has more than 32 hosts: some of them are enough to find the others")]
    TooManyHosts,
    /// The path is no number.
    #[error("\"{0}\" is not a database: after the hosts, write / and its number, or nothing")]
    Database(String),
    /// A cluster has one database only.
    #[error("a cluster has database 0 only: leave /{0} out")]
    ClusterDatabase(u32),
    /// Sentinels without the name of what they watch.
    #[error(
        "the master's name is missing: add ?master=NAME, as in the \"sentinel monitor NAME\" of the Sentinels"
    )]
    NoMaster,
    /// A parameter of another kind of URL, of none, or given twice.
    #[error(
        "its parameter \"{0}\" is unknown, misplaced or given twice: redis+sentinel:// takes master and sentinel-user once each, the others take none"
    )]
    Parameter(String),
    /// There is something behind a `#`.
    #[error("it has a # in it: leave out what follows")]
    Fragment,
}

impl Address {
    pub(super) fn parse(url: &SecretString) -> Result<Self, UrlError> {
        let url = url.expose_secret().trim();
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let (tls, form) = match scheme.strip_prefix("rediss") {
            Some(form) => (true, form),
            None => (false, scheme.strip_prefix("redis").ok_or(UrlError::Scheme)?),
        };
        let (credentials, rest) = split_credentials(rest)?;
        let (user, password) = credentials.map_or(Ok((None, None)), read_credentials)?;
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (kind, port) = match form {
            "" => (Kind::Single, 6379),
            "+sentinel" => (Kind::sentinel(query)?, 26379),
            "+cluster" => (Kind::Cluster, 6379),
            _ => return Err(UrlError::Scheme),
        };
        if !matches!(kind, Kind::Sentinel { .. })
            && let Some((name, _)) = parameters(query).next()
        {
            return Err(UrlError::Parameter(cut(&name)));
        }
        let hosts = read_hosts(hosts, port)?;
        let database = read_database(path)?;
        match kind {
            Kind::Single if hosts.len() > 1 => Err(UrlError::SeveralHosts),
            Kind::Cluster if database != 0 => Err(UrlError::ClusterDatabase(database)),
            kind => Ok(Self {
                kind,
                tls,
                hosts,
                user,
                password,
                database,
            }),
        }
    }

    /// How the server is named in logs and errors: the URL without user, password and parameters.
    pub(super) fn public(&self) -> String {
        let form = match self.kind {
            Kind::Single => "",
            Kind::Sentinel { .. } => "+sentinel",
            Kind::Cluster => "+cluster",
        };
        let hosts: Vec<String> = self
            .hosts
            .iter()
            .map(|(host, port)| {
                // An IPv6 address.
                if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                }
            })
            .collect();
        let scheme = if self.tls { "rediss" } else { "redis" };
        let master = match &self.kind {
            Kind::Sentinel { master, .. } => format!("?master={master}"),
            Kind::Single | Kind::Cluster => String::new(),
        };
        let database = match self.kind {
            Kind::Cluster => String::new(),
            Kind::Single | Kind::Sentinel { .. } => format!("/{}", self.database),
        };
        format!("{scheme}{form}://{}{database}{master}", hosts.join(","))
    }
}

impl Kind {
    fn sentinel(query: &str) -> Result<Self, UrlError> {
        let (mut master, mut user) = (None, None);
        for (name, value) in parameters(query) {
            let slot = match name.as_str() {
                "master" => &mut master,
                "sentinel-user" => &mut user,
                _ => return Err(UrlError::Parameter(cut(&name))),
            };
            if slot.is_some() {
                return Err(UrlError::Parameter(cut(&name)));
            }
            *slot = Some(value).filter(|value| !value.is_empty());
        }
        let master = master.ok_or(UrlError::NoMaster)?;
        Ok(Self::Sentinel { master, user })
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned()
}

/// What is before the last `@`, and the rest. A delimiter before it belongs to a password that was not encoded: read
/// as one, parts of the password would be taken for hosts, and shown.
fn split_credentials(rest: &str) -> Result<(Option<&str>, &str), UrlError> {
    match rest.rsplit_once('@') {
        None => Ok((None, rest)),
        Some((credentials, _)) if credentials.contains(['/', '?', '#', '@']) => {
            Err(UrlError::Unescaped)
        }
        Some((credentials, rest)) => Ok((Some(credentials), rest)),
    }
}

fn read_credentials(text: &str) -> Result<(Option<String>, Option<SecretString>), UrlError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    if password.contains(':') {
        return Err(UrlError::Unescaped);
    }
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    let password = Some(decode(password)?).filter(|password| !password.is_empty());
    Ok((user, password.map(SecretString::from)))
}

fn decode(text: &str) -> Result<String, UrlError> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.as_bytes().get(..2).unwrap_or_default();
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(UrlError::Unescaped);
        }
        rest = &after[2..];
    }
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| UrlError::Unescaped)?.into_owned())
}

fn read_hosts(list: &str, default_port: u16) -> Result<Vec<(String, u16)>, UrlError> {
    let hosts: Vec<&str> = list.split(',').collect();
    if hosts.len() > MAX_HOSTS {
        return Err(UrlError::TooManyHosts);
    }
    hosts
        .into_iter()
        .map(|text| read_host(text.trim(), default_port))
        .collect()
}

fn read_host(text: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    if text.is_empty() {
        return Err(UrlError::NoHost);
    }
    let (host, port) = match text.rfind(':') {
        // Not a colon within the brackets of an IPv6 address.
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let port = match port {
        None => default_port,
        Some(port) => match port.parse() {
            Ok(number) if number > 0 => number,
            _ => return Err(UrlError::Port(cut(port))),
        },
    };
    match Host::parse(host) {
        // Without its brackets, as a socket wants it.
        Ok(Host::Ipv6(address)) => Ok((address.to_string(), port)),
        Ok(host) => Ok((host.to_string(), port)),
        Err(_) => Err(UrlError::Host(cut(host))),
    }
}

fn read_database(path: &str) -> Result<u32, UrlError> {
    if path.is_empty() {
        return Ok(0);
    }
    let digits = path.bytes().all(|byte| byte.is_ascii_digit());
    match path.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(UrlError::Database(cut(path))),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
