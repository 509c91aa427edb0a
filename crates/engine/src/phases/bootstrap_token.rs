//! `bootstrap-token`: the tokens, what their bearers may do, and `cluster-info`.
//! cmd/kubeadm/app/cmd/phases/init/bootstraptoken.go, 1.37.

use futures::future::BoxFuture;

use super::PhaseError;
use crate::objects::{KUBE_PUBLIC, config_maps, create_or_update, kubeconfig, rbac, tokens};
use crate::plan::{Apply, Step};
use crate::ports::View;
use crate::resource::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, CONFIG_MAPS, SECRETS};
use crate::spec::InitSpec;

/// Signing requests that the controllers approve by themselves: for a first certificate, and for the next one.
const FIRST_CERTIFICATE: &str = "system:certificates.k8s.io:certificatesigningrequests:nodeclient";
const NEXT_CERTIFICATE: &str = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient";

/// Plans the phase.
pub fn plan<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        let mut steps = Vec::from_iter(rbac::bind_admin_step(spec));
        steps.extend(tokens(spec, view));
        steps.extend(joining_nodes(spec));
        steps.extend(cluster_info(spec, view)?);
        Ok(steps)
    })
}

fn tokens(spec: &InitSpec, view: View<'_>) -> Vec<Step> {
    let all = &spec.init.bootstrap_tokens;
    let mut steps = Vec::new();
    if !spec.skip_token_print {
        let shown: Vec<String> = all.iter().map(|t| t.token.to_string()).collect();
        steps.push(Step::say(match shown.as_slice() {
            [one] => format!("[bootstrap-token] Using token: {one}"),
            many => format!("[bootstrap-token] Using tokens: [{}]", many.join(" ")),
        }));
    }
    steps.push(Step::say(
        "[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles",
    ));
    let now = view.clock.now();
    steps.extend(all.iter().map(|token| {
        crate::objects::apply(Apply::GetThenCreateOrUpdate, SECRETS, tokens::secret(token, now))
    }));
    steps
}

/// What joining nodes may do.
pub(super) fn joining_nodes(spec: &InitSpec) -> Vec<Step> {
    let binding = |name: &str, role: &str, subject| {
        create_or_update(CLUSTER_ROLE_BINDINGS, rbac::cluster_role_binding(name, role, subject))
    };
    let allowed = |what: &str| format!("[bootstrap-token] Configured RBAC rules to allow {what}");
    let mut steps = Vec::new();
    if spec.release.objects.get_nodes {
        let name = "kubeadm:get-nodes";
        let mut role = rbac::cluster_role(name, &[("", &["nodes"], &["get"])]);
        let mut bound = rbac::cluster_role_binding(name, name, rbac::joining_nodes());
        let namespace = spec.release.objects.get_nodes_namespace;
        if !namespace.is_empty() {
            for object in [&mut role, &mut bound] {
                object["metadata"]["namespace"] = namespace.into();
            }
        }
        steps.push(
            create_or_update(CLUSTER_ROLES, role).saying(allowed("Node Bootstrap tokens to get nodes")),
        );
        steps.push(create_or_update(CLUSTER_ROLE_BINDINGS, bound));
    }
    steps
        .push(binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", rbac::joining_nodes()).saying(
        allowed(
            "Node Bootstrap tokens to post CSRs in order for nodes to get long term certificate credentials",
        ),
    ));
    steps.push(
        binding("kubeadm:node-autoapprove-bootstrap", FIRST_CERTIFICATE, rbac::joining_nodes()).saying(
            allowed("the csrapprover controller automatically approve CSRs from a Node Bootstrap Token"),
        ),
    );
    let rotation = "kubeadm:node-autoapprove-certificate-rotation";
    steps.push(
        binding(rotation, NEXT_CERTIFICATE, rbac::group(rbac::NODES_GROUP))
            .saying(allowed("certificate rotation for all node client certificates in the cluster")),
    );
    if spec.release.objects.kubelet_client_binding {
        let client = rbac::user("kube-apiserver-kubelet-client");
        steps.push(
            binding("kubeadm:apiserver-kubelet-client", "system:kubelet-api-admin", client)
                .saying(allowed("the API server kubelet client certificate to access the kubelet API")),
        );
    }
    steps
}

fn cluster_info(spec: &InitSpec, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    let cluster = kubeconfig::cluster_of(view.files, spec.access.kubeconfig.path())?;
    let map = config_maps::cluster_info(spec, &cluster);
    // Merged, not replaced: the signatures of tokens that exist stay readable for nodes that are joining (quirk 32).
    let line = "[bootstrap-token] Creating the \"cluster-info\" ConfigMap in the \"kube-public\" namespace";
    let mut steps = vec![crate::objects::apply(Apply::CreateOrMerge, CONFIG_MAPS, map).saying(line)];
    steps.extend(everybody_reads_cluster_info());
    Ok(steps)
}

/// Lets everybody read `cluster-info`.
pub(super) fn everybody_reads_cluster_info() -> [Step; 2] {
    rbac::let_read(
        "kubeadm:bootstrap-signer-clusterinfo",
        KUBE_PUBLIC,
        CONFIG_MAPS,
        config_maps::CLUSTER_INFO,
        vec![rbac::user("system:anonymous")],
    )
}
