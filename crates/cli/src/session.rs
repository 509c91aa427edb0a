//! What a command that works on the host needs: the ports made real, and the one runtime their asynchronous parts
//! run on. Short commands never start one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kubeadm_config::detect::{Detect, FetchError, Interface, RoutingTables};
use kubeadm_config::error::{Notice, Severity};
use kubeadm_engine::ports::{DOCKERSHIM, Effects, HttpGet, HttpTrust};
use kubeadm_host::keys::KeyPool;
use kubeadm_host::output::HostOutput;
use kubeadm_release::Release;
use tokio::runtime::Runtime;

use crate::error::CommandError;

/// The host of this process.
pub(crate) struct Session {
    /// Its ports.
    pub(crate) fx: Effects,
    /// Where keys are made ahead of time.
    pub(crate) keys: Arc<KeyPool>,
    runtime: Runtime,
}

impl Session {
    /// Reads the environment; connects to nothing and reads no file.
    pub(crate) fn start() -> Result<Self, CommandError> {
        let keys = Arc::new(KeyPool::new());
        let output = Arc::new(HostOutput::from_process());
        let fx = kubeadm_host::effects(kubeadm_host::Options { keys: keys.clone(), output });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { fx, keys, runtime })
    }

    /// Runs a future on this thread.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Says what was noticed while a configuration was read.
    pub(crate) fn tell(&self, notices: &[Notice]) {
        for notice in notices {
            let text = &notice.text;
            match notice.severity {
                Severity::Warning => self.fx.output.warn(text),
                Severity::Info(0) => tracing::info!("{text}"),
                Severity::Info(1..4) => tracing::debug!("{text}"),
                Severity::Info(_) => tracing::trace!("{text}"),
            }
        }
    }

    /// The socket of the container runtime of this node: what its kubelet is told, else the one that answers.
    pub(crate) fn kubelets_socket(&self) -> Result<String, CommandError> {
        if let Some(socket) = kubeadm_engine::kubelet::runtime_socket(&*self.fx.files) {
            return Ok(socket);
        }
        let known = Release::newest().kubelet.sockets.known;
        let found: Vec<&str> =
            known.iter().copied().filter(|socket| self.fx.runtimes.answers(socket)).collect();
        match found.as_slice() {
            [one] => Ok((*one).to_owned()),
            [] => Err(CommandError::new(format!(
                "cannot tell the container runtime of this node: no file of the kubelet names its socket, and nobody answers at {}",
                known.join(", ")
            ))),
            many => Err(CommandError::new(format!(
                "cannot tell the container runtime of this node: no file of the kubelet names its socket, and several answer: {}",
                many.join(", ")
            ))),
        }
    }

    /// The socket of a runtime for a kubelet whose release looks for none; empty where it does look, or nothing is found.
    /// Docker goes before others: where it is, its own containerd answers too
    /// (cmd/kubeadm/app/util/runtime/runtime.go, 1.14).
    pub(crate) fn socket_for(&self, kubelet: &Release) -> String {
        if !kubelet.kubelet.sockets.known.is_empty() {
            return String::new();
        }
        let docker = || self.fx.runtimes.answers(DOCKERSHIM).then(|| DOCKERSHIM.to_owned());
        let told = kubeadm_engine::kubelet::runtime_socket(&*self.fx.files);
        told.or_else(docker).or_else(|| self.kubelets_socket().ok()).unwrap_or_default()
    }

    /// The text of a configuration file.
    pub(crate) fn read_config(&self, path: &str) -> Result<String, CommandError> {
        let failed =
            |reason: String| CommandError::new(format!("unable to read config from {path:?} : {reason}"));
        let content = self.fx.files.read(Path::new(path)).map_err(|e| failed(e.to_string()))?;
        let content = content.ok_or_else(|| failed(format!("open {path}: no such file or directory")))?;
        String::from_utf8(content).map_err(|e| failed(e.to_string()))
    }
}

/// How long a version label is looked up. kubeadm's own version is known, so nobody should wait for a network that
/// isn't there. Upstream allows ten seconds.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

impl Detect for &Session {
    fn hostname(&mut self) -> Result<String, String> {
        Ok(self.fx.system.hostname())
    }

    fn routes(&mut self) -> RoutingTables {
        let table = |path: &str| {
            let content = self.fx.files.read(Path::new(path)).ok().flatten()?;
            Some(String::from_utf8_lossy(&content).into_owned())
        };
        RoutingTables { ipv4: table("/proc/net/route"), ipv6: table("/proc/net/ipv6_route") }
    }

    fn interfaces(&mut self) -> Result<Vec<Interface>, String> {
        Ok(self.fx.net.interfaces())
    }

    fn runtime_answers(&mut self, socket: &str) -> bool {
        self.fx.runtimes.answers(socket)
    }

    fn random(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        kubeadm_pki::random(buffer).map_err(|error| error.to_string())
    }

    fn fetch(&mut self, url: &str) -> Result<String, FetchError> {
        let request =
            HttpGet { url: url.into(), timeout: LOOKUP_LIMIT, proxy: true, trust: HttpTrust::System };
        match self.block_on(self.fx.net.get(&request)) {
            Ok(answer) if answer.status == 200 => Ok(answer.body),
            Ok(answer) => Err(FetchError::Status(answer.status.to_string())),
            Err(error) => Err(FetchError::Unreachable(error.to_string())),
        }
    }
}
