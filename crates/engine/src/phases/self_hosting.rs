//! Self-hosting, an alpha feature of 1.8 to 1.13: the static pods of the control plane become DaemonSets of the cluster
//! that they serve, one component after the other. cmd/kubeadm/app/phases/selfhosting/selfhosting.go, 1.11 to 1.13.
//!
//! A node whose API server is the cluster's only one does not come back by itself after a reboot: nobody is left to tell
//! the kubelet what to run. `kubeadm init` on it, with the configuration of before, makes static pods again, which take
//! over what etcd has kept.

use std::path::Path;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

use super::PhaseError;
use crate::manifests::{Component, self_hosted};
use crate::objects::{KUBE_SYSTEM, create_or_update, rbac};
use crate::phase::Phase;
use crate::plan::{Action, HandOver, Step};
use crate::ports::View;
use crate::resource::{DAEMON_SETS, SECRETS};
use crate::spec::{InitSpec, Layout, manifest};
use crate::static_pods;

/// The conversion of this node as a workflow of its own: `alpha selfhosting pivot`.
pub static PIVOT: &[Phase<Conversion>] =
    &[super::leaf("pivot", "Turn the static Pods of the control plane into DaemonSets", &[], plan_pivot)];

/// What the conversion of a node needs to know.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// Where certificates and kubeconfig files lie.
    pub layout: Layout,
    /// Name of the node.
    pub node_name: String,
    /// Whether certificates go into Secrets.
    pub secrets: bool,
    /// What is asked before anything changes.
    pub question: Option<String>,
}

/// The gate that `init` takes in the releases that have it.
pub const SELF_HOSTING: &str = "SelfHosting";
/// The gate that puts certificates in Secrets as well.
pub const STORE_CERTS_IN_SECRETS: &str = "StoreCertsInSecrets";

/// How long each wait may take (cmd/kubeadm/app/phases/selfhosting/selfhosting.go: selfHostingWaitTimeout).
const LIMIT: Duration = Duration::from_secs(120);

/// Plans the phase, as the gates have it.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut steps = Vec::from_iter(rbac::bind_admin_step(spec));
        steps.push(Step::say("[self-hosted] creating self-hosted control plane"));
        let conversion = Conversion {
            layout: spec.layout.clone(),
            node_name: spec.node_name().to_owned(),
            secrets: spec.gate(STORE_CERTS_IN_SECRETS),
            question: None,
        };
        steps.extend(convert(&conversion, view)?);
        Ok(steps)
    })
}

fn plan_pivot<'a>(spec: &'a Conversion, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut steps = Vec::new();
        if let Some(question) = &spec.question {
            steps.push(Step::new(Action::Confirm(question.clone())));
        }
        steps.push(Step::say("[pivot] pivoting cluster to self-hosted"));
        steps.extend(convert(spec, view)?);
        Ok(steps)
    })
}

fn convert(spec: &Conversion, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    let mut steps = Vec::new();
    let local_etcd = view.files.exists(&manifest(Component::Etcd.name()));
    if spec.secrets {
        steps.extend(upload(spec, local_etcd, view)?);
    }
    for component in self_hosted::COMPONENTS {
        let name = component.name();
        let path = manifest(name);
        let Some(pod) = static_pods::pod(view.files, &path) else {
            steps.push(Step::say(format!(
                "[self-hosted] The Static Pod for the component {name:?} doesn't seem to be on the disk; trying the next one"
            )));
            continue;
        };
        let set = self_hosted::daemon_set(component, &pod, spec.secrets, local_etcd);
        steps.push(create_or_update(DAEMON_SETS, set));
        let wanted = hand_over(spec, component, &pod);
        let would = format!(
            "[dryrun] Would wait for the Pods with the label \"k8s-app={}\" in the {KUBE_SYSTEM} namespace to become Running",
            wanted.set
        );
        steps.push(Step::new(Action::HandOver(wanted)).would(would));
    }
    Ok(steps)
}

fn hand_over(spec: &Conversion, component: Component, pod: &Value) -> HandOver {
    HandOver {
        component: component.name().to_owned(),
        manifest: manifest(component.name()),
        mirror: format!("{}-{}", component.name(), spec.node_name),
        set: self_hosted::name(component),
        health: static_pods::readiness(pod),
        limit: LIMIT,
    }
}

/// The Secrets.
fn upload(spec: &Conversion, local_etcd: bool, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    let read = |path: &Path| match view.files.read(path)? {
        Some(content) => Ok(content),
        None => Err(PhaseError::NotOnDisk(path.to_owned())),
    };
    let mut steps = Vec::new();
    let wanted = self_hosted::CERTIFICATES.iter().filter(|s| local_etcd || !s.of_local_etcd());
    for secret in wanted {
        let certificate = read(&spec.layout.pki_file(secret.certificate))?;
        let key = secret.key.map(|key| read(&spec.layout.pki_file(key))).transpose()?;
        let object = self_hosted::certificate_secret(secret, &certificate, key.as_deref());
        let from = std::iter::once(secret.certificate).chain(secret.key).collect::<Vec<_>>().join(" and ");
        let done = format!("[self-hosted] Created TLS secret {:?} from {from}", secret.name);
        steps.push(create_or_update(SECRETS, object).done(done));
    }
    for file in self_hosted::KUBECONFIGS {
        let object = self_hosted::kubeconfig_secret(file, &read(&spec.layout.kubeconfig(file))?);
        let done = format!("[self-hosted] Created secret for kubeconfig file {file:?}");
        steps.push(create_or_update(SECRETS, object).done(done));
    }
    Ok(steps)
}
