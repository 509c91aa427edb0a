//! The tree of commands: what there is, with which flags. Parsing ([`crate::parse`]), help and completion
//! ([`crate::help`]) and dispatch ([`crate::commands`]) all walk this one tree.
//!
//! The part below `init phase` is made from the engine's phase tree, so a phase is named in one place only.
//! A command that does not exist yet is absent.

mod alpha;
mod release;
mod upgrade;

use std::fmt::Write as _;

use kubeadm_engine::phase::Phase;
use kubeadm_engine::phases;
use kubeadm_engine::renewal::MANAGED;

use crate::flags::{self, Flag};

/// A command.
#[derive(Debug)]
pub struct Node {
    /// Its word.
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// One line of help.
    pub about: &'static str,
    /// The rest of its help.
    pub details: String,
    /// Words it takes after itself, as shown in help.
    pub usage: &'static str,
    /// Its own flags.
    pub flags: Vec<&'static Flag>,
    /// Flags that its children have too.
    pub persistent: Vec<&'static Flag>,
    /// How many words it takes.
    pub args: Args,
    /// Left out of lists.
    pub hidden: bool,
    /// What it does.
    pub verb: Verb,
    /// Commands below it.
    pub children: Vec<Node>,
}

/// Words that a command takes besides flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Args {
    /// None.
    None,
    /// Up to so many.
    AtMost(usize),
    /// Any; the command itself looks at them.
    Any,
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Shows its help.
    Help,
    /// Shows its help and fails: one of its commands is needed.
    Group,
    /// `help COMMAND`
    HelpOf,
    /// `completion SHELL`
    Completion,
    /// `version`
    Version,
    /// `init`
    Init,
    /// `init phase …`, with the path of the phase.
    InitPhase(String),
    /// `join`
    Join,
    /// `join phase …`, with the path of the phase.
    JoinPhase(String),
    /// `reset`
    Reset,
    /// `reset phase …`, with the path of the phase.
    ResetPhase(String),
    /// `upgrade apply`
    UpgradeApply,
    /// `upgrade apply phase …`, with the path of the phase.
    UpgradeApplyPhase(String),
    /// `upgrade diff`
    UpgradeDiff,
    /// `upgrade node`
    UpgradeNode,
    /// `upgrade node phase …`, with the path of the phase.
    UpgradeNodePhase(String),
    /// `upgrade plan`
    UpgradePlan,
    /// `release list`
    ReleaseList,
    /// `release show`
    ReleaseShow,
    /// `release diff`
    ReleaseDiff,
    /// `token generate`
    TokenGenerate,
    /// `token create`
    TokenCreate,
    /// `token list`
    TokenList,
    /// `token delete`
    TokenDelete,
    /// `config print …`
    ConfigPrint(Defaults),
    /// `config print-default`
    PrintDefault,
    /// `config view`
    ConfigView,
    /// `config validate`
    ConfigValidate,
    /// `config migrate`
    ConfigMigrate,
    /// `config images list`
    ImagesList,
    /// `config images pull`
    ImagesPull,
    /// `certs certificate-key`
    CertificateKey,
    /// `certs check-expiration`
    CheckExpiration,
    /// `certs generate-csr`
    GenerateCsr,
    /// `certs renew …`
    Renew(Renewed),
    /// `kubeconfig user`
    KubeconfigUser,
    /// `alpha selfhosting pivot`
    Pivot,
    /// `alpha phase selfhosting convert-from-staticpods`
    ConvertFromStaticPods,
    /// `alpha kubelet config enable-dynamic`
    EnableDynamicKubelet,
}

/// What `certs renew` renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// All that belongs on the node.
    All,
    /// The certificate of a name.
    One(&'static str),
}

/// The kinds of `config print`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// InitConfiguration and ClusterConfiguration.
    Init,
    /// JoinConfiguration.
    Join,
    /// ResetConfiguration.
    Reset,
    /// UpgradeConfiguration.
    Upgrade,
}

impl Node {
    fn new(name: &'static str, about: &'static str, verb: Verb) -> Self {
        Self {
            name,
            aliases: &[],
            about,
            details: String::new(),
            usage: "",
            flags: Vec::new(),
            persistent: Vec::new(),
            args: Args::None,
            hidden: false,
            verb,
            children: Vec::new(),
        }
    }

