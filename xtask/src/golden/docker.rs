//! The Docker of the recordings: a stand-in that could tell its cgroup driver and nothing else.
//!
//! Ours asks Docker's Engine API, so what was a program there is a socket here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use kubeadm_lab::Result;

use super::sandbox::io;

/// The minors whose original asked the stand-in in a way that it understood: before, they read the whole of
/// `docker info`; after, the kubelet's driver no longer depends on Docker's.
const ASKED: &[&str] = &["1.15", "1.16", "1.17", "1.18", "1.19", "1.20", "1.21"];

/// Whether the original of a minor learned the cgroup driver of the stand-in.
pub(crate) fn was_asked(minor: &str) -> bool {
    ASKED.contains(&minor)
}

/// A Docker that listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Docker {
    socket: PathBuf,
    stop: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Docker {
    /// Listens at a socket.
    pub(crate) fn listen(socket: &Path) -> Result<Self> {
        let listener = UnixListener::bind(socket).map_err(|e| io("listen at", socket, e))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let listening = std::thread::spawn(move || {
            for peer in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A peer that went away needs no answer.
                let _ = answer(peer);
            }
        });
        Ok(Self { socket: socket.to_owned(), stop, listening: Some(listening) })
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener waits for somebody to come.
        let woken = UnixStream::connect(&self.socket).is_ok();
        if let Some(listening) = self.listening.take().filter(|_| woken) {
            let _ = listening.join();
        }
    }
}

fn answer(mut peer: UnixStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(peer.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let (status, body) = match request.split(' ').nth(1) {
        Some(target) if target.ends_with("/info") => ("200 OK", r#"{"CgroupDriver":"cgroupfs"}"#),
        _ => ("404 Not Found", r#"{"message":"a stand-in knows nothing but its cgroup driver"}"#),
    };
    let length = body.len();
    write!(
        peer,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
