//! kubeadm-config.
