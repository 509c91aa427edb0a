//! Every rule of validation: all problems of a file at once, in upstream's order and words, with their places.

use kubeadm_config::commands;
use kubeadm_config::documents::Reading;
use kubeadm_config::error::ConfigError;
use kubeadm_config::load::{self, Source};

use crate::host::{host, options};

/// The problems of a file as `PATH: WHAT` lines, without the place.
fn problems(text: &str) -> Vec<String> {
    let mut options = options("v1.37.2");
    options.reading = Reading { strict: true, allow_experimental: false };
    let source = Source { text, name: "f" };
    match commands::validate(source, &options, &mut host(), &|path| path == "/disk", &mut Vec::new()) {
        Ok(()) => Vec::new(),
        Err(ConfigError::Invalid(errors)) => errors
            .0
            .iter()
            .map(|error| {
                assert!(error.place.is_some(), "{error} has no place");
                let text = error.to_string();
                text[..text.rfind(" (f:").unwrap()].to_owned()
            })
            .collect(),
        Err(other) => panic!("{other}"),
    }
}

fn document(kind: &str, rest: &str) -> String {
    let version = if kind == "ClusterConfiguration" { "kubernetesVersion: v1.37.2\n" } else { "" };
    format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: {kind}\n{version}{rest}")
}

/// Path and the beginning of the detail, for the long texts.
fn short(problems: &[String]) -> Vec<String> {
    problems.iter().map(|problem| problem.chars().take(90).collect()).collect()
}

#[test]
fn all_problems_of_init_come_at_once_and_in_order() {
    let init = document(
        "InitConfiguration",
        "nodeRegistration: {name: a_b, criSocket: 'tcp://x', kubeletExtraArgs: [{name: ''}], imagePullPolicy: Often}\n\
         bootstrapTokens:\n\
         - {token: abcdef.0123456789abcdef, usages: [signing, x], groups: [system:bootstrappers:a]}\n\
         - {token: abcdef.0123456789abcdef, groups: [nobody]}\n\
         localAPIEndpoint: {bindPort: 70000}\n\
         certificateKey: abc\n",
    );
    let cluster = document(
        "ClusterConfiguration",
        "dns: {imageRepository: 'a b'}\n\
         networking: {dnsDomain: A, serviceSubnet: '10.0.0.0/8,10.1.0.0/30', podSubnet: 'fd00::/40'}\n\
         apiServer: {certSANs: ['*.ok', 'a b'], extraArgs: [{name: ''}]}\n\
         certificatesDir: pki\n\
         featureGates: {Nope: true}\n\
         imageRepository: 'A B'\n\
         etcd: {local: {dataDir: d, serverCertSANs: ['-']}}\n\
         encryptionAlgorithm: DES\n",
    );
    let found = problems(&format!("{init}---\n{cluster}"));
    assert_eq!(
        short(&found),
        [
            "nodeRegistration.name: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must consist o",
            "nodeRegistration.criSocket: Invalid value: \"tcp://x\": only URL scheme \"unix\" is supported,",
            "nodeRegistration.kubeletExtraArgs: Invalid value: \"index 0\": argument has no name",
            "nodeRegistration.imagePullPolicy: Invalid value: \"Often\": invalid pull policy",
            "bootstrapTokens.0.usages: Invalid value: [\"signing\",\"x\"]: invalid bootstrap token usage st",
            "bootstrapTokens.0.groups: Invalid value: [\"system:bootstrappers:a\"]: token groups cannot b",
            "bootstrapTokens.1.groups: Invalid value: [\"nobody\"]: bootstrap group \"nobody\" is invalid (",
            "dns.imageRepository: Invalid value: \"a b\": invalid image repository format",
            "networking.dnsDomain: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of l",
            "networking.serviceSubnet: Invalid value: \"10.0.0.0/8,10.1.0.0/30\": specified service subne",
            "networking.serviceSubnet: Invalid value: \"10.0.0.0/8,10.1.0.0/30\": expected one (IPv4 or I",
            "networking.serviceSubnet: Invalid value: \"10.1.0.0/30\": subnet with 4 address(es) is too s",
            "networking.podSubnet: Invalid value: \"fd00::/40\": pod subnet mask (40) and node-mask (64) ",
            "apiServer.certSANs: Invalid value: \"a b\": altname is not a valid IP address, DNS label or ",
            "apiServer.extraArgs: Invalid value: \"index 0\": argument has no name",
            "certificatesDir: Invalid value: \"pki\": path is not absolute",
            "featureGates: Invalid value: {\"Nope\":true}: Nope is not a valid feature name.",
            "imageRepository: Invalid value: \"A B\": invalid image repository format",
            "etcd.local.dataDir: Invalid value: \"d\": path is not absolute",
            "etcd.local.serverCertSANs: Invalid value: \"-\": altname is not a valid IP address, DNS labe",
            "encryptionAlgorithm: Invalid value: \"DES\": Invalid encryption algorithm \"DES\". Must be one",
            "localAPIEndpoint.bindPort: Invalid value: 70000: port number is not valid",
            "certificateKey: Invalid value: \"<redacted>\": certificate key decoding error: encoding/hex:",
        ]
    );
}

