//! The few things that older APIs say in another way: brought into the form that a release's own API has, so that
//! everything after reads one form per release.
//!
//! Source: `app/apis/kubeadm/v1alpha3/conversion.go`, v1.13.

use kubeadm_release::facts::config_api::Api;
use kubeadm_release::{Release, Version};

use crate::api::COREDNS_GATE;
use crate::types::{ClusterConfiguration, DnsKind};

/// A field that has no counterpart in the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoCounterpart {
    pub(crate) path: &'static str,
    pub(crate) text: String,
}

/// Whether an API names whole images and chooses DNS by a gate.
pub(crate) fn is_old(api: Api) -> bool {
    matches!(api, Api::V1Alpha1 | Api::V1Alpha2 | Api::V1Alpha3)
}

/// Brings a cluster into the form of its release. `source` is the API it was read from, if it was.
pub(crate) fn settle(
    cluster: &mut ClusterConfiguration,
    source: Option<Api>,
    release: &Release,
    version: &Version,
) -> Result<(), NoCounterpart> {
    if is_old(release.config_api.written) {
        age(cluster, release, version);
        return Ok(());
    }
    if source.is_some_and(is_old) {
        cluster.feature_gates.remove(COREDNS_GATE);
    }
    renew_audit_policy(cluster)?;
    renew_unified_image(cluster, version)?;
    renew_etcd_image(cluster)?;
    if cluster.use_hyperkube_image && !release.images.hyperkube {
        return Err(NoCounterpart {
            path: "useHyperKubeImage",
            text: format!("useHyperKubeImage: there is no hyperkube image for Kubernetes {version}"),
        });
    }
    if cluster.dns.kind == DnsKind::KubeDns && release.addons.kube_dns.is_none() {
        return Err(NoCounterpart {
            path: "dns.type",
            text: format!("dns.type: kube-dns is not supported for Kubernetes {version}, use CoreDNS"),
        });
    }
    Ok(())
}

/// The older form, for releases whose own API is v1alpha2 or v1alpha3.
fn age(cluster: &mut ClusterConfiguration, release: &Release, version: &Version) {
    if cluster.feature_gates.get(COREDNS_GATE) == Some(&false) {
        cluster.dns.kind = DnsKind::KubeDns;
    }
    if cluster.use_hyperkube_image {
        cluster.use_hyperkube_image = false;
        cluster.unified_control_plane_image =
            format!("{}/hyperkube:{}", cluster.image_repository, version.image_tag());
    }
    if let Some(local) = &mut cluster.etcd.local
        && !(local.image_repository.is_empty() && local.image_tag.is_empty())
    {
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        let repository = or(std::mem::take(&mut local.image_repository), &cluster.image_repository);
        let tag = or(std::mem::take(&mut local.image_tag), release.images.etcd);
        local.image = format!("{repository}/etcd:{tag}");
    }
}

fn renew_audit_policy(cluster: &mut ClusterConfiguration) -> Result<(), NoCounterpart> {
    if !cluster.audit_policy.path.is_empty() {
        return Err(NoCounterpart {
            path: "auditPolicy.path",
            text: "AuditPolicyConfiguration has been removed from ClusterConfiguration. Please cleanup \
                   ClusterConfiguration.AuditPolicy fields"
                .into(),
        });
    }
    cluster.audit_policy = Default::default();
    Ok(())
}

fn renew_unified_image(cluster: &mut ClusterConfiguration, version: &Version) -> Result<(), NoCounterpart> {
    let image = std::mem::take(&mut cluster.unified_control_plane_image);
    if image.is_empty() {
        return Ok(());
    }
    let hyperkube = format!("{}/hyperkube:{}", cluster.image_repository, version.image_tag());
    if image != hyperkube {
        return Err(NoCounterpart {
            path: "unifiedControlPlaneImage",
            text: format!(
                "cannot convert unifiedControlPlaneImage={image:?} to useHyperKubeImage: the only image that can be \
                 named so is {hyperkube:?}"
            ),
        });
    }
    cluster.use_hyperkube_image = true;
    Ok(())
}

