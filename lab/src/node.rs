//! Test nodes: systemd-nspawn machines with systemd, containerd and a kubelet, on a bridge of their own.
//!
//! A node's root is an overlay over one shared file system. /var/lib/containerd, docker, kubelet and etcd are real
//! folders bound into it, because an overlay does not stack on an overlay. Everything a node has lies in its folder, so
//! a node left over by a crash is removed by its name alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::command::{Output, Run, Running, retry, wait_for};
use crate::error::At as _;
use crate::images::{self, Image};
use crate::releases::{self, Release};
use crate::{Error, Lab, Result, progress, template};

/// The nodes' network, of RFC 2544's range for tests: nothing outside this machine answers there.
const NETWORK: &str = "198.18.0";
/// The host's address in it.
pub const GATEWAY: &str = "198.18.0.1";
const BRIDGE: &str = "br-lab";
/// Controllers of which a node gets a group of its own where cgroup v1 is mounted.
const CONTROLLERS: &[&str] = &["blkio", "memory", "cpuacct", "cpuset", "cpu", "pids", "freezer", "devices"];
/// What the nodes' root file system has besides a minimal Debian.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,iptables,nftables,conntrack,ethtool,socat,kmod,\
                        ca-certificates,procps,containerd,runc,containernetworking-plugins,util-linux,curl";
const SUITE: &str = "bookworm";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// kubeadm's default service subnet.
const SERVICES: &str = "10.96.0.0/12";
/// Nothing from the nodes leaves this machine, and they are told so at once.
const CLOSED: [&str; 5] = ["iif", BRIDGE, "priority", "198", "unreachable"];
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// Until killed processes and their cgroups are gone: moments, unless the machine writes much to its disk.
const END_LIMIT: Duration = Duration::from_secs(120);

/// A running node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name, host name and node name in Kubernetes.
    pub name: String,
    /// Its IPv4 address.
    pub address: String,
    /// Its part of the pod network.
    pub pods: String,
    folder: PathBuf,
    leader: u32,
}

/// Makes the nodes' root file system, once.
pub fn make_rootfs(lab: &Lab) -> Result<()> {
    let rootfs = lab.rootfs();
    if rootfs.join("usr/bin/containerd").exists() {
        return Ok(());
    }
    let partial = lab.root().join("rootfs.partial");
    std::fs::create_dir_all(lab.root()).at("make", lab.root())?;
    progress::during("make the nodes' root file system with debootstrap: about 2 minutes", || {
        retry(|| {
            if partial.exists() {
                std::fs::remove_dir_all(&partial).at("remove", &partial)?;
            }
            Run::new("debootstrap")
                .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
                .args([&partial])
                .read()
        })
    })?;
    let _ = std::fs::remove_dir_all(&rootfs);
    std::fs::rename(&partial, &rootfs).at("move to", &rootfs)
}

impl Node {
    /// Starts a node that has the release's kubelet, kubectl and images.
    pub fn up(lab: &Lab, name: &str, release: &Release, images: &[Image]) -> Result<Self> {
        let from = template::ready(lab, release, images)?;
        remove(lab, name)?;
        progress::step(format!("boot node {name}"));
        let prepared = Prepared::new(lab, name)?;
        template::copy(&from, &prepared.folder.join("containerd"))?;
        prepared.write_settings(release, images::pause(images)?)?;
        prepared.boot(lab)
    }

    /// Starts a node without images, to import them.
    pub(crate) fn boot_bare(lab: &Lab, name: &str, release: &Release) -> Result<Self> {
        let prepared = Prepared::new(lab, name)?;
        prepared.write_settings(release, "none")?;
        let node = prepared.boot(lab)?;
        node.run(["systemctl", "stop", "kubelet"])?;
        Ok(node)
    }

