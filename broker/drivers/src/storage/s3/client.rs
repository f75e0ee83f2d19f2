//! The client of a bucket: which requests it sends, how often, and over which connections.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    },
};
use reqwest::{Certificate, redirect};
use secrecy::ExposeSecret;
use tokio::runtime::{self, Handle};
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
    let connections = Connections::new(Recipe::new(options, checked)).map_err(|error| {
        InvalidOption::new(
            "caCertificate",
            format!("makes no TLS client ({})", super::failure::root(&error)),
            "check it, and that the system has CA certificates",
        )
    })?;
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

/// How connections are made. No redirect is followed: a request is signed for one host. No proxy is used, and nothing
/// is decoded.
#[derive(Debug)]
struct Recipe {
    /// Certificates besides those of the system.
    roots: Vec<Certificate>,
    /// Whether there is TLS at all.
    tls: bool,
    connect: Duration,
    silence: Duration,
}

impl Recipe {
    fn new(options: &S3Options, checked: &Checked) -> Self {
        // An error means that a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            roots: checked.roots.clone(),
            tls: checked.endpoint.scheme() == "https"
                || matches!(options.credentials, S3Credentials::WebIdentity { .. }),
            connect: options.patience.connect,
            silence: options.patience.silence,
        }
    }

    fn client(&self) -> reqwest::Result<reqwest::Client> {
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .no_gzip()
            .http1_only()
            .connect_timeout(self.connect)
            .read_timeout(self.silence);
        let roots = self.roots.iter().cloned();
        let builder = if self.tls {
            builder.tls_certs_merge(roots)
        } else {
            // Without TLS, a machine without CA certificates does as well.
            builder.tls_certs_only(roots)
        };
        builder.build()
    }
}

/// The connections, a pool for each runtime that asks: a connection is driven where its bytes are wanted, so that none
/// of them waits for another thread to be woken.
#[derive(Clone, Debug)]
struct Connections {
    recipe: Arc<Recipe>,
    pools: Arc<RwLock<HashMap<runtime::Id, reqwest::Client>>>,
}

impl Connections {
    /// With the pool of the runtime that this is called on, if there is one.
    ///
    /// # Errors
    /// If no connections can be made in that way, whoever asks.
    fn new(recipe: Recipe) -> reqwest::Result<Self> {
        let client = recipe.client()?;
        let here = Handle::try_current().ok();
        let pools = here.map(|here| (here.id(), client)).into_iter().collect();
        Ok(Self {
            recipe: Arc::new(recipe),
            pools: Arc::new(RwLock::new(pools)),
        })
    }

    fn here(&self) -> reqwest::Result<reqwest::Client> {
        let here = Handle::current().id();
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = pools.get(&here) {
            return Ok(client.clone());
        }
        drop(pools);
        let client = self.recipe.client()?;
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        Ok(pools.entry(here).or_insert(client).clone())
    }
}

impl HttpConnector for Connections {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connections {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let client = self
            .here()
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        HttpService::call(&client, request).await
    }
}
