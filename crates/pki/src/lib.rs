//! kubeadm-pki.
