//! The API server's verdict on every document of which the unit tests of the kinds know what we say of it: the two must
//! agree, or a manifest that runs on a laptop would be refused by a cluster, or the other way round.

use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

use package_broker_e2e::process::{run, tethered};
use serde_json::Value;

use super::support::Kube;

/// Documents that are looked at at once.
const AT_ONCE: usize = 4;

/// The documents, each with whether we take it.
fn cases(folder: &Path) -> Vec<(Value, bool)> {
    let file = folder.join("cases");
    let mut tests = tethered(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tests
        .args([
            "test",
            "--quiet",
            "--package",
            "package-broker-crds",
            "--lib",
            "validation",
        ])
        .env("CRD_CASES", &file);
    run(tests, Duration::from_mins(10))
        .unwrap()
        .success()
        .unwrap();
    let text = fs::read_to_string(file).unwrap();
    let parse = |line: &str| {
        let case: Value = serde_json::from_str(line).unwrap();
        (case["document"].clone(), case["admitted"] == true)
    };
    // Some are asked about more than once.
    let lines: BTreeSet<&str> = text.lines().collect();
    lines.into_iter().map(parse).collect()
}

/// What the API server says of a document, if it does not take it.
fn refusal(folder: &Path, number: usize, document: &Value) -> Option<String> {
    let file = folder.join(format!("{number}.json"));
    fs::write(&file, document.to_string()).unwrap();
    let said = Kube::get()
        .attempt(&[
            "create",
            "--dry-run=server",
            "--namespace=default",
            "--filename",
            &file.to_string_lossy(),
        ])
        .unwrap();
    (!said.status.success()).then_some(said.stderr)
}

/// Whether a document names what `kubectl` needs to send it at all, no other namespace than ours, and nothing that only a
/// server writes: of that, `run` takes what it is shown.
fn can_be_sent(document: &Value) -> bool {
    let written = ["generateName", "ownerReferences"];
    let is_written = |name: &&str| document["metadata"].get(*name).is_some();
    !written.iter().any(is_written)
        && document["apiVersion"].is_string()
        && document["kind"].is_string()
        && document["metadata"]["name"].is_string()
        && document["metadata"]["namespace"].is_null()
}

#[test]
fn a_cluster_and_we_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut cases = cases(folder.path());
    cases.retain(|(document, _)| can_be_sent(document));
    let (taken, refused) = (
        cases.iter().filter(|(_, admitted)| *admitted).count(),
        cases.iter().filter(|(_, admitted)| !admitted).count(),
    );
    println!("{taken} documents that we take, {refused} that we refuse");
    assert!(taken >= 20 && refused >= 150, "{taken} {refused}");
    let numbered: Vec<(usize, &(Value, bool))> = cases.iter().enumerate().collect();
    let at = folder.path();
    let disagreements: Vec<String> = thread::scope(|scope| {
        let share = numbered.len().div_ceil(AT_ONCE);
        let workers: Vec<_> = numbered
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || {
                    chunk
                        .iter()
                        .filter_map(|(number, (document, admitted))| {
                            let refusal = refusal(at, *number, document);
                            (refusal.is_none() != *admitted).then(|| {
                                format!("we: {admitted}, cluster: {refusal:?}: {document}")
                            })
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
