//! What control planes share: authorities and the keys of the service accounts. cmd/kubeadm/app/phases/certs/certs.go:
//! SharedCertificateExists, 1.37.

use kubeadm_pki::existing::{Existing, ServiceAccountFiles};
use kubeadm_pki::inventory::CERTIFICATES;

use crate::phases::certs::Pair;
use crate::ports::View;
use crate::spec::InitSpec;

/// Why this machine cannot become a control plane of the cluster.
#[derive(Debug, thiserror::Error)]
#[error(
    "\nOne or more conditions for hosting a new control plane instance is not satisfied.\n\n{}\n\nPlease ensure that:\n* The \
     cluster has a stable controlPlaneEndpoint address.\n* The certificates that must be shared among control plane \
     instances are provided.\n",
    .0.join("\n")
)]
pub struct NotShared(pub Vec<String>);

/// Checks that everything is there and can be used. The keys of authorities may be elsewhere.
///
/// # Errors
/// All that is missing or wrong.
pub fn check(spec: &InitSpec, view: View<'_>) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    for item in CERTIFICATES.iter().filter(|item| item.is_ca() && (spec.local_etcd() || !item.is_etcd())) {
        let path = spec.layout.pki_file(&format!("{}.crt", item.base));
        let found = Pair::read(&spec.layout, view, item.base).map_err(|e| e.to_string());
        let problem = match found.map(|pair| pair.found().authority().map_err(|e| e.to_string())) {
            Ok(Ok(Existing::Complete(_))) => continue,
            Ok(Ok(_)) => format!("{} does not exist", path.display()),
            Ok(Err(error)) | Err(error) => error,
        };
        problems.push(format!("failure loading certificate for {}: {problem}", name(item.name)));
    }
    problems.extend(
        service_account(spec, view)
            .err()
            .map(|reason| format!("failure loading key for service account: {reason}")),
    );
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn service_account(spec: &InitSpec, view: View<'_>) -> Result<(), String> {
    let [key_path, public_path] = ["sa.key", "sa.pub"].map(|name| spec.layout.pki_file(name));
    let read = |path| view.files.read(path).map_err(|e| e.to_string());
    let (key, public) = (read(&key_path)?, read(&public_path)?);
    let names = [&key_path, &public_path].map(|path| path.display().to_string());
    let found = ServiceAccountFiles {
        key_path: &names[0],
        public_path: &names[1],
        key: key.as_deref(),
        public: public.as_deref(),
    };
    match found.required_keys() {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(format!("{} does not exist", names[0])),
        Err(error) => Err(error.to_string()),
    }
}

/// What people call an authority.
fn name(authority: &str) -> &str {
    match authority {
        "ca" => "CA",
        "front-proxy-ca" => "front-proxy CA",
        "etcd-ca" => "etcd CA",
        other => other,
    }
}