    /// Returns the node's root as this machine sees it.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Returns where this machine sees an absolute path of the node, bound folders included.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        for bound in BOUND {
            if let Some(rest) = inside.strip_prefix(&format!("/var/lib/{bound}")) {
                return self.folder.join(bound).join(rest.trim_start_matches('/'));
            }
        }
        self.root().join(inside.trim_start_matches('/'))
    }

    /// Puts a command together that runs in the node; `limit` ends it.
    fn enter(&self, limit: Duration) -> Run {
        enter(self.leader, limit)
    }

    /// Starts a command in the node that runs beside the scenario, for at most `limit`.
    pub fn start<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(
        &self,
        limit: Duration,
        args: I,
    ) -> Result<Running> {
        self.enter(limit).args(args).start()
    }

    /// Runs a command in the node, whatever its exit status, for at most `limit`.
    pub fn try_run<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(
        &self,
        limit: Duration,
        args: I,
    ) -> Result<Output> {
        self.enter(limit).args(args).output()
    }

    /// Runs a command in the node for at most a minute; another exit status than 0 is an error.
    pub fn run<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, args: I) -> Result<String> {
        self.enter(Duration::from_secs(60)).args(args).read()
    }

    /// Runs a bash script in the node, as [`Node::run`].
    pub fn script(&self, text: &str) -> Result<String> {
        self.run(["bash", "-euc", text])
    }

    /// Asks systemd whether a unit of the node is `active`, `inactive`, `activating` or `failed`.
    pub fn unit_state(&self, unit: &str) -> Result<String> {
        // Any but active is told by the exit status as well. No answer in time stays an error.
        Ok(self.script(&format!("systemctl is-active {unit} || true"))?.trim().to_owned())
    }

    /// Runs `find` in the node. One that meets a folder which somebody else removes meanwhile fails, with
    /// `-ignore_readdir_race` too, and walks again.
    pub fn walk(&self, args: &str) -> Result<String> {
        wait_for(&format!("an undisturbed find {args}"), Duration::from_secs(60), || {
            self.script(&format!("find {args}")).map_err(|e| e.to_string())
        })
    }

    /// Puts a command together that runs in the node, for what only the standard type can do.
    pub fn command<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(
        &self,
        args: I,
    ) -> std::process::Command {
        self.enter(Duration::from_secs(600)).args(args).into_inner()
    }

    /// Takes the node's power away: it is gone at once, and only what is on its disk stays.
    pub fn kill(&self) -> Result<()> {
        end(&self.folder, &self.name)
    }

    /// Boots a killed node from its disk.
    pub fn boot_again(&self, lab: &Lab) -> Result<Self> {
        progress::step(format!("boot node {} again", self.name));
        let Self { name, address, pods, folder, .. } = self.clone();
        Prepared { name, address, pods, folder }.boot(lab)
    }

    /// Gives the person at the terminal a shell in the node.
    pub fn shell(&self) -> Result<()> {
        let leader = self.leader.to_string();
        let mut shell = Run::new("nsenter")
            .args([
                "-t",
                &leader,
                "-m",
                "-p",
                "-u",
                "-i",
                "-n",
                "-C",
                "env",
                "-i",
                "HOME=/root",
                "TERM=linux",
            ])
            .args([PATH, "bash", "-l"])
            .into_inner();
        // How the shell's last command ended is the person's matter.
        shell.status().map(drop).at("open a shell in", &self.folder)
    }

    /// Copies a file of this machine into the node, runnable.
    pub fn copy_in(&self, from: &Path, inside: &str) -> Result<()> {
        let to = self.path(inside);
        Run::new("install").args(["-D", "-m", "0755"]).args([from, &to]).read().map(drop)
    }

    /// Writes a text file in the node.
    pub fn write(&self, inside: &str, text: &str) -> Result<()> {
        let to = self.path(inside);
        let folder = to.parent().unwrap_or(&to);
        std::fs::create_dir_all(folder).at("make", folder)?;
        std::fs::write(&to, text).at("write", &to)
    }

    /// Tells whether the node has something at an absolute path.
    #[must_use]
    pub fn has(&self, inside: &str) -> bool {
        self.path(inside).symlink_metadata().is_ok()
    }

    /// Reads a text file of the node.
    pub fn read(&self, inside: &str) -> Result<String> {
        let from = self.path(inside);
        std::fs::read_to_string(&from).at("read", &from)
    }
}

/// How many inotify instances all nodes together may have. Each of their kubelets, runtimes and components takes some,
/// and a kernel allows 128 by default.
const WATCHES: u32 = 2048;

/// Lets the nodes watch files: they share this machine's kernel and its limit.
fn allow_watches() -> Result<()> {
    let path = Path::new("/proc/sys/fs/inotify/max_user_instances");
    let text = std::fs::read_to_string(path).at("read", path)?;
    if text.trim().parse::<u32>().is_ok_and(|limit| limit >= WATCHES) {
        return Ok(());
    }
    std::fs::write(path, WATCHES.to_string()).at("write", path)
}

/// Folders below /var/lib that a node has for itself.
const BOUND: &[&str] = &["containerd", "docker", "kubelet", "etcd"];

fn enter(leader: u32, limit: Duration) -> Run {
    Run::limited(limit, "nsenter")
        .args(["-t", &leader.to_string(), "-m", "-p", "-u", "-i", "-n", "-C", "env", "-i"])
        .args([PATH, "HOME=/root", "TERM=dumb"])
}

