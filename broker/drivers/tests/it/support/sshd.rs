//! A real `sshd` on loopback, with keys made for one test.

use std::{
    io::Read as _,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::git::run;

/// A running server; it ends with the value.
pub(crate) struct Sshd {
    child: Child,
    directory: TempDir,
    pub(crate) port: u16,
    pub(crate) user: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sshd {
    /// Starts a server that accepts one key, for the current user.
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let at = directory.path();
        for key in ["host", "client", "stranger"] {
            run(
                "ssh-keygen",
                at,
                &["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", key],
                &[],
            );
        }
        std::fs::copy(at.join("client.pub"), at.join("authorized")).unwrap();
        // Started as root, sshd insists on this folder.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        std::fs::write(at.join("config"), config(at, port)).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at.join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd did not start: apt-get install openssh-server");
        let user = run("id", at, &["-un"], &[]);
        let mut server = Self {
            child,
            directory,
            port,
            user,
        };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut complaint = String::new();
                self.child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut complaint)
                    .unwrap();
                panic!("sshd ended ({status}): {complaint}");
            }
            assert!(Instant::now() < deadline, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn url(&self, path: &Path) -> String {
        format!(
            "ssh://{}@127.0.0.1:{}{}",
            self.user,
            self.port,
            path.display()
        )
    }

    /// The private key that is accepted, or another.
    pub(crate) fn key(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// What `ssh-keyscan` would print, with the key of `name`.
    pub(crate) fn known_hosts(&self, name: &str) -> String {
        format!(
            "[127.0.0.1]:{} {}",
            self.port,
            self.key(&format!("{name}.pub"))
        )
    }
}

fn config(at: &Path, port: u16) -> String {
    let at = at.display();
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\nPidFile none\n\
         UsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\n"
    )
}
