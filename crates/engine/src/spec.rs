//! The spec: what `init` will do, fully resolved. No option is left to default, the version is pinned, addresses and
//! runtime are detected, tokens chosen, and the facts of the target release attached.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use kubeadm_config::address::{Cidr, join_host_port, parse_ip};
use kubeadm_config::components::{self, ComponentConfig, ComponentConfigs};
use kubeadm_config::defaults::BIND_PORT;
use kubeadm_config::error::Notice;
use kubeadm_config::features;
use kubeadm_config::images::Images;
use kubeadm_config::load::{InitConfig, Loaded};
use kubeadm_config::types::{ClusterConfiguration, InitConfiguration};
use kubeadm_pki::KeyAlgorithm;
use kubeadm_release::facts::config_api::{
    KUBELET_LOCAL_MODE, NODE_LOCAL_CRI_SOCKET, UNVERSIONED_KUBELET_CONFIG_MAP,
};
use kubeadm_release::facts::control_plane::AUDIT_POLICY;
use kubeadm_release::{Release, Version};

use crate::ports::Access;
use crate::run::Context;

/// Where files belong, and where a dry run puts them instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `certificatesDir`.
    pub pki: PathBuf,
    /// Directory of the kubeconfig files (`--kubeconfig-dir`).
    pub kubeconfigs: PathBuf,
    /// The folder of a dry run; `None` in a real one.
    pub landing: Option<PathBuf>,
}

/// Directory of the static pod manifests.
pub const MANIFESTS: &str = "/etc/kubernetes/manifests";
/// kubeadm's own directory.
pub const KUBERNETES: &str = "/etc/kubernetes";
/// Working directory of the kubelet.
pub const KUBELET: &str = "/var/lib/kubelet";
/// Default of `--kubeconfig` where a phase has it, and where `admin.conf` is written.
pub const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";

/// A static pod manifest, by the name of its component.
pub fn manifest(component: &str) -> PathBuf {
    Path::new(MANIFESTS).join(format!("{component}.yaml"))
}

impl Layout {
    /// Where a file lands and how its path is shown: itself, or in a dry run a path inside its folder. Certificates
    /// lie at the top of that folder (`etcd/ca.crt` in `etcd/`), all other files there by name.
    pub fn shown(&self, path: &Path) -> PathBuf {
        let Some(landing) = &self.landing else { return path.to_owned() };
        if let Ok(inside) = path.strip_prefix(&self.pki) {
            // `join("")` would add a slash to the folder itself.
            return if inside.as_os_str().is_empty() { landing.clone() } else { landing.join(inside) };
        }
        if path == Path::new(AUDIT_POLICY) {
            return landing.join("audit/audit.yaml");
        }
        let folders: [&Path; 4] =
            [&self.kubeconfigs, Path::new(MANIFESTS), Path::new(KUBELET), Path::new(KUBERNETES)];
        match path.file_name() {
            _ if folders.contains(&path) => landing.clone(),
            Some(name) => landing.join(name),
            None => landing.clone(),
        }
    }

    /// A file of the certificates directory.
    pub fn pki_file(&self, name: &str) -> PathBuf {
        self.pki.join(name)
    }

    /// A kubeconfig file.
    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.kubeconfigs.join(name)
    }

    /// A static pod manifest.
    pub fn manifest(&self, component: &str) -> PathBuf {
        manifest(component)
    }
}

/// Names in `--ignore-preflight-errors`, lower-cased; `all` is every check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignored(pub std::collections::BTreeSet<String>);

impl Ignored {
    /// Whether a check's errors are only warnings.
    pub fn covers(&self, check: &str) -> bool {
        self.0.contains("all") || self.0.contains(&check.to_lowercase())
    }
}

