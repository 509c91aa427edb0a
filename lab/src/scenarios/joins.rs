//! The ways of a control plane into a cluster that differ from the usual one: keys of another kind, certificates
//! uploaded later or copied by hand, a discovery file, patches, components that are not root, two families of addresses.

use crate::error::check;
use crate::join::{self, JoinCommands};
use crate::kubectl::Shape;
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::scenarios::variants::{NETWORKING, no_component_is_root, text_of};
use crate::scenarios::{etcd, network};
use crate::{Result, progress};

pub(super) const ECDSA: Scenario = Scenario {
    name: "join-ecdsa",
    about: "control planes join by a key made later and by file with copied certificates; ECDSA, patches",
    run: ecdsa,
    ..Scenario::PLAIN
};

pub(super) const ROOTLESS: Scenario = Scenario {
    name: "join-rootless",
    about: "a control plane joins a cluster without add-ons in which no component is root",
    run: rootless,
    ..Scenario::PLAIN
};

pub(super) const DUAL_STACK: Scenario = Scenario {
    name: "dual-stack",
    about: "two control planes and a worker with IPv4 and IPv6; pods and Services have both",
    run: dual_stack,
    ..Scenario::PLAIN
};

const CERTIFICATES: &str = "/etc/kubernetes/pki";
/// What every control plane of a cluster has in common, and a person copies where no certificate key is used.
const SHARED: &[&str] = &[
    "ca.crt",
    "ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "sa.pub",
    "sa.key",
    "etcd/ca.crt",
    "etcd/ca.key",
];
/// Certificates that a joining node makes for itself.
const OWN: &[&str] =
    &["apiserver", "apiserver-kubelet-client", "front-proxy-client", "etcd/server", "etcd/peer"];

fn ecdsa(context: &Context<'_>) -> Result<()> {
    let first = context.node("ways1")?;
    let (second, third) = (context.node("ways2")?, context.node("ways3")?);
    context.configure(&first, NETWORKING, &format!("{NETWORKING}\nencryptionAlgorithm: ECDSA-P256"))?;
    context.init(&first, &[])?;

    let key = context.kubeadm(&first, &["certs", "certificate-key"])?.stdout;
    let with_key = ["--certificate-key", key.trim()];
    let upload = ["init", "phase", "upload-certs", "--upload-certs"];
    context.kubeadm(&first, &[&upload, &with_key[..]].concat())?;
    let printed =
        context.kubeadm(&first, &[&["token", "create", "--print-join-command"], &with_key[..]].concat())?;
    let command = JoinCommands::printed(&printed.stdout).control_plane()?.to_vec();
    second
        .write("/patches/kube-apiserver+strategic.yaml", "metadata: {annotations: {patched: strategic}}\n")?;
    second.write("/patches/etcd0+merge.yaml", "metadata: {annotations: {patched: merge}}\n")?;
    second.write("/patches/kubeletconfiguration.yaml", "maxPods: 77\n")?;
    context.join(&second, &command, &["--patches=/patches"])?;

    copy_shared(&first, &third)?;
    let file = "/etc/kubeadm/discovery.conf";
    third.write(file, &first.read("/etc/kubernetes/admin.conf")?)?;
    third.script(&format!("chmod 600 {file}"))?;
    let words = ["kubeadm", "join", "--control-plane", "--discovery-file", file];
    context.join(&third, &words.map(str::to_owned), &[])?;

    let kubectl = context.ready_as(&first, Shape::of(3, 0))?;
    etcd::check_members(&kubectl, &third, &["ways1", "ways2", "ways3"])?;
    for (component, patched) in [("kube-apiserver", "strategic"), ("etcd", "merge")] {
        let pod = format!("{component}-{}", second.name);
        let pod = kubectl.json(["-n", "kube-system", "get", "pod", &pod])?;
        let found = pod["metadata"]["annotations"]["patched"].to_string();
        check(&format!("the patch of {component}"), found.contains(patched), patched, found)?;
    }
    let config = second.read("/var/lib/kubelet/config.yaml")?;
    check("the patch of the kubelet's configuration", config.contains("maxPods: 77"), "maxPods: 77", config)?;
    for node in [&second, &third] {
        for name in OWN {
            let text = text_of(node, &format!("{CERTIFICATES}/{name}.crt"))?;
            check(&format!("the key of {name}"), text.contains("prime256v1"), "of ECDSA", text)?;
        }
        let left = node.has("/etc/kubernetes/bootstrap-kubelet.conf");
        check("credentials of the bootstrap that are left", !left, "none", "bootstrap-kubelet.conf")?;
    }
    Ok(())
}

