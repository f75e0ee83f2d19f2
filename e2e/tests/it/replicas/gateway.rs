//! The way to a server, which can be cut, blocked, or led elsewhere.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They lead to the server.
    Open,
    /// They are closed, those that are there too.
    Cut,
    /// They stay, and nothing gets through any more.
    Blocked,
    /// Some hundred kilobytes a second get through, each way.
    Slow,
}

struct State {
    way: Way,
    server: u16,
    connections: Vec<TcpStream>,
}

/// Listens on a port of 127.0.0.1 and passes on to another. Lives until the program ends.
pub(crate) struct Gateway {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Gateway {
    /// An open way to a port.
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            way: Way::Open,
            server,
            connections: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // One that cannot be passed on is closed, which its client reports.
                let _ = pass_on(client, &shared);
            }
        });
        Self { port, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on, connections have that way. One that was cut stays so.
    pub(crate) fn set(&self, way: Way) {
        let mut state = lock(&self.state);
        state.way = way;
        if way == Way::Cut {
            for connection in state.connections.drain(..) {
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
    }

    /// From now on, connections lead to this port; those that are there are cut.
    pub(crate) fn lead_to(&self, server: u16) {
        self.set(Way::Cut);
        let mut state = lock(&self.state);
        (state.server, state.way) = (server, Way::Open);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass_on(client: TcpStream, shared: &Arc<Mutex<State>>) -> io::Result<()> {
    let mut state = lock(shared);
    if state.way == Way::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(("127.0.0.1", state.server))?;
    state
        .connections
        .extend([client.try_clone()?, server.try_clone()?]);
    drop(state);
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || one_way(from, to, &shared));
    }
    Ok(())
}

fn one_way(mut from: TcpStream, mut to: TcpStream, shared: &Mutex<State>) {
    let mut buffer = vec![0; 4 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        while lock(shared).way == Way::Blocked {
            thread::sleep(Duration::from_millis(20));
        }
        if lock(shared).way == Way::Slow {
            thread::sleep(Duration::from_millis(20));
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
