//! Word of a change as it goes over the channel.
//!
//! ```text
//! {"v":1,"id":"REPLICA-NUMBER","packages":["acme/a","acme/b"]}
//! {"v":1,"id":"REPLICA-NUMBER"}                                  everything changed
//! ```
//!
//! A reader takes for [`Change::Everything`] what it cannot read: a later version may say more, never less.

use package_broker_core::{domain::names::PackageName, ports::cache::Change};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// The most bytes of a message. A longer list of packages is sent as "everything".
const MAX_BYTES: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Message<'m> {
    v: u32,
    id: String,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    packages: Option<Vec<&'m str>>,
}

/// The message that says `change`, marked with `id`.
pub(super) fn write(change: &Change, id: &str) -> String {
    let packages = match change {
        Change::Everything => None,
        Change::Packages(names) => {
            // With its quotes and comma.
            let bytes: usize = names.iter().map(|name| name.as_str().len() + 3).sum();
            let names = || names.iter().map(PackageName::as_str).collect();
            (bytes <= MAX_BYTES - 256).then(names)
        }
    };
    let message = Message {
        v: VERSION,
        id: id.to_owned(),
        packages,
    };
    // Strings and a number always serialise.
    serde_json::to_string(&message).unwrap_or_default()
}

/// The change that `payload` says, and its mark if it has one.
pub(super) fn read(payload: &[u8]) -> (Change, Option<String>) {
    if payload.len() > MAX_BYTES {
        return (Change::Everything, None);
    }
    let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else {
        return (Change::Everything, None);
    };
    let names = message.packages.filter(|_| message.v == VERSION);
    let names = names.and_then(|names| {
        let parsed = names.into_iter().map(PackageName::parse);
        parsed.collect::<Result<Vec<_>, _>>().ok()
    });
    let change = names.map_or(Change::Everything, Change::Packages);
    (change, Some(message.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(count: usize) -> Change {
        let name = |number| PackageName::parse(&format!("acme/package-{number}")).unwrap();
        Change::Packages((0..count).map(name).collect())
    }

    #[test]
    fn what_is_written_is_read() {
        for change in [
            Change::Everything,
            packages(0),
            packages(1),
            packages(2_000),
        ] {
            let text = write(&change, "me-1");
            assert!(text.len() <= MAX_BYTES);
            assert_eq!(read(text.as_bytes()), (change, Some("me-1".to_owned())));
        }
    }

    #[test]
    fn a_long_list_becomes_everything() {
        let text = write(&packages(10_000), "me-1");
        assert_eq!(text, r#"{"v":1,"id":"me-1"}"#);
    }

    #[test]
    fn what_cannot_be_read_is_everything() {
        for text in [
            "",
            "hello",
            "[]",
            r#"{"v":2,"id":"x","packages":["acme/a"]}"#,
            r#"{"v":1,"id":"x","packages":["not a name"]}"#,
            r#"{"v":1,"id":"x","packages":{}}"#,
            r#"{"v":1,"packages":["acme/a"]}"#,
        ] {
            assert_eq!(read(text.as_bytes()).0, Change::Everything, "{text}");
        }
        let long = format!(
            r#"{{"v":1,"id":"x","packages":["acme/a"]{}}}"#,
            " ".repeat(MAX_BYTES)
        );
        assert_eq!(read(long.as_bytes()).0, Change::Everything);
    }
}
