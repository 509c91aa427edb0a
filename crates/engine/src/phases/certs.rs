//! `certs`: authorities, their leaves and the service account keys, made or used as they are.
//!
//! What exists is judged, not only found: a leaf without its key, an expired leaf, missing names or an authority
//! that is none each stop the phase with their own reason (quirks 4 to 7 of the original). A key alone, as an
//! interrupted run leaves it, is used to finish the pair.

use std::path::PathBuf;

use futures::future::BoxFuture;
use kubeadm_config::address::parse_endpoint;
use kubeadm_pki::existing::{
    Authority, Existing, ExistingError, Files as Found, ServiceAccountFiles, Wanted,
};
use kubeadm_pki::inventory::{
    CertificateSpec, Dates, InventoryFacts, SERVICE_ACCOUNT_BASE, SanInputs, SanKind,
};
use kubeadm_pki::{CertForm, IssueError, KeyError, PrivateKey, Sans, Usage, issue, self_signed_ca};
use kubeadm_release::Release;
use kubeadm_release::facts::certificates::{Administrators, AuthorityNames};

use super::PhaseError;
use crate::plan::{Action, Step};
use crate::ports::{FileError, NewFile, View};
use crate::spec::{InitSpec, Layout};

/// Why certificates cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// What is there cannot be used.
    #[error(transparent)]
    Existing(#[from] ExistingError),
    /// A leaf is to be made, but its authority is not there.
    #[error("couldn't load CA certificate {name}: couldn't load {base} certificate authority from {}", dir.display())]
    NoAuthority {
        /// Phase name of the authority.
        name: &'static str,
        /// Its base name.
        base: &'static str,
        /// The certificates directory.
        dir: PathBuf,
    },
    /// A leaf is to be made, but the key of its authority is not there.
    #[error(
        "couldn't load CA certificate {name}: failure loading {base} certificate authority: failed to load key: couldn't load the private key file {}: it does not exist; provide it, or provide {leaf}.crt and {leaf}.key",
        path.display()
    )]
    NoAuthorityKey {
        /// Phase name of the authority.
        name: &'static str,
        /// Its base name.
        base: &'static str,
        /// Path of the key.
        path: PathBuf,
        /// Base name of the leaf that is to be made.
        leaf: &'static str,
    },
    /// A certificate could not be made.
    #[error("couldn't create {base} certificate: {source}")]
    Issue {
        /// Base name.
        base: &'static str,
        /// Why.
        source: IssueError,
    },
    /// A key could not be made.
    #[error("unable to create private key {base}.key: {source}")]
    Key {
        /// Base name.
        base: &'static str,
        /// Why.
        source: KeyError,
    },
    /// The API server's own service address cannot be told.
    #[error("unable to get the first IP address from the service subnet {subnet:?}")]
    ServiceSubnet {
        /// `networking.serviceSubnet`.
        subnet: String,
    },
    /// An external authority needs service account keys that are given.
    #[error("the service account keys {} and {} have to be given: they do not exist", key.display(), public.display())]
    NoServiceAccountKeys {
        /// Path of `sa.key`.
        key: PathBuf,
        /// Path of `sa.pub`.
        public: PathBuf,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

super::plans! { certificate:
    /// Plans `ca`.
    plan_ca = "ca";
    /// Plans `apiserver`.
    plan_apiserver = "apiserver";
    /// Plans `apiserver-kubelet-client`.
    plan_apiserver_kubelet_client = "apiserver-kubelet-client";
    /// Plans `front-proxy-ca`.
    plan_front_proxy_ca = "front-proxy-ca";
    /// Plans `front-proxy-client`.
    plan_front_proxy_client = "front-proxy-client";
    /// Plans `etcd-ca`.
    plan_etcd_ca = "etcd-ca";
    /// Plans `etcd-server`.
    plan_etcd_server = "etcd-server";
    /// Plans `etcd-peer`.
    plan_etcd_peer = "etcd-peer";
    /// Plans `etcd-healthcheck-client`.
    plan_etcd_healthcheck_client = "etcd-healthcheck-client";
    /// Plans `apiserver-etcd-client`.
    plan_apiserver_etcd_client = "apiserver-etcd-client";
}

/// The group's own work.
pub fn plan_folder<'a>(spec: &'a InitSpec, _: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let folder = spec.layout.shown(&spec.layout.pki).display().to_string();
        Ok(vec![Step::say(format!("[certs] Using certificateDir folder {folder:?}"))])
    })
}

