//! This node's member, as its manifest says. The manifest is the node's own, so it needs no cluster.

use std::path::{Path, PathBuf};

use kubeadm_config::defaults::CERTIFICATES_DIR;
use serde_json::Value;

use super::CLIENT_PORT;
use crate::ports::{FileError, Files};
use crate::spec::manifest;
use crate::static_pods::{argument, host_path};

/// What the manifest of etcd says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMember {
    /// Where its data lie on the node; `None` where no volume of kubeadm's name tells.
    pub data_dir: Option<PathBuf>,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// Where clients probably reach the members that it began with.
    pub neighbours: Vec<String>,
    /// The members that it began with, `NAME=PEER-URL,…`.
    pub initial_cluster: Option<String>,
    /// The folder of its certificates (`PKI/etcd`).
    pub certificates: PathBuf,
}

/// Reads the manifest, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn read(files: &dyn Files) -> Result<Option<OwnMember>, FileError> {
    let path = manifest("etcd");
    let Some(manifest) = files.read(&path)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&manifest);
    let pod = kubeadm_yaml::parse_value(&text, &path.display().to_string()).unwrap_or_default();
    Ok(Some(member(&pod)))
}

fn member(pod: &Value) -> OwnMember {
    let list = |flag: &str| {
        let urls = argument(pod, flag).unwrap_or_default().split(',').map(str::trim);
        urls.filter(|url| !url.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let peer_urls = list("initial-advertise-peer-urls");
    let initial_cluster = argument(pod, "initial-cluster").map(str::to_owned);
    let members = list("initial-cluster");
    let others = members.iter().filter_map(|m| m.split_once('=')).map(|(_, url)| url);
    let neighbours =
        others.filter(|url| !peer_urls.iter().any(|own| own == url)).filter_map(client_url).collect();
    let ca = argument(pod, "trusted-ca-file").map(Path::new).and_then(Path::parent);
    OwnMember {
        // cmd/kubeadm/app/cmd/phases/reset/removeetcdmember.go: getEtcdDataDir, 1.37.
        data_dir: host_path(pod, "etcd-data"),
        client_urls: list("advertise-client-urls"),
        neighbours,
        initial_cluster,
        certificates: ca.map_or_else(|| Path::new(CERTIFICATES_DIR).join("etcd"), Path::to_owned),
        peer_urls,
    }
}

/// The client URL of kubeadm's usual port at the host of a peer URL.
fn client_url(peer: &str) -> Option<String> {
    let (origin, _) = peer.trim_end_matches('/').rsplit_once(':')?;
    Some(format!("{origin}:{CLIENT_PORT}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manifest_tells_of_its_member_and_of_those_it_joined() {
        let command = [
            "etcd",
            "--advertise-client-urls=https://[2001:db8::2]:2379",
            "--initial-advertise-peer-urls=https://[2001:db8::2]:2380",
            "--initial-cluster=cp1=https://[2001:db8::1]:2380,cp2=https://[2001:db8::2]:2380",
            "--trusted-ca-file=/srv/pki/etcd/ca.crt",
        ];
        let pod = json!({"spec": {
            "containers": [{"command": command}],
            "volumes": [{"name": "etcd-data", "hostPath": {"path": "/srv/etcd"}}],
        }});
        let expected = OwnMember {
            data_dir: Some("/srv/etcd".into()),
            peer_urls: vec!["https://[2001:db8::2]:2380".into()],
            client_urls: vec!["https://[2001:db8::2]:2379".into()],
            neighbours: vec!["https://[2001:db8::1]:2379".into()],
            initial_cluster: Some(command[3].trim_start_matches("--initial-cluster=").into()),
            certificates: "/srv/pki/etcd".into(),
        };
        assert_eq!(member(&pod), expected);
        assert_eq!(member(&json!({})).data_dir, None);
    }
}
