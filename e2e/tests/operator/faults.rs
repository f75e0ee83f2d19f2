//! One end state, whatever happens on the way there.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use package_broker_e2e::git::GitServer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{
    manifests::{broker, repository, token},
    process::{Gateway, Operator, failpoints},
    support::{Kube, LIMIT, OPERATOR, Team, git_server},
};

/// A git server with one package.
fn source(folder: &Path) -> GitServer {
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

/// What there is of an installation, without what differs from one to the next.
fn end_state(team: &Team) -> Vec<String> {
    let text = team
        .kubectl(&[
            "get",
            "deployments,replicasets,pods,services,secrets,persistentvolumeclaims,package-broker",
            "--output=json",
        ])
        .unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let told = |object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        // The names of pods and their sets end in something random.
        let name = match object["kind"].as_str() {
            Some("Pod" | "ReplicaSet") => name.split('-').next().unwrap_or_default(),
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

/// What users have of a release that goes.
#[test]
fn a_release_that_goes_leaves_what_users_have_and_operators_come_back() {
    let team = Kube::get().namespace("killed");
    let folder = tempfile::tempdir().unwrap();
    let server = source(folder.path());
    let documents = |team: &Team| {
        let url = server.url("acme/lib");
        team.apply(&[broker(), token("ci"), repository("lib", &url)])
            .unwrap();
    };
    documents(&team);
    let objects = ["packagebroker/main", "accesstoken/ci", "repository/lib"];
    team.wait_ready(&objects).unwrap();
    let expected = end_state(&team);

    let gone = ["uninstall", "operator", "--namespace", OPERATOR, "--wait"];
    Kube::get().helm(&gone).unwrap().success().unwrap();
    assert_eq!(end_state(&team), expected);
    Kube::get()
        .run(&[
            "get",
            "customresourcedefinition",
            "packagebrokers.package.broker",
        ])
        .unwrap();

    let gateway = Gateway::open().unwrap();
    killed_everywhere(&team, folder.path(), &gateway, &documents, &expected);
    cut_off(&team, folder.path(), &gateway);
}

/// Killed at every place between two steps, each time on the way from nothing to everything.
fn killed_everywhere(
    team: &Team,
    folder: &Path,
    gateway: &Gateway,
    documents: &dyn Fn(&Team),
    expected: &[String],
) {
    let points = failpoints();
    assert!(points.len() >= 16, "{points:?}");
    for point in &points {
        team.kubectl(&[
            "delete",
            "package-broker,secrets,persistentvolumeclaims",
            "--all",
            "--wait",
        ])
        .unwrap();
        Team::wait_for("the end of the pods", || {
            let pods = team.kubectl(&["get", "pods", "--output=name"])?;
            Ok(pods.trim().is_empty().then_some(()))
        })
        .unwrap();
        documents(team);
        let began = Instant::now();
        let mut killed = Operator::start(folder, gateway, Some(point)).unwrap();
        let status = Team::wait_for(point, || killed.ended()).unwrap();
        assert_eq!(status.code(), Some(137), "{point}: {}", killed.log());
        let mut next = Operator::start(folder, gateway, None).unwrap();
        if let Err(error) =
            team.wait_ready(&["packagebroker/main", "accesstoken/ci", "repository/lib"])
        {
            panic!("{point}: {error}\n{}", next.log());
        }
        Team::wait_for("the end state", || {
            Ok((end_state(team) == expected).then_some(()))
        })
        .with_context(|| format!("{point}: {:?}", end_state(team)))
        .unwrap();
        team.check_kstatus().unwrap();
        next.kill();
        println!(
            "killed at {point:28} one end state after {:.1} s",
            began.elapsed().as_secs_f64()
        );
    }
}

/// Watches that break, and an API server that does not answer: the operator goes on by itself.
fn cut_off(team: &Team, folder: &Path, gateway: &Gateway) {
    let mut operator = Operator::start(folder, gateway, None).unwrap();
    team.apply(&[token("before")]).unwrap();
    team.wait_ready(&["accesstoken/before"]).unwrap();
    for round in 0..5 {
        gateway.cut();
        thread::sleep(Duration::from_millis(300));
        gateway.mend();
        let name = format!("after-{round}");
        team.apply(&[token(&name)]).unwrap();
        ready_soon(team, &name, &operator).unwrap();
    }
    gateway.cut();
    team.apply(&[token("meanwhile")]).unwrap();
    thread::sleep(Duration::from_secs(20));
    gateway.mend();
    ready_soon(team, "meanwhile", &operator).unwrap();
    let server = api_server().unwrap();
    kill_process(server, Signal::STOP).unwrap();
    thread::sleep(Duration::from_secs(20));
    kill_process(server, Signal::CONT).unwrap();
    team.apply(&[token("later")]).unwrap();
    ready_soon(team, "later", &operator).unwrap();
    assert_eq!(operator.ended().unwrap(), None, "{}", operator.log());
    team.check_kstatus().unwrap();
    operator.kill();
}

fn ready_soon(team: &Team, name: &str, operator: &Operator) -> Result<()> {
    let began = Instant::now();
    team.wait_ready(&[&format!("accesstoken/{name}")])
        .with_context(|| operator.log())?;
    println!(
        "{name:10} ready {:.1} s after it was applied",
        began.elapsed().as_secs_f64()
    );
    ensure!(began.elapsed() < LIMIT);
    Ok(())
}

/// The process of the API server, which our own harness started.
fn api_server() -> Result<Pid> {
    let kubeconfig = std::env::var("E2E_KUBECONFIG")?;
    let folder = Path::new(&kubeconfig).parent().context("no folder")?;
    let id: i32 = fs::read_to_string(folder.join("logs/kube-apiserver.pid"))?
        .trim()
        .parse()?;
    Pid::from_raw(id).context("no process")
}
