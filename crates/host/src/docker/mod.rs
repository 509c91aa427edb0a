//! Docker, as the runtime of kubelets up to 1.23: what CRI clients ask of other runtimes is asked of Docker's Engine API
//! here. The kubelet's dockershim made the containers, and its names and labels tell which pod each belongs to
//! (pkg/kubelet/dockershim/docker_service.go and naming.go, 1.13).

mod http;
mod login;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ::http::{Method, StatusCode};
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::try_join_all;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;
use kubeadm_engine::ports::{
    CgroupDriver, Container, ContainerState, DOCKERSHIM, DockerEngine, PodSandbox, Runtime, RuntimeCondition,
    RuntimeError, RuntimeStatus, WriteRuntime,
};
use serde_json::{Value, json};

use self::http::{Call, Failure};
use self::login::Logins;
use crate::cri::{CONTAINER_LABEL, LIST_LIMIT, NAMESPACE_LABEL, POD_LABEL, REMOVE_LIMIT, SYSTEM_NAMESPACE};
use crate::pod_logs::FALLBACK;
use crate::query::encoded;
use crate::runtimes::socket_path;

/// Where Docker listens, and where a kubelet looks for it.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// What a container of dockershim is: `container` or `podsandbox`.
const KIND_LABEL: &str = "io.kubernetes.docker.type";
/// The sandbox of a container.
const SANDBOX_LABEL: &str = "io.kubernetes.sandbox.id";

/// The client of Docker.
pub(crate) struct DockerClient {
    socket: String,
    logins: Logins,
    /// What happens to containers, once somebody waits for it.
    events: tokio::sync::Mutex<Option<Incoming>>,
}

impl DockerClient {
    /// A client of the Docker that `DOCKER_HOST` names, as for Docker's own client.
    pub(crate) fn new(env: &BTreeMap<String, String>) -> Self {
        let socket = env.get("DOCKER_HOST").filter(|host| !host.is_empty());
        let socket = socket.map_or_else(|| SOCKET.to_owned(), Clone::clone);
        Self { socket, logins: Logins::new(env), events: tokio::sync::Mutex::default() }
    }

    /// The path of Docker's socket.
    pub(crate) fn path(&self) -> Result<PathBuf, String> {
        socket_path(&self.socket)
    }

    fn reached(&self) -> Result<PathBuf, RuntimeError> {
        self.path().map_err(|reason| self.unreachable(reason))
    }

    fn unreachable(&self, reason: String) -> RuntimeError {
        RuntimeError::Unreachable { socket: self.socket.clone(), reason }
    }

    fn failed(&self, call: &'static str, failure: Failure) -> RuntimeError {
        match failure {
            Failure::Unreachable(reason) => self.unreachable(reason),
            Failure::Late(limit) => RuntimeError::Late { socket: self.socket.clone(), call, limit },
            Failure::Refused(_, message) => RuntimeError::Failed { call, message },
        }
    }

    /// The answer to a question; `None` if Docker does not know what is asked for.
    async fn get(&self, command: &'static str, target: &str) -> Result<Option<Bytes>, RuntimeError> {
        match http::read(&self.reached()?, &Call::get(target), LIST_LIMIT).await {
            Ok(body) => Ok(Some(body)),
            Err(Failure::Refused(StatusCode::NOT_FOUND, _)) => Ok(None),
            Err(failure) => Err(self.failed(command, failure)),
        }
    }

    async fn get_json(&self, command: &'static str, target: &str) -> Result<Option<Value>, RuntimeError> {
        let Some(body) = self.get(command, target).await? else { return Ok(None) };
        http::json(&body).map(Some).map_err(|failure| self.failed(command, failure))
    }

    /// Changes something; what is not there any more has been changed.
    async fn change(
        &self,
        command: &'static str,
        method: Method,
        target: &str,
        limit: Duration,
    ) -> Result<(), RuntimeError> {
        match http::read(&self.reached()?, &Call { method, target, login: None }, limit).await {
            Ok(_) | Err(Failure::Refused(StatusCode::NOT_FOUND, _)) => Ok(()),
            Err(failure) => Err(self.failed(command, failure)),
        }
    }

    /// All containers with these labels, running or not.
    async fn list(&self, labels: &[String]) -> Result<Vec<Value>, RuntimeError> {
        let filters = encoded(&json!({ "label": labels }).to_string());
        let target = format!("/containers/json?all=1&filters={filters}");
        let list = self.get_json("docker ps", &target).await?.unwrap_or_default();
        Ok(list.as_array().cloned().unwrap_or_default())
    }

