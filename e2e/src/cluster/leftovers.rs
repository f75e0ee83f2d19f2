//! What a cluster leaves whose keeper was killed: processes of its pods, and mounts.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{run, tethered};

const LIMIT: Duration = Duration::from_mins(1);

/// Ends every process that lives on the images of a cluster with its state in `folder`, and what watches over them. No
/// other process has that folder among its mounts or in its command line.
pub(super) fn end_processes(folder: &Path) {
    let folder = folder.display().to_string();
    for _ in 0..50 {
        let ours: Vec<Pid> = processes().filter(|id| is_ours(*id, &folder)).collect();
        if ours.is_empty() {
            return;
        }
        for id in ours {
            // One that is gone already is what we want.
            let _ = kill_process(id, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

fn is_ours(id: Pid, folder: &str) -> bool {
    let at = |name: &str| format!("/proc/{}/{name}", id.as_raw_nonzero());
    let command = fs::read(at("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).into_owned();
    if command.contains("containerd-shim") {
        return command.contains(folder);
    }
    // A process of a pod has mounts of its own, those of its image among them.
    let (own, theirs) = (
        fs::read_link("/proc/self/ns/mnt"),
        fs::read_link(at("ns/mnt")),
    );
    let mounts = fs::read_to_string(at("mountinfo")).unwrap_or_default();
    let is_apart = matches!((own, theirs), (Ok(own), Ok(theirs)) if own != theirs);
    is_apart
        && mounts
            .lines()
            .any(|line| line.contains(" / / ") && line.contains(folder))
}

/// Unmounts all that is mounted below a folder, the last mounted first.
pub(super) fn unmount_below(folder: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    let below = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|at| Path::new(at).starts_with(folder));
    for at in below.collect::<Vec<_>>().into_iter().rev() {
        let mut unmount = tethered("umount");
        unmount.args(["--lazy", at]);
        run(unmount, LIMIT)?.success()?;
    }
    Ok(())
}
