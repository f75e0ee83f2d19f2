//! Things done once, killed at moments spread over the time that they take.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use package_broker_e2e::broker::Broker;
use package_broker_e2e::git::GitRepository;
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::tree::PackageTree;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::observer::Observer;
use crate::support::registry::{Registry, manifests};
use crate::support::upstream::Upstream;

const PACKAGE: &str = "acme/lib";

/// A manifest file, and a data folder for each moment.
struct Starts {
    folder: TempDir,
    whole: Duration,
}

impl Starts {
    /// Measures how long it takes from nothing until [`PACKAGE`] is listed.
    fn of(manifests: &Manifests) -> Self {
        let folder = tempfile::tempdir().unwrap();
        manifests
            .write_file(&folder.path().join("manifests.yaml"))
            .unwrap();
        let mut starts = Self {
            folder,
            whole: Duration::ZERO,
        };
        let begun = Instant::now();
        drop(starts.start(&starts.folder.path().join("whole")));
        starts.whole = begun.elapsed();
        starts
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("manifests.yaml")
    }

    fn start(&self, data: &Path) -> Broker {
        let mut broker = Broker::start(&self.file(), data).unwrap();
        let listed = broker.wait_for_packages(Manifests::TOKEN, [PACKAGE], PATIENCE);
        listed.unwrap_or_else(|error| panic!("{error:#}"));
        broker
    }

    /// The data folder of a start that was killed after that part of the time.
    fn kill_at(&self, moment: u32, of: u32) -> PathBuf {
        println!("killed at {moment}/{of} of {:?}", self.whole);
        let data = self.folder.path().join(format!("data{moment}"));
        let mut starting = Broker::spawn(&self.file(), &data).unwrap();
        thread::sleep(self.whole * moment / of);
        starting.kill();
        data
    }
}

/// The token that a broker made, if it was done with that.
fn token(data: &Path) -> Option<String> {
    let file = data.join("tokens").join(Manifests::TOKEN).join("auth.json");
    let document: Value = serde_json::from_slice(&fs::read(file).ok()?).unwrap();
    let entry = document["http-basic"].as_object().unwrap().values().next();
    Some(entry.unwrap()["password"].as_str().unwrap().to_owned())
}

#[test]
fn a_first_start_that_was_killed_is_taken_up_by_the_next() {
    const MOMENTS: u32 = 5;
    let upstream = Upstream::listed();
    upstream.release(PACKAGE, "1.0.0");
    let url = upstream.url();
    let all = Manifests::on_loopback().repository("team", "composer", &url, &json!({}));
    let starts = Starts::of(&all);
    for moment in 0..MOMENTS {
        let data = starts.kill_at(moment, MOMENTS);
        let made = token(&data);
        drop(starts.start(&data));
        // Somebody may have copied it already.
        assert!(made.is_none() || made == token(&data), "moment {moment}");
    }
}

#[test]
fn a_git_mirror_that_was_killed_is_taken_up_by_the_next() {
    const MOMENTS: u32 = 4;
    const TAGS: u64 = 16;
    let folder = tempfile::tempdir().unwrap();
    let repository = GitRepository::create(&folder.path().join("lib.git")).unwrap();
    let tree = folder.path().join("tree");
    for day in 0..TAGS {
        let version = format!("1.{day}.0");
        let class = "Acme\\Lib\\Greeter";
        PackageTree::write(&tree, PACKAGE, &version, class, &json!({})).unwrap();
        repository.commit("main", &tree, &version, day).unwrap();
        repository.tag(&version, "main").unwrap();
    }
    let url = repository.file_url();
    let all = Manifests::on_loopback().repository("lib", "git", &url, &json!({}));
    let starts = Starts::of(&all);
    for moment in 1..=MOMENTS {
        let data = starts.kill_at(moment, MOMENTS);
        let broker = starts.start(&data);
        let document = broker.get(Manifests::TOKEN, "/p2/acme/lib.json").unwrap();
        let document = document.json().unwrap();
        let versions = document["packages"][PACKAGE].as_array().unwrap();
        assert_eq!(versions.len() as u64, TAGS, "moment {moment}");
        let url = versions[0]["dist"]["url"].as_str().unwrap();
        let reference = versions[0]["dist"]["reference"].as_str().unwrap();
        let path = url.strip_prefix(broker.url()).unwrap();
        let path = path.replace("%reference%", reference);
        let archive = broker.get(Manifests::TOKEN, &path).unwrap();
        assert_eq!(archive.status, 200, "{path}: {}", archive.text());
        assert!(archive.body.starts_with(b"PK"), "moment {moment}");
    }
}

/// Every document has to be rendered anew, with another date.
#[test]
fn a_new_public_url_that_was_killed_is_taken_up_by_the_next() {
    const MOMENTS: u32 = 4;
    let upstream = Upstream::listed();
    let names: Vec<String> = (0..60).map(|number| format!("acme/lib{number}")).collect();
    for name in &names {
        upstream.release(name, "1.0.0");
    }
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    let mut registry = Registry::start(&all);
    let mut observer = Observer::default();
    let mut whole = Duration::ZERO;
    for moment in 0..=MOMENTS {
        let url = format!("https://moment{moment}.example.com");
        let public = json!({"externalUrl": url});
        let changed = all
            .clone()
            .patched("PackageBroker", Manifests::BROKER, &public);
        registry.broker.kill();
        changed.write_file(&registry.file()).unwrap();
        if moment > 0 {
            let mut starting = Broker::spawn(&registry.file(), &registry.data()).unwrap();
            thread::sleep(whole * moment / MOMENTS);
            starting.kill();
        }
        let begun = Instant::now();
        registry.start_again();
        whole = whole.max(begun.elapsed());
        for name in &names {
            observer.look(&registry, "all", &format!("/p2/{name}.json"));
            let entry = &registry.document("all", name)[0];
            let dist = entry["dist"]["url"].as_str().unwrap();
            assert!(dist.starts_with(&url), "moment {moment}: {dist}");
        }
    }
}
