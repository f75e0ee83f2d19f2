//! PostgreSQL over TLS: what each `sslmode` asks of the server's certificate, as libpq says
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).

use package_broker_core::ports::{cache::Cache, database::DatabaseError};
use package_broker_drivers::{
    cache::postgres as cache,
    database::postgres::{Options, Postgres},
};
use package_broker_e2e::postgres::Postgres as Server;

use crate::support::tls::Authority;

/// A server that clients without TLS do not get into, and the authority of its certificate.
struct Encrypted {
    server: Server,
    authority: Authority,
}

impl Encrypted {
    /// Its certificate is for these names.
    fn start(names: &[&str]) -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.server_pem_for(names);
        let server = Server::start_with_tls(&certificate, &key).unwrap();
        Self { server, authority }
    }

    fn options(&self, sslmode: &str) -> Options {
        let url = self.server.url("postgres");
        let (place, _) = url.split_once('?').unwrap();
        Options::parse(&format!("{place}{sslmode}"), None).unwrap()
    }

    /// As a client that trusts the authority of the certificate.
    fn trusted(&self, sslmode: &str) -> Options {
        self.options(sslmode).ca(&self.authority.pem())
    }
}

async fn refused(options: &Options) -> String {
    match Postgres::migrate(options).await.unwrap_err() {
        error @ DatabaseError::Unavailable { .. } => error.to_string(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn it_is_spoken_with_servers_of_the_given_authority() {
    let encrypted = Encrypted::start(&["127.0.0.1"]);
    for options in [
        encrypted.options(""),
        encrypted.options("?sslmode=require"),
        encrypted.trusted("?sslmode=verify-ca"),
        encrypted.trusted("?sslmode=verify-full"),
    ] {
        Postgres::migrate(&options).await.unwrap();
        Postgres::open(&options).await.unwrap();
    }
    let all = encrypted.trusted("?sslmode=verify-full");
    let cache = cache::Postgres::open(&all).await.unwrap();
    assert_eq!(
        cache
            .count("a", std::time::Duration::from_mins(1))
            .await
            .unwrap(),
        1
    );
    let plain = encrypted.options("?sslmode=disable");
    let said = refused(&plain).await;
    assert!(said.contains("pg_hba.conf"), "{said}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let encrypted = Encrypted::start(&["127.0.0.1"]);
    for mode in ["?sslmode=verify-ca", "?sslmode=verify-full"] {
        let stranger = encrypted.options(mode).ca(&Authority::new().pem());
        let said = refused(&stranger).await;
        assert!(
            said.contains("caFile names the authority"),
            "{mode}: {said}"
        );
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_where_names_are_checked() {
    let encrypted = Encrypted::start(&["database.test"]);
    let by_authority = encrypted.trusted("?sslmode=verify-ca");
    Postgres::migrate(&by_authority).await.unwrap();
    let by_name = encrypted.trusted("?sslmode=verify-full");
    let said = refused(&by_name).await;
    assert!(said.contains("the name in the URL"), "{said}");
}
