//! kubeadm-engine.
