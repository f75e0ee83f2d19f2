//! How long a token that is made lives, and when another takes its place. Times are in whole seconds, as Kubernetes has
//! them.

use std::time::Duration;

use jiff::Timestamp;
use package_broker_crds::{AccessToken, AccessTokenSpec, ROTATE_REQUESTED_AT};

/// The longest name that an object of our kinds has.
const LONGEST_NAME: usize = 63;
/// What is added to a name for the token before.
const PREVIOUS: &str = ".previous";

/// Why a new token takes the place of one that could still be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It is as old as `spec.rotation.interval` says. The one before goes on being valid for the overlap.
    Due,
    /// Somebody asked for it, perhaps because the token leaked: the one before is worth nothing from then on.
    Requested,
}

/// When a token that was issued at this time stops working; `None` for never. Without a time of issue, which a token of
/// the user's own has not, `spec.ttl` gives no end.
pub fn expires_at(spec: &AccessTokenSpec, issued_at: Option<Timestamp>) -> Option<Timestamp> {
    let fixed = spec.expires_at.as_ref().map(|end| end.0);
    let ttl = spec.ttl.as_ref().zip(issued_at);
    let end = fixed.or_else(|| ttl.map(|(ttl, issued_at)| after(issued_at, ttl.duration())));
    end.map(whole)
}

/// When the token before stops working: when its overlap is over, or with all others of the object.
pub fn previous_expires_at(spec: &AccessTokenSpec, valid_until: Timestamp) -> Timestamp {
    let end = expires_at(spec, None);
    whole(end.map_or(valid_until, |end| end.min(valid_until)))
}

/// When a token that was issued at this time is rotated; `None` for never. Not while it is suspended, and not if it
/// stops working before that.
pub fn rotates_at(spec: &AccessTokenSpec, issued_at: Option<Timestamp>) -> Option<Timestamp> {
    let rotation = spec.rotation.as_ref().filter(|_| !spec.suspend)?;
    let due = after(issued_at?, rotation.interval.duration());
    let end = expires_at(spec, issued_at);
    Some(due).filter(|due| end.is_none_or(|end| *due < end))
}

/// Whether a token is to be rotated now. `handled` is the request that was last carried out.
///
/// A request counts also while the token is suspended: who asks for it wants the old one gone for good. Nothing is rotated
/// once `spec.expiresAt` has passed, as a new token would be refused as well; a request is carried out when that changes.
pub fn rotation(
    token: &AccessToken,
    issued_at: Option<Timestamp>,
    handled: Option<&str>,
    now: Timestamp,
) -> Option<Rotation> {
    let spec = &token.spec;
    let is_over = |end: &_| whole(*end) <= now;
    if spec.existing_secret_ref.is_some()
        || spec.expires_at.as_ref().is_some_and(|end| is_over(&end.0))
    {
        return None;
    }
    let asked = request(token);
    if asked.is_some() && asked != handled {
        return Some(Rotation::Requested);
    }
    rotates_at(spec, issued_at)
        .filter(is_over)
        .map(|_| Rotation::Due)
}

/// What asks for a new token: each value once.
pub fn request(token: &AccessToken) -> Option<&str> {
    let annotations = token.metadata.annotations.as_ref()?;
    annotations.get(ROTATE_REQUESTED_AT).map(String::as_str)
}

/// Until when a token is valid that is rotated now; `None` if it is not valid any more.
pub fn overlap(spec: &AccessTokenSpec, rotation: &Rotation, now: Timestamp) -> Option<Timestamp> {
    let overlap = match rotation {
        Rotation::Due => spec.rotation.as_ref()?.overlap.duration(),
        Rotation::Requested => return None,
    };
    let until = previous_expires_at(spec, after(now, overlap));
    Some(until).filter(|until| *until > now)
}

/// The time, without parts of a second.
pub fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The name that a broker knows the token before by: `NAME.previous`, cut to what a name may have. `is_taken` says which
/// names others have; as objects may be called anything, a number is added until nobody has it.
pub fn previous_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let with = |suffix: &str| {
        let most = LONGEST_NAME.saturating_sub(suffix.len());
        let kept = name.get(..most).unwrap_or(name);
        // A part of a name does not end in a dash or a dot.
        format!("{}{suffix}", kept.trim_end_matches(['-', '.']))
    };
    let mut found = with(PREVIOUS);
    let mut number = 1u32;
    while is_taken(&found) {
        number = number.saturating_add(1);
        found = with(&format!("{PREVIOUS}-{number}"));
    }
    found
}

/// So much later, or the end of all times.
fn after(time: Timestamp, duration: Duration) -> Timestamp {
    whole(time.saturating_add(duration).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests;
