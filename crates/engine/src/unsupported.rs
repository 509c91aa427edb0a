//! Features that a target release has and this build has not: refused by name, before anything is done.

use kubeadm_config::types::{ClusterConfiguration, DnsKind};

/// Gates of old releases whose work is still to be written.
const GATES: &[&str] =
    &["Auditing", "DynamicKubeletConfig", "HighAvailability", "SelfHosting", "StoreCertsInSecrets"];

/// A feature that is asked for and not here yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A feature gate.
    #[error("featureGates.{0}: this build of kubeadm does not have this feature yet; leave the gate out")]
    Gate(&'static str),
    /// The DNS server of old.
    #[error("dns.type: this build of kubeadm cannot install kube-dns yet; choose CoreDNS")]
    KubeDns,
    /// An audit policy.
    #[error("auditPolicy.path: this build of kubeadm does not have auditing yet; leave it out")]
    AuditPolicy,
}

/// Looks for what is asked for and not here yet.
pub fn check(cluster: &ClusterConfiguration) -> Result<(), Unsupported> {
    if let Some(gate) = GATES.iter().find(|gate| cluster.feature_gates.get(**gate) == Some(&true)) {
        return Err(Unsupported::Gate(gate));
    }
    if cluster.dns.kind == DnsKind::KubeDns && !cluster.dns.disabled {
        return Err(Unsupported::KubeDns);
    }
    if !cluster.audit_policy.path.is_empty() {
        return Err(Unsupported::AuditPolicy);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_refused_by_its_name() {
        let mut cluster = ClusterConfiguration::default();
        assert_eq!(check(&cluster), Ok(()));
        cluster.audit_policy.path = "/etc/audit.yaml".into();
        assert_eq!(check(&cluster), Err(Unsupported::AuditPolicy));
        cluster.dns.kind = DnsKind::KubeDns;
        assert_eq!(check(&cluster), Err(Unsupported::KubeDns));
        cluster.feature_gates.insert("SelfHosting".into(), false);
        assert_eq!(check(&cluster), Err(Unsupported::KubeDns));
        cluster.feature_gates.insert("SelfHosting".into(), true);
        let error = check(&cluster).unwrap_err();
        assert!(error.to_string().contains("SelfHosting"), "{error}");
    }
}
