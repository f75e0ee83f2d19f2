//! nginx in front of several replicas.

use std::path::Path;

use package_broker_e2e::process::ChildGroup;
use tempfile::TempDir;

use crate::support::proxy::{preamble, start, temporary};

/// A running nginx that spreads requests over replicas, on a free port of 127.0.0.1.
pub(crate) struct Balancer {
    _group: ChildGroup,
    port: u16,
    folder: TempDir,
}

impl Balancer {
    /// Spreads requests over replicas at these addresses (`127.0.0.1:8080`).
    pub(crate) fn start(addresses: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (group, port) = start(folder.path(), |port| {
            configuration(folder.path(), port, addresses)
        });
        Self {
            _group: group,
            port,
            folder,
        }
    }

    /// The URL that clients use.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What went wrong.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

fn configuration(folder: &Path, port: u16, addresses: &[String]) -> String {
    let folder = folder.display().to_string();
    let servers: Vec<String> = addresses
        .iter()
        // Asked for each request whether it is there: one that was just started again would count as down for a while.
        .map(|address| format!("server {address} max_fails=0;"))
        .collect();
    format!(
        "{}http {{\naccess_log off;\n{}\
         upstream replicas {{\n{}\nkeepalive 16;\n}}\n\
         server {{\nlisten 127.0.0.1:{port};\nlocation / {{\n\
         proxy_pass http://replicas;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
         proxy_next_upstream error timeout http_502 http_503;\nproxy_connect_timeout 2s;\n\
         proxy_max_temp_file_size 0;\n}}\n}}\n}}\n",
        preamble(&folder),
        temporary(&folder),
        servers.join("\n")
    )
}
