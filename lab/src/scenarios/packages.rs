//! The packages of kubeadm: installed beside a package of the kubelet, used for a cluster, upgraded and removed.

use std::path::Path;
use std::time::Duration;

use crate::command::{Run, wait_for};
use crate::error::{At as _, check};
use crate::kubectl::Kubectl;
use crate::node::Node;
use crate::scenario::{Context, Scenario};
use crate::{Result, packages, progress};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "packages",
    about: "the deb of kubeadm installs, makes a cluster, and leaves it alone when removed; the rpm has the same in it",
    ours_only: true,
    packaged: true,
    run,
    ..Scenario::PLAIN
};

pub(super) const OLD: Scenario = Scenario {
    name: "packages-v1.13",
    about: "the same package serves a kubelet of v1.13, beside drop-ins of the node's owner",
    release: "v1.13.12",
    ours_only: true,
    packaged: true,
    run: old,
    ..Scenario::PLAIN
};

const PROGRAM: &str = "/usr/bin/kubeadm";
const DROP_IN: &str = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf";
const DEB: &str = "/root/kubeadm.deb";
/// The commands whose manual pages are looked up.
const COMMANDS: &[&str] =
    &["kubeadm", "kubeadm-init", "kubeadm-init-phase-certs-all", "kubeadm-token-create"];

fn run(context: &Context<'_>) -> Result<()> {
    let node = installed(context, "packages1")?;
    manual(&node)?;
    completion(&node)?;
    let kubectl = precedence(context, &node, "[{name: max-pods, value: \"77\"}]")?;
    same_in_rpm(context, &node)?;
    upgrade(&node)?;
    remove(&node, &kubectl)?;
    again(context, &node)
}

fn old(context: &Context<'_>) -> Result<()> {
    let node = installed(context, "packages2")?;
    let kubectl = precedence(context, &node, "{max-pods: \"77\"}")?;
    drop_ins_of_the_owner(context, &node)?;
    remove(&node, &kubectl)
}

/// A node with the packages of the kubelet and of kubeadm.
fn installed(context: &Context<'_>, name: &str) -> Result<Node> {
    packages::install_readers()?;
    let node = context.node(name)?;
    node.copy_in(&context.packages()?.deb, DEB)?;
    bare(context, &node)?;
    install(&node)?;
    Ok(node)
}

/// Takes away what the lab gives a node in place of packages, and installs a package of the kubelet instead: its
/// program, its unit and the file of its settings, as Kubernetes' own has them.
fn bare(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("make a package of the kubelet, which kubeadm's needs");
    node.script(
        "systemctl disable --now kubelet
         rm -r /usr/bin/kubeadm /etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d
         systemctl daemon-reload",
    )?;
    let refused = node.try_run(Duration::from_secs(60), ["dpkg", "-i", DEB])?;
    let wanted = "kubeadm depends on kubelet (>= 1.11.0)";
    check("kubeadm's package without a kubelet", refused.text().contains(wanted), wanted, refused.text())?;
    node.run(["dpkg", "--purge", "kubeadm"])?;

    let tree = "/root/kubelet";
    node.write(
        &format!("{tree}/usr/lib/systemd/system/kubelet.service"),
        include_str!("../../data/kubelet.service"),
    )?;
    node.write(&format!("{tree}/etc/default/kubelet"), "KUBELET_EXTRA_ARGS=\n")?;
    node.write(&format!("{tree}/DEBIAN/conffiles"), "/etc/default/kubelet\n")?;
    let control = format!(
        "Package: kubelet\nVersion: {}-1\nArchitecture: all\nMaintainer: lab <lab@packages.invalid>\n\
         Description: the kubelet that the lab built\n",
        context.release.version.trim_start_matches('v')
    );
    node.write(&format!("{tree}/DEBIAN/control"), &control)?;
    node.script(
        "mkdir -p /root/kubelet/usr/bin
         mv /usr/bin/kubelet /root/kubelet/usr/bin/
         dpkg-deb --build /root/kubelet /root/kubelet.deb
         dpkg -i /root/kubelet.deb
         systemctl enable --now kubelet",
    )
    .map(drop)
}

