//! Docker on a node: Debian's docker.io, and a release's images loaded into it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::{Run, wait_for};
use crate::error::At as _;
use crate::images::Image;
use crate::node::Node;
use crate::{Lab, Result, progress};

const PACKAGE: &str = "docker.io";
/// The runtime that Docker is told to use.
const RUNC: &str = "/usr/local/sbin/runc";
const SETTINGS: &str = r#"{"runtimes": {"lab": {"path": "/usr/local/sbin/runc"}}, "default-runtime": "lab"}"#;
/// The network settings of the node. Kubelets that speak to Docker know versions up to 0.3.1.
const CNI: &str = "/etc/cni/net.d/10-bridge.conflist";
const INSTALL_LIMIT: Duration = Duration::from_secs(120);

/// Downloads the package and what it needs besides the nodes' root file system, in a copy of it that is thrown away.
/// Arguments: that root file system, a folder for the copy, and where the packages go.
const DOWNLOAD: &str = r#"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
rm -f "$2/root/etc/resolv.conf"
cp /etc/resolv.conf "$2/root/etc/"
chroot "$2/root" apt-get -q -o Acquire::Retries=5 update
chroot "$2/root" apt-get -qy -o Acquire::Retries=5 --no-install-recommends --download-only install docker.io
cp "$2"/root/var/cache/apt/archives/*.deb "$3/"
"#;

/// Returns the folder with the packages, after downloading them once.
fn packages(lab: &Lab) -> Result<PathBuf> {
    let folder = lab.root().join("debs").join(PACKAGE);
    if folder.exists() {
        return Ok(folder);
    }
    let partial = folder.with_extension("partial");
    let _ = std::fs::remove_dir_all(&partial);
    std::fs::create_dir_all(&partial).at("make", &partial)?;
    let scratch = tempfile::tempdir_in(lab.root()).at("make a folder in", lab.root())?;
    for part in ["upper", "work", "root"] {
        let path = scratch.path().join(part);
        std::fs::create_dir(&path).at("make", &path)?;
    }
    progress::during(format!("download {PACKAGE}"), || {
        Run::new("unshare")
            .args(["-m", "bash", "-euc", DOWNLOAD, "download"])
            .args([lab.rootfs().as_path(), scratch.path(), &partial])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .read()
    })?;
    std::fs::rename(&partial, &folder).at("move to", &folder)?;
    Ok(folder)
}

/// Installs Docker on a node as its owner would, and loads images.
pub(crate) fn install(lab: &Lab, node: &Node, images: &[Image]) -> Result<()> {
    let folder = packages(lab)?;
    progress::step(format!("install {PACKAGE} on {} and load {} images", node.name, images.len()));
    node.write("/etc/docker/daemon.json", SETTINGS)?;
    node.write(RUNC, include_str!("../data/docker-runc.sh"))?;
    node.run(["chmod", "+x", RUNC])?;
    node.write(CNI, &node.read(CNI)?.replace("0.4.0", "0.3.1"))?;
    let inside = |path: &Path| Path::new("/lab").join(path.strip_prefix(lab.root()).unwrap_or(path));
    let script = format!("dpkg --force-unsafe-io -i {}/*.deb", inside(&folder).display());
    node.try_run(INSTALL_LIMIT, ["bash", "-c", &script])?.success()?;
    wait_for("Docker to answer", Duration::from_secs(30), || {
        node.run(["docker", "version"]).map(drop).map_err(|e| e.to_string())
    })?;
    for image in images {
        node.run(["docker".as_ref(), "load".as_ref(), "-qi".as_ref(), inside(&image.archive).as_os_str()])?;
    }
    Ok(())
}
