//! The Docker client against a Docker on a unix socket that says what a real one said.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kubeadm_engine::ports::{
    CgroupDriver, ContainerState, DOCKERSHIM, DockerEngine, PodSandbox, RuntimeError, Runtimes, WriteRuntime,
};
use kubeadm_host::runtimes::HostRuntimes;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

/// A Docker, as its client's tests see it.
#[derive(Default)]
struct Fake {
    /// Request lines, and the credentials of pulls.
    seen: Mutex<Vec<String>>,
    images: Mutex<Vec<String>>,
    /// Where what happens is told, to the newest listener.
    events: Mutex<Option<mpsc::UnboundedSender<Bytes>>>,
}

type Body = BoxBody<Bytes, Infallible>;

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Full::new(body.into()).boxed()).unwrap()
}

fn decoded(query: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = query.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// A container as Docker lists it.
fn listed(id: &str, kind: &str, component: &str, sandbox: &str) -> Value {
    let labels = json!({
        "io.kubernetes.docker.type": kind,
        "io.kubernetes.pod.namespace": "kube-system",
        "io.kubernetes.pod.name": format!("{component}-node"),
        "io.kubernetes.container.name": if kind == "podsandbox" { "POD" } else { component },
        "io.kubernetes.sandbox.id": sandbox,
    });
    json!({ "Id": id, "Labels": labels, "Created": 1_543_831_200, "State": "running" })
}

/// The same, looked at.
fn inspected(id: &str, name: &str, created: &str, image: &str, state: Value) -> Value {
    json!({ "Id": id, "Name": name, "Created": created, "Config": { "Image": image }, "State": state })
}

impl Fake {
    fn see(&self, line: &str) {
        self.seen.lock().unwrap().push(line.to_owned());
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let (path, query) = (request.uri().path(), decoded(request.uri().query().unwrap_or_default()));
        let login = request.headers().get("X-Registry-Auth").map_or("", |v| v.to_str().unwrap());
        self.see(format!("{} {path}?{query} {login}", request.method()).trim_end_matches([' ', '?']));
        match (request.method().as_str(), path) {
            ("GET", "/info") => {
                let info = json!({"ServerVersion": "20.10.24+dfsg1", "Driver": "overlay2", "CgroupDriver": "cgroupfs"});
                answer(200, info.to_string())
            }
            ("GET", "/containers/json") => answer(200, Self::list(&query).to_string()),
            ("GET", path) if path.starts_with("/containers/") && path.ends_with("/json") => {
                Self::inspect(path.trim_start_matches("/containers/").trim_end_matches("/json"))
            }
            ("GET", "/containers/old/logs") => {
                answer(200, &b"\x02\0\0\0\0\0\0\x06one\ntw\x01\0\0\0\0\0\0\x03o\n\n"[..])
            }
            ("GET", "/containers/silent/logs") => answer(
                501,
                json!({"message": "configured logging driver does not support reading"}).to_string(),
            ),
            ("POST", "/containers/new/stop") => answer(204, ""),
            ("POST", "/containers/ended/stop") => answer(304, ""),
            ("POST", "/containers/stuck/stop") => {
                answer(500, json!({"message": "cannot stop container: stuck"}).to_string())
            }
            ("DELETE", "/containers/new" | "/containers/old" | "/containers/sandbox") => answer(204, ""),
            ("DELETE", "/containers/stuck") => answer(500, "old daemons say it plainly\n"),
            ("GET", "/images/sha256:0123/json") => {
                answer(200, json!({"RepoTags": ["k8s.gcr.io/etcd:3.2.24"]}).to_string())
            }
            ("GET", path) if path.starts_with("/images/") => {
                let name = path.trim_start_matches("/images/").trim_end_matches("/json");
                let there = self.images.lock().unwrap().iter().any(|image| image == name);
                if there {
                    answer(200, "{}")
                } else {
                    answer(404, json!({"message": "No such image"}).to_string())
                }
            }
            ("POST", "/images/create") => self.pull(&query),
            ("GET", "/events") => {
                let (sender, receiver) = mpsc::unbounded_channel();
                *self.events.lock().unwrap() = Some(sender);
                let frames = stream::unfold(receiver, |mut receiver| async {
                    let event = receiver.recv().await?;
                    Some((Ok(Frame::data(event)), receiver))
                });
                Response::new(BodyExt::boxed(StreamBody::new(frames)))
            }
            _ => answer(404, json!({"message": "No such container"}).to_string()),
        }
    }

    fn list(query: &str) -> Value {
        let filters: Value = serde_json::from_str(query.split_once("filters=").unwrap().1).unwrap();
        let wanted: Vec<&str> =
            filters["label"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let all = [
            listed("old", "container", "etcd", "sandbox"),
            listed("gone", "container", "etcd", "sandbox"),
            listed("new", "container", "etcd", "sandbox"),
            listed("lost", "container", "kube-scheduler", "removed"),
            listed("sandbox", "podsandbox", "etcd", ""),
        ];
        let has = |container: &&Value| {
            wanted.iter().all(|label| match label.split_once('=') {
                Some((name, value)) => container["Labels"][name] == value,
                None => container["Labels"].get(label).is_some(),
            })
        };
        all.iter().filter(has).cloned().collect()
    }

    fn inspect(id: &str) -> Response<Body> {
        let (name, never) = ("/k8s_etcd_etcd-node_kube-system_0123_2", "0001-01-01T00:00:00Z");
        let found = match id {
            "old" => {
                let state = json!({"Status": "exited", "Running": false, "OOMKilled": true, "ExitCode": 137,
                                   "Error": "", "FinishedAt": "2018-12-03T10:00:07Z"});
                inspected(id, name, "2018-12-03T10:00:00.5Z", "sha256:0123", state)
            }
            "new" => {
                let state = json!({"Status": "running", "Running": true, "ExitCode": 0, "FinishedAt": never});
                inspected(id, name, "2018-12-03T10:01:00Z", "k8s.gcr.io/etcd:3.2.24", state)
            }
            "lost" => {
                let error =
                    "OCI runtime create failed: exec: \"kube-scheduler\": executable file not found in $PATH";
                let state = json!({"Status": "created", "Running": false, "ExitCode": 127, "Error": error,
                                   "FinishedAt": never});
                inspected(id, name, "2018-12-03T09:00:00Z", "sha256:4567", state)
            }
            _ => return answer(404, json!({"message": format!("No such container: {id}")}).to_string()),
        };
        answer(200, found.to_string())
    }

    /// Tells its progress in pieces that end anywhere, as Docker does.
    fn pull(&self, query: &str) -> Response<Body> {
        let lines = if query.contains("bad") {
            let error = "manifest for bad:1 not found: manifest unknown";
            json!({"status": "Pulling from bad"}).to_string()
                + "\r\n"
                + &json!({"errorDetail": {"message": error}, "error": error}).to_string()
        } else if query.contains("private") {
            return answer(404, json!({"message": "pull access denied for private"}).to_string());
        } else {
            let name = query.trim_start_matches("fromImage=").replace("&tag=", ":");
            self.images.lock().unwrap().push(name);
            json!({"status": "Pulling"}).to_string()
                + "\r\n"
                + &json!({"status": "Done"}).to_string()
                + "\r\n"
        };
        let pieces: Vec<Result<Frame<Bytes>, Infallible>> =
            lines.as_bytes().chunks(7).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        Response::new(BodyExt::boxed(StreamBody::new(stream::iter(pieces))))
    }
}

/// Starts a Docker in a folder, and returns it with a client in whose home nobody has logged in but to one registry.
fn start(dir: &Path) -> (Arc<Fake>, HostRuntimes) {
    let fake = Arc::new(Fake::default());
    let socket = dir.join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = Arc::clone(&fake);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let answer = server.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                // Clients that hang up are part of the tests.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (fake, HostRuntimes::new(&environment(dir)))
}

fn environment(dir: &Path) -> BTreeMap<String, String> {
    let socket = format!("unix://{}", dir.join("docker.sock").display());
    BTreeMap::from([
        ("DOCKER_HOST".to_owned(), socket),
        ("DOCKER_CONFIG".to_owned(), dir.display().to_string()),
    ])
}

fn docker(runtimes: &HostRuntimes) -> Arc<dyn WriteRuntime> {
    assert!(runtimes.answers(DOCKERSHIM));
    runtimes.writer("unix:///var/run/dockershim.sock")
}

#[tokio::test]
async fn docker_tells_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (_, runtimes) = start(dir.path());
    let runtime = docker(&runtimes);
    let status = runtime.status().await.unwrap();
    let engine = DockerEngine { version: "20.10.24+dfsg1".into(), graph_driver: "overlay2".into() };
    assert!(status.conditions[0].status && status.conditions[0].kind == "RuntimeReady");
    assert_eq!((status.docker, status.sandbox_image), (Some(engine), None));
    assert_eq!(runtime.cgroup_driver().await.unwrap(), CgroupDriver::Cgroupfs);
}

#[tokio::test]
async fn images_are_pulled() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, runtimes) = start(dir.path());
    let runtime = docker(&runtimes);
    let image = "k8s.gcr.io/kube-proxy:v1.13.12";
    assert!(!runtime.image_present(image).await.unwrap());
    runtime.pull(image).await.unwrap();
    assert!(runtime.image_present(image).await.unwrap());
    let error = runtime.pull("k8s.gcr.io/bad:1").await.unwrap_err().to_string();
    assert_eq!(error, "docker pull: manifest for bad:1 not found: manifest unknown");
    let error = runtime.pull("private.example/private:1").await.unwrap_err().to_string();
    assert_eq!(error, "docker pull: pull access denied for private");

    // user:password, as `docker login` writes it.
    let config = r#"{"auths": {"private.example": {"auth": "dXNlcjpwYXNzd29yZA=="}}}"#;
    std::fs::write(dir.path().join("config.json"), config).unwrap();
    let pull = "POST /images/create?fromImage=private.example/private&tag=1";
    let _ = runtime.pull("private.example/private:1").await;
    let seen = fake.seen();
    assert!(seen.contains(&pull.to_owned()), "without credentials: {seen:?}");
    assert!(seen.last().unwrap().starts_with(&format!("{pull} ey")), "with credentials: {seen:?}");
}

