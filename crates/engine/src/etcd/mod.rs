//! The cluster's own etcd, whose members run as static pods on control-plane nodes: how they are found and reached, what
//! this node's manifest says of its member, and how that one leaves. An external etcd is none of this.

pub mod endpoints;
pub mod health;
pub mod join;
pub mod member;
pub mod own;

use std::path::Path;
use std::time::Duration;

use crate::ports::{Api, EtcdAccess, View};

pub use endpoints::EndpointsError;
pub use own::OwnMember;

/// Where members serve clients. cmd/kubeadm/app/constants/constants.go: EtcdListenClientPort, 1.37.
pub const CLIENT_PORT: u16 = 2379;
/// Where members serve each other. cmd/kubeadm/app/constants/constants.go: EtcdListenPeerPort, 1.37.
pub const PEER_PORT: u16 = 2380;

/// How the members are reached with the certificates of this node, below `pki` (`certificatesDir`). Their endpoints are
/// those that the cluster tells within `limit`, else the one of this node's manifest.
///
/// # Errors
/// Neither tells of an endpoint.
pub async fn access(
    api: &dyn Api,
    view: View<'_>,
    pki: &Path,
    limit: Duration,
) -> Result<EtcdAccess, EndpointsError> {
    let endpoints = match endpoints::find(api, view.clock, limit).await {
        Ok(found) => found,
        Err(error) => match own::read(view.files) {
            Ok(Some(own)) if !own.client_urls.is_empty() => {
                tracing::debug!(%error, "etcd is asked at this node's own member");
                own.client_urls
            }
            _ => return Err(error),
        },
    };
    Ok(access_at(endpoints, &pki.join("etcd")))
}

/// Access to these endpoints with the files of a folder (`PKI/etcd`): the certificate that kubeadm makes to ask for
/// etcd's health. cmd/kubeadm/app/util/etcd/etcd.go: NewFromCluster, 1.37.
pub fn access_at(endpoints: Vec<String>, folder: &Path) -> EtcdAccess {
    let file = |name: &str| Some(folder.join(name));
    EtcdAccess {
        endpoints,
        ca: file("ca.crt"),
        certificate: file("healthcheck-client.crt"),
        key: file("healthcheck-client.key"),
    }
}