/// A node whose files are there and which does not run yet.
struct Prepared {
    name: String,
    address: String,
    pods: String,
    folder: PathBuf,
}

impl Prepared {
    fn new(lab: &Lab, name: &str) -> Result<Self> {
        make_network()?;
        let nodes = lab.root().join("nodes");
        std::fs::create_dir_all(&nodes).at("make", &nodes)?;
        // Two runs at the same time must not choose the same address.
        let lock = nodes.join(".lock");
        let lock_file = std::fs::File::create(&lock).at("write", &lock)?;
        lock_file.lock().at("lock", &lock)?;
        let taken: Vec<String> =
            list(lab).iter().filter_map(|n| read(&lab.node_folder(n).join("ip"))).collect();
        let number = (11..250)
            .find(|n| !taken.contains(&format!("{NETWORK}.{n}")))
            .ok_or_else(|| Error::Unfit("all addresses of the lab's network are taken".into()))?;
        let (address, pods) = (format!("{NETWORK}.{number}"), format!("10.244.{number}.0/24"));
        let folder = lab.node_folder(name);
        for part in ["upper", "work", "root"].iter().chain(BOUND) {
            std::fs::create_dir_all(folder.join(part)).at("make", &folder)?;
        }
        std::fs::write(folder.join("ip"), &address).at("write", &folder)?;
        std::fs::write(folder.join("pods"), &pods).at("write", &folder)?;
        drop(lock_file);

        let overlay = |part: &str| folder.join(part).display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lab.rootfs().display(),
            overlay("upper"),
            overlay("work")
        );
        Run::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .args([folder.join("root")])
            .read()?;
        Ok(Self { name: name.to_owned(), address, pods, folder })
    }

    /// Writes what the packages of a real machine and its owner would.
    fn write_settings(&self, release: &Release, pause: &str) -> Result<()> {
        let root = self.folder.join("root");
        let bin = format!("/lab/components/{}/bin", release.version);
        let write = |path: &str, text: &str| -> Result<()> {
            let path = root.join(path);
            let folder = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(folder).at("make", folder)?;
            std::fs::write(&path, text).at("write", &path)
        };
        write("etc/hostname", &format!("{}\n", self.name))?;
        write("etc/hosts", &format!("127.0.0.1 localhost\n{} {}\n", self.address, self.name))?;
        // A loopback address here would make CoreDNS find a loop.
        write("etc/resolv.conf", &format!("nameserver {GATEWAY}\n"))?;
        write("etc/systemd/system/kubelet.service", include_str!("../data/kubelet.service"))?;
        write(
            "etc/systemd/system/kubelet.service.d/10-kubeadm.conf",
            include_str!("../data/10-kubeadm.conf"),
        )?;
        write(
            "etc/containerd/config.toml",
            &include_str!("../data/containerd.toml").replace("PAUSE", pause),
        )?;
        write(
            "etc/cni/net.d/10-bridge.conflist",
            &include_str!("../data/bridge.conflist").replace("PODS", &self.pods),
        )?;
        let wants = root.join("etc/systemd/system/multi-user.target.wants");
        std::fs::create_dir_all(&wants).at("make", &wants)?;
        let link = |target: &str, path: PathBuf| {
            let _ = std::fs::remove_file(&path);
            std::os::unix::fs::symlink(target, &path).at("link", &path)
        };
        link("/etc/systemd/system/kubelet.service", wants.join("kubelet.service"))?;
        for program in ["kubelet", "kubectl"] {
            link(&format!("{bin}/{program}"), root.join("usr/bin").join(program))?;
        }
        let cni = root.join("opt/cni");
        std::fs::create_dir_all(&cni).at("make", &cni)?;
        link("/usr/lib/cni", cni.join("bin"))
    }

    fn boot(self, lab: &Lab) -> Result<Node> {
        allow_watches()?;
        let console = self.folder.join("console.log");
        let output = std::fs::File::create(&console).at("write", &console)?;
        let errors = output.try_clone().at("write", &console)?;
        let bind = |part: &str| format!("--bind={}:/var/lib/{part}", self.folder.join(part).display());
        let child = Run::new("setsid")
            .args(["bash", "-euc", &enter_own_groups(&self.name), "nspawn"])
            .args([
                "--quiet",
                "--boot",
                "--register=no",
                "--keep-unit",
                "--capability=all",
                "--console=passive",
            ])
            .args([format!("--directory={}", self.folder.join("root").display())])
            .args([format!("--machine={}", self.name), format!("--network-bridge={BRIDGE}")])
            .args(BOUND.iter().map(|part| bind(part)))
            // Without what is mounted below it: cgroup controllers mounted twice confuse old kubelets.
            .args(["--bind=/dev/kmsg".to_owned(), format!("--bind-ro={}:/lab:norbind", lab.root().display())])
            .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "1")
            .env("SYSTEMD_SECCOMP", "0")
            .into_inner()
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .at("start", &self.folder)?;
        let pid = child.id();
        std::fs::write(self.folder.join("pid"), pid.to_string()).at("write", &self.folder)?;
        let console_tail = || {
            let text = String::from_utf8_lossy(&std::fs::read(&console).unwrap_or_default()).into_owned();
            text.lines().rev().take(3).collect::<Vec<_>>().join(" | ")
        };
        let leader = wait_for(&format!("node {} to boot", self.name), BOOT_LIMIT, || {
            let leader = first_child(pid).ok_or_else(console_tail)?;
            let state =
                enter(leader, Duration::from_secs(5)).args(["systemctl", "is-system-running"]).output();
            match state {
                Ok(state) if matches!(state.stdout.trim(), "running" | "degraded") => Ok(leader),
                _ => Err(console_tail()),
            }
        })?;
        std::fs::write(self.folder.join("leader"), leader.to_string()).at("write", &self.folder)?;
        let node =
            Node { name: self.name, address: self.address, pods: self.pods, folder: self.folder, leader };
        node.connect(lab)?;
        Ok(node)
    }
}

