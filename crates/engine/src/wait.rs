//! Waiting for the kubelet and the control plane, on events and short polls, with an eye on what goes wrong.
//!
//! Upstream waits four minutes and then tells the user to look at logs. Here each turn also looks at the kubelet's
//! service and at the containers of the static pods ([`crate::diagnose`]); a cause that time will not cure ends the
//! wait at once, and every failure names what was found.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::{Either, join_all, select};
use jiff::Timestamp;
use kubeadm_config::duration::GoDuration;

use crate::backoff::Backoff;
use crate::diagnose::{self, Finding};
use crate::kubelet::has_credentials;
use crate::plan::{ComponentHealth, WaitBootstrap, WaitControlPlane, WaitKubelet};
use crate::ports::*;
use crate::resource::NODES;
use crate::static_pods::{self, StaticPod};

/// How often the state of services and containers is looked at.
const LOOK: Duration = Duration::from_millis(1000);

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// A wait that was in vain.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The kubelet did not answer.
    #[error("failed while waiting for the kubelet to start: {reason}{}", report(findings))]
    Kubelet {
        /// The last answer, or that there is none.
        reason: String,
        /// What was found to be wrong.
        findings: Vec<Finding>,
    },
    /// The kubelet got no certificate.
    #[error("failed while waiting for TLS bootstrap: {reason}{}", report(findings))]
    Bootstrap {
        /// What is missing.
        reason: String,
        /// What was found to be wrong.
        findings: Vec<Finding>,
    },
    /// Components did not answer.
    #[error("failed while waiting for the control plane to start: {}{}", failures.join(", "), report(findings))]
    ControlPlane {
        /// Per component: the last answer.
        failures: Vec<String>,
        /// What was found to be wrong.
        findings: Vec<Finding>,
        /// CRI socket, for the help text.
        socket: String,
    },
}

impl WaitError {
    /// What was found to be wrong.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Kubelet { findings, .. }
            | Self::Bootstrap { findings, .. }
            | Self::ControlPlane { findings, .. } => findings,
        }
    }

    /// Upstream's advice, for a failure whose cause was not found.
    pub fn help(&self) -> String {
        match self {
            Self::Kubelet { .. } | Self::Bootstrap { .. } => KUBELET_HELP.into(),
            Self::ControlPlane { socket, .. } => CONTROL_PLANE_HELP.replace("SOCKET", socket),
        }
    }
}

fn report(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("\n{f}")).collect()
}

/// cmd/kubeadm/app/cmd/phases/init/waitcontrolplane.go, 1.37.
const KUBELET_HELP: &str = "
Unfortunately, an error has occurred, likely caused by:
\t- The kubelet is not running
\t- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)

If you are on a systemd-powered system, you can try to troubleshoot the error with the following commands:
\t- 'systemctl status kubelet'
\t- 'journalctl -xeu kubelet'
";

/// cmd/kubeadm/app/cmd/phases/init/waitcontrolplane.go, 1.37.
const CONTROL_PLANE_HELP: &str = "
A control plane component may have crashed or exited when started by the container runtime.
To troubleshoot, list all containers using your preferred container runtimes CLI.
Here is one example how you may list all running Kubernetes containers by using crictl:
\t- 'crictl --runtime-endpoint SOCKET ps -a | grep kube | grep -v pause'
\tOnce you have found the failing container, you can inspect its logs with:
\t- 'crictl --runtime-endpoint SOCKET logs CONTAINERID'
";

/// Waits for the kubelet, then for all components at once.
pub async fn control_plane(
    wait: &WaitControlPlane,
    view: View<'_>,
    output: &dyn Output,
) -> Result<(), WaitError> {
    if let Some(wait) = &wait.kubelet {
        kubelet(wait, view, output).await?;
    }
    let components = Components {
        components: &wait.components,
        limit: wait.components_limit,
        manifests: &wait.manifests,
        since: Timestamp::UNIX_EPOCH,
        socket: &wait.socket,
        seen: false,
    };
    components.wait(view, output).await
}

