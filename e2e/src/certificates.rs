//! Certificates for servers and clients of tests.

use std::{fs, path::Path};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Writes a certificate authority (`ca.pem`), and certificates of it for a server at an address (`server.pem` and
/// `server.key`) and for a client (`client.pem` and `client.key`).
///
/// # Errors
/// If one cannot be made or written.
pub fn certify(folder: &Path, address: &str) -> Result<()> {
    // OpenSSL takes a certificate for self-signed if it has the name of its issuer.
    let named = |name: &str, addresses: Vec<String>| -> Result<CertificateParams> {
        let mut params = CertificateParams::new(addresses)?;
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(params)
    };
    let mut params = named("Package Broker tests", Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    fs::write(folder.join("ca.pem"), authority.pem())?;
    for (who, address) in [("server", address), ("client", "client.test")] {
        let key = KeyPair::generate()?;
        let certificate = named(who, vec![address.to_owned()])?.signed_by(&key, &authority)?;
        fs::write(folder.join(format!("{who}.pem")), certificate.pem())?;
        fs::write(folder.join(format!("{who}.key")), key.serialize_pem())?;
    }
    Ok(())
}
