//! The managed certificates as a table: names, files, authorities, and the static pod that runs with each.
//! cmd/kubeadm/app/phases/certs/renewal/manager.go, 1.37.

use std::path::PathBuf;

use kubeadm_pki::inventory::CertificateSpec;

use crate::spec::Layout;

/// Where a certificate is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Beside its key in the certificates directory: the name of both without ending.
    Pair(&'static str),
    /// In a kubeconfig file, with its key.
    Kubeconfig(&'static str),
}

/// A certificate that is renewed.
#[derive(Debug, PartialEq, Eq)]
pub struct Managed {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, as messages say it.
    pub long_name: &'static str,
    /// Where it is.
    pub place: Place,
    /// Phase name of its authority.
    authority: &'static str,
    /// The static pod it belongs to, and with whose manifest an upgrade renews it.
    pub component: Option<&'static str>,
    /// Whether that static pod reads it when it starts. What a probe alone uses is read each time.
    read_at_start: bool,
    /// Whether a node may be without it.
    pub optional: bool,
}

/// All of them, by name: the order of every output, and of `renew all`.
pub const MANAGED: [Managed; 11] = [
    file(
        "admin.conf",
        "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself",
    ),
    pair("apiserver", "apiserver", "ca", "certificate for serving the Kubernetes API").of("kube-apiserver"),
    pair(
        "apiserver-etcd-client",
        "apiserver-etcd-client",
        "etcd-ca",
        "certificate the apiserver uses to access etcd",
    )
    .of("kube-apiserver"),
    pair(
        "apiserver-kubelet-client",
        "apiserver-kubelet-client",
        "ca",
        "certificate for the API server to connect to kubelet",
    )
    .of("kube-apiserver"),
    file(
        "controller-manager.conf",
        "certificate embedded in the kubeconfig file for the controller manager to use",
    )
    .of("kube-controller-manager"),
    Managed {
        read_at_start: false,
        ..pair(
            "etcd-healthcheck-client",
            "etcd/healthcheck-client",
            "etcd-ca",
            "certificate for liveness probes to healthcheck etcd",
        )
        .of("etcd")
    },
    pair("etcd-peer", "etcd/peer", "etcd-ca", "certificate for etcd nodes to communicate with each other")
        .of("etcd"),
    pair("etcd-server", "etcd/server", "etcd-ca", "certificate for serving etcd").of("etcd"),
    pair(
        "front-proxy-client",
        "front-proxy-client",
        "front-proxy-ca",
        "certificate for the front proxy client",
    )
    .of("kube-apiserver"),
    file("scheduler.conf", "certificate embedded in the kubeconfig file for the scheduler manager to use")
        .of("kube-scheduler"),
    // Only the first control-plane node has it, since 1.29, and its owner may have put it away.
    Managed {
        optional: true,
        ..file("super-admin.conf", "certificate embedded in the kubeconfig file for the super-admin")
    },
];

const fn pair(
    name: &'static str,
    base: &'static str,
    authority: &'static str,
    long_name: &'static str,
) -> Managed {
    Managed {
        name,
        long_name,
        place: Place::Pair(base),
        authority,
        component: None,
        read_at_start: true,
        optional: false,
    }
}

const fn file(name: &'static str, long_name: &'static str) -> Managed {
    Managed { place: Place::Kubeconfig(name), ..pair(name, name, "ca", long_name) }
}

impl Managed {
    const fn of(mut self, component: &'static str) -> Self {
        self.component = Some(component);
        self
    }

    /// The certificate of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        MANAGED.iter().find(|item| item.name == name)
    }

    /// Those that an upgrade renews with the manifest of a component; with `None` those of no component.
    pub fn of_component(component: Option<&str>) -> impl Iterator<Item = &'static Self> {
        MANAGED.iter().filter(move |item| item.component == component)
    }

    /// The static pod that goes on with the old certificate until it is restarted.
    pub fn held_by(&self) -> Option<&'static str> {
        self.component.filter(|_| self.read_at_start)
    }

    /// Its authority.
    pub fn authority(&self) -> &'static CertificateSpec {
        // The names are those of the table: see the test.
        CertificateSpec::named(self.authority)
            .unwrap_or_else(|| unreachable!("no authority {}", self.authority))
    }

    /// Whether it belongs to a local etcd, so that an external etcd does without it.
    pub fn is_etcd(&self) -> bool {
        self.authority().is_etcd()
    }

    /// The file of the certificate.
    pub fn path(&self, layout: &Layout) -> PathBuf {
        match self.place {
            Place::Pair(base) => layout.pki_file(&format!("{base}.crt")),
            Place::Kubeconfig(file) => layout.kubeconfig(file),
        }
    }

    /// The file of its key.
    pub fn key_path(&self, layout: &Layout) -> PathBuf {
        match self.place {
            Place::Pair(base) => layout.pki_file(&format!("{base}.key")),
            Place::Kubeconfig(file) => layout.kubeconfig(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use kubeadm_pki::inventory::CERTIFICATES;

    use super::*;

    #[test]
    fn every_leaf_is_managed_under_its_own_authority() {
        assert!(MANAGED.is_sorted_by(|a, b| a.name < b.name));
        let leaves: Vec<_> = CERTIFICATES.iter().filter(|c| !c.is_ca()).collect();
        for leaf in &leaves {
            let item = Managed::named(leaf.name).unwrap();
            assert_eq!((item.place, Some(item.authority)), (Place::Pair(leaf.base), leaf.parent));
        }
        let pairs = MANAGED.iter().filter(|item| matches!(item.place, Place::Pair(_)));
        assert_eq!(pairs.count(), leaves.len());
        assert!(MANAGED.iter().all(|item| item.authority().is_ca()));
    }

    #[test]
    fn an_upgrade_renews_each_once() {
        let names = |component| Managed::of_component(component).map(|item| item.name).collect::<Vec<_>>();
        assert_eq!(names(Some("etcd")), ["etcd-healthcheck-client", "etcd-peer", "etcd-server"]);
        assert_eq!(
            names(Some("kube-apiserver")),
            ["apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client"]
        );
        assert_eq!(names(None), ["admin.conf", "super-admin.conf"]);
        let held = |name: &str| Managed::named(name).unwrap().held_by();
        assert_eq!((held("etcd-peer"), held("etcd-healthcheck-client")), (Some("etcd"), None));
    }
}
