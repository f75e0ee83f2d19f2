//! From an old key to a new one, whatever else goes on.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use package_broker_core::{
    domain::{keyring::KeyRing, names::RepositoryName, sealed::Sealed},
    ports::{
        database::{Database, DatabaseError},
        declared::{Declaration, DeclaredRecord, DeclaredStore, Redeclared},
    },
    services::declared::{DeclareError, KeyUse},
};
use secrecy::ExposeSecret;

use super::{Place, expected, over, passwords, team, teams};

/// Something that happens when credentials are about to be sealed anew, by the number of times that was tried before.
/// An error is what the rotation gets; it may come after the deed.
type Event = Box<dyn Fn(usize) -> BoxFuture<'static, Trouble> + Send + Sync>;

enum Trouble {
    None,
    Before,
    After,
}

/// A database with something that happens in between.
struct Eventful {
    database: Arc<dyn Database>,
    event: Event,
    tried: AtomicUsize,
}

impl Eventful {
    fn new(
        database: &Arc<dyn Database>,
        event: impl Fn(usize) -> BoxFuture<'static, Trouble> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            database: Arc::clone(database),
            event: Box::new(event),
            tried: AtomicUsize::new(0),
        })
    }
}

fn broken() -> DatabaseError {
    DatabaseError::Unavailable {
        action: "write",
        problem: "the connection broke".to_owned(),
    }
}

#[async_trait]
impl DeclaredStore for Eventful {
    async fn declared_installation(&self) -> Result<Option<String>, DatabaseError> {
        self.database.declared_installation().await
    }

    async fn declare_installation(&self, text: &str) -> Result<bool, DatabaseError> {
        self.database.declare_installation(text).await
    }

    async fn declared(&self) -> Result<Vec<DeclaredRecord>, DatabaseError> {
        self.database.declared().await
    }

    async fn declare_all(&self, all: &[Declaration]) -> Result<Redeclared, DatabaseError> {
        self.database.declare_all(all).await
    }

    async fn declare_one(&self, one: &Declaration) -> Result<bool, DatabaseError> {
        self.database.declare_one(one).await
    }

    async fn withdraw(&self, name: &RepositoryName) -> Result<bool, DatabaseError> {
        self.database.withdraw(name).await
    }

    async fn reseal(
        &self,
        name: &RepositoryName,
        before: &Sealed,
        after: &Sealed,
    ) -> Result<bool, DatabaseError> {
        let tried = self.tried.fetch_add(1, Ordering::Relaxed);
        let trouble = (self.event)(tried).await;
        if matches!(trouble, Trouble::Before) {
            return Err(broken());
        }
        let resealed = self.database.reseal(name, before, after).await?;
        if matches!(trouble, Trouble::After) {
            return Err(broken());
        }
        Ok(resealed)
    }
}

/// How many rows the keys of a ring have sealed, in the order of the ring.
async fn rows(place: &Place, keys: &KeyRing) -> Vec<usize> {
    let uses = place.service(keys).keys_in_use().await.unwrap();
    uses.iter().map(|used| used.rows).collect()
}

#[tokio::test]
async fn every_row_goes_to_the_first_key_and_the_others_may_go() {
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let middle = old.with_new_primary().unwrap();
        let new = middle.with_new_primary().unwrap();
        let mut all = teams(3);
        place.service(&old).declare(&all).await.unwrap();
        all.push(team("middle", "of middle age"));
        place.service(&middle).declare(&all).await.unwrap();
        all.push(team("new", "of new age"));
        let service = place.service(&new);
        service.declare(&all).await.unwrap();
        let generations = |records: Vec<DeclaredRecord>| -> Vec<i64> {
            records.iter().map(|record| record.generation).collect()
        };
        let before = generations(place.database.declared().await.unwrap());
        assert_eq!(rows(&place, &new).await, [1, 1, 3]);

        let rotation = service.rotate(|_| ()).await.unwrap();
        assert_eq!((rotation.resealed, rotation.standing), (4, 1));
        assert_eq!((rotation.left, rotation.problems), (0, vec![]));
        let uses = service.keys_in_use().await.unwrap();
        let droppable: Vec<bool> = uses.iter().map(KeyUse::may_be_dropped).collect();
        assert_eq!(droppable, [false, true, true]);
        assert_eq!(rows(&place, &new).await, [5, 0, 0]);
        let after = generations(place.database.declared().await.unwrap());
        assert_eq!(after, before, "nothing was declared");

        let revisions = place.database.revisions().await.unwrap();
        let again = service.rotate(|_| ()).await.unwrap();
        assert_eq!((again.resealed, again.standing), (0, 5));
        assert_eq!(place.database.revisions().await.unwrap(), revisions);

        // Without the old keys, everything is there.
        let text = new.to_text();
        let text: Vec<&str> = text.expose_secret().lines().take(2).collect();
        let only = KeyRing::parse(&text.join("\n")).unwrap();
        let loaded = place.service(&only).load().await.unwrap();
        assert_eq!(passwords(&loaded), expected(&all));
    }
}

