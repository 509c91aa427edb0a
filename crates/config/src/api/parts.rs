//! Parts that several kinds share.

use kubeadm_release::facts::config_api::Api;

use crate::codec::{Codec, Keep};
use crate::types::{
    ApiEndpoint, BootstrapToken, ControlPlaneComponent, EnvVar, HostPathMount, NodeRegistration, Patches,
    Taint, Timeouts,
};

pub(super) fn endpoint(x: &mut ApiEndpoint, c: &mut Codec<'_>) {
    let keep = c.set_since(Api::V1Beta2);
    c.text("advertiseAddress", &mut x.advertise_address, keep);
    c.int32("bindPort", &mut x.bind_port, keep);
}

pub(super) fn bootstrap_token(x: &mut BootstrapToken, c: &mut Codec<'_>) {
    c.token("token", &mut x.token);
    c.text("description", &mut x.description, Keep::Set);
    c.optional_duration("ttl", &mut x.ttl);
    c.optional_time("expires", &mut x.expires);
    c.texts("usages", &mut x.usages, Keep::Set);
    c.texts("groups", &mut x.groups, Keep::Set);
}

pub(super) fn node_registration(x: &mut NodeRegistration, c: &mut Codec<'_>) {
    c.text("name", &mut x.name, Keep::Set);
    c.text("criSocket", &mut x.cri_socket, Keep::Set);
    // v1beta2 dropped `omitempty`, so that null (the usual taints) and [] (none) can be told apart when written.
    let keep = if c.since(Api::V1Beta2) { Keep::Always } else { Keep::Set };
    c.optional_list("taints", &mut x.taints, "Taint", keep, taint);
    c.args("kubeletExtraArgs", &mut x.kubelet_extra_args);
    if c.since(Api::V1Beta2) {
        c.texts("ignorePreflightErrors", &mut x.ignore_preflight_errors, Keep::Set);
    }
    if c.since(Api::V1Beta3) {
        c.text("imagePullPolicy", &mut x.image_pull_policy, Keep::Set);
    }
    if c.since(Api::V1Beta4) {
        c.optional_flag("imagePullSerial", &mut x.image_pull_serial);
    }
}

fn taint(x: &mut Taint, c: &mut Codec<'_>) {
    c.text("key", &mut x.key, Keep::Always);
    c.text("value", &mut x.value, Keep::Set);
    c.text("effect", &mut x.effect, Keep::Always);
    c.optional_time("timeAdded", &mut x.time_added);
}

pub(super) fn env_var(x: &mut EnvVar, c: &mut Codec<'_>) {
    c.text("name", &mut x.name, Keep::Always);
    c.text("value", &mut x.value, Keep::Set);
    c.raw("valueFrom", &mut x.value_from);
}

pub(super) fn mount(x: &mut HostPathMount, c: &mut Codec<'_>) {
    c.text("name", &mut x.name, Keep::Always);
    c.text("hostPath", &mut x.host_path, Keep::Always);
    c.text("mountPath", &mut x.mount_path, Keep::Always);
    if c.since(Api::V1Beta1) {
        c.flag("readOnly", &mut x.read_only, Keep::Set);
    } else {
        // The older field says the opposite, and its absence means read-only from v1beta1's point of view.
        let mut writable = c.writing() && !x.read_only;
        c.flag("writable", &mut writable, Keep::Set);
        x.read_only = !writable;
    }
    c.text("pathType", &mut x.path_type, Keep::Set);
}

pub(super) fn component(x: &mut ControlPlaneComponent, c: &mut Codec<'_>) {
    c.args("extraArgs", &mut x.extra_args);
    c.list("extraVolumes", &mut x.extra_volumes, "HostPathMount", Keep::Set, mount);
    if c.since(Api::V1Beta4) {
        c.list("extraEnvs", &mut x.extra_envs, "EnvVar", Keep::Set, env_var);
    }
}

pub(super) fn patches(x: &mut Patches, c: &mut Codec<'_>) {
    c.text("directory", &mut x.directory, Keep::Set);
}

pub(super) fn timeouts(x: &mut Timeouts, c: &mut Codec<'_>) {
    c.duration("controlPlaneComponentHealthCheck", &mut x.control_plane_component_health_check);
    c.duration("kubeletHealthCheck", &mut x.kubelet_health_check);
    c.duration("kubernetesAPICall", &mut x.kubernetes_api_call);
    c.duration("etcdAPICall", &mut x.etcd_api_call);
    c.duration("tlsBootstrap", &mut x.tls_bootstrap);
    c.duration("discovery", &mut x.discovery);
    c.duration("upgradeManifests", &mut x.upgrade_manifests);
}