/// Everything `init` and its phases know of the wish.
#[derive(Debug, Clone)]
pub struct InitSpec {
    /// Facts of the target minor.
    pub release: Release,
    /// The target version.
    pub version: Version,
    /// Resolved InitConfiguration: node name, CRI socket, taints, tokens, advertise address.
    pub init: InitConfiguration,
    /// Resolved ClusterConfiguration.
    pub cluster: ClusterConfiguration,
    /// `localAPIEndpoint.advertiseAddress`, parsed.
    pub advertise_address: IpAddr,
    /// Kubelet configuration.
    pub kubelet: ComponentConfig,
    /// kube-proxy configuration.
    pub kube_proxy: ComponentConfig,
    /// Where files belong.
    pub layout: Layout,
    /// The key algorithm of all new keys.
    pub algorithm: KeyAlgorithm,
    /// How API requests are made.
    pub access: Access,
    /// Whether `access` is the administrator's own file that `init` makes; then the first request binds the
    /// administrators' group.
    pub binds_admin: bool,
    /// `ca.crt` is there without `ca.key`.
    pub external_ca: bool,
    /// `front-proxy-ca.crt` is there without its key.
    pub external_front_proxy_ca: bool,
    /// `--upload-certs`.
    pub upload_certs: bool,
    /// The key certificates are uploaded with (64 hex digits): given, or made when they are to be uploaded.
    pub certificate_key: Option<String>,
    /// Whether the key was given by the user.
    pub certificate_key_given: bool,
    /// `--skip-certificate-key-print`.
    pub skip_certificate_key_print: bool,
    /// `--skip-token-print`.
    pub skip_token_print: bool,
    /// Whether the node joins a cluster that another made.
    pub joins: bool,
    /// Checks whose errors are warnings.
    pub ignored: Ignored,
    /// Directory of patches.
    pub patches: Option<PathBuf>,
    /// `*_proxy` variables for control-plane containers and kube-proxy, sorted by name.
    pub proxy_env: Vec<(String, String)>,
    /// Version of this kubeadm, for the skew checks.
    pub kubeadm_version: Version,
}

/// What a node of a cluster that others made brings along.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// How API requests are made.
    pub access: Access,
    /// Whether the node is only now joining.
    pub joins: bool,
    /// The folder of a dry run.
    pub landing: Option<PathBuf>,
    /// Checks whose errors are warnings.
    pub ignored: Ignored,
    /// Directory of patches.
    pub patches: Option<PathBuf>,
    /// `*_proxy` variables for control-plane containers and kube-proxy, sorted by name.
    pub proxy_env: Vec<(String, String)>,
    /// Version of this kubeadm.
    pub kubeadm_version: Version,
}

impl InitSpec {
    /// A node of a cluster whose configuration was loaded. What only the first node of a cluster does is left out.
    pub fn of_cluster(loaded: Loaded<InitConfig>, settings: NodeSettings, notices: &mut Vec<Notice>) -> Self {
        let ComponentConfigs { kubelet, kube_proxy } = components::complete(&loaded, notices);
        let Loaded { config: InitConfig { init, cluster }, version, release, .. } = loaded;
        let NodeSettings { access, joins, landing, ignored, patches, proxy_env, kubeadm_version } = settings;
        // A worker advertises nothing, and needs no address of its own.
        let advertise_address =
            parse_ip(&init.local_api_endpoint.advertise_address).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        Self {
            layout: Layout {
                pki: cluster.certificates_dir.clone().into(),
                kubeconfigs: KUBERNETES.into(),
                landing,
            },
            // A name that is none was refused when the configuration was loaded.
            algorithm: cluster.key_algorithm().parse().unwrap_or_default(),
            access,
            binds_admin: false,
            external_ca: false,
            external_front_proxy_ca: false,
            joins,
            upload_certs: false,
            certificate_key: None,
            certificate_key_given: false,
            skip_certificate_key_print: false,
            skip_token_print: false,
            ignored,
            patches,
            proxy_env,
            kubeadm_version,
            release,
            version,
            init,
            cluster,
            advertise_address,
            kubelet,
            kube_proxy,
        }
    }

    /// What the executor must know.
    pub fn context(&self) -> Context {
        Context {
            access: self.access.clone(),
            socket: self.init.node_registration.cri_socket.clone(),
            api_limit: self.init.timeouts.kubernetes_api_call.to_std(),
            dry: self.layout.landing.is_some(),
        }
    }

