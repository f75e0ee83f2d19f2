//! The bare time to fetch documents: the floor of any sync.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Fetches every path over so many kept connections, one thread each, and throws the bytes away.
/// Returns the time it took and how many bytes there were.
pub(super) fn all(address: &str, paths: &[String], connections: usize) -> Result<(Duration, u64)> {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let totals: Vec<Result<u64>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| worker(address, paths, &next)))
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")))
            })
            .collect()
    });
    let elapsed = started.elapsed();
    Ok((elapsed, totals.into_iter().sum::<Result<u64>>()?))
}

fn worker(address: &str, paths: &[String], next: &AtomicUsize) -> Result<u64> {
    let mut writer = TcpStream::connect(address)?;
    writer.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 16, writer.try_clone()?);
    let mut total = 0;
    let mut body = Vec::new();
    while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
        write!(writer, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        let length = head(&mut reader)?;
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        total += length as u64;
    }
    Ok(total)
}

/// Reads the head of an answer and returns the length of its body.
fn head(reader: &mut impl BufRead) -> Result<usize> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.contains(" 200 "), "the upstream answers {line}");
    let mut length = None;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse()?);
        }
    }
    length.context("no Content-Length")
}
