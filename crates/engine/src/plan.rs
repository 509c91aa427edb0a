//! Steps and actions: what a phase decided, as values.
//!
//! [`Action`] is the whole inventory of what kubeadm may do to a machine and a cluster. A phase returns steps; it
//! never carries one out. Plans are compared in tests, printed by a dry run and executed by [`crate::run`].

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::ports::{Access, EtcdAccess, Member, NewFile, Owner, UnmountFlag};
use crate::resource::Resource;

/// A line for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Standard output: `[phase] …`. People and scripts grep these; the words are upstream's.
    Say(String),
    /// A log warning on standard error.
    Warn(String),
    /// Standard error as it is, such as a preflight result.
    Note(String),
}

/// A static pod whose work the pods of a DaemonSet take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// `kube-apiserver`.
    pub component: String,
    /// The manifest of the static pod.
    pub manifest: PathBuf,
    /// Its name in the cluster.
    pub mirror: String,
    /// The DaemonSet that takes over; its pods have its name as their label `k8s-app`.
    pub set: String,
    /// What tells that the component answers.
    pub health: Option<ComponentHealth>,
    /// Limit of each wait.
    pub limit: Duration,
}

/// What a node is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeMarks {
    /// Node name.
    pub name: String,
    /// Labels, with values.
    pub labels: Vec<(String, String)>,
    /// Annotations, with values.
    pub annotations: Vec<(String, String)>,
    /// Taints; others that the node has stay.
    pub taints: Vec<Value>,
    /// What is taken from it.
    pub without: Unmarks,
    /// `spec.configSource`: what its kubelet follows.
    pub config_source: Option<Value>,
}

/// What is taken from a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unmarks {
    /// Labels.
    pub labels: Vec<String>,
    /// Annotations.
    pub annotations: Vec<String>,
    /// Taints.
    pub taints: Vec<Value>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Printed before the action.
    pub lines: Vec<Line>,
    /// Printed instead of `lines` and `done` where nothing is really done; `None` where the words are the same.
    pub would: Option<Vec<Line>>,
    /// Files whose contents a dry run shows after the action.
    pub shows: Vec<PathBuf>,
    /// What to do.
    pub action: Action,
    /// Printed after the action succeeded.
    pub done: Option<String>,
    /// Whether it is left out when an equal step was carried out in the same run.
    pub once: bool,
    /// The words before the reason, where a failure is a warning and the next step is taken all the same.
    pub lenient: Option<String>,
}

impl Step {
    /// A step that does `action` without a word.
    pub fn new(action: Action) -> Self {
        Self {
            lines: Vec::new(),
            would: None,
            shows: Vec::new(),
            action,
            done: None,
            once: false,
            lenient: None,
        }
    }

    /// A step that only prints a line.
    pub fn say(text: impl Into<String>) -> Self {
        Self::new(Action::Nothing).saying(text)
    }

    /// A step that only warns.
    pub fn warn(text: impl Into<String>) -> Self {
        Self::line(Line::Warn(text.into()))
    }

    /// A step that is only a line.
    pub fn line(line: Line) -> Self {
        Self { lines: vec![line], ..Self::new(Action::Nothing) }
    }

    /// Adds a line printed before the action.
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        self.lines.push(Line::Say(text.into()));
        self
    }

    /// Adds a line that a dry run prints instead of what a real one says.
    pub fn would(mut self, text: impl Into<String>) -> Self {
        self.would.get_or_insert_default().push(Line::Say(text.into()));
        self
    }

    /// Says that a dry run prints nothing in place of what a real one says.
    pub fn silent_when_dry(mut self) -> Self {
        self.would = Some(Vec::new());
        self
    }

    /// Adds files whose contents a dry run shows.
    pub fn showing(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.shows.extend(paths);
        self
    }

    /// Leaves the step out when an equal one was carried out in the same run, such as by another phase.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Makes a failure a warning that begins with these words.
    pub fn or_warn(mut self, text: impl Into<String>) -> Self {
        self.lenient = Some(text.into());
        self
    }

    /// Sets the line printed once the action succeeded.
    pub fn done(mut self, text: impl Into<String>) -> Self {
        self.done = Some(text.into());
        self
    }
}

