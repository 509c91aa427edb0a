//! `kubeconfig`: the files with which administrators, kubelet, controller manager and scheduler reach the API server.

use std::path::PathBuf;

use futures::future::BoxFuture;
use kubeadm_config::address::{parse_endpoint, parse_port};
use kubeadm_pki::inventory::{CertificateSpec, Dates, Endpoint, KubeconfigSpec, kubeconfigs};
use kubeadm_pki::kubeconfig::{Cluster, Expected, Kubeconfig, KubeconfigForm, User, validate_existing};
use kubeadm_pki::{Certificate, IssueError, KeyError, issue};
use kubeadm_release::facts::objects::EmptyKubeconfigLists;

use super::PhaseError;
use super::certs::{CertsError, form, inventory_facts, period};
use crate::plan::{Action, Step};
use crate::ports::{FileError, NewFile, View};
use crate::spec::InitSpec;

/// Why a kubeconfig file cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The authority is not there.
    #[error("the CA files do not exist, please run `kubeadm init phase certs ca` to generate it: {0}")]
    NoCa(CertsError),
    /// The authority cannot be used.
    #[error("couldn't create a kubeconfig; the CA files couldn't be loaded: {0}")]
    Ca(CertsError),
    /// The key of the authority is not there.
    #[error(
        "couldn't create a kubeconfig: the key {} of its authority does not exist; provide it, or provide {file}",
        path.display()
    )]
    NoCaKey {
        /// Path of the key.
        path: PathBuf,
        /// Name of the file that is to be made.
        file: &'static str,
    },
    /// An existing file does not fit.
    #[error(transparent)]
    Existing(#[from] kubeadm_pki::kubeconfig::KubeconfigError),
    /// With an external authority the file has to be given.
    #[error("the {file} file does not exists or it is not valid: {reason}")]
    NotGiven {
        /// Name of the file.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// The client certificate could not be made.
    #[error("failure while creating {user} client certificate: {source}")]
    Issue {
        /// The user.
        user: String,
        /// Why.
        source: IssueError,
    },
    /// The client's key could not be made or written.
    #[error("failure while creating {user} client certificate: {source}")]
    Key {
        /// The user.
        user: String,
        /// Why.
        source: KeyError,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

super::plans! { file:
    /// Plans `admin.conf`.
    plan_admin = "admin";
    /// Plans `super-admin.conf`, where the release has one.
    plan_super_admin = "super-admin";
    /// Plans `kubelet.conf`.
    plan_kubelet = "kubelet";
    /// Plans `controller-manager.conf`.
    plan_controller_manager = "controller-manager";
    /// Plans `scheduler.conf`.
    plan_scheduler = "scheduler";
}

/// The group's own work.
pub fn plan_folder<'a>(spec: &'a InitSpec, _: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let folder = spec.layout.shown(&spec.layout.kubeconfigs).display().to_string();
        let mut steps = vec![Step::say(format!("[kubeconfig] Using kubeconfig folder {folder:?}"))];
        steps.extend(endpoint_warning(spec).map(Step::warn));
        Ok(steps)
    })
}

/// cmd/kubeadm/app/util/endpoint.go: GetControlPlaneEndpoint. Upstream repeats it for every file.
fn endpoint_warning(spec: &InitSpec) -> Option<String> {
    let (_, port) = parse_endpoint(&spec.cluster.control_plane_endpoint).ok()?;
    (!port.is_empty() && parse_port(port) != Some(spec.bind_port())).then(|| {
        "[endpoint] WARNING: port specified in controlPlaneEndpoint overrides bindPort in the controlplane address"
            .into()
    })
}

/// How this release writes kubeconfig files.
pub(crate) fn kubeconfig_form(spec: &InitSpec) -> KubeconfigForm {
    let empty = spec.release.objects.cluster_info_lists == EmptyKubeconfigLists::Empty;
    KubeconfigForm { empty_preferences: empty, null_lists: !empty }
}

/// Where a file of the table points to.
pub(crate) fn server(spec: &InitSpec, item: &KubeconfigSpec) -> String {
    match item.endpoint {
        Endpoint::ControlPlane => spec.control_plane_endpoint(),
        Endpoint::Local => spec.local_endpoint(),
    }
}

