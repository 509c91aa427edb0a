//! What runs in a cluster, by version, and what it could be upgraded to.
//! cmd/kubeadm/app/phases/upgrade/{compute,versiongetter}.go, 1.37.

use std::collections::BTreeMap;

use kubeadm_release::facts::images::Images;
use kubeadm_release::{Release, Version, skew};
use serde_json::Value;

use crate::addons::dns;
use crate::objects::KUBE_SYSTEM;
use crate::ports::{Api, ApiError, Selector};
use crate::resource::{DEPLOYMENTS, NODES, PODS};
use crate::static_pods::tag;

/// Nodes by the version that they have.
pub type ByVersion = BTreeMap<String, Vec<String>>;

/// What runs in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterState {
    /// By name of a static pod's component.
    pub components: BTreeMap<String, ByVersion>,
    /// The kubelets.
    pub kubelets: ByVersion,
    /// The tag of the DNS server's image; empty where there is none.
    pub dns: String,
}

/// Why it is not known what runs.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It could not be asked for.
    #[error("couldn't list {what}: {source}")]
    List {
        /// What was asked for.
        what: &'static str,
        /// The answer.
        source: ApiError,
    },
    /// No API server tells its version.
    #[error("Couldn't fetch cluster version from the API Server: {0}")]
    Version(String),
    /// More than one Deployment serves DNS.
    #[error("multiple DNS addon deployments found: {}", .0.join(", "))]
    SeveralDns(Vec<String>),
}

impl ClusterState {
    /// Asks the cluster.
    ///
    /// # Errors
    /// See [`StateError`].
    pub async fn look(api: &dyn Api) -> Result<Self, StateError> {
        let list = async |resource, namespace, labels: Option<String>, what| {
            let selector = Selector { labels, fields: None };
            api.list(resource, namespace, &selector).await.map_err(|source| StateError::List { what, source })
        };
        let mut state = Self::default();
        let pods = list(PODS, KUBE_SYSTEM, Some("tier=control-plane".into()), "pods in cluster").await?;
        for pod in &pods {
            state.add_pod(pod);
        }
        for node in &list(NODES, "", None, "all nodes in cluster").await? {
            let version = text(&node["status"]["nodeInfo"]["kubeletVersion"]);
            state.kubelets.entry(version).or_default().push(text(&node["metadata"]["name"]));
        }
        let labels = Some(format!("k8s-app={}", dns::LABEL));
        let deployments = list(DEPLOYMENTS, KUBE_SYSTEM, labels, "DNS addon deployments").await?;
        match deployments.as_slice() {
            [] => {}
            [one] => state.dns = image_tag(&one["spec"]["template"]["spec"]),
            several => {
                return Err(StateError::SeveralDns(
                    several.iter().map(|d| text(&d["metadata"]["name"])).collect(),
                ));
            }
        }
        if state.api_servers().next().is_none() {
            let version = served_version(api).await?;
            state.components.entry(API_SERVER.into()).or_default().entry(version).or_default();
        }
        Ok(state)
    }

    fn add_pod(&mut self, pod: &Value) {
        let Some(component) = pod["metadata"]["labels"]["component"].as_str() else { return };
        let version = image_tag(&pod["spec"]).replacen('_', "+", 1);
        let nodes = self.components.entry(component.to_owned()).or_default().entry(version).or_default();
        nodes.push(text(&pod["spec"]["nodeName"]));
    }

    /// The versions of a component.
    pub fn of(&self, component: &str) -> ByVersion {
        self.components.get(component).cloned().unwrap_or_default()
    }

    /// The versions of the API servers, as far as they are some.
    pub fn api_servers(&self) -> impl Iterator<Item = Version> {
        let all = self.components.get(API_SERVER).into_iter().flat_map(|found| found.keys());
        all.filter_map(|text| text.parse().ok())
    }

    /// The newest API server.
    pub fn version(&self) -> Option<Version> {
        self.api_servers().reduce(|newest, v| if skew::precedes(&newest, &v) { v } else { newest })
    }

    /// What is said where API servers differ.
    pub fn mixed(&self) -> Option<String> {
        let found = self.of(API_SERVER);
        let all: Vec<String> =
            found.iter().map(|(v, nodes)| format!("{v} on nodes [{}]", nodes.join(" "))).collect();
        (all.len() > 1).then(|| {
            format!(
                "Different API server versions in the cluster were discovered: {}. Please upgrade your control plane nodes to the same version of Kubernetes",
                all.join(", ")
            )
        })
    }
}

const API_SERVER: &str = "kube-apiserver";

/// Images may be named by digests alone; then one of the API servers says it.
async fn served_version(api: &dyn Api) -> Result<String, StateError> {
    let body = api.get_path("/version").await.map_err(|e| StateError::Version(e.to_string()))?;
    let answer: Value = serde_json::from_str(&body).map_err(|e| StateError::Version(e.to_string()))?;
    let version = text(&answer["gitVersion"]);
    match version.parse::<Version>() {
        Ok(_) => Ok(version),
        Err(error) => Err(StateError::Version(error.to_string())),
    }
}

fn image_tag(pod_spec: &Value) -> String {
    let image = pod_spec["containers"][0]["image"].as_str().unwrap_or_default();
    tag(image).unwrap_or_default().to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

// --- what could be ------------------------------------------------------------------------------------------------

/// Versions that could be upgraded to, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidates {
    /// The version asked for, else the newest stable one.
    pub stable: Option<Version>,
    /// The newest patch of the cluster's minor.
    pub patch: Option<Version>,
    /// The newest of all, and the newest of the minor before it.
    pub latest: Option<(Version, Version)>,
}

