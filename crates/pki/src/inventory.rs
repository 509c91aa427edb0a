//! The certificates and kubeconfig files of a control plane, as tables. What they hold is the same for every
//! release but for the few values in [`InventoryFacts`], which the caller takes from its release.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

use crate::certificate::{Certificate, Usage};
use crate::issue::{CertForm, CertificateRequest};
use crate::sans::Sans;

/// What differs between releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InventoryFacts {
    /// Every authority is called `kubernetes` (1.11), not by its own name.
    pub same_ca_name: bool,
    /// Organization of `apiserver-kubelet-client`.
    pub kubelet_client_organization: Option<&'static str>,
    /// Organization of `apiserver-etcd-client` and `etcd/healthcheck-client`.
    pub etcd_client_organization: Option<&'static str>,
    /// The etcd server is reached at the advertise address too (from 1.13).
    pub etcd_server_advertised: bool,
    /// Organization of `admin.conf`.
    pub admin_organization: &'static str,
    /// There is a `super-admin.conf`.
    pub super_admin: bool,
    /// Which address controller manager and scheduler use.
    pub component_endpoint: Endpoint,
    /// Which address the kubelet of a control-plane node uses.
    pub kubelet_endpoint: Endpoint,
}

/// Where a kubeconfig file points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The address shared by the control plane.
    ControlPlane,
    /// The API server of the same node.
    Local,
}

/// What a common name is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommonName {
    /// As it stands.
    Fixed(&'static str),
    /// The name of the node after a prefix.
    Node(&'static str),
}

impl CommonName {
    /// The name, for a node.
    pub fn of(self, node_name: &str) -> String {
        match self {
            Self::Fixed(name) => name.to_owned(),
            Self::Node(prefix) => format!("{prefix}{node_name}"),
        }
    }
}

/// Whose names and addresses a certificate is valid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SanKind {
    /// None: a client, or an authority (whose form decides).
    None,
    /// Those of the API server.
    ApiServer,
    /// Those of etcd towards its clients.
    EtcdServer,
    /// Those of etcd towards its peers.
    EtcdPeer,
}

/// What the names and addresses of server certificates are made of.
#[derive(Clone, Copy, Debug)]
pub struct SanInputs<'a> {
    /// Name of the node.
    pub node_name: &'a str,
    /// Domain of the services.
    pub dns_domain: &'a str,
    /// The first address of the (first) service network.
    pub service_address: IpAddr,
    /// The address the node is reached at.
    pub advertise_address: IpAddr,
    /// Host of the control plane's shared address, if there is one: a name or an address.
    pub control_plane_host: Option<&'a str>,
    /// `apiServer.certSANs`.
    pub api_server: &'a [String],
    /// `etcd.local.serverCertSANs`.
    pub etcd_server: &'a [String],
    /// `etcd.local.peerCertSANs`.
    pub etcd_peer: &'a [String],
}

