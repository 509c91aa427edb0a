//! `kubelet-config` of an upgrade: the configuration that the cluster keeps for its kubelets, written for this one. A
//! running kubelet goes on with the old one: the user restarts it, most often as a newer version.
//! cmd/kubeadm/app/phases/upgrade/postupgrade.go: WriteKubeletConfigFiles, 1.37.

use futures::future::BoxFuture;
use serde_json::Value;

use super::control_plane::backup_folder;
use crate::phases::PhaseError;
use crate::phases::kubelet_start::{config, config_file, instance_config_file, resolved};
use crate::plan::{Action, Step};
use crate::ports::{FileError, View};
use crate::spec::InitSpec;
use crate::upgrade::UpgradeSpec;

/// Plans the phase.
pub fn plan<'a>(spec: &'a UpgradeSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let (node, mut steps) = spec.node(view).await?;
        let instance = instance(node, view)?;
        if instance.is_none() && node.instance_config() {
            steps.push(Step::warn(format!(
                "The kubelet instance configuration file {:?} was not found. Creating a new one with defaults. Please verify its contents!",
                instance_config_file().display().to_string()
            )));
        }
        let (writes, files) = config(node, view, resolved(view).await, instance.as_ref(), &mut steps).await?;
        let current = view.files.read(&config_file())?;
        let changed = files.iter().any(|f| f.path == config_file() && current.as_ref() != Some(&f.content));
        if current.is_some() && changed {
            let to = backup_folder("kubeadm-kubelet-config", view).join("config.yaml");
            steps.push(
                Step::new(Action::BackUp { file: config_file(), to: to.clone() })
                    .saying(format!("[upgrade] Backing up kubelet config file to {}", to.display()))
                    .would(format!("[dryrun] Would back up kubelet config file to {}", to.display())),
            );
        }
        steps.extend(writes);
        steps.push(Step::say(
            "[upgrade/kubelet-config] The kubelet configuration for this node was successfully upgraded!",
        ));
        Ok(steps)
    })
}

/// The node's own configuration, where it has one.
fn instance(node: &InitSpec, view: View<'_>) -> Result<Option<Value>, FileError> {
    if !node.instance_config() {
        return Ok(None);
    }
    let path = instance_config_file();
    let Some(content) = view.files.read(&path)? else { return Ok(None) };
    let failed = |reason: String| FileError { operation: "read", path: path.clone(), reason };
    let text = String::from_utf8(content).map_err(|e| failed(e.to_string()))?;
    let value =
        kubeadm_yaml::parse_value(&text, &path.display().to_string()).map_err(|e| failed(e.to_string()))?;
    Ok(Some(value).filter(Value::is_object))
}
