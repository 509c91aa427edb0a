//! What is kept of a node on which something failed.

use std::path::Path;
use std::time::Duration;

use crate::node::Node;

/// A file name and the script whose output it gets.
const COLLECTED: &[(&str, &str)] = &[
    ("kubelet.log", "journalctl --no-pager -u kubelet"),
    ("containerd.log", "journalctl --no-pager -u containerd"),
    ("units.txt", "systemctl --no-pager status kubelet containerd"),
    ("containers.txt", "ctr -n k8s.io containers ls; ctr -n k8s.io tasks ls; ctr -n k8s.io images ls -q"),
    (
        "docker.txt",
        "! command -v docker || { docker ps -a; docker images; journalctl --no-pager -u docker; }",
    ),
    ("manifests.txt", "head -n 300 /etc/kubernetes/manifests/*"),
    (
        "etc-kubernetes.txt",
        "ls -lR --full-time /etc/kubernetes /var/lib/kubelet/pki /var/lib/kubelet/*.* /var/lib/etcd",
    ),
    (
        "kubelet-config.txt",
        "head -n 300 /var/lib/kubelet/config.yaml /var/lib/kubelet/*.env /var/lib/kubelet/instance-config.yaml",
    ),
    ("pod-logs.txt", "for f in /var/log/pods/*/*/*.log; do echo \"== $f\"; tail -n 40 $f; done"),
    ("network.txt", "ss -ltnp 2>/dev/null; ip address; ip route"),
];

/// Writes a node's journals, manifests and container states into a folder; what cannot be had is left out.
pub fn collect(node: &Node, folder: &Path) {
    if std::fs::create_dir_all(folder).is_err() {
        return;
    }
    for (file, script) in COLLECTED {
        if let Ok(output) = node.try_run(Duration::from_secs(20), ["bash", "-c", script]) {
            // A failed script's words are evidence as well.
            let _ = std::fs::write(folder.join(file), output.text());
        }
    }
}