impl SanKind {
    /// The names and addresses. Look at [`Sans::rejected`] for what the user's lists hold in vain.
    pub fn sans(self, facts: &InventoryFacts, inputs: SanInputs<'_>) -> Sans {
        const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let etcd = |advertised: bool, extra: &[String]| {
            let own = advertised.then_some(inputs.advertise_address);
            let sans = Sans::new().dns(inputs.node_name).dns("localhost");
            own.into_iter().chain(LOOPBACK).fold(sans, Sans::ip).extra(extra)
        };
        match self {
            Self::None => Sans::new(),
            Self::ApiServer => Sans::new()
                .dns(inputs.node_name)
                .dns("kubernetes")
                .dns("kubernetes.default")
                .dns("kubernetes.default.svc")
                .dns(&format!("kubernetes.default.svc.{}", inputs.dns_domain))
                .ip(inputs.service_address)
                .ip(inputs.advertise_address)
                .extra(inputs.control_plane_host)
                .extra(inputs.api_server),
            Self::EtcdServer => etcd(facts.etcd_server_advertised, inputs.etcd_server),
            Self::EtcdPeer => etcd(true, inputs.etcd_peer),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Organization {
    None,
    KubeletClient,
    EtcdClient,
}

/// One certificate of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateSpec {
    /// Name of the phase: `etcd-server`.
    pub name: &'static str,
    /// File name without ending, below the certificates directory: `etcd/server`.
    pub base: &'static str,
    /// Common name.
    pub common_name: CommonName,
    /// Phase name of its authority; `None` for an authority.
    pub parent: Option<&'static str>,
    /// Extended key usages.
    pub usages: &'static [Usage],
    /// Kind of alternative names.
    pub sans: SanKind,
    organization: Organization,
}

const CA: &str = "ca";
const FRONT_PROXY_CA: &str = "front-proxy-ca";
const ETCD_CA: &str = "etcd-ca";
const SERVER: &[Usage] = &[Usage::Server];
const CLIENT: &[Usage] = &[Usage::Client];
const BOTH: &[Usage] = &[Usage::Server, Usage::Client];

/// Base name of the key pair that signs service account tokens: `sa.key` and `sa.pub`.
pub const SERVICE_ACCOUNT_BASE: &str = "sa";

/// Every certificate, in the order of work: an authority before its leaves (kubeadm
/// `app/phases/certs/certlist.go`, 1.37; 1.11 to 1.13 differ in the facts only).
pub const CERTIFICATES: [CertificateSpec; 10] = [
    authority(CA, "ca", "kubernetes"),
    leaf("apiserver", "apiserver", CommonName::Fixed("kube-apiserver"), CA, SERVER).with(SanKind::ApiServer),
    leaf(
        "apiserver-kubelet-client",
        "apiserver-kubelet-client",
        CommonName::Fixed("kube-apiserver-kubelet-client"),
        CA,
        CLIENT,
    )
    .of(Organization::KubeletClient),
    authority(FRONT_PROXY_CA, "front-proxy-ca", "front-proxy-ca"),
    leaf(
        "front-proxy-client",
        "front-proxy-client",
        CommonName::Fixed("front-proxy-client"),
        FRONT_PROXY_CA,
        CLIENT,
    ),
    authority(ETCD_CA, "etcd/ca", "etcd-ca"),
    leaf("etcd-server", "etcd/server", CommonName::Node(""), ETCD_CA, BOTH).with(SanKind::EtcdServer),
    leaf("etcd-peer", "etcd/peer", CommonName::Node(""), ETCD_CA, BOTH).with(SanKind::EtcdPeer),
    leaf(
        "etcd-healthcheck-client",
        "etcd/healthcheck-client",
        CommonName::Fixed("kube-etcd-healthcheck-client"),
        ETCD_CA,
        CLIENT,
    )
    .of(Organization::EtcdClient),
    leaf(
        "apiserver-etcd-client",
        "apiserver-etcd-client",
        CommonName::Fixed("kube-apiserver-etcd-client"),
        ETCD_CA,
        CLIENT,
    )
    .of(Organization::EtcdClient),
];

const fn authority(name: &'static str, base: &'static str, common_name: &'static str) -> CertificateSpec {
    CertificateSpec {
        name,
        base,
        common_name: CommonName::Fixed(common_name),
        parent: None,
        usages: &[],
        sans: SanKind::None,
        organization: Organization::None,
    }
}

const fn leaf(
    name: &'static str,
    base: &'static str,
    common_name: CommonName,
    parent: &'static str,
    usages: &'static [Usage],
) -> CertificateSpec {
    CertificateSpec {
        name,
        base,
        common_name,
        parent: Some(parent),
        usages,
        sans: SanKind::None,
        organization: Organization::None,
    }
}

impl CertificateSpec {
    const fn with(mut self, sans: SanKind) -> Self {
        self.sans = sans;
        self
    }

    const fn of(mut self, organization: Organization) -> Self {
        self.organization = organization;
        self
    }

    /// The certificate of a phase name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CERTIFICATES.iter().find(|spec| spec.name == name)
    }

    /// Its authority; `None` for an authority.
    pub fn authority(&self) -> Option<&'static Self> {
        self.parent.and_then(Self::named)
    }

    /// Whether it is an authority.
    pub fn is_ca(&self) -> bool {
        self.parent.is_none()
    }

    /// Whether it belongs to a local etcd, so that an external etcd does without it.
    pub fn is_etcd(&self) -> bool {
        self.name == ETCD_CA || self.parent == Some(ETCD_CA)
    }

