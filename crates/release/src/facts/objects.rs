//! Objects stored in the cluster outside the add-ons.

use crate::column::Column;
use crate::listing::Facts;

/// How `kubeadm-config` keeps the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum StoredConfig {
    /// One key, `MasterConfiguration`, with component configurations inside; nobody but administrators reads it.
    MasterConfiguration,
    /// `ClusterConfiguration` and `ClusterStatus`; nodes may read it.
    ClusterConfigurationAndStatus,
    /// `ClusterConfiguration` alone; nodes may read it.
    ClusterConfiguration,
}

impl StoredConfig {
    /// Whether nodes, and those that are to become nodes, may read it.
    pub fn readable_by_nodes(self) -> bool {
        !matches!(self, Self::MasterConfiguration)
    }
}

/// How the kubeconfig in `cluster-info` writes what it has none of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum EmptyKubeconfigLists {
    /// `contexts: []`, `preferences: {}`, `users: []`.
    Empty,
    /// `contexts: null`, `preferences: {}`, `users: null`.
    NullWithPreferences,
    /// `contexts: null`, `users: null`, no preferences.
    Null,
}

/// Facts of the cluster's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Objects {
    /// How `kubeadm-config` keeps the configuration.
    pub stored_config: StoredConfig,
    /// Whether ClusterRole and ClusterRoleBinding `kubeadm:get-nodes` exist.
    pub get_nodes: bool,
    /// The namespace that those two name, which API servers drop.
    pub get_nodes_namespace: &'static str,
    /// Whether ClusterRoleBinding `kubeadm:apiserver-kubelet-client` exists.
    pub kubelet_client_binding: bool,
    /// Whether control-plane certificates can be stored for other nodes (`upload-certs`).
    pub upload_certs: bool,
    /// Empty lists of the kubeconfig in `cluster-info`.
    pub cluster_info_lists: EmptyKubeconfigLists,
    /// Whether the API server's authorization modes are stored among its arguments, though nobody configured them.
    pub authorization_modes_stored: bool,
    /// Whether a dry run stores its own folder as `certificatesDir`.
    pub dry_run_folder_stored: bool,
    /// Whether `creationTimestamp: null` is written into objects.
    pub creation_timestamp: bool,
}

impl Objects {
    pub(crate) fn at(minor: u32) -> Self {
        Self {
            stored_config: STORED_CONFIG.at(minor),
            get_nodes: GET_NODES.at(minor),
            get_nodes_namespace: GET_NODES_NAMESPACE.at(minor),
            kubelet_client_binding: KUBELET_CLIENT_BINDING.at(minor),
            upload_certs: UPLOAD_CERTS.at(minor),
            cluster_info_lists: CLUSTER_INFO_LISTS.at(minor),
            authorization_modes_stored: AUTHORIZATION_MODES_STORED.at(minor),
            dry_run_folder_stored: DRY_RUN_FOLDER_STORED.at(minor),
            creation_timestamp: CREATION_TIMESTAMP.at(minor),
        }
    }
}

const STORED_CONFIG: Column<StoredConfig> = Column(&[
    (0, StoredConfig::MasterConfiguration), // app/phases/uploadconfig/uploadconfig.go, v1.11
    (12, StoredConfig::ClusterConfigurationAndStatus), // the same, v1.12
    (22, StoredConfig::ClusterConfiguration), // the same, v1.22
]);

const GET_NODES: Column<bool> = Column(&[
    (0, false), // app/phases/bootstraptoken/node, v1.13
    (18, true), // app/phases/bootstraptoken/node/tlsbootstrap.go AllowBoostrapTokensToGetNodes, v1.18
]);

const GET_NODES_NAMESPACE: Column<&str> = Column(&[
    (0, "kube-system"), // app/phases/bootstraptoken/node/tlsbootstrap.go, v1.18
    (29, ""),           // the same, v1.29
]);

const KUBELET_CLIENT_BINDING: Column<bool> = Column(&[
    (0, false),  // not written by v1.13
    (33, true),  // written by v1.33.13
    (34, false), // not written by v1.34.4 and v1.35.4
    (36, true),  // written by v1.36
]);

const UPLOAD_CERTS: Column<bool> = Column(&[
    (0, false), // app/cmd/init.go, v1.13
    (14, true), // app/cmd/phases/init/uploadcerts.go, v1.14
]);

const CLUSTER_INFO_LISTS: Column<EmptyKubeconfigLists> = Column(&[
    (0, EmptyKubeconfigLists::Empty),                // written by v1.13
    (17, EmptyKubeconfigLists::NullWithPreferences), // written by v1.17
    (34, EmptyKubeconfigLists::Null),                // written by v1.34: client-go v0.34
]);

const AUTHORIZATION_MODES_STORED: Column<bool> = Column(&[
    (0, true), // written by v1.11; app/phases/controlplane/manifests.go changed the configuration it was given
    (30, false), // not written by v1.30
]);

const DRY_RUN_FOLDER_STORED: Column<bool> = Column(&[
    (0, true),   // written by v1.12
    (13, false), // written by v1.13
]);

const CREATION_TIMESTAMP: Column<bool> = Column(&[
    (0, true),   // written by v1.11
    (34, false), // written by v1.34: k8s.io/apimachinery omits zero times
]);
