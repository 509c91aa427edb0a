//! kubeadm-rpc.
