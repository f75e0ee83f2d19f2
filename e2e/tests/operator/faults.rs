//! One end state, whatever happens on the way there.

use std::{
    fs,
    path::Path,
    sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    access,
    ground::Ground,
    manifests::token,
    namespaced,
    process::{Gateway, Operator},
    support::{Kube, LIMIT, OPERATOR, Team},
};

/// What users have of a release that goes.
#[test]
fn a_release_that_goes_leaves_what_users_have_and_operators_come_back() {
    let _alone = OPERATORS.write().unwrap_or_else(PoisonError::into_inner);
    if !is_installed() {
        Kube::get().upgrade(&[]).unwrap();
    }
    let team = Kube::get().namespace("left");
    let folder = tempfile::tempdir().unwrap();
    let mut ground = Ground::on_volume(&team, folder.path());
    ground.settle();

    access::check(GONE.get().copied());
    uninstall();
    ground.check();
    Kube::get()
        .run(&[
            "get",
            "customresourcedefinition",
            "packagebrokers.package.broker",
        ])
        .unwrap();

    namespaced::check(folder.path());
    ground.check();

    let gateway = Gateway::open().unwrap();
    cut_off(&team, folder.path(), &gateway);
}

fn is_installed() -> bool {
    let status = ["status", "operator", "--namespace", OPERATOR];
    Kube::get().helm(&status).unwrap().status.success()
}

/// When it was first uninstalled.
static GONE: OnceLock<Timestamp> = OnceLock::new();

fn uninstall() {
    GONE.get_or_init(Timestamp::now);
    let gone = ["uninstall", "operator", "--namespace", OPERATOR, "--wait"];
    Kube::get().helm(&gone).unwrap().success().unwrap();
}

/// Held by whoever is the only one that runs an operator, and in common by those whose operators look after one namespace
/// each.
static OPERATORS: RwLock<()> = RwLock::new(());

/// No operator is in the cluster but those of tests, which look after one namespace each.
pub(super) fn together() -> RwLockReadGuard<'static, ()> {
    loop {
        let together = OPERATORS.read().unwrap_or_else(PoisonError::into_inner);
        if !is_installed() {
            return together;
        }
        drop(together);
        let _alone = OPERATORS.write().unwrap_or_else(PoisonError::into_inner);
        if is_installed() {
            uninstall();
        }
    }
}

/// Watches that break, and an API server that does not answer: the operator goes on by itself. Its Lease is short, so
/// that these outages are to it what those of minutes are to others: it cannot be sure to lead any more.
fn cut_off(team: &Team, folder: &Path, gateway: &Gateway) {
    let mut operator = Operator::start_leading(folder, gateway).unwrap();
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
    let lost = operator.log().matches("beginning anew").count();
    assert_eq!(lost, 2, "one for each outage: {}", operator.log());
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