/// Everything kubeadm may do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Only the lines.
    Nothing,
    /// Makes a directory (and those above it) if it is missing.
    CreateDir {
        /// Absolute path.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Writes a file, atomically and with its final mode.
    WriteFile(NewFile),
    /// Writes a certificate and its key as a pair, together: the key gets its name first, so that a new certificate
    /// never lacks its key.
    WritePair {
        /// The key, also of a key pair, or inside of a kubeconfig.
        key: NewFile,
        /// The certificate, the public key or the signing request.
        certificate: NewFile,
    },
    /// Gives files to the user a component runs as.
    SetOwner {
        /// File, or directory with all below it.
        path: PathBuf,
        /// User and group.
        owner: Owner,
        /// Permission bits to set.
        mode: Option<u32>,
    },
    /// Adds lines to `/etc/passwd` and `/etc/group` (RootlessControlPlane). Each file is replaced at once; the lock of
    /// the shadow tools is not taken.
    AddAccounts(Vec<Account>),
    /// Takes all those lines out again.
    RemoveAccounts,
    /// Stops or restarts a service. A failure is a warning: upstream goes on, and the next wait tells.
    Service {
        /// What to do.
        verb: ServiceVerb,
        /// Service name.
        service: &'static str,
        /// Words of the warning when it fails, before the reason.
        warning: String,
        /// What is said on standard output after that warning.
        advice: Option<String>,
    },
    /// Pulls images over CRI.
    PullImages(PullImages),
    /// Creates or changes an object.
    Apply {
        /// How.
        how: Apply,
        /// Its resource.
        resource: Resource,
        /// The object.
        object: Box<Value>,
    },
    /// Waits until a Deployment of kube-system has a pod that is ready, and then deletes the one that it replaces.
    ReplaceDeployment {
        /// The name of the one to delete.
        old: &'static str,
        /// The name of the one that is to be ready.
        new: &'static str,
        /// How long that may take.
        limit: Duration,
    },
    /// Gives a node its labels and taints.
    MarkNode(NodeMarks),
    /// Binds the administrators' group, with `admin.conf` if it may, else with `super-admin.conf`.
    BindAdmin {
        /// The ClusterRoleBinding.
        binding: Box<Value>,
        /// Path of the break-glass kubeconfig.
        super_admin: PathBuf,
    },
    /// Removes what a directory holds; the directory itself stays.
    EmptyDir(PathBuf),
    /// Unmounts what is mounted at each path, in this order.
    Unmount {
        /// Mount points.
        paths: Vec<PathBuf>,
        /// How.
        flags: Vec<UnmountFlag>,
    },
    /// Stops and removes pods of the container runtime.
    RemovePods {
        /// The namespace and the beginning of the name of those that are meant; `None` is every pod.
        only: Option<(&'static str, &'static str)>,
    },
    /// Takes a member out of etcd, through the others.
    RemoveEtcdMember(RemoveEtcdMember),
    /// Waits for this node's turn among the control planes that join.
    EnterQueue {
        /// Name of the node.
        node: String,
    },
    /// Lets the next one of them in.
    LeaveQueue,
    /// Makes this node a member of etcd, its manifest included.
    JoinEtcd(Box<JoinEtcd>),
    /// Removes a file, if it is there.
    RemoveFile(PathBuf),
    /// Waits until the kubelet answers and has a certificate of its own.
    WaitBootstrap(WaitBootstrap),
    /// Waits until the kubelet and then the control plane answer.
    WaitControlPlane(WaitControlPlane),
    /// Hands a component over to the pods of a DaemonSet.
    HandOver(HandOver),
    /// Restarts static pods, one after the other, and waits for each.
    RestartStaticPods(Vec<RestartStaticPod>),
    /// Gives static pods new manifests and waits until they run by them. What does not come up is put back.
    ReplaceStaticPods(Box<ReplaceStaticPods>),
    /// Keeps a copy of a file.
    BackUp {
        /// The file.
        file: PathBuf,
        /// Its copy.
        to: PathBuf,
    },
    /// Saves a snapshot of etcd.
    SnapshotEtcd {
        /// How etcd is reached.
        access: EtcdAccess,
        /// The member that gives it.
        endpoint: String,
        /// The file.
        to: PathBuf,
        /// How long it is tried.
        limit: Duration,
    },
    /// Runs a Job, to see whether the cluster takes work.
    TryJob {
        /// The Job.
        job: Box<Value>,
        /// How long it may take.
        limit: Duration,
        /// Whether a failure is only a warning (`--ignore-preflight-errors=CreateJob`).
        ignore_errors: bool,
    },
    /// Asks whether to go on.
    Confirm(String),
}

impl Action {
    /// Whether it waits for somebody else to act on what was done: a process that starts, ends or answers, a cluster that
    /// gives way. In a dry run nothing was done, so that all of it would be in vain, and it is only rehearsed
    /// ([`crate::run`]).
    pub fn waits(&self) -> bool {
        matches!(
            self,
            // The API server, which lets the administrator in once its rights are bound.
            Self::BindAdmin { .. }
                // The Deployment that is to be ready.
                | Self::ReplaceDeployment { .. }
                // The container runtime: it is looked until all pods are gone.
                | Self::RemovePods { .. }
                // The nodes that came first.
                | Self::EnterQueue { .. }
                // The kubelet and what it starts.
                | Self::JoinEtcd(_)
                | Self::WaitBootstrap(_)
                | Self::WaitControlPlane(_)
                | Self::RestartStaticPods(_)
                | Self::ReplaceStaticPods(_)
                // The controllers, the scheduler and a kubelet.
                | Self::HandOver(_)
                | Self::TryJob { .. }
        )
    }
}

/// What to do with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceVerb {
    /// Stop it.
    Stop,
    /// Restart it, so that it runs with what was written.
    Restart,
}

