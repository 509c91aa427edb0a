//! Workers join: by token and by file, named when it cannot be, again when they have, and at the same time as the
//! cluster is made.

use std::time::Duration;

use crate::command::Output;
use crate::error::check;
use crate::join::{self, JoinCommands};
use crate::kubectl::{Kubectl, Shape};
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::{Result, progress};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "join-worker",
    about: "workers join by token and by file; a wrong token, pin or host is named soon",
    default: true,
    run,
    ..Scenario::PLAIN
};

pub(super) const OF_2018: Scenario = Scenario {
    name: "join-v1.13",
    about: "the same for v1.13",
    release: "v1.13.12",
    ours_only: true,
    run,
    ..Scenario::PLAIN
};

pub(super) const BY_URL: Scenario = Scenario {
    name: "join-https",
    about: "a worker joins by a discovery file of a web server, once the server's authority is one of the system's",
    run: by_url,
    ..Scenario::PLAIN
};

/// The token of a join that begins before its cluster.
const TOKEN: &str = "early0.0123456789abcdef";
/// Within which a join that cannot succeed has to say so. Seconds are usual; one that finds nothing waits for minutes.
const LIMIT: Duration = Duration::from_secs(60);

fn run(context: &Context<'_>) -> Result<()> {
    let first = context.node("cp1")?;
    let workers = [context.node("w1")?, context.node("w2")?];
    context.configure(
        &first,
        "localAPIEndpoint:",
        &format!("bootstrapTokens: [{{token: {TOKEN}}}]\nlocalAPIEndpoint:"),
    )?;
    let endpoint = format!("{}:6443", first.address);
    let words =
        ["kubeadm", "join", &endpoint, "--token", TOKEN, "--discovery-token-unsafe-skip-ca-verification"];
    let early: Vec<String> = words.map(str::to_owned).into();
    // Nothing listens yet: the worker waits until the cluster is there and has signed for its token.
    let running = context.start_join(&workers[0], &early, &[])?;
    let output = context.init(&first, &[])?;
    context.finish(&workers[0], running)?;
    let command = JoinCommands::printed(&output.stdout).worker()?.to_vec();

    if !context.kubeadm.reference {
        named(context, &workers[1], &command)?;
    }
    // By file: what cluster-info shows to everybody, with the token for the kubelet's first certificate.
    workers[1].write("/etc/kubeadm/discovery.conf", &cluster_info(&context.client(&first)?)?)?;
    context.join(&workers[1], &join_by("/etc/kubeadm/discovery.conf", TOKEN), &[])?;

    let kubectl = context.ready_as(&first, Shape::of(1, 2))?;
    for worker in &workers {
        let left = worker.has("/etc/kubernetes/bootstrap-kubelet.conf");
        check("credentials of the bootstrap that are left", !left, "none", "bootstrap-kubelet.conf")?;
        let node = kubectl.json(["get", "node", &worker.name])?;
        let labels = node["metadata"]["labels"].to_string();
        check("a worker is no control plane", !labels.contains("control-plane"), "no such label", labels)?;
    }
    if !context.kubeadm.reference {
        again(context, &workers[0], &command)?;
    }
    Ok(())
}

/// What everybody may know of the cluster: how it is reached, and its authority.
fn cluster_info(kubectl: &Kubectl) -> Result<String> {
    let path = "jsonpath={.data.kubeconfig}";
    kubectl.run(["-n", "kube-public", "get", "configmap", "cluster-info", "-o", path])
}

/// The join that finds the cluster by a file.
fn join_by(file: &str, token: &str) -> Vec<String> {
    let words = ["kubeadm", "join", "--discovery-file", file, "--tls-bootstrap-token", token];
    words.map(str::to_owned).into()
}

/// A web server of the site, whose authority is nobody's but the site's.
const SITE: &str = r#"mkdir -p /srv/site && cd /srv/site
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $key -subj /CN=site-ca -days 2 -keyout ca.key -out ca.crt
openssl req $key -subj /CN=site -keyout site.key -out site.csr
echo "subjectAltName=IP:ADDRESS" > site.ext
openssl x509 -req -in site.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile site.ext -out site.crt
systemd-run --unit site --working-directory /srv/site openssl s_server -WWW -accept 8443 -cert site.crt -key site.key
timeout 30 sh -c 'until ss -Hltn sport = :8443 | grep -q .; do sleep 0.05; done'
"#;

