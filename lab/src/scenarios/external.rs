//! What a site runs for itself: an etcd of its own, and an authority whose keys no node of the cluster has.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::CONFIG;
use crate::command::{Run, wait_for};
use crate::error::{At as _, check};
use crate::join::JoinCommands;
use crate::kubectl::{Kubectl, Shape};
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::joins;
use crate::scenarios::variants::NETWORKING;
use crate::{Result, progress};

pub(super) const ETCD: Scenario = Scenario {
    name: "external-etcd",
    about: "two control planes and a worker over three etcd members that are services of systemd",
    run: etcd,
    ..Scenario::PLAIN
};

pub(super) const AUTHORITY: Scenario = Scenario {
    name: "external-ca-join",
    about: "a control plane joins a cluster whose keys of authorities are elsewhere",
    run: authority,
    ..Scenario::PLAIN
};

/// Makes an authority, a certificate for the members and one for their client. ADDRESSES are the members'.
const CERTIFICATES: &str = r#"
openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=etcd-of-the-site -keyout ca.key -out ca.crt 2>/dev/null
sign() {
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    printf 'extendedKeyUsage=%s\nsubjectAltName=%s\n' "$2" "$3" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}
sign member serverAuth,clientAuth 'ADDRESSES,IP:127.0.0.1'
sign client clientAuth DNS:client
"#;

const UNIT: &str = "[Unit]
Description=etcd of the site
[Service]
ExecStart=/lab/components/aux/bin/etcd --name=NAME --data-dir=/var/lib/etcd --initial-cluster=MEMBERS \
  --listen-client-urls=https://ADDRESS:2379,https://127.0.0.1:2379 --advertise-client-urls=https://ADDRESS:2379 \
  --listen-peer-urls=https://ADDRESS:2380 --initial-advertise-peer-urls=https://ADDRESS:2380 \
  --client-cert-auth --trusted-ca-file=/etc/etcd/ca.crt --cert-file=/etc/etcd/member.crt --key-file=/etc/etcd/member.key \
  --peer-client-cert-auth --peer-trusted-ca-file=/etc/etcd/ca.crt --peer-cert-file=/etc/etcd/member.crt \
  --peer-key-file=/etc/etcd/member.key
Restart=always
RestartSec=1
";

/// Where the first control plane has what it needs of the site's etcd.
const CLIENT: &str = "/etc/kubernetes/etcd-of-the-site";

fn etcd(context: &Context<'_>) -> Result<()> {
    let first = context.node("ext1")?;
    let (second, worker) = (context.node("ext2")?, context.node("ext3")?);
    let nodes = [&first, &second, &worker];
    start_members(&first, &nodes)?;
    let endpoints: Vec<String> = nodes.iter().map(|node| format!("https://{}:2379", node.address)).collect();
    let external = format!(
        "{NETWORKING}\netcd:\n  external:\n    endpoints: [{}]\n    caFile: {CLIENT}/ca.crt\n    \
         certFile: {CLIENT}/client.crt\n    keyFile: {CLIENT}/client.key",
        endpoints.join(", ")
    );
    context.configure(&first, NETWORKING, &external)?;
    let commands = JoinCommands::printed(&context.init(&first, &["--upload-certs"])?.stdout);
    let joining = context.start_join(&second, commands.control_plane()?, &[])?;
    context.join(&worker, commands.worker()?, &[])?;
    context.finish(&second, joining)?;
    let kubectl = context.ready_as(&first, Shape { etcd: false, ..Shape::of(2, 1) })?;
    for node in [&first, &second] {
        let own = node.has("/etc/kubernetes/manifests/etcd.yaml");
        check("an etcd of kubeadm", !own, "none", format!("a manifest on {}", node.name))?;
    }
    let keys = etcdctl(&worker, "get /registry/minions/ --prefix --keys-only")?;
    let found = keys.lines().filter(|line| !line.is_empty()).count();
    check("nodes of the cluster in the site's etcd", found == 3, "3", keys)?;

    progress::step("stop one member");
    first.run(["systemctl", "stop", "etcd"])?;
    for node in [&first, &second] {
        let server = format!("--server=https://{}:6443", node.address);
        let name = format!("after-{}", node.name);
        kubectl.create_within(Duration::from_secs(60), &["configmap", &name, &server])?;
    }
    first.run(["systemctl", "start", "etcd"])?;
    if !context.kubeadm.reference {
        // The original empties /var/lib/etcd, whoever it belongs to.
        left_alone(context, &kubectl, &[&worker, &second])?;
    }
    Ok(())
}

/// Starts a member on each node, and gives the first node the client's certificate.
fn start_members(first: &Node, nodes: &[&Node]) -> Result<()> {
    progress::step("start etcd as a service on each node");
    let folder = folder()?;
    let addresses: Vec<String> = nodes.iter().map(|node| format!("IP:{}", node.address)).collect();
    Run::script(&CERTIFICATES.replace("ADDRESSES", &addresses.join(","))).dir(folder.path()).read()?;
    let members: Vec<String> =
        nodes.iter().map(|node| format!("{}=https://{}:2380", node.name, node.address)).collect();
    for node in nodes {
        bring(&folder, node, "/etc/etcd", &["ca.crt", "member.crt", "member.key"])?;
        let unit = UNIT
            .replace("NAME", &node.name)
            .replace("MEMBERS", &members.join(","))
            .replace("ADDRESS", &node.address);
        node.write("/etc/systemd/system/etcd.service", &unit)?;
        node.run(["systemctl", "start", "etcd"])?;
    }
    bring(&folder, first, CLIENT, &["ca.crt", "client.crt", "client.key"])?;
    healthy(nodes)
}

