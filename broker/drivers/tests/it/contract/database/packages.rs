//! Packages by repository.

use package_broker_core::{
    domain::{archive::ArchiveKey, metadata::PackageVersions, skipped::Skipped, stamp::Stamp},
    ports::database::{Changes, Database, Held},
};

use super::{apply, package, put, repository, served, versions_of};

pub(crate) async fn a_new_database_is_empty(database: &dyn Database) {
    let index = database.index().await.unwrap();
    assert_eq!((index.held, index.published), (vec![], vec![]));
    let (team, lib) = (repository("team"), package("acme/lib"));
    assert_eq!(database.versions(&team, &lib).await.unwrap(), None);
    for channel in package_broker_core::domain::metadata::Channel::ALL {
        assert_eq!(served(database, "acme/lib", channel).await, None);
    }
    assert_eq!(database.repositories().await.unwrap(), []);
    assert_eq!(database.tokens().await.unwrap(), []);
    assert_eq!(database.setting("any").await.unwrap(), None);
    let key = ArchiveKey {
        package: lib.clone(),
        version: "1.0.0.0".into(),
        reference: "ab".into(),
    };
    assert_eq!(database.archives(&key).await.unwrap(), []);
    assert_eq!(database.archives_of(&team, &lib).await.unwrap(), []);
}

pub(crate) async fn changes_of_nothing_do_nothing(database: &dyn Database) {
    let before = database.index().await.unwrap().absent;
    let applied = apply(database, Changes::default(), 1_000).await;
    assert_eq!((applied.published, applied.absent), (vec![], before));
    let remove = vec![(repository("team"), package("acme/none"))];
    let withdraw = vec![package("acme/none")];
    let applied = apply(
        database,
        Changes {
            remove,
            withdraw,
            ..Changes::default()
        },
        1_000,
    )
    .await;
    assert_eq!((applied.published, applied.absent), (vec![], before));
    assert_eq!(database.index().await.unwrap().absent, before);
}

pub(crate) async fn a_package_is_replaced_whole(database: &dyn Database) {
    let (team, lib) = (repository("team"), package("acme/lib"));
    let mut first = put("team", "acme/lib", &["1.0", "dev-main"]);
    first.skipped = 3;
    apply(
        database,
        Changes {
            put: vec![first],
            ..Changes::default()
        },
        1,
    )
    .await;
    let held = Held {
        repository: team.clone(),
        package: lib.clone(),
        versions: 2,
        skipped: 3,
    };
    assert_eq!(
        database.index().await.unwrap().held,
        std::slice::from_ref(&held)
    );
    let found = database.versions(&team, &lib).await.unwrap();
    assert_eq!(found, Some(versions_of("acme/lib", &["1.0", "dev-main"])));
    let validator = r#"acme/lib ["1.0", "dev-main"]"#.to_owned();
    let validators = database.validators(&team).await.unwrap();
    assert_eq!(validators, [(lib.clone(), validator)].into());
    let others = database.validators(&repository("other")).await.unwrap();
    assert!(others.is_empty());

    let mut second = put("team", "acme/lib", &["2.0"]);
    second.validator = None;
    apply(
        database,
        Changes {
            put: vec![second],
            ..Changes::default()
        },
        1,
    )
    .await;
    assert!(database.validators(&team).await.unwrap().is_empty());
    let held = Held {
        versions: 1,
        skipped: 0,
        ..held
    };
    assert_eq!(database.index().await.unwrap().held, [held]);
    assert_eq!(
        database.versions(&team, &lib).await.unwrap(),
        Some(versions_of("acme/lib", &["2.0"]))
    );
}

