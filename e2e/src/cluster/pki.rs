//! Who is who in a cluster: its certificate authority, and kubeconfigs of its programs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::{API_PORT, NODE_ADDRESS, NODE_NAME};

/// Certificates and keys, as files.
#[derive(Debug)]
pub(super) struct Pki {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// Makes all of it anew.
    pub(super) fn make(folder: &Path, service: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "cluster");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pki = Self {
            folder: folder.to_owned(),
            authority,
        };
        pki.write("ca.crt", &pki.authority.pem())?;
        pki.server(service)?;
        let (certificate, key) =
            pki.client("kube-apiserver-kubelet-client", Some("system:masters"))?;
        pki.write("kubelet-client.crt", &certificate)?;
        pki.write("kubelet-client.key", &key)?;
        let accounts = KeyPair::generate()?;
        pki.write("service-accounts.key", &accounts.serialize_pem())?;
        pki.write("service-accounts.pub", &accounts.public_key_pem())?;
        Ok(pki)
    }

    /// A file of that name.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.file(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    fn server(&self, service: &str) -> Result<()> {
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "localhost",
            "127.0.0.1",
            NODE_ADDRESS,
            service,
        ];
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "kubernetes");
        params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        self.write("apiserver.crt", &certificate.pem())?;
        self.write("apiserver.key", &key.serialize_pem())
    }

    /// A client certificate and its key, of a user and a group.
    fn client(&self, user: &str, group: Option<&str>) -> Result<(String, String)> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ClientAuth);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// The kubeconfigs of the programs, as files.
#[derive(Debug)]
pub(super) struct Kubeconfig {
    pub(super) controller_manager: PathBuf,
    pub(super) scheduler: PathBuf,
    pub(super) proxy: PathBuf,
    pub(super) kubelet: PathBuf,
    pub(super) administrator_inside: PathBuf,
}

impl Kubeconfig {
    /// Writes them all; that of the administrator leads through `port` on loopback.
    pub(super) fn all(pki: &Pki, folder: &Path, port: u16) -> Result<Self> {
        let inside = format!("https://{NODE_ADDRESS}:{API_PORT}");
        let write = |name: &str, user: &str, group: Option<&str>, server: &str| {
            let path = folder.join(format!("{name}.kubeconfig"));
            fs::write(&path, kubeconfig(pki, user, group, server)?)
                .with_context(|| path.display().to_string())?;
            Ok::<_, anyhow::Error>(path)
        };
        let masters = Some("system:masters");
        let node = format!("system:node:{NODE_NAME}");
        let outside = format!("https://127.0.0.1:{port}");
        write("admin", "admin", masters, &outside)?;
        Ok(Self {
            controller_manager: write(
                "controller-manager",
                "system:kube-controller-manager",
                None,
                &inside,
            )?,
            scheduler: write("scheduler", "system:kube-scheduler", None, &inside)?,
            proxy: write("proxy", "system:kube-proxy", None, &inside)?,
            kubelet: write("kubelet", &node, Some("system:nodes"), &inside)?,
            administrator_inside: write("admin-inside", "admin", masters, &inside)?,
        })
    }
}

fn kubeconfig(pki: &Pki, user: &str, group: Option<&str>, server: &str) -> Result<String> {
    let (certificate, key) = pki.client(user, group)?;
    let authority = STANDARD.encode(pki.authority.pem());
    let (certificate, key) = (STANDARD.encode(certificate), STANDARD.encode(key));
    Ok(format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: cluster\n\
         clusters:\n- name: cluster\n  cluster:\n    server: {server}\n    certificate-authority-data: {authority}\n\
         contexts:\n- name: cluster\n  context:\n    cluster: cluster\n    user: user\n\
         users:\n- name: user\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n"
    ))
}