#[test]
fn external_etcd_has_its_rules() {
    let external = |rest: &str| {
        problems(&document("ClusterConfiguration", &format!("etcd: {{external: {{{rest}}}}}\n")))
    };
    assert_eq!(
        external("endpoints: ['http://a:1', '1.2.3.4:5'], caFile: ca, certFile: /c"),
        [
            "etcd.external: Invalid value: \"\": either both or none of .Etcd.External.CertFile and \
             .Etcd.External.KeyFile must be set",
            "etcd.external.endpoints: Invalid value: \"http://a:1\": the URL must be using the HTTPS scheme",
            "etcd.external.endpoints: Invalid value: \"1.2.3.4:5\": URL parse error: parse \"1.2.3.4:5\": first path \
             segment in URL cannot contain colon",
            "etcd.external.httpEndpoints: Invalid value: \"1.2.3.4:5\": URL parse error: parse \"1.2.3.4:5\": first \
             path segment in URL cannot contain colon",
            "etcd.external.caFile: Invalid value: \"ca\": path is not absolute",
        ]
    );
    assert_eq!(
        external("endpoints: [], certFile: /c, keyFile: /k"),
        [
            "etcd.external: Invalid value: \"\": setting .Etcd.External.CertFile and .Etcd.External.KeyFile requires \
             .Etcd.External.CAFile",
            "etcd.external.endpoints: Invalid value: \"\": at least one endpoint must be specified",
        ]
    );
    assert!(external("endpoints: ['http://192.0.2.1:2379']").is_empty());
}

#[test]
fn join_has_its_rules() {
    let join = |rest: &str| problems(&document("JoinConfiguration", rest));
    assert_eq!(
        join("discovery: {bootstrapToken: {token: x}}\ncaCertPath: ca\n"),
        [
            "discovery.bootstrapToken: Required value: APIServerEndpoint is not set",
            "discovery.bootstrapToken.caCertHashes: Invalid value: \"\": using token-based discovery without \
             caCertHashes can be unsafe. Set unsafeSkipCAVerification as true in your kubeadm config file or pass \
             --discovery-token-unsafe-skip-ca-verification flag to continue",
            "discovery.bootstrapToken.token: Invalid value: \"<redacted>\": the bootstrap token is invalid",
            "discovery.tlsBootstrapToken: Invalid value: \"<redacted>\": the bootstrap token is invalid",
            "caCertPath: Invalid value: \"ca\": the ca certificate path must be an absolute path",
        ]
    );
    assert_eq!(
        join("discovery: {bootstrapToken: {}, file: {}}\n"),
        ["discovery: Invalid value: \"\": bootstrapToken and file cannot both be set"]
    );
    for (path, refused) in [
        ("file:///disk", None),
        ("https://example.com/f", None),
        ("/none", Some("not a valid HTTPS URL or a file on disk")),
        ("http://example.com/f", Some("if a URL is used, the scheme must be https")),
    ] {
        let found = join(&format!("discovery: {{file: {{kubeConfigPath: '{path}'}}}}\n"));
        let expected =
            refused.map(|why| format!("discovery.file.kubeConfigPath: Invalid value: {path:?}: {why}"));
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{path}");
    }
}