fn install(node: &Node) -> Result<()> {
    progress::step("install kubeadm's package");
    let known = node.run(["systemctl", "show", "--property=DropInPaths", "kubelet"])?;
    check("drop-ins of the kubelet before", !known.contains("10-kubeadm"), "none of kubeadm's", known)?;
    node.run(["dpkg", "-i", DEB])?;
    let changed = node.run(["dpkg", "--verify", "kubeadm"])?;
    check("files that are not as the package has them", changed.is_empty(), "none", changed)?;
    check("the program", node.has(PROGRAM), PROGRAM, "nothing")?;

    let known = node.run(["systemctl", "show", "--property=DropInPaths,NeedDaemonReload", "kubelet"])?;
    check("the drop-in is read", known.contains(DROP_IN), DROP_IN, known.clone())?;
    check("nothing is left to be read", known.contains("NeedDaemonReload=no"), "NeedDaemonReload=no", known)?;
    // It cannot run yet: what it is missing tells that it was started with the drop-in.
    wait_for("the kubelet to be restarted with its drop-in", Duration::from_secs(20), || {
        let journal =
            node.script("journalctl --no-pager -u kubelet | tail -40").map_err(|e| e.to_string())?;
        if journal.contains("/var/lib/kubelet/config.yaml") { Ok(()) } else { Err(journal) }
    })
}

/// Every page is found by its command's name, and the formatter has no complaint about any.
fn manual(node: &Node) -> Result<()> {
    progress::step("read the manual pages");
    let folder = node.path("/usr/share/man");
    for command in COMMANDS {
        let found = Run::new("man").args(["-M".as_ref(), folder.as_os_str()]).args(["-w", command]).read()?;
        let wanted = format!("man1/{command}.1.gz");
        check("the manual page of a command", found.trim().ends_with(&wanted), wanted, found)?;
    }
    let format = "for page in man1/kubeadm*.gz; do man --warnings -Tutf8 -Z -l $page 2>&1 >/dev/null; done";
    let complaints = Run::script(format).dir(&folder).env("MANWIDTH", "100").read()?;
    check("complaints about manual pages", complaints.is_empty(), "none", complaints)?;
    let shown = "man -l man1/kubeadm-init.1.gz | col -b";
    let shown = Run::script(shown).dir(&folder).env("MANWIDTH", "100").read()?;
    check("the manual page of init", shown.contains("--apiserver-bind-port int32"), "its flags", shown)
}

fn completion(node: &Node) -> Result<()> {
    progress::step("complete command lines");
    let bash = "source /usr/share/bash-completion/completions/kubeadm
                COMP_WORDS=(kubeadm ini) COMP_CWORD=1
                _kubeadm kubeadm ini kubeadm
                echo \"${COMPREPLY[@]}\"; complete -p kubeadm";
    let said = node.run(["bash", "-c", bash])?;
    let right = said.starts_with("init\ncomplete ") && said.trim_end().ends_with("-F _kubeadm kubeadm");
    check("what bash makes of `kubeadm ini`", right, "init, by the function _kubeadm", said)?;
    let zsh = node.path("/usr/share/zsh/vendor-completions/_kubeadm");
    Run::new("zsh").args(["-n".as_ref(), zsh.as_os_str()]).read()?;
    let fish = node.path("/usr/share/fish/vendor_completions.d/kubeadm.fish");
    let ask = format!("source {}; complete --do-complete 'kubeadm ini'", fish.display());
    let said = Run::new("fish").args(["--no-config", "--command", &ask]).read()?;
    check("what fish makes of `kubeadm ini`", said.starts_with("init\t"), "init", said)
}