#[tokio::test]
async fn containers_and_their_logs() {
    let dir = tempfile::tempdir().unwrap();
    let (_, runtimes) = start(dir.path());
    let runtime = docker(&runtimes);
    let containers = runtime.containers().await.unwrap();
    let ids: Vec<_> = containers.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["new", "old", "lost"], "newest first, without the one that vanished");
    let [new, old, lost] = containers.as_slice() else { panic!("three") };
    assert_eq!((new.state, new.exit_code), (ContainerState::Running, None));
    assert_eq!((old.name.as_str(), old.pod.as_str(), old.attempt), ("etcd", "etcd-node", 2));
    assert_eq!(
        (old.state, old.exit_code, old.reason.as_str()),
        (ContainerState::Exited, Some(137), "OOMKilled")
    );
    assert_eq!(old.finished.unwrap().to_string(), "2018-12-03T10:00:07Z");
    assert_eq!(old.image, "k8s.gcr.io/etcd:3.2.24", "the name, not the id");
    assert_eq!(lost.image, "sha256:4567", "an image that is gone has no name");
    assert_eq!((lost.state, lost.reason.as_str()), (ContainerState::Exited, "ContainerCannotRun"));
    assert!(lost.message.contains("executable file not found"), "{}", lost.message);

    assert_eq!(runtime.log_tail("old", 2).await.unwrap(), ["one", "two", ""]);
    assert_eq!(runtime.log_tail("gone", 1).await.unwrap(), Vec::<String>::new());
    let error = runtime.log_tail("silent", 1).await.unwrap_err().to_string();
    assert_eq!(error, "docker logs: configured logging driver does not support reading");
}

