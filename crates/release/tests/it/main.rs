//! The integration tests of the release facts, as one binary.
#![allow(clippy::disallowed_methods, reason = "tests read and write their own fixtures")]

mod golden;
