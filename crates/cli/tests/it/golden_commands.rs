//! Recorded commands of the newest release: the same exit code and the same standard output.

use std::path::Path;

use super::env::{Ran, TestEnv, fixtures};

/// Recorded cases that end otherwise here, and why. docs/differences.md says more of each.
const DIFFERENT: &[(&str, &str)] = &[
    ("migrate-old-full", "one binary for all releases reads every API version"),
    ("migrate-old-join", "one binary for all releases reads every API version"),
    ("migrate-old-min", "one binary for all releases reads every API version"),
    ("validate-old-full", "one binary for all releases reads every API version"),
    (
        "images-list-v1.36.0",
        "a cluster of v1.36 gets the images of kubeadm v1.36, not those of the kubeadm at hand",
    ),
    ("version-yaml", "names this build"),
];

#[test]
fn recorded_commands_end_and_print_alike() {
    let folder = fixtures().join("golden/kubeadm-1.37/commands");
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut wrong = Vec::new();
    for name in &names {
        let case = folder.join(name);
        let ran = run(&case);
        let read = |file: &str| std::fs::read_to_string(case.join(file)).unwrap();
        let code: i32 = read("exit").trim().parse().unwrap();
        // The recording host had this name.
        let stdout = read("stdout").replace("  name: vm\n", &format!("  name: {}\n", hostname()));
        let same = ran.code == code && ran.stdout == stdout;
        let known = DIFFERENT.iter().any(|(n, _)| n == name);
        if same == known {
            wrong.push(format!(
                "{name}: exit {} for {code}\n{}{}",
                ran.code,
                diff(&stdout, &ran.stdout),
                ran.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(DIFFERENT.iter().all(|(n, _)| names.iter().any(|name| name == n)));
}

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

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_lowercase()
}

fn diff(wanted: &str, found: &str) -> String {
    let mut text = String::new();
    for (wanted, found) in wanted.lines().zip(found.lines()).filter(|(w, f)| w != f).take(5) {
        text += &format!("- {wanted}\n+ {found}\n");
    }
    if wanted.lines().count() != found.lines().count() {
        text += &format!("{} lines for {}\n", found.lines().count(), wanted.lines().count());
    }
    text
}
