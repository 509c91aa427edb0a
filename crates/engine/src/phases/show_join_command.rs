//! `show-join-command`: the closing text. cmd/kubeadm/app/cmd/phases/init/showjoincommand.go and
//! app/cmd/util/join.go, 1.37.
//!
//! What is shown is what is there: only tokens that exist in the cluster, and the certificate key only if
//! certificates are stored. Upstream shows what was wished for, and fails where a phase was skipped (quirks 2, 36).

use std::path::Path;

use futures::future::BoxFuture;
use kubeadm_pki::Certificate;

use super::{PhaseError, upload_certs};
use crate::objects::{KUBE_SYSTEM, kubeconfig, tokens};
use crate::plan::Step;
use crate::ports::{ApiError, FileError, View};
use crate::resource::SECRETS;
use crate::spec::InitSpec;

/// Why the join command cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum JoinCommandError {
    /// The kubeconfig file.
    #[error(transparent)]
    Kubeconfig(#[from] FileError),
    /// It has no CA.
    #[error("no CA certificates found in kubeconfig")]
    NoCa,
    /// Its CA is no certificate.
    #[error("failed to parse the CA certificates of the kubeconfig: {0}")]
    Ca(#[from] kubeadm_pki::CertificateError),
    /// A token or the stored certificates could not be looked up.
    #[error("unable to get Secret {KUBE_SYSTEM}/{name}: {source}")]
    Api {
        /// Name of the Secret.
        name: String,
        /// The answer.
        source: ApiError,
    },
}

/// Plans the phase.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move { Ok(text(spec, view).await?) })
}

async fn text(spec: &InitSpec, view: View<'_>) -> Result<Vec<Step>, JoinCommandError> {
    let cluster = kubeconfig::cluster_of(view.files, spec.access.kubeconfig.path())?;
    let mut pins = Vec::new();
    for certificate in Certificate::all_from_pem(&cluster.ca)? {
        pins.push(certificate.pin());
    }
    if pins.is_empty() {
        return Err(JoinCommandError::NoCa);
    }
    let mut existing = Vec::new();
    for token in &spec.init.bootstrap_tokens {
        if exists(view, &tokens::secret_name(&token.token.id)).await? {
            existing.push(token.token.to_string());
        }
    }
    let key = match &spec.certificate_key {
        Some(key) if spec.upload_certs && exists(view, upload_certs::SECRET).await? => Some(key.as_str()),
        _ => None,
    };
    let facts = ClosingText {
        admin: &spec.layout.shown(spec.access.kubeconfig.path()),
        host: cluster.server.trim_start_matches("https://"),
        pins: &pins,
        shared_endpoint: !spec.cluster.control_plane_endpoint.is_empty(),
        key: key.map(|key| if spec.skip_certificate_key_print { WITHHELD } else { key }),
    };
    if existing.is_empty() {
        return Ok(vec![Step::say(facts.without_token())]);
    }
    let shown = |token: &String| if spec.skip_token_print { WITHHELD.to_owned() } else { token.clone() };
    Ok(existing.iter().map(|token| Step::say(facts.with_token(&shown(token)))).collect())
}

async fn exists(view: View<'_>, name: &str) -> Result<bool, JoinCommandError> {
    let found = view.api.get(SECRETS, KUBE_SYSTEM, name).await;
    found.map(|s| s.is_some()).map_err(|source| JoinCommandError::Api { name: name.to_owned(), source })
}

const WITHHELD: &str = "<value withheld>";

/// What the text is made of.
struct ClosingText<'a> {
    admin: &'a Path,
    /// `host:port` of the API server.
    host: &'a str,
    pins: &'a [String],
    /// Whether other control-plane nodes can join.
    shared_endpoint: bool,
    /// The certificate key, if certificates are stored.
    key: Option<&'a str>,
}

impl ClosingText<'_> {
    fn with_token(&self, token: &str) -> String {
        let join = format!("kubeadm join {} --token {token} \\\n\t{}", self.host, self.hashes());
        let control_plane = match self.key {
            _ if !self.shared_endpoint => String::new(),
            Some(key) => format!(
                "You can now join any number of control-plane nodes running the following command on each as root:

  {join}\\
	--control-plane --certificate-key {key}

Please note that the certificate-key gives access to cluster sensitive data, keep it secret!
As a safeguard, uploaded-certs will be deleted in two hours; If necessary, you can use
\"kubeadm init phase upload-certs --upload-certs\" to reload certs afterward.

"
            ),
            None => format!(
                "You can now join any number of control-plane nodes by copying certificate authorities
and service account keys on each node and then running the following as root:

  {join}\\
	--control-plane 

"
            ),
        };
        let done = self.done();
        format!(
            "{done}
{control_plane}Then you can join any number of worker nodes by running the following on each as root:

{join}"
        )
    }

    /// Where the phase of the tokens was skipped, a join command would name a token that does not exist.
    fn without_token(&self) -> String {
        let done = self.done();
        format!(
            "{done}
You can join other nodes with the command that this prints:

  kubeadm token create --print-join-command"
        )
    }

    fn done(&self) -> String {
        let admin = self.admin.display();
        format!(
            "
Your Kubernetes control-plane has initialized successfully!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i {admin} $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=/etc/kubernetes/admin.conf

You should now deploy a pod network to the cluster.
Run \"kubectl apply -f [podnetwork].yaml\" with one of the options listed at:
  https://kubernetes.io/docs/concepts/cluster-administration/addons/
"
        )
    }

    /// Each with a blank after it, as upstream's template leaves one.
    fn hashes(&self) -> String {
        self.pins.iter().map(|pin| format!("--discovery-token-ca-cert-hash {pin} ")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINS: &[String] = &[];

    #[test]
    fn the_text_for_control_plane_and_workers() {
        let pins = ["sha256:ab".to_owned(), "sha256:cd".to_owned()];
        let facts = ClosingText {
            admin: Path::new("/etc/kubernetes/admin.conf"),
            host: "a+b&c:6443",
            pins: &pins,
            shared_endpoint: true,
            key: Some("0123"),
        };
        let text = facts.with_token("abcdef.0123456789abcdef");
        assert!(
            text.starts_with("\nYour Kubernetes control-plane has initialized successfully!\n\nTo start"),
            "{text}"
        );
        let join = "kubeadm join a+b&c:6443 --token abcdef.0123456789abcdef \\\n\t--discovery-token-ca-cert-hash sha256:ab --discovery-token-ca-cert-hash sha256:cd ";
        assert!(
            text.contains(&format!(
                ":\n\n  {join}\\\n\t--control-plane --certificate-key 0123\n\nPlease note"
            )),
            "{text}"
        );
        assert!(text.ends_with(&format!("afterward.\n\nThen you can join any number of worker nodes by running the following on each as root:\n\n{join}")), "{text}");

        let text = ClosingText { key: None, ..facts }.with_token("t");
        assert!(text.contains("--control-plane \n\nThen you can join"), "{text}");
    }

    #[test]
    fn without_a_shared_endpoint_only_workers_join() {
        let facts = ClosingText {
            admin: Path::new("/x/admin.conf"),
            host: "h:1",
            pins: PINS,
            shared_endpoint: false,
            key: Some("0123"),
        };
        let text = facts.with_token("t");
        assert!(!text.contains("--control-plane"), "{text}");
        assert!(text.contains("addons/\n\nThen you can join"), "{text}");
        assert!(facts.without_token().contains("kubeadm token create --print-join-command"));
    }
}
