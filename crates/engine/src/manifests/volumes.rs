//! Volumes: the paths of the host that a static pod sees.

use std::collections::BTreeMap;
use std::path::Path;

use kubeadm_config::types::{ExternalEtcd, HostPathMount};
use kubeadm_release::facts::control_plane::{
    AUDIT_LOG_DIRECTORY, AUDIT_POLICY, AUDITING, FLEXVOLUME_DIRECTORY, Flexvolume,
};
use serde_json::{Value, json};

use super::HostFacts;
use crate::spec::{InitSpec, KUBERNETES};

const CA_CERTS: &str = "/etc/ssl/certs";
const DIRECTORY: &str = "DirectoryOrCreate";
const FILE: &str = "FileOrCreate";

/// The volumes of one pod, by name; what comes later under a name takes the place of what was there.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    by_name: BTreeMap<String, HostPathMount>,
    /// Names in the order their mounts are written, where that is not the order of names.
    mount_order: Option<&'static [&'static str]>,
}

impl Volumes {
    /// The certificates that API server and controller manager both see.
    pub(super) fn certificates(spec: &InitSpec, host: &HostFacts) -> Self {
        let mut volumes = Self::default();
        volumes.add("k8s-certs", &spec.layout.pki.display().to_string(), DIRECTORY, true);
        volumes.add("ca-certs", CA_CERTS, DIRECTORY, true);
        for directory in &spec.release.control_plane.ca_directories {
            if host.paths.contains(directory.path) {
                volumes.add(directory.volume, directory.path, DIRECTORY, true);
            }
        }
        volumes
    }

    /// Data and certificates of a local etcd.
    pub(super) fn etcd(data_dir: &str, certificates: &str) -> Self {
        let mut volumes = Self { mount_order: Some(&["etcd-data", "etcd-certs"]), ..Self::default() };
        volumes.add("etcd-data", data_dir, DIRECTORY, false);
        volumes.add("etcd-certs", certificates, DIRECTORY, false);
        volumes
    }

    /// Adds a kubeconfig file of `/etc/kubernetes`.
    pub(super) fn kubeconfig(mut self, file: &str) -> Self {
        self.add("kubeconfig", &format!("{KUBERNETES}/{file}"), FILE, true);
        self
    }

    /// Adds the directory of volume plugins, where the release mounts it.
    pub(super) fn flexvolume(mut self, spec: &InitSpec, host: &HostFacts) -> Self {
        let wanted = match spec.release.control_plane.flexvolume {
            Flexvolume::Always => true,
            Flexvolume::IfPresent => host.paths.contains(FLEXVOLUME_DIRECTORY),
            Flexvolume::Never => false,
        };
        if wanted {
            self.add("flexvolume-dir", FLEXVOLUME_DIRECTORY, DIRECTORY, false);
        }
        self
    }

    /// Adds the directories of an external etcd's certificates that no other volume holds.
    pub(super) fn external_etcd(mut self, spec: &InitSpec) -> Self {
        let Some(etcd) = &spec.cluster.etcd.external else { return self };
        let known =
            spec.release.control_plane.ca_directories.iter().map(|directory| Path::new(directory.path));
        let known: Vec<&Path> = known.chain([Path::new(CA_CERTS), &spec.layout.pki]).collect();
        for (index, directory) in etcd_directories(etcd, &known).iter().enumerate() {
            self.add(&format!("etcd-certs-{index}"), directory, DIRECTORY, true);
        }
        self
    }

    /// Adds the audit policy and the folder of the audit log, where one is kept.
    pub(super) fn audit(mut self, spec: &InitSpec) -> Self {
        if spec.gate(AUDITING) {
            let policy = &spec.cluster.audit_policy;
            let folder = parts("audit-log", &policy.log_dir, AUDIT_LOG_DIRECTORY, DIRECTORY, false);
            for mount in [parts("audit", &policy.path, AUDIT_POLICY, "File", true), folder] {
                self.by_name.insert(mount.name.clone(), mount);
            }
        }
        self
    }

