//! Starting with 10 000 packages stored, and the memory taken when idle.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use super::archive::resident;
use super::documents::{Loaded, loaded, manifests};
use super::report::{Reach, Row, median};

const PACKAGES: usize = 10_000;
const ROUNDS: usize = 5;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("start")?;
    let Loaded { broker, upstream } = loaded(bench, &folder, PACKAGES, 10)?;
    drop(broker);
    let url = upstream.url();
    // Without its upstream, so that only the start is measured and not the sync after it.
    drop(upstream);
    let manifests = manifests(&url);
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let broker = bench.broker(&folder, &manifests)?;
        times.push(began.elapsed().as_secs_f64());
        TcpStream::connect(broker.url().trim_start_matches("http://"))?;
        std::thread::sleep(Duration::from_secs(2));
        memory.push(resident(broker.id())? as f64 / 1_048_576.0);
    }
    let works = [
        "start with 10 000 packages stored",
        "idle memory after that start",
    ];
    Ok(rows(works, times, memory))
}

/// Seconds and mebibytes as rows.
pub(super) fn rows(works: [&'static str; 2], times: Vec<f64>, memory: Vec<f64>) -> Vec<Row> {
    let [start, idle] = works;
    vec![
        Row {
            work: start,
            ours: "until it answers".to_owned(),
            against: "-".to_owned(),
            figure: median(times),
            unit: "s",
            reach: Reach::AtMost(0.3),
        },
        Row {
            work: idle,
            ours: "resident, 2 s after".to_owned(),
            against: "-".to_owned(),
            figure: median(memory),
            unit: "MiB",
            reach: Reach::AtMost(40.0),
        },
    ]
}
