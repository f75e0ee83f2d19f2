//! The folder of a package within its repository.

use package_broker_core::ports::source::SourceError;

/// The folder of `composer.json`, relative and without ornaments; `None` for the top.
///
/// # Errors
/// [`SourceError::Misconfigured`] for a path that leaves the repository.
pub(super) fn clean_path(path: &str) -> Result<Option<String>, SourceError> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if path.starts_with('/') || parts.contains(&"..") {
        return Err(SourceError::Misconfigured {
            problem: format!("the path \"{path}\" leaves the repository"),
            fix: "write Repository spec.git.path relative to the top of the repository, like packages/lib".to_owned(),
        });
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_repository() {
        for (given, expected) in [
            ("", None),
            (".", None),
            ("packages/lib/", Some("packages/lib")),
            ("./a//b", Some("a/b")),
        ] {
            assert_eq!(clean_path(given).unwrap().as_deref(), expected, "{given}");
        }
        for given in ["/etc", "../x", "a/../../b"] {
            assert!(clean_path(given).is_err(), "{given}");
        }
    }
}
