//! The drivers over servers that several processes share.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use package_broker_core::{broker::Ports, ports::cache::Cache};
use package_broker_drivers::{
    cache::{
        postgres::Postgres as PostgresCache,
        redis::{self, Redis},
    },
    database::postgres::{self, Postgres},
    storage::s3::{Patience, S3, S3Credentials, S3Options},
};
use secrecy::ExposeSecret;

use super::{ReplaceableSources, make_private_folder};
use crate::{
    checks::Checks,
    settings::{self, Process},
};

/// Where the database is.
pub(crate) fn database(settings: &settings::Database) -> anyhow::Result<postgres::Options> {
    let options =
        postgres::Options::parse(settings.url.expose_secret(), settings.password.as_ref());
    let mut options = options.context("database.url")?;
    if let Some(pem) = certificates(settings.ca_file.as_deref(), "database.caFile")? {
        options = options.ca(&pem);
    }
    Ok(options.max_connections(settings.max_connections))
}

/// Opens the drivers, and what looks at the servers beneath them. The database has to have its tables; the others may be
/// away for now.
pub(crate) async fn open(
    settings: &Process,
    sources: Arc<ReplaceableSources>,
) -> anyhow::Result<(Ports, Checks)> {
    let storage = bucket(settings)?;
    let database = Postgres::open(&database(&settings.database)?).await?;
    let cache = cache(settings).await?;
    let redis = settings.cache.url.is_some().then(|| Arc::clone(&cache));
    let checks = Checks::new(storage.clone(), redis);
    let ports = Ports {
        cache,
        database: Arc::new(database),
        storage: Arc::new(storage),
        sources,
    };
    Ok((ports, checks))
}

fn bucket(settings: &Process) -> anyhow::Result<S3> {
    let uploads = settings.data.join("uploads");
    make_private_folder(&uploads)?;
    let storage = storage(&settings.storage)?;
    S3::open(&storage, &uploads).context("storage")
}

/// Asks the bucket whether we may use it.
pub(crate) async fn check_storage(settings: &Process) -> anyhow::Result<()> {
    Ok(bucket(settings)?.check().await?)
}

/// Asks Redis, if there is one, whether we may use it.
pub(crate) async fn check_cache(settings: &Process) -> anyhow::Result<()> {
    if settings.cache.url.is_some() {
        let cache = cache(settings).await?;
        ask(cache.as_ref()).await?;
    }
    Ok(())
}

/// Asks a cache for the least that it can be asked for.
pub(crate) async fn ask(cache: &dyn Cache) -> anyhow::Result<()> {
    cache.count("checks", Duration::from_secs(1)).await?;
    Ok(())
}

/// Redis where there is one, else the database.
async fn cache(settings: &Process) -> anyhow::Result<Arc<dyn Cache>> {
    let Some(url) = &settings.cache.url else {
        let options = database(&settings.database)?;
        return Ok(Arc::new(PostgresCache::open(&options).await?));
    };
    let settings = &settings.cache;
    let mut options = redis::Options::new(url.clone());
    options.password.clone_from(&settings.password);
    options
        .sentinel_password
        .clone_from(&settings.sentinel_password);
    options.ca = certificates(settings.ca_file.as_deref(), "cache.caFile")?;
    if let Some(prefix) = &settings.prefix {
        options.prefix.clone_from(prefix);
    }
    Ok(Arc::new(Redis::open(options).await.context("cache")?))
}

fn storage(settings: &settings::Storage) -> anyhow::Result<S3Options> {
    let Some(bucket) = settings.bucket.clone() else {
        bail!("storage.bucket: is required; name the S3 bucket that holds archives");
    };
    Ok(S3Options {
        bucket,
        region: settings.region.clone(),
        endpoint: settings.endpoint.clone(),
        path_style: settings.path_style,
        prefix: settings.prefix.clone(),
        credentials: credentials(settings)?,
        ca_certificate: certificates(settings.ca_file.as_deref(), "storage.caFile")?,
        patience: Patience::default(),
    })
}

fn credentials(settings: &settings::Storage) -> anyhow::Result<S3Credentials> {
    let key = (&settings.access_key_id, &settings.secret_access_key);
    let role = (&settings.role_arn, &settings.web_identity_token_file);
    match (key, role) {
        ((Some(id), Some(secret)), _) => Ok(S3Credentials::Static {
            access_key_id: id.clone(),
            secret_access_key: secret.clone(),
            session_token: settings.session_token.clone(),
        }),
        ((None, None), (Some(role), Some(file))) => Ok(S3Credentials::WebIdentity {
            role_arn: role.clone(),
            token_file: file.clone(),
            sts_endpoint: settings.sts_endpoint.clone(),
        }),
        _ => bail!(
            "storage: there is nothing to sign requests with; set accessKeyId and secretAccessKey, or roleArn and webIdentityTokenFile"
        ),
    }
}

fn certificates(file: Option<&Path>, setting: &str) -> anyhow::Result<Option<String>> {
    let read = |file: &Path| {
        fs::read_to_string(file)
            .with_context(|| format!("{setting}: {} cannot be read", file.display()))
    };
    file.map(read).transpose()
}
