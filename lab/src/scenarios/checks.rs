//! What must hold of every cluster that kubeadm made, whatever its release.

use std::time::Duration;

use crate::command::{Run, wait_for};
use crate::error::{At as _, check};
use crate::kubectl::Kubectl;
use crate::node::Node;
use crate::scenario::Context;
use crate::scenarios::network;
use crate::{Result, progress};

/// How a kubelet asks for its client certificate today.
pub(super) const NEW_CSR: &str = "apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: joining}
spec:
  signerName: kubernetes.io/kube-apiserver-client-kubelet
  usages: [digital signature, key encipherment, client auth]
  request: REQUEST
";
/// How it asked in 2018.
pub(super) const OLD_CSR: &str = "apiVersion: certificates.k8s.io/v1beta1
kind: CertificateSigningRequest
metadata: {name: joining}
spec:
  usages: [digital signature, key encipherment, client auth]
  request: REQUEST
";

/// Checks everything that does not depend on the release; `csr` is the request for a node's certificate.
pub(super) fn common(context: &Context<'_>, node: &Node, kubectl: &Kubectl, csr: &str) -> Result<()> {
    version(context, kubectl)?;
    kubelet_rotates(node)?;
    token_gets_certificate(context, node, kubectl, csr)?;
    logs_and_exec(node, kubectl)?;
    pod_runs(context, kubectl)
}

fn version(context: &Context<'_>, kubectl: &Kubectl) -> Result<()> {
    progress::step("check the versions of the API server and the kubelet");
    let server = kubectl.json(["version"])?["serverVersion"]["gitVersion"].to_string();
    check(
        "version of the API server",
        server.contains(context.release.version),
        context.release.version,
        server,
    )?;
    let nodes = kubectl.json(["get", "nodes"])?;
    let kubelet = nodes["items"][0]["status"]["nodeInfo"]["kubeletVersion"].to_string();
    check(
        "version of the kubelet",
        kubelet.contains(context.release.version),
        context.release.version,
        kubelet,
    )
}

/// The API server presents its own certificate, of the cluster's CA, with every name by which it is reached.
pub(super) fn serving_certificate(node: &Node) -> Result<()> {
    progress::step("check the API server's certificate");
    let ca = node.path("/etc/kubernetes/pki/ca.crt");
    let server = format!("{}:6443", node.address);
    let session = Run::limited(Duration::from_secs(10), "openssl")
        .args([
            "s_client",
            "-connect",
            &server,
            "-verify_return_error",
            "-verify_ip",
            &node.address,
            "-CAfile",
        ])
        .args([&ca])
        .output()?;
    check(
        "the API server's certificate is of the cluster's CA",
        session.code == 0,
        "verified",
        session.tail(6),
    )?;
    let file = node.path("/etc/kubernetes/pki/served.pem");
    std::fs::write(&file, &session.stdout).at("write", &file)?;
    let names =
        Run::new("openssl").args(["x509", "-noout", "-ext", "subjectAltName", "-in"]).args([&file]).read();
    std::fs::remove_file(&file).at("remove", &file)?;
    let names = names?;
    let address = format!("IP Address:{}", node.address);
    let name = format!("DNS:{}", node.name);
    for wanted in
        [name.as_str(), "DNS:kubernetes.default.svc.cluster.local", "IP Address:10.96.0.1", &address]
    {
        check("names in the API server's certificate", names.contains(wanted), wanted, names.trim())?;
    }
    Ok(())
}

/// kubelet.conf points to the certificate that the kubelet renews, not to the one that init made.
pub(super) fn kubelet_conf_rotates(node: &Node) -> Result<()> {
    let text = node.read("/etc/kubernetes/kubelet.conf")?;
    let current = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    check("kubelet.conf names the certificate that rotates", text.contains(current), current, text)
}

fn kubelet_rotates(node: &Node) -> Result<()> {
    progress::step("check the kubelet's certificate rotation");
    let config = node.read("/var/lib/kubelet/config.yaml")?;
    check(
        "the kubelet is told to rotate",
        config.contains("rotateCertificates: true"),
        "rotateCertificates: true",
        config,
    )?;
    let current = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    let subject = node.run(["openssl", "x509", "-noout", "-subject", "-in", current]);
    let subject = match subject {
        Ok(subject) => subject,
        // A minimal node has no openssl.
        Err(_) => {
            let target = node.run(["readlink", "-f", current])?;
            Run::new("openssl")
                .args(["x509", "-noout", "-subject", "-in"])
                .args([node.path(target.trim())])
                .read()?
        }
    };
    let wanted = format!("system:node:{}", node.name);
    check("the kubelet's client certificate", subject.contains(&wanted), wanted, subject)
}

