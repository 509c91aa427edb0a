//! `kubelet-start`: the kubelet's environment file and configuration, and a (re)start with them.
//!
//! A kubelet that already runs with exactly these files is left alone, so that a second run does not disturb a
//! healthy node.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use kubeadm_config::component::{NodeRuntime, RESOLVED_CONF, follow_runtime, use_systemd_resolved};
use kubeadm_config::types::Taint;
use kubeadm_release::facts::config_api::IPV6_DUAL_STACK;
use kubeadm_release::facts::control_plane::DYNAMIC_KUBELET_CONFIG;
use kubeadm_release::facts::kubelet::{CgroupDriver, EnvFlag, EnvQuoting};
use serde_json::{Value, json};

use super::{PhaseError, mark_control_plane};
use crate::manifests::{Component, flags};
use crate::patches::{Patches, Target};
use crate::plan::{Action, ServiceVerb, Step};
use crate::ports::{NewFile, View, is_dockershim};
use crate::spec::{InitSpec, KUBELET};
use crate::static_pods;

/// Path of the environment file.
pub fn env_file() -> PathBuf {
    Path::new(KUBELET).join("kubeadm-flags.env")
}

/// Path of the node's own configuration.
pub fn instance_config_file() -> PathBuf {
    Path::new(KUBELET).join("instance-config.yaml")
}

/// Path of the configuration.
pub fn config_file() -> PathBuf {
    Path::new(KUBELET).join("config.yaml")
}

/// Plans the phase.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(steps(spec, view, &[]))
}

/// The steps of the phase. `taints` are those that the kubelet itself gives to its node, as workers do.
pub(super) async fn steps(
    spec: &InitSpec,
    view: View<'_>,
    taints: &[Taint],
) -> Result<Vec<Step>, PhaseError> {
    let resolved = resolved(view).await;
    let mut steps = Vec::new();
    let mut files = vec![env(spec, view, resolved, taints, &mut steps).await];
    let shown = |path: &Path| spec.layout.shown(path).display().to_string();
    let mut writes = vec![Step::new(Action::WriteFile(files[0].clone())).saying(format!(
        "[kubelet-start] Writing kubelet environment file with flags to file {:?}",
        shown(&files[0].path)
    ))];
    let (configured, more) = config(spec, view, resolved, None, &mut steps).await?;
    writes.extend(configured);
    files.extend(more);

    let same = |f: &NewFile| matches!(view.files.read(&f.path), Ok(Some(content)) if content == f.content);
    let unchanged =
        files.iter().all(same) && view.services.active("kubelet").await && settled(spec, view).await;
    if !unchanged {
        steps.extend(service(view, ServiceVerb::Stop).await);
    }
    steps.push(Step::new(Action::CreateDir { path: KUBELET.into(), mode: 0o700 }));
    steps.extend(writes);
    if unchanged {
        let text = "[kubelet-start] The kubelet is already running with this configuration";
        steps.push(Step::say(text).silent_when_dry());
    } else {
        steps.push(Step::say("[kubelet-start] Starting the kubelet").silent_when_dry());
        steps.extend(service(view, ServiceVerb::Restart).await);
    }
    Ok(steps)
}

/// Whether systemd-resolved runs.
pub(super) async fn resolved(view: View<'_>) -> bool {
    view.services.init_system().is_ok() && view.services.active("systemd-resolved").await
}

