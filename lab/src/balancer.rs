//! A load balancer before the API servers of a cluster: what `controlPlaneEndpoint` names on real sites.
//!
//! It passes TCP connections on, in turns, to the servers that accept some. When one refuses, cannot be reached or stays
//! silent, its connections are cut, as real balancers do: clients would else wait for answers of a machine that is gone.

use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Error, Result};

/// How often each server is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How long a server may take to accept a connection: it is on this machine.
const CONNECT: Duration = Duration::from_millis(500);
/// How many looks in a row without an answer tell that a server is gone. One alone may tell of a busy machine.
const MISSES: u32 = 3;

/// A running balancer; it ends with this value.
#[derive(Debug)]
pub struct Balancer {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Its end wakes the thread that looks at the servers.
    _running: Sender<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    turn: AtomicUsize,
    sessions: AtomicUsize,
    servers: Mutex<Vec<Server>>,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    /// Looks in a row without an answer; it counts as gone from [`MISSES`] on.
    misses: u32,
    /// Both ends of each connection, to cut it.
    open: Vec<(usize, [TcpStream; 2])>,
}

impl Balancer {
    /// Listens on `address`, such as `198.18.0.1:6443`. Servers are added later.
    pub fn start(address: &str) -> Result<Self> {
        let unfit = |what: &str| Error::Unfit(format!("a balancer cannot listen on {address}: {what}"));
        let listener = TcpListener::bind(address).map_err(|e| unfit(&e.to_string()))?;
        let address = listener.local_addr().map_err(|e| unfit(&e.to_string()))?;
        let shared = Arc::new(Shared::default());
        let (accepting, looking) = (Arc::clone(&shared), Arc::clone(&shared));
        std::thread::spawn(move || accepting.accept(&listener));
        let (running, ended) = mpsc::channel();
        std::thread::spawn(move || looking.look(&ended));
        Ok(Self { shared, address, _running: running })
    }

    /// Returns where it listens, as `controlPlaneEndpoint` wants it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Adds a server, whether it answers yet or not.
    pub fn add(&self, address: &str, port: u16) -> Result<()> {
        let address = format!("{address}:{port}");
        let address = address
            .parse()
            .map_err(|e| Error::Unfit(format!("{address} is no address for a server: {e}")))?;
        self.shared.servers().push(Server { address, misses: MISSES, open: Vec::new() });
        Ok(())
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts, which then gives the port free.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT);
        for server in self.shared.servers().iter_mut() {
            server.cut();
        }
    }
}

impl Server {
    const fn accepts(&self) -> bool {
        self.misses < MISSES
    }

    /// Takes in how a connection to it went: a server that refuses is gone at once, a silent one in time.
    fn found(&mut self, answer: Result<(), ErrorKind>) {
        self.misses = match answer {
            Ok(()) => 0,
            Err(ErrorKind::TimedOut) => MISSES.min(self.misses + 1),
            Err(_) => MISSES,
        };
        if !self.accepts() {
            self.cut();
        }
    }

    fn cut(&mut self) {
        for (_, ends) in self.open.drain(..) {
            for end in ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Shared {
    fn servers(&self) -> MutexGuard<'_, Vec<Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            if self.stopped.load(Ordering::Acquire) {
                return;
            }
            let shared = Arc::clone(&self);
            std::thread::spawn(move || shared.serve(&client));
        }
    }

