//! Bounds on what is read of a repository, and what is said of the rest.

use std::sync::Arc;

use package_broker_drivers::source::SourceLimits;
use tempfile::TempDir;

use crate::support::{
    git::{Origin, Reader, git_repository, unzip},
    source::network,
};

fn reader_with(max_metadata_size: u64, origin: &Origin, mirrors: &Arc<TempDir>) -> Reader {
    let limits = SourceLimits {
        max_metadata_size,
        ..SourceLimits::default()
    };
    let repository = git_repository(&origin.url());
    Reader::within(&network(limits), &repository, Arc::clone(mirrors))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_composer_json_beyond_the_limit_is_no_version() {
    let origin = Origin::new();
    let text = format!(
        r#"{{"name":"acme/lib","archive":{{"exclude":["/docs"]}},"description":"{}"}}"#,
        "x".repeat(1000)
    );
    origin.write("docs/index.md", "x");
    let long = origin.release("1.0.0", &text);
    origin.release("1.1.0", r#"{"name":"acme/lib"}"#);
    let mirrors = Arc::new(TempDir::new().unwrap());

    let strict = reader_with(1000, &origin, &mirrors);
    let first = strict.sync().await;
    assert_eq!(first.pretty(), ["1.1.0", "dev-main"]);
    let reason = &first.skipped("1.0.0").reason;
    assert!(reason.contains("more than 1000"), "{reason}");
    // An archive is the same whatever the limit is.
    let top = format!("acme-lib-{}/", &long[..7]);
    let within = strict.archive(&long).await.unwrap();
    let files: Vec<String> = unzip(&within, &top).into_keys().collect();
    assert_eq!(files, ["composer.json"]);

    // A higher limit counts at once, though no ref moved.
    let lenient = reader_with(128 << 20, &origin, &mirrors);
    let second = lenient.sync_after(Some(&first)).await.unwrap();
    assert!(!second.unchanged);
    assert_eq!(second.pretty(), ["1.1.0", "1.0.0", "dev-main"]);
    assert_eq!(lenient.archive(&long).await.unwrap(), within);
}