/// A static pod that is to run anew.
#[derive(Debug, Clone, Copy)]
pub struct Anew<'a> {
    /// Name of its container.
    pub component: &'a str,
    /// Its manifest.
    pub manifest: &'a PathBuf,
    /// What must answer. `None` where nothing can be asked: then its container has to run.
    pub health: Option<&'a ComponentHealth>,
    /// How long that may take.
    pub limit: Duration,
    /// Containers of before do not count.
    pub since: Timestamp,
}

/// Waits until a container of a static pod that was made from its manifest, and not before a moment, answers or at least
/// runs.
pub async fn anew(pod: Anew<'_>, view: View<'_>, output: &dyn Output) -> Result<(), WaitError> {
    let components = Components {
        components: pod.health.map_or(&[], std::slice::from_ref),
        limit: pod.limit,
        manifests: std::slice::from_ref(pod.manifest),
        since: pod.since,
        socket: view.runtime.socket(),
        seen: true,
    };
    if pod.health.is_none() {
        components.run(view, pod.component).await?;
    }
    components.wait(view, output).await
}

/// Waits for the kubelet, then for the file that it writes with its own certificate.
///
/// On a control plane the kubelet talks to the API server that it starts itself. Before that answers it asks in vain for
/// its certificate, and to be registered, and then only after growing pauses of up to half a minute: so it is started anew
/// once it can succeed.
pub async fn bootstrap(
    wait: &WaitBootstrap,
    services: &dyn WriteServices,
    view: View<'_>,
    output: &dyn Output,
) -> Result<(), WaitError> {
    kubelet(&wait.kubelet, view, output).await?;
    output.say("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap");
    let (mut tries, mut next_look) = (polls(view), LOOK);
    let pods = static_pods::read(view, &wait.manifests);
    let names: Vec<&str> = pods.iter().map(|pod| pod.component.as_str()).collect();
    let mut watch = diagnose::Watch::default();
    let mut awaited = wait.api_server.as_ref();
    loop {
        let bootstrapped = has_credentials(view.files, &wait.kubelet_conf);
        if let Some(api_server) = awaited
            && health(view, api_server).await.is_ok()
        {
            awaited = None;
            if !bootstrapped
                || view.api.get(NODES, "", &wait.node_name).await.is_ok_and(|node| node.is_none())
            {
                let outcome = services.restart("kubelet").await;
                tracing::debug!(
                    ?outcome,
                    "the API server answers: restarted the kubelet, so that it asks now"
                );
            }
        }
        if bootstrapped && awaited.is_none() {
            output.progress("");
            return Ok(());
        }
        let waited = tries.waited();
        let late = waited >= wait.bootstrap_limit;
        if late || waited >= next_look {
            let findings = match awaited {
                Some(_) => {
                    let look = watch.look(view, &pods, &names, waited, late).await;
                    output.progress(&look.progress);
                    look.findings
                }
                None => {
                    output.progress("waiting for the kubelet's certificate to be signed");
                    match late {
                        true => watch.bootstrap(view, waited).await,
                        false => watch.kubelet(view, waited, false).await,
                    }
                }
            };
            if late || !findings.is_empty() {
                output.progress("");
                if bootstrapped {
                    // What keeps the API server from answering is told by the wait for it.
                    return Ok(());
                }
                let reason = format!(
                    "the kubelet got no certificate of its own for {} within {}",
                    wait.kubelet_conf.display(),
                    go_millis(waited)
                );
                return Err(WaitError::Bootstrap { reason, findings });
            }
            next_look = waited + LOOK;
        }
        tries.pause().await;
    }
}

