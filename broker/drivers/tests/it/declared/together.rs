//! What is declared is loaded, and a row that cannot be used stands alone.

use package_broker_core::{
    domain::{
        keyring::KeyRing,
        names::RepositoryName,
        repository::{Credentials, Repository},
        sealed::OpenError,
    },
    ports::declared::{Declaration, DeclaredRecord},
    services::declared::{DeclareError, Problem, RowError},
};
use secrecy::ExposeSecret;

use super::{Place, expected, passwords, team, teams};

/// What a row says, written as it is by somebody who knows better.
fn overwrite(record: &DeclaredRecord, change: impl FnOnce(&mut DeclaredRecord)) -> Declaration {
    let mut changed = record.clone();
    change(&mut changed);
    Declaration {
        name: record.name.clone(),
        seen: Some(record.generation),
        content: Some(changed.content),
    }
}

fn names(problems: &[Problem]) -> Vec<&str> {
    problems
        .iter()
        .map(|problem| problem.name.as_str())
        .collect()
}

#[tokio::test]
async fn what_is_declared_is_loaded_whole() {
    for place in Place::each().await {
        let keys = KeyRing::generate().unwrap();
        let service = place.service(&keys);
        let mut open = team("open", "");
        open.credentials = Credentials::default();
        let mut mirror = team("", "");
        mirror.name = RepositoryName::packagist();
        mirror.public = true;
        let all = [mirror, open, team("team", "hush")];
        let declared = service.declare(&all).await.unwrap();
        assert_eq!(declared.changed.len(), 3);
        // Another process, with the same keys.
        let loaded = place.service(&keys).load().await.unwrap();
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.repositories.len(), 3);
        for (loaded, given) in loaded.repositories.iter().zip(&all) {
            assert!(loaded.same_as(given), "{loaded:?}");
        }
        let records = place.database.declared().await.unwrap();
        assert_eq!(records[1].content.sealed, None);
    }
}

#[tokio::test]
async fn only_what_changed_is_written() {
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let service = place.service(&old);
        let mut all = teams(4);
        service.declare(&all).await.unwrap();
        let before = place.database.declared().await.unwrap();
        let revision = place.database.revisions().await.unwrap();
        assert!(service.declare(&all).await.unwrap().is_empty());
        assert!(!service.declare_one(&all[0]).await.unwrap());
        // Rows keep their key until they are rotated.
        let new = place.service(&old.with_new_primary().unwrap());
        assert!(new.declare(&all).await.unwrap().is_empty());
        assert_eq!(place.database.declared().await.unwrap(), before);
        assert_eq!(place.database.revisions().await.unwrap(), revision);

        all[1] = team("team1", "another password");
        all[2].priority = 7;
        all.remove(3);
        let declared = new.declare(&all).await.unwrap();
        assert_eq!(declared.changed, [all[1].name.clone(), all[2].name.clone()]);
        assert_eq!(declared.removed, [RepositoryName::new("team3")]);
        let after = place.database.declared().await.unwrap();
        assert_eq!(after[0], before[0]);
        assert_ne!(after[1].content.sealed, before[1].content.sealed);
        let loaded = new.load().await.unwrap();
        assert_eq!(passwords(&loaded), expected(&all));
        assert_eq!(loaded.repositories[2].priority, 7);
    }
}

#[tokio::test]
async fn one_comes_and_goes_beside_the_others() {
    for place in Place::each().await {
        let service = place.service(&KeyRing::generate().unwrap());
        service.declare(&teams(2)).await.unwrap();
        assert!(service.declare_one(&team("new", "hush")).await.unwrap());
        assert!(service.declare_one(&team("team1", "hush")).await.unwrap());
        let gone = RepositoryName::new("team0");
        assert!(service.withdraw(&gone).await.unwrap());
        assert!(!service.withdraw(&gone).await.unwrap());
        let loaded = service.load().await.unwrap();
        let all = [team("new", "hush"), team("team1", "hush")];
        assert_eq!(passwords(&loaded), expected(&all));
    }
}

#[tokio::test]
async fn a_name_is_declared_once() {
    let place = Place::sqlite().await;
    let service = place.service(&KeyRing::generate().unwrap());
    let twice = [team("a", "one"), team("b", "two"), team("a", "three")];
    let error = service.declare(&twice).await.unwrap_err();
    assert!(
        matches!(&error, DeclareError::Twice(name) if name.as_str() == "a"),
        "{error}"
    );
    assert_eq!(place.database.declared().await.unwrap(), []);
}

