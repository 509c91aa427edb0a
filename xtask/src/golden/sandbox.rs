//! The machine on which the recordings were made, made again: host name, address, no network, stand-ins for the
//! programs that kubeadm asks.
//!
//! A case sees the nodes' root file system through an overlay of its own, so nothing of this machine shows and all
//! that a case writes lies in one folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kubeadm_lab::command::{Output, Run};
use kubeadm_lab::{Error, Lab, Result};
use tempfile::TempDir;

use super::Case;
use super::docker::{self, Docker};

/// Longer than any dry run takes.
const LIMIT: Duration = Duration::from_secs(120);

/// Answers of the stand-ins: scripts by program name.
fn stand_ins(kubelet: &str) -> [(&'static str, String); 3] {
    [
        ("kubelet", format!("echo \"Kubernetes {kubelet}\"")),
        ("crictl", "exit 0".to_owned()),
        ("systemctl", "exit 0".to_owned()),
    ]
}

/// What happens inside the new namespaces before the command. Arguments: folder, lower folder, command.
const ENTER: &str = r#"
folder=$1 lower=$2; shift 2
trap 'exit 125' ERR
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
if [ -S "$folder/docker.sock" ]; then
  touch "$folder/root/run/docker.sock"
  mount --bind "$folder/docker.sock" "$folder/root/run/docker.sock"
fi
for d in proc sys dev; do mount --rbind /$d "$folder/root/$d"; done
hostname vm
ip link set lo up
ip link add eth0 type veth peer name outside
ip addr add 192.0.2.2/24 dev eth0
ip link set eth0 up
ip link set outside up
ip route add default via 192.0.2.1
exec env -i PATH=/stand-ins:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp \
  chroot "$folder/root" /bin/sh -c 'cd /case && exec "$@"' sh "$@"
"#;

/// A machine for one run.
#[derive(Debug)]
pub(crate) struct Sandbox {
    folder: TempDir,
    lower: PathBuf,
    /// Ends with the machine.
    _docker: Option<Docker>,
}

impl Sandbox {
    /// Makes the machine of a case, with the program under test.
    pub(crate) fn new(lab: &Lab, case: &Case, kubeadm: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|e| io("make a folder in", Path::new("/tmp"), e))?;
        let socket = folder.path().join("docker.sock");
        let docker = docker::was_asked(&case.minor).then(|| Docker::listen(&socket)).transpose()?;
        let sandbox = Self { folder, lower: lab.rootfs(), _docker: docker };
        for part in ["work", "root"] {
            let path = sandbox.folder.path().join(part);
            std::fs::create_dir_all(&path).map_err(|e| io("make", &path, e))?;
        }
        for (name, body) in stand_ins(&case.kubelet) {
            sandbox.write(&format!("stand-ins/{name}"), &format!("#!/bin/sh\n{body}\n"))?;
        }
        Run::script("chmod 755 upper upper/stand-ins/*").dir(sandbox.folder.path()).read()?;
        // Fails at once where a name server is asked.
        sandbox.write("etc/resolv.conf", "nameserver 127.0.0.1\n")?;
        sandbox.write("case/.keep", "")?;
        Run::new("cp").args([kubeadm, &sandbox.path("kubeadm")]).read()?;
        Ok(sandbox)
    }

    /// Returns where a file of the machine is on ours, once it was written there.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("upper").join(inside.trim_start_matches('/'))
    }

    /// Writes a file of the machine.
    pub(crate) fn write(&self, inside: &str, text: &str) -> Result<()> {
        let path = self.path(inside);
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder).map_err(|e| io("make", folder, e))?;
        std::fs::write(&path, text).map_err(|e| io("write", &path, e))
    }

    /// Runs kubeadm on the machine, in the folder `/case`.
    pub(crate) fn run(&self, args: &[String]) -> Result<Output> {
        let run = Run::limited(LIMIT, "unshare")
            .args(["--mount", "--uts", "--net", "bash", "-euc", ENTER, "enter"])
            .args([self.folder.path(), &self.lower])
            .args(["/kubeadm"])
            .args(args)
            .output()?;
        if run.code == 125 { run.success() } else { Ok(run) }
    }

    /// Finds the folders of dry runs that were left.
    pub(crate) fn dry_run_folders(&self) -> Vec<PathBuf> {
        ["etc/kubernetes/tmp", "tmp"]
            .iter()
            .flat_map(|parent| std::fs::read_dir(self.path(parent)).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name().is_some_and(|n| n.to_string_lossy().contains("kubeadm-init-dryrun"))
            })
            .collect()
    }
}

pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}
