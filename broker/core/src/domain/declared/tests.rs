use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::domain::version::Stability;

/// What form 1 looks like with everything set. Stored texts stay what they are, so this one does too.
const FULL: &str = concat!(
    r#"{"form":1,"kind":"artifact","url":"s3://packages/team","priority":-3,"#,
    r#""packages":{"include":["acme/*"],"exclude":["acme/old"]},"mode":"lazy","#,
    r#""interval":{"secs":300,"nanos":0},"timeout":{"secs":1,"nanos":500000000},"path":"lib","#,
    r#""bucket":{"endpoint":"https://s3.example.com","region":"eu-1","pathStyle":true},"public":true}"#
);

/// What form 1 looks like with nothing set that can be left out.
const BARE: &str = concat!(
    r#"{"form":1,"kind":"composer","url":"https://example.com","priority":0,"#,
    r#""packages":{"include":[],"exclude":[]},"#,
    r#""interval":{"secs":60,"nanos":0},"timeout":{"secs":60,"nanos":0},"#,
    r#""bucket":{"region":"us-east-1"},"public":false}"#
);

fn full() -> Repository {
    let patterns = |pattern| vec![NamePattern::new(pattern)];
    Repository {
        name: RepositoryName::new("team"),
        kind: SourceKind::Artifact,
        url: "s3://packages/team".to_owned(),
        priority: -3,
        filter: NameFilter {
            include: patterns("acme/*"),
            exclude: patterns("acme/old"),
        },
        versions: VersionFilter::default(),
        mode: Some(SyncMode::Lazy),
        cadence: Cadence::Every(Duration::from_mins(5)),
        timeout: Duration::from_millis(1_500),
        path: Some("lib".to_owned()),
        refs: Vec::new(),
        bucket: BucketAccess {
            endpoint: Some("https://s3.example.com".to_owned()),
            region: "eu-1".to_owned(),
            path_style: Some(true),
        },
        credentials: Credentials::default(),
        webhook: None,
        public: true,
        suspended: false,
        retained: false,
    }
}

fn bare() -> Repository {
    Repository {
        kind: SourceKind::Composer,
        url: "https://example.com".to_owned(),
        priority: 0,
        filter: NameFilter::default(),
        versions: VersionFilter::default(),
        mode: None,
        cadence: Cadence::Every(Duration::from_mins(1)),
        timeout: Duration::from_mins(1),
        path: None,
        refs: Vec::new(),
        bucket: BucketAccess::default(),
        public: false,
        suspended: false,
        retained: false,
        ..full()
    }
}

fn read(settings: &str) -> Result<Repository, SettingsError> {
    read_settings(RepositoryName::new("team"), settings, Secrets::default())
}

/// A repository with these credentials.
fn with(credentials: Credentials) -> Repository {
    Repository {
        credentials,
        ..bare()
    }
}

