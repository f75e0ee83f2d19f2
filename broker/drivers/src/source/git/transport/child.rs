//! A remote behind the pipes of a child process: `git upload-pack` itself, or `ssh` that runs it elsewhere.

use std::{
    io::{self, Read},
    process::{Command, Stdio},
    sync::Arc,
    thread::JoinHandle,
};

use gix_transport::{
    Protocol,
    client::{
        blocking_io::Transport,
        git::{ConnectMode, blocking_io::Connection},
    },
};
use package_broker_core::ports::source::SourceError;

use super::super::{address::Address, session::Session, trouble::is_exhaustion};

/// How much of a program's complaints is kept.
const MAX_COMPLAINT: u64 = 8 << 10;

/// A running child. It ends with this value, or with its session.
pub(super) struct ChildProcess {
    session: Arc<Session>,
    complaint: Option<JoinHandle<Vec<u8>>>,
}

/// The command for a local repository.
pub(super) fn upload_pack(address: &Address) -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    // HOME lets the machine's owner declare directories of others as safe, as git demands.
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .arg("upload-pack")
        .arg("--strict")
        .arg("--");
    if let Address::Local(path) = address {
        // upload-pack --strict takes the git directory itself.
        let inner = path.join(".git");
        command.arg(if inner.exists() { inner } else { path.clone() });
    }
    command
}

impl ChildProcess {
    /// Starts a command that speaks the git protocol on its pipes.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if the program is not there.
    pub(super) fn start(
        mut command: Command,
        url: &str,
        session: &Arc<Session>,
    ) -> Result<(Box<dyn Transport>, Self), SourceError> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.env("GIT_PROTOCOL", "version=2").env("LC_ALL", "C");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| not_started(&program, url, &error))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        session.adopt(child);
        let (Some(input), Some(output), Some(complaints)) = pipes else {
            session.end_child();
            return Err(not_started(
                &program,
                url,
                &io::Error::other("it has no pipes"),
            ));
        };
        let complaint = Some(std::thread::spawn(move || read_complaint(complaints)));
        let output = Counted {
            inner: output,
            session: Arc::clone(session),
        };
        let transport = Connection::new(
            output,
            input,
            Protocol::V2,
            "",
            None::<(String, Option<u16>)>,
            ConnectMode::Process,
            false,
        )
        .custom_url(Some(url.into()));
        Ok((
            Box::new(transport),
            Self {
                session: Arc::clone(session),
                complaint,
            },
        ))
    }

    /// Ends the program and translates what it said on standard error.
    pub(super) fn verdict(mut self, what: &str) -> Option<SourceError> {
        self.session.end_child();
        let complaint = self.complaint.take()?.join().ok()?;
        super::ssh::judge(what, &String::from_utf8_lossy(&complaint))
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.session.end_child();
    }
}

/// Reads all, keeps the end: the last lines say why a program gave up.
fn read_complaint(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let surplus = kept
            .len()
            .saturating_sub(usize::try_from(MAX_COMPLAINT).unwrap_or(usize::MAX));
        kept.drain(..surplus);
    }
    kept
}

fn not_started(program: &str, url: &str, error: &io::Error) -> SourceError {
    if is_exhaustion(error) {
        return SourceError::Unavailable {
            what: url.to_owned(),
            problem: format!("the program \"{program}\" did not start: {error}"),
            retry_after: None,
        };
    }
    SourceError::Misconfigured {
        problem: format!(
            "{url} is read with the program \"{program}\", which did not start: {error}"
        ),
        fix: format!(
            "install {program} beside the broker, or use an https URL, which needs no program"
        ),
    }
}

/// Counts what comes in against the session's allowance.
struct Counted<R> {
    inner: R,
    session: Arc<Session>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.session.receive(read)?;
        Ok(read)
    }
}