async fn kubelet(wait: &WaitKubelet, view: View<'_>, output: &dyn Output) -> Result<(), WaitError> {
    let Some(url) = wait.health.as_deref() else {
        output.say("[kubelet-check] Skipping the kubelet health check because the healthz port is set to 0");
        return Ok(());
    };
    let limit = go_seconds(wait.limit);
    output
        .say(&format!("[kubelet-check] Waiting for a healthy kubelet at {url}. This can take up to {limit}"));
    let (mut tries, mut next_look) = (polls(view), LOOK);
    let mut watch = diagnose::Watch::default();
    loop {
        let reason = match get(view, url).await {
            Ok(200) => {
                let took = go_millis(tries.waited());
                output.say(&format!("[kubelet-check] The kubelet is healthy after {took}"));
                return Ok(());
            }
            Ok(code) => format!("The HTTP call equal to 'curl -sSL {url}' returned status code: {code}"),
            Err(error) => format!("The HTTP call equal to 'curl -sSL {url}' returned error: {error}"),
        };
        let waited = tries.waited();
        let late = waited >= wait.limit;
        if late || waited >= next_look {
            output.progress("waiting for the kubelet to answer");
            let findings = watch.kubelet(view, waited, late).await;
            if late || !findings.is_empty() {
                let took = go_millis(waited);
                output.progress("");
                output.say(&format!("[kubelet-check] The kubelet is not healthy after {took}"));
                return Err(WaitError::Kubelet { reason, findings });
            }
            next_look = waited + LOOK;
        }
        tries.pause().await;
    }
}

/// Components that are to answer, from containers made of the manifests on disk and not before a moment.
struct Components<'a> {
    components: &'a [ComponentHealth],
    limit: Duration,
    manifests: &'a [PathBuf],
    since: Timestamp,
    socket: &'a str,
    /// Whether an answer counts only once the runtime shows the container that gives it.
    seen: bool,
}

impl Components<'_> {
    /// Waits until the containers run.
    async fn run(&self, view: View<'_>, name: &str) -> Result<(), WaitError> {
        let mut tries = polls(view);
        loop {
            let containers = view.runtime.containers().await.unwrap_or_default();
            if self.pods(view).iter().all(|pod| pod.runs(&containers)) {
                return Ok(());
            }
            let took = tries.waited();
            if took >= self.limit {
                let look = diagnose::Watch::default().look(view, &self.pods(view), &[name], took, true).await;
                let failures = vec![format!("no container of {name} runs")];
                let socket = self.socket.to_owned();
                return Err(WaitError::ControlPlane { failures, findings: look.findings, socket });
            }
            view.runtime.changed(tries.next()).await;
        }
    }

    async fn wait(&self, view: View<'_>, output: &dyn Output) -> Result<(), WaitError> {
        if self.components.is_empty() {
            return Ok(());
        }
        let mut watch = diagnose::Watch::default();
        let limit = go_seconds(self.limit);
        output.say(&format!(
            "[control-plane-check] Waiting for healthy control plane components. This can take up to {limit}"
        ));
        for component in self.components {
            output.say(&format!("[control-plane-check] Checking {} at {}", component.name, component.url));
        }
        let mut pending: Vec<&ComponentHealth> = self.components.iter().collect();
        let (mut tries, mut next_look) = (polls(view), LOOK);
        loop {
            let mut answers = join_all(pending.iter().map(|c| health(view, c))).await;
            if answers.iter().any(Result::is_ok) {
                self.distrust_predecessors(view, &pending, &mut answers).await;
            }
            let took = go_millis(tries.waited());
            let mut failures = Vec::new();
            let mut still = Vec::new();
            for (component, answer) in pending.into_iter().zip(answers) {
                match answer {
                    Ok(()) => output
                        .say(&format!("[control-plane-check] {} is healthy after {took}", component.name)),
                    Err(reason) => {
                        failures
                            .push(format!("{} check failed at {}: {reason}", component.name, component.url));
                        still.push(component);
                    }
                }
            }
            pending = still;
            if pending.is_empty() {
                output.progress("");
                return Ok(());
            }
            let waited = tries.waited();
            let late = waited >= self.limit;
            if late || waited >= next_look {
                let names: Vec<&str> = pending.iter().map(|c| c.name.as_str()).collect();
                let look = watch.look(view, &self.pods(view), &names, waited, late).await;
                output.progress(&look.progress);
                if late || !look.findings.is_empty() {
                    output.progress("");
                    for name in names {
                        output.say(&format!("[control-plane-check] {name} is not healthy after {took}"));
                    }
                    let socket = self.socket.to_owned();
                    return Err(WaitError::ControlPlane { failures, findings: look.findings, socket });
                }
                next_look = waited + LOOK;
            }
            view.runtime.changed(tries.next()).await;
        }
    }

    /// Takes back the good answers of containers that the kubelet has yet to replace: after a change of its manifest, a
    /// component of before may answer for a while. The API server's answer also speaks for etcd.
    async fn distrust_predecessors(
        &self,
        view: View<'_>,
        pending: &[&ComponentHealth],
        answers: &mut [Result<(), String>],
    ) {
        let containers = view.runtime.containers().await.unwrap_or_default();
        for pod in self.pods(view) {
            let awaited = pod.awaits_replacement(&containers);
            if !awaited && (!self.seen || pod.runs(&containers)) {
                continue;
            }
            let speaks =
                |name: &str| name == pod.component || (pod.component == "etcd" && name == "kube-apiserver");
            for (component, answer) in pending.iter().zip(answers.iter_mut()) {
                if speaks(&component.name) {
                    let text = match awaited {
                        true => format!("the previous container of {} still runs", pod.component),
                        false => format!("no container of {} runs yet", pod.component),
                    };
                    *answer = answer.clone().and(Err(text));
                }
            }
        }
    }

    /// The static pods; one that was stopped counts as changed then.
    fn pods(&self, view: View<'_>) -> Vec<StaticPod> {
        let mut pods = static_pods::read(view, self.manifests);
        for pod in &mut pods {
            pod.written = pod.written.max(self.since);
        }
        pods
    }
}

