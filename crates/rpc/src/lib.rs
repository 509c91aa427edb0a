//! Wire types and clients of the gRPC services kubeadm speaks to: the container runtime (CRI) and etcd. The code under
//! `generated` is made by `crates/rpc/gen` from `crates/rpc/proto` and committed, so that a build needs no `protoc`.
//!
//! No connection is opened here; crate `host` does that.

mod dialect;

pub use dialect::{Dialect, Spoken};

/// The CRI. v1alpha2 has the same messages; [`Dialect`] sends them to its services.
#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
pub mod cri {
    include!("generated/runtime.v1.rs");
}

/// etcd, of its v3 API what kubeadm uses.
#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
pub mod etcd {
    include!("generated/etcdserverpb.rs");
}
