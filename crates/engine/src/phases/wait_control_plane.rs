//! `wait-control-plane`: until the kubelet and the components answer.
//!
//! Unlike upstream (quirk 1) the administrators' binding comes after the components answer: a control plane that
//! takes longer than one API call's limit is waited for, and what keeps it from coming is named.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use kubeadm_config::address::join_host_port;
use kubeadm_config::component::healthz_url;
use serde_json::Value;

use super::PhaseError;
use super::kubelet_start::{config_file, env_file};
use crate::objects::rbac::bind_admin_step;
use crate::plan::{Action, ComponentHealth, Step, WaitControlPlane, WaitKubelet};
use crate::ports::{Access, FileError, View};
use crate::spec::{InitSpec, MANIFESTS};
use crate::static_pods::argument;

/// Plans the phase.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let timeouts = &spec.init.timeouts;
        let manifests = COMPONENTS.iter().map(|c| spec.layout.manifest(c.name));
        let shown = manifests.chain([config_file(), env_file()]).collect();
        let directory = spec.layout.shown(MANIFESTS.as_ref()).display().to_string();
        let kubelet = WaitKubelet {
            health: kubelet_health(spec, view)?,
            limit: timeouts.kubelet_health_check.to_std(),
        };
        let booting = format!(
            "[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods from directory {directory:?}"
        );
        let would = kubelet.health.as_ref();
        let would = would.map(|url| format!("[dryrun] Would make sure the kubelet returns 'ok' at {url}"));
        let wait = WaitControlPlane { kubelet: Some(kubelet), ..wait(spec, view, &spec.access)? };
        let wait = Step::new(Action::WaitControlPlane(wait)).saying(&booting).would(booting);
        let mut steps = vec![show(spec, true, shown), would.into_iter().fold(wait, Step::would)];
        steps.extend(bind_admin_step(spec));
        Ok(steps)
    })
}

/// Where a dry run put the files, and those of them that hold no secret. cmd/kubeadm/app/util/dryrun/dryrun.go, 1.37.
pub(super) fn show(spec: &InitSpec, control_plane: bool, files: Vec<PathBuf>) -> Step {
    let folder = spec.layout.shown("/".as_ref()).display().to_string();
    let written = match control_plane {
        true => "certificates, kubeconfig files and control plane manifests",
        false => "certificates and kubeconfig files",
    };
    let lines = [
        format!("[dryrun] Wrote {written} to the {folder:?} directory"),
        "[dryrun] The certificates or kubeconfig files would not be printed due to their sensitive nature"
            .into(),
        format!("[dryrun] Please examine the {folder:?} directory for details about what would be written"),
    ];
    lines.into_iter().fold(Step::new(Action::Nothing), Step::would).showing(files)
}

/// The wait for the components of this node; `access` leads to its own API server.
pub(super) fn wait(spec: &InitSpec, view: View<'_>, access: &Access) -> Result<WaitControlPlane, PhaseError> {
    let mut manifests: Vec<_> = COMPONENTS.iter().map(|c| spec.layout.manifest(c.name)).collect();
    if spec.local_etcd() {
        manifests.push(spec.layout.manifest("etcd"));
    }
    let health = |component: &Component| {
        let access = component.is_api().then(|| access.clone());
        Ok(ComponentHealth { name: component.name.into(), url: component.url(spec, view)?, access })
    };
    Ok(WaitControlPlane {
        kubelet: None,
        components: COMPONENTS.iter().map(health).collect::<Result<_, PhaseError>>()?,
        components_limit: spec.init.timeouts.control_plane_component_health_check.to_std(),
        socket: spec.init.node_registration.cri_socket.clone(),
        manifests,
    })
}

/// The kubelet's health URL by its configuration, `None` where the port is 0. What is on disk counts, so that a
/// patch of the port is followed (quirk 39).
pub(super) fn kubelet_health(spec: &InitSpec, view: View<'_>) -> Result<Option<String>, PhaseError> {
    let written = read_yaml(view, &config_file()).ok();
    let config = written.as_ref().unwrap_or(&spec.kubelet.value);
    healthz_url(config).map_err(|problem| PhaseError::KubeletConfig { path: config_file(), problem })
}

struct Component {
    name: &'static str,
    /// Flag and default of the address and of the port.
    address_flag: &'static str,
}

/// cmd/kubeadm/app/util/apiclient/wait.go, 1.37.
const COMPONENTS: [Component; 3] = [
    Component { name: "kube-apiserver", address_flag: "advertise-address" },
    Component { name: "kube-controller-manager", address_flag: "bind-address" },
    Component { name: "kube-scheduler", address_flag: "bind-address" },
];

impl Component {
    fn is_api(&self) -> bool {
        self.name == "kube-apiserver"
    }

    /// Where its health is served, from the manifest on disk: extra arguments and patches count.
    fn url(&self, spec: &InitSpec, view: View<'_>) -> Result<String, PhaseError> {
        let pod = read_manifest(spec, view, self.name)?;
        let container = &pod["spec"]["containers"][0];
        let flag = |name: &str| argument(&pod, name).filter(|v| !v.is_empty());
        let port = |name: &str| flag(name).and_then(|p| p.parse().ok()).filter(|port| *port != 0);
        let health = &spec.release.control_plane;
        let served = match self.name {
            "kube-controller-manager" => Some(&health.controller_manager_served),
            "kube-scheduler" => Some(&health.scheduler_served),
            _ => None,
        };
        let probe = &container["livenessProbe"]["httpGet"];
        let path = probe["path"].as_str().unwrap_or("/healthz");
        Ok(match served {
            None => {
                let address =
                    flag(self.address_flag).map_or(spec.advertise_address.to_string(), str::to_owned);
                let port = port("secure-port").unwrap_or(spec.bind_port());
                format!("https://{}{path}", join_host_port(&address, port))
            }
            Some(served) => {
                let address = match flag(served.address_flag) {
                    None | Some("0.0.0.0" | "::") => "127.0.0.1",
                    Some(address) => address,
                };
                let scheme = served.scheme.to_lowercase();
                let port = port(served.port_flag).unwrap_or(served.port);
                format!("{scheme}://{}{path}", join_host_port(address, port))
            }
        })
    }
}

fn read_manifest(spec: &InitSpec, view: View<'_>, component: &str) -> Result<Value, PhaseError> {
    Ok(read_yaml(view, &spec.layout.manifest(component))?)
}

fn read_yaml(view: View<'_>, path: &Path) -> Result<Value, FileError> {
    let unreadable = |reason: String| FileError { operation: "read", path: path.to_owned(), reason };
    let content = view.files.read(path)?.ok_or_else(|| unreadable("it does not exist".into()))?;
    let text = String::from_utf8(content).map_err(|e| unreadable(e.to_string()))?;
    let documents = kubeadm_yaml::parse_documents(&text, &path.display().to_string())
        .map_err(|e| unreadable(e.to_string()))?;
    Ok(documents.into_iter().next().map(|d| d.value).unwrap_or_default())
}
