//! git's own HTTP server program, behind the test server.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::http::{Answer, Request};

/// Serves the repositories below `root` under their paths.
pub(crate) fn backend(root: PathBuf) -> impl Fn(&Request) -> Answer + Send + Sync + 'static {
    move |request| answer(&root, request)
}

/// The same, by a server from before protocol version 2.
pub(crate) fn old_backend(root: PathBuf) -> impl Fn(&Request) -> Answer + Send + Sync + 'static {
    move |request| answer_as(&root, request, None)
}

/// One run of `git http-backend`.
pub(crate) fn answer(root: &Path, request: &Request) -> Answer {
    answer_as(root, request, request.header("git-protocol"))
}

fn answer_as(root: &Path, request: &Request, version: Option<&str>) -> Answer {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env(
            "CONTENT_TYPE",
            request.header("content-type").unwrap_or_default(),
        )
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(version) = version {
        command.env("GIT_PROTOCOL", version);
    }
    let mut child = command
        .spawn()
        .expect("git did not start: apt-get install git");
    let mut input = child.stdin.take().unwrap();
    let body = request.body.clone();
    // A thread of its own, as the program may answer before it has read all.
    let writing = std::thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output().unwrap().stdout;
    // It may also stop reading early.
    let _ = writing.join().unwrap();
    parse(&output)
}

fn parse(output: &[u8]) -> Answer {
    let end = output
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("no CGI headers");
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let headers: Vec<(&str, &str)> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    let status = headers
        .iter()
        .find(|(name, _)| *name == "Status")
        .map_or(200, |(_, text)| text[..3].parse().unwrap());
    let answer = if status == 200 {
        Answer::ok(&output[end + 4..])
    } else {
        Answer::status(status)
    };
    headers
        .iter()
        .filter(|(name, _)| *name != "Status")
        .fold(answer, |answer, (name, value)| answer.header(name, value))
}