    /// Name of the node.
    pub fn node_name(&self) -> &str {
        &self.init.node_registration.name
    }

    /// `https://ADVERTISE:PORT`.
    pub fn local_endpoint(&self) -> String {
        format!("https://{}", join_host_port(&self.advertise_address.to_string(), self.bind_port()))
    }

    /// `https://` + `controlPlaneEndpoint`, or the local endpoint where there is none.
    pub fn control_plane_endpoint(&self) -> String {
        match self.cluster.control_plane_endpoint.as_str() {
            "" => self.local_endpoint(),
            given => format!("https://{given}"),
        }
    }

    /// Port of the API server.
    pub fn bind_port(&self) -> u16 {
        // Validated to 1–65535 before a spec exists.
        u16::try_from(self.init.local_api_endpoint.bind_port).unwrap_or(BIND_PORT)
    }

    /// The n-th address of the first service CIDR: 1 is the API server's, 10 the DNS server's.
    pub fn service_address(&self, n: u32) -> Option<IpAddr> {
        let first = self.cluster.networking.service_subnet.split(',').next()?;
        Cidr::parse(first)?.nth(n)
    }

    /// Whether control-plane components run as users of their own.
    pub fn rootless(&self) -> bool {
        self.gate("RootlessControlPlane")
    }

    /// Whether a feature gate is on: as set, or by default. One that the release does not have was refused.
    pub fn gate(&self, name: &str) -> bool {
        features::enabled(&self.release, &self.cluster.feature_gates, name)
    }

    /// What the cluster says of a gate; nothing where its release has no such gate.
    fn said(&self, gate: &str) -> Option<bool> {
        features::said(&self.release, &self.cluster.feature_gates, gate)
    }

    /// Whether the kubelet of a control-plane node speaks to the API server of its own node.
    pub fn kubelet_local(&self) -> bool {
        self.said(KUBELET_LOCAL_MODE).unwrap_or(self.release.certificates.kubelet_local)
    }

    /// Whether the node keeps the socket of its runtime in `instance-config.yaml`, not in an annotation.
    pub fn instance_config(&self) -> bool {
        self.said(NODE_LOCAL_CRI_SOCKET).unwrap_or(self.release.kubelet.instance_config)
    }

    /// The name of the ConfigMap with the configuration for all kubelets.
    pub fn kubelet_config_map(&self) -> String {
        self.release.kubelet.config_map_name(&self.version, self.said(UNVERSIONED_KUBELET_CONFIG_MAP))
    }

    /// The names of all images.
    pub fn images(&self) -> Images<'_> {
        let arch = architecture();
        Images { cluster: &self.cluster, release: &self.release, version: &self.version, arch }
    }

    /// Whether etcd runs on this node.
    pub fn local_etcd(&self) -> bool {
        self.cluster.etcd.external.is_none()
    }
}

/// Go's name of the architecture this binary was built for, as old image names carry it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_is_flat() {
        let real =
            Layout { pki: "/etc/kubernetes/pki".into(), kubeconfigs: KUBERNETES.into(), landing: None };
        let dry = Layout { landing: Some("/tmp/d".into()), ..real.clone() };
        let shown = |p: &str| dry.shown(Path::new(p)).display().to_string();
        assert_eq!(real.shown(Path::new("/etc/kubernetes/pki")), Path::new("/etc/kubernetes/pki"));
        assert_eq!(shown("/etc/kubernetes/pki"), "/tmp/d");
        assert_eq!(shown("/etc/kubernetes/pki/etcd/ca.crt"), "/tmp/d/etcd/ca.crt");
        assert_eq!(shown("/etc/kubernetes/manifests"), "/tmp/d");
        assert_eq!(shown("/etc/kubernetes/manifests/etcd.yaml"), "/tmp/d/etcd.yaml");
        assert_eq!(shown("/var/lib/kubelet/config.yaml"), "/tmp/d/config.yaml");
        assert_eq!(shown("/etc/kubernetes/admin.conf"), "/tmp/d/admin.conf");
    }
}
