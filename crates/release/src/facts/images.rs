//! Image names, tags and repositories.

use crate::column::Column;
use crate::listing::Facts;
use crate::version::Version;

/// How the name of an image is made from the name of its component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum ImageNaming {
    /// `kube-apiserver-amd64`: one name for each architecture.
    ArchSuffixed,
    /// `kube-apiserver`: one name, a manifest list behind it.
    Plain,
}

/// The order in which images are listed and pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum ImageOrder {
    /// Components, pause, etcd, DNS.
    DnsLast,
    /// Components, DNS, pause, etcd.
    EtcdLast,
}

/// Where CoreDNS lies below the default repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum CoreDnsPath {
    /// `<repository>/coredns`, in any repository.
    Flat,
    /// `<repository>/coredns/coredns` in the default repository, `<repository>/coredns` in any other.
    NestedInDefault,
}

/// Names, tags and repositories of all images.
#[derive(Debug, Clone, Facts)]
pub struct Images {
    /// Where images come from unless configured.
    pub default_repository: &'static str,
    /// Where images of continuous builds come from.
    pub ci_repository: &'static str,
    /// How component, etcd and kube-dns images are named.
    pub naming: ImageNaming,
    /// Order of lists and pulls.
    pub order: ImageOrder,
    /// Whether a `hyperkube` image may stand in for the components.
    pub hyperkube: bool,
    /// Tag of `pause`.
    pub pause: &'static str,
    /// Tag of `etcd`.
    pub etcd: &'static str,
    /// Tag of `coredns`.
    pub coredns: &'static str,
    /// Tag of the three images of kube-dns.
    pub kube_dns: &'static str,
    /// Where `coredns` lies.
    pub coredns_path: CoreDnsPath,
}

impl Images {
    /// Whether a repository is the default of some release.
    pub fn was_default(repository: &str) -> bool {
        DEFAULT_REPOSITORY.0.iter().any(|(_, default)| *default == repository)
    }

    /// The name of a component's image, without repository and tag. `arch` is Go's name of the architecture.
    pub fn name(&self, component: &str, arch: &str) -> String {
        match self.naming {
            ImageNaming::ArchSuffixed => format!("{component}-{arch}"),
            ImageNaming::Plain => component.to_owned(),
        }
    }

    /// The repository of CoreDNS where the configuration gives `repository` for all images.
    pub fn coredns_repository(&self, repository: &str) -> String {
        match self.coredns_path {
            CoreDnsPath::NestedInDefault if repository == self.default_repository => {
                format!("{repository}/coredns")
            }
            CoreDnsPath::NestedInDefault | CoreDnsPath::Flat => repository.to_owned(),
        }
    }

    /// The first minor that runs etcd 3.`etcd` or a later one, where it runs what kubeadm has it run.
    pub(crate) fn first_with_etcd(etcd: u32) -> Option<u32> {
        let runs = |tag: &str| tag.parse().is_ok_and(|v: Version| (v.major, v.minor) >= (3, etcd));
        ETCD.0.iter().find(|(_, tag)| runs(tag)).map(|(minor, _)| *minor)
    }

    pub(crate) fn at(minor: u32) -> Self {
        Self {
            default_repository: DEFAULT_REPOSITORY.at(minor),
            ci_repository: CI_REPOSITORY.at(minor),
            naming: NAMING.at(minor),
            order: ORDER.at(minor),
            hyperkube: HYPERKUBE.at(minor),
            pause: PAUSE.at(minor),
            etcd: ETCD.at(minor),
            coredns: COREDNS.at(minor),
            kube_dns: KUBE_DNS.at(minor),
            coredns_path: COREDNS_PATH.at(minor),
        }
    }
}

const DEFAULT_REPOSITORY: Column<&str> = Column(&[
    (0, "k8s.gcr.io"),       // app/apis/kubeadm/v1alpha2/defaults.go, v1.11
    (22, "registry.k8s.io"), // app/apis/kubeadm/v1beta3/defaults.go, v1.22.17 (v1.25.0 first, then backported)
]);

const CI_REPOSITORY: Column<&str> = Column(&[
    (0, "gcr.io/kubernetes-ci-images"), // app/constants/constants.go DefaultCIImageRepository, v1.11
    (18, "gcr.io/k8s-staging-ci-images"), // the same, v1.18.20
]);

const NAMING: Column<ImageNaming> = Column(&[
    (0, ImageNaming::ArchSuffixed), // app/images/images.go, v1.11
    (12, ImageNaming::Plain),       // app/images/images.go, v1.12
]);

const ORDER: Column<ImageOrder> = Column(&[
    (0, ImageOrder::DnsLast),   // app/images/images.go GetAllImages, v1.13
    (29, ImageOrder::EtcdLast), // app/images/images.go GetControlPlaneImages, seen in v1.29
]);

const HYPERKUBE: Column<bool> = Column(&[
    (0, true), // field useHyperKubeImage and its older names; from v1.19 on the image is no longer published
    (22, false), // app/images/images.go GetKubernetesImage, v1.22
]);