#[test]
fn reset_and_upgrade_have_their_rules() {
    assert_eq!(
        problems(&document(
            "ResetConfiguration",
            "certificatesDir: x\nunmountFlags: [MNT_FORCE, MNT_NONE]\n"
        )),
        [
            "certificatesDir: Invalid value: \"x\": path is not absolute",
            "unmountFlags: Invalid value: \"index 1\": unknown unmount flag MNT_NONE",
        ]
    );
    assert_eq!(
        problems(&document(
            "UpgradeConfiguration",
            "apply: {patches: {directory: p}}\nnode: {imagePullPolicy: X}\n"
        )),
        [
            "apply.patches.directory: Invalid value: \"p\": path is not absolute",
            "node.imagePullPolicy: Invalid value: \"X\": invalid pull policy",
        ]
    );
}

/// Kubelets of old are told of their runtime's socket by its path.
#[test]
fn reset_takes_the_kubelets_socket_without_a_word() {
    let containerd = "unix:///run/containerd/containerd.sock";
    for (known, expected) in [
        ("/run/containerd/containerd.sock", containerd),
        (containerd, containerd),
        // Docker's has no other form.
        ("/var/run/dockershim.sock", "/var/run/dockershim.sock"),
    ] {
        let mut options = options("v1.37.2");
        options.known_socket = known.into();
        let mut notices = Vec::new();
        let reset = load::reset_from_flags(Default::default(), &options, &mut host(), &mut notices).unwrap();
        assert_eq!(reset.config.cri_socket, expected);
        assert_eq!(notices, []);
    }
}

#[test]
fn long_lives_and_site_local_ranges_are_warned_of() {
    let text = document(
        "ClusterConfiguration",
        "certificateValidityPeriod: 99999h\ncaCertificateValidityPeriod: 90000h\n\
         networking: {podSubnet: 'fec0:1::/48'}\n",
    );
    let mut notices = Vec::new();
    load::load_init(Source { text: &text, name: "f" }, &options("v1.37.2"), &mut host(), &mut notices)
        .unwrap();
    let texts: Vec<&str> = notices.iter().map(|notice| notice.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "WARNING: the subnet fec0:1::/48 contains IPv6 site-local addresses that belong to fec0::/10 which has \
             been deprecated by rfc3879",
            "WARNING: certificateValidityPeriod: the value 99999h0m0s is more than the recommended default for \
             certificate expiration: 8760h0m0s",
            "WARNING: caCertificateValidityPeriod: the value 90000h0m0s is more than the recommended default for CA \
             certificate expiration: 87600h0m0s",
            "WARNING: certificateValidityPeriod: the value 99999h0m0s is more than the caCertificateValidityPeriod: \
             90000h0m0s",
        ]
    );
}

#[test]
fn a_token_may_end_at_a_time() {
    let expires = |ttl: &str| {
        problems(&document(
            "InitConfiguration",
            &format!(
                "bootstrapTokens: [{{token: abcdef.0123456789abcdef, expires: '2030-01-01T00:00:00Z'{ttl}}}]\n"
            ),
        ))
    };
    assert!(expires("").is_empty());
    assert_eq!(
        expires(", ttl: 1h"),
        [
            "bootstrapTokens.0: Invalid value: \"\": the BootstrapToken .TTL and .Expires fields are mutually exclusive"
        ]
    );
}