#[tokio::test]
async fn containers_are_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, runtimes) = start(dir.path());
    let runtime = docker(&runtimes);
    let grace = Duration::from_secs(30);
    for id in ["new", "ended", "gone"] {
        runtime.stop_container(id, grace).await.unwrap();
    }
    assert!(fake.seen().contains(&"POST /containers/new/stop?t=30".to_owned()));
    let error = runtime.stop_container("stuck", grace).await.unwrap_err().to_string();
    assert_eq!(error, "docker stop: cannot stop container: stuck");
}

#[tokio::test]
async fn pods_are_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, runtimes) = start(dir.path());
    let runtime = docker(&runtimes);
    let pod = |id: &str, component: &str| PodSandbox {
        id: id.into(),
        pod: format!("{component}-node"),
        namespace: "kube-system".into(),
    };
    let pods = runtime.pod_sandboxes().await.unwrap();
    assert_eq!(pods, [pod("lost", "kube-scheduler"), pod("sandbox", "etcd")]);
    runtime.remove_pod_sandbox("sandbox").await.unwrap();
    let removed: Vec<String> = fake.seen().into_iter().filter(|l| l.starts_with("DELETE")).collect();
    assert_eq!(removed.len(), 4, "two containers, one that is gone, and the sandbox: {removed:?}");
    assert_eq!(removed[3], "DELETE /containers/sandbox?force=1&v=1", "the sandbox goes last");
    runtime.remove_pod_sandbox("gone").await.unwrap();
    let error = runtime.remove_pod_sandbox("stuck").await.unwrap_err().to_string();
    assert_eq!(error, "docker rm: old daemons say it plainly");
}