/// The facts of a release that its certificates and kubeconfig files depend on.
pub(crate) fn inventory_facts(spec: &InitSpec) -> InventoryFacts {
    use kubeadm_pki::inventory::Endpoint;
    let facts = &spec.release.certificates;
    let bound = facts.administrators == Administrators::BoundGroup;
    let endpoint = |local| if local { Endpoint::Local } else { Endpoint::ControlPlane };
    InventoryFacts {
        same_ca_name: facts.authorities == AuthorityNames::Same,
        kubelet_client_organization: facts.kubelet_client_organization,
        etcd_client_organization: facts.etcd_client_organization,
        admin_organization: if bound { "kubeadm:cluster-admins" } else { "system:masters" },
        super_admin: bound,
        etcd_server_advertised: facts.etcd_server_advertised,
        component_endpoint: endpoint(facts.components_local),
        kubelet_endpoint: endpoint(spec.kubelet_local()),
    }
}

pub(crate) fn form(spec: &InitSpec) -> CertForm {
    form_of(&spec.release)
}

/// How a release makes certificates.
pub fn form_of(release: &Release) -> CertForm {
    let facts = &release.certificates;
    CertForm {
        random_ca_serial: facts.random_authority_serial,
        ca_san: facts.authority_dns_name,
        leaf_basic_constraints: facts.leaf_basic_constraints,
        distinct_sans: facts.distinct_names,
        back_dated_seconds: facts.back_dated_seconds,
    }
}

/// Paths and bytes of a pair, as far as it is there.
pub(crate) struct Pair {
    base: &'static str,
    crt: PathBuf,
    key: PathBuf,
    crt_name: String,
    key_name: String,
    crt_bytes: Option<Vec<u8>>,
    key_bytes: Option<Vec<u8>>,
}

impl Pair {
    pub(crate) fn read(layout: &Layout, view: View<'_>, base: &'static str) -> Result<Self, FileError> {
        let (crt, key) = (layout.pki_file(&format!("{base}.crt")), layout.pki_file(&format!("{base}.key")));
        Ok(Self {
            base,
            crt_name: crt.display().to_string(),
            key_name: key.display().to_string(),
            crt_bytes: view.files.read(&crt)?,
            key_bytes: view.files.read(&key)?,
            crt,
            key,
        })
    }

    pub(crate) fn found(&self) -> Found<'_> {
        Found {
            base: self.base,
            certificate_path: &self.crt_name,
            key_path: &self.key_name,
            certificate: self.crt_bytes.as_deref(),
            key: self.key_bytes.as_deref(),
        }
    }

    /// The steps that write the pair.
    fn write(self, certificate: String, key: &PrivateKey) -> Result<Action, KeyError> {
        let pem = key.to_pem()?;
        Ok(Action::WritePair {
            key: NewFile { path: self.key, content: pem.as_bytes().to_vec(), mode: 0o600, secret: true },
            certificate: NewFile {
                path: self.crt,
                content: certificate.into_bytes(),
                mode: 0o644,
                secret: false,
            },
        })
    }
}

/// Loads an authority that must be there.
pub(crate) fn authority(
    spec: &InitSpec,
    view: View<'_>,
    ca: &'static CertificateSpec,
) -> Result<Authority, CertsError> {
    match Pair::read(&spec.layout, view, ca.base)?.found().authority()? {
        Existing::Complete(authority) => Ok(authority),
        Existing::Absent | Existing::KeyOnly(_) => {
            Err(CertsError::NoAuthority { name: ca.name, base: ca.base, dir: spec.layout.pki.clone() })
        }
    }
}

pub(super) fn certificate(
    spec: &InitSpec,
    view: View<'_>,
    name: &'static str,
) -> Result<Vec<Step>, CertsError> {
    // The names are those of the table: see the tests of the inventory.
    let Some(item) = CertificateSpec::named(name) else { return Ok(Vec::new()) };
    if item.is_etcd() && !spec.local_etcd() {
        let what = if item.is_ca() { "certificate authority" } else { "certificate" };
        return Ok(vec![Step::say(format!(
            "[certs] External etcd mode: Skipping {} {what} generation",
            item.base
        ))]);
    }
    match item.authority() {
        None => ca(spec, view, item),
        Some(parent) => leaf(spec, view, item, parent),
    }
}

