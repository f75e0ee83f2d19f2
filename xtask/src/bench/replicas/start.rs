//! Starting a replica with 10 000 packages stored, and the memory it takes when idle.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use package_broker_e2e::http;

use super::super::archive::resident;
use super::super::nginx::Nginx;
use super::super::report::Row;
use super::super::servers::Servers;
use super::super::start::rows;
use super::super::{Bench, corpus};
use super::{PACKAGES, ROUNDS, manifests_of};

pub(in crate::bench) fn start(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("replicas-start")?;
    let files = folder.join("upstream");
    corpus::write(&files, PACKAGES, 10)?;
    let upstream = Nginx::serve(&folder.join("upstream-nginx"), &files, &[], false)?;
    let servers = Servers::start(&bench.binary, &folder, true)?;
    servers.apply(&manifests_of(&upstream))?;
    servers.sync("bench")?;
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        let began = Instant::now();
        let replica = servers.begin(&format!("replica-{round}"))?;
        let probe = format!("{}/readyz", replica.metrics_url());
        while http::get(&probe, &[])?.status != 200 {
            ensure!(
                began.elapsed() < Duration::from_mins(1),
                "{}",
                replica.log()
            );
            sleep(Duration::from_millis(5));
        }
        times.push(began.elapsed().as_secs_f64());
        sleep(Duration::from_secs(2));
        memory.push(resident(replica.id())? as f64 / 1_048_576.0);
    }
    let works = [
        "start of a replica with 10 000 packages stored",
        "idle memory of a replica after that start",
    ];
    Ok(rows(works, times, memory))
}
