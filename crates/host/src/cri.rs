//! A container runtime, over CRI on a unix socket: v1, or v1alpha2 where a runtime does not know v1.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use kubeadm_engine::ports::{
    CgroupDriver, Container, ContainerState, PodSandbox, Runtime, RuntimeCondition, RuntimeError,
    RuntimeStatus, WriteRuntime,
};
use kubeadm_rpc::cri::image_service_client::ImageServiceClient;
use kubeadm_rpc::cri::runtime_service_client::RuntimeServiceClient;
use kubeadm_rpc::{Dialect, Spoken, cri};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::cri_log;
use crate::files::words;
use crate::pod_logs::PodLogs;
use crate::runtimes::socket_path;

/// Limit for connecting, and for the calls that say how the runtime is (upstream's `defaultTimeout`).
pub(crate) const STATUS_LIMIT: Duration = Duration::from_secs(2);
/// Limit for looking at images and containers, which takes longer on a loaded node.
pub(crate) const LIST_LIMIT: Duration = Duration::from_secs(10);
/// Limit for stopping or removing a pod: its network is taken down, too.
pub(crate) const REMOVE_LIMIT: Duration = Duration::from_secs(60);
/// What a runtime may answer at most, as Go's CRI client has it.
const MESSAGE_LIMIT: usize = 16 << 20;

pub(crate) const NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";
pub(crate) const POD_LABEL: &str = "io.kubernetes.pod.name";
pub(crate) const CONTAINER_LABEL: &str = "io.kubernetes.container.name";
pub(crate) const SYSTEM_NAMESPACE: &str = "kube-system";

type Spoke = Spoken<Channel>;

/// The client of one socket.
pub(crate) struct CriClient {
    socket: String,
    /// The channel, once it is known what is spoken there.
    spoken: Mutex<Option<Spoke>>,
    logs: tokio::sync::Mutex<PodLogs>,
}

impl CriClient {
    pub(crate) fn new(socket: &str) -> Self {
        Self { socket: socket.into(), spoken: Mutex::default(), logs: tokio::sync::Mutex::default() }
    }

    fn unreachable(&self, reason: impl Into<String>) -> RuntimeError {
        RuntimeError::Unreachable { socket: self.socket.clone(), reason: reason.into() }
    }

    fn late(&self, call: &'static str, limit: Duration) -> RuntimeError {
        RuntimeError::Late { socket: self.socket.clone(), call, limit }
    }

