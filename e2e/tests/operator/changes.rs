//! What users change of a registry, made with an operator that is killed on the way: see [`super::kills`].

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use package_broker_e2e::git::GitServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    backing::Servers,
    faults::together,
    ground::{Ground, source},
    kills::{Change, Kills, Stage, finished},
    manifests::{broker, definition, repository, token, with},
    mirror::Mirror,
    process::Gateway,
    support::{Kube, Team},
};

#[test]
fn what_is_made_on_a_volume_comes_to_one_end_wherever_the_operator_is_killed() {
    let _together = together();
    let (team, folder) = (Kube::get().namespace("made"), tempfile::tempdir().unwrap());
    let gateway = Gateway::open().unwrap();
    Ground::on_volume(&team, folder.path()).killed_everywhere(&gateway);
    finished("made on a volume");
}

#[test]
fn what_is_made_on_servers_comes_to_one_end_wherever_the_operator_is_killed() {
    let _together = together();
    let (team, folder) = (
        Kube::get().namespace("made-on-servers"),
        tempfile::tempdir().unwrap(),
    );
    let (gateway, servers) = (Gateway::open().unwrap(), Servers::start());
    Ground::on_servers(&team, folder.path(), &servers).killed_everywhere(&gateway);
    finished("made on servers");
}

#[test]
fn changes_on_a_volume_come_to_one_end_wherever_the_operator_is_killed() {
    let _together = together();
    let (team, folder) = (
        Kube::get().namespace("changed"),
        tempfile::tempdir().unwrap(),
    );
    let gateway = Gateway::open().unwrap();
    let source = source(&folder.path().join("git"));
    team.apply(&declared(broker(), &source)).unwrap();
    // What stands around pods is made in the same way as for those on servers.
    let stage = Stage::new(&team, folder.path(), &gateway, None);
    rotation(&stage, &team, Kills::OnTheWay);
    members(&stage, &team, &source, Kills::OnTheWay);
    finished("on a volume");
}

#[test]
fn members_on_servers_come_to_one_end_wherever_the_operator_is_killed() {
    let _together = together();
    let ground = OnServers::prepare("changed-on-servers");
    let stage = ground.stage();
    rotation(&stage, &ground.team, Kills::Everywhere);
    members(&stage, &ground.team, &ground.source, Kills::Everywhere);
    finished("members");
}

#[test]
fn a_broker_goes_first_and_comes_to_one_end_wherever_the_operator_is_killed() {
    let _together = together();
    let ground = OnServers::prepare("broker-first");
    broker_first(&ground.stage(), &ground);
    finished("a broker first");
}

#[test]
fn an_upgrade_comes_to_one_end_wherever_the_operator_is_killed() {
    let _together = together();
    let ground = OnServers::prepare("upgraded");
    upgrade(&ground.stage(), &ground.team);
    finished("an upgrade");
}

#[test]
fn what_stands_around_pods_comes_to_one_end_wherever_the_operator_is_killed() {
    let _together = together();
    let ground = OnServers::prepare("surrounded");
    let stage = ground.stage();
    let scaled = json!({"replicas": null, "autoscaling": {"minReplicas": 2, "maxReplicas": 3}});
    let single = json!({"replicas": 1, "autoscaling": null});
    surroundings(&stage, &ground.team, &single, &scaled);
    finished("surroundings");
}

#[test]
fn namespaces_go_and_come_to_one_end_wherever_the_operator_is_killed() {
    let _together = together();
    let ground = OnServers::prepare("going");
    let (kube, name) = (Kube::get(), ground.team.name());
    let gone = Change {
        name: "a namespace goes",
        make: Box::new(|| {
            kube.run(&["delete", "namespace", name, "--timeout=150s"])
                .unwrap();
            // What is in the database outlives it, and the keys to it do not. Which rows these are depends on what goes first.
            ground.servers.drop_database();
            ground.servers.create_database();
        }),
        is_done: Box::new(|| true),
    };
    let back = Change {
        name: "a namespace comes",
        make: Box::new(|| {
            kube.run(&["create", "namespace", name]).unwrap();
            ground.team.apply(&ground.all()).unwrap();
        }),
        is_done: Box::new(|| are_ready(&ground.team, &ALL)),
    };
    ground.stage().killed(Kills::OnTheWay, [gone, back]);
    finished("of namespaces");
}

