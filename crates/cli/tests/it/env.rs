//! A place to run the binary in: an empty environment, a home of its own, and only the programs a test puts on PATH.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The fixtures of the project.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").canonicalize().unwrap()
}

/// What a run said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Standard output of a run that went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard error of a run that failed.
    #[track_caller]
    pub(crate) fn fails(self) -> String {
        assert_eq!(self.code, 1, "{}{}", self.stdout, self.stderr);
        self.stderr
    }
}

pub(crate) struct TestEnv {
    root: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["bin", "home", "work"] {
            std::fs::create_dir(root.path().join(dir)).unwrap();
        }
        Self { root, variables: Vec::new() }
    }

    /// Sets a variable for later runs.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<str>) {
        self.variables.push((name.into(), value.as_ref().into()));
    }

    /// Puts a program on PATH.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.root.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A path in the directory that runs start in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// Writes a file there.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs kubeadm.
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.command(env!("CARGO_BIN_EXE_kubeadm"), args)
    }

    fn command<S: AsRef<std::ffi::OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Ran {
        let output = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", self.root.path().join("bin"))
            .env("HOME", self.root.path().join("home"))
            .envs(self.variables.iter().map(|(k, v)| (k, v)))
            .current_dir(self.root.path().join("work"))
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs kubeadm in another root, as root there: in a namespace of its own where this is not root's process.
    pub(crate) fn line_in(&self, root: &Path, line: &str) -> Ran {
        use std::os::unix::fs::MetadataExt as _;
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let program = env!("CARGO_BIN_EXE_kubeadm");
        let mut words: Vec<&str> =
            if is_root { vec![program] } else { vec!["/usr/bin/unshare", "-r", program] };
        let root = root.display().to_string();
        words.extend(["--rootfs", &root]);
        words.extend(line.split_whitespace());
        self.command(words[0], &words[1..])
    }

    /// Runs kubeadm with words of a line.
    pub(crate) fn line(&self, line: &str) -> Ran {
        self.run(line.split_whitespace())
    }
}