/// An upgrade that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `version in the v1.36 series`, `stable version` …
    pub description: String,
    /// What the cluster would run.
    pub version: Version,
    /// The kubeadm that would be needed.
    pub kubeadm: Version,
}

/// The upgrades that can be made of a cluster, nearest first.
pub fn offers(
    cluster: &Version,
    kubeadm: &Version,
    candidates: &Candidates,
    policy: super::policy::Policy,
) -> Vec<Offer> {
    let offer = |description: &str, version: &Version, kubeadm: &Version| Offer {
        description: description.to_owned(),
        version: version.clone(),
        kubeadm: kubeadm.clone(),
    };
    let mut offers = Vec::new();
    let patch = candidates.patch.as_ref();
    if let Some(patch) = patch.filter(|patch| skew::precedes(cluster, patch)) {
        // A kubeadm that is newer than the patch can do it as it is.
        let needed = if skew::precedes(kubeadm, patch) { patch } else { kubeadm };
        offers.push(offer(&format!("version in the v{} series", cluster.major_minor()), patch, needed));
    }
    let further = |stable: &Version| {
        skew::precedes(cluster, stable) && patch.is_none_or(|patch| skew::precedes(patch, stable))
    };
    if let Some(stable) = candidates.stable.as_ref().filter(|stable| further(stable)) {
        offers.push(offer("stable version", stable, stable));
    }
    if let Some((latest, previous)) = &candidates.latest {
        let newer = |version: &Version| skew::precedes(cluster, version);
        if policy.release_candidates && previous.pre.starts_with("rc") && newer(previous) {
            offers.push(offer("release candidate version", previous, previous));
        }
        if policy.experimental && newer(latest) {
            // The first alpha of a minor is the branch point; the branch before it is ahead.
            let version = if latest.pre == "alpha.0" { previous } else { latest };
            offers.push(offer("experimental version", version, version));
        }
    }
    offers
}

/// The images for a version; those of the newest minor where this build does not have its facts.
pub fn images(version: &Version) -> Images {
    Release::of(version).unwrap_or_else(|_| Release::newest()).images
}

#[cfg(test)]
mod tests {
    use super::super::policy::Policy;
    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn offered(cluster: &str, candidates: &Candidates, policy: Policy) -> Vec<(String, String, String)> {
        let offers = offers(&v(cluster), &v("1.37.2"), candidates, policy);
        offers.into_iter().map(|o| (o.description, o.version.to_string(), o.kubeadm.to_string())).collect()
    }

    #[test]
    fn a_patch_and_the_next_minor() {
        let candidates =
            Candidates { stable: Some(v("1.37.3")), patch: Some(v("1.36.4")), ..Candidates::default() };
        let all = offered("1.36.1", &candidates, Policy::default());
        let words = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(
            all,
            [
                words("version in the v1.36 series", "v1.36.4", "v1.37.2"),
                words("stable version", "v1.37.3", "v1.37.3")
            ]
        );
        assert_eq!(offered("1.37.3", &candidates, Policy::default()), []);
        let only = Candidates { patch: None, ..candidates };
        assert_eq!(
            offered("1.36.4", &only, Policy::default()),
            [words("stable version", "v1.37.3", "v1.37.3")]
        );
    }

    #[test]
    fn unstable_versions_are_offered_to_those_who_allow_them() {
        let latest = Some((v("1.38.0-alpha.0"), v("1.37.3-rc.0")));
        let candidates =
            Candidates { stable: Some(v("1.37.2")), patch: Some(v("1.37.2")), latest: latest.clone() };
        assert_eq!(offered("1.37.2", &candidates, Policy::default()), []);
        let both = Policy { experimental: true, release_candidates: true, force: false };
        let names: Vec<_> =
            offered("1.37.2", &candidates, both).into_iter().map(|(d, v, _)| (d, v)).collect();
        let expected =
            [("release candidate version", "v1.37.3-rc.0"), ("experimental version", "v1.37.3-rc.0")]
                .map(|(d, v)| (d.to_owned(), v.to_owned()));
        assert_eq!(names, expected);
        let candidates = Candidates { latest: Some((v("1.38.0-alpha.1"), v("1.37.3-beta.0"))), ..candidates };
        let versions: Vec<_> = offered("1.37.2", &candidates, both).into_iter().map(|(_, v, _)| v).collect();
        assert_eq!(versions, ["v1.38.0-alpha.1"]);
    }

    #[test]
    fn pods_tell_versions_by_their_tags() {
        let mut state = ClusterState::default();
        for (node, image) in [
            ("cp1", "r/kube-apiserver:v1.36.3_x"),
            ("cp2", "r/kube-apiserver:v1.37.2"),
            ("cp3", "r/x@sha256:0"),
        ] {
            state.add_pod(&serde_json::json!({
                "metadata": {"labels": {"component": "kube-apiserver"}},
                "spec": {"nodeName": node, "containers": [{"image": image}]},
            }));
        }
        assert_eq!(state.version(), Some(v("1.37.2")));
        assert_eq!(state.of("kube-apiserver")["v1.36.3+x"], ["cp1"]);
        assert!(state.mixed().unwrap().contains("v1.36.3+x on nodes [cp1], v1.37.2 on nodes [cp2]"));
        assert_eq!(state.of("etcd"), ByVersion::new());
    }
}
