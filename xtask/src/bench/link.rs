//! A link of a given latency in front of a server: what a real upstream has and loopback has not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Chunks under way in one direction of a connection: far more than fit into the time of the link.
const UNDER_WAY: usize = 256;
const CHUNK: usize = 64 * 1024;

/// Passes connections on. Every byte arrives `delay` after it was sent, in either direction, however many are under
/// way: nothing is made slower but by the time light takes. Lives until the program ends.
pub(super) struct Link {
    address: String,
}

impl Link {
    /// A link to `server`, an address, whose round trip takes twice `delay`.
    pub(super) fn to(server: &str, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let server = server.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that cannot be passed on is closed, which its client reports.
                let _ = pass_on(client, &server, delay);
            }
        });
        Ok(Self { address })
    }

    /// `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

fn pass_on(client: TcpStream, server: &str, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    one_way(client.try_clone()?, server.try_clone()?, delay);
    one_way(server, client, delay);
    Ok(())
}

fn one_way(from: TcpStream, to: TcpStream, delay: Duration) {
    let (sender, receiver) = sync_channel(UNDER_WAY);
    thread::spawn(move || take(from, &sender, delay));
    thread::spawn(move || give(to, &receiver));
}

fn take(mut from: TcpStream, under_way: &SyncSender<(Instant, Vec<u8>)>, delay: Duration) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let chunk = buffer.get(..length).unwrap_or_default().to_vec();
        if under_way.send((Instant::now() + delay, chunk)).is_err() {
            return;
        }
    }
}

fn give(mut to: TcpStream, under_way: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, chunk)) = under_way.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&chunk).is_err() {
            return;
        }
    }
    // The other side has ended; a connection that is gone already needs no more.
    let _ = to.shutdown(Shutdown::Write);
}
