//! The phases of `init`, one file each, and the tree that orders them.
//!
//! The order is upstream 1.37's for every release. A phase relies only on spec and view, never on an earlier phase's
//! memory, so each runs alone as `kubeadm init phase …`.

use crate::phase::{Phase, always};
use crate::spec::InitSpec;

/// Plans of phases that differ by a name only: each is `WORK(spec, view, NAME)`.
macro_rules! plans {
    ($work:ident: $($(#[$doc:meta])* $function:ident = $name:literal;)*) => {$(
        $(#[$doc])*
        pub fn $function<'a>(
            spec: &'a InitSpec,
            view: View<'a>,
        ) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
            Box::pin(async move { Ok($work(spec, view, $name)?) })
        }
    )*};
}
use plans;

pub mod addon;
pub mod audit;
pub mod bootstrap_token;
pub mod certs;
pub mod control_plane;
pub mod dynamic_kubelet;
pub mod etcd;
pub mod external_ca;
pub mod join;
pub mod kubeconfig;
pub mod kubelet_finalize;
pub mod kubelet_start;
pub mod mark_control_plane;
pub mod preflight;
pub mod reset;
pub mod self_hosting;
pub mod show_join_command;
pub mod upgrade;
pub mod upload_certs;
pub mod upload_config;
pub mod wait_control_plane;

