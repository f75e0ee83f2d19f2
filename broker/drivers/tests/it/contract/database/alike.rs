//! Both databases, after the same history, say the same.

use package_broker_core::{
    domain::{metadata::Channel, stamp::Stamp},
    ports::{
        audit::Filter,
        database::{Changes, Database},
    },
};

use super::{
    apply, archives::archive, audit, declared, package, postgres, publication, put, repository,
    served, sqlite, tokens::token,
};

const CHANNELS: [Channel; 2] = [Channel::Stable, Channel::Dev];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_history_gives_the_same_state() {
    let (one, other) = (sqlite::temporary().await, postgres::temporary().await);
    let databases: [&dyn Database; 2] = [&*one, &*other];
    let mut random = 2_463_534_242_u64;
    let mut pick = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut now = 1_000;
    for step in 0..300 {
        now += i64::try_from(pick(40)).unwrap() - 15;
        let (name, team) = (format!("acme/p{}", pick(5)), format!("team{}", pick(2)));
        let (content, kind, view) = (pick(3), pick(11), u8::try_from(pick(3)).unwrap());
        let mut outcomes = Vec::new();
        for database in databases {
            outcomes.push(match kind {
                0 | 1 => {
                    let version = format!("1.{content}");
                    let changes = Changes {
                        put: vec![put(&team, &name, &[&version])],
                        publish: vec![publication(&name, &team, &version, "dev")],
                        ..Changes::default()
                    };
                    format!("{:?}", apply(database, changes, now).await)
                }
                2 => {
                    let changes = Changes {
                        remove: vec![(repository(&team), package(&name))],
                        withdraw: vec![package(&name)],
                        ..Changes::default()
                    };
                    format!("{:?}", apply(database, changes, now).await)
                }
                3 => {
                    let digest = [u8::try_from(content).unwrap(); 32];
                    let stamp = database.root_stamp(&[view; 32], &digest, Stamp(now)).await;
                    format!("{:?}", stamp.unwrap())
                }
                4 => {
                    let tokens = [
                        token("a", view, "{}"),
                        token(&team, 9, &format!("[{content}]")),
                    ];
                    let floors = database.replace_tokens(&tokens, Stamp(now)).await;
                    format!("{:?}", floors.unwrap())
                }
                8 => {
                    let record = audit::record(&team, &name, now);
                    audit::append(database, step, &[record.clone(), record]).await;
                    String::new()
                }
                9 => {
                    let before = jiff::Timestamp::from_second(now - 200).unwrap();
                    let removed = database.expire_records(before, 3).await;
                    format!("{:?}", removed.unwrap())
                }
                5..8 => declare(database, &team, kind, content, view).await,
                _ => {
                    let added = archive(&team, &format!("{content}.0.0.0"), "ab", view);
                    format!("{:?}", database.add_archive(&added).await.unwrap())
                }
            });
        }
        assert_eq!(outcomes[0], outcomes[1], "step {step}");
    }
    assert_eq!(state(databases[0]).await, state(databases[1]).await);
}

/// Changes what is declared of a repository, in one of three ways.
async fn declare(database: &dyn Database, team: &str, kind: u64, content: u64, view: u8) -> String {
    let said = |secret: u8| declared::content("text", Some(&secret.to_string()));
    let new = if content > 0 {
        said(view)
    } else {
        declared::content("other", None)
    };
    let one = declared::declaration(database, team, new).await;
    match (kind, said(view).sealed, said(view + 1).sealed) {
        (5, ..) => format!("{:?}", database.declare_one(&one).await.unwrap()),
        (6, ..) => format!("{:?}", database.declare_all(&[one]).await.unwrap()),
        (_, Some(before), Some(after)) if content > 0 => {
            let resealed = database.reseal(&one.name, &before, &after).await;
            format!("{:?}", resealed.unwrap())
        }
        _ => format!("{:?}", database.withdraw(&one.name).await.unwrap()),
    }
}

/// Everything that can be read, as text.
async fn state(database: &dyn Database) -> Vec<String> {
    let index = database.index().await.unwrap();
    let mut state = vec![
        format!("{index:#?}"),
        format!("{:#?}", database.tokens().await.unwrap()),
        format!("{:#?}", database.declared().await.unwrap()),
        format!("{:?}", database.revisions().await.unwrap()),
    ];
    let filter = Filter::default();
    state.push(format!("{:#?}", audit::read(database, &filter, 7).await));
    for number in 0..5 {
        let name = format!("acme/p{number}");
        for channel in CHANNELS {
            state.push(format!("{:?}", served(database, &name, channel).await));
        }
        for team in ["team0", "team1"] {
            let versions = database.versions(&repository(team), &package(&name)).await;
            state.push(format!("{:?}", versions.unwrap()));
        }
    }
    for team in ["team0", "team1"] {
        let (team, lib) = (repository(team), package("acme/lib"));
        let archives = database.archives_of(&team, &lib).await.unwrap();
        state.push(format!("{archives:#?}"));
    }
    state
}
