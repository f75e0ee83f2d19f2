//! What a lock file must not contain: relative URLs and credentials.

use serde_json::Value;

/// Every URL in a `composer.lock`, wherever it stands, with the JSON path of its key.
fn urls<'v>(value: &'v Value, path: &str, found: &mut Vec<(String, &'v str)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}/{key}");
                match value {
                    Value::String(url) if key == "url" || key.ends_with("-url") => {
                        found.push((path, url));
                    }
                    _ => urls(value, &path, found),
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                urls(value, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// The faults of a lock file, one sentence each: a URL that is not absolute or carries
/// userinfo, an archive that does not come from `broker_url`, the `secret` anywhere.
pub fn faults(lock: &Value, broker_url: &str, secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    urls(lock, "", &mut all);
    let mut faults = Vec::new();
    for (path, url) in all {
        let Some((_, rest)) = url.split_once("://") else {
            faults.push(format!("{path} is not absolute: {url}"));
            continue;
        };
        if rest
            .split('/')
            .next()
            .is_some_and(|authority| authority.contains('@'))
        {
            faults.push(format!("{path} carries credentials"));
        }
        if path.contains("/dist/") && !url.starts_with(&format!("{broker_url}/")) {
            faults.push(format!("{path} leads past the broker: {url}"));
        }
    }
    if lock.to_string().contains(secret) {
        faults.push("the token stands in the lock file".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_clean_lock_has_no_faults() {
        let lock = json!({"packages": [{
            "name": "acme/lib",
            "dist": {"url": "http://127.0.0.1:8080/dist/a.zip", "mirrors": [{"url": "http://127.0.0.1:8080/m"}]},
            "source": {"url": "http://127.0.0.1:9/lib.git"},
            "notification-url": "http://127.0.0.1:8080/notify",
        }]});
        assert_eq!(
            faults(&lock, "http://127.0.0.1:8080", "pb_secret"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_fault_is_found() {
        let lock = json!({"packages": [{
            "dist": {"url": "http://other/dist/a.zip"},
            "source": {"url": "/lib.git"},
            "notification-url": "http://token:pb_secret@127.0.0.1:8080/notify",
        }]});
        assert_eq!(
            faults(&lock, "http://127.0.0.1:8080", "pb_secret"),
            [
                "/packages/0/dist/url leads past the broker: http://other/dist/a.zip",
                "/packages/0/source/url is not absolute: /lib.git",
                "/packages/0/notification-url carries credentials",
                "the token stands in the lock file",
            ]
        );
    }
}