/// The pauses between two polls. A container event ends one early.
fn polls(view: View<'_>) -> Backoff<'_> {
    Backoff::between(Duration::from_millis(25), Duration::from_millis(250), view.clock)
}

/// Asks a component, but not for long: one that keeps the line open must not keep the others from being looked at.
pub(crate) async fn health(view: View<'_>, component: &ComponentHealth) -> Result<(), String> {
    let patience = view.clock.pause(PATIENCE);
    match select(Box::pin(ask(view, component)), patience).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), _)) => Err(format!("no answer within {}", go_seconds(PATIENCE))),
    }
}

async fn ask(view: View<'_>, component: &ComponentHealth) -> Result<(), String> {
    if let Some(access) = &component.access {
        let path = component.url.rsplit('/').next().unwrap_or_default();
        let api = view.cluster.reader(access);
        return api.get_path(&format!("/{path}")).await.map(drop).map_err(|e| e.to_string());
    }
    match get(view, &component.url).await {
        Ok(200) => Ok(()),
        Ok(code) => Err(format!("status {code}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Health endpoints are on this host and serve self-signed certificates: no proxy, no verification.
pub(crate) async fn get(view: View<'_>, url: &str) -> Result<u16, HttpError> {
    let timeout = Duration::from_secs(10);
    let request = HttpGet { url: url.into(), timeout, proxy: false, trust: HttpTrust::Unverified };
    Ok(view.net.get(&request).await?.status)
}

/// `501.5ms`, `4m0.5s`: elapsed times as upstream prints them, to the tenth of a millisecond.
fn go_millis(time: Duration) -> String {
    let rounded = Duration::from_micros(time.as_micros() as u64 / 100 * 100);
    GoDuration::from(rounded).to_string()
}

fn go_seconds(time: Duration) -> String {
    GoDuration::from(time).to_string()
}
