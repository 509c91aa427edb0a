//! Refusing values that cannot work: all of an object's problems at once, in upstream's order and words, each with
//! its place in the file.
//!
//! Source: `app/apis/kubeadm/validation/validation.go`, v1.37. Nothing is changed here.

mod cluster;
mod durations;
mod join;
mod network;
mod node;

use std::fmt;

use kubeadm_release::Release;
use kubeadm_release::facts::config_api::Api;

use crate::error::{Notice, Place, write_aggregate};
use crate::types::{ClusterConfiguration, InitConfiguration, UpgradeConfiguration};

pub(crate) use join::join;
pub(crate) use node::reset;

/// One refused field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path, e.g. `networking.podSubnet`.
    pub path: String,
    /// The value as messages show it; absent when the field is required and missing.
    pub value: Option<String>,
    /// Why.
    pub detail: String,
    /// Where, if the value came from a file.
    pub place: Option<Place>,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}: Invalid value: {value}: {}", self.path, self.detail)?,
            None => write!(f, "{}: Required value: {}", self.path, self.detail)?,
        }
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// All refused fields of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_aggregate(f, &self.0)
    }
}

/// What validation collects.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<FieldError>,
    pub(crate) notices: Vec<Notice>,
}

impl Findings {
    fn invalid(&mut self, path: impl Into<String>, value: impl fmt::Debug, detail: impl Into<String>) {
        self.push(path.into(), Some(format!("{value:?}")), detail.into());
    }

    /// A list is shown as JSON.
    fn invalid_list(&mut self, path: impl Into<String>, list: &[String], detail: impl Into<String>) {
        self.push(path.into(), Some(serde_json::Value::from(list).to_string()), detail.into());
    }

    fn required(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.push(path.into(), None, detail.into());
    }

    fn push(&mut self, path: String, value: Option<String>, detail: String) {
        self.errors.push(FieldError { path, value, detail, place: None });
    }

    fn absolute(&mut self, path: &str, value: &str) {
        if !value.starts_with('/') {
            self.invalid(path, value, "path is not absolute");
        }
    }

    fn warn(&mut self, text: String) {
        self.notices.push(Notice::warning(format!("WARNING: {text}")));
    }
}

/// InitConfiguration with its cluster, of a file in that API.
pub(crate) fn init(
    init: &InitConfiguration,
    cluster: &ClusterConfiguration,
    api: Option<Api>,
    release: &Release,
) -> Findings {
    let mut findings = Findings::default();
    node::registration(&init.node_registration, release, &mut findings);
    node::bootstrap_tokens(&init.bootstrap_tokens, &mut findings);
    cluster::cluster(cluster, release, &mut findings);
    node::endpoint("localAPIEndpoint", &init.local_api_endpoint, &mut findings);
    node::certificate_key("certificateKey", &init.certificate_key, &mut findings);
    durations::timeouts(&init.timeouts, api, &mut findings);
    secure_port(init, cluster, &mut findings);
    findings
}

/// The API server listens where its argument says; kubeconfig files lead to the port of the endpoint.
fn secure_port(init: &InitConfiguration, cluster: &ClusterConfiguration, f: &mut Findings) {
    let mut args = cluster.api_server.component.extra_args.iter().rev();
    let Some(port) = args.find(|arg| arg.name == "secure-port").map(|arg| &arg.value) else { return };
    let bind_port = init.local_api_endpoint.bind_port;
    if *port != bind_port.to_string() {
        f.warn(format!(
            "apiServer.extraArgs: the kube-apiserver listens on secure-port {port}, while kubeconfig files and clients \
             use localAPIEndpoint.bindPort {bind_port}; set bindPort instead, or make sure that something forwards it"
        ));
    }
}

/// UpgradeConfiguration.
pub(crate) fn upgrade(upgrade: &UpgradeConfiguration) -> Findings {
    let mut findings = Findings::default();
    let blocks = [
        ("apply", &upgrade.apply.patches, &upgrade.apply.image_pull_policy),
        ("node", &upgrade.node.patches, &upgrade.node.image_pull_policy),
    ];
    for (block, patches, _) in blocks {
        if let Some(patches) = patches {
            findings.absolute(&format!("{block}.patches.directory"), &patches.directory);
        }
    }
    for (block, _, policy) in blocks {
        node::pull_policy(&format!("{block}.imagePullPolicy"), policy, &mut findings);
    }
    durations::timeouts(&upgrade.timeouts, None, &mut findings);
    findings
}

/// The union of the flag `--ignore-preflight-errors` and the field of the same name, in lower case and sorted.
pub fn ignored_preflight_errors(flag: &[String], field: &[String]) -> Result<Vec<String>, FieldErrors> {
    let mut checks: Vec<String> = flag.iter().chain(field).map(|check| check.to_lowercase()).collect();
    checks.sort();
    checks.dedup();
    if checks.len() > 1 && checks.iter().any(|check| check == "all") {
        let mut findings = Findings::default();
        let detail = "don't specify individual checks if 'all' is used";
        findings.invalid("ignore-preflight-errors", checks.join(","), detail);
        return Err(FieldErrors(findings.errors));
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_checks_are_joined() {
        let texts = |items: &[&str]| items.iter().map(|i| (*i).to_owned()).collect::<Vec<_>>();
        let union = ignored_preflight_errors(&texts(&["Swap", "NumCPU"]), &texts(&["swap"]));
        assert_eq!(union.unwrap(), ["numcpu", "swap"]);
        assert_eq!(ignored_preflight_errors(&texts(&["all"]), &texts(&["ALL"])).unwrap(), ["all"]);
        assert_eq!(
            ignored_preflight_errors(&texts(&["all", "Swap"]), &[]).unwrap_err().to_string(),
            "ignore-preflight-errors: Invalid value: \"all,swap\": don't specify individual checks if 'all' is used"
        );
    }
}