    /// Adds the user's own.
    pub(super) fn extra(mut self, extra: &[HostPathMount]) -> Self {
        self.by_name.extend(extra.iter().map(|mount| (mount.name.clone(), mount.clone())));
        self
    }

    fn add(&mut self, name: &str, path: &str, path_type: &str, read_only: bool) {
        self.by_name.insert(name.to_owned(), parts(name, path, path, path_type, read_only));
    }

    /// `spec.volumes`.
    pub(super) fn volumes(&self) -> Vec<Value> {
        let volume = |mount: &HostPathMount| json!({"name": mount.name, "hostPath": {"path": mount.host_path, "type": mount.path_type}});
        self.by_name.values().map(volume).collect()
    }

    /// `volumeMounts` of the container.
    pub(super) fn mounts(&self) -> Vec<Value> {
        let mount = |mount: &HostPathMount| {
            let mut value = json!({"name": mount.name, "mountPath": mount.mount_path});
            if mount.read_only {
                value["readOnly"] = true.into();
            }
            value
        };
        match self.mount_order {
            None => self.by_name.values().map(mount).collect(),
            Some(order) => order.iter().filter_map(|name| self.by_name.get(*name)).map(mount).collect(),
        }
    }
}

fn parts(name: &str, host_path: &str, mount_path: &str, path_type: &str, read_only: bool) -> HostPathMount {
    HostPathMount {
        name: name.to_owned(),
        host_path: host_path.to_owned(),
        mount_path: mount_path.to_owned(),
        read_only,
        path_type: path_type.to_owned(),
    }
}

/// The directories of an external etcd's files, sorted, without those that lie within another or within `known`.
fn etcd_directories(etcd: &ExternalEtcd, known: &[&Path]) -> Vec<String> {
    let mut directories: Vec<&Path> = [&etcd.ca_file, &etcd.cert_file, &etcd.key_file]
        .into_iter()
        .filter_map(|file| Path::new(file).parent())
        .filter(|directory| !directory.as_os_str().is_empty())
        .filter(|directory| !known.iter().any(|known| directory.starts_with(known)))
        .collect();
    directories.sort();
    // A directory sorts right before all that lies within it.
    directories.dedup_by(|inner, outer| inner.starts_with(outer));
    directories.into_iter().map(|directory| directory.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(files: [&str; 3]) -> Vec<String> {
        let [ca_file, cert_file, key_file] = files.map(str::to_owned);
        let etcd = ExternalEtcd { ca_file, cert_file, key_file, ..ExternalEtcd::default() };
        etcd_directories(&etcd, &[Path::new("/etc/ssl/certs"), Path::new("/etc/kubernetes/pki")])
    }

    #[test]
    fn directories_of_external_etcd() {
        assert_eq!(directories(["/b/ca", "/a/cert", "/a/key"]), ["/a", "/b"]);
        assert_eq!(directories(["/a/b/ca", "/a/cert", "/a/c/key"]), ["/a"]);
        assert_eq!(directories(["/etc/ssl/certs/ca", "/etc/kubernetes/pki/etcd/cert", "/k/key"]), ["/k"]);
        assert_eq!(directories(["/etc/ssl/certs-of-mine/ca", "", ""]), ["/etc/ssl/certs-of-mine"]);
        assert!(directories(["", "", ""]).is_empty());
    }

    #[test]
    fn extra_volumes_take_the_place_of_defaults() {
        let mine = HostPathMount {
            name: "etcd-data".into(),
            host_path: "/mine".into(),
            mount_path: "/there".into(),
            read_only: true,
            path_type: String::new(),
        };
        let volumes = Volumes::etcd("/var/lib/etcd", "/pki/etcd").extra(&[mine]);
        assert_eq!(
            volumes.volumes()[1],
            json!({"name": "etcd-data", "hostPath": {"path": "/mine", "type": ""}})
        );
        assert_eq!(
            volumes.mounts()[0],
            json!({"name": "etcd-data", "mountPath": "/there", "readOnly": true})
        );
    }
}
