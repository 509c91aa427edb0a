//! Lengths of time. Upstream takes them as they come: certificates that are over before they begin, waits that fail
//! before they start.

use kubeadm_release::facts::config_api::Api;

use super::Findings;
use crate::duration::GoDuration;
use crate::types::Timeouts;

pub(super) fn positive(path: &str, length: GoDuration, f: &mut Findings) {
    if length <= GoDuration::ZERO {
        f.invalid(path, length.to_string(), "must be longer than zero, such as 8760h0m0s");
    }
}

pub(super) fn not_negative(path: &str, length: GoDuration, f: &mut Findings) {
    if length < GoDuration::ZERO {
        f.invalid(path, length.to_string(), "must not be negative");
    }
}

/// Zero stands: it asks once and does not wait. `api` is that of the file.
pub(super) fn timeouts(x: &Timeouts, api: Option<Api>, f: &mut Findings) {
    let old = api.is_some_and(|api| api < Api::V1Beta4);
    let (control_plane, discovery) = match api {
        Some(api) if api < Api::V1Beta1 => ("apiServer.timeoutForControlPlane", "discoveryTimeout"),
        _ if old => ("apiServer.timeoutForControlPlane", "discovery.timeout"),
        _ => ("timeouts.controlPlaneComponentHealthCheck", "timeouts.discovery"),
    };
    for (path, length) in [
        (control_plane, x.control_plane_component_health_check),
        ("timeouts.kubeletHealthCheck", x.kubelet_health_check),
        ("timeouts.kubernetesAPICall", x.kubernetes_api_call),
        ("timeouts.etcdAPICall", x.etcd_api_call),
        ("timeouts.tlsBootstrap", x.tls_bootstrap),
        (discovery, x.discovery),
        ("timeouts.upgradeManifests", x.upgrade_manifests),
    ] {
        not_negative(path, length, f);
    }
}
