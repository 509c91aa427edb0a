//! The release: all facts of one minor, as plain values.

use std::fmt;

use crate::facts::addons::Addons;
use crate::facts::certificates::Certificates;
use crate::facts::config_api::ConfigApi;
use crate::facts::control_plane::ControlPlane;
use crate::facts::etcd::Etcd;
use crate::facts::images::Images;
use crate::facts::kubelet::Kubelet;
use crate::facts::node::NodeFacts;
use crate::facts::objects::Objects;
use crate::facts::preflight::Preflight;
use crate::listing::Facts;
use crate::version::Version;

/// The minors that are served, oldest first, and the patch of each whose original was recorded: its facts are exact as of
/// that patch. A minor without a recording has `None`; its facts follow from its neighbours.
///
/// 1.11, 1.12 and 1.13 were recorded with the code of v1.11.1, v1.12.4 and v1.13.4, stamped with these versions.
pub const MINORS: &[(u32, Option<u32>)] = &[
    (11, Some(10)),
    (12, Some(10)),
    (13, Some(12)),
    (14, Some(10)),
    (15, Some(12)),
    (16, Some(15)),
    (17, Some(17)),
    (18, Some(20)),
    (19, Some(16)),
    (20, Some(15)),
    (21, Some(14)),
    (22, Some(17)),
    (23, Some(17)),
    (24, Some(17)),
    (25, Some(16)),
    (26, Some(15)),
    (27, Some(16)),
    (28, Some(15)),
    (29, Some(6)),
    (30, Some(14)),
    (31, Some(14)),
    (32, Some(13)),
    (33, Some(13)),
    (34, Some(4)),
    (35, Some(4)),
    (36, Some(3)),
    (37, Some(2)),
];

/// The minors of [`MINORS`]; any other is refused.
pub const SERVED_MINORS: &[u32] = &{
    let mut minors = [0; MINORS.len()];
    let mut index = 0;
    while index < MINORS.len() {
        minors[index] = MINORS[index].0;
        index += 1;
    }
    minors
};

/// The oldest minor that is served.
pub const OLDEST_MINOR: u32 = MINORS[0].0;

/// The newest minor this build knows, and so the one it stands for.
pub const NEWEST_MINOR: u32 = MINORS[MINORS.len() - 1].0;

/// Everything that depends on the minor of the cluster.
#[derive(Debug, Clone, Facts)]
pub struct Release {
    /// The minor these facts belong to.
    #[fact(skip)]
    pub minor: u32,
    /// Image names, tags and repositories.
    pub images: Images,
    /// The static pods of API server, controller manager and scheduler, and what all static pods share.
    pub control_plane: ControlPlane,
    /// The static pod of a local etcd.
    pub etcd: Etcd,
    /// Certificates and kubeconfig files.
    pub certificates: Certificates,
    /// The kubelet's files.
    pub kubelet: Kubelet,
    /// Labels, taints and annotations of a control-plane node.
    pub node: NodeFacts,
    /// Objects stored in the cluster outside the add-ons.
    pub objects: Objects,
    /// CoreDNS and kube-proxy.
    pub addons: Addons,
    /// Configuration APIs and feature gates.
    pub config_api: ConfigApi,
    /// What the machine is asked before anything is changed.
    pub preflight: Preflight,
}

/// A version this build has no facts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseError {
    /// The version asked for.
    pub version: Version,
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Kubernetes {} is not supported by this build of kubeadm; supported are 1.{OLDEST_MINOR} to 1.{NEWEST_MINOR}",
            self.version.major_minor()
        )
    }
}

impl std::error::Error for ReleaseError {}

impl Release {
    /// The facts for the minor of a version.
    pub fn of(version: &Version) -> Result<Self, ReleaseError> {
        if version.major != 1 || !SERVED_MINORS.contains(&version.minor) {
            return Err(ReleaseError { version: version.clone() });
        }
        Ok(Self::fold(version.minor))
    }

    /// The facts for the newest minor this build knows.
    pub fn newest() -> Self {
        Self::fold(NEWEST_MINOR)
    }

    fn fold(minor: u32) -> Self {
        Self {
            minor,
            images: Images::at(minor),
            control_plane: ControlPlane::at(minor),
            etcd: Etcd::at(minor),
            certificates: Certificates::at(minor),
            kubelet: Kubelet::at(minor),
            node: NodeFacts::at(minor),
            objects: Objects::at(minor),
            addons: Addons::at(minor),
            config_api: ConfigApi::at(minor),
            preflight: Preflight::at(minor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_minors_are_refused_by_name() {
        for text in ["1.10.13", "1.38.0", "2.13.0"] {
            let error = Release::of(&text.parse().unwrap()).unwrap_err();
            assert_eq!(error.version, text.parse().unwrap());
        }
        assert_eq!(
            Release::of(&Version::new(1, 38, 0)).unwrap_err().to_string(),
            "Kubernetes 1.38 is not supported by this build of kubeadm; supported are 1.11 to 1.37"
        );
    }

    #[test]
    fn the_minors_follow_each_other() {
        assert_eq!(SERVED_MINORS, (OLDEST_MINOR..=NEWEST_MINOR).collect::<Vec<_>>());
    }

    #[test]
    fn a_minor_without_rows_of_its_own_is_as_the_newest() {
        let facts = |minor| format!("{:?}", Release { minor: 0, ..Release::fold(minor) });
        assert_eq!(facts(99), facts(NEWEST_MINOR));
        assert_ne!(facts(NEWEST_MINOR), facts(NEWEST_MINOR - 1));
    }

    #[test]
    fn every_minor_has_its_release() {
        for &minor in SERVED_MINORS {
            assert_eq!(Release::of(&Version::new(1, minor, 0)).unwrap().minor, minor);
        }
        assert_eq!(Release::newest().minor, NEWEST_MINOR);
    }
}