fn file(spec: &InitSpec, view: View<'_>, name: &'static str) -> Result<Vec<Step>, KubeconfigError> {
    let table = kubeconfigs(&inventory_facts(spec));
    // A release without super-admin.conf has nothing to do here.
    let Some(item) = table.iter().find(|k| k.name == name) else { return Ok(Vec::new()) };
    let path = spec.layout.kubeconfig(item.file);
    let shown = path.display().to_string();
    let existing = view.files.read(&path)?;
    let authorities = authorities(spec, view)?;
    let server = server(spec, item);
    if let Some(content) = existing {
        let mut steps = judge(view, &shown, &content, &authorities, &server)?;
        let text = if spec.external_ca {
            format!("[kubeconfig] External CA mode: Using user provided {}", item.file)
        } else {
            format!("[kubeconfig] Using existing kubeconfig file: {shown:?}")
        };
        steps.push(Step::say(text));
        return Ok(steps);
    }
    if spec.external_ca {
        // The control plane itself never uses the break-glass file (quirk 29): it may be missing.
        if item.name == "super-admin" {
            let text = format!("[kubeconfig] External CA mode: no {} was provided", item.file);
            return Ok(vec![Step::say(text)]);
        }
        let reason = format!("{shown} does not exist");
        return Err(KubeconfigError::NotGiven { file: item.file, reason });
    }
    let ca = load_ca(spec, view)?;
    let user = item.user.of(spec.node_name());
    let no_key = || KubeconfigError::NoCaKey { path: spec.layout.pki_file("ca.key"), file: item.file };
    let ca_key = ca.key.ok_or_else(no_key)?;
    let failed = |source: KeyError| KubeconfigError::Key { user: user.clone(), source };
    let key = view.keys.generate(spec.algorithm).map_err(failed)?;
    let dates = Dates { now: view.clock.started(), period_seconds: period(spec), ca: Some(&ca.certificate) };
    let request = item.request(form(spec), spec.node_name(), dates);
    let public = key.public_key().map_err(failed)?;
    let certificate = issue(&request, &public, &ca.certificate, &ca_key, form(spec))
        .map_err(|source| KubeconfigError::Issue { user: user.clone(), source })?;
    let who = User::with_certificate(&certificate, &key).map_err(failed)?;
    let cluster = Cluster::new(&server, std::slice::from_ref(&ca.certificate));
    let config = Kubeconfig::new(&spec.cluster.cluster_name, cluster, &user, who);
    let content = config.to_yaml(kubeconfig_form(spec)).as_bytes().to_vec();
    let file = NewFile { path, content, mode: 0o600, secret: true };
    Ok(vec![
        Step::new(Action::WriteFile(file))
            .saying(format!("[kubeconfig] Writing {:?} kubeconfig file", item.file)),
    ])
}

fn load_ca(spec: &InitSpec, view: View<'_>) -> Result<kubeadm_pki::existing::Authority, KubeconfigError> {
    // The table always has the authority of the cluster.
    let Some(ca) = CertificateSpec::named("ca") else { unreachable!("the inventory has a ca") };
    super::certs::authority(spec, view, ca).map_err(|error| match error {
        CertsError::NoAuthority { .. } => KubeconfigError::NoCa(error),
        other => KubeconfigError::Ca(other),
    })
}

/// Certificates that a file may trust: the authority; with an external one, its whole chain.
fn authorities(spec: &InitSpec, view: View<'_>) -> Result<Vec<Certificate>, KubeconfigError> {
    let ca = load_ca(spec, view)?;
    let mut all = vec![ca.certificate];
    if spec.external_ca {
        all.extend(ca.chain);
    }
    Ok(all)
}

fn judge(
    view: View<'_>,
    path: &str,
    content: &[u8],
    authorities: &[Certificate],
    server: &str,
) -> Result<Vec<Step>, KubeconfigError> {
    let text = String::from_utf8_lossy(content);
    let read = |file: &str| match view.files.read(file.as_ref()) {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(format!("open {file}: no such file or directory")),
        Err(error) => Err(error.to_string()),
    };
    let warnings = validate_existing(path, &text, Expected { authorities, server }, read)?;
    Ok(warnings.into_iter().map(Step::warn).collect())
}

/// Whether all files that an external authority demands are there and fit. Called before the first phase.
pub fn validate_given(spec: &InitSpec, view: View<'_>) -> Result<(), KubeconfigError> {
    for item in kubeconfigs(&inventory_facts(spec)) {
        file(spec, view, item.name)
            .map_err(|error| match error {
                given @ KubeconfigError::NotGiven { .. } => given,
                other => KubeconfigError::NotGiven { file: item.file, reason: other.to_string() },
            })
            .map(drop)?;
    }
    Ok(())
}
