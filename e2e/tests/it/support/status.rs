//! What `package-broker status` says of a repository.

use std::ffi::OsStr;

use package_broker_e2e::broker::package_broker;
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
    let data = registry.data();
    let arguments = ["status", "--output", "json", "--data"].map(OsStr::new);
    let arguments: Vec<_> = arguments.into_iter().chain([data.as_os_str()]).collect();
    let status = package_broker(&arguments).unwrap().success().unwrap();
    serde_json::from_str(&status.stdout).unwrap()
}