/// Makes a cluster with the packaged program, and sees who has the last word about a flag of the kubelet: the person,
/// after kubeadm, after the configuration. `arguments` are kubeadm's, as the configuration of the time has them.
fn precedence(context: &Context<'_>, node: &Node, arguments: &str) -> Result<Kubectl> {
    context.configure(node, "criSocket:", &format!("kubeletExtraArgs: {arguments}, criSocket:"))?;
    context.configure(node, "failSwapOn: false", "failSwapOn: false\nmaxPods: 99")?;
    context.init(node, &[])?;
    let kubectl = context.ready(node)?;
    let text = node.read("/var/lib/kubelet/config.yaml")?;
    check("what the configuration says", text.contains("maxPods: 99"), "maxPods: 99", text)?;
    capacity(&kubectl, "77")?;
    let packaged = node.run(["dpkg", "--search", PROGRAM])?;
    check(
        "the program of the cluster",
        packaged.starts_with("kubeadm: "),
        "of the package kubeadm",
        packaged,
    )?;

    progress::step("set KUBELET_EXTRA_ARGS");
    node.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--max-pods=55\n")?;
    node.run(["systemctl", "restart", "kubelet"])?;
    let line = command_line(node)?;
    let order = ["--bootstrap-kubeconfig=", "--config=", "--max-pods=77", "--max-pods=55"];
    let places: Vec<Option<usize>> = order.iter().map(|word| line.find(word)).collect();
    let right = places.iter().all(Option::is_some) && places.is_sorted();
    check("the kubelet's command line", right, order.join(" … "), line)?;
    capacity(&kubectl, "55")?;
    context.ready(node)
}