impl Node {
    /// Gives the booted node its address, its routes and writable cgroups.
    fn connect(&self, lab: &Lab) -> Result<()> {
        let leader = self.leader.to_string();
        // A pod that asks for a service before kube-proxy has made its rules is told so at once. A CoreDNS would
        // else wait half a minute for the answer to a packet gone astray.
        let closed = format!(
            "ip rule add iif cni0 to {SERVICES} priority 198 unreachable; \
             echo 0 > /proc/sys/net/ipv4/icmp_ratelimit"
        );
        // A node forwards for its pods, whatever this machine does.
        let forwards = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        // Old kubelets ask 169.254.169.254 for cloud credentials and wait for an answer: "unreachable" is one.
        let network = format!(
            "ip addr add {}/24 dev host0; ip link set host0 up; ip route add default via {GATEWAY}; \
             ip route add unreachable 169.254.169.254; {closed}; {forwards}",
            self.address
        );
        Run::new("nsenter").args(["-t", &leader, "-n", "bash", "-euc", &network]).read()?;
        if releases::host_has_cgroup_v1() {
            let remount = format!(
                "for c in {}; do mount -o remount,bind,rw /sys/fs/cgroup/$c; done",
                CONTROLLERS.join(" ")
            );
            Run::new("nsenter").args(["-t", &leader, "-m", "-p", "-C", "bash", "-euc", &remount]).read()?;
        }
        // Mounts of pods must be seen by the kubelet.
        Run::new("nsenter").args(["-t", &leader, "-m", "mount", "--make-rshared", "/"]).read()?;
        for other in list(lab).into_iter().filter(|n| *n != self.name) {
            let Some(other) = find(lab, &other) else { continue };
            self.run(["ip", "route", "replace", &other.pods, "via", &other.address])?;
            let told = other.run(["ip", "route", "replace", &self.pods, "via", &self.address]);
            // Another run may have removed its node meanwhile.
            if find(lab, &other.name).is_some() {
                told?;
            }
        }
        Ok(())
    }
}

/// The cgroups that are a node's own, one in each hierarchy of this machine.
///
/// Two nodes in one group would share systemd's units and, with cgroup v1, /kubepods.
fn own_groups(name: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if !releases::host_has_cgroup_v1() {
        return vec![root.join(format!("lab-{name}"))];
    }
    let hierarchies = CONTROLLERS.iter().chain(&["systemd", "unified"]).map(|h| root.join(h));
    hierarchies.filter(|h| h.exists()).map(|h| h.join(format!("lab-{name}"))).collect()
}

/// Script that puts itself into groups of its own and becomes systemd-nspawn.
fn enter_own_groups(name: &str) -> String {
    let mut script = String::new();
    for group in own_groups(name) {
        let group = group.display();
        script += &format!("mkdir -p {group}; ");
        // A new group of cpuset takes nobody in before it knows its processors and memory.
        script += &format!(
            "if [ -e {group}/cpuset.mems ] && [ -e {group}/cgroup.clone_children ]; then \
             for f in cpus mems; do cat {group}/../cpuset.$f > {group}/cpuset.$f; done; \
             echo 1 > {group}/cgroup.clone_children; fi; echo $$ > {group}/cgroup.procs; "
        );
    }
    script + "exec systemd-nspawn \"$@\""
}