/// An installation on servers, with one pod.
struct OnServers {
    team: Team,
    folder: TempDir,
    gateway: Gateway,
    servers: Servers,
    source: GitServer,
}

impl OnServers {
    fn prepare(namespace: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ground = Self {
            team: Kube::get().namespace(namespace),
            gateway: Gateway::open().unwrap(),
            servers: Servers::start(),
            source: source(&folder.path().join("git")),
            folder,
        };
        ground.team.apply(&ground.all()).unwrap();
        ground
    }

    fn main(&self) -> Value {
        with(self.servers.broker(), &json!({"replicas": 1}))
    }

    fn all(&self) -> Vec<Value> {
        let mut all = self.servers.secrets();
        all.extend(declared(self.main(), &self.source));
        all
    }

    fn stage(&self) -> Stage<'_> {
        let servers = Some(&self.servers);
        Stage::new(&self.team, self.folder.path(), &self.gateway, servers)
    }
}

const ALL: [[&str; 2]; 3] = [
    ["packagebroker", "main"],
    ["accesstoken", "ci"],
    ["repository", "lib"],
];

fn declared(broker: Value, source: &GitServer) -> Vec<Value> {
    let rotation = json!({"rotation": {"interval": "2h", "overlap": "1h"}});
    vec![
        broker,
        with(token("ci"), &rotation),
        repository("lib", &source.url("acme/lib")),
    ]
}

/// Whether all of these are ready, as they are declared now.
fn are_ready(team: &Team, objects: &[[&str; 2]]) -> bool {
    objects.iter().all(|[kind, name]| {
        let Ok(object) = team.get(kind, name) else {
            return false;
        };
        let conditions = object["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        object["status"]["observedGeneration"] == object["metadata"]["generation"]
            && conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
    })
}

fn is_there(team: &Team, kind: &str, name: &str) -> bool {
    team.attempt(&["get", kind, name]).unwrap().status.success()
}

fn patch(team: &Team, spec: &Value) {
    team.patch(["packagebroker", "main"], &json!({"spec": spec}))
        .unwrap();
}

fn annotate(team: &Team, object: &str, key: &str, time: Timestamp) {
    let annotation = format!("{key}={time}");
    team.kubectl(&["annotate", "--overwrite", object, &annotation])
        .unwrap();
}

/// A token is replaced because somebody asks, which ends the one before; and because of its age, which does not.
fn rotation(stage: &Stage<'_>, team: &Team, kills: Kills) {
    let password = || team.get("secret", "ci").unwrap()["data"]["password"].to_string();
    let before = RefCell::new(String::new());
    let is_another = || password() != *before.borrow() && are_ready(team, &ALL);
    let asked = Change {
        name: "a token is asked for",
        make: Box::new(|| {
            before.replace(password());
            annotate(
                team,
                "accesstoken/ci",
                "package.broker/rotate-requested-at",
                Timestamp::now(),
            );
        }),
        is_done: Box::new(is_another),
    };
    let aged = Change {
        name: "a token is old",
        make: Box::new(|| {
            before.replace(password());
            let then = Timestamp::now() - SignedDuration::from_hours(3);
            annotate(team, "secret/ci", "package.broker/issued-at", then);
        }),
        is_done: Box::new(is_another),
    };
    stage.killed(kills, [asked, aged]);
}

/// A token and a repository go and come.
fn members<'a>(stage: &Stage<'a>, team: &'a Team, source: &'a GitServer, kills: Kills) {
    let (extra, other) = (token("extra"), repository("other", &source.url("acme/lib")));
    team.apply(&[extra.clone(), other.clone()]).unwrap();
    let gone = Change {
        name: "members go",
        make: Box::new(|| {
            team.kubectl(&["delete", "accesstoken/extra", "repository/other"])
                .unwrap();
        }),
        is_done: Box::new(|| !is_there(team, "secret", "extra")),
    };
    let back = Change {
        name: "members come",
        make: Box::new(move || team.apply(&[extra.clone(), other.clone()]).unwrap()),
        is_done: Box::new(|| are_ready(team, &[["accesstoken", "extra"], ["repository", "other"]])),
    };
    stage.killed(kills, [gone, back]);
}

