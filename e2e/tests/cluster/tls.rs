//! TLS in front of a server beside the pods of a cluster, as a company has it: with a certificate of its own authority.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use package_broker_e2e::{certificates::certify, place::Place, process::ChildGroup};
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(20);

/// nginx before a server.
pub(crate) struct TlsServer {
    _group: ChildGroup,
    url: String,
    authority: String,
    _folder: TempDir,
}

impl TlsServer {
    /// Before the one at this URL.
    pub(crate) fn before(server: &str) -> Self {
        let place = Place::of_suites().unwrap();
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path(), &place.address().to_string()).unwrap();
        let authority = fs::read_to_string(folder.path().join("ca.pem")).unwrap();
        let address = format!("{}:{}", place.address(), place.free_port().unwrap());
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration(folder.path(), &address, server)).unwrap();
        let mut command = place.command("/usr/sbin/nginx");
        command.arg("-c").arg(&file).arg("-p").arg(folder.path());
        let mut group = ChildGroup::spawn("nginx", command).unwrap();
        let deadline = Instant::now() + START_LIMIT;
        // It writes its process id once it has bound its port.
        let id = || fs::read_to_string(folder.path().join("nginx.pid")).unwrap_or_default();
        while id().is_empty() {
            let error = fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
            let may_come = group.try_wait().unwrap().is_none() && Instant::now() < deadline;
            assert!(may_come, "nginx does not start: {error}");
            thread::sleep(Duration::from_millis(20));
        }
        Self {
            _group: group,
            url: format!("https://{address}"),
            authority,
            _folder: folder,
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The certificate that clients have to trust, PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

fn configuration(folder: &Path, address: &str, server: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;\n\
         uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n\
         server {{\nlisten {address} ssl;\nclient_max_body_size 64m;\n\
         ssl_certificate {folder}/server.pem;\nssl_certificate_key {folder}/server.key;\n\
         location / {{ proxy_pass {server}; }}\n}}\n}}\n"
    )
}