#[test]
fn lengths_of_time_have_their_bounds() {
    let init = document(
        "InitConfiguration",
        "timeouts: {kubernetesAPICall: -1s, kubeletHealthCheck: 0s}\n\
         bootstrapTokens: [{token: abcdef.0123456789abcdef, ttl: -1h}, {token: abcdef.0123456789abcdeg, ttl: 0s}]\n",
    );
    let cluster =
        document("ClusterConfiguration", "certificateValidityPeriod: 0s\ncaCertificateValidityPeriod: -1h\n");
    // Another kind with a field of the same name is not where the first one's faults are.
    let join = document(
        "JoinConfiguration",
        "timeouts: {kubernetesAPICall: 1m}\ndiscovery: {file: {kubeConfigPath: /disk}}\n",
    );
    assert_eq!(
        problems(&format!("{join}---\n{init}---\n{cluster}")),
        [
            "bootstrapTokens.0.ttl: Invalid value: \"-1h0m0s\": must not be negative",
            "certificateValidityPeriod: Invalid value: \"0s\": must be longer than zero, such as 8760h0m0s",
            "caCertificateValidityPeriod: Invalid value: \"-1h0m0s\": must be longer than zero, such as 8760h0m0s",
            "timeouts.kubernetesAPICall: Invalid value: \"-1s\": must not be negative",
        ]
    );
    for kind in ["ResetConfiguration", "UpgradeConfiguration"] {
        assert_eq!(
            problems(&document(kind, "timeouts: {tlsBootstrap: -1s}\n")),
            ["timeouts.tlsBootstrap: Invalid value: \"-1s\": must not be negative"]
        );
    }
}

#[test]
fn the_faults_of_old_files_have_the_names_of_old_fields() {
    let load = |version: &str, kind: &str, rest: &str| {
        let text = format!("apiVersion: kubeadm.k8s.io/{version}\nkind: {kind}\n{rest}");
        let source = Source { text: &text, name: "f" };
        let error = match kind {
            "JoinConfiguration" => load::load_join(
                source,
                &options("v1.13.12"),
                &mut host(),
                &|path| path == "/disk",
                &mut Vec::new(),
            )
            .unwrap_err(),
            _ => load::load_init(source, &options("v1.13.12"), &mut host(), &mut Vec::new()).unwrap_err(),
        };
        error.to_string()
    };
    let version = "kubernetesVersion: v1.13.12\n";
    assert_eq!(
        load(
            "v1beta1",
            "ClusterConfiguration",
            &format!("{version}apiServer:\n  timeoutForControlPlane: -4m\n")
        ),
        "apiServer.timeoutForControlPlane: Invalid value: \"-4m0s\": must not be negative (f:5:3)"
    );
    assert_eq!(
        load("v1beta1", "JoinConfiguration", "discovery: {file: {kubeConfigPath: /disk}, timeout: -1m}\n"),
        "discovery.timeout: Invalid value: \"-1m0s\": must not be negative (f:3:44)"
    );
    assert_eq!(
        load(
            "v1alpha3",
            "JoinConfiguration",
            "discoveryFile: /disk\ndiscoveryTimeout: -1m\ntoken: abcdef.0123456789abcdef\n"
        ),
        "discoveryTimeout: Invalid value: \"-1m0s\": must not be negative (f:4:1)"
    );
}

#[test]
fn authorization_modes_are_those_of_the_api_server() {
    let modes =
        |text: &str| format!("apiServer: {{extraArgs: [{{name: authorization-mode, value: '{text}'}}]}}\n");
    assert_eq!(
        problems(&document("ClusterConfiguration", &modes("Node,RBACK,rbac"))),
        [
            "apiServer.extraArgs: Invalid value: \"Node,RBACK,rbac\": unknown authorization-mode \"RBACK\", \"rbac\"; the \
          kube-apiserver knows Node, RBAC, Webhook, ABAC, AlwaysAllow, AlwaysDeny"
        ]
    );
    let warned = |text: &str, client: &str| {
        let mut notices = Vec::new();
        let source = Source { text, name: "f" };
        load::load_init(source, &options(client), &mut host(), &mut notices).unwrap();
        notices
            .into_iter()
            .map(|notice| notice.text)
            .filter(|text| text.contains("authorization"))
            .collect::<Vec<_>>()
    };
    let new = |text: &str| warned(&document("ClusterConfiguration", &modes(text)), "v1.37.2");
    assert_eq!(new("RBAC,Node"), [""; 0]);
    assert_eq!(
        new("Webhook,RBAC"),
        ["WARNING: the default kube-apiserver authorization-mode is \"Node,RBAC\"; using \"Webhook,RBAC\""]
    );
    let old = "apiVersion: kubeadm.k8s.io/v1beta1\nkind: ClusterConfiguration\nkubernetesVersion: v1.13.12\n\
        apiServer: {extraArgs: {authorization-mode: 'AlwaysAllow,Webhook'}}\n";
    assert_eq!(
        warned(old, "v1.13.12"),
        [
            "WARNING: the kube-apiserver authorization-mode \"AlwaysAllow,Webhook\" is not taken as it is: kubeadm of \
          Kubernetes 1.13 always has Node,RBAC and knows no others than ABAC and Webhook; using \"Node,RBAC,Webhook\""
        ]
    );
}