fn capacity(kubectl: &Kubectl, wanted: &str) -> Result<()> {
    wait_for(&format!("a kubelet that takes {wanted} pods"), Duration::from_secs(60), || {
        let nodes = kubectl.json(["get", "nodes"]).map_err(|e| e.to_string())?;
        match nodes["items"][0]["status"]["capacity"]["pods"].as_str() {
            Some(pods) if pods == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}

/// What people were told in 2018: to set the variable in a drop-in of a later name, and to add to the command line of
/// kubeadm's. The latter is done in /etc, where a file of the same name takes the place of the package's.
fn drop_ins_of_the_owner(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("add drop-ins below /etc");
    let folder = "/etc/systemd/system/kubelet.service.d";
    let runtime =
        "--container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock";
    let variable = format!("[Service]\nEnvironment=\"KUBELET_EXTRA_ARGS={runtime} --max-pods=44\"\n");
    node.write(&format!("{folder}/20-cri.conf"), &variable)?;
    let address = format!("--node-ip={}", node.address);
    let ours = node.read(DROP_IN)?.replace("$KUBELET_EXTRA_ARGS", &format!("{address} $KUBELET_EXTRA_ARGS"));
    node.write(&format!("{folder}/10-kubeadm.conf"), &ours)?;
    let restart = "systemctl daemon-reload; systemctl restart kubelet";
    node.script(restart)?;
    // A file of settings wins over a variable of a drop-in.
    let line = command_line(node)?;
    let right = line.contains(&address) && line.ends_with("--max-pods=55 ");
    check("the kubelet's command line", right, format!("{address} --max-pods=55"), line)?;
    node.script(&format!("rm /etc/default/kubelet; {restart}"))?;
    let line = command_line(node)?;
    let wanted = format!("{address} {runtime} --max-pods=44 ");
    check("the kubelet's command line", line.ends_with(&wanted), wanted, line)?;
    capacity(&context.ready(node)?, "44")?;
    node.script(&format!("rm -r {folder}; {restart}"))?;
    context.ready(node).map(drop)
}

/// The rpm is read with its own tools, and unpacked into an empty root it has the same files.
fn same_in_rpm(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("read the rpm");
    let rpm = context.packages()?.rpm.display().to_string();
    let query = |args: &[&str]| Run::new("rpm").args(args).args([&rpm]).read();
    query(&["--checksig", "--nosignature"])?;
    let requires = query(&["-qp", "--requires"])?;
    check("what the rpm requires", requires.contains("kubelet >= 1.11.0"), "kubelet >= 1.11.0", requires)?;
    let scripts = query(&["-qp", "--scripts"])?;
    check("its scripts", scripts.contains("try-restart kubelet.service"), "try-restart", scripts)?;

    let root = tempfile::tempdir().at("make a folder in", Path::new("/tmp"))?;
    let inside = format!("--root={}", root.path().display());
    query(&["--install", &inside, "--nodeps", "--noscripts", "--force-debian"])?;
    let changed =
        Run::new("rpm").args([&inside, "--verify", "--nodeps", "--noscripts", "kubeadm"]).output()?;
    check("files that are not as the rpm has them", changed.text().is_empty(), "none", changed.text())?;
    let drop_in = Path::new(DROP_IN);
    let unpacked = |path: &Path| root.path().join(path.strip_prefix("/").unwrap_or(path));
    let text = std::fs::read_to_string(unpacked(drop_in)).at("read", drop_in)?;
    let same = text.replace("/etc/sysconfig/kubelet", "/etc/default/kubelet") == node.read(DROP_IN)?;
    check("the drop-in of the rpm", same, "that of the deb but for its file of settings", text)?;
    let compare = [node.path(PROGRAM), unpacked(Path::new(PROGRAM))];
    Run::new("cmp").args(compare).read().map(drop)
}

fn process(node: &Node) -> Result<String> {
    node.run(["systemctl", "show", "--value", "--property=MainPID", "kubelet"])
}

fn command_line(node: &Node) -> Result<String> {
    node.script(&format!("tr '\\0' ' ' < /proc/{}/cmdline", process(node)?.trim()))
}

/// A newer kubeadm is nothing that the kubelet must be restarted for.
fn upgrade(node: &Node) -> Result<()> {
    progress::step("install kubeadm's package over itself");
    let before = process(node)?;
    node.run(["dpkg", "-i", DEB])?;
    let after = process(node)?;
    check("the kubelet's process after an upgrade of kubeadm", before == after, before, after)
}

fn remove(node: &Node, kubectl: &Kubectl) -> Result<()> {
    progress::step("remove kubeadm's package");
    let made =
        || node.script("find /etc/kubernetes /var/lib/kubelet/config.yaml -type f | sort | xargs sha256sum");
    let before = made()?;
    for how in ["--remove", "--purge"] {
        node.run(["dpkg", how, "kubeadm"])?;
        let after = made()?;
        check("what kubeadm made, after its package is gone", before == after, before.clone(), after)?;
    }
    let left =
        node.script("find /usr /etc/systemd -name '*kubeadm*' -not -path '/usr/share/doc/*' || true")?;
    check("what is left of the package", left.is_empty(), "nothing", left)?;
    let known = node.run(["systemctl", "show", "--property=DropInPaths,ActiveState", "kubelet"])?;
    let right = known.contains("ActiveState=active") && !known.contains("10-kubeadm");
    check("the kubelet", right, "active, without the drop-in", known)?;
    kubectl.run(["get", "--raw", "/healthz"]).map(drop)
}

/// A kubelet for which systemd knows no drop-in is restarted by the package that brings one, and is in its cluster.
fn again(context: &Context<'_>, node: &Node) -> Result<()> {
    progress::step("install kubeadm's package beside a kubelet that runs without its drop-in");
    let before = process(node)?;
    node.run(["dpkg", "-i", DEB])?;
    let after = process(node)?;
    check("the kubelet's process after the drop-in came", before != after, "another", after.clone())?;
    let line = command_line(node)?;
    check("its command line", line.contains("--config=/var/lib/kubelet/config.yaml"), "--config", line)?;
    context.ready(node).map(drop)
}