/// Why a phase could not be planned or carried out.
#[derive(Debug, thiserror::Error)]
pub enum PhaseError {
    /// An action failed.
    #[error(transparent)]
    Action(#[from] crate::run::ActionError),
    /// Checks failed; the report names each.
    #[error("preflight checks failed")]
    Preflight(crate::preflight::Report),
    /// Certificates.
    #[error(transparent)]
    Certs(#[from] certs::CertsError),
    /// kubeconfig files.
    #[error(transparent)]
    Kubeconfig(#[from] kubeconfig::KubeconfigError),
    /// Static pod manifests, patches included.
    #[error(transparent)]
    Manifest(#[from] crate::patches::PatchError),
    /// A file that should have been made before.
    #[error("{} does not exist: the phases before this one make it", .0.display())]
    NotOnDisk(std::path::PathBuf),
    /// A field of the kubelet's configuration, as it was written: forms of a file are looked at before, those of a patch
    /// here.
    #[error("{}: {}: {}; correct it, or the patch of kubeletconfiguration that it comes from, and run again", path.display(), problem.path, problem.kind)]
    KubeletConfig {
        /// The configuration of this node's kubelet.
        path: std::path::PathBuf,
        /// The field, and what is wrong with it.
        problem: kubeadm_config::component::FieldProblem,
    },
    /// What a kubelet is to follow.
    #[error(transparent)]
    DynamicKubelet(#[from] dynamic_kubelet::NoConfigMapError),
    /// The audit policy.
    #[error(transparent)]
    Audit(#[from] audit::NoPolicyError),
    /// Files that were to be looked at.
    #[error(transparent)]
    File(#[from] crate::ports::FileError),
    /// Accounts of RootlessControlPlane.
    #[error(transparent)]
    Accounts(#[from] crate::accounts::AccountsError),
    /// Objects that were to be looked at.
    #[error("unable to {verb} {object}: {source}")]
    Api {
        /// `get`, `list`.
        verb: &'static str,
        /// `ConfigMap kube-system/coredns`.
        object: String,
        /// The answer.
        source: crate::ports::ApiError,
    },
    /// Uploading certificates.
    #[error(transparent)]
    UploadCerts(#[from] upload_certs::UploadCertsError),
    /// kubelet.conf at kubelet-finalize.
    #[error(transparent)]
    KubeletFinalize(#[from] kubelet_finalize::KubeletFinalizeError),
    /// DNS add-on.
    #[error(transparent)]
    Addon(#[from] addon::AddonError),
    /// Finding the cluster to join.
    #[error(transparent)]
    Joined(Box<crate::join::JoinedError>),
    /// Finding the members of etcd.
    #[error(transparent)]
    EtcdEndpoints(#[from] crate::etcd::EndpointsError),
    /// What control planes share.
    #[error(transparent)]
    DownloadCerts(#[from] join::control_plane_prepare::download_certs::DownloadCertsError),
    /// What control planes share, on this machine.
    #[error(transparent)]
    NotShared(#[from] join::control_plane_prepare::shared::NotShared),
    /// Whether etcd is well.
    #[error(transparent)]
    UnhealthyEtcd(#[from] crate::etcd::health::UnhealthyError),
    /// Registering this node.
    #[error(transparent)]
    KubeletStart(#[from] join::kubelet_start::KubeletStartError),
    /// Finding the cluster to upgrade.
    #[error(transparent)]
    Upgrade(Box<crate::upgrade::UpgradeError>),
    /// What runs in the cluster is not known.
    #[error(transparent)]
    State(#[from] crate::upgrade::versions::StateError),
    /// A version that may not be upgraded to, after what was said of it.
    #[error("{source}")]
    Policy {
        /// What is to be printed first.
        lines: Vec<crate::plan::Line>,
        /// Why.
        source: crate::upgrade::policy::PolicyError,
    },
    /// The control plane cannot be upgraded.
    #[error(transparent)]
    ControlPlane(#[from] upgrade::control_plane::ControlPlaneError),
    /// `kubelet.conf` of an upgrade.
    #[error(transparent)]
    KubeletServer(#[from] upgrade::kubeconfig::KubeletServerError),
    /// The join command.
    #[error("failed to print join command: {0}")]
    JoinCommand(#[from] show_join_command::JoinCommandError),
}

impl From<crate::join::JoinedError> for PhaseError {
    fn from(error: crate::join::JoinedError) -> Self {
        Self::Joined(Box::new(error))
    }
}

impl From<crate::upgrade::UpgradeError> for PhaseError {
    fn from(error: crate::upgrade::UpgradeError) -> Self {
        Self::Upgrade(Box::new(error))
    }
}

/// A leaf of the tree.
const fn leaf<S>(
    name: &'static str,
    about: &'static str,
    flags: &'static [&'static str],
    plan: crate::phase::Plan<S>,
) -> Phase<S> {
    Phase {
        name,
        aliases: &[],
        about,
        details: "",
        flags,
        plan: Some(plan),
        applies: always,
        children: &[],
        all: None,
        hidden: false,
    }
}

/// A group with its own work.
const fn group<S>(
    name: &'static str,
    about: &'static str,
    plan: Option<crate::phase::Plan<S>>,
    children: &'static [Phase<S>],
    all: Option<&'static [&'static str]>,
) -> Phase<S> {
    Phase {
        name,
        aliases: &[],
        about,
        details: "",
        flags: &[],
        plan,
        applies: always,
        children,
        all,
        hidden: false,
    }
}

const CERT: &[&str] = &["cert-dir", "config", "dry-run", "kubernetes-version"];
const CERT_APISERVER: &[&str] = &[
    "apiserver-advertise-address",
    "apiserver-cert-extra-sans",
    "cert-dir",
    "config",
    "control-plane-endpoint",
    "dry-run",
    "kubernetes-version",
    "service-cidr",
    "service-dns-domain",
];
const KUBECONFIG: &[&str] = &[
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "cert-dir",
    "config",
    "control-plane-endpoint",
    "dry-run",
    "kubeconfig-dir",
    "kubernetes-version",
];
const KUBECONFIG_NODE: &[&str] = &[
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "cert-dir",
    "config",
    "control-plane-endpoint",
    "dry-run",
    "kubeconfig-dir",
    "kubernetes-version",
    "node-name",
];
const UPLOAD: &[&str] = &["config", "cri-socket", "dry-run", "kubeconfig"];
const FINALIZE: &[&str] = &["cert-dir", "config", "dry-run"];

/// All phases of `kubeadm init` in order. cmd/kubeadm/app/cmd/init.go, 1.37.
pub static INIT: &[Phase<InitSpec>] = &[
    leaf(
        "preflight",
        "Run pre-flight checks",
        &["config", "cri-socket", "dry-run", "ignore-preflight-errors", "image-repository"],
        preflight::plan,
    ),
    group("certs", "Certificate generation", Some(certs::plan_folder), CERTS, Some(CERT_APISERVER)),
    group(
        "kubeconfig",
        "Generate all kubeconfig files necessary to establish the control plane and the admin kubeconfig file",
        Some(kubeconfig::plan_folder),
        &[
            leaf(
                "admin",
                "Generate a kubeconfig file for the admin to use and for kubeadm itself",
                KUBECONFIG,
                kubeconfig::plan_admin,
            ),
            leaf(
                "super-admin",
                "Generate a kubeconfig file for the super-admin",
                KUBECONFIG,
                kubeconfig::plan_super_admin,
            ),
            leaf(
                "kubelet",
                "Generate a kubeconfig file for the kubelet to use *only* for cluster bootstrapping purposes",
                KUBECONFIG_NODE,
                kubeconfig::plan_kubelet,
            ),
            leaf(
                "controller-manager",
                "Generate a kubeconfig file for the controller manager to use",
                KUBECONFIG,
                kubeconfig::plan_controller_manager,
            ),
            leaf(
                "scheduler",
                "Generate a kubeconfig file for the scheduler to use",
                KUBECONFIG,
                kubeconfig::plan_scheduler,
            ),
        ],
        Some(KUBECONFIG_NODE),
    ),
    group(
        "etcd",
        "Generate static Pod manifest file for local etcd",
        None,
        &[leaf(
            "local",
            "Generate the static Pod manifest file for a local, single-node local etcd instance",
            &["cert-dir", "config", "dry-run", "image-repository", "patches"],
            etcd::plan,
        )],
        None,
    ),
    group(
        "control-plane",
        "Generate all static Pod manifest files necessary to establish the control plane",
        Some(control_plane::plan_folder),
        &[
            leaf(
                "apiserver",
                "Generates the kube-apiserver static Pod manifest",
                &[
                    "apiserver-advertise-address",
                    "apiserver-bind-port",
                    "apiserver-extra-args",
                    "cert-dir",
                    "config",
                    "control-plane-endpoint",
                    "dry-run",
                    "feature-gates",
                    "image-repository",
                    "kubernetes-version",
                    "patches",
                    "service-cidr",
                ],
                control_plane::plan_apiserver,
            ),
            leaf(
                "controller-manager",
                "Generates the kube-controller-manager static Pod manifest",
                &[
                    "cert-dir",
                    "config",
                    "controller-manager-extra-args",
                    "dry-run",
                    "image-repository",
                    "kubernetes-version",
                    "patches",
                    "pod-network-cidr",
                ],
                control_plane::plan_controller_manager,
            ),
            leaf(
                "scheduler",
                "Generates the kube-scheduler static Pod manifest",
                &[
                    "cert-dir",
                    "config",
                    "dry-run",
                    "image-repository",
                    "kubernetes-version",
                    "patches",
                    "scheduler-extra-args",
                ],
                control_plane::plan_scheduler,
            ),
        ],
        Some(&[
            "apiserver-advertise-address",
            "apiserver-bind-port",
            "apiserver-extra-args",
            "cert-dir",
            "config",
            "control-plane-endpoint",
            "controller-manager-extra-args",
            "dry-run",
            "feature-gates",
            "image-repository",
            "kubernetes-version",
            "patches",
            "pod-network-cidr",
            "scheduler-extra-args",
            "service-cidr",
        ]),
    ),
    leaf(
        "kubelet-start",
        "Write kubelet settings and (re)start the kubelet",
        &["config", "cri-socket", "dry-run", "image-repository", "node-name", "patches"],
        kubelet_start::plan,
    ),
    leaf("wait-control-plane", "Wait for the control plane to start", &[], wait_control_plane::plan),
    Phase {
        aliases: &["uploadconfig"],
        ..group(
            "upload-config",
            "Upload the kubeadm and kubelet configuration to a ConfigMap",
            None,
            &[
                leaf(
                    "kubeadm",
                    "Upload the kubeadm ClusterConfiguration to a ConfigMap",
                    UPLOAD,
                    upload_config::plan_kubeadm,
                ),
                leaf(
                    "kubelet",
                    "Upload the kubelet configuration config to a ConfigMap",
                    UPLOAD,
                    upload_config::plan_kubelet,
                ),
            ],
            Some(UPLOAD),
        )
    },
    leaf(
        "upload-certs",
        "Upload certificates to kubeadm-certs",
        &["certificate-key", "config", "dry-run", "kubeconfig", "skip-certificate-key-print", "upload-certs"],
        upload_certs::plan,
    ),
    leaf(
        "mark-control-plane",
        "Mark a node as a control-plane",
        &["config", "dry-run", "node-name"],
        mark_control_plane::plan,
    ),
    Phase {
        aliases: &["bootstraptoken"],
        ..leaf(
            "bootstrap-token",
            "Generates bootstrap tokens used to join a node to a cluster",
            &["config", "dry-run", "kubeconfig", "skip-token-print"],
            bootstrap_token::plan,
        )
    },
    group(
        "kubelet-finalize",
        "Updates settings relevant to the kubelet after TLS bootstrap",
        None,
        &[leaf(
            "enable-client-cert-rotation",
            "Enable kubelet client certificate rotation",
            FINALIZE,
            kubelet_finalize::plan,
        )],
        Some(FINALIZE),
    ),
    group(
        "addon",
        "Install required addons for passing conformance tests",
        None,
        &[
            leaf(
                "coredns",
                "Install the CoreDNS addon to a Kubernetes cluster",
                &[
                    "config",
                    "dry-run",
                    "feature-gates",
                    "image-repository",
                    "kubeconfig",
                    "kubernetes-version",
                    "print-manifest",
                    "service-cidr",
                    "service-dns-domain",
                ],
                addon::plan_coredns,
            ),
            leaf(
                "kube-proxy",
                "Install the kube-proxy addon to a Kubernetes cluster",
                &[
                    "apiserver-advertise-address",
                    "apiserver-bind-port",
                    "config",
                    "control-plane-endpoint",
                    "dry-run",
                    "image-repository",
                    "kubeconfig",
                    "kubernetes-version",
                    "pod-network-cidr",
                    "print-manifest",
                ],
                addon::plan_kube_proxy,
            ),
        ],
        Some(&[
            "apiserver-advertise-address",
            "apiserver-bind-port",
            "config",
            "control-plane-endpoint",
            "dry-run",
            "feature-gates",
            "image-repository",
            "kubeconfig",
            "kubernetes-version",
            "pod-network-cidr",
            "service-cidr",
            "service-dns-domain",
        ]),
    ),
    Phase {
        applies: |spec| spec.gate(self_hosting::SELF_HOSTING),
        hidden: true,
        ..leaf(
            "self-hosting",
            "Turn the static Pods of the control plane into DaemonSets",
            &[],
            self_hosting::plan,
        )
    },
    leaf(
        "show-join-command",
        "Show the join command for control-plane and worker node",
        &[],
        show_join_command::plan,
    ),
];

/// The certificates in order of work. cmd/kubeadm/app/phases/certs/certlist.go, 1.37.
const ETCD_SANS: &str =
    "Default SANs are the node's name, localhost, the advertise address, 127.0.0.1 and ::1.\n";

static CERTS: &[Phase<InitSpec>] = &[
    leaf(
        "ca",
        "Generate the self-signed Kubernetes CA to provision identities for other Kubernetes components",
        CERT,
        certs::plan_ca,
    ),
    Phase {
        details: "Default SANs are the node's name, kubernetes, kubernetes.default, kubernetes.default.svc, \
                  kubernetes.default.svc.cluster.local, 10.96.0.1 and the advertise address. Where others are given, \
                  those of --service-dns-domain and --service-cidr count.\n",
        ..leaf(
            "apiserver",
            "Generate the certificate for serving the Kubernetes API",
            CERT_APISERVER,
            certs::plan_apiserver,
        )
    },
    leaf(
        "apiserver-kubelet-client",
        "Generate the certificate for the API server to connect to kubelet",
        CERT,
        certs::plan_apiserver_kubelet_client,
    ),
    leaf(
        "front-proxy-ca",
        "Generate the self-signed CA to provision identities for front proxy",
        CERT,
        certs::plan_front_proxy_ca,
    ),
    leaf(
        "front-proxy-client",
        "Generate the certificate for the front proxy client",
        CERT,
        certs::plan_front_proxy_client,
    ),
    leaf(
        "etcd-ca",
        "Generate the self-signed CA to provision identities for etcd",
        CERT,
        certs::plan_etcd_ca,
    ),
    Phase {
        details: ETCD_SANS,
        ..leaf("etcd-server", "Generate the certificate for serving etcd", CERT, certs::plan_etcd_server)
    },
    Phase {
        details: ETCD_SANS,
        ..leaf(
            "etcd-peer",
            "Generate the certificate for etcd nodes to communicate with each other",
            CERT,
            certs::plan_etcd_peer,
        )
    },
    leaf(
        "etcd-healthcheck-client",
        "Generate the certificate for liveness probes to healthcheck etcd",
        CERT,
        certs::plan_etcd_healthcheck_client,
    ),
    leaf(
        "apiserver-etcd-client",
        "Generate the certificate the apiserver uses to access etcd",
        CERT,
        certs::plan_apiserver_etcd_client,
    ),
    leaf(
        "sa",
        "Generate a private key for signing service account tokens along with its public key",
        CERT,
        certs::plan_sa,
    ),
];
