//! kubectl of a release, run on this machine against a lab cluster: a client from outside the node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::command::{Output, Run, wait_for};
use crate::releases::Release;
use crate::{Error, Lab, Result};

/// What a cluster runs when kubeadm has done its work.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Nodes with a control plane.
    pub control_planes: usize,
    /// Nodes without.
    pub workers: usize,
    /// Whether etcd runs on the control planes.
    pub etcd: bool,
    /// Whether CoreDNS is there.
    pub dns: bool,
    /// Whether kube-proxy is there.
    pub proxy: bool,
}

impl Shape {
    /// A cluster of so many control planes and workers, with all that kubeadm installs by default.
    #[must_use]
    pub const fn of(control_planes: usize, workers: usize) -> Self {
        Self { control_planes, workers, etcd: true, dns: true, proxy: true }
    }

    /// How many pods of each kind must be Ready in kube-system.
    fn pods(&self) -> [(&'static str, usize); 6] {
        let planes = self.control_planes;
        [
            ("coredns-", if self.dns { 2 } else { 0 }),
            ("kube-proxy-", if self.proxy { planes + self.workers } else { 0 }),
            ("etcd-", if self.etcd { planes } else { 0 }),
            ("kube-apiserver-", planes),
            ("kube-controller-manager-", planes),
            ("kube-scheduler-", planes),
        ]
    }
}

/// A client with its credentials.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// Makes a client for a cluster of `release` from a kubeconfig file.
    #[must_use]
    pub fn new(lab: &Lab, release: &Release, kubeconfig: &Path) -> Self {
        Self { program: release.program(lab, "kubectl"), kubeconfig: kubeconfig.to_owned() }
    }

    /// Returns the program, for printing.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the kubeconfig file, for printing.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs a kubectl command for at most 30 s, whatever its exit status.
    pub fn try_run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Output> {
        self.with_credentials(Run::limited(Duration::from_secs(30), &self.program)).args(args).output()
    }

    /// Puts a kubectl command together that runs until it is ended.
    pub fn command<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> std::process::Command {
        self.with_credentials(Run::new(&self.program)).args(args).into_inner()
    }

    fn with_credentials(&self, run: Run) -> Run {
        let cache = self.kubeconfig.with_extension("cache");
        run.args([
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--cache-dir={}", cache.display()),
        ])
    }

    /// Runs a kubectl command and returns its output.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        Ok(self.try_run(args)?.success()?.stdout)
    }

    /// Runs a kubectl command with `-o json`.
    pub fn json<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Value> {
        let mut all: Vec<std::ffi::OsString> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        all.extend(["-o".into(), "json".into()]);
        let text = self.run(all)?;
        serde_json::from_str(&text).map_err(|e| Error::Unfit(format!("kubectl printed no JSON: {e}\n{text}")))
    }

    /// Creates an object by the words of `kubectl create`, within `limit`. That it is there is success: an attempt of
    /// which no answer came may have made it.
    pub fn create_within(&self, limit: Duration, words: &[&str]) -> Result<()> {
        let args = [&["create", "--request-timeout=5s"], words].concat();
        wait_for(&format!("the API to take a write: {}", words.join(" ")), limit, || {
            let output = self.try_run(&args).map_err(|e| e.to_string())?;
            match output.code == 0 || output.stderr.contains("AlreadyExists") {
                true => Ok(()),
                false => Err(output.tail(3)),
            }
        })
    }

    /// Creates what a YAML text describes.
    pub fn create(&self, yaml: &str) -> Result<()> {
        let file = self.kubeconfig.with_extension("create.yaml");
        std::fs::write(&file, yaml).map_err(|source| Error::Io {
            action: "write",
            path: file.clone(),
            source,
        })?;
        self.run(["create".as_ref(), "-f".as_ref(), file.as_os_str()]).map(drop)
    }

    /// Waits until all nodes are Ready and what kubeadm installs is too.
    pub fn wait_ready(&self, shape: Shape, limit: Duration) -> Result<()> {
        wait_for("the nodes and the pods of kube-system to be Ready", limit, || {
            let nodes = self.json(["get", "nodes"]).map_err(|e| e.to_string())?;
            let nodes = nodes["items"].as_array().cloned().unwrap_or_default();
            let (wanted, ready) =
                (shape.control_planes + shape.workers, nodes.iter().filter(|n| is_ready(n)).count());
            if nodes.len() != wanted || ready != wanted {
                return Err(format!("{} nodes, {ready} of {wanted} Ready", nodes.len()));
            }
            let pods = self.json(["-n", "kube-system", "get", "pods"]).map_err(|e| e.to_string())?;
            missing_pods(&pods, shape).map_or(Ok(()), Err)
        })
    }
}

/// Tells whether a Node or a Pod is Ready.
pub(crate) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

/// Tells which pods a cluster still lacks.
fn missing_pods(pods: &Value, shape: Shape) -> Option<String> {
    let items = pods["items"].as_array().cloned().unwrap_or_default();
    let missing: Vec<String> = shape
        .pods()
        .into_iter()
        .filter_map(|(prefix, wanted)| {
            let ready = items
                .iter()
                .filter(|p| p["metadata"]["name"].as_str().is_some_and(|n| n.starts_with(prefix)))
                .filter(|p| p["status"]["phase"] == "Running" && is_ready(p))
                .count();
            (ready < wanted).then(|| format!("{}{ready} of {wanted} Ready", prefix.replace('-', " ")))
        })
        .collect();
    if missing.is_empty() { None } else { Some(missing.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_pods_are_named() {
        let pod = |name: &str, ready: &str| {
            json!({"metadata": {"name": name}, "status": {"phase": "Running",
                   "conditions": [{"type": "Ready", "status": ready}]}})
        };
        let mut items =
            vec![pod("coredns-a", "True"), pod("coredns-b", "False"), pod("kube-proxy-x", "True")];
        items.extend(
            ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
                .map(|n| pod(&format!("{n}-cp1"), "True")),
        );
        let one = Shape::of(1, 0);
        assert_eq!(missing_pods(&json!({"items": items}), one).unwrap(), "coredns 1 of 2 Ready");
        items[1] = pod("coredns-b", "True");
        assert_eq!(missing_pods(&json!({"items": items}), one), None);
        let missing = missing_pods(&json!({"items": items}), Shape::of(1, 1));
        assert_eq!(missing.unwrap(), "kube proxy 1 of 2 Ready");
    }
}
