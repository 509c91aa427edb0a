//! The facts, by area. Each area is a plain struct, folded from its columns for one minor.
//!
//! A row of a table says since which minor a value holds, and is followed by its source: a file of the kubeadm
//! source with the release it was read in, an enhancement proposal (KEP), or what that release was seen to write.
//! Tables may already hold rows of minors that [`crate::Release::of`] still refuses.

pub mod addons;
pub mod certificates;
pub mod component_config;
pub mod config_api;
pub mod control_plane;
pub mod corefile;
pub mod etcd;
pub mod gone;
pub mod images;
pub mod kubelet;
pub mod node;
pub mod objects;
pub mod preflight;
