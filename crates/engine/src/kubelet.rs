//! What this node's kubelet and its files tell. They are the node's own, so they need no cluster and no configuration.

use std::path::Path;

use kubeadm_pki::Certificate;
use kubeadm_pki::kubeconfig::Kubeconfig;
use kubeadm_release::Version;

use crate::phases::kubelet_start::{config_file, env_file};
use crate::ports::{DOCKERSHIM, Files, System};
use crate::spec::KUBELET;

/// The socket of the container runtime that the kubelet speaks to, where a file names it. A flag counts before the
/// node's own configuration (since 1.34), and that before the cluster's.
pub fn runtime_socket(files: &dyn Files) -> Option<String> {
    let text = |path: &Path| String::from_utf8(files.read(path).ok()??).ok();
    let env = text(&env_file()).unwrap_or_default();
    let endpoint = flag(&env, "--container-runtime-endpoint");
    // This one is there only with Docker, to which no endpoint leads.
    let docker = || flag(&env, "--network-plugin").map(|_| DOCKERSHIM.to_owned());
    let field = |path: &Path| {
        let config = kubeadm_yaml::parse_value(&text(path)?, &path.display().to_string()).ok()?;
        config["containerRuntimeEndpoint"].as_str().filter(|socket| !socket.is_empty()).map(str::to_owned)
    };
    endpoint
        .or_else(docker)
        .or_else(|| field(&Path::new(KUBELET).join("instance-config.yaml")))
        .or_else(|| field(&config_file()))
}

/// Asks the kubelet for its version. cmd/kubeadm/app/preflight/utils.go: GetKubeletVersion.
pub async fn installed(system: &dyn System) -> Result<Version, String> {
    let output = system
        .output("kubelet", &["--version"])
        .await
        .map_err(|e| format!("cannot execute 'kubelet --version': {}", e.reason))?;
    if output.code != Some(0) {
        let code = output.code.map_or("a signal".into(), |c| format!("exit status {c}"));
        return Err(format!("cannot execute 'kubelet --version': {code}: {}", output.stderr.trim()));
    }
    let text = output.stdout.trim();
    text.strip_prefix("Kubernetes ")
        .and_then(|v| v.trim().parse().ok())
        .ok_or_else(|| format!("Unable to parse output from Kubelet: {text:?}"))
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