    fn group(name: &'static str, about: &'static str, children: Vec<Node>) -> Self {
        Self { children, ..Self::new(name, about, Verb::Group) }
    }

    fn flags(self, names: &[&str]) -> Self {
        Self { flags: names.iter().map(|n| flags::by_name(n)).collect(), ..self }
    }

    fn persistent(self, names: &[&str]) -> Self {
        Self { persistent: names.iter().map(|n| flags::by_name(n)).collect(), ..self }
    }

    fn details(self, details: impl Into<String>) -> Self {
        Self { details: details.into(), ..self }
    }

    /// The command below this one that a word names.
    pub fn child(&self, word: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == word || c.aliases.contains(&word))
    }
}

/// Flags of `init` itself. cmd/kubeadm/app/cmd/init.go: AddInitConfigFlags and friends, 1.37.
const INIT: &[&str] = &[
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "apiserver-cert-extra-sans",
    "cert-dir",
    "certificate-key",
    "config",
    "control-plane-endpoint",
    "cri-socket",
    "dry-run",
    "feature-gates",
    "ignore-preflight-errors",
    "image-repository",
    "kubernetes-version",
    "node-name",
    "patches",
    "pod-network-cidr",
    "service-cidr",
    "service-dns-domain",
    "skip-certificate-key-print",
    "skip-phases",
    "skip-token-print",
    "token",
    "token-ttl",
    "upload-certs",
];
const STRUCTURED: [&str; 3] = ["allow-missing-template-keys", "output", "show-managed-fields"];

/// The whole tree.
pub fn tree() -> Node {
    let mut root = Node::new("kubeadm", "kubeadm: easily bootstrap a secure Kubernetes cluster", Verb::Help);
    root.details = "Make a control plane on this machine:\n\n    sudo kubeadm init\n\nThen install a pod network, and run the \
        'kubeadm join' command that init printed on every other machine.\n"
        .into();
    root.children = vec![
        alpha::alpha(),
        alpha::phase(),
        Node {
            usage: "[bash|zsh|fish]",
            args: Args::Any,
            ..Node::new(
                "completion",
                "Output shell completion code for the specified shell",
                Verb::Completion,
            )
        }
        .details("Load it into the running shell with:\n\n    source <(kubeadm completion bash)\n"),
        certs(),
        config(),
        init(),
        join(),
        kubeconfig(),
        release::release(),
        reset(),
        token(),
        upgrade::upgrade(),
        Node {
            flags: vec![&flags::VERSION_OUTPUT],
            ..Node::new("version", "Print the version of kubeadm", Verb::Version)
        },
        Node {
            usage: "[command]",
            args: Args::Any,
            hidden: true,
            ..Node::new("help", "Help about any command", Verb::HelpOf)
        },
    ];
    root
}

/// cmd/kubeadm/app/cmd/certs.go, 1.37.
fn certs() -> Node {
    let renew = |name, about, what| {
        Node::new(name, about, Verb::Renew(what))
            .flags(&["cert-dir", "config", "kubeconfig", "restart"])
            .details("Renewals run unconditionally, whatever time is left. They need the authority and its key on this node, \
                but neither a running cluster nor a configuration: what the certificate that exists says is kept.\n")
    };
    let mut each: Vec<Node> =
        MANAGED.iter().map(|item| renew(item.name, item.long_name, Renewed::One(item.name))).collect();
    each.insert(0, renew("all", "Renew all available certificates", Renewed::All));
    let group = Node::group(
        "certs",
        "Commands related to handling Kubernetes certificates",
        vec![
            Node::new("certificate-key", "Generate certificate keys", Verb::CertificateKey).details(
                "Prints a random key that can be used with the \"init\" command to upload certificates.\n",
            ),
            Node::new(
                "check-expiration",
                "Check certificates expiration for a Kubernetes cluster",
                Verb::CheckExpiration,
            )
            .flags(&["cert-dir", "config", "kubeconfig"])
            .and(&STRUCTURED),
            Node {
                flags: vec![&flags::CSR_CERT_DIR],
                ..Node::new(
                    "generate-csr",
                    "Generate keys and certificate signing requests",
                    Verb::GenerateCsr,
                )
            }
            .and(&["config", "kubeconfig-dir"])
            .details("For an authority that is kept elsewhere: nothing that exists is replaced.\n"),
            Node::group("renew", "Renew certificates for a Kubernetes cluster", each),
        ],
    );
    Node { aliases: &["certificates"], ..group }
}

