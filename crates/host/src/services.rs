//! Services, by the programs of systemd or OpenRC: what upstream does, and what works without a bus.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use kubeadm_engine::ports::{
    CommandOutput, InitSystem, ServiceError, ServiceState, Services, System, WriteServices,
};

/// The init system of this machine.
pub struct HostServices {
    system: Arc<dyn System>,
    /// Services this process has restarted, and when: older lines of their journals are another run's.
    restarted: Mutex<Vec<(String, Timestamp)>>,
}

impl HostServices {
    /// Runs the programs of the init system through `system`.
    pub fn new(system: Arc<dyn System>) -> Self {
        Self { system, restarted: Mutex::default() }
    }

    /// Runs a program; `None` if that cannot be done.
    async fn ask(&self, program: &str, args: &[&str]) -> Option<CommandOutput> {
        self.system.output(program, args).await.ok()
    }

    /// Whether systemd has to read its units anew. Upstream always has it do so, which takes a tenth of a second;
    /// systemd knows whether the unit or its drop-ins changed since. What cannot tell counts as changed.
    async fn units_changed(&self, service: &str) -> bool {
        let unit = unit(service);
        let output = self.ask("systemctl", &["show", &unit, "--property=NeedDaemonReload"]).await;
        output.is_none_or(|o| o.stdout.trim() != "NeedDaemonReload=no")
    }

    async fn act(&self, program: &str, args: &[&str]) -> Result<(), ServiceError> {
        let error =
            |reason: String| ServiceError { command: format!("{program} {}", args.join(" ")), reason };
        let output = self.system.output(program, args).await.map_err(|e| error(e.reason))?;
        if output.code == Some(0) {
            return Ok(());
        }
        let said = both(&output).trim().to_owned();
        Err(error(match output.code {
            _ if !said.is_empty() => said,
            Some(code) => format!("exit status {code}"),
            None => "ended by a signal".into(),
        }))
    }

    fn restarted_at(&self, service: &str) -> Option<Timestamp> {
        let restarted = self.restarted.lock().unwrap_or_else(PoisonError::into_inner);
        restarted.iter().rev().find(|(name, _)| name == service).map(|(_, at)| *at)
    }
}

fn both(output: &CommandOutput) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

fn unit(service: &str) -> String {
    if service.contains('.') { service.into() } else { format!("{service}.service") }
}

#[async_trait]
impl Services for HostServices {
    fn init_system(&self) -> Result<InitSystem, ServiceError> {
        let has = |program| self.system.find_program(program).is_some();
        let error = |command: &str, reason: String| Err(ServiceError { command: command.into(), reason });
        if has("systemctl") {
            return Ok(InitSystem::Systemd);
        }
        if !has("openrc") {
            let reason = "no supported init system detected, skipping checking for services";
            return error("systemctl", reason.into());
        }
        match ["rc-service", "rc-update"].into_iter().find(|program| !has(program)) {
            Some(missing) => {
                error("openrc", format!("openrc detected, but missing required binary: {missing}"))
            }
            None => Ok(InitSystem::OpenRc),
        }
    }

    async fn exists(&self, service: &str) -> bool {
        match self.init_system() {
            Ok(InitSystem::Systemd) => {
                self.ask("systemctl", &["status", service]).await.map(|o| both(&o)).is_some_and(|said| {
                    !said.contains("Loaded: not-found") && !said.contains("could not be found")
                })
            }
            Ok(InitSystem::OpenRc) => self
                .ask("rc-service", &[service, "status"])
                .await
                .is_some_and(|o| !both(&o).contains("does not exist")),
            Err(_) => false,
        }
    }

    async fn enabled(&self, service: &str) -> bool {
        match self.init_system() {
            Ok(InitSystem::Systemd) => {
                self.ask("systemctl", &["is-enabled", service]).await.is_some_and(|o| o.code == Some(0))
            }
            Ok(InitSystem::OpenRc) => self
                .ask("rc-update", &["show", "default"])
                .await
                .is_some_and(|o| o.stdout.split_whitespace().any(|word| word == service)),
            Err(_) => false,
        }
    }

    async fn active(&self, service: &str) -> bool {
        match self.init_system() {
            // `is-active` fails for a service that is activating, so its word is what counts.
            Ok(InitSystem::Systemd) => self
                .ask("systemctl", &["is-active", service])
                .await
                .is_some_and(|o| matches!(o.stdout.trim(), "active" | "activating")),
            Ok(InitSystem::OpenRc) => {
                self.ask("rc-service", &[service, "status"]).await.map(|o| both(&o)).is_some_and(|said| {
                    !said.contains("stopped") && !said.contains("crashed") && !said.contains("does not exist")
                })
            }
            Err(_) => false,
        }
    }

