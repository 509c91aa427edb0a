//! What components no longer know: flags with which they would not start, and feature gates that they refuse. What a user
//! has configured of these blocks an upgrade.

use crate::column::Span;
use crate::release::Release;

/// Flags that kubeadm itself gave to kubelets, and that an upgrade takes out of `kubeadm-flags.env`.
const ENVIRONMENT: &[Span<&str>] = &[
    Span::since(26, "container-runtime"), // app/phases/upgrade/postupgrade.go, v1.26
    Span::since(35, "pod-infra-container-image"), // app/cmd/phases/upgrade/postupgrade.go, v1.35
];

/// The flags of the kubelet's environment file that an upgrade to a release takes out.
pub fn environment_flags(release: &Release) -> Vec<&'static str> {
    Span::at(ENVIRONMENT, release.minor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    #[test]
    fn flags_of_the_environment_go_with_their_minor() {
        let of = |minor| environment_flags(&Release::of(&Version::new(1, minor, 0)).unwrap());
        assert_eq!(of(13), [""; 0]);
        assert_eq!(of(37), ["container-runtime", "pod-infra-container-image"]);
    }
}
