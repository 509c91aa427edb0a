//! An API server over plain HTTP, in memory: Secrets in `kube-system`, which can be written, objects that a test puts
//! there, and Jobs that complete at once.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

const PATH: &str = "/api/v1/namespaces/kube-system/secrets";

/// A running server.
pub(crate) struct ApiServer {
    port: u16,
    secrets: Arc<Mutex<BTreeMap<String, Value>>>,
}

/// Where Jobs are made.
const JOBS: &str = "/apis/batch/v1/namespaces/kube-system/jobs";

impl ApiServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let secrets = Arc::new(Mutex::new(BTreeMap::new()));
        let kept = secrets.clone();
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &kept);
            }
        });
        Self { port, secrets }
    }

    /// A kubeconfig for it, with a CA so that a join command can be made.
    pub(crate) fn kubeconfig(&self, ca: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: {{cluster: k, user: u}}\n\
             users:\n- name: u\n  user: {{}}\nclusters:\n- name: k\n  cluster:\n    server: http://127.0.0.1:{}\n    \
             certificate-authority: {ca}\n",
            self.port
        )
    }

    /// Has the cluster keep a ClusterConfiguration.
    pub(crate) fn keep(&self, configuration: &str) {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
            "data": {"ClusterConfiguration": configuration}});
        self.put("/api/v1/namespaces/kube-system/configmaps/kubeadm-config", map);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.secrets.lock().unwrap().keys().cloned().collect()
    }

    /// Puts a Secret there by its name, or another object by its path.
    pub(crate) fn put(&self, name: &str, secret: Value) {
        self.secrets.lock().unwrap().insert(name.into(), secret);
    }
}

fn answer(stream: TcpStream, secrets: &Mutex<BTreeMap<String, Value>>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or_default() == 0 {
        return;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (status, reply) = handle(&method, &target, &body, &mut secrets.lock().unwrap());
    let text = reply.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    let stream = reader.get_mut();
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes())).unwrap();
}

fn handle(
    method: &str,
    target: &str,
    body: &[u8],
    secrets: &mut BTreeMap<String, Value>,
) -> (&'static str, Value) {
    let path = target.split('?').next().unwrap();
    let name = path.strip_prefix(PATH).map(|rest| rest.trim_start_matches('/').to_owned());
    let missing = |name: &str| {
        let message = format!("secrets {name:?} not found");
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
            "reason": "NotFound", "message": message, "details": {"name": name, "kind": "secrets"}});
        ("404 Not Found", status)
    };
    match (method, name.as_deref()) {
        ("GET", None) => match secrets.get(path) {
            Some(object) => ("200 OK", object.clone()),
            None if is_collection(path) => {
                let below = format!("{path}/");
                let all = secrets.iter().filter(|(name, _)| name.starts_with(&below));
                let items: Vec<&Value> =
                    all.map(|(_, object)| object).filter(|o| selected(target, o)).collect();
                ("200 OK", json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))
            }
            None => missing(path.rsplit('/').next().unwrap()),
        },
        ("POST", None) if path == JOBS => {
            let mut job: Value = serde_json::from_slice(body).unwrap();
            job["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
            secrets.insert(format!("{JOBS}/{}", job["metadata"]["name"].as_str().unwrap()), job.clone());
            ("201 Created", job)
        }
        ("PATCH", None) if path.starts_with(JOBS) => ("200 OK", secrets[path].clone()),
        ("GET", Some("")) => {
            assert!(target.contains("fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"), "{target}");
            let items: Vec<&Value> = secrets.values().collect();
            ("200 OK", json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": items}))
        }
        ("GET", Some(name)) => match secrets.get(name) {
            Some(secret) => ("200 OK", secret.clone()),
            None => missing(name),
        },
        ("POST", Some("")) => {
            let secret: Value = serde_json::from_slice(body).unwrap();
            secrets.insert(secret["metadata"]["name"].as_str().unwrap().to_owned(), secret.clone());
            ("201 Created", secret)
        }
        ("DELETE", Some(name)) => match secrets.remove(name) {
            Some(secret) => ("200 OK", secret),
            None => missing(name),
        },
        _ => panic!("{method} {target}"),
    }
}

/// Whether a path ends with the plural of a resource, and not with the name of an object.
fn is_collection(path: &str) -> bool {
    ["nodes", "pods", "deployments"].iter().any(|plural| path.rsplit('/').next() == Some(plural))
}

/// Whether an object has the one label that a request selects by.
fn selected(target: &str, object: &Value) -> bool {
    let Some((_, selector)) = target.split_once("labelSelector=") else { return true };
    let selector = selector.split('&').next().unwrap().replace("%3D", "=").replace("%2F", "/");
    let (key, value) = selector.split_once('=').unwrap();
    object["metadata"]["labels"][key] == *value
}