    /// Looks at every server until the balancer ends.
    fn look(&self, ended: &Receiver<()>) {
        loop {
            let addresses: Vec<SocketAddr> = self.servers().iter().map(|s| s.address).collect();
            for address in addresses {
                let answer = TcpStream::connect_timeout(&address, CONNECT);
                self.found(address, answer.map(drop).map_err(|e| e.kind()));
            }
            if ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn found(&self, address: SocketAddr, answer: Result<(), ErrorKind>) {
        if let Some(server) = self.servers().iter_mut().find(|s| s.address == address) {
            server.found(answer);
        }
    }

    /// Servers in the order in which a new connection tries them.
    fn order(&self) -> Vec<SocketAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let servers = self.servers();
        let (mut first, rest): (Vec<_>, Vec<_>) = servers.iter().partition(|s| s.accepts());
        let count = first.len().max(1);
        first.rotate_left(turn % count);
        first.into_iter().chain(rest).map(|s| s.address).collect()
    }

    fn serve(&self, client: &TcpStream) {
        for address in self.order() {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(server) => {
                    let _ = self.pass(client, &server, address);
                    return;
                }
                // Clients that come at once meet the same silence: the looks alone count it.
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(error) => self.found(address, Err(error.kind())),
            }
        }
        // Nobody serves: the client's connection ends with this function.
    }

    /// Passes bytes both ways until either side is done.
    fn pass(&self, client: &TcpStream, server: &TcpStream, address: SocketAddr) -> std::io::Result<()> {
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let ends = [client.try_clone()?, server.try_clone()?];
        if let Some(entry) = self.servers().iter_mut().find(|s| s.address == address) {
            entry.open.push((session, ends));
        }
        let copy = |mut from: &TcpStream, mut to: &TcpStream| {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        };
        std::thread::scope(|scope| {
            scope.spawn(|| copy(server, client));
            copy(client, server);
        });
        for entry in self.servers().iter_mut() {
            entry.open.retain(|(id, _)| *id != session);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::time::Instant;

    use super::*;

    /// A server that says its name, then keeps its connections open.
    fn server(name: &'static [u8]) -> (u16, Arc<AtomicBool>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut client in listener.incoming().flatten() {
                if end.load(Ordering::Acquire) {
                    // A machine that is gone cuts nothing.
                    std::mem::forget(kept);
                    return;
                }
                let _ = client.write_all(name);
                kept.push(client);
            }
        });
        (port, ended)
    }

    fn ask(endpoint: &str) -> (TcpStream, u8) {
        let mut client = TcpStream::connect(endpoint).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut said = [0];
        client.read_exact(&mut said).unwrap();
        (client, said[0])
    }

    #[test]
    fn a_silent_server_is_gone_after_three_looks_and_one_that_refuses_at_once() {
        let (silent, refused) = (Err(ErrorKind::TimedOut), Err(ErrorKind::ConnectionRefused));
        let mut server = Server { address: ([127, 0, 0, 1], 1).into(), misses: MISSES, open: Vec::new() };
        let cases = [
            (silent, false),
            (Ok(()), true),
            (silent, true),
            (silent, true),
            (Ok(()), true),
            (silent, true),
            (silent, true),
            (silent, false),
            (Ok(()), true),
            (refused, false),
        ];
        for (n, (answer, accepts)) in cases.into_iter().enumerate() {
            server.found(answer);
            assert_eq!(server.accepts(), accepts, "{n}: {answer:?}");
        }
    }

    #[test]
    fn connections_go_to_all_servers_and_those_of_a_dead_one_are_cut() {
        let balancer = Balancer::start("127.0.0.1:0").unwrap();
        let (a, _) = server(b"a");
        let (b, b_ends) = server(b"b");
        balancer.add("127.0.0.1", a).unwrap();
        balancer.add("127.0.0.1", b).unwrap();
        let started = Instant::now();
        let mut to_b = loop {
            let (client, said) = ask(&balancer.endpoint());
            if said == b'b' {
                break client;
            }
            assert!(started.elapsed() < Duration::from_secs(5));
        };
        b_ends.store(true, Ordering::Release);
        let mut byte = [0];
        assert_eq!(to_b.read(&mut byte).unwrap_or(0), 0, "the connection to the dead server is cut");
        for _ in 0..4 {
            assert_eq!(ask(&balancer.endpoint()).1, b'a');
        }
    }
}
