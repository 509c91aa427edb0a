//! The CRI client against a runtime on a unix socket.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::stream::Empty;
use kubeadm_engine::ports::{CgroupDriver, ContainerState, PodSandbox, RuntimeError, Runtimes};
use kubeadm_host::runtimes::HostRuntimes;
use kubeadm_rpc::cri;
use kubeadm_rpc::cri::image_service_server::{ImageService, ImageServiceServer};
use kubeadm_rpc::cri::runtime_service_server::{RuntimeService, RuntimeServiceServer};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::codegen::http;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};

/// A runtime with one running container and one that failed.
#[derive(Clone)]
struct Fake {
    /// Whether it knows RuntimeConfig.
    modern: bool,
    log: PathBuf,
    images: Arc<Mutex<Vec<String>>>,
}

type Answer<T> = Result<Response<T>, Status>;

fn container(id: &str, name: &str, created_at: i64) -> cri::Container {
    let labels = [
        ("io.kubernetes.pod.namespace", "kube-system".to_owned()),
        ("io.kubernetes.pod.name", format!("{name}-node")),
        ("io.kubernetes.container.name", name.to_owned()),
    ];
    cri::Container {
        id: id.into(),
        created_at,
        metadata: Some(cri::ContainerMetadata { name: name.into(), attempt: 2 }),
        image: Some(cri::ImageSpec { image: "sha256:0123".into(), ..Default::default() }),
        labels: labels.map(|(k, v)| (k.to_owned(), v)).into(),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl RuntimeService for Fake {
    type GetContainerEventsStream = Empty<Result<cri::ContainerEventResponse, Status>>;

    async fn version(&self, _: Request<cri::VersionRequest>) -> Answer<cri::VersionResponse> {
        Ok(Response::new(Default::default()))
    }

    async fn status(&self, request: Request<cri::StatusRequest>) -> Answer<cri::StatusResponse> {
        assert!(request.get_ref().verbose);
        let condition =
            cri::RuntimeCondition { r#type: "RuntimeReady".into(), status: true, ..Default::default() };
        let status = Some(cri::RuntimeStatus { conditions: vec![condition] });
        let config = r#"{"sandboxImage": "registry.k8s.io/pause:3.9", "containerd": {}}"#;
        let info = HashMap::from([("config".to_owned(), config.to_owned())]);
        Ok(Response::new(cri::StatusResponse { status, info }))
    }

    async fn runtime_config(
        &self,
        _: Request<cri::RuntimeConfigRequest>,
    ) -> Answer<cri::RuntimeConfigResponse> {
        if !self.modern {
            return Err(Status::unimplemented("unknown method RuntimeConfig"));
        }
        let linux = cri::LinuxRuntimeConfiguration { cgroup_driver: cri::CgroupDriver::Cgroupfs.into() };
        Ok(Response::new(cri::RuntimeConfigResponse { linux: Some(linux) }))
    }

    async fn list_pod_sandbox(
        &self,
        _: Request<cri::ListPodSandboxRequest>,
    ) -> Answer<cri::ListPodSandboxResponse> {
        let metadata = cri::PodSandboxMetadata {
            name: "etcd-node".into(),
            namespace: "kube-system".into(),
            ..Default::default()
        };
        let sandbox =
            cri::PodSandbox { id: "sandbox".into(), metadata: Some(metadata), ..Default::default() };
        Ok(Response::new(cri::ListPodSandboxResponse { items: vec![sandbox] }))
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<cri::StopPodSandboxRequest>,
    ) -> Answer<cri::StopPodSandboxResponse> {
        match request.into_inner().pod_sandbox_id.as_str() {
            "sandbox" => Ok(Response::new(Default::default())),
            "stuck" => Err(Status::unknown("failed to destroy network for sandbox")),
            _ => Err(Status::not_found("an error occurred when try to find sandbox")),
        }
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<cri::RemovePodSandboxRequest>,
    ) -> Answer<cri::RemovePodSandboxResponse> {
        match request.into_inner().pod_sandbox_id.as_str() {
            "sandbox" => Ok(Response::new(Default::default())),
            _ => Err(Status::not_found("an error occurred when try to find sandbox")),
        }
    }

    async fn stop_container(
        &self,
        request: Request<cri::StopContainerRequest>,
    ) -> Answer<cri::StopContainerResponse> {
        let cri::StopContainerRequest { container_id, timeout } = request.into_inner();
        match container_id.as_str() {
            "new" => {
                assert_eq!(timeout, 30);
                Ok(Response::new(Default::default()))
            }
            "stuck" => Err(Status::unknown("failed to kill container")),
            _ => Err(Status::not_found("an error occurred when try to find container")),
        }
    }

    async fn list_containers(
        &self,
        request: Request<cri::ListContainersRequest>,
    ) -> Answer<cri::ListContainersResponse> {
        let labels = request.into_inner().filter.unwrap().label_selector;
        assert_eq!(labels["io.kubernetes.pod.namespace"], "kube-system");
        let containers =
            vec![container("old", "etcd", 1), container("gone", "x", 3), container("new", "etcd", 2)];
        Ok(Response::new(cri::ListContainersResponse { containers }))
    }

    async fn container_status(
        &self,
        request: Request<cri::ContainerStatusRequest>,
    ) -> Answer<cri::ContainerStatusResponse> {
        let image = Some(cri::ImageSpec { image: "registry.k8s.io/etcd:3.6".into(), ..Default::default() });
        let mut status = cri::ContainerStatus { image, ..Default::default() };
        match request.get_ref().container_id.as_str() {
            "new" => status.state = cri::ContainerState::ContainerRunning.into(),
            "old" => {
                status.state = cri::ContainerState::ContainerExited.into();
                status.exit_code = 137;
                status.reason = "OOMKilled".into();
                status.finished_at = 7_000_000_000;
                status.log_path = self.log.display().to_string();
            }
            _ => return Err(Status::not_found("an error occurred when try to find container")),
        }
        Ok(Response::new(cri::ContainerStatusResponse { status: Some(status) }))
    }

    async fn get_container_events(
        &self,
        _: Request<cri::GetEventsRequest>,
    ) -> Answer<Self::GetContainerEventsStream> {
        Err(Status::internal("not asked for"))
    }
}

#[tonic::async_trait]
impl ImageService for Fake {
    async fn list_images(&self, _: Request<cri::ListImagesRequest>) -> Answer<cri::ListImagesResponse> {
        Err(Status::internal("not asked for"))
    }

    async fn image_status(
        &self,
        request: Request<cri::ImageStatusRequest>,
    ) -> Answer<cri::ImageStatusResponse> {
        let name = request.into_inner().image.unwrap().image;
        let image = self.images.lock().unwrap().contains(&name).then(cri::Image::default);
        Ok(Response::new(cri::ImageStatusResponse { image }))
    }

    async fn pull_image(&self, request: Request<cri::PullImageRequest>) -> Answer<cri::PullImageResponse> {
        let name = request.into_inner().image.unwrap().image;
        if name.starts_with("bad") {
            return Err(Status::not_found(format!("failed to pull and unpack image {name:?}")));
        }
        self.images.lock().unwrap().push(name);
        Ok(Response::new(Default::default()))
    }
}

/// Serves v1 services under their names in v1alpha2.
#[derive(Clone)]
struct Old<S>(S);

impl NamedService for Old<RuntimeServiceServer<Fake>> {
    const NAME: &'static str = "runtime.v1alpha2.RuntimeService";
}

impl NamedService for Old<ImageServiceServer<Fake>> {
    const NAME: &'static str = "runtime.v1alpha2.ImageService";
}

impl<S, B> tower::Service<http::Request<B>> for Old<S>
where
    S: tower::Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        let path = request.uri().path().replace("runtime.v1alpha2.", "runtime.v1.");
        *request.uri_mut() = path.parse().unwrap();
        self.0.call(request)
    }
}

/// Starts a runtime of the given age and returns its socket.
fn start(dir: &Path, old: bool, modern: bool) -> String {
    let socket = dir.join("cri.sock");
    let incoming = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let fake = Fake { modern, log: dir.join("0.log"), images: Arc::default() };
    let (runtime, images) = (RuntimeServiceServer::new(fake.clone()), ImageServiceServer::new(fake));
    let mut server = tonic::transport::Server::builder();
    tokio::spawn(async move {
        if old {
            server.add_service(Old(runtime)).add_service(Old(images)).serve_with_incoming(incoming).await
        } else {
            server.add_service(runtime).add_service(images).serve_with_incoming(incoming).await
        }
    });
    format!("unix://{}", socket.display())
}

#[tokio::test]
async fn a_runtime_of_today() {
    let dir = tempfile::tempdir().unwrap();
    let socket = start(dir.path(), false, true);
    let runtimes = HostRuntimes::new(&BTreeMap::new());
    assert!(runtimes.answers(&socket));
    let runtime = runtimes.writer(&socket);
    assert_eq!(runtime.socket(), socket);

    let status = runtime.status().await.unwrap();
    assert!(status.conditions[0].status && status.conditions[0].kind == "RuntimeReady");
    assert_eq!(status.sandbox_image.as_deref(), Some("registry.k8s.io/pause:3.9"));
    assert_eq!(runtime.cgroup_driver().await.unwrap(), CgroupDriver::Cgroupfs);

    assert!(!runtime.image_present("good:1").await.unwrap());
    runtime.pull("good:1").await.unwrap();
    assert!(runtime.image_present("good:1").await.unwrap());
    let error = runtime.pull("bad:1").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "PullImage: rpc error: code = NotFound desc = failed to pull and unpack image \"bad:1\""
    );
}