    /// What `docker info` tells.
    async fn info(&self) -> Result<Value, RuntimeError> {
        self.get_json("docker info", "/info").await.map(Option::unwrap_or_default)
    }

    /// What a listed container is; `None` if it is gone.
    async fn described(&self, listed: &Value) -> Result<Option<Container>, RuntimeError> {
        let id = text(&listed["Id"]);
        let target = format!("/containers/{id}/json");
        let Some(found) = self.get_json("docker inspect", &target).await? else { return Ok(None) };
        let image = self.image_name(&found).await?;
        let label = |name: &str| text(&listed["Labels"][name]);
        let created = time(&found["Created"]).unwrap_or_default();
        let end = End::of(&found["State"], created);
        Ok(Some(Container {
            name: label(CONTAINER_LABEL),
            pod: label(POD_LABEL),
            namespace: label(NAMESPACE_LABEL),
            image,
            state: end.state,
            exit_code: end.exit_code,
            reason: end.reason.into(),
            message: text(&found["State"]["Error"]),
            attempt: attempt(&text(&found["Name"])),
            created,
            finished: end.finished,
            id,
        }))
    }

    /// The name of a container's image. The kubelet makes containers from the image's id.
    async fn image_name(&self, container: &Value) -> Result<String, RuntimeError> {
        let given = text(&container["Config"]["Image"]);
        if !given.starts_with("sha256:") {
            return Ok(given);
        }
        let image = self.get_json("docker inspect", &format!("/images/{given}/json")).await?;
        let image = image.unwrap_or_default();
        let names = [&image["RepoTags"][0], &image["RepoDigests"][0]];
        Ok(names.into_iter().find_map(Value::as_str).map_or(given, str::to_owned))
    }

    /// Opens the stream of what happens to containers.
    async fn listen(&self) -> Result<Incoming, RuntimeError> {
        let filters = json!({
            "type": ["container"],
            "event": ["create", "start", "die", "destroy"],
            "label": [format!("{NAMESPACE_LABEL}={SYSTEM_NAMESPACE}")],
        });
        let target = format!("/events?filters={}", encoded(&filters.to_string()));
        let answer = http::open(&self.reached()?, &Call::get(&target), Some(LIST_LIMIT)).await;
        answer.map(::http::Response::into_body).map_err(|failure| self.failed("docker events", failure))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A time; Docker says year 1 for what has not happened.
fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse::<Timestamp>().ok().filter(|time| time.as_second() > 0)
}

/// How often the kubelet made a container before: `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`, and more after that where a
/// name was taken. No part has an underscore of its own.
fn attempt(name: &str) -> u32 {
    name.split('_').nth(5).and_then(|attempt| attempt.parse().ok()).unwrap_or_default()
}

/// Whether and how a container ended, as dockershim tells it by CRI.
/// pkg/kubelet/dockershim/docker_container.go: ContainerStatus, 1.13.
struct End {
    state: ContainerState,
    exit_code: Option<i32>,
    reason: &'static str,
    finished: Option<Timestamp>,
}

impl End {
    fn of(state: &Value, created: Timestamp) -> Self {
        let code = state["ExitCode"].as_i64().unwrap_or_default() as i32;
        let exited = |reason, finished| Self {
            state: ContainerState::Exited,
            exit_code: Some(code),
            reason,
            finished: Some(finished),
        };
        let going = |state| Self { state, exit_code: None, reason: "", finished: None };
        if state["Running"] == true {
            return going(ContainerState::Running);
        }
        match time(&state["FinishedAt"]) {
            Some(finished) if state["OOMKilled"] == true => exited("OOMKilled", finished),
            Some(finished) => exited(if code == 0 { "Completed" } else { "Error" }, finished),
            // It never ran: that shows by its exit status alone.
            None if code != 0 => exited("ContainerCannotRun", created),
            None => going(ContainerState::Created),
        }
    }
}

/// The lines of a log. Docker sends it in pieces, each with a head of eight bytes: stream, three zeros, length. A
/// container with a terminal has no such heads.
fn lines(log: &[u8]) -> Vec<String> {
    let (mut rest, mut plain) = (log, Vec::new());
    while let [0..=2, 0, 0, 0, a, b, c, d, after @ ..] = rest {
        let length = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).min(after.len());
        plain.extend_from_slice(&after[..length]);
        rest = &after[length..];
    }
    plain.extend_from_slice(rest);
    String::from_utf8_lossy(&plain).lines().map(str::to_owned).collect()
}

