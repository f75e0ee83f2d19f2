//! What `package-broker status` says of a repository.

use std::ffi::OsStr;
use std::path::Path;

use package_broker_e2e::broker::package_broker;
use package_broker_e2e::process::Finished;
use serde_json::Value;

use super::eventually;
use super::registry::Registry;

/// What is said of a repository once it is in that state, which is recorded a moment after the registry is ready.
pub(crate) fn status_of(registry: &Registry, repository: &str, state: &str) -> Value {
    eventually(&format!("{repository} is {state}"), || {
        let all = read(registry)["repositories"].take();
        let found = all.as_array()?.iter().find(|one| one["name"] == repository);
        found.filter(|one| one["state"] == state).cloned()
    })
}

fn read(registry: &Registry) -> Value {
    let status = status(&registry.data(), &["--output", "json"])
        .success()
        .unwrap();
    serde_json::from_str(&status.stdout).unwrap()
}

/// Runs `package-broker status` on a data folder.
pub(crate) fn status(data: &Path, more: &[&str]) -> Finished {
    let mut arguments: Vec<&OsStr> = vec!["status".as_ref(), "--data".as_ref(), data.as_ref()];
    arguments.extend(more.iter().map(OsStr::new));
    package_broker(&arguments).unwrap()
}