#[tokio::test]
async fn containers_and_their_logs() {
    let dir = tempfile::tempdir().unwrap();
    let socket = start(dir.path(), false, true);
    let runtime = HostRuntimes::new(&BTreeMap::new()).reader(&socket);
    let containers = runtime.containers().await.unwrap();
    let ids: Vec<_> = containers.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["new", "old"], "newest first, without the one that vanished");
    let old = &containers[1];
    assert_eq!((old.name.as_str(), old.pod.as_str(), old.attempt), ("etcd", "etcd-node", 2));
    assert_eq!(
        (old.state, old.exit_code, old.reason.as_str()),
        (ContainerState::Exited, Some(137), "OOMKilled")
    );
    assert_eq!(old.finished.unwrap().as_second(), 7);
    assert_eq!(old.image, "registry.k8s.io/etcd:3.6");
    assert_eq!((containers[0].state, containers[0].exit_code), (ContainerState::Running, None));

    let error = runtime.log_tail("old", 1).await.unwrap_err().to_string();
    assert!(error.ends_with("0.log: no such file or directory"), "{error}");
    std::fs::write(dir.path().join("0.log"), "t stderr F one\nt stderr F two\n").unwrap();
    assert_eq!(runtime.log_tail("old", 1).await.unwrap(), ["two"]);
    assert_eq!(runtime.log_tail("gone", 1).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn containers_are_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let socket = start(dir.path(), false, true);
    let runtime = HostRuntimes::new(&BTreeMap::new()).writer(&socket);
    let grace = std::time::Duration::from_secs(30);
    runtime.stop_container("new", grace).await.unwrap();
    runtime.stop_container("gone", grace).await.unwrap();
    let error = runtime.stop_container("stuck", grace).await.unwrap_err().to_string();
    assert_eq!(error, "StopContainer: rpc error: code = Unknown desc = failed to kill container");
}