/// cmd/kubeadm/app/cmd/kubeconfig.go, 1.37.
fn kubeconfig() -> Node {
    let user = Node {
        flags: vec![&flags::USER_TOKEN],
        ..Node::new("user", "Output a kubeconfig file for an additional user", Verb::KubeconfigUser)
    }
    .and(&["client-name", "config", "org", "validity-period"])
    .details("Nothing is created in the cluster: the user has the rights that are given to its name and organizations.\n");
    Node { children: vec![user], ..Node::new("kubeconfig", "Kubeconfig file utilities", Verb::Help) }
}

fn config() -> Node {
    let print = |name, about, kind| Node::new(name, about, Verb::ConfigPrint(kind));
    Node::group(
        "config",
        "Manage configuration for a kubeadm cluster persisted in a ConfigMap in the cluster",
        vec![
            Node::group(
                "images",
                "Interact with container images used by kubeadm",
                vec![
                    Node::new("list", "Print a list of images kubeadm will use", Verb::ImagesList)
                        .flags(&["config", "feature-gates", "image-repository", "kubernetes-version"])
                        .and(&STRUCTURED),
                    Node::new("pull", "Pull images used by kubeadm", Verb::ImagesPull).flags(&[
                        "config",
                        "cri-socket",
                        "feature-gates",
                        "image-repository",
                        "kubernetes-version",
                    ]),
                ],
            ),
            Node::new(
                "migrate",
                "Read an older version of the kubeadm configuration API types from a file, and output the similar config object for the newer version",
                Verb::ConfigMigrate,
            )
            .flags(&["allow-experimental-api", "kubernetes-version", "new-config", "old-config"]),
            Node::group(
                "print",
                "Print configuration",
                vec![
                    print("init-defaults", "Print default init configuration, that can be used for 'kubeadm init'", Defaults::Init)
                        .flags(&["component-configs", "kubernetes-version"]),
                    print("join-defaults", "Print default join configuration, that can be used for 'kubeadm join'", Defaults::Join)
                        .flags(&["kubernetes-version"]),
                    print("reset-defaults", "Print default reset configuration, that can be used for 'kubeadm reset'", Defaults::Reset),
                    print(
                        "upgrade-defaults",
                        "Print default upgrade configuration, that can be used for 'kubeadm upgrade'",
                        Defaults::Upgrade,
                    ),
                ],
            ),
            Node::new("validate", "Read a file containing the kubeadm configuration API and report any errors", Verb::ConfigValidate)
                .flags(&["allow-deprecated-api", "allow-experimental-api", "config", "kubernetes-version"]),
            alpha::print_default(),
            alpha::view(),
        ],
    )
    .persistent(&["kubeconfig"])
}

fn token() -> Node {
    Node::group(
        "token",
        "Manage bootstrap tokens",
        vec![
            Node {
                usage: "[token]",
                args: Args::AtMost(1),
                ..Node::new("create", "Create bootstrap tokens on the server", Verb::TokenCreate)
            }
            .details("Without a token a random one is made. It is printed on standard output.\n")
            .flags(&[
                "certificate-key",
                "config",
                "description",
                "groups",
                "print-join-command",
                "ttl",
                "usages",
            ]),
            Node {
                usage: "[token-value] ...",
                args: Args::Any,
                ..Node::new("delete", "Delete bootstrap tokens on the server", Verb::TokenDelete)
            }
            .details("A token is named by its whole text or by its id, the six characters before the dot.\n"),
            Node::new(
                "generate",
                "Generate and print a bootstrap token, but do not create it on the server",
                Verb::TokenGenerate,
            ),
            Node::new("list", "List bootstrap tokens on the server", Verb::TokenList).flags(&STRUCTURED),
        ],
    )
    .persistent(&["dry-run", "kubeconfig"])
}