#[test]
fn a_port_that_no_kubeconfig_leads_to_is_warned_of() {
    let warned = |port: &str| {
        let text = document(
            "ClusterConfiguration",
            &format!("apiServer: {{extraArgs: [{{name: secure-port, value: '{port}'}}]}}\n"),
        );
        let mut notices = Vec::new();
        load::load_init(Source { text: &text, name: "f" }, &options("v1.37.2"), &mut host(), &mut notices)
            .unwrap();
        notices.iter().filter(|notice| notice.text.contains("listens on secure-port 7443")).count()
    };
    assert_eq!((warned("7443"), warned("6443")), (1, 0));
}

#[test]
fn arguments_that_are_glued_to_the_default_are_checked_with_it() {
    let found = |value: &str| {
        let text = format!(
            "apiVersion: kubeadm.k8s.io/v1\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.2\napiServer:\n  \
             extraArgs: [{{name: authorization-mode, value: '{value}', mergeMethod: append}}]\n"
        );
        let mut options = options("v1.37.2");
        options.reading.allow_experimental = true;
        load::load_init(Source { text: &text, name: "f" }, &options, &mut host(), &mut Vec::new())
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(found(",Webhook"), Ok(()));
    let error = found("Webhook").unwrap_err();
    assert!(error.contains("unknown authorization-mode \"RBACWebhook\""), "{error}");
}

#[test]
fn of_several_servers_of_an_old_file_the_unused_ones_are_named() {
    let text = "apiVersion: kubeadm.k8s.io/v1alpha3\nkind: JoinConfiguration\ntoken: abcdef.0123456789abcdef\n\
        discoveryTokenAPIServers: ['192.0.2.1:6443', '192.0.2.2:6443', '192.0.2.3:6443']\n\
        discoveryTokenUnsafeSkipCAVerification: true\n";
    let mut notices = Vec::new();
    let source = Source { text, name: "f" };
    let loaded =
        load::load_join(source, &options("v1.13.12"), &mut host(), &|_| false, &mut notices).unwrap();
    let found = loaded.config.discovery.bootstrap_token.unwrap();
    assert_eq!(found.api_server_endpoint, "192.0.2.1:6443");
    assert!(
        notices.iter().any(|notice| notice.text
            == "WARNING: discoveryTokenAPIServers: of several servers only the first is asked, 192.0.2.1:6443; \
                not used: 192.0.2.2:6443, 192.0.2.3:6443"),
        "{notices:?}"
    );
}

#[test]
fn gates_that_change_nothing_here_are_warned_of() {
    let warnings = |value: bool| {
        let text = format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.32.13\n\
             featureGates: {{EtcdLearnerMode: {value}}}\n"
        );
        let mut notices = Vec::new();
        load::load_init(Source { text: &text, name: "f" }, &options("v1.36.3"), &mut host(), &mut notices)
            .unwrap();
        notices.iter().filter(|notice| notice.text.contains("EtcdLearnerMode=false has no effect")).count()
    };
    assert_eq!((warnings(true), warnings(false)), (0, 1));
}
