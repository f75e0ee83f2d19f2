//! Tokens and their floors.

use package_broker_core::{
    domain::{stamp::Stamp, token::TokenHash},
    ports::database::{Database, TokenRecord},
};

pub(crate) fn token(name: &str, hash: u8, grant: &str) -> TokenRecord {
    TokenRecord {
        name: name.to_owned(),
        hash: TokenHash([hash; 32]),
        grant: grant.to_owned(),
        expires_at: None,
    }
}

async fn replace(database: &dyn Database, tokens: &[TokenRecord], now: i64) -> Vec<Stamp> {
    database.replace_tokens(tokens, Stamp(now)).await.unwrap()
}

async fn stored(database: &dyn Database) -> Vec<(TokenRecord, Stamp)> {
    let mut tokens = database.tokens().await.unwrap();
    tokens.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    tokens
}

pub(crate) async fn every_field_of_a_token_comes_back(database: &dyn Database) {
    let mut limited = token("limited", 1, r#"{"packages":["acme/*"]}"#);
    limited.expires_at = Some("2031-02-03T04:05:06.789Z".parse().unwrap());
    let unlimited = token("unlimited \u{1f980}", 0xff, "{}");
    let given = [limited, unlimited];
    let floors = replace(database, &given, 100).await;
    let expected: Vec<(TokenRecord, Stamp)> = given.into_iter().zip(floors).collect();
    assert_eq!(stored(database).await, expected);
}

pub(crate) async fn the_tokens_are_exactly_those_given(database: &dyn Database) {
    replace(database, &[token("a", 1, "{}"), token("b", 2, "{}")], 100).await;
    replace(database, &[token("b", 2, "{}"), token("c", 3, "{}")], 100).await;
    let names: Vec<String> = stored(database)
        .await
        .into_iter()
        .map(|(token, _)| token.name)
        .collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(replace(database, &[], 100).await, []);
    assert_eq!(stored(database).await, []);
}

pub(crate) async fn floors_come_in_the_order_given(database: &dyn Database) {
    let given = [
        token("z", 1, "{}"),
        token("a", 2, "{}"),
        token("m", 3, "{}"),
    ];
    let floors = replace(database, &given, 100).await;
    let all = stored(database).await;
    for (token, floor) in given.iter().zip(&floors) {
        let (_, kept) = all
            .iter()
            .find(|(kept, _)| kept.name == token.name)
            .unwrap();
        assert_eq!(kept, floor);
    }
    let reversed: Vec<TokenRecord> = given.iter().rev().cloned().collect();
    let again = replace(database, &reversed, 500).await;
    assert_eq!(again, floors.iter().rev().copied().collect::<Vec<_>>());
}

pub(crate) async fn a_floor_moves_with_hash_and_grant_only(database: &dyn Database) {
    let floor = async |token: &TokenRecord, now| {
        replace(database, std::slice::from_ref(token), now).await[0]
    };
    let mut ci = token("ci", 1, "{}");
    let first = floor(&ci, 100).await;
    assert_eq!(floor(&ci, 500).await, first);
    ci.expires_at = Some("2031-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(floor(&ci, 500).await, first);
    assert_eq!(stored(database).await, [(ci.clone(), first)]);

    ci.hash = TokenHash([2; 32]);
    let new_hash = floor(&ci, 50).await;
    assert!(new_hash > first);
    ci.grant = "{\"packages\":[]}".to_owned();
    let new_grant = floor(&ci, 50).await;
    assert!(new_grant > new_hash);
    assert_eq!(stored(database).await, [(ci.clone(), new_grant)]);

    // A token taken away and given again is another grant.
    replace(database, &[], 50).await;
    assert!(floor(&ci, 50).await > new_grant);
    let mut both = replace(database, &[ci.clone(), token("other", 2, &ci.grant)], 50).await;
    both.dedup();
    assert_eq!(both.len(), 2, "no two tokens share a floor");
}
