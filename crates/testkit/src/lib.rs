//! kubeadm-testkit.