/// The kubelet's configuration: the steps that write it, and the files. `resolved` tells whether systemd-resolved runs;
/// what there is to say of that goes before all else. `instance` is the node's own configuration, where it is kept.
pub(super) async fn config(
    spec: &InitSpec,
    view: View<'_>,
    resolved: bool,
    instance: Option<&Value>,
    warnings: &mut Vec<Step>,
) -> Result<(Vec<Step>, Vec<NewFile>), PhaseError> {
    let shown = |path: &Path| spec.layout.shown(path).display().to_string();
    let (mut writes, mut files) = (Vec::new(), Vec::new());
    let mut config = of_runtime(spec, view, warnings).await;
    if resolved && spec.release.kubelet.resolv_conf_in_config {
        warnings.extend(use_systemd_resolved(&mut config).map(|w| Step::warn(w.text)));
    }
    let patches = Patches::load(spec.patches.as_deref(), view.files)?;
    let patched = patches.apply(Target::KubeletConfiguration, config)?;
    let mut said = patched.steps;
    config = patched.value;
    let says =
        |path: &Path| format!("[kubelet-start] Writing kubelet configuration to file {:?}", shown(path));
    if spec.instance_config() {
        // The endpoint is the last patch: neither the configuration nor a patch can set this field.
        if let Some(own) = instance {
            json_patch::merge(&mut config, own);
        } else {
            let socket = &spec.init.node_registration.cri_socket;
            let path = instance_config_file();
            let content = format!("containerRuntimeEndpoint: {}\n", Value::from(socket.as_str()));
            config["containerRuntimeEndpoint"] = json!(socket);
            let file = NewFile { path, content: content.into_bytes(), mode: 0o644, secret: false };
            writes.push(Step::new(Action::WriteFile(file.clone())).saying(says(&file.path)));
            files.push(file);
        }
        said.push(Step::say(
                "[patches] Applied patch of type \"application/strategic-merge-patch+json\" to target \"kubeletconfiguration\"",
            ));
    }
    writes.extend(said);
    let content = kubeadm_yaml::to_string(&config).into_bytes();
    let file = NewFile { path: config_file(), content, mode: 0o644, secret: false };
    writes.push(Step::new(Action::WriteFile(file.clone())).saying(says(&file.path)));
    files.push(file);
    Ok((writes, files))
}

/// KubeletConfiguration with what it takes from this node's container runtime.
pub(super) async fn of_runtime(spec: &InitSpec, view: View<'_>, warnings: &mut Vec<Step>) -> Value {
    let mut config = spec.kubelet.value.clone();
    let docker = is_dockershim(&spec.init.node_registration.cri_socket);
    let driver = match spec.release.kubelet.cgroup_driver {
        CgroupDriver::OfDocker | CgroupDriver::OfDockerOrSystemd if docker => {
            view.runtime.cgroup_driver().await.map(|driver| Some(driver.name())).unwrap_or_else(|reason| {
                warnings.push(Step::warn(format!(
                    "cannot automatically set CgroupDriver when starting the Kubelet: {reason}"
                )));
                None
            })
        }
        _ => None,
    };
    let runtime = if docker { NodeRuntime::Docker(driver) } else { NodeRuntime::Other };
    warnings.extend(follow_runtime(&mut config, &spec.release, runtime).map(|w| Step::warn(w.text)));
    config
}

/// Whether every static pod runs as its manifest says. Where one does not, the kubelet is to be restarted though its
/// own files are the same: it then starts what changed at once, while otherwise the pauses it makes after crashes, of
/// the pod and of those that depend on it, can add up to minutes.
async fn settled(spec: &InitSpec, view: View<'_>) -> bool {
    let Ok(containers) = view.runtime.containers().await else { return false };
    let components =
        [Component::Etcd, Component::ApiServer, Component::ControllerManager, Component::Scheduler];
    let manifests: Vec<PathBuf> = components.iter().map(|c| spec.layout.manifest(c.name())).collect();
    static_pods::read(view, &manifests).iter().all(|pod| pod.runs(&containers))
}

/// Stops or restarts the kubelet. Whatever is missing is told, and the verb is tried all the same.
/// cmd/kubeadm/app/phases/kubelet/kubelet.go, 1.37.
async fn service(view: View<'_>, verb: ServiceVerb) -> Vec<Step> {
    let (running, advice, doing) = match verb {
        ServiceVerb::Stop => (
            "won't make sure the kubelet not running for a short period of time while setting up configuration for it.",
            None,
            "stop the kubelet service momentarily",
        ),
        ServiceVerb::Restart => (
            "won't make sure the kubelet is running properly.",
            Some("[kubelet-start] Please ensure kubelet is reloaded and running manually.".to_owned()),
            "start the kubelet service",
        ),
    };
    if view.services.init_system().is_err() {
        let text = format!("[kubelet-start] No supported init system detected, {running}");
        return vec![Step::say(text).silent_when_dry()];
    }
    let mut steps = Vec::new();
    if !view.services.exists("kubelet").await {
        let text = "[kubelet-start] Couldn't detect a kubelet service, can't make sure the kubelet is running properly.";
        steps.push(Step::say(text).silent_when_dry());
    }
    let warning = format!("[kubelet-start] WARNING: unable to {doing}");
    steps.push(Step::new(Action::Service { verb, service: "kubelet", warning, advice }));
    steps
}