    /// What is to be issued.
    pub fn request(
        &self,
        facts: &InventoryFacts,
        form: CertForm,
        node_name: &str,
        sans: Sans,
        dates: Dates<'_>,
    ) -> CertificateRequest {
        let (dns_names, ips) = sans.finish(form.distinct_sans);
        let common_name = match self.common_name {
            _ if self.is_ca() && facts.same_ca_name => "kubernetes".to_owned(),
            name => name.of(node_name),
        };
        let organization = match self.organization {
            Organization::None => None,
            Organization::KubeletClient => facts.kubelet_client_organization,
            Organization::EtcdClient => facts.etcd_client_organization,
        };
        CertificateRequest {
            common_name,
            organizations: organization.into_iter().map(str::to_owned).collect(),
            dns_names,
            ips,
            usages: self.usages.to_vec(),
            validity: form.validity(dates.now, dates.period_seconds, dates.ca),
        }
    }
}

/// What the dates of a certificate are reckoned from.
#[derive(Clone, Copy, Debug)]
pub struct Dates<'a> {
    /// Start of the process.
    pub now: Timestamp,
    /// The period of validity from then on, in seconds.
    pub period_seconds: i64,
    /// The authority, for a leaf.
    pub ca: Option<&'a Certificate>,
}

/// One kubeconfig file of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KubeconfigSpec {
    /// Name of the phase: `controller-manager`.
    pub name: &'static str,
    /// Name of the file: `controller-manager.conf`.
    pub file: &'static str,
    /// Common name of the client certificate, and name of the user.
    pub user: CommonName,
    /// Organization of the client certificate.
    pub organization: Option<&'static str>,
    /// Where it points to.
    pub endpoint: Endpoint,
}

impl KubeconfigSpec {
    /// The client certificate of the user.
    pub fn request(&self, form: CertForm, node_name: &str, dates: Dates<'_>) -> CertificateRequest {
        let mut request = client_request(&self.user.of(node_name), &[], form, dates);
        request.organizations.extend(self.organization.map(str::to_owned));
        request
    }
}

/// A client certificate for a user of any name. It begins as every leaf does; upstream's begin with their authority, which
/// may be years old (quirk 28).
pub fn client_request(
    user: &str,
    organizations: &[String],
    form: CertForm,
    dates: Dates<'_>,
) -> CertificateRequest {
    CertificateRequest {
        common_name: user.to_owned(),
        organizations: organizations.to_vec(),
        dns_names: Vec::new(),
        ips: Vec::new(),
        usages: CLIENT.to_vec(),
        validity: form.validity(dates.now, dates.period_seconds, dates.ca),
    }
}

/// The kubeconfig files of a control-plane node, in the order of work (kubeadm
/// `app/cmd/phases/init/kubeconfig.go`, 1.37).
pub fn kubeconfigs(facts: &InventoryFacts) -> Vec<KubeconfigSpec> {
    let spec = |name, file, user, organization, endpoint| KubeconfigSpec {
        name,
        file,
        user,
        organization,
        endpoint,
    };
    let fixed = CommonName::Fixed;
    let mut files = vec![spec(
        "admin",
        "admin.conf",
        fixed("kubernetes-admin"),
        Some(facts.admin_organization),
        Endpoint::ControlPlane,
    )];
    if facts.super_admin {
        files.push(spec(
            "super-admin",
            "super-admin.conf",
            fixed("kubernetes-super-admin"),
            Some("system:masters"),
            Endpoint::ControlPlane,
        ));
    }
    files.extend([
        spec(
            "kubelet",
            "kubelet.conf",
            CommonName::Node("system:node:"),
            Some("system:nodes"),
            facts.kubelet_endpoint,
        ),
        spec(
            "controller-manager",
            "controller-manager.conf",
            fixed("system:kube-controller-manager"),
            None,
            facts.component_endpoint,
        ),
        spec("scheduler", "scheduler.conf", fixed("system:kube-scheduler"), None, facts.component_endpoint),
    ]);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_comes_before_its_leaves() {
        for (i, spec) in CERTIFICATES.iter().enumerate() {
            if let Some(parent) = spec.parent {
                let above = CERTIFICATES.iter().position(|c| c.name == parent);
                assert!(above.is_some_and(|j| j < i), "{}", spec.name);
                assert!(spec.authority().is_some_and(CertificateSpec::is_ca));
                assert!(!spec.usages.is_empty());
            }
        }
        let etcd: Vec<_> = CERTIFICATES.iter().filter(|c| c.is_etcd()).map(|c| c.base).collect();
        assert_eq!(
            etcd,
            ["etcd/ca", "etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client"]
        );
    }
}
