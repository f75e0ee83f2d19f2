//! Sources that change under a running broker: their address, their credentials, their files.

use std::fs;
use std::path::Path;

use package_broker_e2e::broker::Broker;
use package_broker_e2e::http::Response;
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::{LIB, LOG, ROOT, TOOL, World};
use crate::support::hammer::{Client, while_asked};
use crate::support::registry::basic;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, eventually, json as json_of};

#[test]
fn a_repository_that_moves_is_served_as_before_until_it_is_read() {
    let mut world = World::start(|all| all);
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    upstream.release("acme/lib", "2.0.0");
    let clients = world.readers();
    let seen = while_asked(&mut world.registry, &clients, |registry| {
        registry.patch("Repository", "team", &json!({"url": upstream.url()}));
        eventually("the new version", || {
            (registry.document("all", "acme/lib").len() == 2).then_some(())
        });
        eventually("the end of the sync", || {
            let list = json_of(&registry.get("all", "/list.json"));
            (list["packageNames"] == json!(["acme/lib", "globex/tool"])).then_some(())
        });
    });
    seen.assert_told("all", LIB, &["200 1.0.0", "200 2.0.0 1.0.0"]);
    seen.assert_told("all", LOG, &["200 1.0.0", "200"]);
    seen.assert_told("all", TOOL, &["200 1.0.0"]);
    // Lock files that name them still install.
    for path in [&world.lib, &world.log, &world.tool] {
        seen.assert_told("all", path, &["200 PK"]);
    }
}

#[test]
fn new_credentials_of_a_source_are_used_at_once() {
    let upstream = Upstream::listed();
    upstream.release("initech/kit", "1.0.0");
    let demand = |password: &'static str| {
        upstream.disturb("/", move |request, response| {
            if request.header("authorization") == Some(&basic("deploy", password)) {
                response
            } else {
                Response::new(401, "text/plain", "who are you?")
            }
        });
    };
    let login = |password| json!({"username": "deploy", "password": password});
    demand("old");
    let private = json!({
        "packages": {"include": ["initech/*"]},
        "credentialsSecretRef": {"name": "upstream"},
    });
    let mut world = World::start(|all| {
        all.secret("upstream", &login("old")).repository(
            "private",
            "composer",
            &upstream.url(),
            &private,
        )
    });
    upstream.release("initech/kit", "1.1.0");
    demand("new");
    let mut clients = world.readers();
    clients.push(Client::new("all", &["/p2/initech/kit.json"]));
    let seen = while_asked(&mut world.registry, &clients, |registry| {
        let rotated = registry.manifests().clone();
        registry.edit(&rotated.secret("upstream", &login("new")));
        eventually("the new version", || {
            (registry.document("all", "initech/kit").len() == 2).then_some(())
        });
    });
    let kit = ["200 1.0.0", "200 1.1.0 1.0.0"];
    seen.assert_told("all", "/p2/initech/kit.json", &kit);
    let root = "200 acme/lib acme/log globex/tool initech/kit";
    seen.assert_told("all", ROOT, &[root]);
    assert!(!world.registry.broker.log().contains("who are you?"));
}

/// A `Repository` in a file of its own, as people write them.
fn write_repository(file: &Path, upstream: &Upstream) {
    let text = format!(
        "# the packages of Globex\napiVersion: package.broker/v1alpha1\nkind: Repository\nmetadata: {{name: other}}\n\
         spec:\n  brokerRef: {{name: {}}}\n  type: composer\n  url: {}\n",
        Manifests::BROKER,
        upstream.url(),
    );
    fs::write(file, text).unwrap();
}

#[test]
fn files_that_come_and_go_in_a_folder_are_taken_up() {
    let upstreams = [Upstream::listed(), Upstream::listed()];
    upstreams[0].release("acme/lib", "1.0.0");
    upstreams[1].release("globex/tool", "1.0.0");
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("manifests");
    Manifests::on_loopback()
        .repository("team", "composer", &upstreams[0].url(), &json!({}))
        .write(&manifests)
        .unwrap();
    let mut broker = Broker::start(&manifests, &folder.path().join("data")).unwrap();
    broker
        .wait_for_packages(Manifests::TOKEN, ["acme/lib"], PATIENCE)
        .unwrap();
    // What is no manifest is not looked at.
    fs::write(manifests.join("notes.txt"), "kind: [").unwrap();
    fs::write(manifests.join(".hidden.yaml"), "kind: [").unwrap();
    let file = manifests.join("other.yaml");
    write_repository(&file, &upstreams[1]);
    broker
        .wait_for_packages(Manifests::TOKEN, ["globex/tool"], PATIENCE)
        .unwrap();
    fs::remove_file(&file).unwrap();
    eventually("the end of globex/tool", || {
        let list = json_of(&broker.get(Manifests::TOKEN, "/list.json").unwrap());
        (list["packageNames"] == json!(["acme/lib"])).then_some(())
    });
    assert!(!broker.log().contains("ERROR"), "{}", broker.log());
}