    fn channel(&self) -> Result<Channel, RuntimeError> {
        let path = socket_path(&self.socket).map_err(|e| self.unreachable(e))?;
        // The name in the address means nothing on a unix socket, but there has to be one.
        let endpoint = Endpoint::from_static("http://localhost").connect_timeout(STATUS_LIMIT);
        Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        })))
    }

    /// The channel in the dialect of the runtime, which is asked for its version at the first use.
    async fn spoken(&self) -> Result<Spoke, RuntimeError> {
        if let Some(spoken) = self.spoken.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(spoken);
        }
        let channel = self.channel()?;
        let mut refusal = None;
        for dialect in [Dialect::V1, Dialect::V1Alpha2] {
            let spoken = Spoken::new(channel.clone(), dialect);
            let version = async {
                let request = cri::VersionRequest { version: "0.1.0".into() };
                runtime_service(spoken.clone()).version(request).await
            };
            match self.within(STATUS_LIMIT, "Version", version).await {
                Ok(_) => {
                    *self.spoken.lock().unwrap_or_else(PoisonError::into_inner) = Some(spoken.clone());
                    return Ok(spoken);
                }
                Err(error @ RuntimeError::Unimplemented { .. }) => refusal = refusal.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or_else(|| self.unreachable("no CRI version is spoken there")))
    }

    async fn runtime(&self) -> Result<RuntimeServiceClient<Spoke>, RuntimeError> {
        self.spoken().await.map(runtime_service)
    }

    async fn images(&self) -> Result<ImageServiceClient<Spoke>, RuntimeError> {
        let client = ImageServiceClient::new(self.spoken().await?);
        Ok(client.max_decoding_message_size(MESSAGE_LIMIT))
    }

    /// The answer to a call within a time limit.
    async fn within<T>(
        &self,
        limit: Duration,
        call: &'static str,
        answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, RuntimeError> {
        tracing::trace!("CRI {call} to {}", self.socket);
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => {
                answer.map(tonic::Response::into_inner).map_err(|status| self.failed(call, &status))
            }
            Err(_) => Err(self.late(call, limit)),
        }
    }

    fn failed(&self, call: &'static str, status: &Status) -> RuntimeError {
        match status.code() {
            Code::Unimplemented => RuntimeError::Unimplemented { socket: self.socket.clone(), call },
            _ => match transport_failure(status) {
                Some(reason) => self.unreachable(reason),
                None => RuntimeError::Failed {
                    call,
                    message: format!("rpc error: code = {:?} desc = {}", status.code(), status.message()),
                },
            },
        }
    }

    /// Why a container is in its state; `None` if it is gone.
    async fn container_status(&self, id: &str) -> Result<Option<cri::ContainerStatus>, RuntimeError> {
        let mut client = self.runtime().await?;
        let request = cri::ContainerStatusRequest { container_id: id.into(), verbose: false };
        match tokio::time::timeout(LIST_LIMIT, client.container_status(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner().status),
            Ok(Err(status)) if status.code() == Code::NotFound => Ok(None),
            Ok(Err(status)) => Err(self.failed("ContainerStatus", &status)),
            Err(_) => Err(self.late("ContainerStatus", LIST_LIMIT)),
        }
    }

    /// What a listed container is, with its status.
    async fn described(&self, listed: cri::Container) -> Result<Option<Container>, RuntimeError> {
        let Some(status) = self.container_status(&listed.id).await? else { return Ok(None) };
        let metadata = listed.metadata.unwrap_or_default();
        let label = |name| listed.labels.get(name).cloned();
        let image = [status.image, listed.image]
            .into_iter()
            .flatten()
            .flat_map(|i| [i.user_specified_image, i.image])
            .find(|name| !name.is_empty() && !name.starts_with("sha256:"));
        let state = match cri::ContainerState::try_from(status.state) {
            Ok(cri::ContainerState::ContainerCreated) => ContainerState::Created,
            Ok(cri::ContainerState::ContainerRunning) => ContainerState::Running,
            Ok(cri::ContainerState::ContainerExited) => ContainerState::Exited,
            Ok(cri::ContainerState::ContainerUnknown) | Err(_) => ContainerState::Unknown,
        };
        let exited = state == ContainerState::Exited;
        Ok(Some(Container {
            name: label(CONTAINER_LABEL).unwrap_or(metadata.name),
            pod: label(POD_LABEL).unwrap_or_default(),
            namespace: label(NAMESPACE_LABEL).unwrap_or_default(),
            image: image.unwrap_or(listed.image_ref),
            state,
            exit_code: exited.then_some(status.exit_code),
            reason: status.reason,
            message: status.message,
            attempt: metadata.attempt,
            created: time(listed.created_at),
            finished: exited.then(|| time(status.finished_at)),
            id: listed.id,
        }))
    }
}

fn runtime_service(spoken: Spoke) -> RuntimeServiceClient<Spoke> {
    RuntimeServiceClient::new(spoken).max_decoding_message_size(MESSAGE_LIMIT)
}

/// The system's words if it was the connection that failed, and not the runtime.
fn transport_failure(status: &Status) -> Option<String> {
    let mut layer: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(status);
    let mut last = None;
    while let Some(error) = layer {
        last = Some(match error.downcast_ref::<std::io::Error>() {
            Some(io) => words(io),
            None => error.to_string(),
        });
        layer = error.source();
    }
    last
}

/// What is not there any more has been removed.
fn gone<T: Default>(answer: Result<tonic::Response<T>, Status>) -> Result<tonic::Response<T>, Status> {
    match answer {
        Err(status) if status.code() == Code::NotFound => Ok(tonic::Response::new(T::default())),
        other => other,
    }
}

fn image_spec(image: &str) -> Option<cri::ImageSpec> {
    Some(cri::ImageSpec { image: image.into(), user_specified_image: String::new() })
}

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
}