/// At each row, before and after it was written: nothing is lost, everything can be read, the next one does the rest.
#[tokio::test]
async fn interrupted_at_any_row_it_is_taken_up() {
    const ROWS: usize = 4;
    for place in Place::each().await {
        let all = teams(ROWS);
        let mut keys = KeyRing::generate().unwrap();
        place.service(&keys).declare(&all).await.unwrap();
        for at in 0..ROWS {
            for written in [false, true] {
                keys = keys.with_new_primary().unwrap();
                let store = Eventful::new(&place.database, move |tried| {
                    Box::pin(async move {
                        match (tried == at, written) {
                            (false, _) => Trouble::None,
                            (true, false) => Trouble::Before,
                            (true, true) => Trouble::After,
                        }
                    })
                });
                let stopped = over(store, &keys).rotate(|_| ()).await;
                assert!(
                    matches!(stopped, Err(DeclareError::Database(_))),
                    "{stopped:?}"
                );
                let done = at + usize::from(written);
                assert_eq!(rows(&place, &keys).await[..2], [done, ROWS - done]);
                let service = place.service(&keys);
                let loaded = service.load().await.unwrap();
                assert_eq!(passwords(&loaded), expected(&all));

                let rotation = service.rotate(|_| ()).await.unwrap();
                assert_eq!((rotation.resealed, rotation.standing), (ROWS - done, done));
                assert_eq!(rows(&place, &keys).await[..2], [ROWS, 0]);
                let loaded = service.load().await.unwrap();
                assert_eq!(passwords(&loaded), expected(&all));
            }
        }
    }
}

/// A process that is killed never comes back from the call: the same, without any error to handle.
#[tokio::test]
async fn a_rotation_that_just_ends_is_taken_up() {
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let all = teams(3);
        place.service(&old).declare(&all).await.unwrap();
        let new = old.with_new_primary().unwrap();
        let (at, mut reached) = tokio::sync::mpsc::unbounded_channel();
        let store = Eventful::new(&place.database, move |tried| {
            let at = at.clone();
            Box::pin(async move {
                if tried == 1 {
                    at.send(()).unwrap();
                    std::future::pending::<()>().await;
                }
                Trouble::None
            })
        });
        let rotating = over(store, &new);
        let rotating = tokio::spawn(async move { rotating.rotate(|_| ()).await.map(drop) });
        reached.recv().await.unwrap();
        rotating.abort();
        assert!(rotating.await.unwrap_err().is_cancelled());
        let rotation = place.service(&new).rotate(|_| ()).await.unwrap();
        assert_eq!((rotation.resealed, rotation.standing), (2, 1));
    }
}

/// A writer that still seals with the old key changes every row just before it is sealed anew.
#[tokio::test]
async fn credentials_that_change_meanwhile_are_never_written_over() {
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let mut all = teams(3);
        let writer = Arc::new(place.service(&old));
        writer.declare(&all).await.unwrap();
        let new = old.with_new_primary().unwrap();
        let store = Eventful::new(&place.database, move |tried| {
            let writer = Arc::clone(&writer);
            Box::pin(async move {
                // In the first round each row, in the second one the first again, and another goes.
                let name = format!("team{}", tried % 3);
                if tried < 4 {
                    let changed = team(&name, &format!("change {tried}"));
                    writer.declare_one(&changed).await.unwrap();
                } else if tried == 4 {
                    writer.withdraw(&RepositoryName::new(&name)).await.unwrap();
                }
                Trouble::None
            })
        });
        let service = over(store, &new);
        let rotation = service.rotate(|_| ()).await.unwrap();
        all = vec![team("team0", "change 3"), team("team2", "change 2")];
        let loaded = service.load().await.unwrap();
        assert_eq!(passwords(&loaded), expected(&all));
        assert_eq!((rotation.resealed, rotation.left), (2, 0));
        assert_eq!(rows(&place, &new).await, [2, 0]);
    }
}