fn init() -> Node {
    let mut list = String::from("The \"init\" command executes the following phases:\n\n");
    list_phases(phases::INIT, 0, &mut list);
    let phase = Node::group(
        "phase",
        "Use this command to invoke single phase of the \"init\" workflow",
        commands(phases::INIT, "", Verb::InitPhase),
    );
    Node {
        children: vec![phase],
        ..Node::new("init", "Run this command in order to set up the Kubernetes control plane", Verb::Init)
    }
    .details(list)
    .flags(INIT)
}

/// Flags of `join` itself. cmd/kubeadm/app/cmd/join.go, 1.37.
const JOIN: &[&str] = &[
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "certificate-key",
    "config",
    "control-plane",
    "cri-socket",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "ignore-preflight-errors",
    "node-name",
    "patches",
    "skip-phases",
    "tls-bootstrap-token",
    "token",
];

fn join() -> Node {
    let mut list = String::from("The \"join\" command executes the following phases:\n\n");
    list_phases(phases::join::JOIN, 0, &mut list);
    let phase = Node::group(
        "phase",
        "Use this command to invoke single phase of the \"join\" workflow",
        commands(phases::join::JOIN, "", Verb::JoinPhase),
    );
    Node {
        usage: "[api-server-endpoint]",
        args: Args::AtMost(1),
        children: vec![phase],
        ..Node::new("join", "Run this on any machine you wish to join an existing cluster", Verb::Join)
    }
    .details(list)
    .flags(JOIN)
}

fn reset() -> Node {
    let mut list = String::from("The \"reset\" command executes the following phases:\n\n");
    list_phases(phases::reset::RESET, 0, &mut list);
    let phase = Node::group(
        "phase",
        "Use this command to invoke single phase of the \"reset\" workflow",
        commands(phases::reset::RESET, "", Verb::ResetPhase),
    );
    Node {
        children: vec![phase],
        ..Node::new(
            "reset",
            "Performs a best effort revert of changes made to this host by 'kubeadm init' or 'kubeadm join'",
            Verb::Reset,
        )
    }
    .details(list)
    .flags(&[
        "cert-dir",
        "cleanup-tmp-dir",
        "config",
        "cri-socket",
        "dry-run",
        "force",
        "ignore-preflight-errors",
        "kubeconfig",
        "skip-phases",
    ])
}

/// The phases as lines, each below its parent.
fn list_phases<S>(all: &'static [Phase<S>], depth: usize, list: &mut String) {
    for phase in all.iter().filter(|phase| !phase.hidden) {
        let name = format!("{}{}", "  ".repeat(depth), phase.name);
        // Writing to a string cannot fail.
        let _ = writeln!(list, "  {name:<28} {}", phase.about);
        list_phases(phase.children, depth + 1, list);
    }
}

/// The phases as commands, but for those that are hidden.
fn commands<S>(all: &'static [Phase<S>], above: &str, verb: fn(String) -> Verb) -> Vec<Node> {
    all.iter().filter(|phase| !phase.hidden).map(|phase| self::phase(phase, above, verb)).collect()
}

/// A phase as a command. A group needs one of its children, or `all` where it has it.
fn phase<S>(phase: &'static Phase<S>, above: &str, verb: fn(String) -> Verb) -> Node {
    let path = if above.is_empty() { phase.name.to_owned() } else { format!("{above}/{}", phase.name) };
    let mut children = commands(phase.children, &path, verb);
    if let Some(flags) = phase.all {
        let all = Node::new("all", "Run all phases of this group", verb(path.clone())).flags(flags);
        children.insert(0, all);
    }
    let verb = if children.is_empty() { verb(path) } else { Verb::Group };
    Node { aliases: phase.aliases, children, ..Node::new(phase.name, phase.about, verb) }
        .details(phase.details)
        .flags(phase.flags)
}

impl Node {
    fn and(mut self, names: &[&str]) -> Self {
        self.flags.extend(names.iter().map(|n| flags::by_name(n)));
        self
    }
}
