//! The `ssh` program, shut off from the host's own configuration, keys and agent.

use std::{
    fs::OpenOptions, io::Write, net::IpAddr, os::unix::fs::OpenOptionsExt, path::Path,
    process::Command, sync::Arc,
};

use package_broker_core::{domain::repository::Credentials, ports::source::SourceError};
use tempfile::TempDir;

use super::{super::address::SshAddress, keys::KeyFolder};

/// Seconds to connect, and between signs of life.
const CONNECT_TIMEOUT: u32 = 10;
const ALIVE_INTERVAL: u32 = 15;

/// What the files are called. `ssh` runs in their folder, so that no path of ours has to be written in the language of
/// its options, where spaces, `%` and `$` mean something.
const KEY: &str = "key";
const KNOWN_HOSTS: &str = "known_hosts";

/// A private key and the known hosts, as files only we can read, for as long as this lives.
pub(in crate::source::git) struct Identity {
    directory: TempDir,
    /// Not swept as long as somebody has a key in it.
    _folder: Arc<KeyFolder>,
}

impl Identity {
    /// Writes the files from the Secret's `ssh-privatekey` and `known_hosts`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if one of the two is missing, or the files cannot be written.
    pub(super) fn write(
        credentials: &Credentials,
        address: &SshAddress,
        folder: &Arc<KeyFolder>,
    ) -> Result<Self, SourceError> {
        let directory = folder.make_room().map_err(|error| not_written(&error))?;
        for (key, file) in [("ssh-privatekey", KEY), ("known_hosts", KNOWN_HOSTS)] {
            let text = credentials.text(key).filter(|text| !text.trim().is_empty());
            let text = text.ok_or_else(|| missing(key, address))?;
            write_private(&directory.path().join(file), text)
                .map_err(|error| not_written(&error))?;
        }
        Ok(Self {
            directory,
            _folder: Arc::clone(folder),
        })
    }
}

/// OpenSSH wants a newline at the end of a key and no carriage returns.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    for line in text.lines() {
        writeln!(file, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The command that runs `git-upload-pack` on the other side.
///
/// It connects to the very address that passed the egress guard, and checks the host key under the name the user
/// wrote, so that known hosts look as `ssh-keyscan` writes them.
pub(super) fn command(address: &SshAddress, ip: IpAddr, identity: &Identity) -> Command {
    let alias = match address.port {
        22 => address.host.clone(),
        port => format!("[{}]:{port}", address.host),
    };
    let mut command = Command::new("ssh");
    command.current_dir(identity.directory.path()).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.args(["-F", "/dev/null", "-T"]);
    for option in [
        "BatchMode=yes".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
        format!("UserKnownHostsFile={KNOWN_HOSTS}"),
        "GlobalKnownHostsFile=/dev/null".to_owned(),
        format!("IdentityFile={KEY}"),
        "IdentitiesOnly=yes".to_owned(),
        "IdentityAgent=none".to_owned(),
        "PreferredAuthentications=publickey".to_owned(),
        "UpdateHostKeys=no".to_owned(),
        "CheckHostIP=no".to_owned(),
        "ForwardAgent=no".to_owned(),
        "LogLevel=ERROR".to_owned(),
        format!("ConnectTimeout={CONNECT_TIMEOUT}"),
        format!("ServerAliveInterval={ALIVE_INTERVAL}"),
        "ServerAliveCountMax=4".to_owned(),
        format!("HostName={ip}"),
        format!("HostKeyAlias={alias}"),
        format!("Port={}", address.port),
        format!("User={}", address.user),
        "SendEnv=GIT_PROTOCOL".to_owned(),
    ] {
        command.arg("-o").arg(option);
    }
    command
        .arg("--")
        .arg(&address.host)
        .arg(format!("git-upload-pack {}", quoted(&address.path)));
    command
}

/// As one word for the shell on the other side.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

/// Translates the complaints of `ssh` and `git` into an error; nothing if there are none.
pub(super) fn judge(what: &str, complaint: &str) -> Option<SourceError> {
    let said = |text: &str| complaint.contains(text);
    let what = what.to_owned();
    if said("Host key verification failed") || said("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return Some(SourceError::Misconfigured {
            problem: format!("the host key of {what} is not the one in known_hosts"),
            fix: "put the output of ssh-keyscan, checked against the host's published fingerprint, into the key \
                  known_hosts of the Secret that credentialsSecretRef names"
                .to_owned(),
        });
    }
    if said("Permission denied (") || said("Load key") {
        return Some(SourceError::Denied {
            what,
            problem: "the ssh key was not accepted".to_owned(),
        });
    }
    if said("dubious ownership") {
        return Some(SourceError::Misconfigured {
            problem: format!("git refuses to read {what}: it belongs to another user"),
            fix: "change its owner, or list it as safe.directory in the git configuration of the broker's user"
                .to_owned(),
        });
    }
    if [
        "does not appear to be a git repository",
        "epository not found",
        "not a git repository",
    ]
    .into_iter()
    .any(said)
    {
        return Some(SourceError::Invalid {
            what,
            problem: "there is no git repository".to_owned(),
        });
    }
    let problem = last_line(complaint)?;
    Some(SourceError::Unavailable {
        what,
        problem,
        retry_after: None,
    })
}

/// Whether an error says that no connection was made, so that the host's next address is worth a try.
pub(in crate::source::git) fn is_unreachable(error: &SourceError) -> bool {
    matches!(error, SourceError::Unavailable { problem, .. } if problem.starts_with("ssh: connect to host"))
}

fn last_line(complaint: &str) -> Option<String> {
    let line = complaint
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(200).collect())
}

fn missing(key: &str, address: &SshAddress) -> SourceError {
    SourceError::Misconfigured {
        problem: format!(
            "{address} is read over ssh, but there is no \"{key}\" among the credentials"
        ),
        fix: format!(
            "add the key {key} to the Secret that Repository spec.credentialsSecretRef names"
        ),
    }
}

fn not_written(error: &std::io::Error) -> SourceError {
    SourceError::Misconfigured {
        problem: format!(
            "the ssh key could not be written below the folder of git mirrors: {error}"
        ),
        fix: "give the broker a data folder that it can write to".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_become_errors_with_a_fix() {
        for (complaint, expected) in [
            ("Host key verification failed.\n", "known_hosts"),
            ("git@h: Permission denied (publickey).", "access was denied"),
            (
                "fatal: '/srv/x' does not appear to be a git repository",
                "there is no git repository",
            ),
            (
                "ERROR: Repository not found.\nfatal: x",
                "there is no git repository",
            ),
            (
                "warning\nssh: connect to host h port 22: Connection refused\n\n",
                "Connection refused",
            ),
            (
                "fatal: detected dubious ownership in repository at '/x'",
                "safe.directory",
            ),
        ] {
            let error = judge("ssh://h/x", complaint).unwrap();
            assert!(error.to_string().contains(expected), "{complaint}: {error}");
        }
        assert!(judge("ssh://h/x", " \n").is_none());
    }

    #[test]
    fn paths_are_one_word_for_the_remote_shell() {
        for (given, expected) in [
            ("a b", "'a b'"),
            ("a'b;id", r"'a'\''b;id'"),
            ("$(id)", "'$(id)'"),
            ("a!b", r"'a'\!'b'"),
        ] {
            assert_eq!(quoted(given), expected);
        }
    }
}
