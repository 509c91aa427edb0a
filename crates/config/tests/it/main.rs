//! What the recordings of upstream's kubeadm say about configuration.

#![allow(clippy::disallowed_methods, reason = "tests read their fixtures from the disk")]

mod commands;
mod flags;
mod host;
mod reading;
mod recorded;
mod stored;
mod validation;