const PAUSE: Column<&str> = Column(&[
    (0, "3.1"),     // written by v1.13
    (18, "3.2"),    // written by v1.18
    (21, "3.4.1"),  // written by v1.21
    (22, "3.5"),    // written by v1.22
    (23, "3.6"),    // written by v1.23
    (24, "3.7"),    // written by v1.24
    (25, "3.8"),    // written by v1.25
    (26, "3.9"),    // written by v1.26
    (31, "3.10"),   // written by v1.31
    (34, "3.10.1"), // written by v1.34
    (36, "3.10.2"), // app/constants/constants.go PauseVersion, v1.36
]);

const ETCD: Column<&str> = Column(&[
    (0, "3.2.18"),    // app/constants/constants.go SupportedEtcdVersion, v1.11
    (12, "3.2.24"),   // the same, v1.12
    (14, "3.3.10"),   // written by v1.14
    (16, "3.3.15-0"), // written by v1.16
    (17, "3.4.3-0"),  // written by v1.17
    (19, "3.4.13-0"), // written by v1.19
    (22, "3.5.6-0"),  // written by v1.22.17
    (25, "3.5.9-0"),  // written by v1.25.16; patches of a minor differ from here on
    (26, "3.5.10-0"), // written by v1.26.15
    (27, "3.5.12-0"), // written by v1.27.16
    (28, "3.5.15-0"), // written by v1.28.15
    (29, "3.5.12-0"), // written by v1.29.6
    (30, "3.5.15-0"), // written by v1.30.14
    (31, "3.5.24-0"), // written by v1.31.14
    (34, "3.6.5-0"),  // written by v1.34
    (35, "3.6.6-0"),  // written by v1.35
    (36, "3.6.8-0"),  // app/constants/constants.go SupportedEtcdVersion, v1.36
    (37, "3.7.0-0"),  // app/constants/constants.go DefaultEtcdVersion, v1.37
]);

const COREDNS: Column<&str> = Column(&[
    (0, "1.1.3"),    // app/constants/constants.go CoreDNSVersion, v1.11
    (12, "1.2.2"),   // the same, v1.12
    (13, "1.2.6"),   // the same, v1.13
    (14, "1.3.1"),   // written by v1.14
    (16, "1.6.2"),   // written by v1.16
    (17, "1.6.5"),   // written by v1.17
    (18, "1.6.7"),   // written by v1.18
    (19, "1.7.0"),   // written by v1.19
    (21, "v1.8.0"),  // written by v1.21
    (22, "v1.8.4"),  // written by v1.22
    (23, "v1.8.6"),  // written by v1.23
    (25, "v1.9.3"),  // written by v1.25
    (27, "v1.10.1"), // written by v1.27
    (29, "v1.11.1"), // written by v1.29
    (30, "v1.11.3"), // written by v1.30
    (33, "v1.12.0"), // written by v1.33
    (34, "v1.12.1"), // written by v1.34
    (35, "v1.13.1"), // written by v1.35
    (36, "v1.14.2"), // app/constants/constants.go CoreDNSVersion, v1.36
    (37, "v1.14.6"), // the same, v1.37
]);

const KUBE_DNS: Column<&str> = Column(&[
    (0, "1.14.10"),  // app/constants/constants.go KubeDNSVersion, v1.11
    (12, "1.14.13"), // the same, v1.12 and v1.13
]);

const COREDNS_PATH: Column<CoreDnsPath> = Column(&[
    (0, CoreDnsPath::Flat),             // app/images/images.go GetDNSImage, v1.13
    (21, CoreDnsPath::NestedInDefault), // app/images/images.go GetDNSImage, v1.21
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_carry_the_architecture() {
        assert_eq!(Images::at(11).name("etcd", "arm64"), "etcd-arm64");
        assert_eq!(Images::at(12).name("etcd", "arm64"), "etcd");
    }

    #[test]
    fn etcd_comes_with_a_minor() {
        let first = [0, 14, 17, 22, 34, 37].map(Some);
        assert_eq!([2, 3, 4, 5, 6, 7].map(Images::first_with_etcd), first);
        assert_eq!(Images::first_with_etcd(8), None);
        // Patches of a minor may bring another etcd: not another minor of it.
        for &minor in crate::SERVED_MINORS {
            let tag: Version = Images::at(minor).etcd.parse().unwrap();
            assert!(Images::first_with_etcd(tag.minor).is_some_and(|first| first <= minor), "{minor}");
            assert!(Images::first_with_etcd(tag.minor + 1).is_none_or(|first| first > minor), "{minor}");
        }
    }

    #[test]
    fn coredns_is_nested_in_the_default_repository_only() {
        assert_eq!(Images::at(37).coredns_repository("registry.k8s.io"), "registry.k8s.io/coredns");
        assert_eq!(Images::at(37).coredns_repository("r.example.com"), "r.example.com");
        assert_eq!(Images::at(13).coredns_repository("k8s.gcr.io"), "k8s.gcr.io");
    }
}
