//! Facts of the machine, and programs run on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use kubeadm_engine::ports::{CommandError, CommandOutput, System, Uname};
use rustix::fs::Access;

use crate::files::words;

/// This machine.
#[derive(Debug, Clone)]
pub struct HostSystem {
    env: BTreeMap<String, String>,
}

impl HostSystem {
    /// The machine with the environment of this process.
    pub fn from_process() -> Self {
        let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
        Self::with_env(std::env::vars_os().map(|(k, v)| (text(k), text(v))).collect())
    }

    /// The machine with another environment, which programs get too.
    pub fn with_env(env: BTreeMap<String, String>) -> Self {
        Self { env }
    }
}

#[async_trait]
impl System for HostSystem {
    fn hostname(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    fn uname(&self) -> Uname {
        let names = rustix::system::uname();
        let text = |s: &std::ffi::CStr| s.to_string_lossy().into_owned();
        Uname {
            sysname: text(names.sysname()),
            release: text(names.release()),
            machine: text(names.machine()),
        }
    }

    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn cpus(&self) -> usize {
        // Not `available_parallelism`, which also counts the quota of this process's cgroup.
        match rustix::thread::sched_getaffinity(None) {
            Ok(set) => set.count() as usize,
            // More processors than the kernel interface's set holds, which is more than anybody asks for.
            Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    fn memory(&self) -> u64 {
        let info = rustix::system::sysinfo();
        // A word of the kernel's, 32 bits wide on some machines.
        #[allow(clippy::useless_conversion)]
        u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit.max(1)))
    }

    fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return executable(Path::new(name)).then(|| name.into());
        }
        // Like Go, never a program of the current directory.
        std::env::split_paths(self.env.get("PATH")?)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|path| executable(path))
    }

    async fn output(&self, program: &str, args: &[&str]) -> Result<CommandOutput, CommandError> {
        let error = |reason: String| CommandError { program: program.into(), reason };
        let path =
            self.find_program(program).ok_or_else(|| error("executable file not found in $PATH".into()))?;
        let output = tokio::process::Command::new(path)
            .args(args)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|e| error(words(&e)))?;
        tracing::trace!("{program} {}: {}", args.join(" "), output.status);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(CommandOutput {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        })
    }
}

fn executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn system(path: &str) -> HostSystem {
        HostSystem::with_env(BTreeMap::from([
            ("PATH".to_owned(), path.to_owned()),
            ("COLOUR".to_owned(), "green".to_owned()),
        ]))
    }

    #[tokio::test]
    async fn finds_and_runs_programs() {
        let dir = tempfile::tempdir().unwrap();
        let (program, plain) = (dir.path().join("program"), dir.path().join("plain"));
        std::fs::write(&program, "#!/bin/sh\necho \"$1 $COLOUR\"; echo oops >&2; exit 3\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(&plain, "").unwrap();
        std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();

        let system = system(&format!(":relative:/no/such/dir:{}", dir.path().display()));
        assert_eq!(system.find_program("program"), Some(program));
        assert_eq!(system.find_program("plain"), None);
        let output = system.output("program", &["light"]).await.unwrap();
        let expected =
            CommandOutput { code: Some(3), stdout: "light green\n".into(), stderr: "oops\n".into() };
        assert_eq!(output, expected);
        let error = system.output("absent", &[]).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot run \"absent\": executable file not found in $PATH");
    }

    #[test]
    fn facts_agree_with_the_kernel() {
        let system = system("");
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!(system.hostname(), read("/proc/sys/kernel/hostname").trim_end());
        assert_eq!(system.uname().release, read("/proc/sys/kernel/osrelease").trim_end());
        let total =
            read("/proc/meminfo").lines().next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
        assert_eq!(system.memory() / 1024, total.parse::<u64>().unwrap());
        assert!(system.cpus() >= 1);
    }
}
