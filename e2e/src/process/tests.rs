use super::*;

fn shell(script: &str) -> Command {
    let mut command = tethered("sh");
    command.args(["-c", script]);
    command
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// A process that was killed and is not our own child ends when the kernel gets to it.
fn soon(done: impl Fn() -> bool) -> bool {
    (0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        done()
    })
}

#[test]
fn output_and_status_are_kept_apart() {
    let done = run(
        shell("echo out; echo err >&2; exit 3"),
        Duration::from_secs(10),
    )
    .unwrap();
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str(), done.code()),
        ("out\n", "err\n", 3)
    );
    assert_eq!(done.command, "sh -c echo out; echo err >&2; exit 3");
    let message = done.success().unwrap_err().to_string();
    assert!(
        message.contains("exit status: 3") && message.contains("err"),
        "{message}"
    );
}

#[test]
fn a_command_past_its_limit_is_ended_with_what_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}; wait", file.display());
    let error = run(shell(&script), Duration::from_millis(500)).unwrap_err();
    assert!(
        format!("{error:#}").contains("did not end within"),
        "{error:#}"
    );
    let pid = std::fs::read_to_string(file).unwrap();
    assert!(soon(|| !is_running(pid.trim())));
}

#[test]
fn a_dropped_group_is_gone() {
    let group = ChildGroup::spawn("sleeper", shell("sleep 60")).unwrap();
    let pid = group.id().to_string();
    assert!(is_running(&pid));
    drop(group);
    assert!(!is_running(&pid));
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let mut group = thread::spawn(|| ChildGroup::spawn("sleeper", shell("sleep 60")).unwrap())
        .join()
        .unwrap();
    assert!(group.try_wait().unwrap().is_none());
    group.kill();
}
