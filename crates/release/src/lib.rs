//! Every fact that differs between Kubernetes minors, and every question that compares versions.
//!
//! Facts are kept column-wise: one short history per fact, each row with its source ([`facts`]). [`Release::of`]
//! folds the columns into a plain struct for one minor. [`Version`] deliberately has no ordering: the comparisons
//! that make sense have names, in [`skew`]. Nothing outside this crate compares minors.
//!
//! This crate reads no file, knows no host and depends on nothing but the derive that lists its facts.

mod column;
pub mod facts;
pub mod listing;
mod reference;
mod release;
pub mod skew;
mod version;

pub use column::{Column, Span};
pub use reference::{Bucket, Reference, ReferenceError};
pub use release::{MINORS, NEWEST_MINOR, OLDEST_MINOR, Release, ReleaseError, SERVED_MINORS};
pub use version::{Version, VersionError};
