//! A port on loopback that leads into the namespace: how people and tests reach the API server.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use super::Namespace;

/// How long the other end may take to accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

type Reply = mpsc::Sender<io::Result<TcpStream>>;

/// Forwards connections until it is stopped.
#[derive(Debug)]
pub(super) struct Forward {
    port: u16,
    stopped: Arc<AtomicBool>,
}

impl Forward {
    /// Forwards a free port to `address` in the namespace.
    pub(super) fn start(namespace: &Namespace, (host, port): (&str, u16)) -> Result<Self> {
        let target = (host.parse::<Ipv4Addr>()?, port).into();
        let connector = connector(namespace, target)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let port = listener.local_addr()?.port();
        let stopped = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&stopped);
        thread::spawn(move || {
            for client in listener.incoming() {
                if watched.load(Ordering::Relaxed) {
                    return;
                }
                let (reply, connected) = mpsc::channel();
                let (Ok(client), Ok(())) = (client, connector.send(reply)) else {
                    continue;
                };
                if let Ok(Ok(server)) = connected.recv() {
                    join(client, server);
                }
            }
        });
        Ok(Self { port, stopped })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// No connection is accepted any more. Those that are there end with their servers.
    pub(super) fn stop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, to see that.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// A thread that lives in the namespace and connects from there: a socket belongs to the namespace that it was made in.
fn connector(namespace: &Namespace, target: std::net::SocketAddr) -> Result<mpsc::Sender<Reply>> {
    let (sender, requests) = mpsc::channel::<Reply>();
    // A thread of one that is inside is inside too.
    namespace.inside(move || {
        thread::spawn(move || {
            for reply in requests {
                let _ = reply.send(TcpStream::connect_timeout(&target, CONNECT_LIMIT));
            }
        })
    })?;
    Ok(sender)
}

fn join(client: TcpStream, server: TcpStream) {
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    thread::spawn(move || pass(from_client, server));
    thread::spawn(move || pass(from_server, client));
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
