//! kubeadm's configuration: reading any API version into one internal form, defaults, validation, migration
//! and printing.
//!
//! Start at [`load`]. No input or output happens here: what must be known of the host comes through
//! [`detect::Detect`], and what is worth saying is collected as [`error::Notice`]s.

pub mod address;
pub mod api;
pub mod authorization;
mod codec;
pub mod commands;
pub mod component;
pub mod components;
pub mod defaults;
pub mod detect;
pub mod documents;
pub mod duration;
pub mod error;
pub mod features;
pub mod flags;
mod form;
pub mod images;
pub mod load;
pub mod names;
pub mod stored;
pub mod token;
pub mod types;
mod url;
pub mod validate;
pub mod version;
pub mod write;
