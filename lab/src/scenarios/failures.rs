//! A failed init names the component and the cause within seconds, and a corrected one converges without a reset.

use std::time::Duration;

use crate::Result;
use crate::cluster::CONFIG;
use crate::command::Output;
use crate::error::check;
use crate::node::Node;
use crate::progress;
use crate::scenario::{Context, Scenario};

/// How long an init may take to find that it fails. Seconds are usual; one that finds nothing waits for 4 minutes.
const LIMIT: Duration = Duration::from_secs(90);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "failures",
    about: "a failed init names component and cause; a corrected one converges",
    default: true,
    ours_only: true,
    run: |context| [BAD_ARGUMENT, PORT_IN_USE, MASKED_KUBELET].iter().try_for_each(|case| run(context, case)),
    ..Scenario::PLAIN
};

pub(super) const MORE: Scenario = Scenario {
    name: "failures-more",
    about: "the same for images, etcd's data, cgroup drivers and ports that preflight may not look at",
    ours_only: true,
    run: |context| {
        [MISSING_IMAGE, UNPULLABLE_IMAGE, CORRUPT_DATA, WRONG_CGROUP_DRIVER, IGNORED_PORT]
            .iter()
            .try_for_each(|case| run(context, case))
    },
    ..Scenario::PLAIN
};

pub(super) const OLD: Scenario = Scenario {
    name: "failures-v1.13",
    about: "the same for v1.13",
    release: "v1.13.12",
    ours_only: true,
    run: |context| [OLD_BAD_ARGUMENT, MASKED_KUBELET].iter().try_for_each(|case| run(context, case)),
    ..Scenario::PLAIN
};

/// One mistake.
struct Case {
    name: &'static str,
    /// Replacements in the configuration: what is there, and what goes wrong.
    config: &'static [(&'static str, &'static str)],
    /// Script on the node that makes the mistake, and the one that mends it.
    spoil: &'static str,
    mend: &'static str,
    more: &'static [&'static str],
    /// What standard error must name, in small letters.
    named: &'static [&'static str],
}

const NONE: Case = Case { name: "", config: &[], spoil: "true", mend: "true", more: &[], named: &[] };

const CLUSTER: &str = "networking: {podSubnet: 10.244.0.0/16}";

const BAD_ARGUMENT: Case = Case {
    name: "bad extra argument",
    config: &[(
        CLUSTER,
        "networking: {podSubnet: 10.244.0.0/16}\napiServer: {extraArgs: [{name: no-such-flag, value: x}]}",
    )],
    named: &["kube-apiserver", "unknown flag", "no-such-flag"],
    ..NONE
};

const OLD_BAD_ARGUMENT: Case = Case {
    name: "bad extra argument",
    config: &[(CLUSTER, "networking: {podSubnet: 10.244.0.0/16}\napiServer: {extraArgs: {no-such-flag: x}}")],
    named: &["kube-apiserver", "unknown flag", "no-such-flag"],
    ..NONE
};

/// A stranger on the scheduler's port. A unit that has started does not yet listen, hence the wait.
const LISTEN: &str = "systemd-run -q --unit=squatter socat TCP-LISTEN:10259,fork,reuseaddr EXEC:/bin/cat
timeout 30 sh -c 'until ss -Hltn sport = :10259 | grep -q .; do sleep 0.05; done'";

const PORT_IN_USE: Case = Case {
    name: "port in use",
    spoil: LISTEN,
    mend: "systemctl stop squatter",
    named: &["port-10259", "in use"],
    ..NONE
};

const IGNORED_PORT: Case = Case {
    name: "port in use, the check ignored",
    spoil: LISTEN,
    mend: "systemctl stop squatter",
    more: &["--ignore-preflight-errors=Port-10259,SystemVerification"],
    named: &["kube-scheduler", "address already in use"],
    ..NONE
};

