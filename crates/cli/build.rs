//! Hands the compiler's version to `kubeadm version`.

use std::process::Command;

#[allow(clippy::disallowed_methods, clippy::print_stdout)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().ok();
    let version = output.and_then(|o| String::from_utf8(o.stdout).ok()).unwrap_or_default();
    // `rustc 1.95.0 (…)` becomes `rustc1.95.0`, as Go writes `go1.26.8`.
    let words: Vec<&str> = version.split_whitespace().take(2).collect();
    println!("cargo::rustc-env=KUBEADM_COMPILER={}", words.concat());
}
