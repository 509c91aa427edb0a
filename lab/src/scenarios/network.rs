//! Pods that talk across nodes: by address, through a Service, and by its name.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::command::wait_for;
use crate::error::check;
use crate::kubectl::{Kubectl, is_ready};
use crate::node::Node;
use crate::scenario::Context;
use crate::{Result, progress};

/// One server on every worker. Each says the name of its node.
const SERVERS: &str = r#"apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: IMAGE
        imagePullPolicy: IfNotPresent
        env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        command: [/bin/sh, -c, 'mkdir /www; echo $NODE > /www/index.html; exec httpd -f -p 8080 -h /www']
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
"#;
/// Where every node offers the Service to the world outside.
pub(super) const NODE_PORT: u16 = 30080;
/// The Service's name as every pod can use it.
const NAME: &str = "web.default.svc.cluster.local";
/// Until what was just made is known on every node. A lost packet of DNS alone costs seconds.
const KNOWN: Duration = Duration::from_secs(60);

/// Starts the servers; [`talks`] looks at them later.
pub(super) fn serve(context: &Context<'_>, kubectl: &Kubectl) -> Result<()> {
    kubectl.create(&SERVERS.replace("IMAGE", context.image("etcd")))
}

/// A DNS server of the cluster answers on a node, which does not ask it by itself.
pub(super) fn resolves(node: &Node, name: &str, server: &str, wanted: &str) -> Result<()> {
    node.copy_in(Path::new("/bin/busybox"), "/usr/local/bin/busybox")?;
    let script = format!("busybox nslookup {name} {server} 2>&1 || true");
    wait_for(&format!("{server} to answer for {name}"), KNOWN, || {
        let said = node.script(&script).map_err(|e| e.to_string())?;
        if names(&said, wanted) { Ok(()) } else { Err(said) }
    })
}

/// Tells whether an answer names an address, and not only one that begins with it.
pub(super) fn names(answer: &str, address: &str) -> bool {
    answer.split_whitespace().any(|word| word == address)
}

/// From every server all others are reached by each of their addresses, and all of them through the Service.
pub(super) fn talks(kubectl: &Kubectl, workers: usize) -> Result<()> {
    progress::step("check that pods talk across nodes, by address, Service and name");
    let pods = wait_for("a server on each worker to be Ready", Duration::from_secs(90), || {
        let pods = kubectl.json(["get", "pods", "-l", "app=web"]).map_err(|e| e.to_string())?;
        let ready: Vec<Value> =
            pods["items"].as_array().into_iter().flatten().filter(|p| is_ready(p)).cloned().collect();
        if ready.len() == workers { Ok(ready) } else { Err(format!("{} of {workers}", ready.len())) }
    })?;
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|p| p["spec"]["nodeName"].as_str()).collect();
    check("nodes with a server", nodes.len() == workers, workers.to_string(), format!("{nodes:?}"))?;
    for pod in &pods {
        for other in &pods {
            let wanted = other["spec"]["nodeName"].as_str().unwrap_or_default();
            for address in pod_addresses(other) {
                wait_for(&format!("{wanted} to answer at {address}"), KNOWN, || {
                    let said = ask(kubectl, pod, &address, 8080).map_err(|e| e.to_string())?;
                    if said == wanted { Ok(()) } else { Err(said) }
                })?;
            }
        }
        let addresses = service_addresses(kubectl)?;
        wait_for(&format!("DNS to know {addresses:?} of {NAME}"), KNOWN, || {
            let said = run(kubectl, pod, &format!("nslookup {NAME}")).map_err(|e| e.to_string())?;
            if addresses.iter().all(|address| names(&said, address)) { Ok(()) } else { Err(said) }
        })?;
        for address in addresses {
            let mut reached = BTreeSet::new();
            wait_for(&format!("{address} to reach every server"), KNOWN, || {
                reached.insert(ask(kubectl, pod, &address, 80).map_err(|e| e.to_string())?);
                if reached.len() == workers { Ok(()) } else { Err(format!("only {reached:?}")) }
            })?;
        }
    }
    Ok(())
}

/// The addresses of a pod, one of each family that the cluster has.
fn pod_addresses(pod: &Value) -> Vec<String> {
    let all = pod["status"]["podIPs"].as_array().into_iter().flatten();
    all.filter_map(|entry| entry["ip"].as_str()).map(str::to_owned).collect()
}

/// The addresses of the Service, one of each family that the cluster has.
pub(super) fn service_addresses(kubectl: &Kubectl) -> Result<Vec<String>> {
    let service = kubectl.json(["get", "service", "web"])?;
    let all = service["spec"]["clusterIPs"].as_array().into_iter().flatten();
    Ok(all.filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Asks a server for its name. Not with wget: the one of a static busybox crashes.
fn ask(kubectl: &Kubectl, pod: &Value, address: &str, port: u16) -> Result<String> {
    let said = run(kubectl, pod, &format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} {port}"))?;
    Ok(said.trim().rsplit('\n').next().unwrap_or_default().to_owned())
}

/// Runs a script in a pod. Its image has one program, its shell, which is busybox.
fn run(kubectl: &Kubectl, pod: &Value, script: &str) -> Result<String> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    kubectl.run(["exec", name, "--", "/bin/sh", "-c", script])
}