fn upgrade(stage: &Stage<'_>, team: &Team) {
    let to = |name: &'static str, tag: &'static str| Change {
        name,
        make: Box::new(move || patch(team, &json!({"image": {"tag": tag}}))),
        is_done: Box::new(move || {
            let object = team.get("packagebroker", "main").unwrap();
            let image = object["status"]["image"].as_str().unwrap_or_default();
            image.ends_with(&format!(":{tag}")) && are_ready(team, &ALL)
        }),
    };
    let (there, back) = (to("an upgrade", "e2e-next"), to("another", "e2e"));
    // The tag is written out in both.
    patch(team, &json!({"image": {"tag": "e2e"}}));
    // The way back is another upgrade.
    stage.killed(Kills::OnTheWay, [there, back]);
}

/// All that can stand around pods comes and goes: with an ingress, and with a route.
fn surroundings<'a>(stage: &Stage<'a>, team: &'a Team, less: &Value, more: &Value) {
    let definitions = [
        definition("gateway.networking.k8s.io", "HTTPRoute"),
        definition("monitoring.coreos.com", "ServiceMonitor"),
    ];
    team.apply(&definitions).unwrap();
    let known = ["wait", "--for=condition=Established", "--timeout=60s"];
    let names = definitions.each_ref().map(|definition| {
        let name = definition["metadata"]["name"].as_str().unwrap();
        format!("customresourcedefinition/{name}")
    });
    let names = names.each_ref().map(String::as_str);
    team.kubectl(&[&known[..], &names[..]].concat()).unwrap();
    Mirror::get().also("apis/gateway.networking.k8s.io/v1/httproutes");
    Mirror::get().also("apis/monitoring.coreos.com/v1/servicemonitors");
    let with_all = |expose: Value| {
        let mut spec = json!({
            "expose": expose,
            "networkPolicy": {"enabled": true}, "monitoring": {"serviceMonitor": true},
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        spec
    };
    // In both, so that pods need not be replaced: that they are is for the upgrade.
    let url = json!({"externalUrl": "http://packages.example.com/composer"});
    patch(team, &url);
    let mut without = json!({"expose": null, "networkPolicy": null, "monitoring": null});
    for (field, value) in less.as_object().into_iter().flatten() {
        without[field] = value.clone();
    }
    let gateway = json!({"gateway": {"parentRefs": [{"name": "public"}]}, "ingress": null});
    for (name, expose, kind) in [
        (
            "an ingress and all else",
            json!({"ingress": {}, "gateway": null}),
            "ingress",
        ),
        ("a route and all else", gateway, "httproute"),
    ] {
        let (spec, bare) = (with_all(expose), without.clone());
        let there = Change {
            name,
            make: Box::new(move || patch(team, &spec)),
            is_done: Box::new(move || are_ready(team, &ALL) && is_there(team, kind, "main")),
        };
        let back = Change {
            name: "nothing around",
            make: Box::new(move || patch(team, &bare)),
            is_done: Box::new(move || are_ready(team, &ALL) && !is_there(team, kind, "main")),
        };
        // All of it goes in the same way, whatever it was.
        let kills = if kind == "ingress" {
            Kills::Everywhere
        } else {
            Kills::WhereNew
        };
        stage.killed(kills, [there, back]);
    }
}

/// How many are connected to the database besides us.
fn connections(servers: &Servers) -> usize {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    servers.sql(count).unwrap().trim().parse().unwrap()
}

/// A broker goes before what belongs to it, and comes back. What is gone keeps no connection.
fn broker_first(stage: &Stage<'_>, ground: &OnServers) {
    let team = &ground.team;
    let is_missed = |kind: &str, name: &str| {
        let object = team.get(kind, name).unwrap();
        object["status"].to_string().contains("NotFound")
    };
    let gone = Change {
        name: "a broker goes",
        make: Box::new(|| {
            team.kubectl(&["delete", "packagebroker", "main"]).unwrap();
        }),
        is_done: Box::new(|| {
            !is_there(team, "deployment", "main")
                && is_missed("repository", "lib")
                && is_missed("accesstoken", "ci")
                && connections(&ground.servers) == 0
        }),
    };
    let back = Change {
        name: "a broker comes",
        make: Box::new(|| team.apply(&[ground.main()]).unwrap()),
        is_done: Box::new(|| are_ready(team, &ALL)),
    };
    stage.killed(Kills::Everywhere, [gone, back]);
}