#[test]
fn the_text_of_settings_is_frozen() {
    let suspended = Repository {
        suspended: true,
        ..bare()
    };
    let of_suspended = BARE.replace(r#""public":false}"#, r#""public":false,"suspended":true}"#);
    let scheduled = Repository {
        cadence: Cadence::At(Schedule::new("30 3 * * 1-5").unwrap()),
        ..bare()
    };
    let of_scheduled = BARE.replace(
        r#""interval":{"secs":60,"nanos":0}"#,
        r#""schedule":"30 3 * * 1-5""#,
    );
    let selecting = Repository {
        versions: VersionFilter {
            stability: Some(Stability::RC),
            retain: Some(10),
        },
        refs: vec![RefPattern::new("refs/tags/v*")],
        ..bare()
    };
    let of_selecting = BARE
        .replace(
            r#""interval""#,
            r#""versions":{"stability":"RC","retain":10},"interval""#,
        )
        .replace(r#""bucket""#, r#""refs":["refs/tags/v*"],"bucket""#);
    for (repository, text) in [
        (full(), FULL),
        (bare(), BARE),
        (selecting, of_selecting.as_str()),
        (suspended, of_suspended.as_str()),
        (scheduled, of_scheduled.as_str()),
    ] {
        assert_eq!(write_settings(&repository).unwrap(), text);
        assert!(read(text).unwrap().same_as(&repository));
    }
}

#[test]
fn what_a_newer_release_wrote_is_told() {
    let newer = FULL.replace(r#""form":1"#, r#""form":2,"colour":"red""#);
    assert_eq!(read(&newer).unwrap_err(), SettingsError::Form(2));
    for (text, told) in [
        (
            FULL.replace(r#""form":1"#, r#""form":1,"colour":"red""#),
            "colour",
        ),
        (
            FULL.replace(r#""include""#, r#""colour":"red","include""#),
            "colour",
        ),
        (
            FULL.replace(r#""region""#, r#""colour":"red","region""#),
            "colour",
        ),
        (FULL.replace(r#""artifact""#, r#""fossil""#), "fossil"),
        (FULL.replace(r#""public":true"#, r#""public":null"#), "null"),
        (FULL.replace(r#","public":true"#, ""), "public"),
        (FULL.replace(r#""form":1,"#, ""), "form"),
        (
            FULL.replace(r#""timeout""#, r#""schedule":"@daily","timeout""#),
            "both of interval and schedule",
        ),
        (
            FULL.replace(r#""interval":{"secs":300,"nanos":0},"#, ""),
            "neither",
        ),
        (
            FULL.replace(
                r#""interval":{"secs":300,"nanos":0}"#,
                r#""schedule":"0 0 31 2 *""#,
            ),
            "never comes",
        ),
        (String::new(), "EOF"),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(
            error.contains(told) && error.contains("use the release that wrote them"),
            "{error}"
        );
    }
}

fn credentials(pairs: &[(String, Vec<u8>)]) -> Credentials {
    let secret = |(key, value): &(String, Vec<u8>)| (key.clone(), SecretSlice::from(value.clone()));
    Credentials::new(pairs.iter().map(secret).collect())
}

/// As for the text of settings.
#[test]
fn the_packing_of_credentials_is_frozen() {
    let given = credentials(&[
        ("username".to_owned(), b"ci".to_vec()),
        ("password".to_owned(), vec![0, 0xff]),
    ]);
    let packed = b"\x01\0\0\0\0\0\0\0\x08password\0\0\0\0\0\0\0\x02\0\xff\
                   \0\0\0\0\0\0\0\x08username\0\0\0\0\0\0\0\x02ci";
    assert_eq!(packed_of(&given).as_slice(), packed);
    assert!(unpack(packed).unwrap().credentials.same_as(&given));
    assert!(unpack(b"\x01").unwrap().credentials.is_empty());
    assert!(pack(&with(Credentials::default())).is_none());
}

/// The same.
#[test]
fn the_packing_of_a_webhooks_secret_is_frozen() {
    let given = Repository {
        webhook: Some(WebhookSecret::new(b"hook")),
        ..with(credentials(&[("token".to_owned(), b"ci".to_vec())]))
    };
    let packed = b"\x01\0\0\0\0\0\0\0\x05token\0\0\0\0\0\0\0\x02ci\
                   \0\0\0\0\0\0\0\x0ewebhook:secret\0\0\0\0\0\0\0\x04hook";
    assert_eq!(pack(&given).unwrap().as_slice(), packed);
    let unpacked = unpack(packed).unwrap();
    assert!(unpacked.credentials.same_as(&given.credentials));
    assert!(unpacked.webhook.unwrap().is(b"hook"));
}

fn packed_of(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    pack(&with(credentials.clone())).unwrap_or_else(|| vec![CREDENTIALS_FORM].into())
}

#[test]
fn what_was_not_packed_here_is_refused() {
    for wrong in [
        &b""[..],
        b"\x02",
        b"\x01\0",
        b"\x01\0\0\0\0\0\0\0\x01a",
        b"\x01\0\0\0\0\0\0\0\x02a",
        b"\x01\xff\xff\xff\xff\xff\xff\xff\xffa",
        b"\x01\0\0\0\0\0\0\0\x01\xff\0\0\0\0\0\0\0\0",
    ] {
        assert_eq!(unpack(wrong).unwrap_err(), PackingError);
    }
}

fn any_cadence() -> impl Strategy<Value = Cadence> {
    let schedule = select(vec!["@daily", "*/15 * * * *", "30 3 * * mon-fri"]);
    prop_oneof![
        any::<Duration>().prop_map(Cadence::Every),
        schedule.prop_map(|text| Cadence::At(Schedule::new(text).unwrap())),
    ]
}

fn any_selection() -> impl Strategy<Value = (VersionFilter, Vec<RefPattern>)> {
    let stability = option::of(select(vec![
        Stability::Alpha,
        Stability::Beta,
        Stability::RC,
        Stability::Stable,
    ]));
    let refs = vec("\\PC{0,8}".prop_map(|text| RefPattern::new(&text)), 0..3);
    let versions = (stability, option::of(1..10_000_usize));
    let versions = versions.prop_map(|(stability, retain)| VersionFilter { stability, retain });
    (versions, refs)
}

fn any_repository() -> impl Strategy<Value = Repository> {
    let kind = select(vec![
        SourceKind::Composer,
        SourceKind::Git,
        SourceKind::GitHub,
        SourceKind::GitLab,
        SourceKind::Bitbucket,
        SourceKind::Artifact,
    ]);
    let mode = option::of(select(vec![SyncMode::Eager, SyncMode::Lazy]));
    let patterns = || vec("\\PC{0,8}".prop_map(|text| NamePattern::new(&text)), 0..3);
    let bucket = (
        option::of(any::<String>()),
        any::<String>(),
        any::<Option<bool>>(),
    );
    let first = (
        kind,
        any::<String>(),
        any::<i32>(),
        patterns(),
        patterns(),
        mode,
    );
    let second = (
        any_cadence(),
        any::<Duration>(),
        any::<Option<String>>(),
        bucket,
        any::<(bool, bool, bool)>(),
        any_selection(),
    );
    (first, second).prop_map(|(first, second)| Repository {
        name: RepositoryName::new("team"),
        kind: first.0,
        url: first.1,
        priority: first.2,
        filter: NameFilter {
            include: first.3,
            exclude: first.4,
        },
        versions: second.5.0,
        mode: first.5,
        cadence: second.0,
        timeout: second.1,
        path: second.2,
        refs: second.5.1,
        bucket: BucketAccess {
            endpoint: second.3.0,
            region: second.3.1,
            path_style: second.3.2,
        },
        credentials: Credentials::default(),
        webhook: None,
        public: second.4.0,
        suspended: second.4.1,
        retained: second.4.2,
    })
}

proptest! {
    #[test]
    fn any_settings_come_back(repository in any_repository()) {
        let text = write_settings(&repository).unwrap();
        prop_assert!(read(&text).unwrap().same_as(&repository), "{}", text);
    }

    #[test]
    fn any_credentials_come_back(pairs in vec((any::<String>(), vec(any::<u8>(), 0..9)), 0..5)) {
        let given = credentials(&pairs);
        prop_assert!(unpack(&packed_of(&given)).unwrap().credentials.same_as(&given));
    }

    #[test]
    fn any_bytes_are_unpacked_or_refused(mut bytes in vec(any::<u8>(), 0..40)) {
        if let Some(first) = bytes.first_mut() {
            *first = CREDENTIALS_FORM;
        }
        let _ = unpack(&bytes);
    }
}
