//! Texts that stand for a number: durations and quantities of bytes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{quoting_rule, text_schema};

/// A text that is not of its type's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidText {
    expected: &'static str,
}

impl std::fmt::Display for InvalidText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl std::error::Error for InvalidText {}

/// A duration as Kubernetes users write it: numbers with the units `ms`, `s`, `m`, `h`, added up.
/// `90s`, `1h30m`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DurationString {
    text: String,
    duration: Duration,
}

impl DurationString {
    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The length of time it stands for.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// A whole number of minutes, written with the unit `m`, or `h` where it comes out even.
    pub(crate) fn minutes(minutes: u32) -> Self {
        let text = if minutes.is_multiple_of(60) {
            format!("{}h", minutes / 60)
        } else {
            format!("{minutes}m")
        };
        Self {
            text,
            duration: Duration::from_secs(u64::from(minutes) * 60),
        }
    }
}

// At most six digits a number in at most 20 characters: the sum stays within the 64-bit
// nanoseconds of CEL's own durations.
text_schema!(
    DurationString,
    20,
    [quoting_rule(
        "self.matches('^([0-9]{1,6}(ms|s|m|h))+$')",
        "a duration",
        "write a number and a unit (ms, s, m, h), for instance 5m",
    )]
);

impl TryFrom<String> for DurationString {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        let duration = parse_duration(&text).ok_or(InvalidText {
            expected: "a duration such as 5m",
        })?;
        Ok(Self { text, duration })
    }
}

impl From<DurationString> for String {
    fn from(duration: DurationString) -> Self {
        duration.text
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest)?;
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let millis_per_unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis_per_unit)?))?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

/// An amount of bytes as a Kubernetes quantity, positive and whole: `512Mi`, `1G`, `65536`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quantity {
    text: String,
    bytes: u64,
}

impl Quantity {
    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The amount in bytes, at least 1.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A whole number of mebibytes.
    pub(crate) fn mebibytes(count: u32) -> Self {
        Self {
            text: format!("{count}Mi"),
            bytes: u64::from(count) << 20,
        }
    }
}

text_schema!(
    Quantity,
    12,
    [quoting_rule(
        "self.matches('^[1-9][0-9]{0,5}(k|M|G|Ki|Mi|Gi)$|^[1-9][0-9]*$')",
        "an amount of bytes",
        "write a positive number with k, M, G, Ki, Mi or Gi, for instance 512Mi",
    )]
);

impl TryFrom<String> for Quantity {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        let bytes = parse_bytes(&text).ok_or(InvalidText {
            expected: "an amount such as 512Mi",
        })?;
        Ok(Self { text, bytes })
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.text
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (number, suffix) = split_number(text)?;
    let factor = match suffix {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0)
}

/// Splits the digits at the start from what follows; none is no number.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up_their_parts() {
        for (text, millis) in [
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("0s", 0),
        ] {
            let parsed = DurationString::try_from(text.to_owned()).unwrap();
            assert_eq!(parsed.duration(), Duration::from_millis(millis), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "5d",
            "1.5h",
            "99999999999999999999h",
        ] {
            assert!(DurationString::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_are_bytes() {
        for (text, bytes) in [
            ("512Mi", 512 << 20),
            ("1G", 1_000_000_000),
            ("7", 7),
            ("2Ki", 2048),
        ] {
            let parsed = Quantity::try_from(text.to_owned()).unwrap();
            assert_eq!(parsed.bytes(), bytes, "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        for text in [
            "",
            "0",
            "-1",
            "Mi",
            "1Zi",
            "1.5Gi",
            "99999999999999999999",
            "99999999999G ",
        ] {
            assert!(Quantity::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn defaults_read_back_as_themselves() {
        for minutes in [10, 60, 90] {
            let made = DurationString::minutes(minutes);
            assert_eq!(DurationString::try_from(made.to_string()).unwrap(), made);
        }
        let made = Quantity::mebibytes(64);
        assert_eq!(Quantity::try_from(made.to_string()).unwrap(), made);
    }
}
