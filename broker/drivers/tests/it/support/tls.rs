//! A certificate authority for one test.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

/// A CA that nobody knows but those who are told.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The CA's certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client certificate and its key as PEM.
    pub(crate) fn client(&self) -> (String, String) {
        let mut params = CertificateParams::new(vec!["client.test".to_owned()]).unwrap();
        params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ClientAuth);
        let key = KeyPair::generate().unwrap();
        (
            params.signed_by(&key, &self.0).unwrap().pem(),
            key.serialize_pem(),
        )
    }

    /// A certificate for 127.0.0.1 and localhost, and its key, as PEM.
    pub(crate) fn server_pem(&self) -> (String, String) {
        self.server_pem_for(&["127.0.0.1", "localhost"])
    }

    /// A certificate for these names, and its key, as PEM.
    pub(crate) fn server_pem_for(&self, names: &[&str]) -> (String, String) {
        let names = names.iter().map(ToString::to_string);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server for 127.0.0.1 and localhost.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.server(WebPkiClientVerifier::no_client_auth())
    }

    /// The same, for clients with a certificate of this CA only.
    pub(crate) fn strict_acceptor(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        self.server(
            WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .unwrap(),
        )
    }

    fn server(&self, verifier: Arc<dyn ClientCertVerifier>) -> TlsAcceptor {
        let (certificate, key) = self.server_pem();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
