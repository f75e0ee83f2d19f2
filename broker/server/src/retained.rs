//! Repositories that go on being served when the manifests of `run` no longer have them (`spec.deletionPolicy: Retain`).

use std::{collections::BTreeMap, sync::Arc};

use package_broker_core::{
    domain::{
        declared::{Secrets, SettingsError, read_settings, write_settings},
        names::RepositoryName,
        repository::Repository,
    },
    ports::database::Database,
};
use package_broker_kinds::declared::retain;

/// The setting that has them, by name: settings without credentials, as nothing is read of their sources any more.
const SETTING: &str = "retained-repositories";

/// The repositories of manifests, with those that are to stay although these no longer have them. What is to stay later
/// is noted.
pub(crate) async fn with_retained(
    database: &dyn Database,
    mut repositories: Vec<Repository>,
) -> anyhow::Result<Vec<Repository>> {
    let text = database.setting(SETTING).await?.unwrap_or_default();
    let noted: BTreeMap<String, String> = if text.is_empty() {
        BTreeMap::new()
    } else {
        serde_json::from_str(&text)?
    };
    let before = noted.iter().map(|(name, settings)| {
        read_settings(RepositoryName::new(name), settings, Secrets::default()).map(Arc::new)
    });
    retain(&before.collect::<Result<Vec<_>, _>>()?, &mut repositories);
    let stay = repositories.iter().filter(|repository| repository.retained);
    let stay: BTreeMap<String, String> = stay
        .map(|repository| {
            let settings = write_settings(repository)?;
            Ok((repository.name.as_str().to_owned(), settings))
        })
        .collect::<Result<_, SettingsError>>()?;
    if stay != noted {
        let text = serde_json::to_string(&stay)?;
        database.save_setting(SETTING, &text).await?;
    }
    Ok(repositories)
}