/// How an object is applied. Names and behaviour: cmd/kubeadm/app/util/apiclient/idempotency.go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    /// Create; if it exists, replace it.
    CreateOrUpdate,
    /// Create; if it exists, keep its other `data` keys and set ours.
    CreateOrMerge,
    /// Leave an existing one alone.
    CreateOrRetain,
    /// Create; if it exists, fail.
    CreateOnly,
    /// Look first, then create or replace. Upstream does so for bootstrap tokens.
    GetThenCreateOrUpdate,
}

/// A user (with its own group) or a group to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// User and group of one name.
    User {
        /// Name of both.
        name: String,
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
    /// A group with members.
    Group {
        /// Name.
        name: String,
        /// Group id.
        gid: u32,
        /// Members.
        members: Vec<String>,
    },
}

/// Images to be present before the control plane starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullImages {
    /// CRI socket.
    pub socket: String,
    /// In the order of the list.
    pub images: Vec<String>,
    /// Pull although the image is present.
    pub always: bool,
    /// One after another, or all at once.
    pub serial: bool,
    /// Whether a failure is only a warning (`--ignore-preflight-errors=ImagePull`).
    pub ignore_errors: bool,
}

/// A member to be taken out of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveEtcdMember {
    /// The member.
    pub member: Member,
    /// How those that stay are reached.
    pub others: EtcdAccess,
    /// Limit for trying.
    pub limit: Duration,
}

/// The wait for the kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitKubelet {
    /// `http://127.0.0.1:10248/healthz`, or `None` when its health port is off.
    pub health: Option<String>,
    /// Limit.
    pub limit: Duration,
}

/// The waits of `kubelet-wait-bootstrap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitBootstrap {
    /// The kubelet comes first.
    pub kubelet: WaitKubelet,
    /// Name of the node.
    pub node_name: String,
    /// The API server on this node that its certificate comes from, if it is this one.
    pub api_server: Option<ComponentHealth>,
    /// Manifests of what that needs to answer.
    pub manifests: Vec<PathBuf>,
    /// The file that the kubelet writes once it has its certificate.
    pub kubelet_conf: PathBuf,
    /// Limit for that.
    pub bootstrap_limit: Duration,
}

/// The waits of `wait-control-plane`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitControlPlane {
    /// The kubelet, if it was not waited for before.
    pub kubelet: Option<WaitKubelet>,
    /// What must answer.
    pub components: Vec<ComponentHealth>,
    /// Limit for the components, together.
    pub components_limit: Duration,
    /// CRI socket, for the help text.
    pub socket: String,
    /// Manifests whose images must be there for the components to start.
    pub manifests: Vec<PathBuf>,
}

/// A static pod to be restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartStaticPod {
    /// Its manifest, which stays as it is.
    pub manifest: PathBuf,
    /// Name of its container.
    pub component: String,
    /// What it reads when it starts: a container made after the newest of these files runs with all of them already.
    pub reads: Vec<PathBuf>,
    /// What must answer afterwards. `None` where nothing can be asked: then its container has to run.
    pub health: Option<ComponentHealth>,
    /// Of etcd: what answers well only where its members agree on a leader.
    pub quorum: Option<String>,
    /// Limit for that.
    pub limit: Duration,
}

/// A member that is to join etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinEtcd {
    /// How the members that are there are reached.
    pub access: EtcdAccess,
    /// Its name: that of the node.
    pub name: String,
    /// Where other members will reach it.
    pub peer_url: String,
    /// Where clients will reach it.
    pub client_url: String,
    /// Where its data will lie.
    pub data_dir: PathBuf,
    /// Its static pod.
    pub manifest: NewFile,
    /// The members that the manifest names; they are put right if others have joined meanwhile. `None` where the member
    /// has been started with them before: then they no longer matter.
    pub initial_cluster: Option<String>,
    /// Limit for each thing that is waited for.
    pub limit: Duration,
}

/// Static pods that get new manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaceStaticPods {
    /// The pods by their new manifests. Each needs those before it, and so ends before them and comes up after them; one
    /// whose manifest is the same is restarted where there is one before it.
    pub new: Vec<StaticPodManifest>,
    /// How long one pod may take, new or put back.
    pub limit: Duration,
    /// The manifests of before: of these pods, in the same order, and then of pods that were replaced in the same run. If
    /// one does not come up, it is put back with all others but those that it needs.
    pub undo: Vec<StaticPodManifest>,
    /// Where the manifests of before are kept.
    pub backups: PathBuf,
    /// Of etcd: where the snapshot of its data is.
    pub snapshot: Option<PathBuf>,
}

/// A static pod and the manifest it is to run by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticPodManifest {
    /// Name of its container.
    pub component: String,
    /// The manifest.
    pub file: NewFile,
    /// What must answer. `None` where nothing can be asked: then its container has to run.
    pub health: Option<ComponentHealth>,
}

/// Health endpoint of a control-plane component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentHealth {
    /// `kube-apiserver`.
    pub name: String,
    /// URL that is asked and shown.
    pub url: String,
    /// The credentials with which it is asked, if it wants any.
    pub access: Option<Access>,
}
