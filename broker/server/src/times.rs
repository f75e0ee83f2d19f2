//! Times as people write them.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// A time in RFC 3339, or a date, which begins at midnight UTC.
///
/// # Errors
/// How to write one.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let midnight = || {
        Some(
            text.parse::<Date>()
                .ok()?
                .to_zoned(TimeZone::UTC)
                .ok()?
                .timestamp(),
        )
    };
    let time = text.parse().ok().or_else(midnight);
    time.ok_or_else(|| "write a time as 2026-01-31T08:00:00Z, or a date as 2026-01-31".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_times_or_dates() {
        let midnight: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
        for text in [
            "2026-01-31",
            "2026-01-31T00:00:00Z",
            "2026-01-31T01:00:00+01:00",
        ] {
            assert_eq!(time(text), Ok(midnight), "{text}");
        }
        for text in ["", "yesterday", "2026-02-30", "12:00"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