fn ca(spec: &InitSpec, view: View<'_>, item: &'static CertificateSpec) -> Result<Vec<Step>, CertsError> {
    let pair = Pair::read(&spec.layout, view, item.base)?;
    let now = view.clock.started();
    let key = match pair.found().authority()? {
        Existing::Complete(found) => {
            let kind = if found.key.is_some() { "" } else { "keyless " };
            let warning = kubeadm_pki::existing::bounds_warning(item.base, &found.certificate, now);
            let mut steps: Vec<Step> = warning.into_iter().map(Step::warn).collect();
            let text = format!("[certs] Using existing {} {kind}certificate authority", item.base);
            steps.push(Step::say(text));
            return Ok(steps);
        }
        Existing::KeyOnly(key) => key,
        Existing::Absent => new_key(spec, view, item.base)?,
    };
    let dates = Dates { now, period_seconds: ca_period(spec), ca: None };
    let form = form(spec);
    let request = item.request(&inventory_facts(spec), form, spec.node_name(), Sans::new(), dates);
    let failed = |source| CertsError::Issue { base: item.base, source };
    let certificate = self_signed_ca(&request, &key, form).map_err(failed)?;
    let write = pair
        .write(certificate.to_pem(), &key)
        .map_err(|source| CertsError::Key { base: item.base, source })?;
    Ok(vec![Step::new(write).saying(format!("[certs] Generating {:?} certificate and key", item.base))])
}

fn leaf(
    spec: &InitSpec,
    view: View<'_>,
    item: &'static CertificateSpec,
    parent: &'static CertificateSpec,
) -> Result<Vec<Step>, CertsError> {
    let pair = Pair::read(&spec.layout, view, item.base)?;
    let ca = authority(spec, view, parent)?;
    let now = view.clock.started();
    let names = sans(spec, item.sans)?;
    let mut steps = rejected(item, &names);
    let form = form(spec);
    let dates = Dates { now, period_seconds: period(spec), ca: Some(&ca.certificate) };
    let request = item.request(&inventory_facts(spec), form, spec.node_name(), names, dates);
    let wanted = Wanted {
        ca: &ca.certificate,
        ca_base: parent.base,
        dns_names: &request.dns_names,
        ips: &request.ips,
        at: now,
    };
    let key = match pair.found().leaf(wanted)? {
        Existing::Complete(_) => {
            let text = format!("[certs] Using existing {} certificate and key on disk", item.base);
            return Ok(vec![Step::say(text)]);
        }
        Existing::KeyOnly(key) => key,
        Existing::Absent => new_key(spec, view, item.base)?,
    };
    let ca_key = ca.key.ok_or_else(|| CertsError::NoAuthorityKey {
        name: parent.name,
        base: parent.base,
        path: spec.layout.pki_file(&format!("{}.key", parent.base)),
        leaf: item.base,
    })?;
    let failed = |source| CertsError::Issue { base: item.base, source };
    let public = key.public_key().map_err(|source| CertsError::Key { base: item.base, source })?;
    let certificate = issue(&request, &public, &ca.certificate, &ca_key, form).map_err(failed)?;
    let write = pair
        .write(certificate.to_pem(), &key)
        .map_err(|source| CertsError::Key { base: item.base, source })?;
    let mut step = Step::new(write).saying(format!("[certs] Generating {:?} certificate and key", item.base));
    if item.usages.contains(&Usage::Server) {
        let ips: Vec<String> = request.ips.iter().map(ToString::to_string).collect();
        step = step.done(format!(
            "[certs] {} serving cert is signed for DNS names [{}] and IPs [{}]",
            item.base,
            request.dns_names.join(" "),
            ips.join(" ")
        ));
    }
    steps.push(step);
    Ok(steps)
}

pub(crate) fn new_key(spec: &InitSpec, view: View<'_>, base: &'static str) -> Result<PrivateKey, CertsError> {
    view.keys.generate(spec.algorithm).map_err(|source| CertsError::Key { base, source })
}