/// `kubeadm-flags.env`. cmd/kubeadm/app/phases/kubelet/flags.go.
async fn env(
    spec: &InitSpec,
    view: View<'_>,
    resolved: bool,
    taints: &[Taint],
    steps: &mut Vec<Step>,
) -> NewFile {
    let facts = &spec.release.kubelet;
    let node = &spec.init.node_registration;
    let docker = is_dockershim(&node.cri_socket);
    let extra = &node.kubelet_extra_args;
    let mut defaults = Vec::new();
    let mut set = |name: &str, value: String| defaults.push((name.to_owned(), value));
    for flag in &facts.env_flags {
        match flag {
            EnvFlag::CgroupDriverOfDocker if docker => match view.runtime.cgroup_driver().await {
                Ok(driver) => set("cgroup-driver", driver.name().into()),
                Err(reason) => {
                    let text =
                        "cannot automatically assign a '--cgroup-driver' value when starting the Kubelet";
                    steps.push(Step::warn(format!("{text}: {reason}")));
                }
            },
            EnvFlag::CniDirectoriesWithDocker if docker => {
                set("cni-bin-dir", "/opt/cni/bin".into());
                set("cni-conf-dir", "/etc/cni/net.d".into());
            }
            EnvFlag::NetworkPluginWithDocker if docker => set("network-plugin", "cni".into()),
            EnvFlag::ContainerRuntimeRemote if !docker => set("container-runtime", "remote".into()),
            EnvFlag::ContainerRuntimeEndpoint if !docker && !spec.instance_config() => {
                set("container-runtime-endpoint", node.cri_socket.clone())
            }
            EnvFlag::HostnameOverride => {
                let host = view.system.hostname().trim().to_lowercase();
                let last = extra.iter().rev().find(|a| a.name == "hostname-override");
                if last.is_none() && node.name != host {
                    set("hostname-override", node.name.clone());
                }
            }
            EnvFlag::PauseImageWithDocker if docker => {
                set("pod-infra-container-image", spec.images().pause())
            }
            EnvFlag::PauseImage => set("pod-infra-container-image", spec.images().pause()),
            EnvFlag::ResolvConf if resolved => set("resolv-conf", RESOLVED_CONF.into()),
            EnvFlag::DualStackGate => {
                if let Some(on) = spec.cluster.feature_gates.get(IPV6_DUAL_STACK) {
                    set("feature-gates", format!("{IPV6_DUAL_STACK}={on}"));
                }
            }
            EnvFlag::DynamicConfigDirectory if spec.gate(DYNAMIC_KUBELET_CONFIG) => {
                set("dynamic-config-dir", "/var/lib/kubelet/dynamic-config".into())
            }
            EnvFlag::CgroupDriverOfDocker
            | EnvFlag::CniDirectoriesWithDocker
            | EnvFlag::NetworkPluginWithDocker
            | EnvFlag::ContainerRuntimeRemote
            | EnvFlag::ContainerRuntimeEndpoint
            | EnvFlag::PauseImageWithDocker
            | EnvFlag::ResolvConf
            | EnvFlag::DynamicConfigDirectory => {}
        }
    }
    if !taints.is_empty() {
        let texts: Vec<String> = taints.iter().map(mark_control_plane::text).collect();
        set("register-with-taints", texts.join(","));
    }
    let words = flags(defaults, extra, facts.env_arguments).join(" ");
    let content = match facts.env_quoting {
        EnvQuoting::Bare => format!("KUBELET_KUBEADM_ARGS={words}\n"),
        EnvQuoting::Quoted => format!("KUBELET_KUBEADM_ARGS={words:?}\n"),
    };
    NewFile { path: env_file(), content: content.into_bytes(), mode: 0o644, secret: false }
}
