//! Git repositories made from trees, and a server that hands them out as any git host does.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::http::{HttpServer, Request, Response};
use crate::process::{ChildGroup, run, tethered};

const LIMIT: Duration = Duration::from_mins(2);

/// 2024-01-01T00:00:00Z: commits are dated from here, so that the same trees give the same ids.
const EPOCH: u64 = 1_704_067_200;

/// A bare repository whose default branch is `main`.
#[derive(Debug, Clone)]
pub struct GitRepository {
    path: PathBuf,
}

impl GitRepository {
    /// Makes an empty repository at `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let mut init = git(path
            .parent()
            .context("a repository needs a parent folder")?);
        init.args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(path);
        run(init, LIMIT)?.success()?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Commits the whole of `tree` (ignore files do not count) on `branch`, `day` days after
    /// the first of January 2024.
    pub fn commit(&self, branch: &str, tree: &Path, message: &str, day: u64) -> Result<()> {
        self.git(
            &["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")],
            None,
        )?;
        self.git(&["add", "--all", "--force", "."], Some((tree, day)))?;
        let commit = [
            "commit",
            "--quiet",
            "--allow-empty",
            "--no-verify",
            "-m",
            message,
        ];
        self.git(&commit, Some((tree, day)))?;
        self.git(&["symbolic-ref", "HEAD", "refs/heads/main"], None)
    }

    /// Puts a light tag on the newest commit of `branch`.
    pub fn tag(&self, name: &str, branch: &str) -> Result<()> {
        self.git(&["tag", name, &format!("refs/heads/{branch}")], None)
    }

    /// The id of the newest commit of `branch`.
    pub fn head(&self, branch: &str) -> Result<String> {
        let mut command = git(&self.path);
        command.args(["rev-parse", &format!("refs/heads/{branch}")]);
        Ok(run(command, LIMIT)?.success()?.stdout.trim().to_owned())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its `file://` URL.
    pub fn file_url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    fn git(&self, arguments: &[&str], tree: Option<(&Path, u64)>) -> Result<()> {
        let mut command = git(tree.map_or(self.path.as_path(), |(tree, _)| tree));
        command.args([
            "-c",
            "core.bare=false",
            "-c",
            "core.autocrlf=false",
            "-c",
            "gc.auto=0",
        ]);
        command.args(arguments).env("GIT_DIR", &self.path);
        if let Some((tree, day)) = tree {
            let date = format!("{} +0000", EPOCH + day * 86_400);
            command.env("GIT_WORK_TREE", tree);
            command
                .env("GIT_AUTHOR_DATE", &date)
                .env("GIT_COMMITTER_DATE", &date);
        }
        run(command, LIMIT)?.success()?;
        Ok(())
    }
}

/// Serves a folder of repositories over HTTP through git's own `http-backend`.
pub struct GitServer {
    root: PathBuf,
    server: HttpServer,
}

impl GitServer {
    /// Starts serving `root`, where repositories may be added at any time.
    pub fn start(root: &Path) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, root)
    }

    /// The same at another address of the network namespace that the calling thread is in.
    pub fn start_at(address: Ipv4Addr, root: &Path) -> Result<Self> {
        let folder = root.to_owned();
        let server = HttpServer::start_at(address, move |request| {
            backend(&folder, request).unwrap_or_else(|error| {
                Response::new(500, "text/plain", format!("git http-backend: {error:#}"))
            })
        })?;
        Ok(Self {
            root: root.to_owned(),
            server,
        })
    }

    /// Makes the repository `NAME.git` (`name` may contain one `/`).
    pub fn create(&self, name: &str) -> Result<GitRepository> {
        let path = self.root.join(format!("{name}.git"));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        GitRepository::create(&path)
    }

    /// The clone URL of `NAME.git`.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}.git", self.server.url())
    }

    /// The server behind it, for its log.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }
}

/// A `git` that sees no configuration of this machine.
fn git(directory: &Path) -> Command {
    let mut command = tethered("git");
    command.current_dir(directory);
    isolate(&mut command);
    command
}

fn isolate(command: &mut Command) {
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Package Broker tests");
        command.env(format!("GIT_{role}_EMAIL"), "tests@package-broker.invalid");
    }
}

fn backend(root: &Path, request: &Request) -> Result<Response> {
    let mut command = git(root);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1");
    command
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path);
    command
        .env("QUERY_STRING", &request.query)
        .env("REMOTE_ADDR", "127.0.0.1");
    command.env("CONTENT_LENGTH", request.body.len().to_string());
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut group = ChildGroup::spawn("git http-backend", command)?;
    let mut stdin = group
        .child_mut()
        .stdin
        .take()
        .context("no standard input")?;
    let mut stdout = group
        .child_mut()
        .stdout
        .take()
        .context("no standard output")?;
    let mut output = Vec::new();
    thread::scope(|scope| {
        // It may answer before it has read everything, so both directions move at once; what it
        // does not want to read is not missed.
        scope.spawn(move || stdin.write_all(&request.body).ok());
        std::io::Read::read_to_end(&mut stdout, &mut output)
    })?;
    let status = group.wait(LIMIT)?;
    if !status.success() {
        bail!("{status}");
    }
    parse_cgi(&output)
}

/// Splits the output of a CGI program into header lines and body.
fn parse_cgi(output: &[u8]) -> Result<Response> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.context("the answer has no header")?;
    let mut response = Response::new(200, "", &output[end + 4..]);
    response.headers.clear();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").context("not a header line")?;
        if name == "Status" {
            let code = value.split(' ').next().unwrap_or_default();
            response.status = code
                .parse()
                .with_context(|| format!("not a status: {value}"))?;
        } else {
            response.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_cloned_over_http() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let server = GitServer::start(folder.path()).unwrap();
        let repository = server.create("acme/lib").unwrap();
        for (day, version) in ["1.0.0", "1.1.0"].into_iter().enumerate() {
            std::fs::write(tree.join("VERSION"), version).unwrap();
            repository
                .commit("main", &tree, version, day as u64)
                .unwrap();
            repository.tag(&format!("v{version}"), "main").unwrap();
        }
        std::fs::write(tree.join("VERSION"), "2").unwrap();
        repository.commit("2.x", &tree, "next", 9).unwrap();

        let mut clone = git(folder.path());
        clone.args([
            "clone",
            "--quiet",
            "--branch",
            "v1.1.0",
            &server.url("acme/lib"),
            "copy",
        ]);
        run(clone, LIMIT).unwrap().success().unwrap();
        let version = std::fs::read_to_string(folder.path().join("copy/VERSION")).unwrap();
        assert_eq!(version, "1.1.0");

        let mut refs = git(repository.path());
        refs.args([
            "for-each-ref",
            "--format=%(refname:short) %(committerdate:short)",
        ]);
        let refs = run(refs, LIMIT).unwrap().success().unwrap().stdout;
        assert_eq!(
            refs.lines().collect::<Vec<_>>(),
            [
                "2.x 2024-01-10",
                "main 2024-01-02",
                "v1.0.0 2024-01-01",
                "v1.1.0 2024-01-02"
            ]
        );
        assert!(
            server
                .server()
                .requests()
                .iter()
                .all(|request| request.status == 200)
        );
    }

    #[test]
    fn a_repository_that_is_not_there_answers_404() {
        let folder = tempfile::tempdir().unwrap();
        let server = GitServer::start(folder.path()).unwrap();
        let url = format!(
            "{}/info/refs?service=git-upload-pack",
            server.url("acme/none")
        );
        assert_eq!(crate::http::get(&url, &[]).unwrap().status, 404);
    }
}
