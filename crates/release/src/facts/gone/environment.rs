//! What kubeadm itself wrote into `kubeadm-flags.env`, and later kubelets do not start with.

use crate::column::Span;
use crate::release::Release;

/// A flag of the environment file with which kubelets do not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit {
    /// Its name.
    pub flag: &'static str,
    /// The one feature gate of its value that is unfit, where the others stay.
    pub gate: Option<&'static str>,
    /// Whether kubelets before v1.24 need it where they speak to Docker themselves (dockershim): without
    /// `--network-plugin=cni` they give pods no network of CNI (pkg/kubelet/dockershim/network/plugins.go
    /// InitNetworkPlugin, v1.23).
    ///
    /// While a control plane goes to v1.24, the node's kubelet is of v1.23 still. So such a flag may go only where the
    /// kubelet that starts next is of v1.24 or later, or where the runtime is not Docker by dockershim; there it never had
    /// an effect.
    pub for_dockershim: bool,
}

/// A flag that goes whole, whatever the runtime.
const fn whole(flag: &'static str) -> Unfit {
    Unfit { flag, gate: None, for_dockershim: false }
}

const fn for_dockershim(flag: &'static str) -> Unfit {
    Unfit { flag, gate: None, for_dockershim: true }
}

/// From the first minor on whose kubelets do not start with it.
const ENVIRONMENT: &[Span<Unfit>] = &[
    Span::since(24, for_dockershim("cni-bin-dir")), // cmd/kubelet/app/options, v1.24, as the two below
    Span::since(24, for_dockershim("cni-conf-dir")),
    Span::since(26, whole("container-runtime")), // app/phases/upgrade/postupgrade.go, v1.26
    // Gone in v1.24; refused from v1.22 on without the gate DynamicKubeletConfig, which was on by default before.
    // cmd/kubelet/app/options/options.go ValidateKubeletFlags, v1.22
    Span::since(22, whole("dynamic-config-dir")),
    // Locked to true in v1.23, gone in v1.25; on by default since v1.21.
    Span::since(23, Unfit { flag: "feature-gates", gate: Some("IPv6DualStack"), for_dockershim: false }),
    Span::since(24, for_dockershim("network-plugin")),
    Span::since(35, whole("pod-infra-container-image")), // app/cmd/phases/upgrade/postupgrade.go, v1.35
];

/// What kubelets of a release do not start with, of what kubeadm ever wrote into the environment file.
pub fn environment(release: &Release) -> Vec<Unfit> {
    Span::at(ENVIRONMENT, release.minor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::gone;
    use crate::facts::kubelet::EnvFlag;
    use crate::version::Version;
    use crate::{NEWEST_MINOR, OLDEST_MINOR};

    fn of(minor: u32) -> Release {
        Release::of(&Version::new(1, minor, 0)).unwrap()
    }

    #[test]
    fn flags_of_the_environment_go_with_their_minor() {
        let anywhere = |minor| -> Vec<&str> {
            let all = environment(&of(minor)).into_iter();
            all.filter(|unfit| unfit.gate.is_none() && !unfit.for_dockershim)
                .map(|unfit| unfit.flag)
                .collect()
        };
        assert_eq!(environment(&of(21)), []);
        assert_eq!(anywhere(24), ["dynamic-config-dir"]);
        assert_eq!(anywhere(37), ["container-runtime", "dynamic-config-dir", "pod-infra-container-image"]);
        let docker = |minor| environment(&of(minor)).iter().filter(|unfit| unfit.for_dockershim).count();
        assert_eq!([docker(23), docker(24)], [0, 3]);
    }

    /// Names of what a minor writes, with the gate of a value.
    fn names(flag: EnvFlag) -> &'static [(&'static str, Option<&'static str>)] {
        match flag {
            EnvFlag::CgroupDriverOfDocker => &[("cgroup-driver", None)],
            EnvFlag::CniDirectoriesWithDocker => &[("cni-bin-dir", None), ("cni-conf-dir", None)],
            EnvFlag::NetworkPluginWithDocker => &[("network-plugin", None)],
            EnvFlag::ContainerRuntimeRemote => &[("container-runtime", None)],
            EnvFlag::ContainerRuntimeEndpoint => &[("container-runtime-endpoint", None)],
            EnvFlag::HostnameOverride => &[("hostname-override", None)],
            EnvFlag::PauseImageWithDocker | EnvFlag::PauseImage => &[("pod-infra-container-image", None)],
            EnvFlag::ResolvConf => &[("resolv-conf", None)],
            EnvFlag::DualStackGate => &[("feature-gates", Some("IPv6DualStack"))],
            EnvFlag::DynamicConfigDirectory => &[("dynamic-config-dir", None)],
        }
    }

    #[test]
    fn whatever_a_kubelet_loses_of_them_is_here_by_then() {
        let newest = Version::new(1, NEWEST_MINOR, 0);
        for minor in OLDEST_MINOR..=NEWEST_MINOR {
            let from = Version::new(1, minor, 0);
            for (flag, gate) in of(minor).kubelet.env_flags.into_iter().flat_map(names) {
                let lost = match gate {
                    Some(gate) => gone::locked(gate, false, &from, &newest),
                    None => gone::flag("kubelet", flag, &from, &newest).map(|lost| lost.minor),
                };
                let Some(lost) = lost else { continue };
                let known = environment(&of(lost));
                assert!(
                    known.iter().any(|unfit| unfit.flag == *flag && unfit.gate == *gate),
                    "{flag} in v1.{lost}"
                );
            }
        }
    }
}
