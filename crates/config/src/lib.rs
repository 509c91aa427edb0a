//! kubeadm's configuration: reading any API version into one internal form, defaults, validation, migration
//! and printing.
//!
//! No input or output happens here: what must be detected on the host comes through a trait of the caller.

pub mod duration;
pub mod token;
pub mod types;
