//! The kubeadm binary.
fn main() {}
