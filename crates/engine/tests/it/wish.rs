//! Specs from configuration files, resolved against the memory host as the command line would.

use std::path::PathBuf;
use std::sync::OnceLock;

use kubeadm_config::components::{self, ComponentConfigs};
use kubeadm_config::detect::{Detect, FetchError, Interface, RoutingTables};
use kubeadm_config::load::{InitConfig, Loaded, Options, Source, load_init, load_join, load_reset};
use kubeadm_config::types::{ImagePullPolicy, Timeouts};
use kubeadm_engine::join::{JoinSpec, Settings};
use kubeadm_engine::ports::Access;
use kubeadm_engine::reset::ResetSpec;
use kubeadm_engine::spec::{ADMIN_CONF, Ignored, InitSpec, KUBERNETES, Layout};
use kubeadm_engine::upgrade::UpgradeSpec;
use kubeadm_engine::upgrade::policy::Policy;
use kubeadm_pki::KeyAlgorithm;
use kubeadm_release::Version;

/// The spec of a node `cp1` at 192.0.2.10. `more` continues its ClusterConfiguration, and may add documents.
pub(crate) fn init(version: &str, more: &str) -> InitSpec {
    let text = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{{token: abcdef.0123456789abcdef}}]
localAPIEndpoint: {{advertiseAddress: 192.0.2.10}}
nodeRegistration: {{name: cp1, criSocket: unix:///run/memory.sock}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {version}
{more}"
    );
    let own = version.parse().unwrap();
    let mut notices = Vec::new();
    let source = Source { text: &text, name: "kubeadm.yaml" };
    let loaded = load_init(source, &Options::new(own), &mut Host, &mut notices).unwrap();
    let ComponentConfigs { kubelet, kube_proxy } = components::complete(&loaded, &mut notices);
    let Loaded { config: InitConfig { init, cluster }, version, release, .. } = loaded;
    InitSpec {
        advertise_address: init.local_api_endpoint.advertise_address.parse().unwrap(),
        layout: Layout {
            pki: cluster.certificates_dir.clone().into(),
            kubeconfigs: KUBERNETES.into(),
            landing: None,
        },
        algorithm: KeyAlgorithm::default(),
        access: Access::new(ADMIN_CONF),
        binds_admin: true,
        external_ca: false,
        external_front_proxy_ca: false,
        joins: false,
        upload_certs: false,
        certificate_key: None,
        certificate_key_given: false,
        skip_certificate_key_print: false,
        skip_token_print: false,
        ignored: Ignored::default(),
        patches: None,
        proxy_env: Vec::new(),
        kubeadm_version: version.clone(),
        kubelet,
        kube_proxy,
        init,
        cluster,
        release,
        version,
    }
}

struct Host;

impl Detect for Host {
    fn hostname(&mut self) -> Result<String, String> {
        Ok("cp1".into())
    }
    fn routes(&mut self) -> RoutingTables {
        RoutingTables::default()
    }
    fn interfaces(&mut self) -> Result<Vec<Interface>, String> {
        Ok(Vec::new())
    }
    fn runtime_answers(&mut self, _: &str) -> bool {
        true
    }
    fn random(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        buffer.fill(7);
        Ok(())
    }
    fn fetch(&mut self, url: &str) -> Result<String, FetchError> {
        Err(FetchError::Unreachable(url.into()))
    }
}

/// The spec of a worker `w1` that was told a token and pins.
pub(crate) fn join(version: &str, token: &str, pins: &[String]) -> JoinSpec {
    joining(version, "w1", token, pins, "", None)
}

/// The spec of a dry run of that, whose files land in a folder.
pub(crate) fn dry_join(version: &str, token: &str, pins: &[String], folder: &str) -> JoinSpec {
    joining(version, "w1", token, pins, "", Some(folder.into()))
}

/// The spec of a control plane `cp2` at 192.0.2.11 that was told a token, pins and the key of the uploaded certificates.
pub(crate) fn join_control_plane(version: &str, token: &str, pins: &[String], key: &str) -> JoinSpec {
    joining(version, "cp2", token, pins, &control_plane(key), None)
}

/// The spec of a dry run of that.
pub(crate) fn dry_join_control_plane(
    version: &str,
    token: &str,
    pins: &[String],
    key: &str,
    folder: &str,
) -> JoinSpec {
    joining(version, "cp2", token, pins, &control_plane(key), Some(folder.into()))
}

fn control_plane(key: &str) -> String {
    format!("controlPlane: {{localAPIEndpoint: {{advertiseAddress: 192.0.2.11}}, certificateKey: {key}}}\n")
}

fn joining(
    version: &str,
    name: &str,
    token: &str,
    pins: &[String],
    more: &str,
    landing: Option<PathBuf>,
) -> JoinSpec {
    let text = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration: {{name: {name}, criSocket: unix:///run/memory.sock}}
discovery:
  bootstrapToken: {{apiServerEndpoint: \"192.0.2.10:6443\", token: {token}, caCertHashes: {pins:?}}}
{more}"
    );
    let own: Version = version.parse().unwrap();
    let source = Source { text: &text, name: "join.yaml" };
    let loaded =
        load_join(source, &Options::new(own.clone()), &mut Host, &|_| true, &mut Vec::new()).unwrap();
    let settings = Settings {
        ignored: Ignored::default(),
        patches: None,
        landing,
        control_plane: loaded.config.control_plane.is_some(),
        proxy_env: Vec::new(),
        kubeadm_version: own,
    };
    JoinSpec::new(loaded.config, loaded.version, loaded.release, settings)
}

/// The spec of a reset of any node.
pub(crate) fn reset(version: &str, dry: bool) -> ResetSpec {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4
kind: ResetConfiguration
criSocket: unix:///run/memory.sock
force: true
";
    let source = Source { text, name: "reset.yaml" };
    let options = Options::new(version.parse().unwrap());
    ResetSpec {
        config: load_reset(source, &options, &mut Host, &mut Vec::new()).unwrap().config,
        certificates_dir: None,
        unmount_flags: Vec::new(),
        access: Access::new(ADMIN_CONF),
        ignored: Ignored::default(),
        dry,
        known: Default::default(),
    }
}

/// The spec of an upgrade of `cp1`, to a version or to that of the cluster.
pub(crate) fn upgrade(target: Option<&str>) -> UpgradeSpec {
    UpgradeSpec {
        target: target.map(|v| v.parse().unwrap()),
        prefix: "upgrade",
        policy: Policy::default(),
        interactive: false,
        renew_certificates: true,
        upgrade_etcd: true,
        pull_policy: ImagePullPolicy::IfNotPresent,
        pull_serial: true,
        print_config: false,
        timeouts: Timeouts::default(),
        access: Access::new(ADMIN_CONF),
        node_name: "cp1".into(),
        socket: "unix:///run/memory.sock".into(),
        control_plane: true,
        ignored: Ignored::default(),
        patches: None,
        landing: None,
        proxy_env: Vec::new(),
        kubeadm_version: "v1.37.2".parse().unwrap(),
        found: OnceLock::new(),
    }
}
