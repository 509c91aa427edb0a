//! Container runtimes: which client speaks to the one behind a socket.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kubeadm_engine::ports::{Runtime, Runtimes, WriteRuntime, is_dockershim};

use crate::cri::CriClient;
use crate::docker::DockerClient;

/// Clients of container runtimes, one for each socket.
pub struct HostRuntimes {
    /// Docker, which its kubelet speaks to itself: nobody listens at dockershim's socket before the kubelet runs.
    docker: Arc<DockerClient>,
    cri: Mutex<HashMap<String, Arc<CriClient>>>,
}

impl HostRuntimes {
    /// Clients that look for Docker and for the credentials of its registries where these variables say.
    pub fn new(env: &BTreeMap<String, String>) -> Self {
        Self { docker: Arc::new(DockerClient::new(env)), cri: Mutex::default() }
    }

    fn client(&self, socket: &str) -> Arc<dyn WriteRuntime> {
        if is_dockershim(socket) {
            return self.docker.clone();
        }
        let mut clients = self.cri.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(socket.into()).or_insert_with(|| Arc::new(CriClient::new(socket))).clone()
    }
}

impl Runtimes for HostRuntimes {
    fn reader(&self, socket: &str) -> Arc<dyn Runtime> {
        self.client(socket)
    }

    fn writer(&self, socket: &str) -> Arc<dyn WriteRuntime> {
        self.client(socket)
    }

    fn answers(&self, socket: &str) -> bool {
        // Upstream, too, only looks whether somebody listens.
        let path = if is_dockershim(socket) { self.docker.path() } else { socket_path(socket) };
        path.is_ok_and(|path| std::os::unix::net::UnixStream::connect(path).is_ok())
    }
}

/// The path of a socket given as `unix:///path` or `/path`.
pub(crate) fn socket_path(socket: &str) -> Result<PathBuf, String> {
    let path = socket.strip_prefix("unix://").unwrap_or(socket);
    if path.starts_with('/') {
        Ok(path.into())
    } else {
        Err("only unix sockets are supported: expected unix:///path/to/socket".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_sockets() {
        assert_eq!(socket_path("unix:///run/x.sock"), Ok("/run/x.sock".into()));
        assert_eq!(socket_path("/run/x.sock"), Ok("/run/x.sock".into()));
        for socket in ["tcp://127.0.0.1:1", "unix://relative", "npipe:////./pipe/x", "", "run/x.sock"] {
            assert!(socket_path(socket).is_err(), "{socket}");
        }
    }
}
