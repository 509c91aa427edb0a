//! kubeadm-release.