/// Copies files of this machine into a folder of a node.
fn bring(from: &TempDir, node: &Node, to: &str, names: &[&str]) -> Result<()> {
    for name in names {
        let path = from.path().join(name);
        let text = std::fs::read_to_string(&path).at("read", &path)?;
        node.write(&format!("{to}/{name}"), &text)?;
    }
    node.script(&format!("chmod 600 {to}/*.key")).map(drop)
}

fn folder() -> Result<TempDir> {
    tempfile::tempdir().at("make a folder in", Path::new("/tmp"))
}

fn etcdctl(node: &Node, command: &str) -> Result<String> {
    node.script(&format!(
        "/lab/components/aux/bin/etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/ca.crt \
         --cert=/etc/etcd/member.crt --key=/etc/etcd/member.key {command}"
    ))
}

fn healthy(nodes: &[&Node]) -> Result<()> {
    for node in nodes {
        wait_for(&format!("the member on {} to be healthy", node.name), Duration::from_secs(30), || {
            etcdctl(node, "endpoint health").map(drop).map_err(|e| e.to_string())
        })?;
    }
    Ok(())
}

/// A reset ends soon and leaves the site's etcd and its data alone, on a worker and on a control plane.
fn left_alone(context: &Context<'_>, kubectl: &Kubectl, nodes: &[&Node]) -> Result<()> {
    for node in nodes {
        let data = || node.script("ls /var/lib/etcd/member");
        let before = data()?;
        let took = context.reset(node, &[])?.took;
        let limit = Duration::from_secs(20);
        check("time of a reset", took < limit, format!("{limit:?}"), format!("{took:?}"))?;
        let after = data()?;
        check("data of the site's etcd", before == after, before, after)?;
        kubectl.run(["delete", "node", &node.name])?;
    }
    healthy(nodes)
}

/// Signs, as an authority outside the cluster, what a kubelet asks for.
const SIGN: &str = r#"
base64 -d > csr <<'END'
REQUEST
END
printf 'keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth\n' > ext
openssl x509 -req -in csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile ext 2>/dev/null | base64 -w0
"#;
/// The keys of a cluster's authorities.
const KEYS: &[&str] = &["ca.key", "front-proxy-ca.key", "etcd/ca.key"];

fn authority(context: &Context<'_>) -> Result<()> {
    let (first, second) = (context.node("far1")?, context.node("far2")?);
    let authority = folder()?;
    let config = format!("--config={CONFIG}");
    context.kubeadm(&first, &["init", "phase", "certs", "all", &config])?;
    context.kubeadm(&first, &["init", "phase", "kubeconfig", "all", &config])?;
    joins::copy_shared(&first, &second)?;
    let own = format!("controlPlaneEndpoint: {}:6443", second.address);
    context.configure(&second, &own, &format!("controlPlaneEndpoint: {}:6443", first.address))?;
    context.kubeadm(&second, &["init", "phase", "certs", "all", &config])?;
    for name in ["admin", "controller-manager", "scheduler"] {
        context.kubeadm(&second, &["init", "phase", "kubeconfig", name, &config])?;
    }
    for name in ["ca.crt", "ca.key"] {
        let to = authority.path().join(name);
        std::fs::write(&to, first.read(&format!("/etc/kubernetes/pki/{name}"))?).at("write", &to)?;
    }
    for node in [&first, &second] {
        node.script(&format!("cd /etc/kubernetes/pki; rm {}", KEYS.join(" ")))?;
    }

    let command = JoinCommands::printed(&context.init(&first, &[])?.stdout).worker()?.to_vec();
    let kubectl = context.client(&first)?;
    let before = second.script("sha256sum /etc/kubernetes/pki/*.crt /etc/kubernetes/*.conf")?;
    let joining = context.start_join(&second, &command, &["--control-plane"])?;
    wait_for("the join to end, with its kubelet's request signed", Duration::from_secs(300), || {
        sign(&kubectl, authority.path()).map_err(|e| e.to_string())?;
        if joining.ended() { Ok(()) } else { Err("it runs".to_owned()) }
    })?;
    context.finish(&second, joining)?;
    context.ready_as(&first, Shape::of(2, 0))?;
    crate::scenarios::etcd::check_members(&kubectl, &second, &["far1", "far2"])?;
    let after = second.script("sha256sum /etc/kubernetes/pki/*.crt /etc/kubernetes/*.conf")?;
    let changed: Vec<&str> = before.lines().filter(|line| !after.contains(*line)).collect();
    check("what was signed elsewhere and is replaced", changed.is_empty(), "nothing", changed.join("\n"))?;
    for key in KEYS {
        let path = format!("/etc/kubernetes/pki/{key}");
        check("a key of an authority", !second.has(&path), "none", path.clone())?;
    }
    Ok(())
}

/// Signs what kubelets ask for, which the cluster approves and cannot sign.
fn sign(kubectl: &Kubectl, authority: &Path) -> Result<()> {
    let all = kubectl.json(["get", "csr"])?;
    for request in all["items"].as_array().into_iter().flatten() {
        let status = &request["status"];
        if status["conditions"][0]["type"] != "Approved" || status.get("certificate").is_some() {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, content) = (text(&request["metadata"]["name"]), text(&request["spec"]["request"]));
        progress::step(format!("sign {name} of {} elsewhere", request["spec"]["username"]));
        let certificate = Run::script(&SIGN.replace("REQUEST", &content)).dir(authority).read()?;
        let patch = format!("{{\"status\":{{\"certificate\":\"{certificate}\"}}}}");
        kubectl.run(["patch", "csr", &name, "--subresource=status", "--type=merge", "-p", &patch])?;
    }
    Ok(())
}
