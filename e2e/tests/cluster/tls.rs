//! TLS in front of a server beside the pods of a cluster, as a company has it: with a certificate of its own authority.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use package_broker_e2e::{place::Place, process::ChildGroup};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
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
        let authority = certify(folder.path(), &place.address().to_string());
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

/// Makes an authority, and a certificate for an address in `server.pem` and `server.key`.
fn certify(folder: &Path, address: &str) -> String {
    let named = |name: &str, addresses: Vec<String>| {
        let mut params = CertificateParams::new(addresses).unwrap();
        // Otherwise OpenSSL would take the second for one that is signed by itself.
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut params = named("Package Broker tests", Vec::new());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = named("server", vec![address.to_owned()]);
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    authority.pem()
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
