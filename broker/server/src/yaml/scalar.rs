//! What a plain scalar stands for.

use serde_json::{Number, Value};

/// The value of an unquoted scalar, as the YAML reader of Kubernetes understands it.
///
/// # Errors
/// What is wrong and what to write, for numbers that readers disagree on or that JSON cannot hold.
pub(super) fn plain(text: &str) -> Result<Value, (&'static str, &'static str)> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" => {
            return Err(("a number that JSON does not have", "write a finite number"));
        }
        _ => {}
    }
    if let Some(flag) = boolean(text) {
        return Ok(Value::Bool(flag));
    }
    if is_disputed_number(text) {
        return Err((
            "a number with a leading zero, base or underscore, which readers take for different values",
            "put it in quotes, or write it in plain decimal",
        ));
    }
    if !looks_like_number(text) {
        return Ok(Value::from(text));
    }
    let whole = text
        .trim_start_matches(['+', '-'])
        .bytes()
        .all(|c| c.is_ascii_digit());
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let number = if whole {
        unsigned
            .parse::<i64>()
            .ok()
            .map(Number::from)
            .or_else(|| unsigned.parse::<u64>().ok().map(Number::from))
    } else {
        unsigned.parse::<f64>().ok().and_then(Number::from_f64)
    };
    number.map(Value::Number).ok_or((
        "a number that is too large",
        "put it in quotes if it is a text",
    ))
}

fn boolean(text: &str) -> Option<bool> {
    let all_lower = text.to_ascii_lowercase();
    let capitalised = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().skip(1).all(|c| c.is_ascii_lowercase());
    if text != all_lower && text != text.to_ascii_uppercase() && !capitalised {
        return None;
    }
    match all_lower.as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// `010`, `0x1F`, `0b1`, `1_000`: Kubernetes reads 8, 31, 1 and 1000, other readers do not.
fn is_disputed_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some(rest) = unsigned.strip_prefix('0') else {
        return unsigned.contains('_') && looks_like_number(&unsigned.replace('_', ""));
    };
    match rest.strip_prefix(['x', 'o', 'b']) {
        Some(digits) => {
            !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit() || c == b'_')
        }
        None => !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit() || c == b'_'),
    }
}

/// `[-+]? digits [. digits] [e [-+] digits]`, with digits on at least one side of the point.
fn looks_like_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    before.len() + after.len() > 0 && digits(before) && digits(after) && exponent_ok
}
