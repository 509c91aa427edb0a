//! The configuration that a cluster keeps of itself, read back for one of its nodes.
//!
//! It was validated when it was stored, by whichever kubeadm made the cluster; here it is completed for its release
//! and nothing more. Source: app/util/config/cluster.go (getInitConfigurationFromCluster, v1.37).

use kubeadm_release::facts::images::Images;
use kubeadm_release::{Reference, Release, Version};

use crate::api::{self, Kind};
use crate::component::keep_cgroup_driver;
use crate::defaults;
use crate::documents::{ComponentDocument, Decoded, Documents, KUBELET_API, Reading};
use crate::error::{ConfigError, Notice, Placed};
use crate::form;
use crate::load::{InitConfig, Loaded};
use crate::types::InitConfiguration;
use crate::version;

/// What the cluster keeps: the texts of its ConfigMaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredTexts {
    /// `ClusterConfiguration` (or `MasterConfiguration`) of `kubeadm-config`.
    pub cluster: String,
    /// `kubelet` of `kubelet-config`.
    pub kubelet: Option<StoredComponent>,
    /// `config.conf` of `kube-proxy`.
    pub kube_proxy: Option<StoredComponent>,
}

/// The configuration of a component as the cluster keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredComponent {
    /// The text.
    pub text: String,
    /// Whether kubeadm made it and nobody changed it since.
    pub generated: bool,
}

/// The source that stands in messages.
const NAME: &str = "ConfigMap kube-system/kubeadm-config";

/// Reads what a cluster keeps, for a node that is described by `init`.
///
/// # Errors
/// A text that is no configuration, or a version whose facts this build does not have.
pub fn load(
    texts: &StoredTexts,
    init: InitConfiguration,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<InitConfig>, ConfigError> {
    let reading = Reading { strict: false, allow_experimental: true };
    let documents = Documents::read(&texts.cluster, NAME, reading, notices)?;
    let (mut cluster, api) = match documents.master()? {
        Some(Decoded { value, api }) => (value.cluster, api),
        None => match documents.decode(Kind::Cluster, api::cluster)? {
            Some(Decoded { value, api }) => (value, api),
            None => {
                return Err(ConfigError::Missing { wanted: "ClusterConfiguration kind was", where_: NAME });
            }
        },
    };
    let version = match version::parse(&cluster.kubernetes_version)? {
        Reference::Exact { version, .. } => version,
        // kubeadm stores what a label stood for, so this one was written by hand.
        Reference::Label { .. } => {
            let text =
                format!("kubernetesVersion: expected a version, found {:?}", cluster.kubernetes_version);
            let place = documents.place(&[Kind::Cluster, Kind::Master], "kubernetesVersion");
            return Err(ConfigError::Conversion(Placed { place, text }));
        }
    };
    let release = Release::of(&version)?;
    defaults::cluster(&mut cluster, &release);
    form::settle(&mut cluster, Some(api), &release, &version).map_err(
        |form::NoCounterpart { path, text }| {
            ConfigError::Conversion(Placed {
                place: documents.place(&[Kind::Cluster, Kind::Master], path),
                text,
            })
        },
    )?;
    defaults::control_plane_endpoint(&mut cluster.control_plane_endpoint, init.local_api_endpoint.bind_port)?;
    let mut components = documents.components()?;
    for (name, text) in [("kubelet-config", &texts.kubelet), ("kube-proxy", &texts.kube_proxy)] {
        let Some(StoredComponent { text, generated }) = text else { continue };
        let name = format!("ConfigMap kube-system/{name}");
        let read = Documents::read(text, &name, reading, notices)?.components()?;
        components.extend(read.into_iter().map(|c| ComponentDocument { generated: *generated, ..c }));
    }
    Ok(Loaded { config: InitConfig { init, cluster }, version, release, components })
}

/// The text of a cluster of which nothing but its version is known, by API of the release that lets nodes read no more.
pub fn of_version(version: &Version) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1alpha2\nkind: {}\nkubernetesVersion: {version}\n",
        Kind::Master.name()
    )
}

/// The same configuration for another version of the control plane, as an upgrade makes it.
///
/// # Errors
/// A version whose facts this build does not have, or a field that its release cannot express.
pub fn for_version(
    mut loaded: Loaded<InitConfig>,
    version: &Version,
) -> Result<Loaded<InitConfig>, ConfigError> {
    let release = Release::of(version)?;
    let cluster = &mut loaded.config.cluster;
    cluster.kubernetes_version = version.to_string();
    // A default that was stored, not a wish: what is new since lies only in the repository of today.
    if Images::was_default(&cluster.image_repository) {
        cluster.image_repository = release.images.default_repository.to_owned();
    }
    form::settle(cluster, Some(loaded.release.config_api.written), &release, version)
        .map_err(|form::NoCounterpart { text, .. }| ConfigError::Conversion(Placed { place: None, text }))?;
    for component in loaded.components.iter_mut().filter(|c| c.group_version == KUBELET_API) {
        keep_cgroup_driver(&mut component.value, &release);
    }
    Ok(Loaded { version: version.clone(), release, ..loaded })
}