/// `REPOSITORY/etcd:TAG` as repository and tag.
fn renew_etcd_image(cluster: &mut ClusterConfiguration) -> Result<(), NoCounterpart> {
    let Some(local) = &mut cluster.etcd.local else { return Ok(()) };
    let image = std::mem::take(&mut local.image);
    if image.is_empty() {
        return Ok(());
    }
    let refuse = |why: &str| {
        let text =
            format!("cannot convert etcd.local.image={image:?} to imageRepository and imageTag: {why}");
        Err(NoCounterpart { path: "etcd.local.image", text })
    };
    let Some((repository, name_and_tag)) = image.rsplit_once('/') else {
        return refuse("it names no repository");
    };
    let Some((name, tag)) = name_and_tag.split_once(':') else { return refuse("it names no tag") };
    if name != "etcd" {
        return refuse("the image is not called etcd");
    }
    local.image_repository = repository.to_owned();
    local.image_tag = tag.to_owned();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LocalEtcd;

    fn settle_for(version: &str, cluster: &mut ClusterConfiguration) -> Result<(), NoCounterpart> {
        let version: Version = version.parse().unwrap();
        let release = Release::of(&version).unwrap();
        settle(cluster, Some(Api::V1Alpha3), &release, &version)
    }

    fn old() -> ClusterConfiguration {
        let local = LocalEtcd { image: "r.example.com:5000/x/etcd:3.2.24".into(), ..Default::default() };
        ClusterConfiguration {
            image_repository: "r.example.com".into(),
            unified_control_plane_image: "r.example.com/hyperkube:v1.13.12".into(),
            etcd: crate::types::Etcd { local: Some(local), external: None },
            feature_gates: [(COREDNS_GATE.to_owned(), false)].into(),
            dns: crate::types::Dns { kind: DnsKind::KubeDns, ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn whole_images_become_parts() {
        let mut cluster = old();
        settle_for("v1.13.12", &mut cluster).unwrap();
        let local = cluster.etcd.local.clone().unwrap();
        assert_eq!(
            (local.image_repository.as_str(), local.image_tag.as_str()),
            ("r.example.com:5000/x", "3.2.24")
        );
        assert!(cluster.use_hyperkube_image && cluster.feature_gates.is_empty());
        assert_eq!(cluster.dns.kind, DnsKind::KubeDns);
    }

    #[test]
    fn old_releases_keep_their_own_form() {
        let mut cluster = old();
        settle_for("v1.12.10", &mut cluster).unwrap();
        assert_eq!(cluster, old());
        let mut modern = ClusterConfiguration {
            use_hyperkube_image: true,
            image_repository: "r.example.com".into(),
            ..Default::default()
        };
        settle_for("v1.12.10", &mut modern).unwrap();
        assert_eq!(modern.unified_control_plane_image, "r.example.com/hyperkube:v1.12.10");
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let mut cluster = old();
        cluster.unified_control_plane_image = "other/image:1".into();
        assert_eq!(settle_for("v1.13.12", &mut cluster).unwrap_err().path, "unifiedControlPlaneImage");
        let mut cluster = old();
        cluster.audit_policy.path = "/p".into();
        assert_eq!(settle_for("v1.13.12", &mut cluster).unwrap_err().path, "auditPolicy.path");
        for image in ["etcd:3", "r/etcd", "r/notetcd:3"] {
            let mut cluster = old();
            cluster.etcd.local.as_mut().unwrap().image = image.into();
            assert_eq!(settle_for("v1.13.12", &mut cluster).unwrap_err().path, "etcd.local.image", "{image}");
        }
        let mut cluster = old();
        cluster.unified_control_plane_image = "r.example.com/hyperkube:v1.37.2".into();
        assert_eq!(settle_for("v1.37.2", &mut cluster).unwrap_err().path, "useHyperKubeImage");
    }
}
