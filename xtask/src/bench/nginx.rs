//! nginx as the rival: a file server, configured for speed.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use package_broker_e2e::process::{ChildGroup, tethered};

/// A running nginx; dropping it ends it.
pub(super) struct Nginx {
    _group: ChildGroup,
    address: String,
    log: PathBuf,
}

impl Nginx {
    /// Serves the files of `root`. With `headers`, each answer also has them. As many workers as
    /// processors, `sendfile`, open files cached, connections kept, no access log unless `logged`.
    pub(super) fn serve(
        folder: &Path,
        root: &Path,
        headers: &[(&str, &str)],
        logged: bool,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let log = folder.join("access.log");
        let headers: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("add_header {name} \"{value}\";"))
            .collect();
        let headers = headers.join(" ");
        let access = if logged {
            format!("{} short", log.display())
        } else {
            "off".to_owned()
        };
        let folder_text = folder.display();
        let root = root.display();
        let configuration = format!(
            "daemon off;\nworker_processes auto;\npid {folder_text}/nginx.pid;\nerror_log {folder_text}/error.log;\n\
             worker_rlimit_nofile 65536;\nuser root;\n\
             events {{ worker_connections 4096; multi_accept on; }}\n\
             http {{\n\
             log_format short '$status $request_uri';\naccess_log {access};\n\
             default_type application/json;\ntypes {{ application/zip zip; }}\n\
             sendfile on;\ntcp_nopush on;\ntcp_nodelay on;\nkeepalive_requests 100000000;\nkeepalive_timeout 120;\n\
             open_file_cache max=16384 inactive=300s;\nopen_file_cache_valid 300s;\n\
             client_body_temp_path {folder_text}/t1; proxy_temp_path {folder_text}/t2; fastcgi_temp_path {folder_text}/t3;\n\
             uwsgi_temp_path {folder_text}/t4; scgi_temp_path {folder_text}/t5;\n\
             server {{ listen {address} backlog=4096; root {root}; {headers} }}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration)?;
        let mut command = tethered("/usr/sbin/nginx");
        command.arg("-c").arg(&file).arg("-p").arg(folder);
        let mut group = ChildGroup::spawn("nginx", command)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&address).is_err() {
            if group.try_wait()?.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
                bail!("nginx did not start: {said}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            _group: group,
            address,
            log,
        })
    }

    /// `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// `http://host:port`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The lines `STATUS PATH` of the access log, which is emptied.
    pub(super) fn take_log(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.log).context("no access log")?;
        fs::File::options()
            .write(true)
            .truncate(true)
            .open(&self.log)?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