/// The key of `kubeadm-config` that holds the cluster, by age of its API.
pub fn keys() -> [&'static str; 2] {
    [Kind::Cluster.name(), Kind::Master.name()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::{self, Components};
    use kubeadm_release::facts::config_api::Api;

    #[test]
    fn what_was_stored_comes_back() {
        for minor in [12, 13, 36, 37] {
            let release = Release::of(&kubeadm_release::Version::new(1, minor, 0)).unwrap();
            let mut config = InitConfig::default();
            config.cluster.kubernetes_version = format!("v1.{minor}.3");
            config.cluster.control_plane_endpoint = "api.example.com:6443".into();
            config.cluster.networking.pod_subnet = "10.9.0.0/16".into();
            defaults::cluster(&mut config.cluster, &release);
            let stored = write::stored(&config, &release, Components::default());
            let cluster = stored.iter().find(|(key, _)| keys().contains(key)).unwrap().1.clone();
            let texts = StoredTexts { cluster, ..StoredTexts::default() };
            let loaded = load(&texts, InitConfiguration::default(), &mut Vec::new()).unwrap();
            assert_eq!(loaded.release.minor, minor);
            let again = &loaded.config.cluster;
            assert_eq!(again.control_plane_endpoint, "api.example.com:6443");
            assert_eq!(again.networking.pod_subnet, "10.9.0.0/16");
            assert_eq!(write::cluster(again, Api::V1), write::cluster(&config.cluster, Api::V1), "1.{minor}");
        }
    }

    #[test]
    fn a_later_version_has_its_own_form() {
        let load = |version: &str, more: &str| {
            let cluster = format!(
                "apiVersion: kubeadm.k8s.io/{more}\nkind: ClusterConfiguration\nkubernetesVersion: {version}\n"
            );
            let texts = StoredTexts { cluster, ..StoredTexts::default() };
            super::load(&texts, InitConfiguration::default(), &mut Vec::new()).unwrap()
        };
        let to = |text: &str| text.parse::<Version>().unwrap();
        let newer = for_version(load("v1.36.3", "v1beta4"), &to("1.37.2")).unwrap();
        assert_eq!((newer.release.minor, newer.config.cluster.kubernetes_version.as_str()), (37, "v1.37.2"));
        // The older API named etcd's whole image.
        let mut old = load("v1.12.10", "v1alpha3");
        old.config.cluster.etcd.local.get_or_insert_default().image = "r/etcd:3.2.24".into();
        let local = for_version(old.clone(), &to("1.13.12")).unwrap().config.cluster.etcd.local.unwrap();
        assert_eq!((local.image_repository.as_str(), local.image_tag.as_str()), ("r", "3.2.24"));
        old.config.cluster.audit_policy.path = "/p".into();
        let error = for_version(old, &to("1.13.12")).unwrap_err().to_string();
        assert!(error.contains("AuditPolicy"), "{error}");
        assert!(for_version(load("v1.36.3", "v1beta4"), &to("1.38.0")).is_err());
    }

    #[test]
    fn what_was_a_default_goes_with_the_release() {
        for (repository, expected) in [
            ("k8s.gcr.io", "registry.k8s.io"),
            ("registry.k8s.io", "registry.k8s.io"),
            ("r.example.com/k", "r.example.com/k"),
        ] {
            let cluster = format!(
                "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nkubernetesVersion: v1.21.14\nimageRepository: {repository}\n"
            );
            let texts = StoredTexts { cluster, ..StoredTexts::default() };
            let loaded = super::load(&texts, InitConfiguration::default(), &mut Vec::new()).unwrap();
            let next = for_version(loaded, &"1.22.17".parse().unwrap()).unwrap();
            assert_eq!(next.config.cluster.image_repository, expected);
        }
    }

    #[test]
    fn kubelets_keep_their_cgroup_driver() {
        for (given, to, expected) in [
            ("", "1.20.15", None),
            ("", "1.21.14", Some("cgroupfs")),
            ("", "1.22.17", Some("cgroupfs")),
            ("cgroupDriver: systemd\n", "1.22.17", Some("systemd")),
        ] {
            let cluster = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nkubernetesVersion: v1.20.0\n";
            let text = format!("apiVersion: {KUBELET_API}\nkind: KubeletConfiguration\n{given}");
            let kubelet = Some(StoredComponent { text, generated: true });
            let texts = StoredTexts { cluster: cluster.into(), kubelet, ..StoredTexts::default() };
            let loaded = super::load(&texts, InitConfiguration::default(), &mut Vec::new()).unwrap();
            let next = for_version(loaded, &to.parse().unwrap()).unwrap();
            assert_eq!(kubeadm_yaml::get_str(&next.components[0].value, "cgroupDriver"), expected, "{to}");
        }
    }

    #[test]
    fn a_label_is_not_a_version() {
        let cluster =
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: stable-1\n";
        let texts = StoredTexts { cluster: cluster.into(), ..StoredTexts::default() };
        let error = load(&texts, InitConfiguration::default(), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("expected a version, found \"stable-1\""), "{error}");
    }
}
