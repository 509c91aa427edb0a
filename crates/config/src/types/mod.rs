//! The one internal form of every configuration kind, whatever API version it was written in.
//!
//! Values are as the user meant them: nothing here detects, resolves or refuses. Where a text may be wrong
//! (pull policy, key algorithm) it stays a text until validation, and a typed reading stands beside it.

mod cluster;
mod init;
mod join;
mod reset;
mod upgrade;

pub use cluster::{
    ApiServer, AuditPolicy, ClusterConfiguration, ControlPlaneComponent, Dns, DnsKind, EncryptionAlgorithm,
    Etcd, ExternalEtcd, HostPathMount, LocalEtcd, Networking, Proxy,
};
pub use init::{
    ApiEndpoint, Arg, BootstrapToken, EnvVar, ImagePullPolicy, InitConfiguration, MergeMethod,
    NodeRegistration, Patches, SecretText, Taint, Timeouts,
};
pub use join::{BootstrapTokenDiscovery, Discovery, FileDiscovery, JoinConfiguration, JoinControlPlane};
pub use reset::ResetConfiguration;
pub use upgrade::{UpgradeApply, UpgradeConfiguration, UpgradeDiff, UpgradeNode, UpgradePlan};
