//! Servers that belong together: a master with its replica and a Sentinel, and a cluster.

use super::*;

fn cluster_url(nodes: &[RedisServer]) -> String {
    let hosts: Vec<String> = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port))
        .collect();
    format!("redis+cluster://{}", hosts.join(","))
}

async fn held() -> Held {
    let nodes = RedisServer::cluster("");
    Held {
        cache: open(cluster_url(&nodes)).await,
        _servers: nodes,
    }
}

promises!(
    held().await,
    counting::events_are_counted_by_key,
    counting::a_window_ends_and_the_next_event_opens_another,
    counting::none_of_many_events_at_once_is_lost,
    taking::a_bucket_is_emptied_one_by_one,
    taking::another_quota_finds_the_same_share_taken,
    taking::keys_have_buckets_and_counters_of_their_own,
    taking::none_of_many_takers_at_once_gets_too_much,
    taking::who_waits_as_told_gets_one,
    word::a_change_reaches_every_receiver_in_order,
    word::a_receiver_hears_of_changes_from_then_on,
);

#[tokio::test]
async fn the_master_that_sentinel_elects_is_followed() {
    let user = format!("user broker on >s3cret {RIGHTS} +role\n");
    let mut master = RedisServer::with_password("pw", &user);
    let replica = RedisServer::with_password(
        "pw",
        &format!("replicaof 127.0.0.1 {}\n{user}", master.port),
    );
    replica.wait_for("INFO replication", "master_link_status:up");
    let sentinel = RedisServer::sentinel("other", &master);
    sentinel.wait_for("SENTINEL REPLICAS main", &replica.port.to_string());
    // One of the Sentinels is down.
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", free_port(), sentinel.port);
    let mut options = Options::new(format!(
        "redis+sentinel://broker:s3cret@{hosts}/2?master=main"
    ));
    options.sentinel_password = Some("other".into());
    let cache = Redis::open(options).await.unwrap();
    assert_eq!(count_again(&cache, "a").await, 1);
    assert!(master.command("INFO keyspace").contains("db2"));
    replica.wait_for("INFO keyspace", "db2");

    let mut changes = cache.changes();
    master.stop();
    count_until_it_fails(&cache).await;
    assert_eq!(count_again(&cache, "a").await, 2);
    hear_everything(&mut changes).await;
    cache.announce(packages(1)).await.unwrap();
    while next(&mut changes).await.unwrap() != packages(1) {}
    assert!(replica.command("INFO replication").contains("role:master"));
}

#[tokio::test]
async fn nodes_of_a_cluster_share_counters_and_words() {
    let user = format!("user broker on >s3cret {RIGHTS} +ping +asking +cluster|slots\n");
    let nodes = RedisServer::cluster(&user);
    let with_user = cluster_url(&nodes[1..2]).replace("://", "://broker:s3cret@");
    let (one, two) = (open(cluster_url(&nodes)).await, open(with_user).await);
    let mut heard_by_two = two.changes();
    for number in 0..50 {
        let key = format!("key {number} {{tag}}");
        assert_eq!(one.count(&key, HOUR).await.unwrap(), 1);
        assert_eq!(two.count(&key, HOUR).await.unwrap(), 2);
        let quota = Quota::per_hour(60);
        assert_eq!(one.take(&key, quota).await.unwrap().remaining, 59);
        assert_eq!(two.take(&key, quota).await.unwrap().remaining, 58);
    }
    for node in &nodes {
        assert!(
            node.command("INFO keyspace").contains("db0:keys="),
            "all nodes have a share"
        );
    }
    for number in 0..20 {
        one.announce(packages(number)).await.unwrap();
        assert_eq!(next(&mut heard_by_two).await, Ok(packages(number)));
    }
}

#[tokio::test]
async fn a_cluster_that_misses_a_node_for_a_while_is_used_on() {
    let mut nodes = RedisServer::cluster("");
    let cache = open(cluster_url(&nodes)).await;
    let mut changes = cache.changes();
    nodes[1].pause();
    let deadline = Instant::now() + PATIENCE;
    let mut number = 0;
    while cache.count(&format!("key {number}"), HOUR).await.is_ok() {
        assert!(Instant::now() < deadline, "no key belongs to the node");
        number += 1;
    }
    nodes[1].resume();
    count_again(&cache, &format!("key {number}")).await;
    hear_everything(&mut changes).await;
    nodes.clear();
}