    async fn state(&self, service: &str) -> ServiceState {
        let state = match self.init_system() {
            Ok(InitSystem::Systemd) => {
                let properties = "--property=LoadState,ActiveState,SubState,Result,ExecMainStatus,\
                                  ExecMainExitTimestampMonotonic,NRestarts";
                self.ask("systemctl", &["show", &unit(service), properties])
                    .await
                    .map(|o| systemd_state(&o.stdout))
            }
            Ok(InitSystem::OpenRc) => {
                self.ask("rc-service", &[service, "status"]).await.map(|o| open_rc_state(&both(&o)))
            }
            Err(_) => None,
        };
        state.unwrap_or(ServiceState::Unknown)
    }

    async fn journal(&self, service: &str, lines: usize) -> Vec<String> {
        let (unit, count) = (unit(service), lines.to_string());
        // With --since alone journalctl counts its lines from there on; backwards it counts them from the end.
        let mut args = vec!["-u", &unit, "-n", &count, "--reverse", "--no-pager", "-o", "cat", "-q"];
        // Seconds since 1970: nobody's time zone matters.
        let since = self.restarted_at(service).map(|at| format!("--since=@{}", at.as_second()));
        args.extend(since.as_deref());
        match self.ask("journalctl", &args).await {
            Some(output) if output.code == Some(0) => {
                output.stdout.lines().rev().map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    fn enable_command(&self, service: &str) -> String {
        match self.init_system() {
            Ok(InitSystem::OpenRc) => format!("rc-update add {service} default"),
            _ => format!("systemctl enable {}", unit(service)),
        }
    }
}

#[async_trait]
impl WriteServices for HostServices {
    async fn stop(&self, service: &str) -> Result<(), ServiceError> {
        match self.init_system()? {
            InitSystem::Systemd => self.act("systemctl", &["stop", service]).await,
            InitSystem::OpenRc => self.act("rc-service", &[service, "stop"]).await,
        }
    }

    async fn restart(&self, service: &str) -> Result<(), ServiceError> {
        let now = Timestamp::now();
        self.restarted.lock().unwrap_or_else(PoisonError::into_inner).push((service.into(), now));
        match self.init_system()? {
            InitSystem::Systemd => {
                if self.units_changed(service).await {
                    self.act("systemctl", &["daemon-reload"]).await?;
                }
                self.act("systemctl", &["restart", service]).await
            }
            InitSystem::OpenRc => self.act("rc-service", &[service, "restart"]).await,
        }
    }
}

/// Reads the properties that `systemctl show` prints; one that an old systemd does not know is missing.
fn systemd_state(properties: &str) -> ServiceState {
    let property = |name: &str| {
        properties
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .filter(|value| !value.is_empty())
    };
    match property("LoadState") {
        Some("not-found") => return ServiceState::Missing,
        Some("masked") => return ServiceState::Masked,
        _ => {}
    }
    let detail = || {
        let mut detail = vec![property("Result").unwrap_or("failed").to_owned()];
        detail.extend(property("ExecMainStatus").map(|status| format!("status {status}")));
        detail.extend(property("NRestarts").filter(|n| *n != "0").map(|n| format!("restarted {n} times")));
        detail.join(", ")
    };
    // NRestarts does not tell one end from another: old systemds lack it, and where a service kept failing before it was
    // stopped and started, it goes on counting.
    let ended =
        || property("ExecMainExitTimestampMonotonic").and_then(|t| t.parse().ok()).unwrap_or_default();
    match (property("ActiveState"), property("SubState")) {
        (Some("failed"), _) => ServiceState::Failed { detail: detail() },
        (Some("activating"), Some("auto-restart" | "auto-restart-queued")) => {
            ServiceState::Failing { detail: detail(), ended: ended() }
        }
        (Some("active" | "activating" | "reloading"), _) => ServiceState::Running,
        (Some("inactive" | "deactivating"), _) => ServiceState::Stopped,
        _ => ServiceState::Unknown,
    }
}

fn open_rc_state(said: &str) -> ServiceState {
    if said.contains("does not exist") {
        ServiceState::Missing
    } else if said.contains("crashed") {
        ServiceState::Failed { detail: "crashed".into() }
    } else if said.contains("stopped") {
        ServiceState::Stopped
    } else if said.contains("start") {
        ServiceState::Running
    } else {
        ServiceState::Unknown
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::system::HostSystem;

    /// An init system made of scripts that log their command lines.
    struct Scripts(tempfile::TempDir);

    impl Scripts {
        fn new(scripts: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for (name, body) in scripts {
                let path = dir.path().join(name);
                let log = dir.path().join("log");
                let text = format!("#!/bin/sh\necho {name} \"$@\" >> {}\n{body}\n", log.display());
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            Self(dir)
        }

        fn services(&self) -> HostServices {
            let path = self.0.path().to_str().unwrap().to_owned();
            HostServices::new(Arc::new(HostSystem::with_env(BTreeMap::from([("PATH".to_owned(), path)]))))
        }

        fn log(&self) -> Vec<String> {
            let log = std::fs::read_to_string(self.0.path().join("log")).unwrap_or_default();
            log.lines().map(str::to_owned).collect()
        }
    }

    #[tokio::test]
    async fn systemd_verbs() {
        let systemctl = r#"case "$1 $2" in
            "status kubelet") echo "Loaded: loaded"; exit 3;;
            status*) echo "Unit $2.service could not be found." >&2; exit 4;;
            "is-enabled kubelet") exit 0;; is-enabled*) exit 1;;
            "is-active kubelet") echo activating; exit 3;; is-active*) echo inactive; exit 3;;
            "stop broken") echo "Job failed." >&2; exit 1;;
            "stop mute") exit 5;;
            "show changed.service") echo NeedDaemonReload=yes;; "show kubelet.service") echo NeedDaemonReload=no;;
        esac"#;
        let scripts = Scripts::new(&[("systemctl", systemctl), ("journalctl", "echo two; echo one")]);
        let services = scripts.services();
        assert_eq!(services.init_system().unwrap(), InitSystem::Systemd);
        assert!(services.exists("kubelet").await && !services.exists("docker").await);
        assert!(services.enabled("kubelet").await && !services.enabled("docker").await);
        assert!(services.active("kubelet").await && !services.active("docker").await);
        assert_eq!(
            services.stop("broken").await.unwrap_err().to_string(),
            "systemctl stop broken: Job failed."
        );
        assert_eq!(
            services.stop("mute").await.unwrap_err().to_string(),
            "systemctl stop mute: exit status 5"
        );
        assert_eq!(services.enable_command("kubelet"), "systemctl enable kubelet.service");
        // Units are read anew where they changed, and where the init system cannot tell.
        for service in ["changed", "unknown"] {
            services.restart(service).await.unwrap();
            let log = scripts.log();
            let restart = format!("systemctl restart {service}");
            assert_eq!(log[log.len() - 2..], ["systemctl daemon-reload", &restart]);
        }
        services.restart("kubelet").await.unwrap();
        assert_eq!(services.journal("kubelet", 20).await, ["one", "two"]);
        let log = scripts.log();
        assert_eq!(
            log[log.len() - 3..log.len() - 1],
            ["systemctl show kubelet.service --property=NeedDaemonReload", "systemctl restart kubelet"]
        );
        let last = &log[log.len() - 1];
        assert!(
            last.starts_with("journalctl -u kubelet.service -n 20 --reverse --no-pager -o cat -q --since=@"),
            "{last}"
        );
    }

    #[tokio::test]
    async fn open_rc_verbs() {
        let rc_service = r#"case "$1 $2" in
            "kubelet status") echo " * status: started";;
            *) echo " * rc-service: service '$1' does not exist"; exit 1;;
        esac"#;
        let rc_update = "echo '       kubelet | default'";
        let scripts = Scripts::new(&[("openrc", ""), ("rc-service", rc_service), ("rc-update", rc_update)]);
        let services = scripts.services();
        assert_eq!(services.init_system().unwrap(), InitSystem::OpenRc);
        assert!(services.exists("kubelet").await && !services.exists("docker").await);
        assert!(services.enabled("kubelet").await && !services.enabled("docker").await);
        assert!(services.active("kubelet").await && !services.active("docker").await);
        assert_eq!(services.state("kubelet").await, ServiceState::Running);
        assert_eq!(services.state("docker").await, ServiceState::Missing);
        assert_eq!(services.journal("kubelet", 20).await, Vec::<String>::new());
        assert_eq!(services.enable_command("kubelet"), "rc-update add kubelet default");
    }

    #[tokio::test]
    async fn no_init_system() {
        let services = Scripts::new(&[]).services();
        assert!(services.init_system().is_err() && !services.exists("kubelet").await);
        assert_eq!(services.state("kubelet").await, ServiceState::Unknown);
        assert!(services.restart("kubelet").await.is_err());
    }

    #[test]
    fn states_of_systemd() {
        assert_eq!(systemd_state("LoadState=not-found\nActiveState=inactive\n"), ServiceState::Missing);
        assert_eq!(systemd_state("LoadState=masked\nActiveState=inactive\n"), ServiceState::Masked);
        assert_eq!(
            systemd_state("LoadState=loaded\nActiveState=active\nSubState=running\n"),
            ServiceState::Running
        );
        assert_eq!(
            systemd_state("LoadState=loaded\nActiveState=inactive\nSubState=dead\n"),
            ServiceState::Stopped
        );
        let crashing = "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\n\
                        ExecMainStatus=1\nExecMainExitTimestampMonotonic=1700\nNRestarts=3\n";
        let detail = "exit-code, status 1, restarted 3 times".to_owned();
        assert_eq!(systemd_state(crashing), ServiceState::Failing { detail, ended: 1700 });
        let given_up =
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=1\n";
        let detail = "exit-code, status 1".to_owned();
        assert_eq!(systemd_state(given_up), ServiceState::Failed { detail });
        assert_eq!(systemd_state(""), ServiceState::Unknown);
    }
}
