//! Sixteen clients ask for an archive that nobody has fetched yet.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::Result;
use package_broker_e2e::http;
use sha1::{Digest, Sha1};

use super::Bench;
use super::archive::{in_front_of, upstream};
use super::documents::authorization;
use super::nginx::Nginx;
use super::report::{Reach, Row};

const CLIENTS: usize = 16;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("cold")?;
    let nginx = upstream(&folder)?;
    let (broker, path) = in_front_of(bench, &folder, &nginx)?;
    let authorization = authorization(&broker)?;
    let url = format!("{}{path}", broker.url());
    let works = [
        "cold archive: upstream downloads",
        "cold archive: truncated or wrong answers",
    ];
    at_once(works, &folder, &nginx, &[url], &authorization)
}

/// What comes of it when all clients ask at the same time, each for one of the URLs of an archive of [`upstream`].
pub(super) fn at_once(
    works: [&'static str; 2],
    folder: &Path,
    nginx: &Nginx,
    urls: &[String],
    authorization: &str,
) -> Result<Vec<Row>> {
    let expected = Sha1::digest(fs::read(folder.join("upstream/big.zip"))?);
    let clients: Vec<_> = urls
        .iter()
        .cycle()
        .take(CLIENTS)
        .map(|url| {
            let (url, authorization) = (url.clone(), authorization.to_owned());
            thread::spawn(move || http::get(&url, &[("Authorization", &authorization)]))
        })
        .collect();
    let mut wrong = 0;
    for client in clients {
        let answer = client
            .join()
            .map_err(|_| anyhow::anyhow!("a client panicked"))??;
        if answer.status != 200 || Sha1::digest(&answer.body) != expected {
            wrong += 1;
        }
    }
    let downloads = nginx
        .take_log()?
        .iter()
        .filter(|line| line.ends_with("/big.zip"))
        .count();
    let row = |work, figure: usize, bound| Row {
        work,
        ours: format!("{CLIENTS} clients"),
        against: "-".to_owned(),
        figure: figure as f64,
        unit: "",
        reach: Reach::AtMost(bound),
    };
    let [first, second] = works;
    Ok(vec![row(first, downloads, 1.0), row(second, wrong, 0.0)])
}
