//! Follows docs/replicas.md: every block of it, in its order, with nothing changed but places.

use std::fs;
use std::path::Path;
use std::process::Command;

use package_broker_e2e::archive::zip_artifact;
use package_broker_e2e::http::get;
use package_broker_e2e::postgres::Postgres;
use package_broker_e2e::process::{ChildGroup, Finished, run, tethered};
use package_broker_e2e::tree::PackageTree;
use serde_json::json;

use crate::servers::redis::RedisServer;
use crate::servers::s3::S3Server;
use crate::support::proxy::{preamble, start, temporary};
use crate::support::{PATIENCE, eventually};

const PAGE: &str = include_str!("../../../../docs/replicas.md");

/// A block of code of the page.
struct Block {
    language: &'static str,
    text: String,
}

/// The blocks of the page, with each place in it replaced by one of this test.
fn blocks(places: &[(&str, String)]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = PAGE;
    while let Some((_, block)) = rest.split_once("\n```") {
        let (language, block) = block.split_once('\n').unwrap();
        let (text, after) = block.split_once("\n```\n").unwrap();
        let mut text = text.to_owned();
        for (place, here) in places {
            text = text.replace(place, here);
        }
        blocks.push(Block { language, text });
        rest = after;
    }
    blocks
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A command line of the page, in a folder.
fn shell(folder: &Path, text: &str) -> Command {
    let program = package_broker_e2e::broker::binary().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = tethered("sh");
    command
        .args(["-e", "-c", text])
        .current_dir(folder)
        .env(
            "PATH",
            format!("{}:{path}", program.parent().unwrap().display()),
        )
        .env("COMPOSER_HOME", folder.join("composer-home"))
        .env("COMPOSER_ALLOW_SUPERUSER", "1")
        .env("COMPOSER_NO_INTERACTION", "1");
    command
}

#[track_caller]
fn done(finished: &Finished) {
    assert!(
        finished.status.success(),
        "{}\n{}\n{}",
        finished.command,
        finished.stdout,
        finished.stderr
    );
}

/// A folder with the archive of `acme/lib`.
fn packages() -> tempfile::TempDir {
    let (folder, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tree = PackageTree::write(source.path(), "acme/lib", "1.0.0", "Acme\\Lib", &json!({}));
    let zip = zip_artifact(&tree.unwrap()).unwrap();
    fs::write(folder.path().join("lib.zip"), zip).unwrap();
    folder
}

/// Somebody who follows the page.
struct Reader<'a> {
    folder: &'a Path,
    postgres: &'a Postgres,
    /// The second ports of the two replicas.
    operations: [String; 2],
    replicas: Vec<ChildGroup>,
    /// The files that the next blocks of YAML are written to.
    files: Vec<&'static str>,
}

impl Reader<'_> {
    fn follow(&mut self, block: &Block) {
        let text = &block.text;
        match block.language {
            "sql" => {
                for statement in text.lines() {
                    self.postgres.sql("postgres", statement).unwrap();
                }
            }
            // Manifests are yaml here, so that they are checked where those of all pages are; settings are yml.
            "yaml" | "yml" => {
                let file = self.folder.join(self.files.remove(0));
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            "sh" if text.contains("package-broker serve") => self.serve(text),
            "sh" if text.contains("composer require") => {
                assert_eq!(self.replicas.len(), 2);
                self.require(text);
            }
            "sh" => done(&run(shell(self.folder, text), PATIENCE).unwrap()),
            // In force from the start.
            "nginx" => {}
            other => panic!("nobody follows a block of {other}"),
        }
    }

    fn serve(&mut self, text: &str) {
        let operations = &self.operations[self.replicas.len()];
        let replica = ChildGroup::spawn("a replica", shell(self.folder, text));
        self.replicas.push(replica.unwrap());
        eventually("a replica that is ready", || {
            let answer = get(&format!("http://{operations}/readyz"), &[]).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    fn require(&self, text: &str) {
        let project = self.folder.join("project");
        fs::create_dir(&project).unwrap();
        let nothing_else = json!({"repositories": [{"packagist.org": false}]});
        fs::write(project.join("composer.json"), nothing_else.to_string()).unwrap();
        done(&run(shell(&project, text), PATIENCE).unwrap());
        assert!(project.join("vendor/acme/lib").is_dir());
    }
}

#[test]
fn the_recipe_for_two_replicas_ends_with_an_install() {
    let (postgres, redis, s3) = (
        Postgres::shared().unwrap(),
        RedisServer::start(),
        S3Server::start(),
    );
    fs::create_dir(s3.root().join("archives")).unwrap();
    let packages = packages();
    let address = |port: u16| format!("127.0.0.1:{port}");
    let [one, two, third, fourth] = [(); 4].map(|()| free_address());
    let mut places = vec![
        ("127.0.0.1:5432", address(postgres.port())),
        ("redis://127.0.0.1:6379", redis.url("", "")),
        ("http://127.0.0.1:9000", s3.endpoint()),
        ("the-id-of-your-key", S3Server::KEY.to_owned()),
        ("the-secret-of-your-key", S3Server::SECRET.to_owned()),
        ("/srv/packages", packages.path().display().to_string()),
        ("127.0.0.1:8080", one),
        ("127.0.0.1:8081", third.clone()),
        ("127.0.0.1:8082", two),
        ("127.0.0.1:8083", fourth.clone()),
    ];
    let (folder, nginx_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut nginx = blocks(&places).into_iter();
    let nginx = nginx.find(|block| block.language == "nginx").unwrap().text;
    let (_nginx, port) = start(nginx_folder.path(), |port| {
        let folder = nginx_folder.path().display().to_string();
        let servers = nginx.replace("127.0.0.1:8000", &address(port));
        let (before, files) = (preamble(&folder), temporary(&folder));
        format!("{before}http {{\naccess_log off;\n{files}{servers}\n}}\n")
    });
    places.push(("127.0.0.1:8000", address(port)));
    let mut reader = Reader {
        folder: folder.path(),
        postgres: &postgres,
        operations: [third, fourth],
        replicas: Vec::new(),
        files: vec!["settings.yaml", "manifests/registry.yaml"],
    };
    for block in blocks(&places) {
        reader.follow(&block);
    }
    assert!(folder.path().join("project/composer.lock").is_file());
}