#[tokio::test]
async fn pods_are_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let socket = start(dir.path(), false, true);
    let runtime = HostRuntimes::new(&BTreeMap::new()).writer(&socket);
    let pods = runtime.pod_sandboxes().await.unwrap();
    let wanted =
        PodSandbox { id: "sandbox".into(), pod: "etcd-node".into(), namespace: "kube-system".into() };
    assert_eq!(pods, [wanted]);
    runtime.remove_pod_sandbox("sandbox").await.unwrap();
    runtime.remove_pod_sandbox("gone").await.unwrap();
    let error = runtime.remove_pod_sandbox("stuck").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "StopPodSandbox: rpc error: code = Unknown desc = failed to destroy network for sandbox"
    );
}

#[tokio::test]
async fn a_runtime_of_2018() {
    let dir = tempfile::tempdir().unwrap();
    let socket = start(dir.path(), true, false);
    let runtime = HostRuntimes::new(&BTreeMap::new()).writer(&socket);
    assert!(runtime.status().await.is_ok());
    runtime.pull("good:1").await.unwrap();
    let error = runtime.cgroup_driver().await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unimplemented { call: "RuntimeConfig", .. }), "{error}");
}

#[tokio::test]
async fn sockets_that_do_not_answer() {
    let runtimes = HostRuntimes::new(&BTreeMap::new());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.sock");
    let socket = format!("unix://{}", path.display());
    let reason = |error| match error {
        RuntimeError::Unreachable { reason, .. } => reason,
        other => panic!("{other}"),
    };
    assert!(!runtimes.answers(&socket));
    assert_eq!(reason(runtimes.reader(&socket).status().await.unwrap_err()), "no such file or directory");
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(reason(runtimes.reader(&socket).status().await.unwrap_err()), "connection refused");
    // Somebody listens and says nothing.
    let path = dir.path().join("mute.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let socket = format!("unix://{}", path.display());
    for error in [
        runtimes.reader(&socket).status().await.unwrap_err(),
        runtimes.writer(&socket).pull("good:1").await.unwrap_err(),
    ] {
        assert!(matches!(error, RuntimeError::Late { call: "Version", .. }), "{error}");
    }
    drop(listener);
    let tcp = reason(runtimes.reader("tcp://127.0.0.1:1").status().await.unwrap_err());
    assert!(tcp.starts_with("only unix sockets are supported"), "{tcp}");
}
