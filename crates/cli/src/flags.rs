//! The catalogue of flags: each name, shorthand, kind, default and help once, for every command that has it.
//!
//! Names and defaults are upstream's (cmd/kubeadm/app/cmd/options, 1.37). Which command has which flag is said by
//! [`crate::cli`] and, below `init phase`, by the engine's phase tree. What a flag does is said by
//! [`crate::resolve`]; nothing here reads a value.

/// What a flag takes, named as pflag shows it in help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    String,
    /// Given without a value, or as `--flag=false`.
    Bool,
    /// A number of 32 bits.
    Int32,
    /// A number.
    Int,
    /// Comma-separated texts; may be repeated.
    Strings,
    /// `1h30m`.
    Duration,
    /// The log level.
    Level,
    /// `file=level,…`.
    ModuleSpec,
}

impl Kind {
    /// The name in help; empty for what takes no value.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int32 => "int32",
            Self::Int => "int",
            Self::Strings => "strings",
            Self::Duration => "duration",
            Self::Level => "Level",
            Self::ModuleSpec => "moduleSpec",
        }
    }
}

/// A flag.
#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    /// Name without its dashes.
    pub name: &'static str,
    /// One letter, if it has one.
    pub short: Option<char>,
    /// What it takes.
    pub kind: Kind,
    /// Its value when it isn't given, as text; lists are comma-separated.
    pub default: &'static str,
    /// One or two lines of help.
    pub help: &'static str,
    /// What to use instead: the flag still works, is left out of help, and says so when used.
    pub deprecated: Option<&'static str>,
}

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, kind, default, help, deprecated: None }
}

const fn extra_args(name: &'static str, instead: &'static str, help: &'static str) -> Flag {
    Flag { deprecated: Some(instead), ..flag(name, Kind::Strings, "", help) }
}

use Kind::*;

/// `-h`, on every command.
pub static HELP: Flag = Flag { short: Some('h'), ..flag("help", Bool, "", "Show help and exit.") };
/// Chroot.
pub static ROOTFS: Flag = flag(
    "rootfs",
    String,
    "",
    "The path to the 'real' host root filesystem. This will cause kubeadm to chroot into it.",
);
/// Log level.
pub static V: Flag = Flag {
    short: Some('v'),
    ..flag("v", Level, "0", "Number for the log level verbosity; 5 also shows the causes of an error.")
};
/// Log level by module.
pub static VMODULE: Flag =
    flag("vmodule", ModuleSpec, "", "Comma-separated list of pattern=N settings for log levels by module.");
/// Output of `version`: none by default, where other commands say `text`.
pub static VERSION_OUTPUT: Flag = Flag {
    short: Some('o'),
    ..flag("output", String, "", "Output format; available options are 'yaml', 'json' and 'short'.")
};
/// Directory of `certs generate-csr`: none by default, since its configuration names one.
pub static CSR_CERT_DIR: Flag = flag(
    "cert-dir",
    String,
    "",
    "The path where to save the keys and certificate signing requests. If not set, the certificatesDir of the configuration.",
);
/// Token of `kubeconfig user`, which is any bearer token.
pub static USER_TOKEN: Flag = flag(
    "token",
    String,
    "",
    "The token that should be used as the authentication mechanism for this kubeconfig, instead of client certificates",
);

/// Of `config print-default`.
pub static API_OBJECTS: Flag = flag(
    "api-objects",
    Strings,
    "",
    "A comma-separated list of the kinds to print; all of the release's if it is not set.",
);
/// Of `alpha selfhosting pivot`.
pub static STORE_CERTS_IN_SECRETS: Flag = Flag {
    short: Some('s'),
    ..flag("store-certs-in-secrets", Bool, "", "Keep the certificates of the control plane in Secrets.")
};
/// Of `alpha selfhosting pivot`.
pub static FORCE_PIVOT: Flag =
    Flag { short: Some('f'), ..flag("force", Bool, "", "Do not ask before going on.") };
/// Of `alpha kubelet config enable-dynamic`.
pub static KUBELET_VERSION: Flag =
    flag("kubelet-version", String, "", "The version of the kubelet; its minor names the ConfigMap.");

