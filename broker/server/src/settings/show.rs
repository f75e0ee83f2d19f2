//! Settings for people: what is in force and why, and the reference page.

use serde_json::Value;

use super::{
    Settings, SettingsError,
    table::{Form, Setting, Table},
};

/// A value as it may be shown.
pub(super) fn value(form: Form, value: &Value) -> String {
    match (form, value) {
        (Form::SecretUrl, Value::String(url)) => without_password(url),
        (Form::Secret | Form::SecretUrl, _) => "(not shown)".to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// A URL with its password left out, and its parameters, which may hold one too.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(not shown)".to_owned();
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    // A password may hold anything, so that a user's name ends early.
    let upto = |text: &str, ends: &[char]| {
        let end = text.find(ends).unwrap_or(text.len());
        let (shown, hidden) = text.split_at(end);
        (shown.to_owned(), !hidden.is_empty())
    };
    let user = user.map(|user| match upto(user, &[':', '/', '?', '#']) {
        (user, true) => format!("{user}:…@"),
        (user, false) => format!("{user}@"),
    });
    let place = match upto(place, &['?', '#']) {
        (place, true) => format!("{place}?…"),
        (place, false) => place,
    };
    format!("{scheme}://{}{place}", user.unwrap_or_default())
}

/// The values in force, a line each: key, value, where it came from.
pub(crate) fn shown(settings: &Settings) -> String {
    let rows = settings.values.iter().map(|value| {
        [
            value.key.clone(),
            value.shown.clone(),
            value.origin.to_string(),
        ]
    });
    let header = ["SETTING", "VALUE", "SOURCE"].map(str::to_owned);
    crate::cli::aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}

/// The table of all settings as Markdown.
pub(crate) fn reference() -> Result<String, SettingsError> {
    let mut text = String::from("| setting | variable | default | meaning |\n|---|---|---|---|\n");
    for setting in &Table::get()?.settings {
        text.push_str(&row(setting));
    }
    Ok(text)
}

fn row(setting: &Setting) -> String {
    let default = setting
        .default
        .as_ref()
        .map(|default| value(setting.form, default))
        .filter(|default| !default.is_empty())
        .map(|default| format!("`{default}`"))
        .unwrap_or_default();
    let mut about = setting.about.replace('|', "\\|");
    if setting.is_secret() {
        about = format!("{about} Or in a file that `{}` names.", setting.file_key());
    }
    if let Some(alias) = setting.alias() {
        about = format!("{about} Without it, `{alias}` is read.");
    }
    let (key, variable) = (&setting.key, setting.variable());
    format!("| `{key}` | `{variable}` | {default} | {about} |\n")
}