/// Name and tag, or name and digest, as Docker wants them in a pull.
fn reference(image: &str) -> (&str, &str) {
    if let Some(parts) = image.split_once('@') {
        return parts;
    }
    match image.rsplit_once(':') {
        // What follows the colon of a port has a slash.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// The error in a piece of the answer to a pull, which tells its progress line by line.
fn pull_error(line: &[u8]) -> Option<String> {
    let told: Value = serde_json::from_slice(line).ok()?;
    let message = told["errorDetail"]["message"].as_str().or(told["error"].as_str())?;
    Some(message.to_owned())
}

#[async_trait]
impl Runtime for DockerClient {
    fn socket(&self) -> &str {
        DOCKERSHIM
    }

    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        let info = self.info().await?;
        let ready = RuntimeCondition {
            kind: "RuntimeReady".into(),
            status: true,
            reason: String::new(),
            message: String::new(),
        };
        let docker =
            DockerEngine { version: text(&info["ServerVersion"]), graph_driver: text(&info["Driver"]) };
        Ok(RuntimeStatus { conditions: vec![ready], sandbox_image: None, docker: Some(docker) })
    }

    async fn cgroup_driver(&self) -> Result<CgroupDriver, RuntimeError> {
        let driver = text(&self.info().await?["CgroupDriver"]);
        match driver.as_str() {
            "systemd" => Ok(CgroupDriver::Systemd),
            "cgroupfs" => Ok(CgroupDriver::Cgroupfs),
            other => Err(RuntimeError::Failed {
                call: "docker info",
                message: format!("unknown cgroup driver {other:?}: expected cgroupfs or systemd"),
            }),
        }
    }

    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError> {
        Ok(self.get("docker inspect", &format!("/images/{image}/json")).await?.is_some())
    }

    async fn containers(&self) -> Result<Vec<Container>, RuntimeError> {
        let labels = [format!("{KIND_LABEL}=container"), format!("{NAMESPACE_LABEL}={SYSTEM_NAMESPACE}")];
        let listed = self.list(&labels).await?;
        let described = try_join_all(listed.iter().map(|container| self.described(container))).await?;
        let mut containers: Vec<_> = described.into_iter().flatten().collect();
        containers.sort_by_key(|c| std::cmp::Reverse(c.created));
        Ok(containers)
    }

    async fn pod_sandboxes(&self) -> Result<Vec<PodSandbox>, RuntimeError> {
        let listed = self.list(&[KIND_LABEL.to_owned()]).await?;
        let label = |container: &Value, name: &str| text(&container["Labels"][name]);
        let is_sandbox = |c: &&Value| label(c, KIND_LABEL) == "podsandbox";
        let sandboxes: BTreeSet<String> = listed.iter().filter(is_sandbox).map(|c| text(&c["Id"])).collect();
        // A container that has lost its sandbox is one of its own: it would else never be removed.
        let heads = listed.iter().filter(|c| is_sandbox(c) || !sandboxes.contains(&label(c, SANDBOX_LABEL)));
        let pod = |c: &Value| PodSandbox {
            id: text(&c["Id"]),
            pod: label(c, POD_LABEL),
            namespace: label(c, NAMESPACE_LABEL),
        };
        Ok(heads.map(pod).collect())
    }

    async fn log_tail(&self, id: &str, count: usize) -> Result<Vec<String>, RuntimeError> {
        let target = format!("/containers/{id}/logs?stdout=1&stderr=1&tail={count}");
        Ok(self.get("docker logs", &target).await?.map(|log| lines(&log)).unwrap_or_default())
    }

    async fn changed(&self, max: Duration) {
        let mut events = self.events.lock().await;
        let Some(stream) = events.as_mut() else {
            match self.listen().await {
                // What happened before is not told: look again, now that everything is.
                Ok(stream) => *events = Some(stream),
                Err(_) => tokio::time::sleep(max.min(FALLBACK)).await,
            }
            return;
        };
        match tokio::time::timeout(max, stream.frame()).await {
            Ok(Some(Ok(_))) => while let Some(Some(Ok(_))) = stream.frame().now_or_never() {},
            // Docker has ended.
            Ok(_) => {
                *events = None;
                tokio::time::sleep(max.min(FALLBACK)).await;
            }
            Err(_) => {}
        }
    }
}

#[async_trait]
impl WriteRuntime for DockerClient {
    async fn pull(&self, image: &str) -> Result<(), RuntimeError> {
        let command = "docker pull";
        let (name, tag) = reference(image);
        let target = format!("/images/create?fromImage={}&tag={}", encoded(name), encoded(tag));
        let call = Call { method: Method::POST, target: &target, login: self.logins.header(image) };
        let answer = http::open(&self.reached()?, &call, None).await;
        let mut body = answer.map_err(|failure| self.failed(command, failure))?.into_body();
        let mut begun = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| self.unreachable(format!("the pull was cut off: {e}")))?;
            begun.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
            while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = begun.drain(..=end).collect();
                if let Some(message) = pull_error(&line) {
                    return Err(RuntimeError::Failed { call: command, message });
                }
            }
        }
        match pull_error(&begun) {
            Some(message) => Err(RuntimeError::Failed { call: command, message }),
            None => Ok(()),
        }
    }

    async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        let target = format!("/containers/{id}/stop?t={}", grace.as_secs());
        self.change("docker stop", Method::POST, &target, grace + LIST_LIMIT).await
    }

    async fn remove_pod_sandbox(&self, id: &str) -> Result<(), RuntimeError> {
        let own = self.list(&[format!("{SANDBOX_LABEL}={id}")]).await?;
        let ids: Vec<String> = own.iter().map(|container| text(&container["Id"])).collect();
        let remove = |id: &str| {
            let target = format!("/containers/{id}?force=1&v=1");
            async move { self.change("docker rm", Method::DELETE, &target, REMOVE_LIMIT).await }
        };
        try_join_all(ids.iter().map(|id| remove(id))).await?;
        // The pod's network ends with it, so it goes last.
        remove(id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_pulls() {
        assert_eq!(reference("k8s.gcr.io/etcd:3.2.24"), ("k8s.gcr.io/etcd", "3.2.24"));
        assert_eq!(reference("registry:5000/a/b"), ("registry:5000/a/b", "latest"));
        assert_eq!(reference("registry:5000/a/b@sha256:01"), ("registry:5000/a/b", "sha256:01"));
    }

    #[test]
    fn attempts_in_names() {
        assert_eq!(attempt("/k8s_etcd_etcd-node_kube-system_0123_7"), 7);
        assert_eq!(attempt("/k8s_etcd_etcd-node_kube-system_0123_7_5f2a"), 7);
        assert_eq!(attempt("/other"), 0);
    }

    #[test]
    fn logs_in_pieces_and_plain() {
        let mut log = Vec::new();
        for (stream, piece) in [(1, "one\ntw"), (2, "o\n"), (2, "three\n")] {
            log.extend([stream, 0, 0, 0, 0, 0, 0, piece.len() as u8]);
            log.extend(piece.as_bytes());
        }
        assert_eq!(lines(&log), ["one", "two", "three"]);
        log.truncate(log.len() - 3);
        assert_eq!(lines(&log), ["one", "two", "thr"]);
        assert_eq!(lines(b"a terminal's\r\nlines\r\n"), ["a terminal's", "lines"]);
        assert_eq!(lines(b""), Vec::<String>::new());
    }

    #[test]
    fn ends_of_containers() {
        let created: Timestamp = "2018-12-03T10:00:00Z".parse().unwrap();
        let of = |state: Value| End::of(&state, created);
        let never = "0001-01-01T00:00:00Z";
        let running = of(json!({"Running": true, "ExitCode": 0, "FinishedAt": "2018-12-03T09:00:00Z"}));
        assert_eq!((running.state, running.exit_code), (ContainerState::Running, None));
        let made = of(json!({"Running": false, "ExitCode": 0, "FinishedAt": never}));
        assert_eq!((made.state, made.finished), (ContainerState::Created, None));
        let cannot = of(json!({"Running": false, "ExitCode": 127, "FinishedAt": never}));
        assert_eq!((cannot.exit_code, cannot.reason), (Some(127), "ContainerCannotRun"));
        assert_eq!(cannot.finished, Some(created));
        let ended = "2018-12-03T10:00:01.5Z";
        let killed = of(json!({"Running": false, "ExitCode": 137, "FinishedAt": ended, "OOMKilled": true}));
        assert_eq!((killed.state, killed.reason), (ContainerState::Exited, "OOMKilled"));
        assert_eq!(killed.finished, ended.parse().ok());
        assert_eq!(of(json!({"ExitCode": 1, "FinishedAt": ended})).reason, "Error");
        assert_eq!(of(json!({"ExitCode": 0, "FinishedAt": ended})).reason, "Completed");
    }
}