/// Copies what control planes share from one node to another, as a person does with scp.
pub(super) fn copy_shared(from: &Node, to: &Node) -> Result<()> {
    progress::step(format!("copy the shared certificates of {} to {}", from.name, to.name));
    for name in SHARED {
        let path = format!("{CERTIFICATES}/{name}");
        to.write(&path, &from.read(&path)?)?;
    }
    to.script(&format!("find {CERTIFICATES} -name '*.key' -exec chmod 600 {{}} +")).map(drop)
}

fn rootless(context: &Context<'_>) -> Result<()> {
    let (first, second) = (context.node("less1")?, context.node("less2")?);
    let more = "featureGates: {RootlessControlPlane: true}\ndns: {disabled: true}\nproxy: {disabled: true}";
    context.configure(&first, NETWORKING, &format!("{NETWORKING}\n{more}"))?;
    let output = context.init(&first, &["--upload-certs"])?;
    context.join(&second, JoinCommands::printed(&output.stdout).control_plane()?, &[])?;
    let shape = Shape { dns: false, proxy: false, ..Shape::of(2, 0) };
    let kubectl = context.ready_as(&first, shape)?;
    etcd::check_members(&kubectl, &second, &["less1", "less2"])?;
    let installed = kubectl.run([
        "-n",
        "kube-system",
        "get",
        "daemonsets,deployments,services,configmaps",
        "--ignore-not-found",
        "-o",
        "name",
    ])?;
    let addons: Vec<&str> = installed.lines().filter(|l| l.contains("dns") || l.contains("proxy")).collect();
    check("objects of add-ons that are disabled", addons.is_empty(), "none", addons.join(", "))?;
    for node in [&first, &second] {
        no_component_is_root(node)?;
    }
    context.reset(&second, &[])?;
    let users = second.script("grep -h ^kubeadm- /etc/passwd /etc/group || true")?;
    check("users of the components after a reset", users.is_empty(), "none", users)?;
    kubectl.run(["delete", "node", &second.name])?;
    etcd::check_members(&kubectl, &first, &["less1"])
}

/// Networks of the second family, of RFC 4193's range: nothing outside the lab has them.
const SERVICES: &str = "10.96.0.0/12,fd00:10:96::/112";
const PODS: &str = "10.244.0.0/16,fd00:10:244::/48";

/// The address of a node in the second family, made of its address in the first.
fn second_address(node: &Node) -> String {
    format!("fd00:198:18::{}", number(node))
}

fn number(node: &Node) -> &str {
    node.address.rsplit('.').next().unwrap_or_default()
}

