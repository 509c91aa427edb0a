//! Recorded errors of the newest release. What commands print is compared by `cargo xtask golden`.

use std::path::Path;

use super::env::{Ran, TestEnv, fixtures};

/// The error line is upstream's, whatever follows it.
#[test]
fn recorded_errors_have_the_same_words() {
    let folder = fixtures().join("golden/kubeadm-1.37/commands");
    for name in ["bad-command", "bad-flag", "print-bad-component", "token-bad-format", "upgrade-bad-version"]
    {
        let ran = run(&folder.join(name));
        assert_eq!(ran.stderr, std::fs::read_to_string(folder.join(name).join("stderr")).unwrap(), "{name}");
    }
}

fn run(case: &Path) -> Ran {
    let env = TestEnv::new();
    let input = case.join("in.yaml");
    if input.exists() {
        env.write("in.yaml", std::fs::read(&input).unwrap());
    }
    let args = std::fs::read_to_string(case.join("args")).unwrap();
    env.run(args.lines())
}