#[async_trait]
impl Runtime for CriClient {
    fn socket(&self) -> &str {
        &self.socket
    }

    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        let mut client = self.runtime().await?;
        let answer = client.status(cri::StatusRequest { verbose: true });
        let answer = self.within(STATUS_LIMIT, "Status", answer).await?;
        let condition = |c: cri::RuntimeCondition| RuntimeCondition {
            kind: c.r#type,
            status: c.status,
            reason: c.reason,
            message: c.message,
        };
        let sandbox_image = answer.info.get("config").and_then(|config| {
            let config: serde_json::Value = serde_json::from_str(config).ok()?;
            config["sandboxImage"].as_str().filter(|image| !image.is_empty()).map(str::to_owned)
        });
        let conditions = answer.status.unwrap_or_default().conditions.into_iter().map(condition).collect();
        Ok(RuntimeStatus { conditions, sandbox_image, docker: None })
    }

    async fn cgroup_driver(&self) -> Result<CgroupDriver, RuntimeError> {
        let mut client = self.runtime().await?;
        let answer = client.runtime_config(cri::RuntimeConfigRequest {});
        let linux = self.within(STATUS_LIMIT, "RuntimeConfig", answer).await?.linux.unwrap_or_default();
        Ok(match linux.cgroup_driver() {
            cri::CgroupDriver::Systemd => CgroupDriver::Systemd,
            cri::CgroupDriver::Cgroupfs => CgroupDriver::Cgroupfs,
        })
    }

    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError> {
        let mut client = self.images().await?;
        let answer = client.image_status(cri::ImageStatusRequest { image: image_spec(image) });
        Ok(self.within(LIST_LIMIT, "ImageStatus", answer).await?.image.is_some())
    }

    async fn containers(&self) -> Result<Vec<Container>, RuntimeError> {
        let mut client = self.runtime().await?;
        let labels = HashMap::from([(NAMESPACE_LABEL.to_owned(), SYSTEM_NAMESPACE.to_owned())]);
        let filter = Some(cri::ContainerFilter { label_selector: labels, ..Default::default() });
        let answer = client.list_containers(cri::ListContainersRequest { filter });
        let listed = self.within(LIST_LIMIT, "ListContainers", answer).await?.containers;
        let described = try_join_all(listed.into_iter().map(|container| self.described(container))).await?;
        let mut containers: Vec<_> = described.into_iter().flatten().collect();
        containers.sort_by_key(|c| std::cmp::Reverse(c.created));
        Ok(containers)
    }

    async fn pod_sandboxes(&self) -> Result<Vec<PodSandbox>, RuntimeError> {
        let mut client = self.runtime().await?;
        let answer = client.list_pod_sandbox(cri::ListPodSandboxRequest { filter: None });
        let items = self.within(LIST_LIMIT, "ListPodSandbox", answer).await?.items;
        let described = |sandbox: cri::PodSandbox| {
            let metadata = sandbox.metadata.unwrap_or_default();
            PodSandbox { id: sandbox.id, pod: metadata.name, namespace: metadata.namespace }
        };
        Ok(items.into_iter().map(described).collect())
    }

    async fn log_tail(&self, id: &str, lines: usize) -> Result<Vec<String>, RuntimeError> {
        let path = self.container_status(id).await?.unwrap_or_default().log_path;
        if path.is_empty() {
            return Ok(Vec::new());
        }
        cri_log::tail(&path, lines).map_err(|e| RuntimeError::Failed {
            call: "ContainerStatus",
            message: format!("open {path}: {}", words(&e)),
        })
    }

    async fn changed(&self, max: Duration) {
        self.logs.lock().await.changed(max).await;
    }
}

#[async_trait]
impl WriteRuntime for CriClient {
    async fn pull(&self, image: &str) -> Result<(), RuntimeError> {
        let mut client = self.images().await?;
        let answer = client.pull_image(cri::PullImageRequest { image: image_spec(image) }).await;
        answer.map(drop).map_err(|status| self.failed("PullImage", &status))
    }

    async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        let mut client = self.runtime().await?;
        let timeout = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let request = cri::StopContainerRequest { container_id: id.into(), timeout };
        let answer = async { gone(client.stop_container(request).await) };
        self.within(grace + LIST_LIMIT, "StopContainer", answer).await.map(drop)
    }

    async fn remove_pod_sandbox(&self, id: &str) -> Result<(), RuntimeError> {
        let mut client = self.runtime().await?;
        let request = cri::StopPodSandboxRequest { pod_sandbox_id: id.into() };
        let answer = async { gone(client.stop_pod_sandbox(request).await) };
        self.within(REMOVE_LIMIT, "StopPodSandbox", answer).await?;
        let request = cri::RemovePodSandboxRequest { pod_sandbox_id: id.into() };
        let answer = async { gone(client.remove_pod_sandbox(request).await) };
        self.within(REMOVE_LIMIT, "RemovePodSandbox", answer).await.map(drop)
    }
}
