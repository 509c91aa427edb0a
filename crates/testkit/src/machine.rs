//! Services, system, network, clock and output in memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kubeadm_engine::ports::*;

/// A machine with systemd, a kubelet and an address. Time passes only by waiting.
#[derive(Debug)]
pub struct Machine {
    /// Host name.
    pub hostname: Mutex<String>,
    /// State of the kubelet.
    pub kubelet: Mutex<ServiceState>,
    /// Journal of the kubelet.
    pub journal: Mutex<Vec<String>>,
    /// Verbs that services were given.
    pub service_log: Mutex<Vec<String>>,
    /// Answers by URL; others answer 200.
    pub answers: Mutex<BTreeMap<String, Result<u16, String>>>,
    /// Ports in use.
    pub ports: Mutex<Vec<u16>>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    elapsed: Mutex<Duration>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            hostname: Mutex::new("cp1".into()),
            kubelet: Mutex::new(ServiceState::Running),
            journal: Mutex::default(),
            service_log: Mutex::default(),
            answers: Mutex::default(),
            ports: Mutex::default(),
            env: BTreeMap::new(),
            elapsed: Mutex::default(),
        }
    }
}

fn get<T: Clone>(mutex: &Mutex<T>) -> T {
    mutex.lock().expect("no test panics with the lock").clone()
}

#[async_trait]
impl Services for Machine {
    fn init_system(&self) -> Result<InitSystem, ServiceError> {
        Ok(InitSystem::Systemd)
    }
    async fn exists(&self, service: &str) -> bool {
        service == "kubelet"
    }
    async fn enabled(&self, service: &str) -> bool {
        service == "kubelet"
    }
    async fn active(&self, service: &str) -> bool {
        service == "kubelet" && get(&self.kubelet) == ServiceState::Running
    }
    async fn state(&self, _: &str) -> ServiceState {
        get(&self.kubelet)
    }
    async fn journal(&self, _: &str, _: usize) -> Vec<String> {
        get(&self.journal)
    }
    fn enable_command(&self, service: &str) -> String {
        format!("systemctl enable {service}.service")
    }
}

#[async_trait]
impl WriteServices for Machine {
    async fn stop(&self, service: &str) -> Result<(), ServiceError> {
        self.service_log.lock().expect("no test panics with the lock").push(format!("stop {service}"));
        Ok(())
    }
    async fn restart(&self, service: &str) -> Result<(), ServiceError> {
        self.service_log.lock().expect("no test panics with the lock").push(format!("restart {service}"));
        Ok(())
    }
}

#[async_trait]
impl System for Machine {
    fn hostname(&self) -> String {
        get(&self.hostname)
    }
    fn uname(&self) -> Uname {
        Uname { sysname: "Linux".into(), release: "6.1.0".into(), machine: "x86_64".into() }
    }
    fn uid(&self) -> u32 {
        0
    }
    fn cpus(&self) -> usize {
        2
    }
    fn memory(&self) -> u64 {
        4 << 30
    }
    fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }
    fn find_program(&self, name: &str) -> Option<PathBuf> {
        Some(PathBuf::from("/usr/bin").join(name))
    }
    async fn output(&self, program: &str, _: &[&str]) -> Result<CommandOutput, CommandError> {
        let stdout = if program == "kubelet" { "Kubernetes v1.37.2\n" } else { "" };
        Ok(CommandOutput { code: Some(0), stdout: stdout.into(), stderr: String::new() })
    }
}

#[async_trait]
impl Net for Machine {
    fn interfaces(&self) -> Vec<Interface> {
        vec![Interface {
            name: "eth0".into(),
            up: true,
            loopback: false,
            point_to_point: false,
            addresses: vec![IpAddr::from([192, 0, 2, 10])],
        }]
    }
    fn can_listen(&self, address: SocketAddr) -> Result<(), ListenError> {
        match get(&self.ports).contains(&address.port()) {
            true => Err(ListenError::InUse { owner: None }),
            false => Ok(()),
        }
    }
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, String> {
        Ok(vec![IpAddr::from([192, 0, 2, 10])])
    }
    async fn get(&self, request: &HttpGet) -> Result<HttpAnswer, HttpError> {
        match get(&self.answers).get(&request.url).cloned().unwrap_or(Ok(200)) {
            Ok(status) => Ok(HttpAnswer { status, body: "ok".into() }),
            Err(reason) => Err(HttpError { reason, refused: true }),
        }
    }
    fn proxy_for(&self, _: &str) -> Option<String> {
        None
    }
}

#[async_trait]
impl Clock for Machine {
    fn now(&self) -> Timestamp {
        self.started()
    }
    fn started(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }
    fn elapsed(&self) -> Duration {
        // Time passes a little by itself, so that a wait without pauses ends too.
        let mut elapsed = self.elapsed.lock().expect("no test panics with the lock");
        *elapsed += Duration::from_millis(10);
        *elapsed
    }
    async fn pause(&self, time: Duration) {
        *self.elapsed.lock().expect("no test panics with the lock") += time;
    }
}

/// Keeps what was said.
#[derive(Debug, Default)]
pub struct Recorder {
    said: Mutex<Vec<String>>,
    warned: Mutex<Vec<String>>,
}

impl Recorder {
    /// Standard output.
    pub fn said(&self) -> Vec<String> {
        get(&self.said)
    }

    /// Warnings and notes.
    pub fn warned(&self) -> Vec<String> {
        get(&self.warned)
    }
}

impl Output for Recorder {
    fn say(&self, text: &str) {
        self.said.lock().expect("no test panics with the lock").push(text.into());
    }
    fn warn(&self, text: &str) {
        self.warned.lock().expect("no test panics with the lock").push(text.into());
    }
    fn note(&self, text: &str) {
        self.warned.lock().expect("no test panics with the lock").push(text.into());
    }
    fn progress(&self, _: &str) {}
}
