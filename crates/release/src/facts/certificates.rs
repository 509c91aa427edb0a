//! Certificates and kubeconfig files: what their subjects and extensions hold.

use crate::column::Column;
use crate::listing::Facts;

/// The common names of the certificate authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum AuthorityNames {
    /// `kubernetes` for all of them.
    Same,
    /// `kubernetes`, `etcd-ca` and `front-proxy-ca`.
    Own,
}

/// Who administrates the cluster, and with which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Administrators {
    /// `admin.conf` belongs to `system:masters`.
    Masters,
    /// `admin.conf` belongs to `kubeadm:cluster-admins`, a group bound to `cluster-admin`; `super-admin.conf`
    /// belongs to `system:masters`.
    BoundGroup,
}

/// Facts of certificates and kubeconfig files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Certificates {
    /// Common names of the certificate authorities.
    pub authorities: AuthorityNames,
    /// Whether an authority's certificate names itself as a DNS name.
    pub authority_dns_name: bool,
    /// Whether leaf certificates carry critical basic constraints that say "not an authority".
    pub leaf_basic_constraints: bool,
    /// Whether an authority has a random serial number, not 0.
    pub random_authority_serial: bool,
    /// Whether alternative names are sorted, each written once.
    pub distinct_names: bool,
    /// How long before its making a certificate begins, in seconds; `None`: an authority begins at once and its
    /// leaves begin with it.
    pub back_dated_seconds: Option<i64>,
    /// Whether the etcd server certificate is valid for the advertise address.
    pub etcd_server_advertised: bool,
    /// Organization of `apiserver-kubelet-client`.
    pub kubelet_client_organization: Option<&'static str>,
    /// Organization of `apiserver-etcd-client` and `etcd/healthcheck-client`.
    pub etcd_client_organization: Option<&'static str>,
    /// Who administrates the cluster.
    pub administrators: Administrators,
    /// Whether controller manager and scheduler speak to the API server of their own node.
    pub components_local: bool,
    /// Whether the kubelet of a control-plane node speaks to the API server of its own node.
    pub kubelet_local: bool,
}

impl Certificates {
    pub(crate) fn at(minor: u32) -> Self {
        Self {
            authorities: AUTHORITIES.at(minor),
            authority_dns_name: AUTHORITY_DNS_NAME.at(minor),
            leaf_basic_constraints: LEAF_BASIC_CONSTRAINTS.at(minor),
            random_authority_serial: RANDOM_AUTHORITY_SERIAL.at(minor),
            distinct_names: DISTINCT_NAMES.at(minor),
            back_dated_seconds: BACK_DATED_SECONDS.at(minor),
            etcd_server_advertised: ETCD_SERVER_ADVERTISED.at(minor),
            kubelet_client_organization: KUBELET_CLIENT_ORGANIZATION.at(minor),
            etcd_client_organization: ETCD_CLIENT_ORGANIZATION.at(minor),
            administrators: ADMINISTRATORS.at(minor),
            components_local: COMPONENTS_LOCAL.at(minor),
            kubelet_local: KUBELET_LOCAL.at(minor),
        }
    }
}

const AUTHORITIES: Column<AuthorityNames> = Column(&[
    (0, AuthorityNames::Same), // written by v1.11
    (12, AuthorityNames::Own), // app/phases/certs/certlist.go, v1.12
]);

const AUTHORITY_DNS_NAME: Column<bool> = Column(&[
    (0, false), // written by v1.13
    (22, true), // client-go util/cert NewSelfSignedCACert sets DNSNames, seen in v1.22
]);

const LEAF_BASIC_CONSTRAINTS: Column<bool> = Column(&[
    (0, false), // written by v1.13
    (21, true), // app/util/pkiutil NewSignedCert, seen in v1.21
]);

const RANDOM_AUTHORITY_SERIAL: Column<bool> = Column(&[
    (0, false), // client-go util/cert NewSelfSignedCACert, v1.13 to v1.24
    (25, true), // the same, v0.25
]);

const DISTINCT_NAMES: Column<bool> = Column(&[
    (0, false), // app/util/pkiutil NewSignedCert, v1.13
    (19, true), // the same, v1.19: RemoveDuplicateAltNames
]);

const BACK_DATED_SECONDS: Column<Option<i64>> = Column(&[
    (0, None),       // app/util/pkiutil NewSignedCert, v1.13: NotBefore of the authority
    (25, Some(300)), // constants CertificateBackdate, v1.25; up to v1.30 leaves still begin with their authority
]);

const ETCD_SERVER_ADVERTISED: Column<bool> = Column(&[
    (0, false), // app/util/pkiutil GetEtcdAltNames, v1.12
    (13, true), // the same, v1.13
]);

const KUBELET_CLIENT_ORGANIZATION: Column<Option<&str>> = Column(&[
    (0, Some("system:masters")),          // app/phases/certs/certlist.go, v1.13
    (29, Some("kubeadm:cluster-admins")), // the same, v1.29
    (33, None),                           // the same, v1.33.13: a ClusterRoleBinding names the user instead
    (34, Some("kubeadm:cluster-admins")), // the same, v1.34.4 and v1.35.4, which lack the change
    (36, None),                           // the same, v1.36
]);

const ETCD_CLIENT_ORGANIZATION: Column<Option<&str>> = Column(&[
    (0, Some("system:masters")), // app/phases/certs/certlist.go, v1.13
    (29, None),                  // the same, v1.29
]);

const ADMINISTRATORS: Column<Administrators> = Column(&[
    (0, Administrators::Masters),     // app/phases/kubeconfig/kubeconfig.go, v1.13
    (29, Administrators::BoundGroup), // the same, v1.29
]);

const COMPONENTS_LOCAL: Column<bool> = Column(&[
    (0, false), // app/phases/kubeconfig/kubeconfig.go, v1.13
    (19, true), // the same, v1.19
]);

const KUBELET_LOCAL: Column<bool> = Column(&[
    (0, false), // app/phases/kubeconfig/kubeconfig.go, v1.13
    (33, true), // gate ControlPlaneKubeletLocalMode on by default, v1.33
]);