#[tokio::test]
async fn a_row_that_never_stands_still_is_left_and_told() {
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let writer = Arc::new(place.service(&old));
        writer.declare(&[team("busy", "-")]).await.unwrap();
        let new = old.with_new_primary().unwrap();
        let store = Eventful::new(&place.database, move |tried| {
            let writer = Arc::clone(&writer);
            Box::pin(async move {
                let changed = team("busy", &tried.to_string());
                writer.declare_one(&changed).await.unwrap();
                Trouble::None
            })
        });
        let rotation = over(store, &new).rotate(|_| ()).await.unwrap();
        assert_eq!((rotation.resealed, rotation.left), (0, 1));
        let rotation = place.service(&new).rotate(|_| ()).await.unwrap();
        assert_eq!((rotation.resealed, rotation.left), (1, 0));
    }
}

/// Rotations, writers with either ring, and readers, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once_loses_nothing() {
    const ROWS: usize = 6;
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let new = old.with_new_primary().unwrap();
        let mut all = teams(ROWS);
        place.service(&old).declare(&all).await.unwrap();
        let writers = [&old, &new].map(|keys| {
            let service = place.service(keys);
            // Each writer has the rows of its own parity. One with the old ring cannot read what is sealed anew, and
            // writes all the same.
            let own = usize::from(std::ptr::eq(keys, &raw const new));
            async move {
                for round in 0..8 {
                    for at in (own..ROWS).step_by(2) {
                        let name = format!("team{at}");
                        let changed = team(&name, &format!("round {round} of {name}"));
                        service.declare_one(&changed).await.unwrap();
                    }
                }
            }
        });
        let rotations = [0, 1].map(|_| {
            let service = place.service(&new);
            async move {
                for _ in 0..12 {
                    let rotation = service.rotate(|_| ()).await.unwrap();
                    assert_eq!(rotation.problems, []);
                    assert_eq!(service.load().await.unwrap().problems, []);
                }
            }
        });
        tokio::join!(
            futures::future::join_all(writers),
            futures::future::join_all(rotations)
        );
        for repository in &mut all {
            let name = repository.name.to_string();
            *repository = team(&name, &format!("round 7 of {name}"));
        }
        let service = place.service(&new);
        assert_eq!(passwords(&service.load().await.unwrap()), expected(&all));
        service.rotate(|_| ()).await.unwrap();
        assert_eq!(rows(&place, &new).await, [ROWS, 0]);
        assert_eq!(passwords(&service.load().await.unwrap()), expected(&all));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rotations_at_once_do_the_work_once() {
    const ROWS: usize = 20;
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let all = teams(ROWS);
        place.service(&old).declare(&all).await.unwrap();
        let new = old.with_new_primary().unwrap();
        let (one, other) = (place.service(&new), place.service(&new));
        let (one, other) = tokio::join!(one.rotate(|_| ()), other.rotate(|_| ()));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.resealed + other.resealed, ROWS);
        assert_eq!((one.left, other.left), (0, 0));
        let loaded = place.service(&new).load().await.unwrap();
        assert_eq!(passwords(&loaded), expected(&all));
    }
}

/// Two processes do not agree on the first key: both come to an end, and everything can be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_to_different_keys_end() {
    for place in Place::each().await {
        let old = KeyRing::generate().unwrap();
        let all = teams(5);
        let new = old.with_new_primary().unwrap();
        let text = new.to_text();
        let mut lines: Vec<&str> = text.expose_secret().lines().collect();
        lines.reverse();
        let reversed = KeyRing::parse(&lines.join("\n")).unwrap();
        place.service(&old).declare(&all).await.unwrap();
        let (one, other) = (place.service(&new), place.service(&reversed));
        let (one, other) = tokio::join!(one.rotate(|_| ()), other.rotate(|_| ()));
        assert_eq!(
            (one.unwrap().problems, other.unwrap().problems),
            (vec![], vec![])
        );
        let loaded = place.service(&new).load().await.unwrap();
        assert_eq!(passwords(&loaded), expected(&all));
    }
}
