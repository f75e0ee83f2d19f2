//! nginx in front of a broker, as docs/install.md has it, with a certificate that only the test trusts.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use package_broker_e2e::certificates::certify;
use package_broker_e2e::process::{ChildGroup, tethered};
use tempfile::TempDir;

use super::eventually;

/// Ports are picked while they are free, and may be gone when nginx wants them.
const ATTEMPTS: usize = 5;

/// What the proxy does with the path that it serves the broker under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// The broker sees only what follows it.
    Stripped,
    /// The broker sees the path as the client sent it.
    Kept,
}

/// A request as the proxy answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxied {
    pub(crate) status: u16,
    /// Method and target, for instance `GET /r/team/packages.json`.
    pub(crate) request: String,
    /// The `Content-Encoding` of the answer; `-` if it has none.
    pub(crate) encoding: String,
}

/// A running nginx that terminates TLS on a free port of 127.0.0.1.
pub(crate) struct Proxy {
    _group: ChildGroup,
    port: u16,
    folder: TempDir,
}

impl Proxy {
    /// Serves the broker at `url` below `path`, which has no slash at its end.
    pub(crate) fn start(url: &str, path: &str, prefix: Prefix) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path(), "127.0.0.1").unwrap();
        let (group, port) = start(folder.path(), |port| {
            configuration(folder.path(), port, url, path, prefix)
        });
        Self {
            _group: group,
            port,
            folder,
        }
    }

    /// Scheme, host and port that clients use.
    pub(crate) fn origin(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The certificate that clients have to trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What was asked since the last look.
    pub(crate) fn take_log(&self) -> Vec<Proxied> {
        let file = self.folder.path().join("access.log");
        let text = fs::read_to_string(&file).unwrap();
        // nginx appends, wherever the end is.
        fs::File::options()
            .write(true)
            .truncate(true)
            .open(&file)
            .unwrap();
        text.lines().map(proxied).collect()
    }
}

fn proxied(line: &str) -> Proxied {
    let [status, encoding, request] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        panic!("not a line of the access log: {line}")
    };
    Proxied {
        status: status.parse().unwrap(),
        request: request.to_owned(),
        encoding: encoding.to_owned(),
    }
}

/// Starts nginx in a folder with what `configuration` says for a free port, and returns that.
pub(crate) fn start(folder: &Path, configuration: impl Fn(u16) -> String) -> (ChildGroup, u16) {
    for _ in 0..ATTEMPTS {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(port)).unwrap();
        let mut command = tethered("/usr/sbin/nginx");
        command.arg("-c").arg(&file).arg("-p").arg(folder);
        let mut group = ChildGroup::spawn("nginx", command).unwrap();
        if listens(&mut group, folder) {
            return (group, port);
        }
    }
    panic!("nginx did not start: {}", error_log(folder));
}

/// nginx writes its process id once it has bound its port.
fn listens(group: &mut ChildGroup, folder: &Path) -> bool {
    eventually("nginx", || {
        let id = fs::read_to_string(folder.join("nginx.pid")).unwrap_or_default();
        let ended = group.try_wait().unwrap().is_some();
        (ended || !id.is_empty()).then_some(!ended)
    })
}

fn error_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("error.log")).unwrap_or_default()
}

fn configuration(folder: &Path, port: u16, url: &str, path: &str, prefix: Prefix) -> String {
    let folder = folder.display().to_string();
    let target = match prefix {
        Prefix::Stripped => format!("{url}/"),
        Prefix::Kept => url.to_owned(),
    };
    format!(
        "{}http {{\n\
         log_format short '$status $sent_http_content_encoding $request_method $request_uri';\n\
         access_log {folder}/access.log short;\n\
         {}server {{\n\
         listen 127.0.0.1:{port} ssl http2;\n\
         ssl_certificate {folder}/server.pem;\nssl_certificate_key {folder}/server.key;\n\
         location {path}/ {{\n\
         proxy_pass {target};\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
         proxy_set_header X-Request-Id $request_id;\nproxy_read_timeout 300s;\nproxy_max_temp_file_size 0;\n\
         }}\n}}\n}}\n",
        preamble(&folder),
        temporary(&folder)
    )
}

/// What stands before the block `http`.
pub(crate) fn preamble(folder: &str) -> String {
    format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 256; }}\n"
    )
}

/// Where the block `http` puts what does not fit in memory.
pub(crate) fn temporary(folder: &str) -> String {
    format!(
        "client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;\n\
         uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n"
    )
}
