//! An installation that comes about again and again, with an operator that is killed on the way: one end state each time.

use std::{fs, path::Path, time::Instant};

use anyhow::Result;
use package_broker_e2e::git::GitServer;
use serde_json::{Value, json};

use super::{
    backing::Servers,
    kills::note,
    manifests::{broker, repository, token},
    process::{Gateway, Operator, failpoints},
    support::{Team, git_server},
};

const OBJECTS: [&str; 3] = ["packagebroker/main", "accesstoken/ci", "repository/lib"];

/// A git server with one package.
pub(crate) fn source(folder: &Path) -> GitServer {
    let server = git_server(folder);
    let tree = folder.join("tree");
    fs::create_dir_all(&tree).unwrap();
    fs::write(
        tree.join("composer.json"),
        json!({"name": "acme/lib"}).to_string(),
    )
    .unwrap();
    let lib = server.create("acme/lib").unwrap();
    lib.commit("main", &tree, "first", 1).unwrap();
    lib.tag("1.0.0", "main").unwrap();
    server
}

/// An installation in a namespace of its own.
pub(crate) struct Ground<'a> {
    team: &'a Team,
    folder: &'a Path,
    servers: Option<&'a Servers>,
    source: GitServer,
    /// What there is when all is done.
    expected: Vec<String>,
}

impl<'a> Ground<'a> {
    /// One pod with a volume.
    pub(crate) fn on_volume(team: &'a Team, folder: &'a Path) -> Self {
        Self {
            team,
            folder,
            servers: None,
            source: source(&folder.join(team.name())),
            expected: Vec::new(),
        }
    }

    /// Pods over servers.
    pub(crate) fn on_servers(team: &'a Team, folder: &'a Path, servers: &'a Servers) -> Self {
        Self {
            servers: Some(servers),
            ..Self::on_volume(team, folder)
        }
    }

    /// Has the operator that is there bring it about, and notes what there is then.
    pub(crate) fn settle(&mut self) {
        self.declare();
        self.team.wait_ready(&OBJECTS).unwrap();
        self.expected = self.state();
    }

    /// Nothing is other than it was.
    pub(crate) fn check(&self) {
        assert_eq!(self.state(), self.expected);
    }

    fn declare(&self) {
        let mut documents = match self.servers {
            None => vec![broker()],
            Some(servers) => {
                let mut all = servers.secrets();
                all.push(servers.broker());
                all
            }
        };
        documents.push(token("ci"));
        documents.push(repository("lib", &self.source.url("acme/lib")));
        self.team.apply(&documents).unwrap();
    }

    /// Brought about once, and then again and again with an operator that is killed, at every place between two steps.
    pub(crate) fn killed_everywhere(&mut self, gateway: &Gateway) {
        let mut operator = self.operator(gateway, None).unwrap();
        self.settle();
        operator.kill();
        let of_these = |installation: &str| match self.servers {
            None => ["both", "volume"].contains(&installation),
            Some(_) => ["servers", "sync-requested", "database-lost"].contains(&installation),
        };
        let points = failpoints();
        assert!(points.len() >= 25, "{points:?}");
        for (installation, point) in points.iter().filter(|(of, _)| of_these(of)) {
            let began = Instant::now();
            self.clear();
            self.declare();
            match installation.as_str() {
                "sync-requested" => self.after_a_while(gateway, || {
                    let servers = self.servers.unwrap();
                    let ask = "INSERT INTO sync_requests (repository) VALUES ('lib'); NOTIFY package_broker_sync_requests";
                    servers.sql(ask).unwrap();
                }),
                "database-lost" => self.after_a_while(gateway, || {
                    let servers = self.servers.unwrap();
                    servers.drop_database();
                    servers.create_database();
                }),
                _ => {}
            }
            self.killed_at(gateway, point);
            println!(
                "killed at {point:28} one end state after {:.1} s",
                began.elapsed().as_secs_f64()
            );
        }
    }

    /// An operator that ends at a place if one is named.
    fn operator(&self, gateway: &Gateway, place: Option<&str>) -> Result<Operator> {
        Operator::start((self.folder, gateway), self.team.name(), place)
    }

    /// What happens to an installation that has come about, while no operator is there.
    fn after_a_while(&self, gateway: &Gateway, happens: impl Fn()) {
        let mut operator = self.operator(gateway, None).unwrap();
        self.team.wait_ready(&OBJECTS).unwrap();
        operator.kill();
        happens();
    }

    fn killed_at(&self, gateway: &Gateway, point: &str) {
        let team = self.team;
        let mut killed = self.operator(gateway, Some(point)).unwrap();
        let status = Team::wait_for(point, || killed.ended());
        let status = status.unwrap_or_else(|error| panic!("{error}\n{}", killed.log()));
        assert_eq!(status.code(), Some(137), "{point}: {}", killed.log());
        note(point);
        let mut next = self.operator(gateway, None).unwrap();
        if let Err(error) = team.wait_ready(&OBJECTS) {
            panic!("{point}: {error}\n{}", next.log());
        }
        let settled = Team::wait_for("the end state", || {
            Ok((self.state() == self.expected).then_some(()))
        });
        assert!(
            settled.is_ok(),
            "{point}: {:#?}\nnot {:#?}\n{}",
            self.state(),
            self.expected,
            next.log()
        );
        team.check_kstatus().unwrap();
        next.kill();
    }

    /// Back to nothing.
    fn clear(&self) {
        let team = self.team;
        team.kubectl(&[
            "delete",
            "package-broker,secrets,persistentvolumeclaims",
            "--all",
            "--wait",
        ])
        .unwrap();
        Team::wait_for("the end of the pods", || {
            let pods = team.kubectl(&["get", "pods,jobs", "--output=name"])?;
            Ok(pods.trim().is_empty().then_some(()))
        })
        .unwrap();
        if let Some(servers) = self.servers {
            servers.drop_database();
            servers.create_database();
        }
    }

    /// What there is, without what differs from one time to the next.
    fn state(&self) -> Vec<String> {
        let text = self
            .team
            .kubectl(&[
                "get",
                "deployments,replicasets,jobs,pods,services,configmaps,secrets,persistentvolumeclaims,package-broker",
                "--output=json",
            ])
            .unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        let told = |object: &Value| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            // The names of pods, their sets and Jobs end in what is another each time.
            let name = match object["kind"].as_str() {
                Some("Pod" | "ReplicaSet" | "Job") => name.split('-').next().unwrap_or_default(),
                _ => name,
            };
            let conditions = object["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let ready = conditions.iter().find(|one| one["type"] == "Ready");
            let ready = ready.map_or(String::new(), |one| one["status"].to_string());
            format!("{} {name} {ready}", object["kind"])
        };
        let mut all: Vec<String> = list["items"].as_array().unwrap().iter().map(told).collect();
        all.sort();
        all
    }
}
