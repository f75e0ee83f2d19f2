use std::{fs, path::Path};

use secrecy::ExposeSecret;

use super::*;

fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    fs::write(&file, text).unwrap();
    load_from(Some(&file), variables)
}

fn load_from(file: Option<&Path>, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(file, variables)
}

const MINIMAL: &str = "database:\n  url: postgres://broker@db.example.com/broker\n";

fn mistakes(text: &str, variables: &[(&str, &str)]) -> String {
    let error = load_text(text, variables).err().expect("a mistake");
    let text = error.to_string();
    // The folder is another in each run.
    text.lines()
        .map(|line| {
            line.split_once("settings.yaml:")
                .map_or(line, |(_, rest)| rest)
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn origin(settings: &Settings, key: &str) -> (String, String) {
    let value = settings.values.iter().find(|value| value.key == key);
    let value = value.unwrap_or_else(|| panic!("no {key}"));
    (value.shown.clone(), value.origin.to_string())
}

#[test]
fn defaults_file_and_environment_go_one_before_the_other() {
    let text = format!("{MINIMAL}listen: 0.0.0.0:80\ncache:\n  prefix: team\n");
    let settings = load_text(&text, &[("PACKAGE_BROKER_LISTEN", "127.0.0.1:81")]).unwrap();
    assert_eq!(settings.process.listen.port(), 81);
    assert_eq!(settings.process.cache.prefix.as_deref(), Some("team"));
    let (value, from) = origin(&settings, "listen");
    assert_eq!(
        (value.as_str(), from.as_str()),
        ("127.0.0.1:81", "PACKAGE_BROKER_LISTEN")
    );
    let (value, from) = origin(&settings, "cache.prefix");
    assert_eq!(value, "team");
    assert!(from.ends_with("settings.yaml:5"), "{from}");
    assert_eq!(
        origin(&settings, "database.maxConnections"),
        ("10".to_owned(), "default".to_owned())
    );
}

#[test]
fn every_form_can_be_given_in_the_environment() {
    let variables = [
        ("PACKAGE_BROKER_DATABASE_URL", "postgres://broker@db/broker"),
        ("PACKAGE_BROKER_DATABASE_MAX_CONNECTIONS", "20"),
        ("PACKAGE_BROKER_STORAGE_PATH_STYLE", "true"),
        ("PACKAGE_BROKER_LOG_FORMAT", "json"),
        ("AWS_REGION", "eu-central-1"),
        ("PATH", "/bin"),
        ("PACKAGE_BROKER_SERVICE_HOST", "10.0.0.1"),
        ("PACKAGE_BROKER_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PACKAGE_BROKER_REDIS_SERVICE_PORT", "6379"),
    ];
    let settings = load_from(None, &variables).unwrap();
    assert_eq!(settings.process.database.max_connections, 20);
    assert!(settings.process.storage.path_style);
    assert_eq!(settings.process.storage.region, "eu-central-1");
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "hush hush\n").unwrap();
    let text = "database:\n  url: postgres://me:gu/l@gul@db:5432/x?password=more\n";
    let path = password.to_str().unwrap();
    let variables = [
        ("PACKAGE_BROKER_DATABASE_PASSWORD_FILE", path),
        ("PACKAGE_BROKER_CACHE_URL", "redis://u:p?x@h/1"),
    ];
    let settings = load_text(text, &variables).unwrap();
    let read = settings.process.database.password.clone().unwrap();
    assert_eq!(read.expose_secret(), "hush hush");
    let shown = shown(&settings) + &format!("{:?}", settings.process);
    for secret in ["hush", "gu/l", "gul", "more", "p?x"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("postgres://me:…@db:5432/x?…"), "{shown}");
    let (_, from) = origin(&settings, "database.password");
    assert!(from.contains("PASSWORD_FILE"), "{from}");
}

#[test]
fn a_variable_replaces_the_secret_of_the_file_in_either_form() {
    let text = format!("{MINIMAL}  passwordFile: /does/not/exist\n");
    let settings = load_text(&text, &[("PACKAGE_BROKER_DATABASE_PASSWORD", "x")]).unwrap();
    assert!(settings.process.database.password.is_some());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p");
    fs::write(&file, "y").unwrap();
    let text = format!("{MINIMAL}  password: x\n");
    let variable = (
        "PACKAGE_BROKER_DATABASE_PASSWORD_FILE",
        file.to_str().unwrap(),
    );
    let settings = load_text(&text, &[variable]).unwrap();
    let (_, from) = origin(&settings, "database.password");
    assert!(from.contains("PASSWORD_FILE"), "{from}");
}

/// A file, variables, and what the mistakes have to say.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn a_fraction_that_is_none_is_not_taken_for_the_default() {
    const VARIABLE: &str = "PACKAGE_BROKER_TELEMETRY_SAMPLE_RATIO";
    let settings = load_text(MINIMAL, &[(VARIABLE, "0.25")]).unwrap();
    assert!((settings.process.telemetry.sample_ratio - 0.25).abs() < f64::EPSILON);
    for (value, mistake) in [
        ("2", "is more than 1; write 1 or less"),
        ("some", "is of the wrong form; write a number such as 0.25"),
        ("NaN", "is of the wrong form; write a number such as 0.25"),
    ] {
        let told = mistakes(MINIMAL, &[(VARIABLE, value)]);
        assert_eq!(
            told,
            format!("{VARIABLE}: telemetry.sampleRatio: {mistake}")
        );
    }
}

#[test]
fn wrong_values_name_themselves_their_place_and_the_fix() {
    let cases: &[Case<'_>] = &[
        ("", &[], "database.url: is required; add url"),
        (
            "databse:\n  url: x\n",
            &[],
            "1: databse: is no setting; did you mean database?",
        ),
        (
            "database: x\n",
            &[],
            "1: database: is no map; write its settings below it, indented",
        ),
        ("- a\n", &[], "1: is no map of settings"),
        ("a: [\n", &[], ";"),
        (
            "database:\n  url: postgres://h/d\n  maxConnections: many\n",
            &[],
            "3: database.maxConnections: is a string, not a whole number",
        ),
        (
            "database:\n  url: postgres://h/d\n  maxConnections: 1\n",
            &[],
            "3: database.maxConnections: is less than 2; write 2 or more",
        ),
        (
            MINIMAL,
            &[("PACKAGE_BROKER_DATABASE_MAX_CONNECTIONS", "many")],
            "PACKAGE_BROKER_DATABASE_MAX_CONNECTIONS: database.maxConnections: is of the wrong form; write a whole number",
        ),
        (
            MINIMAL,
            &[("PACKAGE_BROKER_DATABSE_URL", "x")],
            "PACKAGE_BROKER_DATABSE_URL: is no setting; did you mean PACKAGE_BROKER_DATABASE_URL?",
        ),
        (
            MINIMAL,
            &[("PACKAGE_BROKER_DATABASE_PASSWORD_FILE", "/does/not/exist")],
            "PACKAGE_BROKER_DATABASE_PASSWORD_FILE: database.passwordFile: /does/not/exist: No such file",
        ),
        (
            "database:\n  url: postgres://h/d\n  password: x\n  passwordFile: y\n",
            &[],
            "4: database.passwordFile: is given here, and as a value in",
        ),
        (
            MINIMAL,
            &[("PACKAGE_BROKER_LISTEN", "here")],
            "PACKAGE_BROKER_LISTEN: listen: invalid socket address",
        ),
        (
            MINIMAL,
            &[("PACKAGE_BROKER_LOG_FORMAT", "xml")],
            "PACKAGE_BROKER_LOG_FORMAT: logFormat:",
        ),
    ];
    for (text, variables, expected) in cases {
        let found = mistakes(text, variables);
        assert!(
            found.contains(expected),
            "{text:?} {variables:?}\n{found}\n{expected}"
        );
    }
}

#[test]
fn no_two_settings_share_a_variable() {
    let reference = reference().unwrap();
    let mut variables: Vec<&str> = reference
        .lines()
        .skip(2)
        .filter_map(|line| line.split('|').nth(2))
        .collect();
    let count = variables.len();
    assert!(count > 20, "{count}");
    variables.sort_unstable();
    variables.dedup();
    assert_eq!(variables.len(), count);
}

#[test]
fn the_page_of_settings_is_current() {
    let page = include_str!("../../../../docs/configuration.md");
    let table = reference().unwrap();
    let current = format!("<!-- settings -->\n{table}<!-- /settings -->");
    assert!(page.contains(&current), "run `cargo xtask docs`");
}