/// Every other flag, by name.
pub static CATALOGUE: &[Flag] = &[
    flag(
        "allow-deprecated-api",
        Bool,
        "",
        "Accepted for compatibility: every API version that can be read is allowed.",
    ),
    flag(
        "allow-experimental-api",
        Bool,
        "",
        "Allow validation and migration with experimental, unreleased APIs.",
    ),
    flag(
        "allow-experimental-upgrades",
        Bool,
        "",
        "Show unstable versions of Kubernetes as an upgrade alternative and allow upgrading to an alpha/beta/release candidate versions of Kubernetes.",
    ),
    flag(
        "allow-missing-template-keys",
        Bool,
        "true",
        "Accepted for compatibility: no output format has templates.",
    ),
    flag(
        "allow-release-candidate-upgrades",
        Bool,
        "",
        "Show release candidate versions of Kubernetes as an upgrade alternative and allow upgrading to a release candidate versions of Kubernetes.",
    ),
    flag(
        "apiserver-advertise-address",
        String,
        "",
        "The IP address the API Server will advertise it's listening on. If not set the default network interface will be used.",
    ),
    flag("apiserver-bind-port", Int32, "6443", "Port for the API Server to bind to."),
    flag(
        "apiserver-cert-extra-sans",
        Strings,
        "",
        "Optional extra Subject Alternative Names (SANs) to use for the API Server serving certificate. Can be both IP addresses and DNS names.",
    ),
    extra_args(
        "apiserver-extra-args",
        "ClusterConfiguration.apiServer.extraArgs",
        "A set of extra flags to pass to the API Server or override default ones in form of <flagname>=<value>",
    ),
    flag("cert-dir", String, "/etc/kubernetes/pki", "The path where to save and store the certificates."),
    flag(
        "certificate-key",
        String,
        "",
        "Key used to encrypt the control-plane certificates in the kubeadm-certs Secret: a hex encoded AES key of 32 bytes.",
    ),
    flag(
        "certificate-renewal",
        Bool,
        "true",
        "Perform the renewal of certificates used by component changed during upgrades.",
    ),
    flag("cleanup-tmp-dir", Bool, "", "Cleanup the \"/etc/kubernetes/tmp\" directory"),
    flag(
        "client-name",
        String,
        "",
        "The name of user. It will be used as the CN if client certificates are created",
    ),
    flag(
        "component-configs",
        Strings,
        "",
        "A comma-separated list for component config API objects to print the default values for. Available values: [KubeProxyConfiguration KubeletConfiguration]. If this flag is not set, no component configs will be printed.",
    ),
    flag("config", String, "", "Path to a kubeadm configuration file."),
    Flag { short: Some('c'), ..flag("context-lines", Int, "3", "How many lines of context in the diff") },
    flag("control-plane", Bool, "", "Create a new control plane instance on this node"),
    flag(
        "control-plane-endpoint",
        String,
        "",
        "Specify a stable IP address or DNS name for the control plane.",
    ),
    extra_args(
        "controller-manager-extra-args",
        "ClusterConfiguration.controllerManager.extraArgs",
        "A set of extra flags to pass to the Controller Manager or override default ones in form of <flagname>=<value>",
    ),
    flag(
        "cri-socket",
        String,
        "",
        "Path to the CRI socket to connect. If empty kubeadm will try to auto-detect this value; use this option only if you have more than one CRI installed or if you have non-standard CRI socket.",
    ),
    flag("description", String, "", "A human friendly description of how this token is used."),
    flag(
        "discovery-file",
        String,
        "",
        "For file-based discovery, a file or URL from which to load cluster information.",
    ),
    flag(
        "discovery-token",
        String,
        "",
        "For token-based discovery, the token used to validate cluster information fetched from the API server.",
    ),
    flag(
        "discovery-token-ca-cert-hash",
        Strings,
        "",
        "For token-based discovery, validate that the root CA public key matches this hash (format: \"<type>:<value>\").",
    ),
    flag(
        "discovery-token-unsafe-skip-ca-verification",
        Bool,
        "",
        "For token-based discovery, allow joining without --discovery-token-ca-cert-hash pinning.",
    ),
    flag("dry-run", Bool, "", "Don't apply any changes; just output what would be done."),
    flag("etcd-upgrade", Bool, "true", "Perform the upgrade of etcd."),
    flag(
        "feature-gates",
        String,
        "",
        "A set of key=value pairs that describe feature gates for various features.",
    ),
    Flag {
        short: Some('f'),
        ..flag(
            "force",
            Bool,
            "",
            "Do not ask before going on. An upgrade also goes on where requirements are not met that can be overruled.",
        )
    },
    flag(
        "groups",
        Strings,
        "system:bootstrappers:kubeadm:default-node-token",
        "Extra groups that this token will authenticate as when used for authentication. Must match \"\\\\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\\\\z\"",
    ),
    flag(
        "ignore-preflight-errors",
        Strings,
        "",
        "A list of checks whose errors will be shown as warnings. Example: 'IsPrivilegedUser,Swap'. Value 'all' ignores errors from all checks.",
    ),
    flag(
        "image-repository",
        String,
        "registry.k8s.io",
        "Choose a container registry to pull control plane images from",
    ),
    flag(
        "kubeconfig",
        String,
        "/etc/kubernetes/admin.conf",
        "The kubeconfig file to use when talking to the cluster. If the flag is not set, a set of standard locations can be searched for an existing kubeconfig file.",
    ),
    flag("kubeconfig-dir", String, "/etc/kubernetes", "The path where to save the kubeconfig file."),
    flag(
        "kubernetes-version",
        String,
        "stable-1",
        "Choose a specific Kubernetes version for the control plane.",
    ),
    flag(
        "new-config",
        String,
        "",
        "Path to the resulting equivalent kubeadm config file using the new API version. Optional, if not specified output will be sent to STDOUT.",
    ),
    flag("node-name", String, "", "Specify the node name."),
    flag(
        "old-config",
        String,
        "",
        "Path to the kubeadm config file that is using an old API version and should be converted. This flag is mandatory.",
    ),
    flag(
        "org",
        Strings,
        "",
        "The organizations of the client certificate. It will be used as the O if client certificates are created",
    ),
    Flag { short: Some('o'), ..flag("output", String, "text", "Output format. One of: text|json|yaml.") },
    flag(
        "patches",
        String,
        "",
        "Path to a directory that contains files named \"target[suffix][+patchtype].extension\". For example, \"kube-apiserver0+merge.yaml\" or just \"etcd.json\". \"patchtype\" is one of \"strategic\" (the default), \"merge\" or \"json\"; \"extension\" is \"json\" or \"yaml\".",
    ),
    flag(
        "pod-network-cidr",
        String,
        "",
        "Specify range of IP addresses for the pod network. If set, the control plane will automatically allocate CIDRs for every node.",
    ),
    flag(
        "print-config",
        Bool,
        "",
        "Specifies whether the configuration of the cluster should be printed or not.",
    ),
    flag(
        "print-join-command",
        Bool,
        "",
        "Instead of printing only the token, print the full 'kubeadm join' flag needed to join the cluster using the token.",
    ),
    flag("print-manifest", Bool, "", "Print the addon manifests to STDOUT instead of installing them"),
    flag(
        "restart",
        Bool,
        "",
        "Restart the static Pods of this node that run with renewed certificates, one after the other, and wait for each.",
    ),
    extra_args(
        "scheduler-extra-args",
        "ClusterConfiguration.scheduler.extraArgs",
        "A set of extra flags to pass to the Scheduler or override default ones in form of <flagname>=<value>",
    ),
    flag("service-cidr", String, "10.96.0.0/12", "Use alternative range of IP address for service VIPs."),
    flag(
        "service-dns-domain",
        String,
        "cluster.local",
        "Use alternative domain for services, e.g. \"myorg.internal\".",
    ),
    flag(
        "show-managed-fields",
        Bool,
        "",
        "Accepted for compatibility: what is printed has no managedFields.",
    ),
    flag(
        "skip-certificate-key-print",
        Bool,
        "",
        "Don't print the key used to encrypt the control-plane certificates.",
    ),
    flag("skip-phases", Strings, "", "List of phases to be skipped"),
    flag(
        "skip-token-print",
        Bool,
        "",
        "Skip printing of the default bootstrap token generated by 'kubeadm init'.",
    ),
    flag(
        "through",
        Strings,
        "",
        "Upgrade across minors, one after the other, up to this version: v1.37 stands for the newest of its minor. Versions of the minors between may be named before it, separated by commas; without that, the newest of each is looked up.",
    ),
    flag(
        "tls-bootstrap-token",
        String,
        "",
        "Specify the token used to temporarily authenticate with the Kubernetes Control Plane while joining the node.",
    ),
    flag(
        "to",
        Strings,
        "",
        "Show the whole way to this version, minor by minor: what each hop changes and what blocks it. Versions are named as for 'upgrade apply --through'.",
    ),
    flag(
        "token",
        String,
        "",
        "The token to use for establishing bidirectional trust between nodes and control-plane nodes. The format is [a-z0-9]{6}.[a-z0-9]{16} - e.g. abcdef.0123456789abcdef",
    ),
    flag(
        "token-ttl",
        Duration,
        "24h0m0s",
        "The duration before the token is automatically deleted (e.g. 1s, 2m, 3h). If set to '0', the token will never expire",
    ),
    flag(
        "ttl",
        Duration,
        "24h0m0s",
        "The duration before the token is automatically deleted (e.g. 1s, 2m, 3h). If set to '0', the token will never expire",
    ),
    flag("upload-certs", Bool, "", "Upload control-plane certificates to the kubeadm-certs Secret."),
    flag(
        "usages",
        Strings,
        "signing,authentication",
        "Describes the ways in which this token can be used. You can pass --usages multiple times or provide a comma separated list of options. Valid options: [signing,authentication]",
    ),
    flag(
        "validity-period",
        Duration,
        "8760h0m0s",
        "The validity period of the client certificate. It is an offset from the current time.",
    ),
    Flag {
        short: Some('y'),
        ..flag(
            "yes",
            Bool,
            "",
            "Perform the upgrade and do not prompt for confirmation (non-interactive mode).",
        )
    },
];

/// A flag of the catalogue.
///
/// # Panics
/// When there is none of that name: a mistake in a command's or phase's list, which the tests walk over.
pub fn by_name(name: &str) -> &'static Flag {
    let found = CATALOGUE.iter().find(|f| f.name == name);
    found.unwrap_or_else(|| panic!("flag {name:?} is not in the catalogue"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_occur_once() {
        assert!(CATALOGUE.is_sorted_by(|a, b| a.name < b.name));
    }
}