/// Gives nodes IPv6: an address each, and pods and routes as they have them for IPv4.
fn give_ipv6(nodes: &[&Node]) -> Result<()> {
    for node in nodes {
        let pods = format!(
            "[{{\"subnet\": \"{}\"}}], [{{\"subnet\": \"fd00:10:244:{}::/64\"}}]",
            node.pods,
            number(node)
        );
        let plugin = "/etc/cni/net.d/10-bridge.conflist";
        let text = node.read(plugin)?;
        let text = text.replace(&format!("[{{\"subnet\": \"{}\"}}]", node.pods), &pods);
        let text = text.replace("{\"dst\": \"0.0.0.0/0\"}", "{\"dst\": \"0.0.0.0/0\"}, {\"dst\": \"::/0\"}");
        check(
            "the network plugin's configuration has both families",
            text.contains("::/64"),
            "::/64",
            &text,
        )?;
        node.write(plugin, &text)?;
        let mut script = format!(
            "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding; echo 1 > /proc/sys/net/ipv6/conf/default/forwarding; \
             ip -6 addr add {}/64 dev host0 nodad; ip -6 route add default via fd00:198:18::1; ",
            second_address(node)
        );
        for other in nodes.iter().filter(|other| other.name != node.name) {
            script += &format!(
                "ip -6 route add fd00:10:244:{}::/64 via {}; ",
                number(other),
                second_address(other)
            );
        }
        node.script(&script)?;
    }
    Ok(())
}

fn dual_stack(context: &Context<'_>) -> Result<()> {
    let first = context.node("dual1")?;
    let (second, worker) = (context.node("dual2")?, context.node("dual3")?);
    let nodes = [&first, &second, &worker];
    give_ipv6(&nodes)?;
    let registration = |node: &Node| {
        format!(
            "nodeRegistration: {{kubeletExtraArgs: [{{name: node-ip, value: \"{},{}\"}}], ",
            node.address,
            second_address(node)
        )
    };
    context.configure(&first, "nodeRegistration: {", &registration(&first))?;
    context.configure(
        &first,
        NETWORKING,
        &format!("networking: {{podSubnet: \"{PODS}\", serviceSubnet: \"{SERVICES}\"}}"),
    )?;
    let output = context.init(&first, &["--upload-certs"])?;
    let commands = JoinCommands::printed(&output.stdout);
    for (node, command) in [(&second, commands.control_plane()?), (&worker, commands.worker()?)] {
        let (file, text) = ("/etc/kubeadm/join.yaml", join_configuration(node, command, &registration(node)));
        node.write(file, &text)?;
        context.join(node, &["kubeadm".to_owned(), "join".to_owned()], &["--config", file])?;
    }

    let kubectl = context.client(&first)?;
    network::serve(context, &kubectl)?;
    let kubectl = context.ready_as(&first, Shape::of(2, 1))?;
    etcd::check_members(&kubectl, &second, &["dual1", "dual2"])?;
    // The second control plane takes pods too, so that they talk across nodes.
    kubectl.run(["taint", "node", &second.name, "node-role.kubernetes.io/control-plane-"])?;
    network::talks(&kubectl, 2)?;
    let addresses = network::service_addresses(&kubectl)?;
    check("addresses of a Service", addresses.len() == 2, "two", format!("{addresses:?}"))?;
    for node in nodes {
        let found = kubectl.json(["get", "node", &node.name])?;
        let addresses = found["status"]["addresses"].to_string();
        let wanted = second_address(node);
        check("addresses of the node", addresses.contains(&wanted), wanted, addresses)?;
        let pods = found["spec"]["podCIDRs"].to_string();
        check("ranges for the node's pods", pods.contains("fd00:10:244:"), "two, one of IPv6", pods)?;
    }
    Ok(())
}

/// The printed command as a configuration, with what has no flag.
fn join_configuration(node: &Node, command: &[String], registration: &str) -> String {
    let value = |flag: &str| join::value(command, flag);
    let (token, pin) = (value("--token"), value("--discovery-token-ca-cert-hash"));
    let endpoint = join::endpoint(command);
    let mut text = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n{registration}name: {}}}\ndiscovery:\n  \
         bootstrapToken: {{apiServerEndpoint: \"{endpoint}\", token: \"{token}\", caCertHashes: [\"{pin}\"]}}\n",
        node.name
    );
    if command.iter().any(|word| word == "--control-plane") {
        text += &format!(
            "controlPlane:\n  certificateKey: {}\n  localAPIEndpoint: {{advertiseAddress: {}}}\n",
            value("--certificate-key"),
            node.address
        );
    }
    text
}