/// All of them declare the same repositories in their own way at once: one of them has the last word on each, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_declare_at_once() {
    for place in Place::each().await {
        let keys = KeyRing::generate().unwrap();
        let writers = (0..4).map(|writer| {
            let service = place.service(&keys);
            let all: Vec<Repository> = (0..5)
                .map(|at| Repository {
                    priority: writer,
                    ..team(&format!("team{at}"), &format!("{writer}"))
                })
                .collect();
            async move { service.declare(&all).await.map(drop) }
        });
        for written in futures::future::join_all(writers).await {
            written.unwrap();
        }
        let loaded = place.service(&keys).load().await.unwrap();
        assert_eq!(loaded.repositories.len(), 5);
        let last = loaded.repositories[0].priority;
        for repository in &loaded.repositories {
            let password = repository.credentials.text("password").unwrap();
            assert_eq!((repository.priority, password), (last, &*last.to_string()));
        }
    }
}

#[tokio::test]
async fn a_lost_key_takes_down_only_what_it_sealed() {
    for place in Place::each().await {
        let (lost, keys) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
        place.service(&lost).declare(&teams(1)).await.unwrap();
        let service = place.service(&keys);
        service.declare_one(&team("other", "hush")).await.unwrap();
        let loaded = service.load().await.unwrap();
        assert_eq!(names(&loaded.problems), ["team0"]);
        assert_eq!(loaded.repositories.len(), 1);
        let told = loaded.problems[0].to_string();
        assert!(
            told.contains("team0") && told.contains(lost.primary().as_str()),
            "{told}"
        );
        assert!(told.contains("put that key back into the ring, or set the credentials again"));

        let rotation = service.rotate(|_| ()).await.unwrap();
        assert_eq!((rotation.resealed, rotation.standing), (0, 1));
        assert_eq!(rotation.problems, loaded.problems);
        let uses = service.keys_in_use().await.unwrap();
        let uses: Vec<_> = uses
            .iter()
            .map(|used| (&used.key, used.rows, used.held))
            .collect();
        assert_eq!(
            uses,
            [(keys.primary(), 1, true), (lost.primary(), 1, false)]
        );

        // Either way that the message names helps.
        let both = format!(
            "{}{}",
            keys.to_text().expose_secret(),
            lost.to_text().expose_secret()
        );
        let both = KeyRing::parse(&both).unwrap();
        let loaded = place.service(&both).load().await.unwrap();
        assert_eq!(passwords(&loaded).len(), 2);
        let again = [team("team0", "set again"), team("other", "hush")];
        let declared = service.declare(&again).await.unwrap();
        assert_eq!(declared.changed, [RepositoryName::new("team0")]);
        let loaded = service.load().await.unwrap();
        assert_eq!(passwords(&loaded), expected(&again));
    }
}

#[tokio::test]
async fn swapped_rows_are_refused() {
    for place in Place::each().await {
        let keys = KeyRing::generate().unwrap();
        let service = place.service(&keys);
        service.declare(&teams(3)).await.unwrap();
        let records = place.database.declared().await.unwrap();
        for (row, other) in [(0, 1), (1, 0)] {
            let sealed = records[other].content.sealed.clone();
            let swapped = overwrite(&records[row], |record| record.content.sealed = sealed);
            place.database.declare_one(&swapped).await.unwrap();
        }
        let loaded = service.load().await.unwrap();
        assert_eq!(names(&loaded.problems), ["team0", "team1"]);
        for problem in &loaded.problems {
            let key = keys.primary().clone();
            assert_eq!(problem.error, RowError::Sealed(OpenError::Refused { key }));
        }
        assert_eq!(loaded.repositories.len(), 1);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stands_alone() {
    for place in Place::each().await {
        let keys = KeyRing::generate().unwrap();
        let service = place.service(&keys);
        let all = teams(4);
        service.declare(&all).await.unwrap();
        let records = place.database.declared().await.unwrap();
        let newer =
            |record: &mut DeclaredRecord| record.content.settings = r#"{"form":2}"#.to_owned();
        let damaged = |record: &mut DeclaredRecord| record.content.settings = "{}".to_owned();
        let odd = |record: &mut DeclaredRecord| {
            record.content.sealed.as_mut().unwrap().bytes.truncate(5);
        };
        for one in [
            overwrite(&records[0], newer),
            overwrite(&records[1], damaged),
            overwrite(&records[2], odd),
        ] {
            place.database.declare_one(&one).await.unwrap();
        }
        let loaded = service.load().await.unwrap();
        assert_eq!(names(&loaded.problems), ["team0", "team1", "team2"]);
        let told: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert!(told[0].contains("form 2"), "{told:?}");
        assert!(told[1].contains("missing field `form`"), "{told:?}");
        assert!(told[2].contains("does not know"), "{told:?}");
        assert_eq!(loaded.repositories[0].name.as_str(), "team3");
        // Declared again, they are whole again.
        assert_eq!(service.declare(&all).await.unwrap().changed.len(), 3);
        let loaded = service.load().await.unwrap();
        assert_eq!(passwords(&loaded), expected(&all));
    }
}