fn make_network() -> Result<()> {
    if !Path::new("/sys/class/net").join(BRIDGE).exists() {
        Run::new("ip").args(["link", "add", BRIDGE, "type", "bridge"]).read()?;
        Run::new("ip").args(["addr", "add", &format!("{GATEWAY}/24"), "dev", BRIDGE]).read()?;
        Run::new("ip").args(["link", "set", BRIDGE, "up"]).read()?;
    }
    let rules = Run::new("ip").args(["rule", "list"]).read()?;
    if !rules.contains(&format!("iif {BRIDGE} ")) {
        Run::new("ip").args(["rule", "add"]).args(CLOSED).read()?;
    }
    Ok(())
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
}

fn first_child(pid: u32) -> Option<u32> {
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        if let Some(child) = children.split_whitespace().next() {
            return child.parse().ok();
        }
    }
    None
}

/// Tells whether a process runs; one that only waits to be collected does not.
fn runs(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Lists the nodes that have a folder, running or not.
#[must_use]
pub fn list(lab: &Lab) -> Vec<String> {
    let entries = std::fs::read_dir(lab.root().join("nodes")).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Finds a running node by its name.
#[must_use]
pub fn find(lab: &Lab, name: &str) -> Option<Node> {
    let folder = lab.node_folder(name);
    let part = |file: &str| read(&folder.join(file));
    let leader: u32 = part("leader")?.parse().ok()?;
    if !runs(leader) {
        return None;
    }
    Some(Node { name: name.to_owned(), address: part("ip")?, pods: part("pods")?, folder, leader })
}

/// Stops a node and removes all it has: processes, mounts, cgroups and files. No node of that name is no error.
pub fn remove(lab: &Lab, name: &str) -> Result<()> {
    let folder = lab.node_folder(name);
    if !folder.exists() {
        return Ok(());
    }
    end(&folder, name)?;
    let mounts = std::fs::read_to_string("/proc/mounts").at("read", Path::new("/proc/mounts"))?;
    let mut points: Vec<&str> = mounts
        .lines()
        .filter_map(|l| l.split(' ').nth(1))
        .filter(|point| Path::new(point).starts_with(&folder))
        .collect();
    points.sort_unstable();
    for point in points.into_iter().rev() {
        Run::new("umount").args(["--lazy", point]).read()?;
    }
    for group in own_groups(name).into_iter().filter(|g| g.exists()) {
        let shown = group.display();
        // Groups of just-killed processes empty within moments.
        wait_for(&format!("cgroup {shown} to empty"), END_LIMIT, || {
            let _ = Run::script(&format!("find {shown} -depth -type d -exec rmdir {{}} \\; 2>/dev/null"))
                .output();
            if group.exists() { Err("it is not empty".to_owned()) } else { Ok(()) }
        })?;
    }
    std::fs::remove_dir_all(&folder).at("remove", &folder)
}

/// Ends all processes of a node. Killing systemd ends every process of its PID namespace; nothing there is worth an
/// orderly end.
fn end(folder: &Path, name: &str) -> Result<()> {
    for file in ["leader", "pid"] {
        let Some(pid) = read(&folder.join(file)).and_then(|p| p.parse::<u32>().ok()) else { continue };
        if !is_ours(pid, name) {
            continue;
        }
        Run::new("kill").args(["-9", &pid.to_string()]).output()?;
        wait_for(&format!("process {pid} of node {name} to end"), END_LIMIT, || {
            if runs(pid) { Err("it still runs".to_owned()) } else { Ok(()) }
        })?;
    }
    Ok(())
}

/// A recorded process id may belong to another process by now: it is the node's when its command line or its
/// parent's names the machine.
fn is_ours(pid: u32, name: &str) -> bool {
    let names_machine = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let wanted = format!("--machine={name}");
        line.split(|b| *b == 0).any(|word| word == wanted.as_bytes())
    };
    let parent = || -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    runs(pid) && (names_machine(pid) || parent().is_some_and(names_machine))
}

/// Removes the nodes' network, when no node is left.
pub fn remove_network(lab: &Lab) -> Result<()> {
    if list(lab).is_empty() && Path::new("/sys/class/net").join(BRIDGE).exists() {
        Run::new("ip").args(["rule", "del"]).args(CLOSED).read()?;
        Run::new("ip").args(["link", "del", BRIDGE]).read()?;
    }
    Ok(())
}
