//! What the files of this node's kubelet tell of it. They are the node's own, so they need no cluster and no
//! configuration.

use std::path::Path;

use kubeadm_pki::Certificate;
use kubeadm_pki::kubeconfig::Kubeconfig;

use crate::phases::kubelet_start::{config_file, env_file};
use crate::ports::Files;
use crate::spec::KUBELET;

/// The socket of the container runtime that the kubelet speaks to, where a file names it. A flag counts before the
/// node's own configuration (since 1.34), and that before the cluster's.
pub fn runtime_socket(files: &dyn Files) -> Option<String> {
    let text = |path: &Path| String::from_utf8(files.read(path).ok()??).ok();
    let flag = text(&env_file()).and_then(|env| flag(&env, "--container-runtime-endpoint"));
    let field = |path: &Path| {
        let config = kubeadm_yaml::parse_value(&text(path)?, &path.display().to_string()).ok()?;
        config["containerRuntimeEndpoint"].as_str().filter(|socket| !socket.is_empty()).map(str::to_owned)
    };
    flag.or_else(|| field(&Path::new(KUBELET).join("instance-config.yaml"))).or_else(|| field(&config_file()))
}

/// Where the kubelet keeps the client certificate that it renews itself, with its key.
pub const CLIENT_CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// The kubelet's own client certificate, where it can be read.
pub fn client_certificate(files: &dyn Files) -> Option<Certificate> {
    Certificate::from_pem(&files.read(Path::new(CLIENT_CERTIFICATE)).ok()??).ok()
}

/// Whether a kubelet.conf leads to credentials that are there. The kubelet writes the file as soon as it asks for its
/// certificate, and names in it where that is going to be; until then it still needs the credentials of the bootstrap.
pub fn has_credentials(files: &dyn Files, kubelet_conf: &Path) -> bool {
    let Ok(Some(content)) = files.read(kubelet_conf) else { return false };
    let name = kubelet_conf.display().to_string();
    let config = Kubeconfig::parse(&String::from_utf8_lossy(&content), &name);
    let Some(user) = config.as_ref().ok().and_then(Kubeconfig::current_user) else { return false };
    match &user.client_certificate {
        Some(path) => files.exists(Path::new(path)),
        None => user.client_certificate_data.is_some() || user.token.is_some(),
    }
}

/// The value of a flag in `KUBELET_KUBEADM_ARGS="--a=b --c d"`.
fn flag(env: &str, name: &str) -> Option<String> {
    let mut words = env.split(|c: char| c.is_whitespace() || c == '"').filter(|word| !word.is_empty());
    let mut found = None;
    while let Some(word) = words.next() {
        let word = word.strip_prefix("KUBELET_KUBEADM_ARGS=").unwrap_or(word);
        match word.strip_prefix(name) {
            Some("") => found = words.next(),
            Some(rest) => found = rest.strip_prefix('=').or(found),
            None => {}
        }
    }
    found.filter(|value| !value.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_in_either_form() {
        let of = |env: &str| flag(env, "--container-runtime-endpoint");
        let socket = Some("unix:///run/containerd/containerd.sock".to_owned());
        assert_eq!(
            of(
                "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/containerd/containerd.sock --v=2\"\n"
            ),
            socket
        );
        assert_eq!(
            of(
                "KUBELET_KUBEADM_ARGS=\"--v=2 --container-runtime-endpoint unix:///run/containerd/containerd.sock\""
            ),
            socket
        );
        assert_eq!(of("KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint-x=1\"\n"), None);
        assert_eq!(of(""), None);
    }
}
