//! Which fields every kind has in every version of `kubeadm.k8s.io`, and how they map to the internal form.
//!
//! One description per kind serves all versions, since most fields never changed; where versions part, the
//! description says from which one on. Defaults are not applied here. Sources: `app/apis/kubeadm/VERSION/types.go`
//! and `conversion.go` of the release that introduced each version.

mod cluster;
mod init;
mod join;
mod parts;
mod reset;
#[cfg(test)]
mod roundtrip;
mod upgrade;

pub(crate) use cluster::{COREDNS_GATE, cluster};
pub(crate) use init::{Embedded, Master, init, master};
pub(crate) use join::join;
pub(crate) use reset::reset;
pub(crate) use upgrade::upgrade;

use kubeadm_release::facts::config_api::Api;

/// A kind of `kubeadm.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `ClusterConfiguration`.
    Cluster,
    /// `ClusterStatus`, which only ever lived inside clusters.
    ClusterStatus,
    /// `InitConfiguration`.
    Init,
    /// `JoinConfiguration`.
    Join,
    /// `MasterConfiguration`, which was InitConfiguration and ClusterConfiguration in one.
    Master,
    /// `NodeConfiguration`, which became JoinConfiguration.
    Node,
    /// `ResetConfiguration`.
    Reset,
    /// `UpgradeConfiguration`.
    Upgrade,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Cluster,
        Kind::ClusterStatus,
        Kind::Init,
        Kind::Join,
        Kind::Master,
        Kind::Node,
        Kind::Reset,
        Kind::Upgrade,
    ];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Cluster => "ClusterConfiguration",
            Kind::ClusterStatus => "ClusterStatus",
            Kind::Init => "InitConfiguration",
            Kind::Join => "JoinConfiguration",
            Kind::Master => "MasterConfiguration",
            Kind::Node => "NodeConfiguration",
            Kind::Reset => "ResetConfiguration",
            Kind::Upgrade => "UpgradeConfiguration",
        }
    }

    /// The kind of a name, if that version has it.
    pub fn of(api: Api, name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).filter(|kind| kind.exists_in(api))
    }

    fn exists_in(self, api: Api) -> bool {
        match self {
            Kind::Master | Kind::Node => matches!(api, Api::V1Alpha1 | Api::V1Alpha2),
            Kind::Cluster | Kind::Init | Kind::Join => !matches!(api, Api::V1Alpha1 | Api::V1Alpha2),
            Kind::ClusterStatus => matches!(api, Api::V1Alpha3 | Api::V1Beta1 | Api::V1Beta2),
            Kind::Reset | Kind::Upgrade => matches!(api, Api::V1Beta4 | Api::V1),
        }
    }
}
