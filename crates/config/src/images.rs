//! The names of all images a cluster needs.
//!
//! Source: `app/images/images.go` of each release; what differs between releases comes from the release's table.

use kubeadm_release::facts::images::ImageOrder;
use kubeadm_release::{Release, Version};

use crate::types::{ClusterConfiguration, DnsKind};

/// The images of kube-dns, in the order of their pod.
pub const KUBE_DNS: [&str; 3] = ["k8s-dns-kube-dns", "k8s-dns-sidecar", "k8s-dns-dnsmasq-nanny"];

/// What images depend on.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// The cluster.
    pub cluster: &'a ClusterConfiguration,
    /// Its release.
    pub release: &'a Release,
    /// Its version.
    pub version: &'a Version,
    /// Go's name of the machine's architecture, which old releases put into names.
    pub arch: &'a str,
}

impl Images<'_> {
    /// Everything to be pulled, in upstream's order, each image once.
    pub fn list(&self) -> Vec<String> {
        let mut components: Vec<String> = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
            .into_iter()
            .map(|name| self.component(name))
            .collect();
        if !self.cluster.proxy.disabled {
            components.push(self.component("kube-proxy"));
        }
        let pause = vec![self.pause()];
        let etcd: Vec<String> = self.etcd().into_iter().collect();
        let dns = if self.cluster.dns.disabled { Vec::new() } else { self.dns() };
        let groups = match self.release.images.order {
            ImageOrder::DnsLast => [components, pause, etcd, dns],
            ImageOrder::EtcdLast => [components, dns, pause, etcd],
        };
        let mut list: Vec<String> = Vec::new();
        for image in groups.into_iter().flatten() {
            if !list.contains(&image) {
                list.push(image);
            }
        }
        list
    }

    /// The image of a Kubernetes component; one hyperkube may stand for all.
    pub fn component(&self, name: &str) -> String {
        let cluster = self.cluster;
        if !cluster.unified_control_plane_image.is_empty() {
            return cluster.unified_control_plane_image.clone();
        }
        let repository = match cluster.ci_image_repository.as_str() {
            "" => &cluster.image_repository,
            ci => ci,
        };
        let name = match cluster.use_hyperkube_image {
            true => "hyperkube".to_owned(),
            false => self.release.images.name(name, self.arch),
        };
        format!("{repository}/{name}:{}", self.version.image_tag())
    }

    /// The image of a pod's first container.
    pub fn pause(&self) -> String {
        format!("{}/pause:{}", self.cluster.image_repository, self.release.images.pause)
    }

    /// The image of a local etcd; none where etcd is external.
    pub fn etcd(&self) -> Option<String> {
        let local = self.cluster.etcd.local.as_ref()?;
        if !local.image.is_empty() {
            return Some(local.image.clone());
        }
        let repository = or(&local.image_repository, &self.cluster.image_repository);
        let name = self.release.images.name("etcd", self.arch);
        Some(format!("{repository}/{name}:{}", self.etcd_tag()))
    }

    /// The tag of a local etcd: the user's, else that of the release. images.go: GetEtcdImageTag, 1.35.
    pub fn etcd_tag(&self) -> &str {
        let own = self.cluster.etcd.local.as_ref().map_or("", |local| &local.image_tag);
        or(own, self.release.images.etcd)
    }

    /// The images of the DNS add-on.
    pub fn dns(&self) -> Vec<String> {
        match self.cluster.dns.kind {
            DnsKind::CoreDns => vec![self.coredns()],
            DnsKind::KubeDns => self.kube_dns().into(),
        }
    }

    /// The image of CoreDNS.
    pub fn coredns(&self) -> String {
        let dns = &self.cluster.dns;
        let images = &self.release.images;
        let repository = images.coredns_repository(or(&dns.image_repository, &self.cluster.image_repository));
        format!("{repository}/coredns:{}", or(&dns.image_tag, images.coredns))
    }

    /// The images of [`KUBE_DNS`].
    pub fn kube_dns(&self) -> [String; 3] {
        let dns = &self.cluster.dns;
        let repository = or(&dns.image_repository, &self.cluster.image_repository);
        let tag = or(&dns.image_tag, self.release.images.kube_dns);
        KUBE_DNS.map(|name| format!("{repository}/{}:{tag}", self.release.images.name(name, self.arch)))
    }
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}