#[tokio::test]
async fn a_wait_ends_with_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, runtimes) = start(dir.path());
    let runtime = docker(&runtimes);
    let (long, start) = (Duration::from_secs(60), Instant::now());
    // The first one only begins to listen.
    runtime.changed(long).await;
    let tell = |event: &'static str| {
        let sender = fake.events.lock().unwrap().clone().expect("somebody listens");
        sender.send(Bytes::from_static(event.as_bytes())).unwrap();
    };
    tell("{\"status\":\"die\"}\n");
    runtime.changed(long).await;
    assert!(start.elapsed() < long / 2);
    let short = Duration::from_millis(30);
    let silence = Instant::now();
    runtime.changed(short).await;
    assert!(silence.elapsed() >= short, "nothing happened");
    // A Docker that ends is asked again.
    *fake.events.lock().unwrap() = None;
    runtime.changed(short).await;
    runtime.changed(long).await;
    assert!(fake.events.lock().unwrap().is_some() && start.elapsed() < long / 2);
}

#[tokio::test]
async fn a_docker_that_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let runtimes = HostRuntimes::new(&environment(dir.path()));
    let socket = dir.path().join("docker.sock");
    let reason = |error| match error {
        RuntimeError::Unreachable { socket, reason } => (socket, reason),
        other => panic!("{other}"),
    };
    let named = format!("unix://{}", socket.display());
    assert!(!runtimes.answers(DOCKERSHIM));
    let error = runtimes.reader(DOCKERSHIM).status().await.unwrap_err();
    assert_eq!(reason(error), (named.clone(), "no such file or directory".into()));
    drop(UnixListener::bind(&socket).unwrap());
    let error = runtimes.writer(DOCKERSHIM).pull("etcd").await.unwrap_err();
    assert_eq!(reason(error), (named, "connection refused".into()));
    let elsewhere = BTreeMap::from([("DOCKER_HOST".to_owned(), "tcp://127.0.0.1:2375".to_owned())]);
    let error = HostRuntimes::new(&elsewhere).reader(DOCKERSHIM).containers().await.unwrap_err();
    assert!(reason(error).1.starts_with("only unix sockets are supported"));
}
