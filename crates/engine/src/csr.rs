//! `certs generate-csr`: keys and signing requests for an authority that is not at hand, beside the files that the signed
//! certificates will belong to. All or nothing: what is there already is looked for before anything is made.
//!
//! cmd/kubeadm/app/cmd/certs.go: runGenCSR, 1.37. The original stops at the first file that exists, after it has written
//! others, and works in random order.

use std::path::{Path, PathBuf};

use kubeadm_pki::inventory::{CERTIFICATES, CertificateSpec, Dates, KubeconfigSpec, kubeconfigs};
use kubeadm_pki::kubeconfig::{Cluster, Kubeconfig, User};
use kubeadm_pki::{CertificateRequest, IssueError, KeyError, Validity, signing_request};

use crate::phases::certs::{CertsError, form, inventory_facts, new_key, rejected, sans};
use crate::phases::kubeconfig::{kubeconfig_form, server};
use crate::plan::{Action, Step};
use crate::ports::{NewFile, View};
use crate::spec::InitSpec;

/// Why no signing requests are made.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// Files that would be replaced.
    #[error("{}", .0.iter().map(|what| format!("file already exists: {what}")).collect::<Vec<_>>().join("\n"))]
    Exists(Vec<String>),
    /// Names of a certificate, or its key.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// A key that cannot be written.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A request that cannot be made.
    #[error("unable to create the signing request of {name}: {source}")]
    Request {
        /// Name of the certificate.
        name: &'static str,
        /// Why.
        source: IssueError,
    },
}

/// Plans keys and requests for all leaf certificates and kubeconfig files.
pub fn plan(spec: &InitSpec, view: View<'_>) -> Result<Vec<Step>, CsrError> {
    let layout = &spec.layout;
    let leaves: Vec<&CertificateSpec> = CERTIFICATES.iter().filter(|c| !c.is_ca()).collect();
    let files = kubeconfigs(&inventory_facts(spec));
    refuse_existing(spec, &leaves, &files, view)?;

    let mut steps = vec![Step::say(format!("generating keys and CSRs in {}", layout.pki.display()))];
    for leaf in leaves {
        steps.extend(certificate(spec, leaf, view)?);
    }
    steps.push(Step::say(format!("generating keys and CSRs in {}", layout.kubeconfigs.display())));
    for file in &files {
        steps.push(kubeconfig(spec, file, view)?.saying(format!("  {}", file.file)));
    }
    Ok(steps)
}

fn refuse_existing(
    spec: &InitSpec,
    leaves: &[&CertificateSpec],
    files: &[KubeconfigSpec],
    view: View<'_>,
) -> Result<(), CsrError> {
    let layout = &spec.layout;
    let there = |path: &Path| view.files.exists(path);
    let mut found = Vec::new();
    for leaf in leaves {
        if ["key", "csr"].iter().any(|ending| there(&layout.pki_file(&format!("{}.{ending}", leaf.base)))) {
            found.push(format!("key or CSR {}", layout.pki_file(leaf.base).display()));
        }
    }
    for file in files {
        let path = layout.kubeconfig(file.file);
        let request = request_path(&path);
        found.extend(there(&path).then(|| format!("kube config: {}", path.display())));
        found.extend(there(&request).then(|| format!("csr: {}", request.display())));
    }
    if found.is_empty() { Ok(()) } else { Err(CsrError::Exists(found)) }
}

/// `admin.conf.csr`.
fn request_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".csr");
    path.into()
}

fn certificate(
    spec: &InitSpec,
    leaf: &'static CertificateSpec,
    view: View<'_>,
) -> Result<Vec<Step>, CsrError> {
    let dates = Dates { now: view.clock.started(), period_seconds: 0, ca: None };
    let names = sans(spec, leaf.sans)?;
    let mut steps = rejected(leaf, &names);
    let request = leaf.request(&inventory_facts(spec), form(spec), spec.node_name(), names, dates);
    let key = new_key(spec, view, leaf.base)?;
    let csr =
        signing_request(&request, &key).map_err(|source| CsrError::Request { name: leaf.name, source })?;
    let file = |ending: &str| spec.layout.pki_file(&format!("{}.{ending}", leaf.base));
    let write = pair(file("key"), key.to_pem()?.as_bytes(), file("csr"), csr);
    steps.push(write.saying(format!("  {}", leaf.base)));
    Ok(steps)
}

/// A kubeconfig with a key and without certificates: neither the user's nor the authority's is known yet.
fn kubeconfig(spec: &InitSpec, file: &KubeconfigSpec, view: View<'_>) -> Result<Step, CsrError> {
    let user = file.user.of(spec.node_name());
    let now = view.clock.started();
    let request = CertificateRequest {
        common_name: user.clone(),
        organizations: file.organization.into_iter().map(str::to_owned).collect(),
        dns_names: Vec::new(),
        ips: Vec::new(),
        usages: Vec::new(),
        validity: Validity { not_before: now, not_after: now },
    };
    let key = new_key(spec, view, file.file)?;
    let csr =
        signing_request(&request, &key).map_err(|source| CsrError::Request { name: file.file, source })?;
    let cluster = Cluster::new(&server(spec, file), &[]);
    let config = Kubeconfig::new(&spec.cluster.cluster_name, cluster, &user, User::with_key(&key)?);
    let path = spec.layout.kubeconfig(file.file);
    let text = config.to_yaml(kubeconfig_form(spec));
    Ok(pair(path.clone(), text.as_bytes(), request_path(&path), csr))
}

fn pair(key_path: PathBuf, key: &[u8], path: PathBuf, request: String) -> Step {
    Step::new(Action::WritePair {
        key: NewFile { path: key_path, content: key.to_vec(), mode: 0o600, secret: true },
        certificate: NewFile { path, content: request.into_bytes(), mode: 0o600, secret: false },
    })
}
