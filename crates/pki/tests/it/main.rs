//! Tests of the crate from outside: against recordings of the original, and against openssl.
#![allow(clippy::disallowed_methods, reason = "tests read fixtures and run openssl")]

mod existing;
mod golden;
mod kubeconfig;
mod openssl;
mod renewal;
mod support;