fn by_url(context: &Context<'_>) -> Result<()> {
    let (first, worker) = (context.node("site1")?, context.node("site2")?);
    let output = context.init(&first, &[])?;
    let token = join::value(JoinCommands::printed(&output.stdout).worker()?, "--token").to_owned();
    first.script(&SITE.replace("ADDRESS", &first.address))?;
    first.write("/srv/site/discovery.conf", &cluster_info(&context.client(&first)?)?)?;
    let url = format!("https://{}:8443/discovery.conf", first.address);

    progress::step("-- nobody knows the authority of the server");
    let output = context.try_join(&worker, &join_by(&url, &token), &[])?;
    check("a join by a server that cannot be trusted fails", output.code != 0, "an error", output.stdout)?;
    let words = "certificate";
    check("what the error names", output.stderr.contains(words), words, output.stderr.clone())?;
    let took = output.took;
    check("time until it is named", took < LIMIT, format!("{LIMIT:?}"), format!("{took:?}"))?;

    worker.write("/usr/local/share/ca-certificates/site.crt", &first.read("/srv/site/ca.crt")?)?;
    worker.run(["update-ca-certificates"])?;
    context.join(&worker, &join_by(&url, &token), &[])?;
    context.ready_as(&first, Shape::of(1, 1)).map(drop)
}

/// Each mistake ends the join soon, with its own words, and leaves nothing that is in the way of a right one.
fn named(context: &Context<'_>, node: &Node, command: &[String]) -> Result<()> {
    let with = |from: &str, to: &str| -> Vec<String> {
        command.iter().map(|word| if word == from { to.to_owned() } else { word.clone() }).collect()
    };
    let token = join::value(command, "--token");
    let (pin, endpoint) = (join::value(command, "--discovery-token-ca-cert-hash"), join::endpoint(command));
    let other_pin = format!("sha256:{}", "0".repeat(64));
    let other_host = format!("{}:22222", endpoint.split(':').next().unwrap_or_default());
    let cases: [(&str, Vec<String>, &str); 5] = [
        (
            "the secret half of the token",
            with(token, &format!("{}.aaaaaaaaaaaaaaaa", &token[..6])),
            "token's second half",
        ),
        (
            "the id of the token",
            with(token, &format!("nobody.{}", &token[7..])),
            "invalid for this cluster or it has expired",
        ),
        ("the pin", with(pin, &other_pin), "are pinned"),
        ("the host's name", with(endpoint, "nobody.invalid:6443"), "is not known"),
        ("a port that is closed", with(endpoint, &other_host), "connection refused"),
    ];
    for (what, wrong, words) in cases {
        progress::step(format!("-- {what} is wrong"));
        // A closed port may open: it is waited for, here for a short time.
        let config = match words {
            "connection refused" => vec!["--config", SHORT],
            _ => Vec::new(),
        };
        if !config.is_empty() {
            node.write(SHORT, &short(&other_host, token, pin))?;
        }
        let wrong = if config.is_empty() { wrong } else { vec!["kubeadm".into(), "join".into()] };
        let output: Output = context.try_join(node, &wrong, &config)?;
        check("a wrong join fails", output.code != 0, "an error", output.stdout.clone())?;
        check("what the error names", output.stderr.contains(words), words, output.stderr.clone())?;
        let took = output.took;
        check("time until it is named", took < LIMIT, format!("{LIMIT:?}"), format!("{took:?}"))?;
        let left =
            node.has("/etc/kubernetes/kubelet.conf") || node.has("/etc/kubernetes/bootstrap-kubelet.conf");
        check("what a wrong join leaves", !left, "nothing", "a kubeconfig of the kubelet")?;
    }
    Ok(())
}

const SHORT: &str = "/etc/kubeadm/join.yaml";

fn short(endpoint: &str, token: &str, pin: &str) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ntimeouts: {{discovery: 3s}}\ndiscovery:\n  \
         bootstrapToken: {{apiServerEndpoint: \"{endpoint}\", token: \"{token}\", caCertHashes: [\"{pin}\"]}}\n"
    )
}

/// A node that has joined is left as it is.
fn again(context: &Context<'_>, node: &Node, command: &[String]) -> Result<()> {
    let kubelet = || node.run(["pidof", "kubelet"]);
    let before = kubelet()?;
    let output = context.join(node, command, &[])?;
    let words = "already running with this configuration";
    check("what a second join says", output.stdout.contains(words), words, output.stdout.clone())?;
    let after = kubelet()?;
    check("the kubelet is the same process", before == after, before.clone(), after)
}
