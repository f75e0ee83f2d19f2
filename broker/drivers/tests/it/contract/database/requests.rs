//! Requests of syncs: each is there until it is met.

use package_broker_core::ports::database::Database;

use super::repository;

pub(crate) async fn requests_stay_until_they_are_met(database: &dyn Database) {
    let open = async || {
        let requests = database.sync_requests().await.unwrap();
        let names = requests
            .iter()
            .map(|request| request.repository.as_str().to_owned());
        (names.collect::<Vec<_>>(), requests)
    };
    assert_eq!(open().await.1, []);
    database.request_sync(&repository("team")).await.unwrap();
    database.request_sync(&repository("other")).await.unwrap();
    let (names, first) = open().await;
    assert_eq!(names, ["team", "other"]);

    // Asked for again while the first is being met.
    database.request_sync(&repository("team")).await.unwrap();
    database.forget_sync_request(&first[0]).await.unwrap();
    let (names, second) = open().await;
    assert_eq!(names, ["other", "team"]);
    assert!(second[1].number > first[1].number);

    database.forget_sync_request(&second[1]).await.unwrap();
    database.forget_sync_request(&second[1]).await.unwrap();
    assert_eq!(open().await.0, ["other"]);
}
