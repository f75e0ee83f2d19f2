//! `helm`, without a cluster.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use package_broker_e2e::{
    cluster::Programs,
    process::{Finished, run, tethered},
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(2);
/// The chart that most tests are about.
pub(crate) const CHART: &str = "package-broker-operator";
/// The chart of the definitions alone.
pub(crate) const CRDS: &str = "package-broker-crds";
/// The full name of a release called `operator`.
pub(crate) const NAME: &str = "operator-package-broker-operator";

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the workspace.
pub(crate) fn text(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML text; those that hold nothing are left out.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    // Helm ends no document; a file that renders nothing but a comment is an empty one.
    let parts = text
        .split("\n---\n")
        .map(|part| part.trim_start_matches("---\n"));
    let parse =
        |part: &str| serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{error}\n{part}"));
    parts
        .map(parse)
        .filter(|value: &Value| !value.is_null())
        .collect()
}

/// `helm ARGUMENTS`, whatever comes of it. It reaches no cluster.
pub(crate) fn helm(arguments: &[&str]) -> Finished {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let program = HELM.get_or_init(|| match std::env::var_os("E2E_HELM") {
        Some(program) => program.into(),
        None => Programs::ensure(&|line| println!("{line}")).unwrap().helm(),
    });
    let mut helm = tethered(program);
    helm.args(arguments).env("KUBECONFIG", "/nonexistent");
    run(helm, LIMIT).unwrap()
}

/// What `helm template` does with a chart and these arguments.
pub(crate) fn template(chart: &str, arguments: &[&str]) -> Finished {
    let chart = root().join("charts").join(chart);
    let chart = chart.to_string_lossy();
    let all = ["template", "operator", &chart, "--namespace=package-broker"];
    helm(&[&all[..], arguments].concat())
}

/// Values as arguments.
pub(crate) fn set<'a>(values: &[&'a str]) -> Vec<&'a str> {
    values.iter().flat_map(|value| ["--set", value]).collect()
}

/// The text that the chart renders with these values, without definitions unless they ask for them.
pub(crate) fn rendered(values: &[&str]) -> String {
    let mut arguments = vec!["--set", "crds.enabled=false"];
    arguments.extend(set(values));
    template(CHART, &arguments).success().unwrap().stdout
}

/// The objects of it.
pub(crate) fn objects(values: &[&str]) -> Vec<Value> {
    documents(&rendered(values))
}

/// The same value with all numbers as JSON means them: 64 and 64.0 are one.
pub(crate) fn plain(mut value: Value) -> Value {
    match &mut value {
        Value::Number(number) => return number.as_f64().into(),
        Value::Array(list) => list.iter_mut().for_each(|item| *item = plain(item.take())),
        Value::Object(map) => map.values_mut().for_each(|item| *item = plain(item.take())),
        _ => {}
    }
    value
}

/// Kind and name of an object.
pub(crate) fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} {}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

/// Kinds and names of objects, without those of `helm test`.
pub(crate) fn titles(objects: &[Value]) -> BTreeSet<String> {
    let installed = objects
        .iter()
        .filter(|object| object["metadata"]["annotations"]["helm.sh/hook"].is_null());
    installed.map(title).collect()
}

/// The one object of a kind.
pub(crate) fn one(objects: &[Value], kind: &str) -> Value {
    let mut found = objects.iter().filter(|object| {
        object["kind"] == kind && object["metadata"]["annotations"]["helm.sh/hook"].is_null()
    });
    let one = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    one.clone()
}

/// The pod of the operator, as the chart renders it with these values.
pub(crate) fn pod(values: &[&str]) -> Value {
    one(&objects(values), "Deployment")["spec"]["template"]["spec"].clone()
}

/// The container of it.
pub(crate) fn container(values: &[&str]) -> Value {
    pod(values)["containers"][0].clone()
}
