//! Child processes that never outlive us.
//!
//! Each child leads a process group of its own, so that what it starts ends with it, and is
//! tethered to this process by the kernel (`setpriv --pdeathsig`), so that even a `kill -9` of
//! ours leaves nothing behind. Only processes started here are ever signalled, by their id.

mod json;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

pub use self::json::values_of;

/// How long a child may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Groups that are running now, for the signal handler.
static LIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Set once a signal asked us to end: from then on nothing is started.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

type SpawnRequest = (Command, mpsc::Sender<io::Result<Child>>);

/// The kernel ends a tethered child with the *thread* that started it, so one thread that lives
/// as long as the process starts them all.
static SPAWNER: LazyLock<mpsc::Sender<SpawnRequest>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel::<SpawnRequest>();
    thread::spawn(move || {
        for (mut command, reply) in receiver {
            // The asking side waits for this reply; if it is gone, so is the interest in it.
            let _ = reply.send(command.spawn());
        }
    });
    sender
});

/// A command for `program` whose process is killed by the kernel when this process ends.
pub fn tethered(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// How a program is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM, as supervisors do.
    Terminate,
    /// SIGINT, as Ctrl-C does.
    Interrupt,
}

/// A running child and everything it started. Dropping it ends them: SIGTERM, then SIGKILL
/// after five seconds.
#[derive(Debug)]
pub struct ChildGroup {
    name: String,
    child: Child,
}

impl ChildGroup {
    /// Starts `command` (best made by [`tethered`]) as the leader of a new process group.
    /// `name` is what messages call it.
    pub fn spawn(name: &str, mut command: Command) -> Result<Self> {
        if interrupted() {
            bail!("{name} was not started: we were asked to stop");
        }
        command.process_group(0);
        let (reply, answer) = mpsc::channel();
        SPAWNER
            .send((command, reply))
            .ok()
            .context("the thread that starts processes is gone")?;
        let child = answer
            .recv()
            .context("the thread that starts processes is gone")?
            .with_context(|| format!("cannot start {name}"))?;
        live().insert(child.id());
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    /// The process id of the leader, which is also the id of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How the leader ended, or `None` while it runs.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let status = self
            .child
            .try_wait()
            .with_context(|| format!("cannot wait for {}", self.name))?;
        if status.is_some() {
            live().remove(&self.child.id());
        }
        Ok(status)
    }

    /// Waits until the leader ends; past `limit` the group is ended and this is an error.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        match self.poll(limit)? {
            Some(status) => Ok(status),
            None => bail!("{} did not end within {} s", self.name, limit.as_secs()),
        }
    }

    /// Makes the group silent, with its connections open.
    pub fn pause(&self) {
        signal_group(self.id(), Signal::STOP);
    }

    /// Lets a group go on that was paused.
    pub fn resume(&self) {
        signal_group(self.id(), Signal::CONT);
    }

    /// Asks the group to end, and waits for nothing.
    pub fn ask_to_end(&self, ending: Ending) {
        let signal = match ending {
            Ending::Terminate => Signal::TERM,
            Ending::Interrupt => Signal::INT,
        };
        signal_group(self.id(), signal);
    }

    /// Sends SIGTERM to the group and waits until the leader ends; past `limit` the group is
    /// ended and this is an error.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.ask_to_end(Ending::Terminate);
        self.wait(limit)
    }

    /// Sends SIGTERM to the group and waits for the leader, then SIGKILL.
    pub fn stop(&mut self) {
        if !matches!(self.try_wait(), Ok(None)) {
            return;
        }
        signal_group(self.id(), Signal::TERM);
        if !matches!(self.poll(GRACE), Ok(Some(_))) {
            signal_group(self.id(), Signal::KILL);
            // After SIGKILL only the kernel can fail us, and then there is nothing left to do.
            let _ = self.child.wait();
        }
        live().remove(&self.child.id());
    }

    /// SIGKILL to the whole group at once, as a power cut would.
    pub fn kill(&mut self) {
        signal_group(self.id(), Signal::KILL);
        let _ = self.child.wait();
        live().remove(&self.child.id());
    }

    fn poll(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a finished command said.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to its standard output.
    pub stdout: String,
    /// Everything it wrote to its standard error.
    pub stderr: String,
}

impl Finished {
    /// The exit code, or -1 when a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Itself when the command ended with status 0, else an error with all it said.
    pub fn success(self) -> Result<Self> {
        if self.status.success() {
            Ok(self)
        } else {
            bail!("{self}")
        }
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` ended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.status, self.stdout, self.stderr
        )
    }
}

/// Runs `command` to its end with no standard input and its output captured; a command that
/// takes longer than `limit` is ended and is an error.
pub fn run(mut command: Command, limit: Duration) -> Result<Finished> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let line = describe(&command);
    let mut group = ChildGroup::spawn(&line, command)?;
    let stdout = drain(group.child_mut().stdout.take());
    let stderr = drain(group.child_mut().stderr.take());
    let status = group.wait(limit);
    drop(group);
    let (stdout, stderr) = (collect(stdout), collect(stderr));
    match status {
        Ok(status) => Ok(Finished {
            command: line,
            status,
            stdout,
            stderr,
        }),
        Err(error) => Err(error.context(format!("{stdout}\n{stderr}"))),
    }
}

/// The command line as a person would type it, without the tether.
pub fn describe(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match words.iter().position(|word| word == "--") {
        Some(tether) if words.first().is_some_and(|word| word == "setpriv") => {
            words[tether + 1..].join(" ")
        }
        _ => words.join(" "),
    }
}

/// Ends every running group when this process is asked to end (Ctrl-C, SIGTERM, SIGHUP), gives
/// the rest of the program a few seconds to unwind, then exits with status 130.
pub fn end_children_on_signals() -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for signals")?;
    thread::spawn(move || {
        if signals.forever().next().is_none() {
            return;
        }
        INTERRUPTED.store(true, Ordering::SeqCst);
        signal_all(Signal::TERM);
        thread::sleep(GRACE);
        signal_all(Signal::KILL);
        thread::sleep(Duration::from_secs(2));
        std::process::exit(130);
    });
    Ok(())
}

/// Whether a signal asked us to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

fn live() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signal_all(signal: Signal) {
    let groups: Vec<u32> = live().iter().copied().collect();
    for group in groups {
        signal_group(group, signal);
    }
}

fn signal_group(group: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // A group that is gone already is what we want.
        let _ = kill_process_group(pid, signal);
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> Option<thread::JoinHandle<String>> {
    pipe.map(|mut pipe| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // A broken pipe ends the output; what came until then is still wanted.
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    })
}

fn collect(reader: Option<thread::JoinHandle<String>>) -> String {
    reader
        .and_then(|reader| reader.join().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
