//! kubeadm-host.