/// `certificateValidityPeriod` in seconds; a year where the API has no such field.
pub(crate) fn period(spec: &InitSpec) -> i64 {
    spec.cluster.certificate_validity_period.map_or(YEAR, |p| p.seconds())
}

fn ca_period(spec: &InitSpec) -> i64 {
    spec.cluster.ca_certificate_validity_period.map_or(3650 * DAY, |p| p.seconds())
}

const DAY: i64 = 24 * 60 * 60;
/// How long a leaf is valid where nothing says otherwise, in seconds.
pub(crate) const YEAR: i64 = 365 * DAY;

/// Warnings of names that no certificate can be for.
pub(crate) fn rejected(item: &CertificateSpec, names: &Sans) -> Vec<Step> {
    let warning = |name: &String| {
        Step::warn(format!(
            "[certificates] WARNING: '{name}' was not added to the '{}.crt' SAN, because it is not a valid IP or RFC-1123 compliant DNS entry",
            item.base
        ))
    };
    names.rejected().iter().map(warning).collect()
}

/// Names and addresses a certificate is for.
pub(crate) fn sans(spec: &InitSpec, kind: SanKind) -> Result<Sans, CertsError> {
    let networking = &spec.cluster.networking;
    let etcd = spec.cluster.etcd.local.clone().unwrap_or_default();
    let host = parse_endpoint(&spec.cluster.control_plane_endpoint).map(|(host, _)| host).unwrap_or_default();
    let inputs = SanInputs {
        node_name: spec.node_name(),
        dns_domain: &networking.dns_domain,
        service_address: spec
            .service_address(1)
            .ok_or_else(|| CertsError::ServiceSubnet { subnet: networking.service_subnet.clone() })?,
        advertise_address: spec.advertise_address,
        control_plane_host: Some(host).filter(|h| !h.is_empty()),
        api_server: &spec.cluster.api_server.cert_sans,
        etcd_server: &etcd.server_cert_sans,
        etcd_peer: &etcd.peer_cert_sans,
    };
    Ok(kind.sans(&inventory_facts(spec), inputs))
}

/// Plans the service account keys.
pub fn plan_sa<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move { Ok(service_account(spec, view)?) })
}

fn service_account(spec: &InitSpec, view: View<'_>) -> Result<Vec<Step>, CertsError> {
    let base = SERVICE_ACCOUNT_BASE;
    let (key_path, public_path) = (spec.layout.pki_file("sa.key"), spec.layout.pki_file("sa.pub"));
    let (key_name, public_name) = (key_path.display().to_string(), public_path.display().to_string());
    let (key_bytes, public_bytes) = (view.files.read(&key_path)?, view.files.read(&public_path)?);
    let found = ServiceAccountFiles {
        key_path: &key_name,
        public_path: &public_name,
        key: key_bytes.as_deref(),
        public: public_bytes.as_deref(),
    };
    if spec.external_ca {
        // Upstream makes none and requires none (quirk 7), and the control plane then cannot start.
        return match found.required_keys()? {
            Some(_) => Ok(vec![Step::say("[certs] Using existing sa keys")]),
            None => Err(CertsError::NoServiceAccountKeys { key: key_path, public: public_path }),
        };
    }
    let failed = |source| CertsError::Key { base, source };
    let public_file = |key: &PrivateKey| {
        let content = key.public_key().map_err(failed)?.to_pem().into_bytes();
        Ok::<_, CertsError>(NewFile { path: public_path.clone(), content, mode: 0o600, secret: false })
    };
    match found.keys()? {
        Existing::Complete(_) => Ok(vec![Step::say("[certs] Using the existing \"sa\" key")]),
        Existing::KeyOnly(key) => {
            let text = "[certs] Using the existing \"sa\" key and writing its public key";
            Ok(vec![Step::new(Action::WriteFile(public_file(&key)?)).saying(text)])
        }
        Existing::Absent => {
            let key = new_key(spec, view, base)?;
            let public = public_file(&key)?;
            let content = key.to_pem().map_err(failed)?.as_bytes().to_vec();
            let private = NewFile { path: key_path, content, mode: 0o600, secret: true };
            let action = Action::WritePair { key: private, certificate: public };
            Ok(vec![Step::new(action).saying("[certs] Generating \"sa\" key and public key")])
        }
    }
}
