//! Integration tests of the YAML crate, one binary.
#![allow(clippy::disallowed_methods, reason = "tests read fixtures")]

mod golden;
mod parse;
mod roundtrip;
