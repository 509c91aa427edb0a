//! kubeadm-yaml.
