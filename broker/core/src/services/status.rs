//! What the stored state says about repositories and packages, for people and for scripts.

use serde::Serialize;

use crate::{
    domain::{names::PackageName, skipped::Skipped},
    ports::database::{Database, DatabaseError, Failure},
};

/// The state of an installation as its database has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Every repository that was synced or tried, by name.
    pub repositories: Vec<RepositoryStatus>,
    /// What is wrong with the manifests as they are now, if they are not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<String>,
    /// Names that are served.
    pub packages: usize,
    /// Tokens that are declared.
    pub tokens: usize,
}

/// The state of one repository.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryStatus {
    /// Its name; `_packagist` is the mirror.
    pub name: String,
    /// `composer`, `git` or `artifact`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where its packages come from.
    pub url: String,
    /// `Synced`, `Failing` or `Pending`.
    pub state: &'static str,
    /// Packages held.
    pub packages: usize,
    /// Versions held.
    pub versions: u64,
    /// When a sync last changed something (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_change: Option<jiff::Timestamp>,
    /// The last failure, if syncs fail now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What was left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedStatus>,
}

/// Something that was left out.
#[derive(Debug, Serialize)]
pub struct SkippedStatus {
    /// The package, if it belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageName>,
    /// The version, ref or file, and the reason.
    #[serde(flatten)]
    pub skipped: Skipped,
}

/// The setting that says what is wrong with the manifests.
const MANIFESTS: &str = "manifests";

/// Keeps what is wrong with the manifests as they are now; `None` if they are in force.
pub async fn note_manifests(
    database: &dyn Database,
    problem: Option<String>,
) -> Result<(), DatabaseError> {
    let problem = problem.unwrap_or_default();
    if database.setting(MANIFESTS).await?.unwrap_or_default() == problem {
        return Ok(());
    }
    database.save_setting(MANIFESTS, &problem).await
}

/// Reads the state from the database.
pub async fn status(database: &dyn Database) -> Result<Status, DatabaseError> {
    let index = database.index().await?;
    let mut repositories = Vec::new();
    for record in database.repositories().await? {
        let held: Vec<_> = index
            .held
            .iter()
            .filter(|held| held.repository == record.name)
            .collect();
        let of_none = record.skipped.into_iter().map(|skipped| SkippedStatus {
            package: None,
            skipped,
        });
        let mut skipped: Vec<SkippedStatus> = of_none.collect();
        for package in held
            .iter()
            .filter(|held| held.skipped > 0)
            .map(|held| &held.package)
        {
            let content = database
                .versions(&record.name, package)
                .await?
                .unwrap_or_default();
            let of_package = |skipped| SkippedStatus {
                package: Some(package.clone()),
                skipped,
            };
            skipped.extend(content.skipped.into_iter().map(of_package));
        }
        repositories.push(RepositoryStatus {
            name: record.name.as_str().to_owned(),
            kind: record.kind,
            url: record.url,
            state: match (&record.failure, record.changed_at) {
                (Some(_), _) => "Failing",
                (None, Some(_)) => "Synced",
                (None, None) => "Pending",
            },
            packages: held.len(),
            versions: held.iter().map(|held| u64::from(held.versions)).sum(),
            last_change: record.changed_at,
            failure: record.failure,
            skipped,
        });
    }
    repositories.sort_by(|a, b| a.name.cmp(&b.name));
    let manifests = database.setting(MANIFESTS).await?;
    Ok(Status {
        repositories,
        manifests: manifests.filter(|problem| !problem.is_empty()),
        packages: index.published.len(),
        tokens: database.tokens().await?.len(),
    })
}