const MASKED_KUBELET: Case = Case {
    name: "masked kubelet",
    // Masking needs the unit's place; the lab's own file moves away.
    spoil: "systemctl stop kubelet; mv /etc/systemd/system/kubelet.service /root/; systemctl mask kubelet; \
            systemctl daemon-reload",
    mend: "systemctl unmask kubelet; mv /root/kubelet.service /etc/systemd/system/; systemctl daemon-reload",
    named: &["kubelet", "masked"],
    ..NONE
};

const MISSING_IMAGE: Case = Case {
    name: "image that is not there, never pulled",
    config: &[
        (CLUSTER, "networking: {podSubnet: 10.244.0.0/16}\netcd: {local: {imageTag: 9.9.9}}"),
        ("nodeRegistration: {", "nodeRegistration: {imagePullPolicy: Never, "),
    ],
    named: &["etcd", "9.9.9", "image"],
    ..NONE
};

const UNPULLABLE_IMAGE: Case = Case {
    name: "wrong image tag",
    config: &[(CLUSTER, "networking: {podSubnet: 10.244.0.0/16}\netcd: {local: {imageTag: 9.9.9}}")],
    named: &["imagepull", "etcd:9.9.9"],
    ..NONE
};

const CORRUPT_DATA: Case = Case {
    name: "etcd's data destroyed",
    spoil: "mkdir -p /var/lib/etcd/member/snap /var/lib/etcd/member/wal; \
            head -c 65536 /dev/zero | tr '\\0' x > /var/lib/etcd/member/snap/db",
    mend: "rm -rf /var/lib/etcd/member",
    more: &["--ignore-preflight-errors=DirAvailable--var-lib-etcd,SystemVerification"],
    named: &["etcd"],
    ..NONE
};

const WRONG_CGROUP_DRIVER: Case = Case {
    name: "wrong cgroup driver",
    spoil: r#"cp /etc/containerd/config.toml /root/
printf '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = true
' >> /etc/containerd/config.toml
systemctl restart containerd"#,
    mend: "cp /root/config.toml /etc/containerd/; systemctl restart containerd",
    named: &["cgroup"],
    ..NONE
};

fn run(context: &Context<'_>, case: &Case) -> Result<()> {
    progress::step(format!("-- {}", case.name));
    let node = context.node("failing")?;
    let right = node.read(CONFIG)?;
    let mut wrong = right.clone();
    for (from, to) in case.config {
        check("the configuration has the place to spoil", wrong.contains(from), *from, wrong.clone())?;
        wrong = wrong.replace(from, to);
    }
    node.write(CONFIG, &wrong)?;
    node.script(case.spoil)?;
    fails(context, &node, case)?;
    node.write(CONFIG, &right)?;
    node.script(case.mend)?;
    context.init(&node, &[])?;
    context.ready(&node)?;
    context.remove(&node)
}

/// An init with an image of etcd that is there and lacks its program: only the runtime knows why its container does not
/// start.
pub(super) fn etcd_that_cannot_run(context: &Context<'_>, node: &Node) -> Result<Output> {
    let output = context.try_init(node, &[])?;
    let named = ["cause: etcd", "its image lacks the program"].iter().all(|w| output.stderr.contains(w));
    check("the cause of a container that cannot start", output.code == 1 && named, "etcd", output.tail(30))?;
    Ok(output)
}

fn fails(context: &Context<'_>, node: &Node, case: &Case) -> Result<()> {
    let output = context.try_init(node, case.more)?;
    check(
        "exit status of an init that fails",
        output.code == 1,
        "1",
        format!("{}\n{}", output.code, output.tail(15)),
    )?;
    progress::detail(format!("failed after {:.1} s", output.took.as_secs_f64()));
    let said = output.stderr.to_lowercase();
    for word in case.named {
        check("what the error names", said.contains(word), *word, output.tail(30))?;
    }
    let took = output.took;
    check(
        "time until the failure is found",
        took < LIMIT,
        format!("{LIMIT:?}"),
        format!("{took:?}\n{}", output.tail(30)),
    )
}
