//! The client of a bucket: which requests it sends, how often, and over which connections.

use std::time::Duration;

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    client::{HttpClient, HttpConnector},
};
use reqwest::redirect;
use secrecy::ExposeSecret;
use url::Url;

use super::options::{Checked, InvalidOption, S3Credentials, S3Options};

/// What we call ourselves.
const USER_AGENT: &str = concat!("package-broker/", env!("CARGO_PKG_VERSION"));

/// The pauses between tries: short at first, as most failures pass soon.
const BACKOFF: BackoffConfig = BackoffConfig {
    init_backoff: Duration::from_millis(100),
    max_backoff: Duration::from_secs(10),
    base: 2.0,
};

pub(super) fn build(options: &S3Options, checked: &Checked) -> Result<AmazonS3, InvalidOption> {
    let connections = Connections(http_client(options, checked)?);
    let builder = AmazonS3Builder::new()
        .with_bucket_name(&options.bucket)
        .with_region(&options.region)
        .with_endpoint(bucket_endpoint(options, &checked.endpoint))
        .with_virtual_hosted_style_request(!options.path_style)
        .with_retry(RetryConfig {
            backoff: BACKOFF,
            max_retries: options.patience.retries,
            retry_timeout: options.patience.total,
        })
        // One blob is removed at a time, and every service knows how.
        .with_disable_bulk_delete(true)
        .with_http_connector(connections);
    let builder = with_credentials(builder, &options.credentials);
    builder.build().map_err(|error| {
        InvalidOption::new(
            "endpoint",
            format!("makes no client ({error})"),
            "check the options of the bucket",
        )
    })
}

fn with_credentials(builder: AmazonS3Builder, credentials: &S3Credentials) -> AmazonS3Builder {
    match credentials {
        S3Credentials::Static {
            access_key_id,
            secret_access_key,
            session_token,
        } => {
            let builder = builder
                .with_access_key_id(access_key_id)
                .with_secret_access_key(secret_access_key.expose_secret());
            match session_token {
                Some(token) => builder.with_token(token.expose_secret()),
                None => builder,
            }
        }
        S3Credentials::WebIdentity {
            role_arn,
            token_file,
            sts_endpoint,
        } => {
            let builder = builder
                .with_config(AmazonS3ConfigKey::RoleArn, role_arn)
                .with_config(AmazonS3ConfigKey::RoleSessionName, "package-broker")
                .with_config(
                    AmazonS3ConfigKey::WebIdentityTokenFile,
                    token_file.to_string_lossy(),
                );
            match sts_endpoint {
                Some(endpoint) => builder.with_config(AmazonS3ConfigKey::StsEndpoint, endpoint),
                None => builder,
            }
        }
    }
}

/// The service's URL as the builder wants it: with the bucket where that is a part of the host.
fn bucket_endpoint(options: &S3Options, endpoint: &Url) -> String {
    let mut endpoint = endpoint.clone();
    if !options.path_style
        && let Some(domain) = endpoint.domain()
    {
        let host = format!("{}.{domain}", options.bucket);
        // The check of the options leaves nothing that could fail here; a wrong host would be told by the service.
        let _ = endpoint.set_host(Some(&host));
    }
    endpoint.as_str().trim_end_matches('/').to_owned()
}

/// No redirect is followed: a request is signed for one host. No proxy is used, and nothing is decoded.
fn http_client(options: &S3Options, checked: &Checked) -> Result<reqwest::Client, InvalidOption> {
    // An error means that a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .no_gzip()
        .http1_only()
        .connect_timeout(options.patience.connect)
        .read_timeout(options.patience.silence);
    let tls = checked.endpoint.scheme() == "https"
        || matches!(options.credentials, S3Credentials::WebIdentity { .. });
    let roots = checked.roots.iter().cloned();
    let builder = if tls {
        builder.tls_certs_merge(roots)
    } else {
        // Without TLS, a machine without CA certificates does as well.
        builder.tls_certs_only(roots)
    };
    builder.build().map_err(|error| {
        InvalidOption::new(
            "caCertificate",
            format!("makes no TLS client ({})", super::failure::root(&error)),
            "check it, and that the system has CA certificates",
        )
    })
}

/// Hands out the one client there is.
#[derive(Debug)]
struct Connections(reqwest::Client);

impl HttpConnector for Connections {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