/// A request with init's bootstrap token for a node's client certificate is approved and signed.
fn token_gets_certificate(context: &Context<'_>, node: &Node, kubectl: &Kubectl, csr: &str) -> Result<()> {
    progress::step("check that init's token gets a node its certificate");
    let secrets = kubectl.json(["-n", "kube-system", "get", "secrets"])?;
    let all = secrets["items"].as_array().cloned().unwrap_or_default();
    let is_token = |s: &&serde_json::Value| {
        s["type"] == "bootstrap.kubernetes.io/token"
            && s["data"].get("usage-bootstrap-authentication").is_some()
            && s["data"].get("auth-extra-groups").is_some()
    };
    let token = all.iter().find(is_token);
    check(
        "init made a bootstrap token",
        token.is_some(),
        "a Secret of a token",
        format!("{} Secrets", all.len()),
    )?;
    let part = |name: &str| {
        let text = token.and_then(|t| t["data"][name].as_str()).unwrap_or_default();
        Run::script(&format!("printf %s '{text}' | base64 -d")).read()
    };
    let token = format!("{}.{}", part("token-id")?, part("token-secret")?);

    let folder = tempfile::tempdir().at("make a folder in", std::path::Path::new("/tmp"))?;
    let make = "openssl req -new -newkey rsa:2048 -nodes -keyout key -subj /O=system:nodes/CN=system:node:joining \
                -out csr 2>/dev/null; base64 -w0 csr";
    let request = Run::script(make).dir(folder.path()).read()?;
    let kubeconfig = folder.path().join("joining.conf");
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://{}:6443\n    \
         certificate-authority: {}\nusers:\n- name: u\n  user:\n    token: {token}\ncontexts:\n- name: c\n  context:\n    \
         cluster: c\n    user: u\ncurrent-context: c\n",
        node.address,
        node.path("/etc/kubernetes/pki/ca.crt").display()
    );
    std::fs::write(&kubeconfig, text).at("write", &kubeconfig)?;
    let joining = Kubectl::new(context.lab, context.release, &kubeconfig);
    let create = |text: &str| joining.create(text);
    create(&csr.replace("REQUEST", request.trim()))?;
    wait_for("the request of a joining node to be signed", Duration::from_secs(30), || {
        let found = kubectl.json(["get", "csr", "joining"]).map_err(|e| e.to_string())?;
        match found["status"]["certificate"].as_str() {
            Some(_) => Ok(()),
            None => Err(found["status"].to_string()),
        }
    })
}

/// Logs and commands go through the kubelet, which must accept the API server's client certificate.
fn logs_and_exec(node: &Node, kubectl: &Kubectl) -> Result<()> {
    progress::step("check kubectl logs and exec");
    let logs = kubectl.run(["-n", "kube-system", "logs", &format!("etcd-{}", node.name)])?;
    check("logs of etcd", !logs.trim().is_empty(), "some lines", logs)?;
    let pod = format!("etcd-{}", node.name);
    let said = kubectl.run(["-n", "kube-system", "exec", &pod, "--", "/bin/sh", "-c", "echo inside"])?;
    check("a command in etcd's container", said.trim() == "inside", "inside", said)
}

/// A pod is scheduled, runs, and finds the API server by name: CoreDNS and kube-proxy serve it.
fn pod_runs(context: &Context<'_>, kubectl: &Kubectl) -> Result<()> {
    progress::step("check that a pod runs and resolves names");
    // The service account that pods need appears when the controllers have settled.
    wait_for("the default service account", Duration::from_secs(60), || {
        kubectl.run(["get", "serviceaccount", "default"]).map(drop).map_err(|e| e.to_string())
    })?;
    kubectl.create(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: hello}}\nspec:\n  restartPolicy: Never\n  \
         tolerations: [{{operator: Exists}}]\n  containers:\n  - name: hello\n    image: {}\n    \
         imagePullPolicy: IfNotPresent\n    \
         command: [/bin/sh, -c, 'echo hello; until nslookup kubernetes.default.svc.cluster.local; do sleep 1; done']\n",
        context.image("etcd")
    ))?;
    wait_for("the pod to end", Duration::from_secs(90), || {
        let pod = kubectl.json(["get", "pod", "hello"]).map_err(|e| e.to_string())?;
        match pod["status"]["phase"].as_str() {
            Some("Succeeded" | "Failed") => Ok(()),
            _ => Err(pod["status"].to_string()),
        }
    })?;
    let said = kubectl.run(["logs", "hello"])?;
    check(
        "what the pod said",
        said.starts_with("hello") && network::names(&said, "10.96.0.1"),
        "hello, 10.96.0.1",
        said,
    )
}
