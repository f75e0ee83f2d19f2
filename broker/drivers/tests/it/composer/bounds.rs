//! How much one survey may read, and what is heard of a long one.

use std::time::Duration;

use package_broker_core::ports::source::{Source, SourceError};
use package_broker_drivers::source::{SourceLimits, composer::ComposerSource};

use super::{names, read, version};
use crate::support::{
    http::{Answer, Site},
    log::Log,
    source::{composer, network, repository},
};

/// A repository of so many includes with one package each, filled up to a size.
fn includes(site: &Site, count: usize, length: usize) {
    let links: Vec<String> = (0..count).map(|at| format!(r#""{at}.json":[]"#)).collect();
    site.put(
        "/packages.json",
        &format!(r#"{{"includes":{{{}}}}}"#, links.join(",")),
    );
    for at in 0..count {
        let package = format!("acme/p{at}");
        let one = version(&package, "1.0");
        let bare = format!(r#"{{"packages":{{"{package}":[{one}]}},"fill":""}}"#);
        let fill = "x".repeat(length - bare.len());
        site.put(
            &format!("/{at}.json"),
            &bare.replace(r#""fill":"""#, &format!(r#""fill":"{fill}""#)),
        );
    }
}

#[tokio::test]
async fn a_survey_is_bounded_as_a_whole() {
    let limits = SourceLimits {
        max_metadata_size: 10_000,
        ..SourceLimits::default()
    };
    for (count, fits) in [(4, true), (5, false)] {
        let site = Site::default();
        includes(&site, count, 9_500);
        let server = site.serve().await;
        let source = ComposerSource::open(&repository(&server.url("")), &network(limits)).unwrap();
        match source.survey(None).await {
            Ok(survey) => {
                assert!(fits);
                // What is fetched later, because it did not change, is within the bound too.
                let again = source.survey(survey.state.as_deref()).await.unwrap();
                assert!(again.unchanged);
                for name in names(&again) {
                    assert!(read(&again, &name, None).await.unwrap().is_some());
                }
            }
            Err(error) => {
                assert!(!fits, "{error}");
                assert!(matches!(error, SourceError::Invalid { .. }), "{error}");
                let text = error.to_string();
                assert!(
                    text.contains("more than 40000 bytes together")
                        && text.contains("spec.limits.maxMetadataSize"),
                    "{text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_long_survey_says_where_it_is() {
    let log = Log::start();
    let site = Site::default();
    includes(&site, 6, 1_000);
    site.answer(
        "/5.json",
        Answer::ok(r#"{"packages":[]}"#).delay(Duration::from_millis(2_500)),
    );
    let server = site.serve().await;
    composer(&server.url("")).survey(None).await.unwrap();
    let lines = log.lines();
    let line = lines
        .iter()
        .find(|line| line.contains("reading the index"))
        .unwrap_or_else(|| panic!("{lines:?}"));
    for field in ["repository=\"upstream\"", "files_done=6", "files_total=7"] {
        assert!(line.contains(field), "{line}");
    }
    assert!(line.contains("received_bytes=5"), "{line}");
}