pub(crate) async fn large_and_odd_contents_come_back(database: &dyn Database) {
    let (team, lib) = (repository("team"), package("acme/lib"));
    let fields = |number: usize| {
        let description = format!(
            "\0 '\"; DROP TABLE packages; -- \u{1f980} {}",
            "long ".repeat(number % 200)
        );
        serde_json::from_value(
            serde_json::json!({ "version": format!("1.{number}"), "description": description }),
        )
    };
    let given = (0..3_000).map(|number| fields(number).unwrap()).collect();
    let mut content = PackageVersions::check(&lib, given, vec![]);
    content.skipped = vec![Skipped::new("odd\0", "reason \u{1f980}").at("ref")];
    let mut put = put("team", "acme/lib", &[]);
    put.content = content.encode().into();
    apply(
        database,
        Changes {
            put: vec![put],
            ..Changes::default()
        },
        1,
    )
    .await;
    assert!(database.versions(&team, &lib).await.unwrap().unwrap() == content);

    let empty = super::put("team", "acme/empty", &[]);
    apply(
        database,
        Changes {
            put: vec![empty],
            ..Changes::default()
        },
        1,
    )
    .await;
    let found = database
        .versions(&team, &package("acme/empty"))
        .await
        .unwrap();
    assert_eq!(found, Some(PackageVersions::default()));
}

pub(crate) async fn repositories_hold_packages_apart(database: &dyn Database) {
    let changes = Changes {
        put: vec![
            put("a", "acme/lib", &["1.0"]),
            put("b", "acme/lib", &["2.0"]),
            put("b", "acme/more", &["3.0"]),
        ],
        ..Changes::default()
    };
    apply(database, changes, 1).await;
    for (name, version) in [("a", "1.0"), ("b", "2.0")] {
        let found = database
            .versions(&repository(name), &package("acme/lib"))
            .await
            .unwrap();
        assert_eq!(found, Some(versions_of("acme/lib", &[version])));
    }
    assert_eq!(
        database
            .versions(&repository("a"), &package("acme/more"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        held(database).await,
        [("a", "acme/lib"), ("b", "acme/lib"), ("b", "acme/more")].map(own)
    );
}

pub(crate) async fn removing_takes_the_package_of_that_repository_only(database: &dyn Database) {
    repositories_hold_packages_apart(database).await;
    let remove = vec![
        (repository("b"), package("acme/lib")),
        (repository("a"), package("acme/more")),
        (repository("none"), package("acme/lib")),
    ];
    apply(
        database,
        Changes {
            remove,
            ..Changes::default()
        },
        1,
    )
    .await;
    assert_eq!(
        held(database).await,
        [("a", "acme/lib"), ("b", "acme/more")].map(own)
    );
    assert_eq!(
        database
            .versions(&repository("b"), &package("acme/lib"))
            .await
            .unwrap(),
        None
    );
    let again = Changes {
        put: vec![put("b", "acme/lib", &["4.0"])],
        ..Changes::default()
    };
    apply(database, again, 1).await;
    let found = database
        .versions(&repository("b"), &package("acme/lib"))
        .await
        .unwrap();
    assert_eq!(found, Some(versions_of("acme/lib", &["4.0"])));
}

pub(crate) async fn many_packages_change_at_once(database: &dyn Database) {
    let names: Vec<String> = (0..700)
        .map(|number| format!("acme/p{number:03}"))
        .collect();
    let changes = Changes {
        put: names
            .iter()
            .map(|name| put("team", name, &["1.0"]))
            .collect(),
        publish: names
            .iter()
            .map(|name| super::publication(name, "team", name, ""))
            .collect(),
        ..Changes::default()
    };
    let applied = apply(database, changes, 50).await;
    let order: Vec<&str> = applied
        .published
        .iter()
        .map(|published| published.package.as_str())
        .collect();
    assert_eq!(order, names);
    assert!(
        applied
            .published
            .iter()
            .all(|published| published.stable == Stamp(50))
    );
    let index = database.index().await.unwrap();
    assert_eq!((index.held.len(), index.published.len()), (700, 700));

    let remove = names
        .iter()
        .skip(1)
        .map(|name| (repository("team"), package(name)))
        .collect();
    let withdraw = names.iter().skip(1).map(|name| package(name)).collect();
    apply(
        database,
        Changes {
            remove,
            withdraw,
            ..Changes::default()
        },
        51,
    )
    .await;
    let index = database.index().await.unwrap();
    assert_eq!((index.held.len(), index.published.len()), (1, 1));
}

fn own((repository, package): (&str, &str)) -> (String, String) {
    (repository.to_owned(), package.to_owned())
}

async fn held(database: &dyn Database) -> Vec<(String, String)> {
    let held = database.index().await.unwrap().held;
    let mut names: Vec<_> = held
        .iter()
        .map(|held| own((held.repository.as_str(), held.package.as_str())))
        .collect();
    names.sort();
    names
}
