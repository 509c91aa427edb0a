//! InitConfiguration, and the MasterConfiguration it came from.

use kubeadm_release::facts::config_api::Api;
use serde_json::Value;

use super::cluster::flat_cluster;
use super::parts;
use crate::codec::{Codec, Keep};
use crate::types::{ClusterConfiguration, InitConfiguration};

pub(crate) fn init(x: &mut InitConfiguration, c: &mut Codec<'_>) {
    c.list("bootstrapTokens", &mut x.bootstrap_tokens, "BootstrapToken", Keep::Set, parts::bootstrap_token);
    c.object(
        "nodeRegistration",
        &mut x.node_registration,
        "NodeRegistrationOptions",
        parts::node_registration,
    );
    let endpoint = if c.since(Api::V1Beta1) { "localAPIEndpoint" } else { "apiEndpoint" };
    c.object(endpoint, &mut x.local_api_endpoint, "APIEndpoint", parts::endpoint);
    if c.since(Api::V1Beta2) {
        c.text("certificateKey", &mut x.certificate_key.0, Keep::Set);
    }
    if c.since(Api::V1Beta3) {
        c.texts("skipPhases", &mut x.skip_phases, Keep::Set);
        c.optional_object("patches", &mut x.patches, "Patches", parts::patches);
    }
    if c.since(Api::V1Beta4) {
        c.flag("dryRun", &mut x.dry_run, Keep::Set);
        c.object("timeouts", &mut x.timeouts, "Timeouts", parts::timeouts);
    }
}

/// v1alpha2's one object for everything, embedded component configurations included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Master {
    /// The part that became InitConfiguration.
    pub(crate) init: InitConfiguration,
    /// The part that became ClusterConfiguration.
    pub(crate) cluster: ClusterConfiguration,
    /// `kubeProxy.config`.
    pub(crate) kube_proxy: Embedded,
    /// `kubeletConfiguration.baseConfig`.
    pub(crate) kubelet: Embedded,
}

/// A component configuration inside another object, without kind and apiVersion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Embedded {
    /// The object.
    pub(crate) config: Option<Value>,
}

pub(crate) fn master(x: &mut Master, c: &mut Codec<'_>) {
    let init = &mut x.init;
    c.list(
        "bootstrapTokens",
        &mut init.bootstrap_tokens,
        "BootstrapToken",
        Keep::Set,
        parts::bootstrap_token,
    );
    c.object(
        "nodeRegistration",
        &mut init.node_registration,
        "NodeRegistrationOptions",
        parts::node_registration,
    );
    let mut api = (std::mem::take(&mut init.local_api_endpoint), x.cluster.control_plane_endpoint.clone());
    c.object("api", &mut api, "API", |(endpoint, stable), c| {
        parts::endpoint(endpoint, c);
        c.text("controlPlaneEndpoint", stable, Keep::Always);
    });
    (init.local_api_endpoint, x.cluster.control_plane_endpoint) = api;
    c.object("kubeProxy", &mut x.kube_proxy, "KubeProxy", |x, c| c.raw("config", &mut x.config));
    c.object("kubeletConfiguration", &mut x.kubelet, "KubeletConfiguration", |x, c| {
        c.raw("baseConfig", &mut x.config);
    });
    flat_cluster(&mut x.cluster, c);
}
