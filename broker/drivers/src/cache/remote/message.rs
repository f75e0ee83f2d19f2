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

/// The most bytes of a message that is read.
const MAX_BYTES: usize = 64 << 10;

/// What a message may have besides the names of its packages, in bytes.
const FRAME: usize = 256;

#[derive(Serialize, Deserialize)]
struct Message<'m> {
    v: u32,
    id: String,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    packages: Option<Vec<&'m str>>,
}

/// The message that says `change`, marked with `id`. A list of packages that does not fit is "everything".
pub(in super::super) fn write(change: &Change, id: &str) -> String {
    match change {
        Change::Packages(names) if bytes(names) <= MAX_BYTES - FRAME => compose(Some(names), id),
        Change::Packages(_) | Change::Everything => compose(None, id),
    }
}

/// The messages that say `change` together, in this order, none of more than `max_bytes` and the last marked with
/// `id`. A list of packages that would need more than `most` is "everything".
pub(in super::super) fn write_parts(
    change: &Change,
    id: &str,
    max_bytes: usize,
    most: usize,
) -> Vec<String> {
    let everything = || vec![compose(None, id)];
    let Change::Packages(names) = change else {
        return everything();
    };
    let mut parts = Vec::new();
    let mut rest = names.as_slice();
    while bytes(rest) > max_bytes - FRAME {
        let mut room = max_bytes - FRAME;
        let fits = |name: &&PackageName| match room.checked_sub(cost(name)) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        let (part, others) = rest.split_at(rest.iter().take_while(fits).count());
        if part.is_empty() || parts.len() + 1 >= most {
            return everything();
        }
        parts.push(compose(Some(part), ""));
        rest = others;
    }
    parts.push(compose(Some(rest), id));
    parts
}

fn compose(names: Option<&[PackageName]>, id: &str) -> String {
    let message = Message {
        v: VERSION,
        id: id.to_owned(),
        packages: names.map(|names| names.iter().map(PackageName::as_str).collect()),
    };
    // Strings and a number always serialise.
    serde_json::to_string(&message).unwrap_or_default()
}

fn bytes(names: &[PackageName]) -> usize {
    names.iter().map(cost).sum()
}

/// The bytes of a name with its quotes and comma.
fn cost(name: &PackageName) -> usize {
    name.as_str().len() + 3
}

/// The change that `payload` says, and its mark if it has one.
pub(in super::super) fn read(payload: &[u8]) -> (Change, Option<String>) {
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
    fn parts_fit_and_say_the_whole_together() {
        for count in [0, 1, 300, 1_000, 2_000] {
            let change = packages(count);
            let parts = write_parts(&change, "me-1", 8_000, 8);
            assert_eq!(parts.len(), (count * 20).div_ceil(7_744).max(1), "{count}");
            let mut said = Vec::new();
            for (number, part) in parts.iter().enumerate() {
                assert!(part.len() <= 8_000, "{} bytes", part.len());
                let (Change::Packages(names), id) = read(part.as_bytes()) else {
                    panic!("{part}")
                };
                let last = number + 1 == parts.len();
                assert_eq!(id.as_deref(), Some(if last { "me-1" } else { "" }));
                said.extend(names);
            }
            assert_eq!(Change::Packages(said), change);
        }
        for change in [packages(10_000), Change::Everything] {
            let parts = write_parts(&change, "me-1", 8_000, 8);
            assert_eq!(parts, [r#"{"v":1,"id":"me-1"}"#]);
        }
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
